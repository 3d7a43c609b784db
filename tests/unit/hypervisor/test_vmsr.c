// SPDX-License-Identifier: BSD-3-Clause
/*
 * MSRs of guests: the bitmap computed from the registrations, the emulated ones, #GP for the rest,
 * and that no MSR is touched which the processor lacks (every tear-down checks that).
 */
/* links: @machine @guest */
#include "guest_machine.h"
#include "hv/vcr.h"

static int get(struct vcpu *c, uint32_t msr, uint64_t *val)
{
	return vmsr_read(c, msr, val);
}

static uint64_t value(struct vcpu *c, uint32_t msr)
{
	uint64_t v = 0;

	assert_int_equal(vmsr_read(c, msr, &v), 0);
	return v;
}

/* Registers the guest uses without an exit, both ways; and some that must exit. */
static void test_bitmap(void **state)
{
	static const uint32_t open[] = {MSR_SYSENTER_CS, MSR_SYSENTER_EIP, MSR_FS_BASE,
					MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_SPEC_CTRL};
	static const uint32_t readable[] = {MSR_TSC_AUX};
	static const uint32_t closed[] = {0, MSR_APIC_BASE, MSR_FEATURE_CONTROL, MSR_EFER, MSR_PAT,
					  MSR_VMX_BASIC, 0x1FFF, 0xC0000105, 0xC0001FFF, MSR_XSS,
					  MSR_MISC_ENABLE, MSR_DEBUGCTL, MSR_TSC_ADJUST,
					  MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_FMASK};
	const struct vm *vm = test_vm(1);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(open); i++) {
		assert_false(msr_exits(vm, open[i], false));
		assert_false(msr_exits(vm, open[i], true));
	}
	for (size_t i = 0; i < ARRAY_SIZE(readable); i++) {
		assert_false(msr_exits(vm, readable[i], false));
		assert_true(msr_exits(vm, readable[i], true));
	}
	for (size_t i = 0; i < ARRAY_SIZE(closed); i++) {
		assert_true(msr_exits(vm, closed[i], false));
		assert_true(msr_exits(vm, closed[i], true));
	}
	assert_false(msr_exits(vm, MSR_TSC, false));
	assert_true(msr_exits(vm, MSR_TSC, true));
	assert_true(msr_exits(vm, MSR_PRED_CMD, false));
	assert_false(msr_exits(vm, MSR_PRED_CMD, true));
}

/* Does a change for one VM leave the other alone, and may it be undone? */
static void test_intercept(void **state)
{
	(void)state;
	vmsr_intercept(test_vm(1), 0x808, false, true);
	assert_false(msr_exits(test_vm(1), 0x808, false));
	assert_true(msr_exits(test_vm(1), 0x808, true));
	assert_true(msr_exits(test_vm(0), 0x808, false));
	vmsr_intercept(test_vm(1), 0x808, true, true);
	assert_true(msr_exits(test_vm(1), 0x808, false));
	vmsr_intercept(test_vm(1), MSR_STAR, true, false);
	assert_true(msr_exits(test_vm(1), MSR_STAR, false));
	assert_false(msr_exits(test_vm(1), MSR_STAR, true));
}

/* The exits: EDX:EAX in and out with upper halves cleared; #GP leaves registers and RIP. */
static void test_exits(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	fake_vmcs[VMCS_EXIT_INSN_LEN] = 2;
	c->gpr[GPR_RCX] = 0xFFFFFFFF00000000UL | MSR_PAT;
	c->gpr[GPR_RAX] = c->gpr[GPR_RDX] = UINT64_MAX;
	test_exit(c, EXIT_RDMSR);
	assert_int_equal(c->gpr[GPR_RAX], (uint32_t)PAT_POWER_ON);
	assert_int_equal(c->gpr[GPR_RDX], PAT_POWER_ON >> 32);
	expect_skip(2);
	c->gpr[GPR_RAX] = 0xFFFFFFFF00000606UL;
	c->gpr[GPR_RDX] = 0xFFFFFFFF06060606UL;
	test_exit(c, EXIT_WRMSR);
	expect_skip(2);
	assert_int_equal(value(c, MSR_PAT), 0x0606060600000606UL);
	c->gpr[GPR_RCX] = MSR_VMX_BASIC;
	test_exit(c, EXIT_RDMSR);
	expect_exception(c, EXC_GP, 0);
	assert_int_equal(c->gpr[GPR_RAX], 0xFFFFFFFF00000606UL);
	test_exit(c, EXIT_WRMSR);
	expect_exception(c, EXC_GP, 0);
}

