// SPDX-License-Identifier: BSD-3-Clause
/*
 * The boot-time allocator: one region of RAM, sized by what this machine and scenario need, handed
 * out by a moving pointer and never freed. Boot CPU only, no lock. The seal before the first VM
 * entry gives what is left to the page pool; after it a call is the hypervisor's own mistake.
 */
#include "hv/boot.h"
#include "hv/caps.h"
#include "hv/image.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "lib/errno.h"
#include "lib/kconfig.h"
#include "lib/string.h"

/*
 * Shares of the region. A vCPU takes its struct and stack, its VMCS, APIC pages and XSAVE area; a
 * VM its bitmaps, tables and virtual devices; a pCPU its stacks and VMXON region.
 */
#define VCPU_BYTES KB(32)
#define VM_BYTES   KB(48)
#define PCPU_BYTES KB(48)
#define BASE_BYTES MB(1)

static uint64_t region_base, region_size, region_next;
static uint64_t shared_base, shared_size;
static bool sealed;

/* The rings of a debug build are a power of two together (debug/rings.c). */
static uint64_t ring_bytes(void)
{
	return IS_ENABLED(CONFIG_DEBUG) ?
		       2U * pcpu_count * KB(CONFIG_LOG_RING_KB + CONFIG_TRACE_RING_KB) : 0U;
}

/* Whole pages: the linker script sees to it. */
static uint64_t image_size(void)
{
	return (uint64_t)(hv_end - hv_start);
}

static uint64_t address_top(void)
{
	return MAX(e820_top(&host_e820), GB(4));
}

/*
 * EPT pages: every 2 MB of RAM may be mapped by one VM in 4 KB pages (User VMs' memory is a part of
 * the Service VM's), plus large-page tables for the whole space and a few more for each VM. Without
 * large pages the Service VM's map of the whole space is in 4 KB pages.
 */
static uint64_t ept_bytes(void)
{
	uint64_t top = address_top();
	uint64_t small = e820_ram_size(&host_e820) + (cap_has(CAP_EPT_2M) ? 0U : top);

	return (small / MB(2) + 4U * (top / GB(1)) + 16U * CONFIG_MAX_VM_NUM) * PAGE_SIZE;
}

/* The host's own map, beyond what BASE_BYTES has room for. */
static uint64_t host_map_bytes(void)
{
	return cap_has(CAP_1G_PAGES) ? 0U : address_top() / GB(1) * PAGE_SIZE;
}

int boot_alloc_init(void)
{
	uint64_t vcpus = (uint64_t)CONFIG_MAX_VM_NUM * pcpu_count;
	uint64_t size = BASE_BYTES + vcpus * VCPU_BYTES + CONFIG_MAX_VM_NUM * VM_BYTES +
			pcpu_count * PCPU_BYTES + ring_bytes() + ept_bytes() + host_map_bytes();

	size = ALIGN_UP(size, PAGE_SIZE_2M);
	region_base = e820_find_top(size, PAGE_SIZE_2M, GB(4));
	if (region_base == UINT64_MAX) {
		report("boot: no %lu KB of free RAM below 4 GB", size >> 10);
		return -ENOMEM;
	}
	region_size = size;
	region_next = region_base;
	if (e820_reserve(region_base, size) != 0 ||
	    e820_reserve(ptr_hpa(hv_start).v, image_size()) != 0) {
		return -ENOMEM;
	}
	pool_start(&page_pool, "pages", PAGE_SIZE);
	pool_add(&page_pool, boot_alloc_raw(ept_bytes(), PAGE_SIZE),
		 (uint32_t)(ept_bytes() / PAGE_SIZE));
	return 0;
}

void *boot_alloc_raw(size_t size, size_t align)
{
	uint64_t base = ALIGN_UP(region_next, align), end = region_base + region_size;

	ASSERT(!sealed);
	if (base > end || size > end - base) {
		panic("boot memory of %lu KB is too small: %lu more bytes wanted",
		      region_size >> 10, size);
	}
	region_next = base + size;
	return hpa_ptr(HPA(base));
}

void *boot_alloc(size_t size, size_t align)
{
	return memset(boot_alloc_raw(size, align), 0, size);
}

void boot_alloc_seal(void)
{
	uint64_t base = ALIGN_UP(region_next, PAGE_SIZE);
	uint64_t left = region_base + region_size - base;

	sealed = true;
	pool_add(&page_pool, hpa_ptr(HPA(base)), (uint32_t)(left / PAGE_SIZE));
	pr_info("memory: %lu KB at 0x%lx for the hypervisor, %u pages in the pool",
		region_size >> 10, region_base, page_pool.total - page_pool.used);
}

int boot_alloc_shared(uint64_t size, hpa_t *base)
{
	uint64_t at = e820_find_top(size, PAGE_SIZE_2M, UINT64_MAX);

	ASSERT(!sealed && shared_size == 0U);
	if (at == UINT64_MAX || e820_reserve(at, size) != 0) {
		return -ENOMEM;
	}
	shared_base = at;
	shared_size = size;
	*base = HPA(at);
	(void)memset(hpa_ptr(*base), 0, size);
	return 0;
}

hpa_t hv_range(uint32_t i, uint64_t *size)
{
	switch (i) {
	case 0U:
		*size = region_size;
		return HPA(region_base);
	case 1U:
		*size = image_size();
		return ptr_hpa(hv_start);
	case 2U:
		*size = (pcpu_trampoline().v != 0U) ? PAGE_SIZE : 0U;
		return pcpu_trampoline();
	case 3U:
		*size = shared_size;
		return HPA(shared_base);
	default:
		*size = 0U;
		return HPA(0U);
	}
}

bool hv_owns(hpa_t base, uint64_t size)
{
	for (uint32_t i = 0U; i < HV_RANGES; i++) {
		uint64_t own_size, own = hv_range(i, &own_size).v;

		if ((base.v >= own) ? base.v - own < own_size : own - base.v < size) {
			return true;
		}
	}
	return false;
}
