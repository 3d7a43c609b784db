/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SERVICE_VM_HYPERCALL_H
#define SERVICE_VM_HYPERCALL_H

#include "acrn/hypercall.h"
#include "hv/vm.h"

struct io_access;
struct acrn_sbuf_param;
struct sbuf;

/*
 * What the files of service_vm/ share. A hypercall's handler runs on the calling vCPU's CPU; the
 * result goes to RAX. With a target the VM named by the first argument is live, belongs to the
 * caller, and is locked.
 */
struct hc_call {
	struct vm *caller, *target;
	uint64_t arg1, arg2;
};

struct hypercall {
	uint32_t nr;
	bool has_target; /* the first argument is the id of one of the caller's VMs */
	int64_t (*fn)(const struct hc_call *c);
};

/* At the bottom of the file that implements it; HYPERCALL_VM has a target. */
#define HYPERCALL_OF(nr_, fn_, has_target_)                                                        \
	static const struct hypercall hypercall_##nr_ __used __section("hv_hypercalls")            \
		__aligned(8) = {.nr = (nr_), .has_target = (has_target_), .fn = (fn_)}
#define HYPERCALL(nr_, fn_)    HYPERCALL_OF(nr_, fn_, false)
#define HYPERCALL_VM(nr_, fn_) HYPERCALL_OF(nr_, fn_, true)

/* The caller's User VM by its id relative to the caller's, locked; NULL: it has none of that id. */
struct vm *hc_target(struct vm *caller, uint64_t vmid);

/* hc_mem.c */
/* HPA of `size` bytes of the VM's RAM that lie in one page of its EPT, or -EFAULT. */
int hc_ram(struct vm *vm, gpa_t gpa, uint64_t size, hpa_t *hpa);

/* inherit.c: the owner serves this vCPU with the rank of its VM / has served these, a bit each */
void inherit_begin(const struct vcpu *vcpu);
void inherit_end(struct vm *vm, uint32_t vcpus);

/* ACPI PM1a control of the device model, and the write to it that powers off (S5). */
#define DM_PM1A_CNT 0x404U
#define DM_PM1A_S5  (BIT32(13) | 0x1400U)

/* own_end.c: this User VM may only end itself; it does from now on */
bool own_end(const struct vm *vm);
void own_end_begins(struct vm *vm);

/* ioreq.c */
bool ioreq_ready(const struct vm *vm); /* the shared page is there */
/* io_fallback of a User VM: its device model answers. Blocks the vCPU. */
void ioreq_forward(struct vcpu *vcpu, struct io_access *io);
/* The Service VM is to look at what it shares with this User VM. */
void ioreq_upcall(const struct vm *vm);
void ioreq_set_upcall(uint8_t vector);

/* sbuf_debug.c: a ring of the caller's for a physical CPU */
int sbuf_setup_of_cpu(struct vm *caller, const struct acrn_sbuf_param *p);

/* asyncio.c */
/* Any CPU. *ring is copied; without a header: none any more. */
void asyncio_set_ring(struct vm *vm, const struct sbuf *ring);

/* vm_event.c */
void vm_event_set_ring(struct vm *vm, const struct sbuf *ring); /* the same */
void vm_event_send(struct vm *vm, uint32_t type);		/* ACRN_VM_EVENT_x; any CPU */

#endif