/* Numbers nobody registered, at the windows' edges and far outside. */
static void test_unknown(void **state)
{
	static const uint32_t unknown[] = {0, 0xE7, 0xE8, 0x33, 0x140, 0x480, 0xFFF, 0x1000, 0x1FFF,
					   0x2000, 0x40000000, 0xBFFFFFFF, 0xC0000000, 0xC00001FF,
					   0xC0000200, 0xC0010015, UINT32_MAX, MSR_UMWAIT_CONTROL,
					   MSR_THERM_STATUS};
	struct vcpu *c = test_vcpu(1, 0);
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		assert_int_equal(get(c, unknown[i], &v), -EINVAL);
		assert_int_equal(vmsr_write(c, unknown[i], 0), -EINVAL);
	}
}

/* Small ones: what they read, and whether 0 and all-ones may be written. */
static const struct {
	uint32_t msr;
	uint64_t reads;
	int write_zero, write_ones;
} small[] = {
	{MSR_PLATFORM_ID, 0, -EINVAL, -EINVAL},
	{MSR_FEATURE_CONTROL, 1, -EINVAL, -EINVAL},
	{MSR_BIOS_SIGN_ID, 1UL << 32, 0, 0},
	{MSR_PLATFORM_INFO, 10UL << 8, -EINVAL, -EINVAL},
	{MSR_MCG_CAP, 0, -EINVAL, -EINVAL},
	{MSR_MCG_STATUS, 0, 0, -EINVAL},
	{MSR_PERF_STATUS, 10UL << 8, -EINVAL, -EINVAL},
	{MSR_PERF_CTL, 10UL << 8, 0, 0},
	{MSR_DEBUGCTL, 0, 0, -EINVAL},
	{MSR_XSS, 0, 0, -EINVAL},
	{MSR_MISC_ENABLE, 0x1801, 0, 0},
	{MSR_EFER, 0xD00, -EINVAL, -EINVAL}, /* in long mode LME stays */
};

static void test_small(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(small); i++) {
		if (value(c, small[i].msr) != small[i].reads)
			fail_msg("MSR %x reads %lx", small[i].msr, value(c, small[i].msr));
		assert_int_equal(vmsr_write(c, small[i].msr, 0), small[i].write_zero);
		assert_int_equal(vmsr_write(c, small[i].msr, UINT64_MAX), small[i].write_ones);
	}
	assert_int_equal(vmsr_write(c, MSR_BIOS_UPDT_TRIG, 0x1000), 0);
	assert_int_equal(value(c, MSR_MISC_ENABLE), 0x1801);
	assert_int_equal(vmsr_write(c, MSR_DEBUGCTL, 2), 0); /* BTF */
	assert_int_equal(vmcs_read(VMCS_GUEST_DEBUGCTL), 2);
}

/* TSC and TSC_ADJUST move each other, and the offset of this vCPU alone. */
static void test_tsc(void **state)
{
	struct vcpu *c = test_vcpu(1, 0), *other = test_vcpu(1, 1);

	(void)state;
	fake_tsc = 5000;
	fake_tsc_step = 0;
	assert_int_equal(vmsr_write(c, MSR_TSC_ADJUST, 100), 0);
	assert_int_equal(c->tsc_offset, 100);
	assert_int_equal(vmcs_read(VMCS_TSC_OFFSET), 100);
	assert_int_equal(vmsr_write(c, MSR_TSC, 6000), 0); /* it was 5100 */
	assert_int_equal(c->tsc_offset, 1000);
	assert_int_equal(value(c, MSR_TSC_ADJUST), 1000);
	assert_int_equal(vmsr_write(c, MSR_TSC_ADJUST, 0), 0);
	assert_int_equal(c->tsc_offset, 0);
	assert_int_equal(vmsr_write(c, MSR_TSC, 0), 0); /* backwards */
	assert_int_equal(c->tsc_offset, -5000UL);
	assert_int_equal(value(c, MSR_TSC_ADJUST), -5000UL);
	assert_int_equal(other->tsc_offset, 0);
	assert_int_equal(value(other, MSR_TSC_ADJUST), 0);
}

/* An INIT keeps the time stamp counter and its adjustment; a reset of the VM does not. */
static void test_tsc_over_reset(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	assert_int_equal(vmsr_write(c, MSR_TSC_ADJUST, 100), 0);
	assert_int_equal(vmsr_write(c, MSR_PAT, 0), 0);
	unit_vcpu_reset(c);
	assert_int_equal(value(c, MSR_TSC_ADJUST), 100);
	assert_int_equal(vmcs_read(VMCS_TSC_OFFSET), 100);
	assert_int_equal(value(c, MSR_PAT), PAT_POWER_ON);
	unit_vm_reset(test_vm(1));
	unit_vcpu_reset(c);
	assert_int_equal(value(c, MSR_TSC_ADJUST), 0);
	assert_int_equal(vmcs_read(VMCS_TSC_OFFSET), 0);
}

