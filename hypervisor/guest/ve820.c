// SPDX-License-Identifier: BSD-3-Clause
/*
 * Memory maps as guests see them, and the search for room in one. Used by the loaders while VMs
 * are created at boot; works on copies and takes no lock. It never touches guest memory.
 */
#include "hv/ve820.h"

void ve820_service(struct e820 *map)
{
	*map = host_e820;
}

void ve820_pre_launched(struct e820 *map, uint64_t size)
{
	uint64_t low = MIN(size, VE820_LOW_TOP);

	map->r[0] = (struct mem_range){.base = 0U, .size = VE820_HOLE, .type = MEM_RAM};
	map->r[1] = (struct mem_range){.base = VE820_HOLE_END, .size = MB(1) - VE820_HOLE_END,
				       .type = MEM_RESERVED};
	map->r[2] = (struct mem_range){.base = MB(1), .size = low - MB(1), .type = MEM_RAM};
	map->r[3] = (struct mem_range){.base = GB(4), .size = size - low, .type = MEM_RAM};
	map->count = (size > low) ? 4U : 3U;
}

static bool overlap(const struct mem_range *r, uint64_t base, uint64_t size)
{
	return r->size != 0U && base < r->base + r->size && r->base < base + size;
}

static const struct mem_range *blocker(const struct ve820_search *s, uint64_t base)
{
	for (uint32_t i = 0U; i < s->busy_count; i++) {
		if (overlap(&s->busy[i], base, s->size)) {
			return &s->busy[i];
		}
	}
	return NULL;
}

/* The part of a range of RAM that the search allows; false if nothing of it fits. */
static bool window(const struct ve820_search *s, const struct mem_range *r, uint64_t *lo,
		   uint64_t *hi)
{
	*lo = MAX(r->base, s->from);
	*hi = MIN(r->base + r->size, s->limit);
	return r->type == MEM_RAM && *lo < *hi && s->size != 0U && s->size <= *hi - *lo;
}

uint64_t ve820_find_low(const struct ve820_search *s)
{
	for (uint32_t i = 0U; i < s->map->count; i++) {
		uint64_t lo, hi;

		if (!window(s, &s->map->r[i], &lo, &hi)) {
			continue;
		}
		lo = ALIGN_UP(lo, s->align);
		while (lo < hi && s->size <= hi - lo) {
			const struct mem_range *b = blocker(s, lo);
			uint64_t next;

			if (b == NULL) {
				return lo;
			}
			next = ALIGN_UP(b->base + b->size, s->align);
			if (next <= lo) {
				break; /* at the end of the address space */
			}
			lo = next;
		}
	}
	return UINT64_MAX;
}

uint64_t ve820_find_high(const struct ve820_search *s)
{
	for (uint32_t i = s->map->count; i-- > 0U;) {
		uint64_t lo, hi;

		if (!window(s, &s->map->r[i], &lo, &hi)) {
			continue;
		}
		while (hi > lo && s->size <= hi - lo) {
			uint64_t base = ALIGN_DOWN(hi - s->size, s->align);
			const struct mem_range *b;

			if (base < lo) {
				break;
			}
			b = blocker(s, base);
			if (b == NULL) {
				return base;
			}
			hi = b->base;
		}
	}
	return UINT64_MAX;
}
