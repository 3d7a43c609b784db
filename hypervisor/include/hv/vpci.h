/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_VPCI_H
#define HV_VPCI_H

#include "lib/types.h"

struct vm;
struct vcpu;
struct io_access;

/* bus<<8 | device<<3 | function */
typedef uint16_t bdf_t;

/* Physical configuration space through 0xCF8/0xCFC (and MCFG where ACPI has one). Any CPU. */
uint32_t pci_cfg_read(bdf_t bdf, uint32_t reg, uint8_t width);
void pci_cfg_write(bdf_t bdf, uint32_t reg, uint8_t width, uint32_t val);

/* Ports 0xCF8-0xCFF of any VM are registered by vpci.c as a unit; nothing else to call. */

#endif
