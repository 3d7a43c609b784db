/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_VE820_H
#define HV_VE820_H

#include "hv/mm.h"

/* Memory maps as guests see them. */

/* The Service VM's: the machine's, in which what the hypervisor took is reserved. */
void ve820_service(struct e820 *map);

/*
 * A pre-launched VM's with `size` bytes (a multiple of 2 MB): RAM from 0 up to VE820_LOW_TOP and the
 * rest from 4 GB, less the legacy hole; the ACPI tables are in its last 64 KB.
 */
#define VE820_LOW_TOP	0x7FE00000UL
#define VE820_HOLE	0xA0000UL
#define VE820_HOLE_END	0xF0000UL
#define VE820_ACPI	0xF2400UL /* where ACRN puts the RSDP; the tables follow */
void ve820_pre_launched(struct e820 *map, uint64_t size);

/*
 * A free place for `size` bytes in RAM of `map`, at a multiple of `align` (a power of two) within
 * [from, limit), clear of the `busy` ranges. The lowest / the highest one; UINT64_MAX: none.
 */
struct ve820_search {
	const struct e820 *map;
	const struct mem_range *busy;
	uint32_t busy_count;
	uint64_t size, align, from, limit;
};
uint64_t ve820_find_low(const struct ve820_search *s);
uint64_t ve820_find_high(const struct ve820_search *s);

#endif
