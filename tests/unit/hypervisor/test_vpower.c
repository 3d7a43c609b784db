// SPDX-License-Identifier: BSD-3-Clause
// links: hypervisor/guest/vpower.c hypervisor/service_vm/power.c hypervisor/guest/unit.c @machine tests/fake/fake_report.c
/*
 * Power-off and reset by the VM that owns the machine: what reaches the ports, and what does not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "asm/insn.h"
#include "fake_machine.h"
#include "fake_report.h"
#include "hv/acpi.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "hv/vmcs.h"
#include "lib/errno.h"
#include "config.h"

#define PM1A 0xB004U

static uint32_t checks;

static void check(struct vm *held)
{
	assert_null(held);
	checks++;
}

void (*vm_check)(struct vm *held) = check;
struct acpi_facts acpi_facts;

static struct vm vms_[CONFIG_MAX_VM_NUM];
static struct vcpu vcpu = {.vm = &vms_[0]};
static struct {
	uint16_t port, count;
	io_handler_t fn;
	void *arg;
} claims[8];
static uint32_t claim_count, claim_fail_at, writes, vmx_off;
static struct {
	uint16_t port;
	uint32_t width, val;
} last, first;
static uint16_t off_at; /* a write here is the last, 0: none */
static jmp_buf stopped;

struct vm *vm_by_id(uint16_t id)
{
	return id < CONFIG_MAX_VM_NUM ? &vms_[id] : NULL;
}

int vio_add_pio(struct vm *vm, uint16_t base, uint16_t count, io_handler_t fn, void *arg)
{
	assert_ptr_equal(vm, &vms_[0]);
	if (++claim_count == claim_fail_at)
		return -EEXIST;
	claims[claim_count - 1].port = base;
	claims[claim_count - 1].count = count;
	claims[claim_count - 1].fn = fn;
	claims[claim_count - 1].arg = arg;
	return 0;
}

void vmx_disable_pcpu(void)
{
	vmx_off++;
}

void vm_stop(struct vcpu *v)
{
	v->vm->state = VM_PAUSED;
	longjmp(stopped, 2);
}

static uint32_t ports(uint16_t port, uint32_t width, bool write, uint32_t val)
{
	if (!write)
		return 0x1234;
	last.port = port;
	last.width = width;
	last.val = val;
	if (writes++ == 0)
		first = last;
	if (port == off_at)
		longjmp(stopped, 3);
	/* the last resort has been tried: the machine is gone */
	if (port == 0x64 && val == 0xFE)
		longjmp(stopped, 1);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	fake_machine_reset();
	fake_report_reset();
	fake_pio_hook(0, 0xFFFF, ports);
	memset(vms_, 0, sizeof(vms_));
	memset(claims, 0, sizeof(claims));
	off_at = 0;
	claim_count = claim_fail_at = writes = vmx_off = checks = 0;
	for (uint16_t i = 0; i < CONFIG_MAX_VM_NUM; i++)
		vms_[i].id = i;
	vms_[0].load_order = SERVICE_VM;
	vms_[0].severity = SEVERITY_SERVICE_VM;
	vms_[0].state = VM_RUNNING;
	strcpy(vms_[0].name, "Service");
	acpi_facts = (struct acpi_facts){.pm1a_cnt = PM1A, .reset_port = 0xCF9, .reset_value = 6,
					 .s5_typ = 7};
	assert_int_equal(unit_vm_init(&vms_[0]), 0);
	return 0;
}

/* 0: it went on, 1: the machine was reset by every means, 2: the VM ended. */
static int access(bool write, uint8_t width, uint16_t port, uint64_t *value)
{
	struct io_access io = {.kind = IO_PIO, .write = write, .width = width, .addr = port,
			       .value = *value};
	int how = setjmp(stopped);

	if (how != 0)
		return how;
	for (uint32_t i = 0; i < claim_count; i++) {
		if (port >= claims[i].port && port < claims[i].port + claims[i].count) {
			claims[i].fn(&vcpu, claims[i].arg, &io);
			*value = io.value;
			return 0;
		}
	}
	fail_msg("port 0x%x is not claimed", port);
	return -1;
}

