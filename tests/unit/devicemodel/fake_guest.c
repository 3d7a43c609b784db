// SPDX-License-Identifier: BSD-3-Clause
/* See fake_guest.h. Both pieces of memory come from malloc(), whose bounds the sanitizer guards. */
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <linux/virtio_ring.h>

#include "fake_guest.h"
#include "gmem.h"

static uint8_t *low, *high;

void guest_create(void)
{
	low = calloc(1, GUEST_LOW);
	high = calloc(1, GUEST_HIGH);
	assert(low != NULL && high != NULL);
}

void guest_destroy(void)
{
	free(low);
	free(high);
	low = NULL;
	high = NULL;
}

void *gmem_ptr(const struct vm *vm, uint64_t gpa, uint64_t len)
{
	(void)vm;
	if (gpa < GUEST_LOW && len <= GUEST_LOW - gpa)
		return low + gpa;
	if (gpa >= GUEST_HIGH_BASE && gpa - GUEST_HIGH_BASE < GUEST_HIGH &&
	    len <= GUEST_HIGH - (gpa - GUEST_HIGH_BASE))
		return high + (gpa - GUEST_HIGH_BASE);
	return NULL;
}

void *guest_at(uint64_t gpa, uint64_t len)
{
	void *p = gmem_ptr(NULL, gpa, len);

	assert(p != NULL);
	return p;
}

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
