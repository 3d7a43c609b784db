// SPDX-License-Identifier: BSD-3-Clause
/*
 * All that a page table maps, for the checker of a debug build and for tests. The caller sees to it
 * that the table does not change meanwhile. No lock.
 */
#include "hv/pgtable.h"

#define ADDRESSES BIT(48)

void pgtable_walk(const struct pgtable *pt,
		  void (*fn)(uint64_t va, uint64_t entry, uint64_t size, void *arg), void *arg)
{
	uint64_t size;

	for (uint64_t va = 0U; va < ADDRESSES; va += size) {
		uint64_t entry = pgtable_lookup(pt, va, &size);

		if (entry != 0U) {
			fn(va, entry, size, arg);
		}
	}
}
