// SPDX-License-Identifier: BSD-3-Clause
/*
 * Machine checks: does one end what it hit and nothing else, the VM, the hypervisor, or nobody, and
 * can the next one come?
 */
// links: @machine @guest hypervisor/ext/mce/mce.c tests/fake/fake_report.c
#include <string.h>

#include "fake_report.h"
#include "guest_machine.h"
#include "hv/cpu.h"
#include "hv/vmexit.h"

#define BANKS	4U
#define SER_P	BIT(24)
#define CTL_P	BIT(8)
#define MCG_CTL 0x17BU
#define CTL(n)	(0x400U + 4U * (n))
#define STATUS(n) (CTL(n) + 1U)
#define ADDR(n) (CTL(n) + 2U)
#define RIPV	BIT(0)
#define EIPV	BIT(1)
#define MCIP	BIT(2)
#define VAL	BIT(63)
#define UC_EN	(BIT(61) | BIT(60))
#define ADDRV	BIT(58)
#define PCC	BIT(57)
#define AR	(BIT(56) | BIT(55)) /* signalled, action required */

extern const struct unit __start_hv_units[], __stop_hv_units[];

bool (*exception_expected)(struct intr_frame *f);

static vmexit_fn exception_exit;
static void (*switch_in)(struct thread *t);
static uint32_t passed_on;
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
	passed_on++;
}

void (*vcpu_switch_replace(void (*fn)(struct thread *t)))(struct thread *t)
{
	switch_in = fn;
	return next_switch_in;
}

static void boot(void)
{
	exception_exit = NULL;
	fake_report_reset();
	for (const struct unit *u = __start_hv_units; u < __stop_hv_units; u++) {
		if (strcmp(u->name, "mce") == 0)
			assert_int_equal(u->boot(), 0);
	}
}

static int setup(void **state)
{
	(void)guest_setup(state);
	cpu = test_vcpu(1, 0);
	fake_msr_set(MSR_MCG_CAP, BANKS | SER_P | CTL_P);
	fake_msr_set(MSR_MCG_STATUS, 0);
	fake_msr_set(MCG_CTL, 0);
	for (uint32_t i = 0; i < BANKS; i++) {
		fake_msr_set(CTL(i), 0);
		fake_msr_set(STATUS(i), 0);
		fake_msr_set(ADDR(i), 0xABC000);
	}
	fake_cpuid_set(1, 0, 0x50654, 0, 0, BIT32(7) | BIT32(14));
	boot();
	assert_non_null(exception_exit);
	passed_on = 0;
	return 0;
}

static void in_guest(uint64_t mcg, uint64_t bank2)
{
	fake_msr_set(MSR_MCG_STATUS, mcg | MCIP);
	fake_msr_set(STATUS(2), bank2);
	fake_vmcs[VMCS_EXIT_INTR_INFO] = INTR_INFO_VALID | INTR_TYPE(HW_EXC) | EXC_MC;
	exception_exit(cpu);
	assert_int_equal(fake_msr_get(STATUS(2)), 0);
	assert_int_equal(fake_msr_get(MSR_MCG_STATUS), 0); /* or the next one stops the machine */
}

/* What if the VM's instruction met the error, with and without being able to go on? */
static void test_hits_vm(void **state)
{
	(void)state;
	in_guest(EIPV | RIPV, VAL | UC_EN | AR | ADDRV);
	assert_int_equal(test_triple_faults, 1);
	assert_true(fake_reported("bank 2 status b580000000000000 address abc000"));
	assert_true(fake_reported("hit VM1 vCPU0"));
	in_guest(EIPV, VAL | UC_EN | AR);
	assert_int_equal(test_triple_faults, 2);
	assert_true(fake_reported("status b180000000000000 address 0")); /* none was given */
	in_guest(EIPV | RIPV, 0); /* another processor has emptied the bank already */
	assert_int_equal(test_triple_faults, 3);
	assert_int_equal(passed_on, 0);
}

