// SPDX-License-Identifier: BSD-3-Clause
/*
 * The page-table engine: map, unmap, modify, look up over four levels, for the host's tables and
 * for EPT, which differ in a few bits (struct pgtable_format). Called by hostmm.c and ept.c, which
 * hold the lock and do the invalidation. It takes pages only through the format's functions, keeps
 * large pages large as long as it can and splits one only when part of it changes. A table that is
 * taken out waits for that invalidation before its page is used for anything else, because another
 * CPU may still be walking it.
 */
#include "hv/pgtable.h"
#include "hv/mm.h"
#include "lib/errno.h"

#define LEVELS 4U

static uint64_t level_size(uint32_t level)
{
	return 1UL << (PAGE_SHIFT + 9U * level);
}

static uint32_t index_of(uint64_t va, uint32_t level)
{
	return (uint32_t)(va >> (PAGE_SHIFT + 9U * level)) & 511U;
}

static bool in_use(const struct pgtable *pt, uint64_t e)
{
	return (e & pt->fmt->present) != 0U;
}

static bool is_leaf(const struct pgtable *pt, uint64_t e, uint32_t level)
{
	return level == 0U || (e & pt->fmt->large) != 0U;
}

static uint64_t *table_of(uint64_t e)
{
	return hpa_ptr(HPA(e & PGTABLE_ADDR));
}

/*
 * The list of such tables goes through their first entries: a page's address has none of the
 * present bits, so a CPU that still walks the table finds nothing there, and elsewhere what was.
 */
static void free_tables(struct pgtable *pt, uint64_t *table, uint32_t top)
{
	uint64_t *path[LEVELS];
	uint32_t at[LEVELS] = {0U};
	uint32_t level = top;

	path[top] = table;
	while (level <= top) {
		if (level > 0U && at[level] < 512U) {
			uint64_t e = path[level][at[level]++];

			if (in_use(pt, e) && !is_leaf(pt, e, level)) {
				level--;
				path[level] = table_of(e);
				at[level] = 0U;
			}
			continue;
		}
		*(volatile uint64_t *)path[level] = (pt->freed != NULL) ? ptr_hpa(pt->freed).v : 0U;
		pt->freed = path[level];
		level++;
	}
}

void *pgtable_take_freed(struct pgtable *pt)
{
	void *freed = pt->freed;

	pt->freed = NULL;
	return freed;
}

void pgtable_give_back(struct pgtable *pt, void *freed)
{
	while (freed != NULL) {
		uint64_t next = *(const uint64_t *)freed;

		pt->fmt->page_put(freed);
		pt->pages--;
		freed = (next != 0U) ? hpa_ptr(HPA(next)) : NULL;
	}
}

static uint64_t *new_table(struct pgtable *pt)
{
	uint64_t *t = pt->fmt->page_get();

	if (t != NULL) {
		pt->pages++;
	}
	return t;
}

int pgtable_init(struct pgtable *pt, const struct pgtable_format *fmt)
{
	pt->fmt = fmt;
	pt->freed = NULL;
	pt->pages = 0U;
	pt->root = new_table(pt);
	return (pt->root != NULL) ? 0 : -ENOMEM;
}

void pgtable_destroy(struct pgtable *pt)
{
	if (pt->root != NULL) {
		free_tables(pt, pt->root, LEVELS - 1U);
	}
	pgtable_give_back(pt, pgtable_take_freed(pt));
	pt->root = NULL;
}

/* Unless the entry points to a table, let it: an empty one, or one that says what the leaf said. */
static int make_table(struct pgtable *pt, uint64_t *entry, uint32_t level)
{
	uint64_t e = *entry;
	uint64_t *t;

	if (in_use(pt, e) && !is_leaf(pt, e, level)) {
		return 0;
	}
	t = new_table(pt);
	if (t == NULL) {
		return -ENOMEM;
	}
	if (level == 1U) {
		e &= ~pt->fmt->large;
	}
	for (uint64_t i = 0U; in_use(pt, e) && i < 512U; i++) {
		t[i] = e + i * level_size(level - 1U);
	}
	*(volatile uint64_t *)entry = ptr_hpa(t).v | pt->fmt->table;
	return 0;
}

struct request {
	bool map; /* or unmap */
	uint64_t pa_minus_va;
	uint64_t attr;
};

static uint64_t leaf_value(const struct pgtable *pt, const struct request *rq, uint64_t va,
			   uint32_t level)
{
	uint64_t large = (level > 0U) ? pt->fmt->large : 0U;

	return rq->map ? (va + rq->pa_minus_va) | rq->attr | large : 0U;
}

