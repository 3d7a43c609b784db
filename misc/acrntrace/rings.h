/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RINGS_H
#define RINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acrn/ring_function.h"
#include "acrn/sbuf.h"

#define RINGS_PATH 512

/* The hypervisor's rings as a program of the Service VM sees them. */
struct rings {
	volatile uint32_t *regs;
	const uint8_t *memory;
	size_t size; /* of the memory */
	uint32_t cpus, stride;
	char folder[RINGS_PATH]; /* the function's, in sysfs */
};

/* One ring, and how far it has been read. Any number of readers may read one ring. */
struct ring_reader {
	const volatile struct sbuf_header *header;
	uint32_t ele_num, ele_size;
	uint64_t next; /* the entry that is read next, counted from the first ever written */
	uint64_t lost; /* entries that were written over before they were read */
};

/*
 * Find the hypervisor's PCI function and map it. `folder` is the function's in sysfs, NULL to
 * search for it. False: a message has been printed.
 */
bool rings_open(struct rings *r, const char *folder);

uint32_t rings_reg(const struct rings *r, uint32_t reg);
void rings_set_reg(const struct rings *r, uint32_t reg, uint32_t value);

/*
 * Read the ring of CPU `cpu` whose place in a CPU's part the register `place` tells, from its
 * oldest entry on. False: what is there is no ring; a message has been printed.
 */
bool ring_reader_init(struct ring_reader *reader, const struct rings *r, uint32_t cpu,
		      uint32_t place, uint32_t ele_size);
/* The console's ring, from what is written from now on: entries of one character. */
bool rings_open_console(const struct rings *r, struct ring_reader *reader);
void ring_reader_skip(struct ring_reader *reader); /* to what is written from now on */

/* The next entry, ele_size bytes; false: there is none yet. */
bool ring_reader_take(struct ring_reader *reader, void *entry);

/* A whole number in decimal from min to max; false: it is not, and a message has been printed. */
bool parse_number(const char *what, const char *text, unsigned long min, unsigned long max,
		  unsigned long *value);

#endif