/* What if it is another processor's, or an error in memory that nobody has used? */
static void test_bystander(void **state)
{
	(void)state;
	in_guest(RIPV, VAL | UC_EN | AR); /* in a bank of two processors */
	in_guest(RIPV, VAL | UC_EN);
	in_guest(RIPV, VAL); /* corrected */
	assert_int_equal(test_triple_faults, 0);
	/* Where banks do not tell what can be recovered from, an uncorrected error is the VM's. */
	fake_msr_set(MSR_MCG_CAP, BANKS);
	in_guest(RIPV, VAL | UC_EN);
	assert_int_equal(test_triple_faults, 1);
	in_guest(RIPV, VAL);
	assert_int_equal(test_triple_faults, 1);
}

/* What if the processor itself is in doubt? */
static void test_processor(void **state)
{
	(void)state;
	fake_vmcs[VMCS_EXIT_INTR_INFO] = INTR_INFO_VALID | INTR_TYPE(HW_EXC) | EXC_MC;
	fake_msr_set(MSR_MCG_STATUS, RIPV);
	fake_msr_set(STATUS(3), VAL | UC_EN | PCC);
	expect_assert_failure(exception_exit(cpu));
	assert_int_equal(test_triple_faults, 0);
	assert_true(fake_reported("bank 3"));
}

/* What if it comes in root mode? */
static void test_root(void **state)
{
	struct intr_frame f = {.vector = EXC_MC};

	(void)state;
	fake_msr_set(MSR_MCG_STATUS, RIPV | MCIP);
	assert_true(exception_expected(&f));
	assert_int_equal(fake_msr_get(MSR_MCG_STATUS), 0);
	fake_msr_set(MSR_MCG_STATUS, RIPV | EIPV);
	assert_false(exception_expected(&f));
	fake_msr_set(MSR_MCG_STATUS, 0);
	assert_false(exception_expected(&f));
	fake_msr_set(MSR_MCG_STATUS, RIPV);
	fake_msr_set(STATUS(0), VAL | PCC);
	assert_false(exception_expected(&f));
	fake_msr_set(MSR_MCG_STATUS, RIPV);
	f.vector = EXC_GP; /* the hypervisor's own mistake, as ever */
	assert_false(exception_expected(&f));
}

/* Do NMIs and other exceptions go on as before? */
static void test_others(void **state)
{
	(void)state;
	fake_vmcs[VMCS_EXIT_INTR_INFO] = INTR_INFO_VALID | INTR_TYPE(HW_EXC) | EXC_AC;
	exception_exit(cpu);
	fake_vmcs[VMCS_EXIT_INTR_INFO] = INTR_INFO_VALID | INTR_TYPE(NMI) | EXC_NMI;
	exception_exit(cpu);
	assert_int_equal(passed_on, 2);
}

/* Is it on, once a processor, and are errors from before the boot only told? */
static void test_switched_on(void **state)
{
	(void)state;
	fake_cr[4] = CR4_VMXE;
	fake_msr_set(STATUS(1), VAL | UC_EN | PCC);
	switch_in(&cpu->thread);
	assert_int_equal(fake_cr[4], CR4_VMXE | CR4_MCE);
	assert_int_equal(fake_msr_get(MCG_CTL), UINT64_MAX);
	assert_int_equal(fake_msr_get(CTL(0)), UINT64_MAX);
	assert_int_equal(fake_msr_get(CTL(3)), UINT64_MAX);
	assert_int_equal(fake_msr_get(STATUS(1)), 0);
	assert_true(fake_reported("CPU 0 bank 1"));
	fake_cr[4] = 0;
	switch_in(&cpu->thread);
	assert_int_equal(fake_cr[4], 0);
	fake_cpu = 1;
	switch_in(&cpu->thread);
	assert_int_equal(fake_cr[4], CR4_MCE);
	assert_int_equal(passed_on, 3);
}

/* What if the processor has no banks? */
static void test_absent(void **state)
{
	(void)state;
	fake_msr_set(MSR_MCG_CAP, 0);
	boot();
	assert_null(exception_exit);
	assert_true(fake_reported("no machine-check banks"));
	fake_cpuid_set(1, 0, 0x50654, 0, 0, BIT32(7));
	boot();
	assert_null(exception_exit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_hits_vm, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(test_bystander, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(test_processor, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(test_root, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(test_others, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(test_switched_on, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(test_absent, setup, guest_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
