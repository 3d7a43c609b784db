// SPDX-License-Identifier: BSD-3-Clause
// links: hypervisor/pre_launched/relaunch.c hypervisor/guest/unit.c @machine tests/fake/fake_report.c
/*
 * The end of a pre-launched VM: by which ports, in which order, and once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "fake_machine.h"
#include "hv/load.h"
#include "hv/log.h"
#include "hv/pcpu.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "lib/errno.h"
#include "config.h"

static struct vm vms_[CONFIG_MAX_VM_NUM];
static struct vcpu vcpu[2];
static struct {
	uint16_t port, count;
	io_handler_t fn;
} claims[8];
static uint32_t claim_count, checks, works, ended;
static char did[16]; /* in which order: Pause Reset Load Start Destroy */
static int load_error;
static void (*work)(void *arg);
static void *work_arg;
static jmp_buf stopped;
static uint32_t serves; /* rounds in which another CPU's calls are served; then it lets go */

static void check(struct vm *held)
{
	assert_null(held); /* so it takes the lock itself */
	assert_int_equal(vms_[1].lock.next, vms_[1].lock.owner);
	checks++;
}

void (*vm_check)(struct vm *held) = check;

struct vm *vm_by_id(uint16_t id)
{
	return id < CONFIG_MAX_VM_NUM ? &vms_[id] : NULL;
}

int vio_add_pio(struct vm *vm, uint16_t base, uint16_t count, io_handler_t fn, void *arg)
{
	assert_ptr_equal(vm, &vms_[1]);
	assert_null(arg);
	claims[claim_count].port = base;
	claims[claim_count].count = count;
	claims[claim_count++].fn = fn;
	return 0;
}

static int step(struct vm *vm, char c, int err)
{
	assert_ptr_equal(vm, &vms_[1]);
	assert_int_equal(vm->lock.next, vm->lock.owner + 1); /* nobody looks at it meanwhile */
	did[strlen(did)] = c;
	return err;
}

int vm_pause(struct vm *vm)
{
	vm->state = VM_PAUSED;
	return step(vm, 'P', 0);
}

int vm_reset(struct vm *vm)
{
	return step(vm, 'R', 0);
}

int vm_start(struct vm *vm)
{
	vm->state = VM_RUNNING;
	return step(vm, 'S', 0);
}

void vm_destroy(struct vm *vm)
{
	vm->state = VM_POWERED_OFF;
	(void)step(vm, 'D', 0);
}

int load_kernel(struct vm *vm)
{
	return step(vm, 'L', load_error);
}

void vm_stop(struct vcpu *v)
{
	v->vm->state = VM_PAUSED;
	longjmp(stopped, 1);
}

void vm_ended(void)
{
	assert_int_equal(vms_[1].state, VM_POWERED_OFF);
	ended++;
}

void pcpu_when_idle(struct pcpu *p, void (*fn)(void *arg), void *arg)
{
	assert_ptr_equal(p, &pcpus[1]); /* that of the vCPU */
	works++;
	work = fn;
	work_arg = arg;
}

void smp_call_serve(void)
{
	assert_int_not_equal(serves, 0);
	if (--serves == 0)
		spin_unlock(&vms_[1].lock);
}

static int setup(void **state)
{
	(void)state;
	fake_machine_reset();
	memset(vms_, 0, sizeof(vms_));
	memset(did, 0, sizeof(did));
	claim_count = checks = works = ended = 0;
	load_error = 0;
	serves = 0;
	for (uint16_t i = 0; i < CONFIG_MAX_VM_NUM; i++)
		vms_[i].id = i;
	vms_[0].state = vms_[1].state = VM_RUNNING;
	vms_[1].load_order = PRE_LAUNCHED_VM;
	vms_[0].load_order = SERVICE_VM;
	for (uint32_t i = 0; i < 2; i++)
		vcpu[i] = (struct vcpu){.vm = &vms_[1], .pcpu = &pcpus[1]};
	assert_int_equal(unit_boot(), 0);
	assert_int_equal(unit_vm_init(&vms_[0]), 0); /* not its business */
	assert_int_equal(claim_count, 0);
	assert_int_equal(unit_vm_init(&vms_[1]), 0);
	return 0;
}

