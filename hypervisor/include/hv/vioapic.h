/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_VIOAPIC_H
#define HV_VIOAPIC_H

#include "lib/types.h"

struct vm;

/*
 * The VM's virtual IOAPIC: 48 pins at 0xFEC00000 for a User VM; the Service VM has one per physical
 * unit, same bases, ids, pins and GSIs.
 */

/* GSI level or pulse as GSI_SET_x of vintr.h; -EINVAL when there is no such pin. Any CPU. */
int vioapic_set_gsi(struct vm *vm, uint32_t gsi, uint32_t op);

/* A LAPIC of the VM ended a level-triggered interrupt: Remote IRR falls, a high line fires again.
 */
void vioapic_eoi(struct vm *vm, uint8_t vector);

/* The pin's redirection entry as the guest wrote it. */
uint64_t vioapic_rte(struct vm *vm, uint32_t gsi);
uint32_t vioapic_gsi_count(const struct vm *vm);

/*
 * Called when the guest changed a pin's entry (mask bit included) or ended its interrupt; the
 * pass-through code hooks in here (ptirq). One per VM.
 */
struct vioapic_hooks {
	void (*rte_changed)(struct vm *vm, uint32_t gsi, uint64_t old_rte, uint64_t new_rte);
	void (*eoi)(struct vm *vm, uint32_t gsi);
};
void vioapic_set_hooks(struct vm *vm, const struct vioapic_hooks *hooks);

#endif
