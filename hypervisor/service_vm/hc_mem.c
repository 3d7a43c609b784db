// SPDX-License-Identifier: BSD-3-Clause
/*
 * A User VM's memory: parts of the Service VM's RAM, mapped where the device model wants them. The
 * caller's array is copied in chunks and every entry checked before it is applied; if one is bad,
 * what the call has added is taken away again. Only what the caller's own EPT maps as RAM can be
 * given away, so never another VM's, and not what the hypervisor only shows it. The target is
 * locked; the EPTs' own locks are innermost.
 */
#include "asm/vmx.h"
#include "hv/gmem.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "hypercall.h"

#define CHUNK	 32U /* entries copied at a time */
#define MAX_RUNS 32U /* gaps a call's additions may have, plus one */
#define GPA_END	 BIT(47)
#define EPT_MT	 (7UL << EPT_MT_SHIFT)

struct run {
	uint64_t gpa, size;
};

/* The work of one call. */
struct job {
	struct vm *caller, *target;
	/* the last stretch of the caller's memory looked up: GPA, bytes, HPA */
	uint64_t seen_gpa, seen_size, seen_hpa;
	/*
	 * pages found but not mapped yet, contiguous on both sides: one mapping, large if possible
	 */
	uint64_t gpa, hpa, size, attr;
	/* what was added, for the way back */
	struct run runs[MAX_RUNS];
	uint32_t run_count;
	bool removed;
};

int hc_ram(struct vm *vm, gpa_t gpa, uint64_t size, hpa_t *hpa)
{
	uint64_t left, attr;

	if (ept_lookup(&vm->ept, gpa, hpa, &left, &attr) != 0 || (attr & EPT_MT) != EPT_MT_WB ||
	    left < size || hv_owns(*hpa, size)) {
		return -EFAULT;
	}
	return 0;
}

/* HPA of the caller's RAM at gpa, and in *left how much follows it there. */
static int service_ram(struct job *j, uint64_t gpa, uint64_t *hpa, uint64_t *left)
{
	if (gpa - j->seen_gpa >= j->seen_size) {
		uint64_t attr;
		hpa_t found;

		if (ept_lookup(&j->caller->ept, GPA(gpa), &found, &j->seen_size, &attr) != 0 ||
		    (attr & EPT_MT) != EPT_MT_WB || hv_owns(found, j->seen_size)) {
			j->seen_size = 0U;
			return -EFAULT;
		}
		j->seen_gpa = gpa;
		j->seen_hpa = found.v;
	}
	*hpa = j->seen_hpa + (gpa - j->seen_gpa);
	*left = j->seen_size - (gpa - j->seen_gpa);
	return 0;
}

static int ept_attr(uint32_t attr, uint64_t *out)
{
	uint64_t rights = attr & ACRN_MEM_ACCESS_RIGHT_MASK;

	if (rights == 0U || (attr & ~(ACRN_MEM_ACCESS_RIGHT_MASK | ACRN_MEM_TYPE_MASK)) != 0U) {
		return -EINVAL;
	}
	/* Write without read is a misconfiguration (SDM 3C 29.3.3.1); a read-less page is too. */
	if ((rights & EPT_READ) == 0U) {
		return -EINVAL;
	}
	switch (attr & ACRN_MEM_TYPE_MASK) {
	case ACRN_MEM_TYPE_WB:
		*out = rights | EPT_MT_WB;
		return 0;
	case ACRN_MEM_TYPE_WT:
		*out = rights | EPT_MT_WT;
		return 0;
	case ACRN_MEM_TYPE_UC:
		*out = rights | EPT_MT_UC;
		return 0;
	case ACRN_MEM_TYPE_WC:
		*out = rights | EPT_MT_WC;
		return 0;
	case ACRN_MEM_TYPE_WP:
		*out = rights | EPT_MT_WP;
		return 0;
	default:
		return -EINVAL;
	}
}

/* Remember [gpa, gpa+size) as added by this call. */
static int record(struct job *j, uint64_t gpa, uint64_t size)
{
	if (j->run_count != 0U) {
		struct run *last = &j->runs[j->run_count - 1U];

		if (last->gpa + last->size == gpa) {
			last->size += size;
			return 0;
		}
	}
	if (j->run_count == MAX_RUNS) {
		return -E2BIG;
	}
	j->runs[j->run_count++] = (struct run){.gpa = gpa, .size = size};
	return 0;
}

