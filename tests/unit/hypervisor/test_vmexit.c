// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does each exit reason reach its one handler, and what about those that have none, that no manual
 * knows, and the entries that the processor refused?
 */
// links: hypervisor/guest/vmexit.c @machine
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hv/irq.h"
#include "hv/vcpu.h"
#include "hv/vcpu_loop.h"
#include "hv/vevent.h"
#include "hv/vm.h"
#include "hv/vmexit.h"
#include "fake_machine.h"

static struct vm vm;
static struct vcpu vcpu;
static uint32_t cpuids, uds, vectorings, serves, faults;
static int dispatched;

void vcpu_inject_ud(struct vcpu *v)
{
	assert_ptr_equal(v, &vcpu);
	uds++;
}

void vevent_idt_vectoring(struct vcpu *v)
{
	(void)v;
	vectorings++;
}

void vcpu_loop_serve(struct vcpu *v)
{
	v->requests = 0;
	serves++;
}

void irq_dispatch(uint8_t vector)
{
	dispatched = vector;
}

static void on_fault(struct vcpu *v)
{
	assert_ptr_equal(v, &vcpu);
	faults++;
}

static void cpuid_exit(struct vcpu *v)
{
	assert_ptr_equal(v, &vcpu);
	cpuids++;
}
VMEXIT(EXIT_CPUID, cpuid_exit);

static int setup(void **state)
{
	(void)state;
	fake_machine_reset();
	memset(&vcpu, 0, sizeof(vcpu));
	vm = (struct vm){.on_triple_fault = on_fault};
	vcpu.vm = &vm;
	cpuids = uds = vectorings = serves = faults = 0;
	dispatched = -1;
	vmexit_init();
	return 0;
}

static void exit_with(uint64_t reason)
{
	fake_vmcs[VMCS_EXIT_REASON] = reason;
	vmexit_handle(&vcpu);
}

/* Is the handler called, and the exit counted; and is nothing else done? */
static void test_dispatch(void **state)
{
	(void)state;
	exit_with(EXIT_CPUID);
	exit_with(EXIT_CPUID);
	assert_int_equal(cpuids, 2);
	assert_int_equal(vcpu.exits[EXIT_CPUID], 2);
	assert_int_equal(uds + vectorings + serves + faults, 0);
	assert_int_equal(fake_vmcs_writes, 0);
	fake_vmcs[VMCS_EXIT_INTR_INFO] = INTR_INFO_VALID | 0xE1;
	exit_with(EXIT_EXTERNAL_INTR);
	assert_int_equal(dispatched, 0xE1);
}

/* What if nobody handles it? The guest gets #UD, the log a line, and life goes on. */
static void test_unhandled(void **state)
{
	uint32_t handled = 0;

	(void)state;
	for (uint32_t reason = 0; reason < EXIT_REASONS; reason++) {
		if (reason == EXIT_CPUID || reason == EXIT_EXTERNAL_INTR) {
			handled++;
			continue;
		}
		exit_with(reason);
		assert_int_equal(uds, reason + 1 - handled);
		assert_int_equal(fake_log_lines, uds);
		assert_int_equal(vcpu.exits[reason], 1);
	}
	assert_int_equal(faults, 0);
}

/* What if the reason is beyond all known ones, or says that the entry failed? The VM is over. */
static void test_refused(void **state)
{
	static const uint64_t reasons[] = {EXIT_REASONS, 0xFFFF, 0x80000021, 0x80000022, 0xFFFFFFFF};

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		(void)setup(state);
		exit_with(reasons[i]);
		assert_int_equal(faults, 1);
		assert_int_equal(uds + cpuids, 0);
		assert_true(strstr(fake_log_last, "VM entry refused") != NULL);
	}
}

/* Which exits can cut the delivery of an event? For those it is looked at first. */
static void test_vectoring(void **state)
{
	(void)state;
	for (uint32_t reason = 0; reason < EXIT_REASONS; reason++) {
		uint32_t before = vectorings;
		bool may = reason == EXIT_EXCEPTION_NMI || reason == EXIT_TASK_SWITCH ||
			   reason == EXIT_APIC_ACCESS || reason == EXIT_EPT_VIOLATION ||
			   reason == EXIT_EPT_MISCONFIG || reason == EXIT_PML_FULL;

		exit_with(reason);
		assert_int_equal(vectorings - before, may ? 1 : 0);
	}
}

/* Are requests looked at after the handler, and only if there are any? */
static void test_requests(void **state)
{
	(void)state;
	exit_with(EXIT_CPUID);
	assert_int_equal(serves, 0);
	vcpu.requests = REQ_EVENT;
	exit_with(EXIT_CPUID);
	assert_int_equal(serves, 1);
}

/* What if an extension takes a reason over? It learns who had it before, to pass on what is not its. */
static void test_replace(void **state)
{
	vmexit_fn old;

	(void)state;
	old = vmexit_replace(EXIT_CPUID, on_fault);
	assert_ptr_equal(old, cpuid_exit);
	exit_with(EXIT_CPUID);
	assert_int_equal(faults, 1);
	assert_int_equal(cpuids, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_dispatch, setup),
		cmocka_unit_test_setup(test_unhandled, setup),
		cmocka_unit_test_setup(test_refused, setup),
		cmocka_unit_test_setup(test_vectoring, setup),
		cmocka_unit_test_setup(test_requests, setup),
		cmocka_unit_test_setup(test_replace, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
