// SPDX-License-Identifier: BSD-3-Clause
/*
 * What the tests of ACPI tables have in common: physical memory, and tables written into it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hv/acpi.h"
#include "hv/boot.h"
#include "hv/caps.h"
#include "hv/irq.h"
#include "lib/kconfig.h"
#include "acpi_machine.h"
#include "fake_report.h"

struct boot_info boot_info;
struct ioapic_info ioapics[CONFIG_MAX_IOAPIC_NUM];
uint16_t ioapic_count;

/*
 * Physical memory: the first megabyte, and 64 KB that end at 4 GB, so that a table can run over
 * that edge. Whoever reads elsewhere fails.
 */
uint8_t acpi_low[0x100000];
static uint8_t *high;

uint64_t acpi_reserved;
struct e820 host_e820;
uint64_t acpi_ram_end; /* RAM below it */
uint64_t acpi_own; /* a byte of the hypervisor's own memory */
bool acpi_x2apic;

bool e820_is_ram(const struct e820 *map, uint64_t base, uint64_t size)
{
	assert_ptr_equal(map, &host_e820);
	return base < acpi_ram_end && size <= acpi_ram_end - base;
}

bool cap_has(enum cpu_cap cap)
{
	assert_int_equal(cap, CAP_X2APIC);
	return acpi_x2apic;
}

/* What was reported, but for the lines about the table that a test has not. */
uint32_t acpi_lines(void)
{
	return fake_report_lines - (fake_reported("no MADT: ") ? 1 : 0) -
	       (fake_reported("no FADT: ") ? 1 : 0);
}

uint64_t hostmm_limit(void)
{
	return 1UL << 39;
}

bool hv_owns(hpa_t base, uint64_t size)
{
	return acpi_own != 0 && base.v <= acpi_own && acpi_own < base.v + size;
}

int e820_reserve(uint64_t base, uint64_t size)
{
	assert_int_equal(size, PAGE_SIZE);
	acpi_reserved = base;
	return 0;
}

void *hpa_ptr(hpa_t hpa)
{
	if (hpa.v < sizeof(acpi_low))
		return &acpi_low[hpa.v];
	assert_in_range(hpa.v, HIGH, HIGH + HIGH_SIZE - 1);
	return high + (hpa.v - HIGH);
}

hpa_t ptr_hpa(const volatile void *p)
{
	uintptr_t a = (uintptr_t)p;

	if (a >= (uintptr_t)acpi_low && a < (uintptr_t)acpi_low + sizeof(acpi_low))
		return HPA(a - (uintptr_t)acpi_low);
	return HPA(HIGH + (a - (uintptr_t)high));
}

uint64_t acpi_next;

int acpi_setup(void **state)
{
	(void)state;
	memset(acpi_low, 0, sizeof(acpi_low));
	free(high);
	high = calloc(1, HIGH_SIZE); /* on the heap: an access beyond 4 GB is seen */
	memset(&acpi_facts, 0, sizeof(acpi_facts));
	memset(&boot_info, 0, sizeof(boot_info));
	memset(ioapics, 0, sizeof(ioapics));
	ioapic_count = 0;
	acpi_next = HIGH;
	acpi_reserved = 0;
	acpi_ram_end = 0;
	acpi_own = 0;
	acpi_x2apic = true;
	fake_report_reset();
	return 0;
}

void acpi_put(uint64_t hpa, uint64_t v, size_t len)
{
	memcpy(hpa_ptr(HPA(hpa)), &v, len);
}

void acpi_checksum(uint64_t hpa, size_t len, size_t at)
{
	uint8_t *p = hpa_ptr(HPA(hpa)), sum = 0;

	p[at] = 0;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	p[at] = (uint8_t)(0 - sum);
}

/* A table with this body behind its 36-byte head; its address. */
uint64_t acpi_table(const char *signature, const void *body, uint32_t len)
{
	uint64_t at = acpi_next;

	memcpy(hpa_ptr(HPA(at)), signature, 4);
	acpi_put(at + 4, 36 + len, 4);
	if (len)
		memcpy(hpa_ptr(HPA(at + 36)), body, len);
	acpi_checksum(at, 36 + len, 9);
	acpi_next += (36 + len + 15) & ~15U;
	return at;
}

void acpi_rsdp_at(uint64_t at, uint8_t revision, uint64_t rsdt, uint64_t xsdt)
{
	memcpy(hpa_ptr(HPA(at)), "RSD PTR ", 8);
	acpi_put(at + 15, revision, 1);
	acpi_put(at + 16, rsdt, 4);
	acpi_put(at + 20, 36, 4);
	acpi_put(at + 24, xsdt, 8);
	acpi_checksum(at, 20, 8);
	acpi_checksum(at, 36, 32);
}

uint64_t acpi_rsdt_of(uint64_t a, uint64_t b, uint64_t c)
{
	uint32_t list[] = {(uint32_t)a, (uint32_t)b, (uint32_t)c};

	return acpi_table("RSDT", list, sizeof(list));
}

uint64_t acpi_xsdt_of(uint64_t a, uint64_t b)
{
	uint64_t list[] = {a, b};

	return acpi_table("XSDT", list, sizeof(list));
}

void acpi_run_with(uint64_t a, uint64_t b, uint64_t c)
{
	acpi_rsdp_at(RSDP, 0, acpi_rsdt_of(a, b, c), 0);
	acpi_init(0);
}

const uint8_t acpi_madt_body[ACPI_MADT_SIZE] = {
	0, 0, 0xE0, 0xFE, 1, 0, 0, 0, /* LAPIC address, flags */
	0, 8, 0, 4, 1, 0, 0, 0,	      /* xAPIC id 4, enabled */
	0, 8, 1, 6, 0, 0, 0, 0,	      /* disabled */
	0, 8, 1, 2, 1, 0, 0, 0,
	1, 12, 9, 0, 0, 0, 0xC0, 0xFE, 0, 0, 0, 0,
	2, 10, 0, 0, 2, 0, 0, 0, 0, 0,
	2, 10, 0, 9, 9, 0, 0, 0, 0x0D, 0,
	9, 16, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, /* the same as xAPIC 4 */
	9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, /* id 256 */
	4, 6, 0xFF, 5, 0, 1,				 /* LAPIC NMI: not used */
};

void acpi_expect_madt(void)
{
	assert_int_equal(acpi_facts.cpu_count, 3);
	assert_int_equal(acpi_facts.cpu_apic_ids[0], 4);
	assert_int_equal(acpi_facts.cpu_apic_ids[1], 2);
	assert_int_equal(acpi_facts.cpu_apic_ids[2], 256);
	assert_int_equal(ioapic_count, 1);
	assert_int_equal(ioapics[0].id, 9);
	assert_int_equal(ioapics[0].base.v, 0xFEC00000);
	assert_int_equal(acpi_isa_gsi(0), 2);
	assert_int_equal(acpi_isa_gsi(9), 9);
	assert_int_equal(acpi_isa_gsi(4), 4);
}
