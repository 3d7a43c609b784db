// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does a VM go through its states and no other way, and give back everything: when it is
 * destroyed, and when its creation fails at any point?
 */
// links: hypervisor/guest/vm.c hypervisor/guest/vcpu.c hypervisor/guest/unit.c
// links: hypervisor/arch/x86/vmx/ept.c hypervisor/arch/x86/mm/pgtable.c
// links: tests/unit/hypervisor/vm_machine.c tests/fake/fake_string.c @machine
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "lib/errno.h"
#include "lib/kconfig.h"
#include "fake_machine.h"
#include "vm_machine.h"

static uint32_t resets;
static int vm_init_result;

/* A unit with a page for each VM and each vCPU. */
static int page_vm_init(struct vm *vm)
{
	if (vm_init_result != 0)
		return vm_init_result;
	vm->io_bitmap = pool_get(&page_pool);
	return vm->io_bitmap ? 0 : -ENOMEM;
}

static void page_vm_deinit(struct vm *vm)
{
	for (uint32_t i = 0; i < VM_MAX_VCPUS; i++)
		assert_null(vm->vcpus[i]); /* vCPUs go first */
	pool_put(&page_pool, vm->io_bitmap);
}

static void page_vm_reset(struct vm *vm)
{
	assert_int_equal(vm->state, VM_PAUSED);
	resets++;
}

static int page_vcpu_init(struct vcpu *vcpu)
{
	vcpu->fpu = pool_get(&page_pool);
	return vcpu->fpu ? 0 : -ENOMEM;
}

static void page_vcpu_deinit(struct vcpu *vcpu)
{
	pool_put(&page_pool, vcpu->fpu);
}

UNIT(page) = {.name = "page",
	      .level = UNIT_IO,
	      .vm_init = page_vm_init,
	      .vm_reset = page_vm_reset,
	      .vm_deinit = page_vm_deinit,
	      .vcpu_init = page_vcpu_init,
	      .vcpu_deinit = page_vcpu_deinit};

static int last_init(struct vm *vm)
{
	return vm->flags == 0xBAD ? -EACCES : 0;
}
UNIT(last) = {.name = "last", .level = UNIT_SERVICE, .vm_init = last_init};

void vio_all_ones(struct vcpu *vcpu, struct io_access *io)
{
	(void)vcpu;
	io->value = UINT64_MAX;
}

static struct vm_create_args args;

static int setup(void **state)
{
	(void)state;
	vm_machine_reset();
	vm_init_result = 0;
	resets = 0;
	args = (struct vm_create_args){.name = "guest",
				       .load_order = POST_LAUNCHED_VM,
				       .severity = SEVERITY_STANDARD_VM,
				       .flags = 5,
				       .cpu_affinity = 0xA};
	assert_int_equal(unit_boot(), 0);
	vm_slots_init();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < CONFIG_MAX_VM_NUM; i++)
		vm_destroy(&vms[i]);
	assert_int_equal(page_pool.used, 0);
	assert_int_equal(vm_threads, 0);
	free(vms);
	return 0;
}

/* The slot holds its index and its lock, and nothing of a VM. */
static void expect_empty(uint16_t id)
{
	struct vm empty;

	memset(&empty, 0, sizeof(empty));
	empty.id = id;
	empty.lock = vms[id].lock;
	assert_memory_equal(&vms[id], &empty, sizeof(empty));
}

/* What is a created VM: its vCPUs, on which CPUs, in which states? */
static void test_create(void **state)
{
	struct vm *vm;

	(void)state;
	assert_int_equal(vm_create(2, &args), 0);
	vm = vm_by_id(2);
	assert_int_equal(vm->state, VM_CREATED);
	assert_string_equal(vm->name, "guest");
	assert_int_equal(vm->flags, 5);
	assert_int_equal(vm->vcpu_count, 2);
	assert_ptr_equal(vm->vcpus[0]->pcpu, &pcpus[1]);
	assert_ptr_equal(vm->vcpus[1]->pcpu, &pcpus[3]);
	assert_int_equal(vm->vcpus[0]->thread.state, THREAD_BLOCKED);
	assert_ptr_equal(vm->io_fallback, vio_all_ones);
	assert_non_null(vm->on_triple_fault);
	assert_int_equal(vm_create(2, &args), -EBUSY);
	assert_int_equal(vm->vcpu_count, 2);
}

