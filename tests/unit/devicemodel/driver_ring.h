// SPDX-License-Identifier: BSD-3-Clause
/*
 * The driver's side of a split ring. Who links it defines guest_at(), the driver's own view of
 * guest memory, which stops the test when an address is outside.
 */
#ifndef DRIVER_RING_H
#define DRIVER_RING_H

#include <stdbool.h>
#include <stdint.h>

void *guest_at(uint64_t gpa, uint64_t len);

struct ring {
	uint16_t size;
	uint64_t desc, avail, used; /* GPA */
	uint16_t made, seen;	    /* free-running: made available, taken from used */
};

/* A zeroed ring at @base, which is 4 KB aligned; takes up to 3 pages. */
void ring_init(struct ring *r, uint64_t base, uint16_t size);

/* Write descriptor @i of a table of descriptors, the ring's or an indirect one. */
void ring_desc_at(uint64_t table, uint32_t i, uint64_t addr, uint32_t len, uint16_t flags,
		  uint16_t next);
void ring_desc(const struct ring *r, uint32_t i, uint64_t addr, uint32_t len, uint16_t flags,
	       uint16_t next);
void ring_offer(struct ring *r, uint16_t head);
/* The next used element, or false. */
bool ring_take(struct ring *r, uint32_t *id, uint32_t *len);

/* Fields at the ends. */
void ring_set_avail_idx(const struct ring *r, uint16_t idx);
void ring_set_avail_flags(const struct ring *r, uint16_t flags);
void ring_set_used_event(const struct ring *r, uint16_t idx);
uint16_t ring_used_flags(const struct ring *r);
uint16_t ring_avail_event(const struct ring *r);

#endif
