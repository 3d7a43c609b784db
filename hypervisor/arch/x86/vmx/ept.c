// SPDX-License-Identifier: BSD-3-Clause
/*
 * A VM's second-level tables. Pages come from the fixed pool; the lock protects the tables and is
 * innermost. Called when a VM is built and by hypercalls that add or take memory; the exit path
 * only looks up. After rights were taken away the caller drops all locks and calls ept_flush():
 * until then other CPUs may still use the old translation.
 */
#include "hv/ept.h"
#include "asm/vmx.h"
#include "hv/caps.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/vmcs.h"
#include "lib/errno.h"

static void *table_get(void)
{
	return pool_get(&page_pool);
}

static void table_put(void *page)
{
	pool_put(&page_pool, page);
}

static struct pgtable_format ept_format = {
	.present = EPT_RWX,
	.table = EPT_RWX,
	.large = EPT_LARGE,
	.page_get = table_get,
	.page_put = table_put,
};

int ept_init(struct ept *ept)
{
	int ret;

	ept_format.max_level = !cap_has(CAP_EPT_2M) ? 0U : (cap_has(CAP_EPT_1G) ? 2U : 1U);
	ret = pgtable_init(&ept->pt, &ept_format);
	if (ret != 0) {
		return ret;
	}
	ept->eptp = ptr_hpa(ept->pt.root).v | EPTP_WALK4 | EPTP_WB;
	ept->cpus = 0U;
	ept->uncached = false;
	return 0;
}

void ept_destroy(struct ept *ept)
{
	pgtable_destroy(&ept->pt);
	ept->eptp = 0U;
}

int ept_map(struct ept *ept, gpa_t gpa, hpa_t hpa, uint64_t size, uint64_t attr)
{
	int ret;

	spin_lock(&ept->lock);
	ret = pgtable_map(&ept->pt, gpa.v, hpa.v, size, attr);
	ept->uncached = ept->uncached || (attr & EPT_MT_MASK) == EPT_MT_UC;
	ept->changes++;
	spin_unlock(&ept->lock);
	return ret;
}

int ept_unmap(struct ept *ept, gpa_t gpa, uint64_t size)
{
	int ret;

	spin_lock(&ept->lock);
	ret = pgtable_unmap(&ept->pt, gpa.v, size);
	ept->changes++;
	spin_unlock(&ept->lock);
	return ret;
}

int ept_lookup(struct ept *ept, gpa_t gpa, hpa_t *hpa, uint64_t *left, uint64_t *attr)
{
	uint64_t size = 0U, e, offset;

	spin_lock(&ept->lock);
	e = pgtable_lookup(&ept->pt, gpa.v, &size);
	spin_unlock(&ept->lock);
	offset = gpa.v & (size - 1U);
	if (left != NULL) {
		*left = size - offset;
	}
	if (e == 0U) {
		return -ENOENT;
	}
	*hpa = HPA((e & PGTABLE_ADDR & ~(size - 1U)) + offset);
	if (attr != NULL) {
		*attr = e & (EPT_RWX | (7UL << EPT_MT_SHIFT) | EPT_IPAT);
	}
	return 0;
}

static void flush_here(void *arg)
{
	const struct ept *ept = arg;

	vmx_invept(ept->eptp);
}

/* Tables that were taken out before the flush began go back when no CPU can walk them any more. */
void ept_flush(struct ept *ept)
{
	uint64_t cpus;
	void *freed;

	spin_lock(&ept->lock);
	freed = pgtable_take_freed(&ept->pt);
	spin_unlock(&ept->lock);
	cpus = atomic_read64(&ept->cpus);
	for (; cpus != 0U; cpus &= cpus - 1U) {
		smp_call(&pcpus[__builtin_ctzl(cpus)], flush_here, ept);
	}
	spin_lock(&ept->lock);
	pgtable_give_back(&ept->pt, freed);
	spin_unlock(&ept->lock);
}
