/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_PRE_LAUNCHED_H
#define HV_PRE_LAUNCHED_H

#include "lib/types.h"

/*
 * Memory of the machine that belongs to pre-launched VMs, and to nobody else for as long as the
 * machine runs: their RAM, and the boot modules they are loaded from again after a reset.
 */
uint32_t pre_launched_ranges(void);
hpa_t pre_launched_range(uint32_t i, uint64_t *size); /* page-aligned */

/* Boot only: take [base, base+size) for them, whole pages. -ENOSPC. */
int pre_launched_take(hpa_t base, uint64_t size);

#endif
