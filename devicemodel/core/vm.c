// SPDX-License-Identifier: BSD-3-Clause
/*
 * The life of the User VM: create, boot, run, reset, destroy, on the main thread;
 * the order of the steps is the contract with the hypervisor (a VM is reset and
 * destroyed only when paused, started only when its requests have somewhere to
 * go). Pausing and resuming may be asked for by another thread: `life` orders
 * them with the start and the reset.
 */
#include "vm.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "acpi.h"
#include "firmware.h"
#include "gmem.h"
#include "hsm.h"
#include "io_space.h"
#include "ioreq.h"
#include "keeper.h"
#include "load.h"
#include "log.h"
#include "meminfo.h"
#include "pci.h"
#include "platform.h"
#include "power.h"
#include "rings.h"

#define PIO_LIMIT  0x10000ULL
#define MMIO_LIMIT (1ULL << 52)

/* The hypervisor's flags. An RTVM polls for answers: nothing is to interrupt its processors. */
#define VM_FLAG_LAPIC_PT (1ULL << 1)
#define VM_FLAG_POLLING	 (1ULL << 2)
#define VM_FLAG_RT	 (1ULL << 4)

/* Held while vCPUs are let go or stopped, and over `paused` and `started`. */
static pthread_mutex_t life = PTHREAD_MUTEX_INITIALIZER;

static int create_in_hypervisor(struct vm *vm)
{
	struct acrn_vm_creation req = {.cpu_affinity = vm->cfg.cpu_affinity};
	int err;

	_Static_assert(sizeof(req.uuid) == 16, "the VM's name travels in the uuid");
	strncpy((char *)&req.uuid, vm->cfg.name, sizeof(req.uuid) - 1);
	if (vm->cfg.rtvm)
		req.vm_flag = VM_FLAG_RT | VM_FLAG_LAPIC_PT | VM_FLAG_POLLING;
	req.ioreq_buf = (uint64_t)(uintptr_t)ioreq_page(vm);
	err = keeper_create(vm, &req);
	if (err == -ENOTTY) {
		log_err("/dev/acrn_hsm does not know these requests: the kernel must have the HSM "
			"driver of Linux 5.12 or later");
		return err;
	}
	if (err) {
		log_err("the hypervisor refuses VM \"%s\" (%s): is the name in use, are the CPUs "
			"its own, is a VM slot free? Its log tells more",
			vm->cfg.name, strerror(-err));
		return err;
	}
	vm->vmid = req.vmid;
	vm->vcpu_num = req.vcpu_num;
	if (vm->vcpu_num == 0 || vm->vcpu_num > VM_MAX_VCPUS) {
		log_err("the hypervisor gave VM \"%s\" %u vCPUs; this takes 1 to %d", vm->cfg.name,
			vm->vcpu_num, VM_MAX_VCPUS);
		return -EINVAL;
	}
	return 0;
}

int vm_create(struct vm *vm)
{
	int err = power_create(vm);

	if (!err)
		err = ioreq_create(vm);
	if (err) {
		log_err("no memory");
		goto out;
	}
	err = hsm_open(&vm->hsm, vm->cfg.dry_run);
	if (!err)
		err = meminfo_check(MEMINFO, vm->cfg.mem_size);
	if (!err)
		err = create_in_hypervisor(vm);
	if (!err)
		err = rings_create(vm);
	if (!err)
		err = gmem_create(vm, vm->cfg.mem_size);
	if (err)
		goto out;
	vm->pio = io_space_create(PIO_LIMIT);
	vm->mmio = io_space_create(MMIO_LIMIT);
	if (!vm->pio || !vm->mmio) {
		err = -ENOMEM;
		goto out;
	}
	err = platform_create(vm);
	if (!err)
		err = pci_bus_create(vm);
	if (err)
		goto out;
	err = hsm_create_ioreq_client(vm->hsm);
	if (err)
		log_err("cannot serve I/O requests: %s", strerror(-err));
out:
	if (err)
		vm_destroy(vm);
	return err;
}

