// SPDX-License-Identifier: BSD-3-Clause
/*
 * Disjoint address ranges with a handler each, sorted by base. ioreq.c asks on
 * every guest access; devices add and remove ranges (a BAR that moves).
 *
 * space->lock covers the table and is never held while a handler runs: the
 * access takes a reference on the range instead, and io_space_remove() waits
 * for the references of other threads. The last range hit is tried first, since
 * drivers access the same device again and again.
 */
#include "io_space.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "log.h"

struct io_range {
	uint64_t base;
	uint64_t last;
	const struct io_ops *ops;
	void *arg;
	const char *name;
	unsigned int refs;
	bool orphan; /* removed by its own handler: the last reference frees it */
};

struct io_space {
	pthread_mutex_t lock;
	pthread_cond_t idle; /* a removed range lost its last reference */
	uint64_t limit;
	struct io_range **ranges;
	size_t count;
	size_t room;
	struct io_range *hit;
};

/* The range whose handler this thread is in, so that it may remove itself. */
static _Thread_local const struct io_range *running;

struct io_space *io_space_create(uint64_t limit)
{
	struct io_space *space = calloc(1, sizeof(*space));

	if (!space)
		return NULL;
	space->limit = limit;
	pthread_mutex_init(&space->lock, NULL);
	pthread_cond_init(&space->idle, NULL);
	return space;
}

void io_space_destroy(struct io_space *space)
{
	if (!space)
		return;
	for (size_t i = 0; i < space->count; i++)
		free(space->ranges[i]);
	free(space->ranges);
	pthread_cond_destroy(&space->idle);
	pthread_mutex_destroy(&space->lock);
	free(space);
}

/* Index of the first range that ends at or after addr; space->count if none. */
static size_t search(const struct io_space *space, uint64_t addr)
{
	size_t low = 0;
	size_t high = space->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (space->ranges[mid]->last < addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int insert(struct io_space *space, struct io_range *range)
{
	size_t at = search(space, range->base);

	if (at < space->count && space->ranges[at]->base <= range->last) {
		log_guest("%s at 0x%llx would overlap %s", range->name,
			  (unsigned long long)range->base, space->ranges[at]->name);
		return -EEXIST;
	}
	if (space->count == space->room) {
		size_t room = space->room ? 2 * space->room : 32;
		struct io_range **bigger = realloc(space->ranges, room * sizeof(struct io_range *));

		if (!bigger)
			return -ENOMEM;
		space->ranges = bigger;
		space->room = room;
	}
	for (size_t i = space->count; i > at; i--)
		space->ranges[i] = space->ranges[i - 1];
	space->ranges[at] = range;
	space->count++;
	return 0;
}

int io_space_add(struct io_space *space, const char *name, uint64_t base, uint64_t len,
		 const struct io_ops *ops, void *arg)
{
	struct io_range *range;
	int err;

	if (len == 0 || base >= space->limit || len > space->limit - base)
		return -EINVAL;
	range = calloc(1, sizeof(*range));
	if (!range)
		return -ENOMEM;
	range->base = base;
	range->last = base + len - 1;
	range->ops = ops;
	range->arg = arg;
	range->name = name;

	pthread_mutex_lock(&space->lock);
	err = insert(space, range);
	pthread_mutex_unlock(&space->lock);
	if (err)
		free(range);
	return err;
}

void io_space_remove(struct io_space *space, uint64_t base)
{
	struct io_range *range;
	size_t at;

	pthread_mutex_lock(&space->lock);
	at = search(space, base);
	if (at == space->count || space->ranges[at]->base != base) {
		pthread_mutex_unlock(&space->lock);
		return;
	}
	range = space->ranges[at];
	space->count--;
	for (size_t i = at; i < space->count; i++)
		space->ranges[i] = space->ranges[i + 1];
	if (space->hit == range)
		space->hit = NULL;
	if (running == range) {
		range->orphan = true;
		pthread_mutex_unlock(&space->lock);
		return;
	}
	while (range->refs > 0)
		pthread_cond_wait(&space->idle, &space->lock);
	pthread_mutex_unlock(&space->lock);
	free(range);
}

/* The range that holds all of [addr, addr + size), referenced, or NULL. */
static struct io_range *get(struct io_space *space, uint64_t addr, unsigned int size)
{
	struct io_range *range;

	pthread_mutex_lock(&space->lock);
	range = space->hit;
	if (!range || addr < range->base || addr > range->last) {
		size_t at = search(space, addr);

		range = at < space->count ? space->ranges[at] : NULL;
		if (range && addr < range->base)
			range = NULL;
	}
	if (range && size - 1 <= range->last - addr) {
		space->hit = range;
		range->refs++;
	} else {
		range = NULL;
	}
	pthread_mutex_unlock(&space->lock);
	return range;
}

static void put(struct io_space *space, struct io_range *range)
{
	bool orphan;

	pthread_mutex_lock(&space->lock);
	orphan = range->orphan;
	if (--range->refs > 0)
		orphan = false;
	else if (!orphan)
		pthread_cond_broadcast(&space->idle);
	pthread_mutex_unlock(&space->lock);
	if (orphan)
		free(range);
}

static uint64_t ones(unsigned int size)
{
	return size >= 8 ? UINT64_MAX : (1ULL << (8 * size)) - 1;
}

uint64_t io_space_read(struct io_space *space, uint64_t addr, unsigned int size)
{
	struct io_range *range = get(space, addr, size);
	const struct io_range *outer = running;
	uint64_t value;

	if (!range)
		return ones(size);
	running = range;
	value = range->ops->read(range->arg, addr - range->base, size) & ones(size);
	running = outer;
	put(space, range);
	return value;
}

void io_space_write(struct io_space *space, uint64_t addr, unsigned int size, uint64_t value)
{
	struct io_range *range = get(space, addr, size);
	const struct io_range *outer = running;

	if (!range)
		return;
	running = range;
	range->ops->write(range->arg, addr - range->base, size, value & ones(size));
	running = outer;
	put(space, range);
}
