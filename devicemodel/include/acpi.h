// SPDX-License-Identifier: BSD-3-Clause
/* The ACPI tables of the User VM, and the numbers they share with devices. */
#ifndef DM_ACPI_H
#define DM_ACPI_H

#include <stddef.h>
#include <stdint.h>

struct vm;

#define ACPI_SCI_IRQ	      9U
#define ACPI_PM1_EVENT_PORT   0x400U
#define ACPI_PM1_CONTROL_PORT 0x404U
#define ACPI_SMI_PORT	      0xb2U
#define ACPI_SMI_ENABLE	      0xa0U
#define ACPI_SMI_DISABLE      0xa1U
#define ACPI_RESET_PORT	      0xcf9U
#define ACPI_RESET_VALUE      0x0eU
#define ACPI_S5_TYPE	      5U
#define ACPI_CMOS_CENTURY     0x32U

/*
 * Write all tables into guest memory at VM_ACPI_BASE, the RSDP first. Devices
 * must exist. -ENOSPC when they do not fit below VM_ACPI_LIMIT.
 */
int acpi_load(struct vm *vm);

/*
 * The same into our own memory, of *size bytes, which becomes what they take; addresses in them are
 * offsets from its beginning.
 */
int acpi_write(struct vm *vm, uint8_t *bytes, size_t *size);

#endif