/* What if the slot is beyond the last, or there is no CPU, or CPUs that this machine has not? */
static void test_create_bad(void **state)
{
	(void)state;
	assert_null(vm_by_id(CONFIG_MAX_VM_NUM));
	assert_int_equal(vm_create(CONFIG_MAX_VM_NUM, &args), -EINVAL);
	assert_int_equal(vm_create(UINT16_MAX, &args), -EINVAL);
	args.cpu_affinity = 0;
	assert_int_equal(vm_create(1, &args), -EINVAL);
	expect_empty(1);
	args.cpu_affinity = ~0xFUL;
	assert_int_equal(vm_create(1, &args), -EINVAL);
	expect_empty(1);
	args.cpu_affinity = UINT64_MAX;
	assert_int_equal(vm_create(1, &args), 0);
	assert_int_equal(vms[1].vcpu_count, 4);
}

/* What if the name fills its room, and more? */
static void test_long_name(void **state)
{
	(void)state;
	args.name = "0123456789abcdefXYZ";
	assert_int_equal(vm_create(1, &args), 0);
	assert_string_equal(vms[1].name, "0123456789abcde");
}

/* What if each allocation fails in turn? Nothing is left, and the next try works. */
static void test_create_out_of_memory(void **state)
{
	int ret = -ENOMEM;
	uint32_t n;

	(void)state;
	for (n = 1; ret != 0; n++) {
		assert_true(n < 50);
		fake_pool_fail_at = n;
		ret = vm_create(1, &args);
		fake_pool_fail_at = 0;
		if (ret == 0)
			break;
		assert_int_equal(ret, -ENOMEM);
		assert_int_equal(page_pool.used, 0);
		assert_int_equal(vm_threads, 0);
		expect_empty(1);
	}
	assert_true(n > 8); /* EPT root, unit page, and three for each of two vCPUs */
	vm_destroy(&vms[1]);
	assert_int_equal(vm_create(1, &args), 0);
}

/* What if a unit refuses the VM: the first of them, or the last? */
static void test_unit_refuses(void **state)
{
	(void)state;
	vm_init_result = -ENODEV;
	assert_int_equal(vm_create(1, &args), -ENODEV);
	expect_empty(1);
	assert_int_equal(page_pool.used, 0);
	vm_init_result = 0;
	args.flags = 0xBAD;
	assert_int_equal(vm_create(1, &args), -EACCES);
	expect_empty(1);
	assert_int_equal(page_pool.used, 0);
}

/* Which way leads from state to state, and which does not? */
static void test_states(void **state)
{
	struct vm *vm = &vms[1];

	(void)state;
	assert_int_equal(vm_start(vm), -EINVAL);
	assert_int_equal(vm_pause(vm), -EINVAL);
	assert_int_equal(vm_reset(vm), -EINVAL);
	vm_destroy(vm); /* nothing there: nothing happens */
	assert_int_equal(vm_create(1, &args), 0);
	assert_int_equal(vm_reset(vm), -EINVAL);
	assert_int_equal(vm_start(vm), 0);
	assert_int_equal(vm->state, VM_RUNNING);
	assert_int_equal(vm->vcpus[0]->state, VCPU_RUNNING);
	assert_int_equal(vm->vcpus[1]->state, VCPU_WAIT_SIPI);
	assert_int_equal(vm->vcpus[0]->thread.state, THREAD_RUNNABLE);
	assert_int_equal(vm_start(vm), -EINVAL);
	assert_int_equal(vm_reset(vm), -EINVAL);
	assert_int_equal(vm_pause(vm), 0);
	assert_true(vm->vcpus[0]->thread.frozen && vm->vcpus[1]->thread.frozen);
	assert_int_equal(vm_pause(vm), 0);
	assert_int_equal(vm_reset(vm), 0);
	assert_int_equal(resets, 1);
	assert_int_equal(vm->state, VM_CREATED);
	assert_int_equal(vm->vcpus[0]->state, VCPU_OFFLINE);
	assert_false(vm->vcpus[0]->thread.frozen);
	assert_int_equal(vm_start(vm), 0);
	vm_destroy(vm);
	expect_empty(1);
	assert_int_equal(page_pool.used, 0);
}

/* A VM that is paused and started goes on: who waited waits, who could run runs. */
static void test_resume(void **state)
{
	struct vm *vm = &vms[1];
	uint32_t wakes;

	(void)state;
	assert_int_equal(vm_create(1, &args), 0);
	assert_int_equal(vm_pause(vm), 0);
	assert_int_equal(vm_start(vm), 0); /* for the first time */
	assert_int_equal(vm->vcpus[0]->state, VCPU_RUNNING);
	assert_false(vm->vcpus[0]->thread.frozen || vm->vcpus[1]->thread.frozen);
	assert_int_equal(vm->vcpus[0]->thread.state, THREAD_RUNNABLE);
	vm->vcpus[1]->thread.state = THREAD_BLOCKED;
	wakes = vm_wakes;
	assert_int_equal(vm_pause(vm), 0);
	assert_int_equal(vm_start(vm), 0);
	assert_int_equal(vm->state, VM_RUNNING);
	assert_false(vm->vcpus[0]->thread.frozen || vm->vcpus[1]->thread.frozen);
	assert_int_equal(vm->vcpus[0]->thread.state, THREAD_RUNNABLE);
	assert_int_equal(vm->vcpus[1]->thread.state, THREAD_BLOCKED);
	assert_int_equal(vm->vcpus[1]->state, VCPU_WAIT_SIPI);
	assert_int_equal(vm_wakes, wakes);
	assert_int_equal(vm_start(vm), -EINVAL);
}

