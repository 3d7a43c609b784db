/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_ACPI_H
#define HV_ACPI_H

#include "lib/types.h"

#define ACPI_MAX_CPUS 256U

/* What the hypervisor uses of the firmware's tables; zero where a table is missing. */
struct acpi_facts {
	uint64_t rsdp_hpa;
	uint32_t cpu_apic_ids[ACPI_MAX_CPUS]; /* enabled processors in MADT order */
	uint16_t cpu_count;
	uint64_t mcfg_base;
	uint8_t mcfg_start_bus, mcfg_end_bus;
	uint16_t pm1a_cnt, pm1b_cnt; /* I/O ports, 0: none */
	uint16_t reset_port; /* 0: none in I/O space */
	uint8_t reset_value;
	uint8_t s5_typ; /* SLP_TYPa of \_S5, 0xFF unknown */
	uint64_t madt_hpa; /* its length and checksum are right */
	uint64_t dmar_hpa; /* the same; 0: there is none */
};

extern struct acpi_facts acpi_facts;

/*
 * Finds and reads RSDP, RSDT/XSDT, MADT, MCFG, FADT; finds DMAR. Broken tables cost what they held,
 * a line each.
 */
void acpi_init(uint64_t rsdp_hint);

/* GSI of an ISA interrupt, by the MADT's overrides; debug builds. */
uint32_t acpi_isa_gsi(uint8_t irq);

#endif
