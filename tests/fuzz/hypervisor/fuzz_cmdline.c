// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: hypervisor/boot/report.c hypervisor/arch/x86/cpu/caps.c hypervisor/lib/printf.c
// links: hypervisor/boot/multiboot.c tests/fake/fake_string.c @machine
/*
 * Any text as the hypervisor's command line: does each part that looks there keep to its buffers,
 * and take no port or address that cannot be one? Input: the line.
 */
#include <assert.h>
#include <string.h>

#include "asm/msr.h"
#include "asm/vmx.h"
#include "fake_machine.h"
#include "fuzz.h"
#include "hv/boot.h"
#include "hv/caps.h"
#include "hv/mm.h"
#include "hv/screen.h"
#include "hv/vm_config.h"
#include "hv/vpci.h"

const struct board_config board_config = {
	.console = {.type = SERIAL_PIO, .base = 0x3F8, .reg_size = 1}};

void e820_add_raw(uint64_t base, uint64_t size, uint32_t type)
{
	(void)base;
	(void)size;
	(void)type;
}

/* Every function has ports and a byte that is not an address. */
uint32_t pci_cfg_read(bdf_t bdf, uint32_t reg, uint8_t width)
{
	(void)width;
	return reg == 0x10 ? ((uint32_t)bdf << 3) | 1U : 0U;
}

void pci_cfg_write(bdf_t bdf, uint32_t reg, uint8_t width, uint32_t val)
{
	(void)bdf;
	(void)reg;
	(void)width;
	(void)val;
}

const char *screen_init(void)
{
	return NULL;
}

void screen_putc(char c)
{
	(void)c;
}

/* A machine that has everything: what is missing was hidden. */
static void processor(void)
{
	fake_cpuid_set(0, 0, 0x16, 0, 0, 0);
	fake_cpuid_set(1, 0, 0, 0, UINT32_MAX, UINT32_MAX);
	fake_cpuid_set(7, 0, 0, UINT32_MAX, UINT32_MAX, UINT32_MAX);
	fake_cpuid_set(0xD, 1, UINT32_MAX, 0, 0, 0);
	fake_cpuid_set(0x80000000, 0, 0x80000008, 0, 0, 0);
	fake_cpuid_set(0x80000001, 0, 0, 0, UINT32_MAX, UINT32_MAX);
	fake_cpuid_set(0x80000007, 0, 0, 0, 0, UINT32_MAX);
	fake_msr_set(MSR_FEATURE_CONTROL, FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_NO_SMX);
	fake_msr_set(MSR_VMX_BASIC, BIT(55));
	fake_msr_set(MSR_VMX_TRUE_PINBASED, 0xFFFFFFFF00000000UL);
	fake_msr_set(MSR_VMX_TRUE_PROCBASED, 0xFFFFFFFF00000000UL);
	fake_msr_set(MSR_VMX_PROCBASED2, 0xFFFFFFFF00000000UL);
	fake_msr_set(MSR_VMX_EPT_VPID_CAP, UINT64_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char opt[200], small[2];
	char *mmio;
	bool hides;

	fake_machine_reset();
	processor();
	memset(&boot_info, 0, sizeof(boot_info));
	size = size < sizeof(boot_info.cmdline) - 1 ? size : sizeof(boot_info.cmdline) - 1;
	memcpy(boot_info.cmdline, data, size);
	/* registers in memory would be used where no memory is */
	while ((mmio = strstr(boot_info.cmdline, "mmio@")) != NULL)
		mmio[4] = '#';

	report_init();
	if (report_serial()->type == SERIAL_PIO)
		assert(report_serial()->base != 0 && report_serial()->base <= 0xFFF8);
	hides = boot_option("hide", opt, sizeof(opt));
	assert(!hides || strlen(opt) < sizeof(opt));
	(void)caps_init(hides ? opt : NULL);
	if (boot_option("quirks", small, sizeof(small)))
		assert(strlen(small) < sizeof(small));
	return 0;
}
