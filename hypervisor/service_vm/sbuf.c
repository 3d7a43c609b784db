// SPDX-License-Identifier: BSD-3-Clause
/*
 * HC_SETUP_SBUF: rings in the Service VM's memory that the hypervisor writes. Copies a ring's
 * header once, checks it, and hands on what it has seen. On the calling vCPU's CPU; takes the lock
 * of the VM whose ring it is. A CPU's rings are those of a debug build (sbuf_debug.c).
 */
#include "hv/gmem.h"
#include "hv/mm.h"
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
	return IS_ENABLED(CONFIG_DEBUG) ? sbuf_setup_of_cpu(c->caller, &p) : -EINVAL;
}

HYPERCALL(HC_SETUP_SBUF, hc_setup_sbuf); /* the first argument counts for VMs' rings */