/* Does the guest see promises only, and not the control registers they come with? */
static void test_arch_capabilities(void **state)
{
	uint64_t v = value(test_vcpu(1, 0), MSR_ARCH_CAPABILITIES);

	(void)state;
	assert_int_equal(v & (BIT(7) | BIT(9) | BIT(10) | BIT(11) | BIT(18) | BIT(21) | BIT(23)), 0);
	assert_int_equal(v & (BIT(0) | BIT(5) | BIT(8) | BIT(26)), BIT(0) | BIT(5) | BIT(8) | BIT(26));
	assert_int_equal(vmsr_write(test_vcpu(1, 0), MSR_ARCH_CAPABILITIES, v), -EINVAL);
}

/* A processor without SPEC_CTRL and its like: #GP for the guest, and never touched by us. */
static void test_absent_registers(void **state)
{
	static const enum cpu_cap without[] = {CAP_RDTSCP, CAP_XSAVES, CAP_COUNT};
	struct vcpu *c = test_vcpu(1, 0);
	uint64_t v;

	(void)state;
	guest_start(without);
	guest_stop();
	fake_machine_reset(); /* no MSR exists now */
	fake_msr_set(MSR_STAR, 0);
	fake_msr_set(MSR_LSTAR, 0);
	fake_msr_set(MSR_CSTAR, 0);
	fake_msr_set(MSR_FMASK, 0);
	fake_msr_set(MSR_KERNEL_GS_BASE, 0);
	assert_int_equal(unit_boot(), 0);
	assert_int_equal(unit_vm_init(test_vm(1)), 0);
	assert_int_equal(unit_vcpu_init(c), 0);
	unit_vcpu_reset(c);
	vmsr_switch(NULL, c);
	vmsr_switch(c, c);
	assert_true(msr_exits(test_vm(1), MSR_SPEC_CTRL, true));
	assert_true(msr_exits(test_vm(1), MSR_TSC_AUX, false));
	assert_int_equal(get(c, MSR_ARCH_CAPABILITIES, &v), -EINVAL);
	assert_int_equal(get(c, MSR_XSS, &v), -EINVAL);
	unit_vcpu_deinit(c);
	unit_vm_deinit(test_vm(1));
	assert_int_equal(fake_msr_gp, 0);
}

/* Two vCPUs on one CPU: each finds its own values after the switch. */
static void test_switch(void **state)
{
	struct vcpu *a = test_vcpu(0, 0), *b = test_vcpu(1, 0);

	(void)state;
	vmsr_switch(NULL, a);
	vmsr_syscall_on(a);
	vmsr_syscall_on(b);
	vmsr_switch(b, a);
	assert_int_equal(vmsr_write(a, MSR_LSTAR, 0x1111), 0);
	assert_int_equal(vmsr_write(a, MSR_TSC_AUX, 7), 0);
	msr_write(MSR_KERNEL_GS_BASE, 0x2222);
	msr_write(MSR_SPEC_CTRL, 1);
	vmsr_switch(a, b);
	assert_int_equal(msr_read(MSR_LSTAR), 0);
	assert_int_equal(msr_read(MSR_TSC_AUX), 0);
	assert_int_equal(msr_read(MSR_KERNEL_GS_BASE), 0);
	assert_int_equal(msr_read(MSR_SPEC_CTRL), 0);
	assert_int_equal(vmsr_write(b, MSR_LSTAR, 0x3333), 0);
	vmsr_switch(b, a);
	assert_int_equal(msr_read(MSR_LSTAR), 0x1111);
	assert_int_equal(msr_read(MSR_TSC_AUX), 7);
	assert_int_equal(msr_read(MSR_KERNEL_GS_BASE), 0x2222);
	assert_int_equal(msr_read(MSR_SPEC_CTRL), 1);
}

