/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SERVICE_VM_HYPERCALL_H
#define SERVICE_VM_HYPERCALL_H

#include "acrn/hypercall.h"
#include "hv/vm.h"

struct io_access;
struct sbuf;

/*
 * What the files of service_vm/ share. A hypercall's handler runs on the calling vCPU's CPU; the
 * result goes to RAX. With a target the VM named by the first argument is live, belongs to the
 * caller, and is locked.
 */
typedef int64_t (*hc_fn)(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);

/* The caller's User VM by its id relative to the caller's, locked; NULL: it has none of that id. */
struct vm *hc_target(struct vm *caller, uint64_t vmid);

/* hc_vm.c */
int64_t hc_create_vm(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);
int64_t hc_destroy_vm(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);
int64_t hc_start_vm(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);
int64_t hc_pause_vm(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);
int64_t hc_reset_vm(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);
int64_t hc_set_vcpu_regs(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);

/* hc_mem.c */
int64_t hc_set_memory_regions(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);
/* HPA of `size` bytes of the VM's RAM that lie in one page of its EPT, or -EFAULT. */
int hc_ram(struct vm *vm, gpa_t gpa, uint64_t size, hpa_t *hpa);

/* hc_dev.c */
int64_t hc_set_ptdev_intr(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);
int64_t hc_reset_ptdev_intr(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);
int64_t hc_assign_pcidev(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);
int64_t hc_deassign_pcidev(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);
int64_t hc_assign_mmiodev(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);
int64_t hc_deassign_mmiodev(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);
int64_t hc_create_vdev(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);
int64_t hc_destroy_vdev(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);

/* hc_misc.c */
int64_t hc_get_api_version(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);
int64_t hc_remove_cpu(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);
int64_t hc_set_callback_vector(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);
int64_t hc_inject_msi(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);
int64_t hc_vm_intr_monitor(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);
int64_t hc_set_irqline(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);
int64_t hc_pm_get_cpu_state(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);

/* inherit.c: the owner serves this vCPU with the rank of its VM / has served these, a bit each */
void inherit_begin(const struct vcpu *vcpu);
void inherit_end(struct vm *vm, uint32_t vcpus);

/* sbuf.c */
int64_t hc_setup_sbuf(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);

/* ACPI PM1a control of the device model, and the write to it that powers off (S5). */
#define DM_PM1A_CNT 0x404U
#define DM_PM1A_S5  (BIT32(13) | 0x1400U)

/* own_end.c: this User VM may only end itself; it does from now on */
bool own_end(const struct vm *vm);
void own_end_begins(struct vm *vm);

/* ioreq.c */
int64_t hc_set_ioreq_buffer(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);
int64_t hc_notify_request_finish(struct vm *caller, struct vm *target, uint64_t arg1,
				 uint64_t arg2);
bool ioreq_ready(const struct vm *vm); /* the shared page is there */
/* io_fallback of a User VM: its device model answers. Blocks the vCPU. */
void ioreq_forward(struct vcpu *vcpu, struct io_access *io);
/* The Service VM is to look at what it shares with this User VM. */
void ioreq_upcall(const struct vm *vm);
void ioreq_set_upcall(uint8_t vector);

/* sbuf.c */
int64_t hc_setup_sbuf(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);

/* asyncio.c */
int64_t hc_asyncio_assign(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);
int64_t hc_asyncio_deassign(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2);
/* Any CPU. *ring is copied; without a header: none any more. */
void asyncio_set_ring(struct vm *vm, const struct sbuf *ring);

/* vm_event.c */
void vm_event_set_ring(struct vm *vm, const struct sbuf *ring); /* the same */
void vm_event_send(struct vm *vm, uint32_t type);		/* ACRN_VM_EVENT_x; any CPU */

#endif
