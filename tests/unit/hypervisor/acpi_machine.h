/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ACPI_MACHINE_H
#define ACPI_MACHINE_H

/*
 * Physical memory for boot/acpi.c: the first megabyte, and 64 KB that end at 4 GB, so that a table
 * can run over that edge. Whoever reads elsewhere fails.
 */
#include "lib/types.h"

#define HIGH_SIZE 0x10000UL
#define HIGH	  (0x100000000UL - HIGH_SIZE)
#define RSDP	  0xF0000UL

extern uint8_t acpi_low[0x100000];
extern uint64_t acpi_next;     /* where the next table goes */
extern uint64_t acpi_reserved; /* the page taken from the guests */
extern uint64_t acpi_ram_end;  /* RAM below it */
extern uint64_t acpi_own;      /* a byte of the hypervisor's memory */
extern bool acpi_x2apic;       /* the CPU has it */

int acpi_setup(void **state);

/* What was reported, but for the lines about the table that a test has not. */
uint32_t acpi_lines(void);

void acpi_put(uint64_t hpa, uint64_t v, size_t len);
void acpi_checksum(uint64_t hpa, size_t len, size_t at);

/* A table with this body behind its 36-byte head; its address. */
uint64_t acpi_table(const char *signature, const void *body, uint32_t len);
uint64_t acpi_rsdt_of(uint64_t a, uint64_t b, uint64_t c);
uint64_t acpi_xsdt_of(uint64_t a, uint64_t b);
void acpi_rsdp_at(uint64_t at, uint8_t revision, uint64_t rsdt, uint64_t xsdt);

/* acpi_init() with an RSDT of these. */
void acpi_run_with(uint64_t a, uint64_t b, uint64_t c);

/* A MADT's body, and whether the facts are what it says. */
#define ACPI_MADT_SIZE 102U
extern const uint8_t acpi_madt_body[ACPI_MADT_SIZE];
void acpi_expect_madt(void);

#endif