static int flush_pending(struct job *j)
{
	int err;

	if (j->size == 0U) {
		return 0;
	}
	err = record(j, j->gpa, j->size);
	if (err == 0) {
		err = ept_map(&j->target->ept, GPA(j->gpa), HPA(j->hpa), j->size, j->attr);
	}
	j->size = 0U;
	return err;
}

static int add(struct job *j, const struct acrn_memory_region *r)
{
	uint64_t attr, done = 0U;
	int err = ept_attr(r->attr, &attr);

	while (err == 0 && done < r->size) {
		uint64_t gpa = r->user_vm_pa + done, hpa, left;

		err = service_ram(j, r->service_vm_pa + done, &hpa, &left);
		if (err != 0) {
			break;
		}
		left = MIN(left, r->size - done);
		if (j->size != 0U &&
		    (gpa != j->gpa + j->size || hpa != j->hpa + j->size || attr != j->attr)) {
			err = flush_pending(j);
		}
		if (j->size == 0U) {
			j->gpa = gpa;
			j->hpa = hpa;
			j->attr = attr;
		}
		j->size += left;
		done += left;
	}
	return err;
}

static int remove(struct job *j, const struct acrn_memory_region *r)
{
	int err = flush_pending(j);

	if (err != 0) {
		return err;
	}
	j->removed = true;
	return ept_unmap(&j->target->ept, GPA(r->user_vm_pa), r->size);
}

static int apply(struct job *j, const struct acrn_memory_region *r)
{
	if (((r->user_vm_pa | r->service_vm_pa | r->size) % PAGE_SIZE) != 0U || r->size == 0U ||
	    r->size > GPA_END || r->user_vm_pa > GPA_END - r->size ||
	    r->service_vm_pa > GPA_END - r->size) {
		return -EINVAL;
	}
	switch (r->type) {
	case ACRN_MEM_REGION_ADD:
		return add(j, r);
	case ACRN_MEM_REGION_DEL:
		return remove(j, r);
	default:
		return -EINVAL;
	}
}

static void unwind(struct job *j)
{
	for (uint32_t i = 0U; i < j->run_count; i++) {
		(void)ept_unmap(&j->target->ept, GPA(j->runs[i].gpa), j->runs[i].size);
	}
	j->removed = true;
}

static int apply_all(struct job *j, const struct acrn_memory_regions *regions)
{
	struct acrn_memory_region chunk[CHUNK];
	int err = 0;

	for (uint32_t i = 0U; err == 0 && i < regions->regions_num; i += CHUNK) {
		uint32_t n = MIN(CHUNK, regions->regions_num - i);
		uint64_t at = regions->regions_gpa + (uint64_t)i * sizeof(chunk[0]);

		err = gmem_read(j->caller, GPA(at), chunk, n * sizeof(chunk[0]));
		for (uint32_t k = 0U; err == 0 && k < n; k++) {
			err = apply(j, &chunk[k]);
			if (err != 0) {
				pr_err("SET_MEMORY_REGIONS: %s: entry %u of %u (type %u, GPA 0x%lx, "
				       "Service VM's 0x%lx, size 0x%lx, attributes 0x%x): error %d",
				       j->target->name, i + k, regions->regions_num, chunk[k].type,
				       chunk[k].user_vm_pa, chunk[k].service_vm_pa, chunk[k].size,
				       chunk[k].attr, err);
			}
		}
	}
	return (err == 0) ? flush_pending(j) : err;
}

static int64_t hc_set_memory_regions(const struct hc_call *c)
{
	struct vm *target;
	struct acrn_memory_regions regions;
	struct job j;
	int err = gmem_read(c->caller, GPA(c->arg1), &regions, sizeof(regions));

	if (err != 0) {
		return err;
	}
	target = hc_target(c->caller, regions.vmid);
	if (target == NULL) {
		return -EINVAL;
	}
	(void)memset(&j, 0, sizeof(j));
	j.caller = c->caller;
	j.target = target;
	err = apply_all(&j, &regions);
	if (err != 0) {
		unwind(&j);
	}
	/* A mapping that was replaced is stale as well; a VM that never ran has none. */
	if (j.removed || target->state != VM_CREATED) {
		ept_flush(&target->ept);
	}
	spin_unlock(&target->lock);
	return err;
}

HYPERCALL(HC_SET_MEMORY_REGIONS, hc_set_memory_regions); /* the id is in the structure */
