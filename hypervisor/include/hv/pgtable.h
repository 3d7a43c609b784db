/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_PGTABLE_H
#define HV_PGTABLE_H

#include "lib/types.h"

/*
 * One engine for the host's tables and the guests' EPT: four levels of 512 entries that differ only
 * in their bits. Plain integers inside; the typed interfaces are hostmm's and ept's. The caller
 * holds the tables' lock.
 */
struct pgtable_format {
	uint64_t present; /* an entry is in use if one of these is set */
	uint64_t table;	  /* bits of an entry that points to a table */
	uint64_t large;	  /* bit of a leaf above the lowest level */
	uint32_t max_level; /* largest leaf: 0 4 KB, 1 2 MB, 2 1 GB */
	void *(*page_get)(void); /* a zeroed page or NULL */
	void (*page_put)(void *page);
};

struct pgtable {
	uint64_t *root;
	const struct pgtable_format *fmt;
	void *freed;	/* tables taken out, which other CPUs may still walk */
	uint32_t pages; /* that it holds: the root, tables in use, and freed */
};

#define PGTABLE_ADDR 0x000FFFFFFFFFF000UL

int pgtable_init(struct pgtable *pt, const struct pgtable_format *fmt); /* -ENOMEM */
void pgtable_destroy(struct pgtable *pt);

/*
 * All multiples of 4 KB, else -EINVAL. On -ENOMEM [va, va+size) is as it was; after pgtable_map()
 * it may be not mapped at all instead. What is outside of it never changes.
 */
int pgtable_map(struct pgtable *pt, uint64_t va, uint64_t pa, uint64_t size, uint64_t attr);
int pgtable_unmap(struct pgtable *pt, uint64_t va, uint64_t size);

/*
 * Tables that a change took out are kept until no CPU can walk them: take the list, invalidate the
 * translations everywhere, give the list back.
 */
void *pgtable_take_freed(struct pgtable *pt);
void pgtable_give_back(struct pgtable *pt, void *freed);

/* fn for each leaf entry, in the order of addresses. Debug builds. */
void pgtable_walk(const struct pgtable *pt,
		  void (*fn)(uint64_t va, uint64_t entry, uint64_t size, void *arg), void *arg);

/* The leaf entry of va (0 if none) and the size of its page, or of the empty entry found. */
uint64_t pgtable_lookup(const struct pgtable *pt, uint64_t va, uint64_t *page_size);

#endif