/* What of the system call's registers does a switch write? Only what differs. */
static void test_switch_writes(void **state)
{
	struct vcpu *a = test_vcpu(0, 0), *b = test_vcpu(1, 0);
	uint32_t writes;

	(void)state;
	vmsr_syscall_on(a);
	vmsr_syscall_on(b);
	for (uint32_t msr = MSR_STAR; msr <= MSR_FMASK; msr++) {
		assert_int_equal(vmsr_write(b, msr, 0x1000), 0);
		assert_int_equal(vmsr_write(a, msr, 0x1000), 0);
		assert_int_equal(msr_read(msr), 0x1000);
	}
	writes = fake_msr_writes;
	vmsr_switch(a, b);
	assert_int_equal(fake_msr_writes, writes + 2); /* KERNEL_GS_BASE, SPEC_CTRL */
	vmsr_switch(b, a);
	assert_int_equal(vmsr_write(a, MSR_STAR, 0x2000), 0);
	writes = fake_msr_writes;
	vmsr_switch(a, b);
	assert_int_equal(fake_msr_writes, writes + 3);
	assert_int_equal(msr_read(MSR_STAR), 0x1000);
}

/* What a processor refuses would be a fault of the hypervisor's own: the guest gets #GP. */
static void test_syscall_values(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	vmsr_syscall_on(c);
	assert_int_equal(vmsr_write(c, MSR_LSTAR, 0x800000000000UL), -EINVAL);
	assert_int_equal(vmsr_write(c, MSR_LSTAR, 0xFFFF800000000000UL), 0);
	assert_int_equal(vmsr_write(c, MSR_CSTAR, 0x7FFF800000000000UL), -EINVAL);
	assert_int_equal(vmsr_write(c, MSR_FMASK, BIT(32)), -EINVAL);
	assert_int_equal(vmsr_write(c, MSR_FMASK, UINT32_MAX), 0);
	assert_int_equal(vmsr_write(c, MSR_TSC_AUX, BIT(63)), -EINVAL);
	assert_int_equal(vmsr_write(c, MSR_STAR, UINT64_MAX), 0);
	assert_int_equal(msr_read(MSR_LSTAR), 0xFFFF800000000000UL);
}

/* A vCPU starts on a CPU whose registers hold what firmware left there: it sees none of it. */
static void test_left_by_firmware(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	fake_msr_set(MSR_LSTAR, 0x6666);
	fake_msr_set(MSR_TSC_AUX, 0x77);
	unit_vcpu_reset(c);
	assert_int_equal(msr_read(MSR_TSC_AUX), 0);
	assert_int_equal(value(c, MSR_LSTAR), 0);
	assert_int_equal(vmsr_write(c, MSR_EFER, vcr_efer() | EFER_SCE), 0);
	assert_int_equal(msr_read(MSR_LSTAR), 0);
}

/*
 * SYSCALL of a guest that may not use it: its values are written down, and it reads those; the
 * processor keeps another guest's until EFER.SCE is set, by whichever way.
 */
static void test_syscall_off(void **state)
{
	struct vcpu *a = test_vcpu(0, 0), *b = test_vcpu(1, 0);

	(void)state;
	assert_int_equal(vmsr_write(a, MSR_EFER, vcr_efer() | EFER_SCE), 0);
	assert_int_equal(vmsr_write(a, MSR_STAR, 0xAAAA), 0);
	vmsr_switch(a, b);
	fake_vmcs[VMCS_GUEST_EFER] &= ~EFER_SCE; /* b has a VMCS of its own */
	assert_int_equal(vmsr_write(b, MSR_LSTAR, 0xBBBB), 0);
	assert_int_equal(msr_read(MSR_STAR), 0xAAAA);
	assert_int_equal(value(b, MSR_STAR), 0);
	assert_int_equal(value(b, MSR_LSTAR), 0xBBBB);
	assert_int_equal(vmsr_write(b, MSR_EFER, vcr_efer() | EFER_SCE), 0);
	assert_int_equal(msr_read(MSR_STAR), 0);
	assert_int_equal(msr_read(MSR_LSTAR), 0xBBBB);
	b->start.efer = EFER_SCE;
	vmsr_switch(b, a);
	assert_int_equal(msr_read(MSR_STAR), 0xAAAA);
	unit_vcpu_reset(b);
	assert_int_equal(msr_read(MSR_STAR), 0);
	assert_int_equal(msr_read(MSR_LSTAR), 0);
	vmsr_switch(b, a);
	assert_int_equal(msr_read(MSR_STAR), 0xAAAA);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, guest_setup, guest_teardown)
	const struct CMUnitTest tests[] = {
		T(test_bitmap), T(test_intercept), T(test_exits),	   T(test_unknown),
		T(test_small),	T(test_tsc),	   T(test_tsc_over_reset), T(test_arch_capabilities),
		T(test_switch), cmocka_unit_test(test_absent_registers),
		T(test_switch_writes), T(test_syscall_values), T(test_left_by_firmware),
		T(test_syscall_off),
	};

	return cmocka_run_group_tests_name("vmsr", tests, NULL, NULL);
}
