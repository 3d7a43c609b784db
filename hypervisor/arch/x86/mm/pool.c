// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fixed pools of equal objects: what takes the place of a heap after boot. Memory comes from the
 * boot allocator once; an object is zeroed when it is handed out, so that nothing of one VM shows
 * in another. Any CPU; each pool has its own innermost lock. A pool never grows.
 */
#include "hv/mm.h"
#include "lib/string.h"

struct pool page_pool;
struct pool *pools;

/* Free objects are chained through their first word. */
static void push(struct pool *p, void *obj)
{
	*(void **)obj = p->free;
	p->free = obj;
}

void pool_add(struct pool *p, void *base, uint32_t count)
{
	for (uint32_t i = count; i-- > 0U;) {
		push(p, (uint8_t *)base + i * p->size);
	}
	p->total += count;
}

void pool_start(struct pool *p, const char *name, size_t size)
{
	*p = (struct pool){.next = pools, .name = name, .size = size};
	pools = p;
}

void pool_init(struct pool *p, const char *name, size_t size, size_t align, uint32_t count)
{
	pool_start(p, name, ALIGN_UP(size, align));
	pool_add(p, boot_alloc_raw(p->size * count, align), count);
}

void *pool_get(struct pool *p)
{
	void *obj;

	spin_lock(&p->lock);
	obj = p->free;
	if (obj != NULL) {
		p->free = *(void **)obj;
		p->used++;
	}
	spin_unlock(&p->lock);
	if (obj != NULL) {
		(void)memset(obj, 0, p->size);
	}
	return obj;
}

void pool_put(struct pool *p, void *obj)
{
	spin_lock(&p->lock);
	push(p, obj);
	p->used--;
	spin_unlock(&p->lock);
}
