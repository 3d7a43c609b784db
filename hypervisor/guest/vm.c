// SPDX-License-Identifier: BSD-3-Clause
/*
 * The VMs: slots, and the state machine created -> running <-> paused -> destroyed or reset. Called
 * at boot by load.c and by the lifecycle hypercalls. The functions may wait for other CPUs and give
 * the CPU away, so no lock is held across them: one caller at a time changes a VM's state, which
 * the hypercall code sees to.
 */
#include "hv/vm.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vio.h"
#include "lib/errno.h"
#include "lib/kconfig.h"
#include "lib/string.h"

struct vm *vms;
void (*vm_check)(struct vm *held);
bool (*vm_shows)(const struct vm *vm, gpa_t gpa, hpa_t hpa, uint64_t size);

void vm_slots_init(void)
{
	vms = boot_alloc(sizeof(struct vm) * CONFIG_MAX_VM_NUM, 64U);
	for (uint16_t i = 0U; i < CONFIG_MAX_VM_NUM; i++) {
		vms[i].id = i;
	}
}

struct vm *vm_by_id(uint16_t id)
{
	return (id < CONFIG_MAX_VM_NUM) ? &vms[id] : NULL;
}

struct vm *vm_service(void)
{
	for (uint16_t i = 0U; i < CONFIG_MAX_VM_NUM; i++) {
		if (vm_is_live(&vms[i]) && vms[i].load_order == SERVICE_VM) {
			return &vms[i];
		}
	}
	return NULL;
}

static int create_vcpus(struct vm *vm, uint64_t affinity)
{
	uint16_t n = 0U;
	int ret = 0;

	for (uint16_t cpu = 0U; cpu < pcpu_count && ret == 0 && n < VM_MAX_VCPUS; cpu++) {
		if ((affinity & BIT(cpu)) != 0U) {
			ret = vcpu_create(vm, n, &pcpus[cpu]);
			n++;
		}
	}
	return (ret == 0 && n == 0U) ? -EINVAL : ret;
}

static void destroy_vcpus(struct vm *vm)
{
	for (uint16_t i = vm->vcpu_count; i-- > 0U;) {
		vcpu_destroy(vm->vcpus[i]);
	}
	vm->vcpu_count = 0U;
}

/* A VM without a device model and without another policy: its fault stops it, and it alone. */
static void stop_on_triple_fault(struct vcpu *vcpu)
{
	pr_err("VM %u (%s) vCPU %u: triple fault, the VM is stopped", vcpu->vm->id, vcpu->vm->name,
	       vcpu->id);
	vm_stop(vcpu);
}

/* All but the index and the lock, which the caller has and other CPUs are waiting for. */
static void clear_slot(struct vm *vm)
{
	(void)memset((uint8_t *)vm + offsetof(struct vm, state), 0,
		     sizeof(*vm) - offsetof(struct vm, state));
}

int vm_create(uint16_t id, const struct vm_create_args *args)
{
	struct vm *vm = vm_by_id(id);
	int ret;

	if (vm == NULL) {
		return -EINVAL;
	}
	if (vm_is_live(vm)) {
		return -EBUSY;
	}
	clear_slot(vm);
	(void)string_copy(vm->name, args->name, sizeof(vm->name));
	vm->load_order = args->load_order;
	vm->severity = args->severity;
	vm->flags = args->flags;
	vm->config = args->config;
	vm->owner = args->owner;
	vm->rank = (sched_policy.rank != NULL) ? sched_policy.rank(args->config) : 0U;
	vm->io_fallback = vio_all_ones;
	vm->on_triple_fault = stop_on_triple_fault;
	ret = ept_init(&vm->ept);
	if (ret != 0) {
		goto out_slot;
	}
	ret = unit_vm_init(vm);
	if (ret != 0) {
		goto out_ept;
	}
	ret = create_vcpus(vm, args->cpu_affinity);
	if (ret != 0) {
		goto out_vcpus;
	}
	vm->state = VM_CREATED;
	pr_info("VM %u (%s): created with %u vCPUs", vm->id, vm->name, vm->vcpu_count);
	return 0;
out_vcpus:
	destroy_vcpus(vm);
	unit_vm_deinit(vm);
out_ept:
	ept_destroy(&vm->ept);
out_slot:
	clear_slot(vm);
	return ret;
}

int vm_start(struct vm *vm)
{
	bool first;

	if (vm->state != VM_CREATED && vm->state != VM_PAUSED) {
		return -EINVAL;
	}
	first = vm->vcpus[0]->state == VCPU_OFFLINE;
	if (first) {
		vm->vcpus[0]->state = VCPU_RUNNING;
	}
	vm->state = VM_RUNNING;
	for (uint16_t i = 0U; i < vm->vcpu_count; i++) {
		sched_thaw(&vm->vcpus[i]->thread);
		if (first) {
			sched_wake(&vm->vcpus[i]->thread);
		}
	}
	return 0;
}

int vm_pause(struct vm *vm)
{
	if (!vm_is_live(vm)) {
		return -EINVAL;
	}
	for (uint16_t i = 0U; i < vm->vcpu_count; i++) {
		sched_freeze(&vm->vcpus[i]->thread);
	}
	vm->state = VM_PAUSED;
	return 0;
}

void vm_stop(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	vm->state = VM_PAUSED;
	for (uint16_t i = 0U; i < vm->vcpu_count; i++) {
		sched_stop(&vm->vcpus[i]->thread);
	}
	for (;;) {
		schedule();
	}
}

int vm_reset(struct vm *vm)
{
	if (vm->state != VM_PAUSED) {
		return -EINVAL;
	}
	unit_vm_reset(vm);
	for (uint16_t i = 0U; i < vm->vcpu_count; i++) {
		vcpu_prepare_thread(vm->vcpus[i]);
	}
	vm->state = VM_CREATED;
	return 0;
}

void vm_destroy(struct vm *vm)
{
	if (!vm_is_live(vm)) {
		return;
	}
	(void)vm_pause(vm);
	destroy_vcpus(vm);
	ept_flush(&vm->ept);
	unit_vm_deinit(vm);
	ept_destroy(&vm->ept);
	pr_info("VM %u (%s): destroyed", vm->id, vm->name);
	clear_slot(vm);
}
