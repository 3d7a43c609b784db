// SPDX-License-Identifier: BSD-3-Clause
/*
 * How a pre-launched VM ends: the ACPI sleep control register powers it off, its reset registers
 * start it again from its boot modules, a triple fault stops it. It owns the processors it runs on,
 * so what takes long is done there, in the idle loop, when none of its vCPUs runs, and no other VM
 * notices. Port handlers run on the vCPU's CPU. Takes the VM's lock, and below it one of its own
 * around the loaders, which work on static data.
 */
#include "hv/load.h"
#include "hv/log.h"
#include "hv/pcpu.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "config.h"

/* Ports and values are those of misc/config/acpi.py. */
#define PORT_SLEEP_CONTROL 0x400U
#define SLEEP_ENABLE	   BIT32(5)
#define SLEEP_TYPE(v)	   (((v) >> 2) & 7U)
#define S5_TYPE		   5U
#define PORT_KBD_CMD	   0x64U
#define KBD_RESET	   0xFEU
#define PORT_RESET	   0xCF9U
#define RESET_CPU	   0x04U

enum ending { RUNS, POWERS_OFF, RESETS };

static uint32_t ending[CONFIG_MAX_VM_NUM]; /* enum ending, by VM id; set once a life, by a vCPU */
static spinlock_t loading;

static bool start_again(struct vm *vm)
{
	int err = vm_reset(vm);

	if (err == 0) {
		spin_lock_serving(&loading); /* another VM's kernel may be large */
		err = load_kernel(vm);
		spin_unlock(&loading);
	}
	atomic_set32(&ending[vm->id], RUNS);
	if (err == 0) {
		err = vm_start(vm);
	}
	if (err != 0) {
		pr_err("%s: cannot be started again, error %d", vm->name, err);
	}
	return err == 0;
}

/* In the idle loop of a CPU that the VM has left. */
static void end_vm(void *arg)
{
	struct vm *vm = arg;
	bool runs;

	spin_lock_serving(&vm->lock);
	(void)vm_pause(vm);
	runs = ending[vm->id] == RESETS && start_again(vm);
	if (!runs) {
		vm_destroy(vm);
	}
	spin_unlock(&vm->lock);
	if (runs) {
		return;
	}
	if (vm_check != NULL) {
		vm_check(NULL);
	}
	vm_ended();
}

static __noreturn void leave(struct vcpu *vcpu, enum ending how)
{
	struct vm *vm = vcpu->vm;

	if (atomic_cmpxchg32(&ending[vm->id], RUNS, how)) {
		pr_acrn("%s: %s", vm->name, (how == RESETS) ? "reset" : "powers off");
		pcpu_when_idle(vcpu->pcpu, end_vm, vm);
	}
	vm_stop(vcpu);
}

static void sleep_io(struct vcpu *vcpu, void *arg, struct io_access *io)
{
	(void)arg;
	if (!io->write) {
		io->value = 0U;
	} else if (io->addr == PORT_SLEEP_CONTROL && (io->value & SLEEP_ENABLE) != 0U &&
		   SLEEP_TYPE(io->value) == S5_TYPE) {
		leave(vcpu, POWERS_OFF);
	}
}

static void reset_io(struct vcpu *vcpu, void *arg, struct io_access *io)
{
	(void)arg;
	if (!io->write) {
		io->value = 0U;
	} else if ((io->value & RESET_CPU) != 0U) {
		leave(vcpu, RESETS);
	}
}

/* There is no keyboard; operating systems try its controller's pulse all the same. */
static void kbd_io(struct vcpu *vcpu, void *arg, struct io_access *io)
{
	(void)arg;
	if (!io->write) {
		io->value = 0U;
	} else if ((uint8_t)io->value == KBD_RESET) {
		leave(vcpu, RESETS);
	}
}

static void on_triple_fault(struct vcpu *vcpu)
{
	pr_err("%s: vCPU %u triple-faulted", vcpu->vm->name, vcpu->id);
	leave(vcpu, POWERS_OFF);
}

static int relaunch_vm_init(struct vm *vm)
{
	int err;

	if (vm->load_order != PRE_LAUNCHED_VM) {
		return 0;
	}
	ending[vm->id] = RUNS;
	vm->on_triple_fault = on_triple_fault;
	err = vio_add_pio(vm, PORT_SLEEP_CONTROL, 2U, sleep_io, NULL);
	if (err == 0) {
		err = vio_add_pio(vm, PORT_RESET, 1U, reset_io, NULL);
	}
	if (err == 0) {
		err = vio_add_pio(vm, PORT_KBD_CMD, 1U, kbd_io, NULL);
	}
	return err;
}

UNIT(relaunch) = {
	.name = "relaunch",
	.level = UNIT_DEV + 1U,
	.vm_init = relaunch_vm_init,
};