/* The VM may run from here on; it does unless the user wants it paused. */
static int start(struct vm *vm)
{
	int err = 0;

	pthread_mutex_lock(&life);
	vm->started = true;
	if (!vm->paused)
		err = hsm_start_vm(vm->hsm);
	pthread_mutex_unlock(&life);
	return err;
}

/* Not to be let go by vm_resume() from here on. */
static int stop(struct vm *vm)
{
	int err;

	pthread_mutex_lock(&life);
	vm->started = false;
	err = hsm_pause_vm(vm->hsm);
	pthread_mutex_unlock(&life);
	return err;
}

bool vm_ends_itself(const struct vm *vm)
{
	return vm->cfg.rtvm && vm->started;
}

int vm_pause(struct vm *vm)
{
	int err = 0;

	pthread_mutex_lock(&life);
	if (vm_ends_itself(vm))
		err = -EPERM;
	else if (vm->started)
		err = hsm_pause_vm(vm->hsm);
	if (!err)
		vm->paused = true;
	pthread_mutex_unlock(&life);
	return err;
}

int vm_resume(struct vm *vm)
{
	int err = 0;

	pthread_mutex_lock(&life);
	if (vm->started && vm->paused)
		err = hsm_start_vm(vm->hsm);
	if (!err)
		vm->paused = false;
	pthread_mutex_unlock(&life);
	return err;
}

static int load(struct vm *vm, struct acrn_vcpu_regs *regs)
{
	if (firmware_given(vm))
		return load_ovmf(vm, regs);
	return vm->cfg.is_elf ? load_elf(vm, regs) : load_bzimage(vm, regs);
}

int vm_boot(struct vm *vm)
{
	struct acrn_vcpu_regs regs;
	int err;

	err = acpi_load(vm);
	if (!err)
		err = load(vm, &regs);
	if (err)
		return err;
	err = hsm_set_vcpu_regs(vm->hsm, &regs);
	if (!err)
		err = start(vm);
	if (err)
		log_err("cannot start the VM: %s", strerror(-err));
	return err;
}

/* As the reset button: nothing of the guest's state survives but RAM and disks. */
static int reset(struct vm *vm)
{
	int err = stop(vm);

	if (!err)
		err = hsm_clear_ioreq(vm->hsm);
	if (err)
		goto out;
	pci_bus_reset(vm);
	platform_reset(vm);
	err = hsm_reset_vm(vm->hsm);
	if (err)
		goto out;
	power_reset_done(vm);
	return vm_boot(vm);
out:
	log_err("cannot reset the VM: %s", strerror(-err));
	return err;
}

int vm_run(struct vm *vm)
{
	int err = 0;

	while (!err && power_pending(vm) != POWER_OFF) {
		err = ioreq_loop(vm);
		if (!err && power_pending(vm) == POWER_RESET)
			err = reset(vm);
	}
	ioreq_close_calls(vm);
	return power_pending(vm) == POWER_OFF ? power_status(vm) : 1;
}

/*
 * The VM is paused first: devices may then be torn down, and DMA into guest
 * memory ends with them, before that memory goes.
 */
void vm_destroy(struct vm *vm)
{
	if (vm->vcpu_num != 0)
		(void)stop(vm);
	pci_bus_destroy(vm);
	platform_destroy(vm);
	if (vm->vcpu_num != 0) {
		/* An RTVM may run on without this process; then its requests still need their
		 * client. */
		if (!vm->cfg.rtvm)
			(void)hsm_destroy_ioreq_client(vm->hsm);
		if (hsm_destroy_vm(vm->hsm) == 0) {
			keeper_destroy(vm);
			vm->vcpu_num = 0;
		}
	}
	rings_destroy(vm);
	gmem_destroy(vm);
	io_space_destroy(vm->pio);
	io_space_destroy(vm->mmio);
	vm->pio = NULL;
	vm->mmio = NULL;
	if (!vm->keeper) { /* which needs these where we leave them */
		hsm_close(vm->hsm);
		vm->hsm = NULL;
		ioreq_destroy(vm);
	}
	power_destroy(vm);
}
