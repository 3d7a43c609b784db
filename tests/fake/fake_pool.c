/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Boot memory and pools over the C library's heap, an allocation per object: the address sanitizer
 * then sees every use outside of it or after its return.  For tests of files that take objects
 * from a pool; the test of the real pools links arch/x86/mm/pagepool.c instead.
 */
#include <stdlib.h>
#include <string.h>

#include "hv/mm.h"
#include "fake_machine.h"

struct pool page_pool = {.name = "pages", .total = 4096, .size = PAGE_SIZE};

static void *zeroed(size_t size, size_t align)
{
	void *p = aligned_alloc(MAX(align, sizeof(void *)), ALIGN_UP(size, MAX(align, sizeof(void *))));

	if (p)
		memset(p, 0, size);
	return p;
}

/* Boot memory is never given back: kept reachable, so that only pool objects count as leaks. */
static struct block {
	struct block *next;
	void *mem;
} *blocks;

void fake_boot_free(void)
{
	while (blocks) {
		struct block *b = blocks;

		blocks = b->next;
		free(b->mem);
		free(b);
	}
}

void *boot_alloc(size_t size, size_t align)
{
	struct block *b = malloc(sizeof(*b));

	b->next = blocks;
	b->mem = zeroed(size, align);
	blocks = b;
	return b->mem;
}

void boot_alloc_seal(void)
{
}

void pool_init(struct pool *p, const char *name, size_t size, size_t align, uint32_t count)
{
	memset(p, 0, sizeof(*p));
	p->name = name;
	p->size = ALIGN_UP(size, align);
	p->total = count;
}

void *pool_get(struct pool *p)
{
	if (fake_pool_empty || p->used == p->total)
		return NULL;
	if (fake_pool_fail_at != 0U && --fake_pool_fail_at == 0U)
		return NULL;
	p->used++;
	return zeroed(p->size, PAGE_SIZE);
}

void pool_put(struct pool *p, void *obj)
{
	if (p->used == 0U)
		abort();
	p->used--;
	free(obj);
}
