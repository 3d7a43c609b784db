/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_VE820_H
#define HV_VE820_H

#include "hv/mm.h"

/* Memory maps as guests see them. */

/* The Service VM's: the machine's, in which what the hypervisor took is reserved. */
void ve820_service(struct e820 *map);

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
