// SPDX-License-Identifier: BSD-3-Clause
/*
 * The end of a VM that nobody else may end: an RTVM, and one of higher severity than the Service
 * VM. hc_vm.c refuses to stop it while it runs. When it writes power-off or reset to the device
 * model's registers, or triple-faults, its state says so, and the device model can do its part. On
 * the vCPU's CPU; takes no lock: only the VM itself leaves the state RUNNING this way.
 */
#include "hv/log.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vio.h"
#include "hypercall.h"

#define PM1A_SLEEP(v) ((v) & (BIT32(13) | 0x1C00U))
#define RESET_PORT    0xCF9U
#define RESET_CPU     0x04U

bool own_end(const struct vm *vm)
{
	return (vm->flags & GUEST_FLAG_RT) != 0U || vm->severity > vm->owner->severity;
}

void own_end_begins(struct vm *vm)
{
	if (own_end(vm) && vm->state == VM_RUNNING) {
		pr_info("VM %u (%s): ends itself", vm->id, vm->name);
		vm->state = VM_READY_TO_POWEROFF;
		vm_ended();
	}
}

/* A byte access may begin at the register's second half. */
static void pm1a_io(struct vcpu *vcpu, void *arg, struct io_access *io)
{
	uint32_t v = (uint32_t)(io->value << ((io->addr - DM_PM1A_CNT) * 8U));

	(void)arg;
	if (io->write && PM1A_SLEEP(v) == DM_PM1A_S5) {
		own_end_begins(vcpu->vm);
	}
	ioreq_forward(vcpu, io);
}

static void reset_io(struct vcpu *vcpu, void *arg, struct io_access *io)
{
	(void)arg;
	if (io->write && (io->value & RESET_CPU) != 0U) {
		own_end_begins(vcpu->vm);
	}
	ioreq_forward(vcpu, io);
}

static int own_end_vm_init(struct vm *vm)
{
	int err;

	if (vm->owner == NULL || !own_end(vm)) {
		return 0;
	}
	err = vio_add_pio(vm, DM_PM1A_CNT, 2U, pm1a_io, NULL);
	return (err == 0) ? vio_add_pio(vm, RESET_PORT, 1U, reset_io, NULL) : err;
}

UNIT(own_end) = {.name = "own_end", .level = UNIT_SERVICE + 1U, .vm_init = own_end_vm_init};
