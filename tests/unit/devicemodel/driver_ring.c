// SPDX-License-Identifier: BSD-3-Clause
/*
 * See driver_ring.h. Stores are those a driver makes, in its order: descriptor, ring entry,
 * index; it never looks at the device's state, only at guest memory.
 */
#include <stdatomic.h>
#include <string.h>
#include <linux/virtio_ring.h>

#include "driver_ring.h"

static _Atomic uint16_t *half(uint64_t gpa)
{
	return guest_at(gpa, 2);
}

void ring_init(struct ring *r, uint64_t base, uint16_t size)
{
	*r = (struct ring) {.size = size};
	r->desc = base;
	r->avail = base + size * 16ULL;
	r->used = (r->avail + 6 + 2ULL * size + 3) & ~3ULL;
	memset(guest_at(base, 3 * 4096), 0, 3 * 4096);
}

void ring_desc_at(uint64_t table, uint32_t i, uint64_t addr, uint32_t len, uint16_t flags,
		  uint16_t next)
{
	struct vring_desc d = {.addr = addr, .len = len, .flags = flags, .next = next};

	memcpy(guest_at(table + i * 16ULL, 16), &d, sizeof(d));
}

void ring_desc(const struct ring *r, uint32_t i, uint64_t addr, uint32_t len, uint16_t flags,
	       uint16_t next)
{
	ring_desc_at(r->desc, i, addr, len, flags, next);
}

void ring_offer(struct ring *r, uint16_t head)
{
	atomic_store(half(r->avail + 4 + 2ULL * (r->made % r->size)), head);
	r->made++;
	ring_set_avail_idx(r, r->made);
}

bool ring_take(struct ring *r, uint32_t *id, uint32_t *len)
{
	struct vring_used_elem e;

	if (atomic_load(half(r->used + 2)) == r->seen)
		return false;
	memcpy(&e, guest_at(r->used + 4 + 8ULL * (r->seen % r->size), 8), sizeof(e));
	r->seen++;
	*id = e.id;
	*len = e.len;
	return true;
}

void ring_set_avail_idx(const struct ring *r, uint16_t idx)
{
	atomic_store(half(r->avail + 2), idx);
}

void ring_set_avail_flags(const struct ring *r, uint16_t flags)
{
	atomic_store(half(r->avail), flags);
}

void ring_set_used_event(const struct ring *r, uint16_t idx)
{
	atomic_store(half(r->avail + 4 + 2ULL * r->size), idx);
}

uint16_t ring_used_flags(const struct ring *r)
{
	return atomic_load(half(r->used));
}

uint16_t ring_avail_event(const struct ring *r)
{
	return atomic_load(half(r->used + 4 + 8ULL * r->size));
}
