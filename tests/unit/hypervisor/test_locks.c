// SPDX-License-Identifier: BSD-3-Clause
/*
 * Locks that stop all processors: is one done, alone and with a rest behind it, and does the guest
 * get the faults that are its own?
 */
// links: @machine @guest hypervisor/ext/locks/locks.c tests/fake/fake_report.c
#include <string.h>

#include "fake_report.h"
#include "guest_machine.h"
#include "hv/timer.h"
#include "hv/vmexit.h"

#define TEST_CTRL 0x33U
#define CORE_CAPS 0xCFU
#define PROC_CTRLS MSR_VMX_PROCBASED
#define UC	  BIT(28)
#define SPLIT	  BIT(29)
#define FIRMWARES BIT(0) /* of the register, and to be left alone */
#define CAPS_UC	  BIT(4)
#define CAPS_SPLIT BIT(5)

extern const struct unit __start_hv_units[], __stop_hv_units[];

/* The generated table, which the hypervisor never changes, and each test does. */
extern struct locks_config wanted __asm__("locks_config");
struct locks_config wanted;

static vmexit_fn exception_exit;
static void (*switch_in)(struct thread *t);
static uint32_t passed_on, switched, blocked, woken;
static struct timer *armed, *last;
static struct vcpu *cpu;

static void next_handler(struct vcpu *vcpu)
{
	(void)vcpu;
	passed_on++;
}

vmexit_fn vmexit_replace(uint32_t reason, vmexit_fn fn)
{
	assert_int_equal(reason, EXIT_EXCEPTION_NMI);
	exception_exit = fn;
	return next_handler;
}

static void next_switch_in(struct thread *t)
{
	(void)t;
	switched++;
}

void (*vcpu_switch_replace(void (*fn)(struct thread *t)))(struct thread *t)
{
	switch_in = fn;
	return next_switch_in;
}

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	t->fn = fn;
}

void timer_arm(struct timer *t, uint64_t deadline)
{
	t->deadline = deadline;
	armed = last = t;
}

void timer_cancel(struct timer *t)
{
	if (armed == t)
		armed = NULL;
}

bool timer_armed(const struct timer *t)
{
	return armed == t;
}

/* The first return is spurious; the second is the timer's. */
void sched_block(void)
{
	if (++blocked % 2U == 0U) {
		struct timer *t = armed;

		armed = NULL;
		t->fn(t);
	}
}

void sched_wake(struct thread *t)
{
	assert_ptr_equal(t, &cpu->thread);
	woken++;
}

static void start(bool split, bool uncached, uint64_t caps)
{
	exception_exit = NULL;
	switch_in = NULL;
	wanted = (struct locks_config){.split = split, .uncached = uncached};
	fake_msr_set(CORE_CAPS, caps);
	fake_report_reset();
	for (const struct unit *u = __start_hv_units; u < __stop_hv_units; u++) {
		if (strcmp(u->name, "locks") == 0)
			assert_int_equal(u->boot(), 0);
	}
}

static int setup(void **state)
{
	wanted = (struct locks_config){0};
	(void)guest_setup(state);
	cpu = test_vcpu(1, 0);
	fake_cpuid_set(7, 0, 1, 0, 0, BIT32(30));
	fake_msr_set(TEST_CTRL, FIRMWARES);
	fake_msr_set(PROC_CTRLS, UINT64_MAX);
	armed = NULL;
	passed_on = switched = blocked = woken = 0;
	return 0;
}

static void fault(struct vcpu *vcpu, uint8_t vector, uint32_t error)
{
	fake_vmcs[VMCS_EXIT_INTR_INFO] =
		INTR_INFO_VALID | INTR_INFO_ERROR_CODE | INTR_TYPE(HW_EXC) | vector;
	fake_vmcs[VMCS_EXIT_ERROR_CODE] = error;
	exception_exit(vcpu);
}

static bool steps(void)
{
	return (fake_vmcs[VMCS_PROC_CTRL] & PROC_MTF) != 0U;
}

/* Is a split lock done in one step, detection on before and after it, and the vCPU at rest then? */
static void test_split(void **state)
{
	(void)state;
	start(true, false, CAPS_SPLIT | CAPS_UC);
	assert_string_equal(fake_report_text, "");
	switch_in(&cpu->thread);
	assert_int_equal(fake_msr_get(TEST_CTRL), FIRMWARES | SPLIT);
	fault(cpu, EXC_AC, 0);
	assert_true(steps());
	assert_int_equal(fake_msr_get(TEST_CTRL), FIRMWARES);
	assert_int_equal(passed_on, 0);
	test_exit(cpu, EXIT_MTF);
	assert_false(steps());
	assert_int_equal(fake_msr_get(TEST_CTRL), FIRMWARES | SPLIT);
	assert_int_equal(blocked, 2);
	assert_int_equal(woken, 1);
	assert_int_equal(fake_log_lines, 1);
	assert_non_null(strstr(fake_log_last, "VM1 vCPU0: a lock"));
	fault(cpu, EXC_AC, 0);
	test_exit(cpu, EXIT_MTF);
	assert_int_equal(fake_log_lines, 1); /* told once */
	assert_int_equal(passed_on, 0);
}

