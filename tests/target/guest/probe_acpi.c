// SPDX-License-Identifier: BSD-3-Clause
/*
 * The ACPI tables as the guest finds them, printed as hex for the host to judge:
 * "table ADDRESS OFFSET: BYTES". The RSDP comes first, then what hangs on it.
 */
#include <stddef.h>

#include "guest.h"
#include "probe.h"

#define ACPI_RSDP    0x70U /* in the zero page */
#define HEADER	     36U
#define LINE	     64U
#define RSDP_LENGTH1 20U
#define MAX_TABLES   32U
#define FADT_FACS    36U
#define FADT_DSDT    40U

static uint64_t printed[MAX_TABLES];
static uint32_t printed_count;

static uint32_t get32(const uint8_t *at)
{
	return *(const uint32_t *)(const void *)at;
}

static void print_bytes(const uint8_t *bytes, uint32_t length)
{
	for (uint32_t i = 0U; i < length; i++) {
		if (i % LINE == 0U)
			print("%stable %08lx %04x: ", i == 0U ? "" : "\n", (uint64_t)bytes, i);
		print("%02x", bytes[i]);
	}
	print("\n");
}

/* A table is printed once, though both the RSDT and the XSDT name it. */
static bool is_new(uint64_t address)
{
	for (uint32_t i = 0U; i < printed_count; i++) {
		if (printed[i] == address)
			return false;
	}
	if (address == 0U || printed_count == MAX_TABLES)
		return false;
	printed[printed_count++] = address;
	return true;
}

static const uint8_t *print_table(uint64_t address)
{
	const uint8_t *table = (const uint8_t *)address;

	if (is_new(address))
		print_bytes(table, get32(table + 4));
	return table;
}

static bool has_signature(const uint8_t *table, const char *signature)
{
	return get32(table) == get32((const uint8_t *)signature);
}

/* The tables of a root table, whose entries have 4 or 8 bytes. Returns the FADT if it is there. */
static const uint8_t *print_root(uint64_t address, uint32_t entry)
{
	const uint8_t *root = print_table(address), *fadt = NULL;

	for (uint32_t at = HEADER; at + entry <= get32(root + 4); at += entry) {
		uint64_t high = entry == 8U ? get32(root + at + 4) : 0U;
		const uint8_t *table = print_table(high << 32 | get32(root + at));

		if (has_signature(table, "FACP"))
			fadt = table;
	}
	return fadt;
}

static const uint8_t *find_rsdp(const uint8_t *boot_params)
{
	uint64_t given = *(const uint64_t *)(const void *)(boot_params + ACPI_RSDP);
	static const char signature[] = "RSD PTR ";

	if (given != 0U)
		return (const uint8_t *)given;
	for (uint64_t at = 0xe0000U; at < 0x100000U; at += 16U) {
		if (*(const uint64_t *)at == *(const uint64_t *)(const void *)signature)
			return (const uint8_t *)at;
	}
	return NULL;
}

const uint8_t *probe_acpi(const uint8_t *boot_params)
{
	const uint8_t *rsdp = find_rsdp(boot_params), *fadt = NULL;
	bool extended;

	if (rsdp == NULL)
		return NULL;
	extended = rsdp[15] >= 2U;
	print_bytes(rsdp, extended ? get32(rsdp + 20) : RSDP_LENGTH1);
	if (get32(rsdp + 16) != 0U)
		fadt = print_root(get32(rsdp + 16), 4U);
	if (extended)
		fadt = print_root((uint64_t)get32(rsdp + 28) << 32 | get32(rsdp + 24), 8U);
	if (fadt != NULL) {
		print_table(get32(fadt + FADT_FACS));
		print_table(get32(fadt + FADT_DSDT));
	}
	return fadt;
}