static int put(uint8_t width, uint16_t port, uint64_t value)
{
	return access(true, width, port, &value);
}

/* Everything that is no power-off passes: reads, SCI_EN, other commands, of any width. */
static void test_pass(void **state)
{
	uint64_t v = 0;

	(void)state;
	assert_int_equal(access(false, 2, PM1A, &v), 0);
	assert_int_equal(v, 0x1234);
	assert_int_equal(put(2, PM1A, 1), 0);
	assert_int_equal(last.port, PM1A);
	assert_int_equal(last.width, 2);
	assert_int_equal(put(1, 0x64, 0xAE), 0);
	assert_int_equal(last.val, 0xAE);
	assert_int_equal(put(1, 0xCF9, 2), 0);
	assert_int_equal(last.port, 0xCF9);
	assert_int_equal(writes, 3);
	assert_int_equal(fake_report_lines, 0);
}

/* S5 reaches the machine, by the word or by its high byte; other sleep states do not. And does the
 * checker look before? */
static void test_sleep(void **state)
{
	(void)state;
	assert_int_equal(put(2, PM1A, (1U << 13) | (7U << 10) | 1U), 0);
	assert_int_equal(last.val, (1U << 13) | (7U << 10) | 1U);
	assert_int_equal(put(1, PM1A + 1, (1U << 5) | (7U << 2)), 0);
	assert_int_equal(last.port, PM1A + 1);
	assert_int_equal(writes, 2);
	assert_int_equal(checks, 2);
	assert_true(fake_reported("powers the machine off"));
	assert_int_equal(put(2, PM1A, (1U << 13) | (5U << 10)), 0);
	assert_int_equal(put(1, PM1A + 1, 1U << 5), 0);
	assert_int_equal(writes, 2);
	assert_int_equal(fake_log_lines, 2);
	/* a firmware that does not tell its S5: believe the guest */
	acpi_facts.s5_typ = 0xFF;
	assert_int_equal(put(2, PM1A, (1U << 13) | (5U << 10)), 0);
	assert_int_equal(writes, 3);
}

/* A reset is a full one, out of VMX: the keyboard controller's pulse comes last. */
static void test_reset(void **state)
{
	(void)state;
	assert_int_equal(put(1, 0x64, 0xFE), 1);
	assert_int_equal(first.port, 0xCF9);
	assert_int_equal(first.val, 6);
	assert_int_equal(checks, 1);
	assert_int_equal(last.port, 0x64);
	assert_int_equal(vmx_off, 1);
	writes = 0;
	assert_int_equal(put(1, 0xCF9, 0x0E), 1);
	assert_int_equal(first.port, 0xCF9);
	assert_int_equal(first.val, 0x0E);
	assert_true(fake_reported("Service resets the machine"));
}

/* A reset register of the FADT somewhere else is claimed, and only its value resets. */
static void test_fadt_reset(void **state)
{
	(void)state;
	memset(claims, 0, sizeof(claims));
	claim_count = 0;
	acpi_facts.reset_port = 0x92;
	acpi_facts.reset_value = 1;
	assert_int_equal(unit_vm_init(&vms_[0]), 0);
	assert_int_equal(put(1, 0x92, 2), 0);
	writes = 0;
	assert_int_equal(put(1, 0x92, 1), 1);
	assert_int_equal(first.port, 0x92);
	assert_int_equal(first.val, 1);
}

static void test_triple_fault(void **state)
{
	int how;

	(void)state;
	how = setjmp(stopped);
	if (how == 0)
		vms_[0].on_triple_fault(&vcpu);
	assert_int_equal(how, 1);
	assert_int_equal(vmx_off, 1);
}

