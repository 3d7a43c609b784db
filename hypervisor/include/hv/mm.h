/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_MM_H
#define HV_MM_H

#include "lib/types.h"
#include "lib/spinlock.h"

struct pgtable;
struct vm;

/*
 * Host memory. Root mode maps all memory 1:1, so that a host-physical address is a pointer:
 * hpa_ptr() and ptr_hpa() are casts with a name.
 */
#ifndef UNIT_TEST
static inline void *hpa_ptr(hpa_t hpa)
{
	return (void *)hpa.v;
}

static inline hpa_t ptr_hpa(const volatile void *p)
{
	return HPA((uintptr_t)p);
}
#else
void *hpa_ptr(hpa_t hpa);
hpa_t ptr_hpa(const volatile void *p);
#endif

/*
 * Boot-time bump allocator over one region taken from the memory map: zeroed, never freed, sealed
 * before the first VM entry (a call after that panics). `align` is a power of two.
 */
void *boot_alloc(size_t size, size_t align);
void *boot_alloc_raw(size_t size, size_t align); /* not zeroed */
void boot_alloc_seal(void);
/*
 * Memory that guests are to be shown (hv/vfunc.h), zeroed, 2 MB aligned, apart from all else of the
 * hypervisor's; `size` is a multiple of 2 MB. Once, at boot. -ENOMEM.
 */
int boot_alloc_shared(uint64_t size, hpa_t *base);

/*
 * Size the region by what was discovered and configured, take it from the memory map, start the
 * page pool. -ENOMEM.
 */
int boot_alloc_init(void);

/* A fixed pool of equal objects carved from boot memory; exhaustion is NULL. */
struct pool {
	struct pool *next; /* of all pools */
	const char *name;
	spinlock_t lock;
	void *free;
	uint32_t total;
	uint32_t used;
	size_t size;
	/* How many objects this VM has, for the checker of a debug build; NULL: it knows. */
	uint32_t (*held)(const struct vm *vm);
};

extern struct pool *pools;

/* `p`, empty, joins the list of all pools; pool_init() fills it from boot memory as well. */
void pool_start(struct pool *p, const char *name, size_t size);
void pool_init(struct pool *p, const char *name, size_t size, size_t align, uint32_t count);
void pool_add(struct pool *p, void *base, uint32_t count);
void *pool_get(struct pool *p); /* zeroed */
void pool_put(struct pool *p, void *obj);

/* The pool of 4 KB pages: EPT tables, bitmaps, I/O pages. */
extern struct pool page_pool;

/* Host page tables: W^X over the image, everything else read-write no-execute. */
void hostmm_init(void);
void hostmm_enable(void); /* this CPU */
uint64_t hostmm_root(void); /* CR3 */
extern struct pgtable hostmm_tables; /* for the checker of a debug build */
void hostmm_map_uc(hpa_t base, size_t size);
uint64_t hostmm_limit(void); /* the first HPA that the processor cannot address */

/* Memory map after the hypervisor took its share. */
enum mem_type { MEM_RAM = 1, MEM_RESERVED = 2, MEM_ACPI = 3, MEM_NVS = 4, MEM_BAD = 5 };

struct mem_range {
	uint64_t base;
	uint64_t size;
	uint32_t type;
	uint32_t pad;
};

struct e820 {
	uint32_t count;
	struct mem_range r[128];
};

extern struct e820 host_e820; /* sorted, no overlaps; the hypervisor's RAM is MEM_RESERVED */
uint64_t e820_top(const struct e820 *map); /* first byte above the highest range */
uint64_t e820_ram_size(const struct e820 *map);
bool e820_is_ram(const struct e820 *map, uint64_t base, uint64_t size);
/* Everything that is the hypervisor's (image, boot memory): no guest may ever map it. */
#define HV_RANGES 4U
hpa_t hv_range(uint32_t i, uint64_t *size); /* page-aligned; size 0: not there */
bool hv_owns(hpa_t base, uint64_t size);

#endif