/* What if a VM is destroyed in each state, with memory mapped? All of it comes back. */
static void test_destroy(void **state)
{
	struct vm *vm = &vms[1];

	(void)state;
	for (int how = 0; how < 3; how++) {
		assert_int_equal(vm_create(1, &args), 0);
		assert_int_equal(ept_map(&vm->ept, GPA(0x1000), HPA(0x5000), 0x600000, EPT_RWX), 0);
		assert_int_equal(ept_unmap(&vm->ept, GPA(0x200000), 0x200000), 0);
		if (how > 0)
			assert_int_equal(vm_start(vm), 0);
		if (how > 1)
			assert_int_equal(vm_pause(vm), 0);
		vm->ept.cpus = 0xA;
		spin_lock(&vm->lock);
		vm_destroy(vm); /* the caller holds the slot */
		spin_unlock(&vm->lock);
		expect_empty(1);
		assert_int_equal(page_pool.used, 0);
		assert_int_equal(vm_threads, 0);
	}
}

/* A triple fault of one vCPU: do the others run on? A second one that faults at once is no matter. */
static void test_triple_fault(void **state)
{
	struct vm *vm = &vms[1];

	(void)state;
	args.cpu_affinity = 0xF;
	assert_int_equal(vm_create(1, &args), 0);
	assert_int_equal(vm_create(2, &args), 0);
	assert_int_equal(vm_start(vm), 0);
	for (uint32_t i = 0; i < 2; i++) {
		if (setjmp(vm_switched) == 0)
			vm->on_triple_fault(vm->vcpus[2 * i]);
		assert_int_equal(vm->state, VM_PAUSED);
		for (uint32_t n = 0; n < 4; n++) {
			assert_true(vm->vcpus[n]->thread.frozen);
			assert_false(vms[2].vcpus[n]->thread.frozen);
		}
	}
	assert_int_equal(vms[2].state, VM_CREATED);
}

static volatile int taken;

/* Another CPU of the Service VM that waits for the slot. */
static void *wait_for_slot(void *stop)
{
	while (!__atomic_load_n((int *)stop, __ATOMIC_RELAXED) && !taken)
		taken = spin_trylock(&vms[1].lock);
	return NULL;
}

/* Does the slot's lock stay taken while a VM is created and destroyed in it? */
static void test_lock_is_kept(void **state)
{
	pthread_t other;
	int stop = 0;

	(void)state;
	taken = 0;
	spin_lock(&vms[1].lock);
	assert_int_equal(pthread_create(&other, NULL, wait_for_slot, &stop), 0);
	for (uint32_t i = 0; i < 3000 && !taken; i++) {
		assert_int_equal(vm_create(1, &args), 0);
		vm_destroy(&vms[1]);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(other, NULL);
	assert_false(taken);
	spin_unlock(&vms[1].lock);
	assert_int_equal(vms[1].lock.next, vms[1].lock.owner);
}

/* Two VMs at once: does the end of one touch the other? And who is the Service VM? */
static void test_two_vms(void **state)
{
	(void)state;
	assert_null(vm_service());
	assert_int_equal(vm_create(1, &args), 0);
	assert_null(vm_service());
	args.load_order = SERVICE_VM;
	assert_int_equal(vm_create(0, &args), 0);
	assert_ptr_equal(vm_service(), &vms[0]);
	assert_int_equal(vm_start(&vms[0]), 0);
	assert_int_equal(vm_start(&vms[1]), 0);
	vm_destroy(&vms[1]);
	assert_int_equal(vms[0].state, VM_RUNNING);
	assert_int_equal(vms[0].vcpu_count, 2);
	assert_false(vms[0].vcpus[0]->thread.frozen);
	vm_destroy(&vms[0]);
	assert_null(vm_service());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_create, setup, teardown),
		cmocka_unit_test_setup_teardown(test_create_bad, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_name, setup, teardown),
		cmocka_unit_test_setup_teardown(test_create_out_of_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unit_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_states, setup, teardown),
		cmocka_unit_test_setup_teardown(test_resume, setup, teardown),
		cmocka_unit_test_setup_teardown(test_destroy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_triple_fault, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lock_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_vms, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
