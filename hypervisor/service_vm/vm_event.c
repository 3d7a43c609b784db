// SPDX-License-Identifier: BSD-3-Clause
/*
 * What happens to a User VM that its device model does not see by itself, told by a ring that both
 * share and an upcall. A VM without a ring, or with a full one, loses the event: the device model
 * learns of the end of its VM by a request as well. Any CPU; a lock per VM, innermost, covers the
 * writing side of its ring.
 */
#include "hv/unit.h"
#include "hv/vm.h"
#include "lib/sbuf.h"
#include "config.h"
#include "hypercall.h"

static struct {
	spinlock_t lock;
	struct sbuf ring;
} events[CONFIG_MAX_VM_NUM];

void vm_event_send(struct vm *vm, uint32_t type)
{
	const struct acrn_vm_event event = {.type = type};
	bool done;

	spin_lock(&events[vm->id].lock);
	done = events[vm->id].ring.header != NULL && sbuf_put(&events[vm->id].ring, &event);
	spin_unlock(&events[vm->id].lock);
	if (done) {
		ioreq_upcall(vm);
	}
}

void vm_event_set_ring(struct vm *vm, const struct sbuf *ring)
{
	spin_lock(&events[vm->id].lock);
	events[vm->id].ring = *ring;
	spin_unlock(&events[vm->id].lock);
}

static void vm_event_vm_deinit(struct vm *vm)
{
	events[vm->id].ring = (struct sbuf){0};
}

UNIT(vm_event) = {
	.name = "vm_event",
	.level = UNIT_SERVICE + 1U,
	.vm_deinit = vm_event_vm_deinit,
};
