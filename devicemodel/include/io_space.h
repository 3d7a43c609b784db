// SPDX-License-Identifier: BSD-3-Clause
/*
 * A set of disjoint address ranges with a handler each: the mechanism under
 * pio.h and mmio.h. A handler runs with a reference on its range and without
 * any lock of this unit, so handlers may add and remove ranges.
 */
#ifndef DM_IO_SPACE_H
#define DM_IO_SPACE_H

#include <stdint.h>

struct io_space;

/* offset is relative to the range; size is 1, 2, 4 or 8 and the access lies inside it. */
struct io_ops {
	uint64_t (*read)(void *arg, uint64_t offset, unsigned int size);
	void (*write)(void *arg, uint64_t offset, unsigned int size, uint64_t value);
};

struct io_space *io_space_create(uint64_t limit);
void io_space_destroy(struct io_space *space);

/*
 * -EINVAL: empty or beyond the space's limit; -EEXIST: overlaps another range.
 * name must outlive the range.
 */
int io_space_add(struct io_space *space, const char *name, uint64_t base, uint64_t len,
		 const struct io_ops *ops, void *arg);

/*
 * Remove the range that starts at base. When this returns, its handlers run in
 * no other thread and will not be called again. A range may remove itself.
 */
void io_space_remove(struct io_space *space, uint64_t base);

/*
 * One guest access. Reads that no range claims return all ones (in size bytes),
 * writes are dropped; so are accesses that straddle the end of a range.
 */
uint64_t io_space_read(struct io_space *space, uint64_t addr, unsigned int size);
void io_space_write(struct io_space *space, uint64_t addr, unsigned int size, uint64_t value);

#endif
