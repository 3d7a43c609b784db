/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_VPCI_H
#define HV_VPCI_H

#include "lib/types.h"

struct vm;
struct vcpu;
struct io_access;

/* bus<<8 | device<<3 | function */
typedef uint16_t bdf_t;

/*
 * Physical configuration space: registers below 256 through 0xCF8/0xCFC, the rest through the MCFG
 * window where ACPI has one. `width` is 1, 2 or 4, `reg` a multiple of it. Nobody there reads
 * all-ones. Any CPU.
 */
uint32_t pci_cfg_read(bdf_t bdf, uint32_t reg, uint8_t width);
void pci_cfg_write(bdf_t bdf, uint32_t reg, uint8_t width, uint32_t val);

/* The MCFG window of this machine; false when there is none. */
bool pci_ecam(hpa_t *base, uint64_t *size);

/* The function is a pre-launched VM's and nobody else's; NULL: no VM has any. Set at boot. */
extern bool (*pci_given)(bdf_t bdf);
/* The page belongs to such a function's registers, and so is a hole of the Service VM. */
extern bool (*pci_given_page)(hpa_t page);

/* Ports 0xCF8-0xCFF of any VM are registered by vpci.c as a unit; nothing else to call. */

#endif
