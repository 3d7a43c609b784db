/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_UNIT_H
#define HV_UNIT_H

#include "lib/types.h"

struct vm;
struct vcpu;

/*
 * What a unit keeps for each VM or vCPU: an object, zeroed when that is created, to which the pointer
 * at `at` in struct vm or struct vcpu leads from before the unit's init until after its deinit.
 */
struct unit_state {
	const char *name; /* of the pool; NULL: nothing */
	size_t size, align, at;
};
#define VM_STATE(name_, type_, member_)                                                            \
	{.name = (name_), .size = sizeof(type_), .align = _Alignof(type_),                         \
	 .at = offsetof(struct vm, member_)}
#define VCPU_STATE(name_, type_, member_)                                                          \
	{.name = (name_), .size = sizeof(type_), .align = _Alignof(type_),                         \
	 .at = offsetof(struct vcpu, member_)}

/*
 * A part of the hypervisor that keeps state per VM or per vCPU. It registers itself at the bottom
 * of its file; the core calls the hooks in the order of `level` (backwards for the undoing ones)
 * and never names the unit. Hooks may be NULL. A failing init undoes the earlier units.
 */
struct unit {
	const char *name;
	uint32_t level;
	struct unit_state vm_state, vcpu_state;
	int (*boot)(void);		    /* once, BSP, boot memory may be taken */
	int (*vm_init)(struct vm *vm);	    /* VM is being created */
	void (*vm_reset)(struct vm *vm);    /* all its vCPUs are stopped */
	void (*vm_deinit)(struct vm *vm);   /* VM is being destroyed; all its vCPUs are stopped */
	int (*vcpu_init)(struct vcpu *vcpu);
	void (*vcpu_reset)(struct vcpu *vcpu);	/* on its own pCPU, VMCS loaded, before first entry */
	void (*vcpu_deinit)(struct vcpu *vcpu); /* on its own pCPU; it runs no more */
};

/* Levels: a unit may use what lower ones set up. */
#define UNIT_CORE   10U /* EPT, MSR and I/O bitmaps */
#define UNIT_CPU    20U /* CPUID, MSRs, control registers */
#define UNIT_IO	    30U /* port and MMIO dispatch */
#define UNIT_INTR   40U /* LAPIC, IOAPIC, PIC */
#define UNIT_PCI    50U
#define UNIT_DEV    60U /* vUART, RTC */
#define UNIT_SERVICE 70U /* I/O requests, hypercalls */

/* Section names are C identifiers, so that unit tests link without a script. */
#define UNIT(name_) static const struct unit unit_##name_ __used __section("hv_units") __aligned(8)

/* unit.c: sort once at boot, then run the hooks. */
int unit_boot(void);
int unit_vm_init(struct vm *vm);
void unit_vm_reset(struct vm *vm);
void unit_vm_deinit(struct vm *vm);
int unit_vcpu_init(struct vcpu *vcpu);
void unit_vcpu_reset(struct vcpu *vcpu);
void unit_vcpu_deinit(struct vcpu *vcpu);

#endif
