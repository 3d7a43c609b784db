// SPDX-License-Identifier: BSD-3-Clause
/*
 * Where the console's interrupt comes in: what the MADT says of ISA interrupts that are not wired to
 * the pin of their number. Called once by the console of a debug build, with the table still there.
 * No lock.
 */
#include "hv/acpi.h"
#include "hv/mm.h"
#include "lib/string.h"

#define MADT_ENTRIES 44U /* behind the head */
#define MADT_LENGTH  4U
#define OVERRIDE     2U
#define OVERRIDE_LEN 10U

static uint32_t read32(const uint8_t *p)
{
	uint32_t v;

	(void)memcpy(&v, p, sizeof(v));
	return v;
}

uint32_t acpi_isa_gsi(uint8_t irq)
{
	const uint8_t *madt = hpa_ptr(HPA(acpi_facts.madt_hpa));
	uint32_t length = (acpi_facts.madt_hpa != 0U) ? read32(&madt[MADT_LENGTH]) : 0U;

	for (uint32_t pos = MADT_ENTRIES; pos + 2U <= length; pos += madt[pos + 1U]) {
		const uint8_t *e = &madt[pos];

		if (e[1] < 2U || e[1] > length - pos) {
			break;
		}
		if (e[0] == OVERRIDE && e[1] >= OVERRIDE_LEN && e[3] == irq) {
			return read32(&e[4]);
		}
	}
	return irq;
}