/* What if a program asked for alignment checks? */
static void test_own_faults(void **state)
{
	(void)state;
	start(true, false, CAPS_SPLIT);
	switch_in(&cpu->thread);
	fault(cpu, EXC_AC, 0);
	fault(cpu, EXC_AC, 0); /* with detection off as well */
	assert_int_equal(passed_on, 1);
	assert_false(steps());
	assert_int_equal(fake_msr_get(TEST_CTRL), FIRMWARES | SPLIT);
	fault(cpu, EXC_GP, 0);
	assert_int_equal(passed_on, 2);
	fault(cpu, EXC_DB, 0);
	assert_int_equal(passed_on, 3);
	fake_vmcs[VMCS_EXIT_INTR_INFO] = INTR_INFO_VALID | INTR_TYPE(NMI) | EXC_NMI;
	exception_exit(cpu);
	assert_int_equal(passed_on, 4);
	assert_false(steps());
	/* An NMI in a step leaves that as it is. */
	fault(cpu, EXC_AC, 0);
	fake_vmcs[VMCS_EXIT_INTR_INFO] = INTR_INFO_VALID | INTR_TYPE(NMI) | EXC_NMI;
	exception_exit(cpu);
	assert_int_equal(passed_on, 5);
	assert_true(steps());
	test_exit(cpu, EXIT_MTF);
	assert_int_equal(blocked, 2);
}

/* What if locks on uncached memory are looked for: do #GP exit, and those with a selector go on? */
static void test_uncached(void **state)
{
	(void)state;
	start(true, true, CAPS_SPLIT | CAPS_UC);
	unit_vcpu_reset(cpu);
	assert_true((fake_vmcs[VMCS_EXCEPTION_BITMAP] & BIT32(EXC_GP)) != 0U);
	assert_true((fake_vmcs[VMCS_EXCEPTION_BITMAP] & BIT32(EXC_AC)) != 0U);
	switch_in(&cpu->thread);
	assert_int_equal(fake_msr_get(TEST_CTRL), FIRMWARES | SPLIT | UC);
	fault(cpu, EXC_GP, 0x10);
	assert_int_equal(passed_on, 1);
	fault(cpu, EXC_GP, 0);
	assert_true(steps());
	fault(cpu, EXC_GP, 0);
	assert_int_equal(passed_on, 2);
	assert_false(steps());
}

/* What if another vCPU comes to run between the fault and its step? */
static void test_switched(void **state)
{
	struct vcpu *other = test_vcpu(0, 0);

	(void)state;
	start(true, false, CAPS_SPLIT);
	switch_in(&cpu->thread);
	fault(cpu, EXC_AC, 0);
	switch_in(&other->thread);
	assert_int_equal(fake_msr_get(TEST_CTRL), FIRMWARES | SPLIT);
	switch_in(&cpu->thread);
	assert_int_equal(fake_msr_get(TEST_CTRL), FIRMWARES);
	test_exit(cpu, EXIT_MTF);
	assert_int_equal(fake_msr_get(TEST_CTRL), FIRMWARES | SPLIT);
	assert_int_equal(switched, 3);
}

/* What if the vCPU is reset in its step, or goes away while it rests? */
static void test_ends(void **state)
{
	struct timer *t;

	(void)state;
	start(true, false, CAPS_SPLIT);
	switch_in(&cpu->thread);
	fault(cpu, EXC_AC, 0);
	cpu->proc_ctrl &= ~PROC_MTF; /* by vmcs_init() */
	unit_vcpu_reset(cpu);
	assert_int_equal(fake_msr_get(TEST_CTRL), FIRMWARES | SPLIT);
	blocked = 1; /* the next return is the timer's */
	fault(cpu, EXC_AC, 0);
	test_exit(cpu, EXIT_MTF);
	t = last;
	assert_int_equal(t->deadline - fake_tsc, us_to_tsc(1000));
	timer_arm(t, 1); /* its thread was frozen and forgotten */
	unit_vcpu_reset(cpu);
	assert_null(armed);
	timer_arm(t, 1);
	unit_vcpu_deinit(cpu);
	assert_null(armed);
	assert_int_equal(unit_vcpu_init(cpu), 0);
}

/* What if the VM has its LAPIC, and so the timer, for itself? */
static void test_owned_lapic(void **state)
{
	(void)state;
	start(true, false, CAPS_SPLIT);
	switch_in(&cpu->thread);
	cpu->vm->flags |= GUEST_FLAG_LAPIC_PASSTHROUGH;
	fault(cpu, EXC_AC, 0);
	test_exit(cpu, EXIT_MTF);
	assert_int_equal(blocked, 0);
	assert_null(armed);
}

/* What if the processor has not all of it, or none, or cannot step? */
static void test_absent(void **state)
{
	(void)state;
	start(true, true, CAPS_SPLIT);
	assert_true(fake_reported("does not detect uncached locks"));
	assert_non_null(switch_in);
	start(true, false, CAPS_UC);
	assert_true(fake_reported("does not detect split locks"));
	assert_null(switch_in);
	fake_msr_set(PROC_CTRLS, ~((uint64_t)PROC_MTF << 32));
	start(true, false, CAPS_SPLIT);
	assert_null(switch_in);
	fake_cpuid_set(7, 0, 1, 0, 0, 0);
	start(true, false, CAPS_SPLIT);
	assert_null(switch_in);
	start(false, false, CAPS_SPLIT);
	assert_string_equal(fake_report_text, "");
}

/* What if a guest looks for it? */
static void test_hidden(void **state)
{
	uint64_t val;

	(void)state;
	start(true, false, CAPS_SPLIT);
	assert_int_equal(vmsr_read(cpu, TEST_CTRL, &val), -EINVAL);
	assert_int_equal(vmsr_write(cpu, TEST_CTRL, SPLIT), -EINVAL);
	assert_int_equal(vmsr_read(cpu, CORE_CAPS, &val), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_split, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(test_own_faults, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(test_uncached, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(test_switched, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(test_ends, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(test_owned_lapic, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(test_absent, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(test_hidden, setup, guest_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