/* May the whole entry be written as one leaf (or emptied)? */
static bool leaf_fits(const struct pgtable *pt, const struct request *rq, uint64_t va, uint64_t end,
		      uint32_t level)
{
	uint64_t size = level_size(level);

	if (level == 0U) {
		return true;
	}
	if ((va & (size - 1U)) != 0U || end - va < size) {
		return false;
	}
	return !rq->map ||
	       (level <= pt->fmt->max_level && ((va + rq->pa_minus_va) & (size - 1U)) == 0U);
}

/* Depth first, without recursion: path[] has the table of each level down to the present one. */
static int change_tables(struct pgtable *pt, const struct request *rq, uint64_t va, uint64_t end)
{
	uint64_t *path[LEVELS];
	uint32_t level = LEVELS - 1U;

	path[level] = pt->root;
	while (va < end) {
		uint64_t *e = &path[level][index_of(va, level)];
		uint64_t old = *e;

		if (leaf_fits(pt, rq, va, end, level)) {
			*(volatile uint64_t *)e = leaf_value(pt, rq, va, level);
			if (in_use(pt, old) && !is_leaf(pt, old, level)) {
				free_tables(pt, table_of(old), level - 1U);
			}
		} else if (in_use(pt, old) || rq->map) {
			if (make_table(pt, e, level) != 0) {
				return -ENOMEM;
			}
			level--;
			path[level] = table_of(*e);
			continue;
		}
		va = ALIGN_DOWN(va, level_size(level)) + level_size(level);
		while (level < LEVELS - 1U && index_of(va, level) == 0U) {
			level++;
		}
	}
	return 0;
}

/* A large page that `edge` cuts becomes smaller ones which say the same. */
static int split_at(struct pgtable *pt, uint64_t edge)
{
	uint64_t *table = pt->root;

	for (uint32_t level = LEVELS - 1U; level > 0U; level--) {
		uint64_t *e = &table[index_of(edge, level)];

		if ((edge & (level_size(level) - 1U)) == 0U || !in_use(pt, *e)) {
			return 0;
		}
		if (make_table(pt, e, level) != 0) {
			return -ENOMEM;
		}
		table = table_of(*e);
	}
	return 0;
}

static bool range_ok(uint64_t va, uint64_t size)
{
	uint64_t end;

	return ((va | size) & (PAGE_SIZE - 1U)) == 0U && size != 0U &&
	       !__builtin_add_overflow(va, size, &end) && end <= level_size(LEVELS);
}

/* With both edges cut, nothing but a new mapping's tables needs a page: the rest cannot fail. */
static int change(struct pgtable *pt, const struct request *rq, uint64_t va, uint64_t size)
{
	if (!range_ok(va, size)) {
		return -EINVAL;
	}
	if (split_at(pt, va) != 0 || split_at(pt, va + size) != 0) {
		return -ENOMEM;
	}
	return change_tables(pt, rq, va, va + size);
}

int pgtable_unmap(struct pgtable *pt, uint64_t va, uint64_t size)
{
	return change(pt, &(struct request){.map = false}, va, size);
}

int pgtable_map(struct pgtable *pt, uint64_t va, uint64_t pa, uint64_t size, uint64_t attr)
{
	struct request rq = {.map = true, .pa_minus_va = pa - va, .attr = attr};
	struct request undo = {.map = false};
	int ret;

	if (!range_ok(va, size) || !range_ok(pa, size)) {
		return -EINVAL;
	}
	if (split_at(pt, va) != 0 || split_at(pt, va + size) != 0) {
		return -ENOMEM;
	}
	ret = change_tables(pt, &rq, va, va + size);
	if (ret != 0) {
		(void)change_tables(pt, &undo, va, va + size);
	}
	return ret;
}

uint64_t pgtable_lookup(const struct pgtable *pt, uint64_t va, uint64_t *page_size)
{
	const uint64_t *table = pt->root;

	*page_size = level_size(LEVELS);
	if (va >= level_size(LEVELS)) {
		return 0U;
	}
	for (uint32_t level = LEVELS - 1U;; level--) {
		uint64_t e = table[index_of(va, level)];

		*page_size = level_size(level);
		if (!in_use(pt, e)) {
			return 0U;
		}
		if (is_leaf(pt, e, level)) {
			return e;
		}
		table = table_of(e);
	}
}
