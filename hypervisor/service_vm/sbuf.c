// SPDX-License-Identifier: BSD-3-Clause
/*
 * HC_SETUP_SBUF: rings in the Service VM's memory that the hypervisor writes. Copies a ring's
 * header once, checks it, and hands on what it has seen. On the calling vCPU's CPU; takes the lock
 * of the VM whose ring it is, and none for a CPU's, since that CPU is waited for.
 */
#include "hv/gmem.h"
#include "hv/mm.h"
#include "hv/rings.h"
#include "hv/trace.h"
#include "lib/errno.h"
#include "lib/kconfig.h"
#include "lib/sbuf.h"
#include "hypercall.h"

#define DOORBELL_SIZE ((uint32_t)sizeof(uint64_t))
#define EVENT_SIZE    ((uint32_t)sizeof(struct acrn_vm_event))

/* A ring of one page. One that is full must say so: what it cannot take goes another way. */
static int open_page(struct vm *vm, uint64_t gpa, uint32_t ele_size, struct sbuf *b)
{
	struct sbuf_header h;
	hpa_t hpa;
	int err = gmem_read(vm, GPA(gpa), &h, sizeof(h));

	if (err != 0) {
		return err;
	}
	if (h.magic != SBUF_MAGIC || h.ele_size != ele_size || (gpa % PAGE_SIZE) != 0U) {
		return -EINVAL;
	}
	h.flags &= ~SBUF_OVERWRITE;
	err = hc_ram(vm, GPA(gpa), PAGE_SIZE, &hpa);
	return (err != 0) ? err : sbuf_open(b, hpa_ptr(hpa), &h, PAGE_SIZE);
}

/* A ring of the VM `vmid`: its doorbells, or what happens to it. */
static int setup_of_vm(struct vm *caller, uint64_t vmid, const struct acrn_sbuf_param *p)
{
	bool doorbells = p->sbuf_id == ACRN_SBUF_ASYNCIO;
	struct vm *target = hc_target(caller, vmid);
	struct sbuf b = {0};
	int err = 0;

	if (target == NULL) {
		return -EINVAL;
	}
	if (p->gpa != 0U) {
		err = open_page(caller, p->gpa, doorbells ? DOORBELL_SIZE : EVENT_SIZE, &b);
	}
	if (err == 0 && doorbells) {
		asyncio_set_ring(target, &b);
	} else if (err == 0) {
		vm_event_set_ring(target, &b);
	}
	spin_unlock(&target->lock);
	return err;
}

/* [gpa, gpa+size) is the caller's RAM, in one piece of the machine's too. */
static int find_ram(struct vm *vm, uint64_t gpa, uint64_t size, hpa_t *hpa)
{
	uint64_t left;

	for (uint64_t done = 0U; done < size; done += left) {
		uint64_t at = gpa + done;
		hpa_t found;

		left = MIN(size - done, PAGE_SIZE - at % PAGE_SIZE);
		if (hc_ram(vm, GPA(at), left, &found) != 0) {
			return -EFAULT;
		}
		if (done == 0U) {
			*hpa = found;
		} else if (found.v != hpa->v + done) {
			return -EFAULT;
		} else {
			/* it goes on */
		}
	}
	return 0;
}

/* A CPU's ring has any size. */
static int open_large(struct vm *vm, uint64_t gpa, uint32_t ele_size, struct sbuf *b)
{
	struct sbuf_header h;
	uint64_t size;
	hpa_t hpa;
	int err = gmem_read(vm, GPA(gpa), &h, sizeof(h));

	if (err != 0) {
		return err;
	}
	size = (uint64_t)h.ele_num * h.ele_size;
	if (h.magic != SBUF_MAGIC || h.ele_size != ele_size || h.size != size ||
	    size > SBUF_MAX_SIZE || (gpa % sizeof(uint64_t)) != 0U) {
		return -EINVAL;
	}
	size += sizeof(h);
	err = find_ram(vm, gpa, size, &hpa);
	return (err != 0) ? err : sbuf_open(b, hpa_ptr(hpa), &h, size);
}

static int setup_of_cpu(struct vm *caller, const struct acrn_sbuf_param *p)
{
	uint32_t size = (p->sbuf_id == ACRN_SBUF_TRACE) ? (uint32_t)sizeof(struct trace_entry)
							: HVLOG_ENTRY;
	struct sbuf b;
	int err;

	if (p->gpa == 0U) {
		return rings_redirect(p->sbuf_id, p->cpu_id, NULL);
	}
	err = open_large(caller, p->gpa, size, &b);
	return (err != 0) ? err : rings_redirect(p->sbuf_id, p->cpu_id, &b);
}

static int64_t hc_setup_sbuf(const struct hc_call *c)
{
	struct acrn_sbuf_param p;
	int err = gmem_read(c->caller, GPA(c->arg2), &p, sizeof(p));

	if (err != 0) {
		return err;
	}
	if (p.sbuf_id == ACRN_SBUF_ASYNCIO || p.sbuf_id == ACRN_SBUF_VM_EVENT) {
		return setup_of_vm(c->caller, c->arg1, &p);
	}
	if (IS_ENABLED(CONFIG_DEBUG) && p.sbuf_id < RING_KINDS) {
		return setup_of_cpu(c->caller, &p);
	}
	return -EINVAL;
}

HYPERCALL(HC_SETUP_SBUF, hc_setup_sbuf); /* the first argument counts for VMs' rings */
