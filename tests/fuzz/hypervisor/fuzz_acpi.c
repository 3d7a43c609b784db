// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: hypervisor/boot/acpi.c hypervisor/boot/acpi_debug.c
/*
 * Any bytes as ACPI tables: is nothing beyond a table read, and do the facts stay within their
 * arrays? Input: per table a byte for its signature, two for its length, then what follows its
 * head. Checksums are right, since only tables that have one are read on.
 */
#include <assert.h>
#include <stdlib.h>

#include "fuzz.h"
#include "hv/acpi.h"
#include "hv/boot.h"
#include "hv/caps.h"
#include "hv/irq.h"
#include "hv/mm.h"
#include "lib/kconfig.h"

#define TABLES 8U
#define HEAD   36U
#define BODY   4096U
#define BASE   0x7FE00000UL
#define STEP   0x10000UL

struct boot_info boot_info;
struct ioapic_info ioapics[CONFIG_MAX_IOAPIC_NUM];
uint16_t ioapic_count;
struct e820 host_e820;

static struct {
	uint8_t *p; /* of exactly its length */
	size_t len;
} tables[TABLES + 2U]; /* then the RSDT, then the RSDP */
static uint8_t nothing[0x20000]; /* where no table is: zeros */

void *hpa_ptr(hpa_t hpa)
{
	uint64_t i = (hpa.v - BASE) / STEP, off = (hpa.v - BASE) % STEP;

	if (hpa.v < BASE || i >= TABLES + 2U || off >= tables[i].len)
		return nothing;
	return tables[i].p + off;
}

hpa_t ptr_hpa(const volatile void *p)
{
	for (uint64_t i = 0; i < TABLES + 2U; i++) {
		if (p == tables[i].p)
			return HPA(BASE + i * STEP);
	}
	return HPA(0);
}

void report(const char *fmt, ...)
{
	assert(fmt != NULL);
}

bool cap_has(enum cpu_cap cap)
{
	return cap == CAP_X2APIC;
}

bool e820_is_ram(const struct e820 *map, uint64_t base, uint64_t size)
{
	(void)map;
	return size <= MB(512) && base <= MB(512) - size;
}

uint64_t hostmm_limit(void)
{
	return 1UL << 39;
}

bool hv_owns(hpa_t base, uint64_t size)
{
	return base.v <= GB(1) && GB(1) < base.v + size;
}

int e820_reserve(uint64_t base, uint64_t size)
{
	(void)base;
	(void)size;
	return 0;
}

static void checksum(uint8_t *p, size_t len, size_t at)
{
	uint8_t sum = 0;

	p[at] = 0;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	p[at] = (uint8_t)(0U - sum);
}

static void put32(uint8_t *p, uint64_t v)
{
	uint32_t word = (uint32_t)v;

	memcpy(p, &word, sizeof(word));
}

/* Table i with this body. */
static void make(uint32_t i, const char *signature, const uint8_t *body, size_t len)
{
	tables[i].len = HEAD + len;
	tables[i].p = calloc(1, tables[i].len);
	assert(tables[i].p != NULL);
	memcpy(tables[i].p, signature, 4);
	put32(tables[i].p + 4, tables[i].len);
	if (len != 0)
		memcpy(tables[i].p + HEAD, body, len);
	checksum(tables[i].p, tables[i].len, 9);
}

static void make_tables(struct fuzz *f)
{
	static const char *const signatures[] = {"APIC", "FACP", "MCFG", "DSDT"};
	uint8_t list[TABLES * 4U];
	uint32_t dsdt = 0, n = 0;

	for (; n < TABLES && f->left > 3; n++) {
		const char *signature = signatures[fuzz_take(f, 1) % 4U];
		size_t len = fuzz_take(f, 2) % BODY;

		len = len < f->left ? len : f->left;
		make(n, signature, f->data, len);
		f->data += len;
		f->left -= len;
		if (signature[0] == 'D')
			dsdt = n;
	}
	for (uint32_t i = 0; i < n; i++) {
		put32(&list[i * 4U], BASE + i * STEP);
		if (tables[i].p[0] == 'F' && tables[i].len >= 44) {
			put32(tables[i].p + 40, BASE + dsdt * STEP);
			checksum(tables[i].p, tables[i].len, 9);
		}
	}
	make(TABLES, "RSDT", list, n * 4U);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz f = {.data = data, .left = size};
	uint8_t *rsdp = calloc(1, 20);

	assert(rsdp != NULL);
	memset(&acpi_facts, 0, sizeof(acpi_facts));
	ioapic_count = 0;
	make_tables(&f);
	memcpy(rsdp, "RSD PTR ", 8);
	put32(rsdp + 16, BASE + TABLES * STEP);
	checksum(rsdp, 20, 8);
	tables[TABLES + 1U].p = rsdp;
	tables[TABLES + 1U].len = 20;
	acpi_init(BASE + (TABLES + 1U) * STEP);
	assert(acpi_facts.rsdp_hpa == BASE + (TABLES + 1U) * STEP);
	assert(acpi_facts.cpu_count <= ACPI_MAX_CPUS);
	assert(ioapic_count <= CONFIG_MAX_IOAPIC_NUM);
	for (uint16_t i = 0; i < ioapic_count; i++)
		assert(ioapics[i].base.v >= MB(512));
	assert(acpi_facts.s5_typ <= 7 || acpi_facts.s5_typ == 0xFF);
	for (uint32_t irq = 0; irq < 256; irq++)
		(void)acpi_isa_gsi((uint8_t)irq);
	for (uint32_t i = 0; i < TABLES + 2U; i++) {
		free(tables[i].p);
		tables[i].p = NULL;
		tables[i].len = 0;
	}
	return 0;
}
