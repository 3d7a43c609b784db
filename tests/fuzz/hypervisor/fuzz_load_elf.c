// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: hypervisor/pre_launched/load_elf.c hypervisor/guest/ve820.c
// links: hypervisor/boot/load_entry.c @machine
/*
 * Any file as a VM's ELF kernel: is it read beyond its end, or anything put where the VM's map has no
 * RAM, or over something that is there? Input: a byte of options, then the file.
 */
#include <assert.h>
#include <stdlib.h>

#include "fake_machine.h"
#include "fuzz.h"
#include "hv/boot.h"
#include "hv/gmem.h"
#include "hv/load.h"
#include "hv/vm.h"
#include "lib/string.h"

#define GUEST_RAM 0x4000000UL

struct e820 host_e820;
struct boot_info boot_info;

static const struct e820 map = {
	.count = 3,
	.r =
		{
			{.base = 0, .size = 0x9F000, .type = MEM_RAM},
			{.base = 0x9F000, .size = 0x61000, .type = MEM_RESERVED},
			{.base = 0x100000, .size = GUEST_RAM - 0x100000, .type = MEM_RAM},
		},
};
static const struct mem_range busy[] = {{.base = 0x200000, .size = 0x300000},
					{.base = 0x80000, .size = 0x1000}};

void report(const char *fmt, ...)
{
	assert(fmt != NULL);
}

bool e820_is_ram(const struct e820 *m, uint64_t base, uint64_t size)
{
	assert(m == &map);
	return (base < 0x9F000 && size <= 0x9F000 - base) ||
	       (base >= 0x100000 && base < GUEST_RAM && size <= GUEST_RAM - base);
}

long string_copy(char *dst, const char *src, size_t size)
{
	assert(strlen(src) < size);
	memcpy(dst, src, strlen(src) + 1);
	return 0;
}

static int clear_of(uint64_t gpa, size_t len, uint64_t base, uint64_t size)
{
	return gpa >= base + size || len <= base - gpa || gpa + len <= base;
}

int gmem_write(struct vm *vm, gpa_t gpa, const void *buf, size_t len)
{
	const uint8_t *bytes = buf;

	(void)vm;
	assert(gpa.v < GUEST_RAM && len <= GUEST_RAM - gpa.v);
	assert(clear_of(gpa.v, len, 0x9F000, 0x61000));
	for (size_t i = 0; i < sizeof(busy) / sizeof(busy[0]); i++)
		assert(clear_of(gpa.v, len, busy[i].base, busy[i].size));
	/* the sanitizer looks at what is read */
	for (size_t i = 0; i < len; i++)
		(void)*(const volatile uint8_t *)&bytes[i];
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t ramdisk[0x2000];
	struct vm vm = {.name = "fuzzed"};
	struct vcpu_start start = {0};
	struct load_args args = {.map = &map,
				 .rsdp = 0xF0000,
				 .cmdline = "console=ttyS0",
				 .busy = busy,
				 .busy_count = 2};
	uint8_t *file;

	if (size < 2)
		return 0;
	file = malloc(size - 1);
	assert(file != NULL);
	memcpy(file, data + 1, size - 1);
	args.kernel = ptr_hpa(file);
	args.kernel_size = size - 1;
	if (data[0] & 1) {
		args.ramdisk = ptr_hpa(ramdisk);
		args.ramdisk_size = sizeof(ramdisk);
	}
	if (load_elf(&vm, &args, &start) == 0)
		assert(start.rip < GUEST_RAM && start.gpr[GPR_RBX] < 0x90000);
	free(file);
	return 0;
}
