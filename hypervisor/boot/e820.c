// SPDX-License-Identifier: BSD-3-Clause
/*
 * The machine's memory map: the loader's raw entries, which may overlap, be unsorted or have holes,
 * become host_e820, and the hypervisor takes its boot memory from it. Runs once at boot on the boot
 * CPU; takes no lock. After e820_init() the map does not change. Guests get copies (ve820.c).
 */
#include "hv/boot.h"
#include "hv/image.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "config.h"

#define RAW_MAX	   128U
#define RESERVE_MAX (16U + 3U * CONFIG_MAX_VM_NUM)
/* The host's tables map all below the top of the map: one absurd entry shall not cost the boot. */
#define ADDR_LIMIT BIT(42)

struct e820 host_e820;
static struct mem_range raw[RAW_MAX + RESERVE_MAX];
static uint32_t raw_count;
static bool raw_left_out;

void e820_add_raw(uint64_t base, uint64_t size, uint32_t type)
{
	if (size == 0U) {
		return;
	}
	if (base >= ADDR_LIMIT) {
		report("boot: memory map entry at 0x%lx, above %lu TB, left out", base,
		       ADDR_LIMIT >> 40);
		return;
	}
	size = MIN(size, ADDR_LIMIT - base);
	if (raw_count == RAW_MAX) {
		if (!raw_left_out) {
			report("boot: more than %u memory map entries, the rest is left out",
			       RAW_MAX);
		}
		raw_left_out = true;
		return;
	}
	if (type < MEM_RAM || type > MEM_BAD) {
		type = MEM_RESERVED;
	}
	raw[raw_count++] = (struct mem_range){.base = base, .size = size, .type = type};
}

/* What a byte is when entries contradict each other: the least usable claim wins. */
static uint32_t stronger(uint32_t a, uint32_t b)
{
	static const uint8_t rank[] = {0U, 1U, 4U, 2U, 3U, 5U};

	return (rank[a] >= rank[b]) ? a : b;
}

static uint32_t type_at(uint64_t addr)
{
	uint32_t type = 0U;

	for (uint32_t i = 0U; i < raw_count; i++) {
		if (addr >= raw[i].base && addr - raw[i].base < raw[i].size) {
			type = (type == 0U) ? raw[i].type : stronger(type, raw[i].type);
		}
	}
	return type;
}

/* The lowest entry boundary above addr, or UINT64_MAX. */
static uint64_t next_edge(uint64_t addr)
{
	uint64_t next = UINT64_MAX;

	for (uint32_t i = 0U; i < raw_count; i++) {
		uint64_t base = raw[i].base, end = base + raw[i].size;

		if (base > addr) {
			next = MIN(next, base);
		}
		if (end > addr) {
			next = MIN(next, end);
		}
	}
	return next;
}

static void append(struct e820 *map, uint64_t base, uint64_t end, uint32_t type)
{
	struct mem_range *last = (map->count != 0U) ? &map->r[map->count - 1U] : NULL;

	if (last != NULL && last->type == type && last->base + last->size == base) {
		last->size += end - base;
	} else if (map->count < ARRAY_SIZE(map->r)) {
		map->r[map->count++] =
			(struct mem_range){.base = base, .size = end - base, .type = type};
	} else {
		report("boot: the memory map has too many parts, 0x%lx-0x%lx is not used", base,
		       end);
	}
}

static void build(void)
{
	uint64_t base = 0U;

	host_e820.count = 0U;
	while (base != UINT64_MAX) {
		uint64_t end = next_edge(base);
		uint32_t type = type_at(base);

		if (type != 0U) {
			append(&host_e820, base, end, type);
		}
		base = end;
	}
}

/* Whole pages only: a guest or the hypervisor never uses part of one. */
static void trim_ram(void)
{
	uint32_t kept = 0U;

	for (uint32_t i = 0U; i < host_e820.count; i++) {
		struct mem_range r = host_e820.r[i];

		if (r.type == MEM_RAM) {
			uint64_t end = ALIGN_DOWN(r.base + r.size, PAGE_SIZE);

			r.base = ALIGN_UP(r.base, PAGE_SIZE);
			if (r.base >= end) {
				continue;
			}
			r.size = end - r.base;
		}
		host_e820.r[kept++] = r;
	}
	host_e820.count = kept;
}

int e820_init(void)
{
	build();
	trim_ram();
	if (e820_ram_size(&host_e820) == 0U) {
		report("boot: the memory map has no RAM");
		return -EINVAL;
	}
	return 0;
}

int e820_reserve(uint64_t base, uint64_t size)
{
	if (raw_count == ARRAY_SIZE(raw)) {
		return -ENOSPC;
	}
	raw[raw_count++] = (struct mem_range){.base = base, .size = size, .type = MEM_RESERVED};
	build();
	trim_ram();
	return 0;
}

static bool overlaps(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return (a >= b) ? a - b < b_size : b - a < a_size;
}

/* Start of a thing of the loader's or ours that lies in [base, base+size), or UINT64_MAX. */
static uint64_t taken(uint64_t base, uint64_t size)
{
	uint64_t hit = UINT64_MAX;
	uint64_t image = ptr_hpa(hv_start).v;

	if (overlaps(base, size, image, (uint64_t)(hv_end - hv_start))) {
		hit = MIN(hit, image);
	}
	if (overlaps(base, size, boot_info.info_base.v, boot_info.info_size)) {
		hit = MIN(hit, boot_info.info_base.v);
	}
	for (uint32_t i = 0U; i < boot_info.module_count; i++) {
		const struct boot_module *m = &boot_info.modules[i];

		if (overlaps(base, size, m->base.v, m->size)) {
			hit = MIN(hit, m->base.v);
		}
	}
	return hit;
}

bool e820_is_free(uint64_t base, uint64_t size)
{
	return e820_is_ram(&host_e820, base, size) && taken(base, size) == UINT64_MAX;
}

uint64_t e820_find_top(uint64_t size, uint64_t align, uint64_t limit)
{
	for (uint32_t i = host_e820.count; i-- > 0U;) {
		const struct mem_range *r = &host_e820.r[i];
		uint64_t end = MIN(r->base + r->size, limit);

		if (r->type != MEM_RAM) {
			continue;
		}
		while (end > r->base && end - r->base >= size) {
			uint64_t base = ALIGN_DOWN(end - size, align);
			uint64_t hit;

			if (base < r->base) {
				break;
			}
			hit = taken(base, size);
			if (hit == UINT64_MAX) {
				return base;
			}
			end = hit;
		}
	}
	return UINT64_MAX;
}

uint64_t e820_top(const struct e820 *map)
{
	return (map->count == 0U) ? 0U :
				    map->r[map->count - 1U].base + map->r[map->count - 1U].size;
}

uint64_t e820_ram_size(const struct e820 *map)
{
	uint64_t sum = 0U;

	for (uint32_t i = 0U; i < map->count; i++) {
		sum += (map->r[i].type == MEM_RAM) ? map->r[i].size : 0U;
	}
	return sum;
}

bool e820_is_ram(const struct e820 *map, uint64_t base, uint64_t size)
{
	for (uint32_t i = 0U; i < map->count; i++) {
		const struct mem_range *r = &map->r[i];

		if (r->type == MEM_RAM && base >= r->base && base - r->base < r->size) {
			return size <= r->size - (base - r->base);
		}
	}
	return false;
}