/* An access by one of its vCPUs: 0 returned, 1 the vCPU stopped. */
static int access(uint32_t who, uint16_t port, bool write, uint64_t *val)
{
	struct io_access io = {.addr = port, .width = 1, .write = write, .value = *val};
	int how = setjmp(stopped);

	if (how != 0)
		return how;
	for (uint32_t i = 0; i < claim_count; i++)
		if (port >= claims[i].port && port < claims[i].port + claims[i].count)
			claims[i].fn(&vcpu[who], NULL, &io);
	*val = io.value;
	return 0;
}

static int out(uint32_t who, uint16_t port, uint64_t val)
{
	return access(who, port, true, &val);
}

/* What its CPU does in the idle loop. */
static void idle(void)
{
	work(work_arg);
	assert_int_equal(vms_[1].lock.next, vms_[1].lock.owner);
}

/* Which writes reset it, and is it then loaded anew before it starts? */
static void test_reset(void **state)
{
	static const struct {
		uint16_t port;
		uint8_t val;
		int ends;
	} cases[] = {{0xCF9, 0x0E, 1}, {0xCF9, 0x06, 1}, {0xCF9, 0x02, 0}, {0x64, 0xFE, 1},
		     {0x64, 0xD1, 0}, {0x400, 0x20, 0}, {0x401, 0x34, 0}, {0x400, 0x14, 0}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		(void)setup(state);
		assert_int_equal(out(0, cases[i].port, cases[i].val), cases[i].ends);
		assert_int_equal(works, (uint32_t)cases[i].ends);
		if (cases[i].ends != 0) {
			idle();
			assert_string_equal(did, "PRLS");
			/* and again */
			assert_int_equal(out(1, 0xCF9, 0x0E), 1);
			assert_int_equal(works, 2);
		}
	}
}

/* What do the ports read as? Nothing that a driver would wait for. */
static void test_reads(void **state)
{
	static const uint16_t ports[] = {0x400, 0x401, 0xCF9, 0x64};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		uint64_t val = 0xFF;

		assert_int_equal(access(0, ports[i], false, &val), 0);
		assert_int_equal(val, 0);
	}
	assert_int_equal(works, 0);
}

/* Power-off: is it gone, and is it asked whether the machine goes too? */
static void test_power_off(void **state)
{
	(void)state;
	assert_int_equal(out(0, 0x400, 0x34), 1);
	idle();
	assert_string_equal(did, "PD");
	assert_int_equal(checks, 1);
	assert_int_equal(ended, 1);
}

/* A triple fault stops it, and it alone. */
static void test_triple_fault(void **state)
{
	int how = setjmp(stopped);

	(void)state;
	if (how == 0)
		vms_[1].on_triple_fault(&vcpu[0]);
	assert_int_equal(how, 1);
	idle();
	assert_string_equal(did, "PD");
}

/* Two vCPUs at once, one that resets and one that powers off: the first has it. */
static void test_twice(void **state)
{
	(void)state;
	assert_int_equal(out(0, 0xCF9, 0x0E), 1);
	assert_int_equal(out(1, 0x400, 0x34), 1);
	assert_int_equal(works, 1);
	idle();
	assert_string_equal(did, "PRLS");
}

/* What if the shell is just looking at it, and calls this CPU? It is served, and waited for. */
static void test_looked_at(void **state)
{
	(void)state;
	assert_int_equal(out(0, 0x400, 0x34), 1);
	spin_lock(&vms_[1].lock);
	serves = 3;
	idle();
	assert_int_equal(serves, 0);
	assert_string_equal(did, "PD");
}

/* What if its kernel cannot be loaded again? The VM is gone; nobody else is touched. */
static void test_lost_kernel(void **state)
{
	(void)state;
	load_error = -EFAULT;
	assert_int_equal(out(0, 0xCF9, 0x0E), 1);
	idle();
	assert_string_equal(did, "PRLD");
	assert_int_equal(vms_[0].state, VM_RUNNING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_reset, setup),
		cmocka_unit_test_setup(test_reads, setup),
		cmocka_unit_test_setup(test_power_off, setup),
		cmocka_unit_test_setup(test_triple_fault, setup),
		cmocka_unit_test_setup(test_twice, setup),
		cmocka_unit_test_setup(test_looked_at, setup),
		cmocka_unit_test_setup(test_lost_kernel, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