/* While a VM of higher severity lives, the Service VM ends alone, whatever it tries. */
static void test_protected(void **state)
{
	int how;

	(void)state;
	vms_[3].state = VM_RUNNING;
	vms_[3].severity = SEVERITY_SAFETY_VM;
	assert_int_equal(put(1, 0x64, 0xFE), 2);
	assert_int_equal(vms_[0].state, VM_PAUSED);
	assert_int_equal(put(1, 0xCF9, 6), 2);
	assert_int_equal(put(2, PM1A, (1U << 13) | (7U << 10)), 2);
	how = setjmp(stopped);
	if (how == 0)
		vms_[0].on_triple_fault(&vcpu);
	assert_int_equal(how, 2);
	assert_int_equal(writes, 0);
	/* one that starts before the Service VM and is being reset is no less there */
	vms_[3].load_order = PRE_LAUNCHED_VM;
	vms_[3].state = VM_PAUSED;
	assert_int_equal(put(1, 0x64, 0xFE), 2);
	vms_[3].state = VM_RUNNING;
	/* one of lower severity is no reason */
	vms_[3].severity = SEVERITY_STANDARD_VM;
	assert_int_equal(put(1, 0x64, 0xFE), 1);
}

static int other_ends(void)
{
	int how = setjmp(stopped);

	if (how == 0)
		vm_ended();
	return how;
}

/* Nobody wants anything: nothing is done. Before any test in which somebody does. */
static void test_no_wish(void **state)
{
	(void)state;
	assert_int_equal(other_ends(), 0);
	assert_int_equal(writes, 0);
}

/* Nobody wants anything, and the last VM has ended: the machine is powered off. */
static void test_last(void **state)
{
	(void)state;
	off_at = PM1A;
	vms_[0].state = VM_POWERED_OFF;
	vms_[3].load_order = PRE_LAUNCHED_VM;
	vms_[3].state = VM_PAUSED; /* it is being reset */
	assert_int_equal(other_ends(), 0);
	vms_[3].state = VM_POWERED_OFF;
	assert_int_equal(other_ends(), 3);
	assert_int_equal(last.val, (1U << 13) | ((uint32_t)acpi_facts.s5_typ << 10));
	assert_true(fake_reported("all VMs have ended"));
}

/* When the VM of higher severity has ended too, what the Service VM wanted is done. */
static void test_afterwards(void **state)
{
	(void)state;
	vms_[3].load_order = POST_LAUNCHED_VM;
	vms_[3].state = VM_RUNNING;
	vms_[3].severity = SEVERITY_RTVM;
	assert_int_equal(put(1, 0xCF9, 6), 2);
	assert_int_equal(other_ends(), 0);
	assert_int_equal(writes, 0);
	vms_[3].state = VM_READY_TO_POWEROFF;
	assert_int_equal(other_ends(), 1);
	assert_true(fake_reported("Service resets the machine"));
	writes = 0;
	vms_[3].state = VM_RUNNING;
	assert_int_equal(put(2, PM1A, (1U << 13) | (7U << 10)), 2);
	vms_[3].state = VM_PAUSED;
	assert_int_equal(other_ends(), 0);
	assert_int_equal(writes, 1);
	assert_int_equal(first.port, PM1A);
	assert_int_equal(first.val, (1U << 13) | (7U << 10));
	assert_true(fake_reported("Service powers the machine off"));
}

/*
 * Other VMs have no say: nothing of theirs is claimed. A port of our own that is taken fails the
 * creation; one that the firmware names costs a line.
 */
static void test_creation(void **state)
{
	(void)state;
	claim_count = 0;
	assert_int_equal(unit_vm_init(&vms_[1]), 0);
	assert_int_equal(claim_count, 0);
	claim_fail_at = 2;
	assert_int_equal(unit_vm_init(&vms_[0]), -EEXIST);
	claim_count = 0;
	claim_fail_at = 3;
	assert_int_equal(unit_vm_init(&vms_[0]), 0);
	assert_true(fake_reported("port 0xb004 of the FADT is in use"));
}

static int group_setup(void **state)
{
	(void)state;
	fake_machine_reset();
	return unit_boot();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_no_wish, setup),
		cmocka_unit_test_setup(test_last, setup),
		cmocka_unit_test_setup(test_pass, setup),
		cmocka_unit_test_setup(test_sleep, setup),
		cmocka_unit_test_setup(test_reset, setup),
		cmocka_unit_test_setup(test_fadt_reset, setup),
		cmocka_unit_test_setup(test_triple_fault, setup),
		cmocka_unit_test_setup(test_protected, setup),
		cmocka_unit_test_setup(test_afterwards, setup),
		cmocka_unit_test_setup(test_creation, setup),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
