// SPDX-License-Identifier: BSD-3-Clause
/*
 * Priority inheritance: while the Service VM serves a request of a User VM that is placed above it,
 * its vCPUs run with that VM's rank (a priority, or a weight), lest a third VM between the two keep
 * both waiting. Any of its vCPUs may run the device model, so all inherit. ioreq.c calls at the
 * beginning and the end of a request, on any CPU. Takes its own lock, and run queues' below it.
 */
#include "hv/boot.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "lib/string.h"
#include "config.h"
#include "hypercall.h"

static spinlock_t lock; /* of all VMs' `lends` */
static bool off;

/* The owner has the highest rank of those it serves, or its own. */
static void settle(const struct vm *owner)
{
	uint32_t rank = owner->rank;

	for (uint16_t i = 0U; i < CONFIG_MAX_VM_NUM; i++) {
		const struct vm *vm = vm_by_id(i);

		if (vm->lends != 0U && vm->owner == owner) {
			rank = MAX(rank, vm->rank);
		}
	}
	for (uint16_t i = 0U; i < owner->vcpu_count; i++) {
		if (owner->vcpus[i]->thread.rank != rank) {
			sched_set_rank(&owner->vcpus[i]->thread, rank);
		}
	}
}

void inherit_begin(const struct vcpu *vcpu)
{
	if (off) {
		return;
	}
	spin_lock(&lock);
	vcpu->vm->lends |= BIT32(vcpu->id);
	settle(vcpu->vm->owner);
	spin_unlock(&lock);
}

void inherit_end(struct vm *vm, uint32_t vcpus)
{
	spin_lock(&lock);
	if ((vm->lends & vcpus) != 0U) {
		vm->lends &= ~vcpus;
		settle(vm->owner);
	}
	spin_unlock(&lock);
}

/* Requests of a VM that begins anew, or ends, have no end of their own. */
static void inherit_vm_gone(struct vm *vm)
{
	inherit_end(vm, UINT32_MAX);
}

static int inherit_boot(void)
{
	char word[8];

	off = boot_option("inherit", word, sizeof(word)) && strcmp(word, "off") == 0;
	return 0;
}

UNIT(inherit) = {
	.name = "inherit",
	.level = UNIT_SERVICE,
	.boot = inherit_boot,
	.vm_reset = inherit_vm_gone,
	.vm_deinit = inherit_vm_gone,
};
