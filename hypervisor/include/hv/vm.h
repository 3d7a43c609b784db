/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_VM_H
#define HV_VM_H

#include "lib/types.h"
#include "lib/spinlock.h"
#include "hv/ept.h"
#include "hv/vm_config.h"

struct vcpu;
struct vio;
struct vioapic;
struct vpic;
struct vpci;
struct vuart;
struct vm_ioreq;
struct vm_vcpuid;
struct vm_vmtrr;
struct vm_ptirq;
struct vintr_ops;
struct msi_ops;
struct io_access;

#define VM_MAX_VCPUS 16U /* I/O request slots of a VM with a device model */

enum vm_state {
	VM_POWERED_OFF,
	VM_CREATED,
	VM_RUNNING,
	VM_READY_TO_POWEROFF, /* runs, and has asked for its own end: others may end it now */
	VM_PAUSED,
};

/* One guest. Pointers lead to what the units keep; their bodies are private to the units. */
struct vm {
	uint16_t id; /* index; the Service VM is always the first of its kind */
	spinlock_t lock; /* state changes and hypercalls that aim at this VM */
	/* These two belong to the slot; what follows is the VM's and is cleared with it. */
	volatile enum vm_state state;
	char name[16];
	enum vm_load_order load_order;
	uint8_t severity;
	uint64_t flags; /* GUEST_FLAG_x */
	const struct vm_config *config; /* NULL for a dynamic VM */
	struct vm *owner;		/* the VM whose hypercall created it, or NULL */
	uint32_t rank;			/* of its vCPUs' threads, see schedule.h */
	volatile uint32_t lends;	/* vCPUs for whose requests the owner has this rank: a bit each */

	uint16_t vcpu_count;
	struct vcpu *vcpus[VM_MAX_VCPUS]; /* index = vCPU id */

	struct ept ept;
	uint8_t *msr_bitmap; /* 4 KB, computed by vmsr.c */
	uint8_t *io_bitmap;  /* 8 KB, a set bit exits; vio.c */

	const struct vintr_ops *vintr;
	const struct msi_ops *msi_ops; /* NULL: messages of its devices go out as they are */
	/*
	 * Who serves a port or MMIO access that no handler claims: all-ones, or the device model.
	 * Fills in io->value of a read; may block the calling vCPU.
	 */
	void (*io_fallback)(struct vcpu *vcpu, struct io_access *io);
	/* Guest asked to power off or reset, or its boot vCPU triple-faulted. */
	void (*on_triple_fault)(struct vcpu *vcpu);
	bool hypercalls; /* the Service VM's permission set */

	struct vio *vio;
	/* A page for the APIC's registers where the CPU virtualises them: without that a guest writes it. */
	void *apic_page;
	struct vioapic *vioapic;
	struct vpic *vpic;
	struct vpci *vpci;
	struct vuart *vuart;
	struct vm_ioreq *ioreq;
	struct vm_vcpuid *vcpuid;
	struct vm_vmtrr *vmtrr;
	struct vm_ptirq *ptirq;
};

extern struct vm *vms; /* CONFIG_MAX_VM_NUM slots */

/* Allocate the slots, once at boot. */
void vm_slots_init(void);

/* The slot by index; NULL out of range. Its state says whether it is in use. */
struct vm *vm_by_id(uint16_t id);
struct vm *vm_service(void); /* NULL when the scenario has none */

/*
 * The checker of a debug build; NULL in others. It looks at all that the hypervisor has, after a VM
 * was destroyed and before the machine is reset. `held`: the VM whose lock the caller has, or NULL.
 */
extern void (*vm_check)(struct vm *held);
/* For it: is [hpa, hpa + size) shown to the VM at gpa on purpose? NULL: nothing ever is. */
extern bool (*vm_shows)(const struct vm *vm, gpa_t gpa, hpa_t hpa, uint64_t size);

struct vm_create_args {
	const char *name;
	enum vm_load_order load_order;
	uint8_t severity;
	uint64_t flags;
	uint64_t cpu_affinity; /* pCPU ids; one vCPU each, lowest id is vCPU 0 */
	const struct vm_config *config;
	struct vm *owner;
};

/*
 * Create in slot `id`: units, vCPUs; state CREATED. The caller owns the slot (state POWERED_OFF,
 * under its lock). -EBUSY, -EINVAL, -ENOMEM: nothing is left behind.
 */
int vm_create(uint16_t id, const struct vm_create_args *args);

/* CREATED -> RUNNING: releases vCPU 0; PAUSED -> RUNNING: all go on. -EINVAL in another state */
int vm_start(struct vm *vm);
int vm_pause(struct vm *vm);	/* any -> PAUSED; no vCPU of it runs when it returns. May schedule */

/*
 * The VM of this vCPU, whose CPU it is, ends by itself: none of its vCPUs runs again. For VMs that
 * no hypercall aims at.
 */
void vm_stop(struct vcpu *vcpu) __noreturn;

/*
 * A VM has ended by itself: what the Service VM wanted of the machine may be due now, or it was the
 * last, and the machine is powered off (vpower.c).
 */
void vm_ended(void);
int vm_reset(struct vm *vm);	/* PAUSED -> CREATED, all vCPUs and units reset */
void vm_destroy(struct vm *vm); /* any state -> POWERED_OFF, everything given back. May schedule */

static inline bool vm_is_live(const struct vm *vm)
{
	return vm->state != VM_POWERED_OFF;
}

#endif
