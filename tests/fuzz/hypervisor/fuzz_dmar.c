// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: hypervisor/service_vm/vtd.c
// links: hypervisor/guest/unit.c @machine
/*
 * Any bytes as the table of DMA remapping units: is nothing beyond it read, and is each unit that
 * is found a page of its own, outside memory? Input: what follows the head of the table, whose
 * length is right, as acpi.c has checked.
 */
#include <assert.h>
#include <stdlib.h>

#include "fuzz.h"
#include "hv/acpi.h"
#include "hv/boot.h"
#include "hv/ept.h"
#include "hv/irq.h"
#include "hv/vtd.h"

#define HEAD 36U
#define RAM  GB(1)

struct acpi_facts acpi_facts;
struct e820 host_e820;
struct ioapic_info ioapics[1] = {{.base = {0xFEC00000UL}}};
uint16_t ioapic_count = 1;

void report(const char *fmt, ...)
{
	assert(fmt != NULL);
}

bool e820_is_ram(const struct e820 *map, uint64_t base, uint64_t size)
{
	(void)map;
	return base < RAM && size != 0;
}

bool hv_owns(hpa_t base, uint64_t size)
{
	return base.v == GB(2) && size != 0;
}

uint64_t hostmm_limit(void)
{
	return 1UL << 39;
}

void hostmm_map_uc(hpa_t base, size_t size)
{
	assert(base.v != 0 && size != 0);
}

int ept_unmap(struct ept *ept, gpa_t gpa, uint64_t size)
{
	assert(ept != NULL && gpa.v != 0 && size != 0);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	hpa_t found[VTD_UNITS] = {{0}};
	uint32_t length = HEAD + (uint32_t)size;
	uint8_t *table = calloc(1, length); /* of exactly its length */
	uint16_t count;

	assert(table != NULL);
	memcpy(table, "DMAR", 4);
	memcpy(table + 4, &length, sizeof(length));
	if (size != 0)
		memcpy(table + HEAD, data, size);
	acpi_facts.dmar_hpa = ptr_hpa(table).v;
	count = vtd_find(found);
	assert(count <= VTD_UNITS);
	for (uint16_t i = 0; i < count; i++) {
		assert(found[i].v >= RAM && found[i].v != GB(2) && found[i].v % PAGE_SIZE == 0);
		for (uint16_t j = 0; j < i; j++)
			assert(found[i].v != found[j].v);
	}
	free(table);
	return 0;
}
