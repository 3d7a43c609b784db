// SPDX-License-Identifier: BSD-3-Clause
/*
 * Control registers, EFER, PAT and XCR0: what the guest may write, what it reads, what the VMCS
 * holds meanwhile, and the way from real mode to 64 bits and back.
 */
/* links: @machine @guest */
#include <string.h>

#include "guest_machine.h"

static void mov_to_cr(struct vcpu *c, uint32_t cr, uint64_t val)
{
	fake_vmcs[VMCS_EXIT_QUALIFICATION] = cr | (uint64_t)GPR_RBX << 8;
	fake_vmcs[VMCS_EXIT_INSN_LEN] = 3;
	c->gpr[GPR_RBX] = val;
	test_exit(c, EXIT_CR_ACCESS);
}

static void start_real(struct vcpu *c)
{
	struct vcpu_start s = {.cr0 = CR0_ET | CR0_CD | CR0_NW};

	mode_real();
	vcr_reset(c, &s);
	unit_vcpu_reset(c);
	c->requests = 0;
}

/* After power-on: does the guest read the manual's values while the VMCS holds what entry demands? */
static void test_reset_values(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	start_real(c);
	assert_int_equal(vcr_cr0(), CR0_ET | CR0_CD | CR0_NW);
	assert_int_equal(vcr_cr4(), 0);
	assert_int_equal(vcr_efer(), 0);
	assert_int_equal(vmcs_read(VMCS_GUEST_CR0) & (CR0_NE | CR0_CD | CR0_NW), CR0_NE);
	assert_int_equal(vmcs_read(VMCS_GUEST_CR4), CR4_VMXE | CR4_MCE);
	assert_int_equal(vmcs_read(VMCS_GUEST_PAT), 0); /* caches off: all uncached */
	assert_int_equal(vmcs_read32(VMCS_ENTRY_CTRL) & VMENTRY_IA32E, 0);
	/* the guest must not be able to change these without an exit */
	assert_int_equal(vmcs_read(VMCS_CR0_MASK) & (CR0_NE | CR0_CD | CR0_NW | CR0_PG),
			 CR0_NE | CR0_CD | CR0_NW | CR0_PG);
	assert_int_equal(vmcs_read(VMCS_CR4_MASK) & (CR4_VMXE | CR4_SMXE | CR4_LA57 | CR4_CET | CR4_MCE),
			 CR4_VMXE | CR4_SMXE | CR4_LA57 | CR4_CET | CR4_MCE);
	assert_int_equal(vmcs_read(VMCS_CR4_MASK) & (CR4_PAE | CR4_PGE | CR4_OSXSAVE | CR4_SMEP), 0);
}

/* CR0 values that are #GP, and that nothing has changed afterwards. */
static void test_cr0_bad(void **state)
{
	static const uint64_t bad[] = {CR0_PG, CR0_NW, CR0_PE | CR0_NW, 1UL << 32, UINT64_MAX};
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	start_real(c);
	mov_to_cr(c, 0, CR0_PE);
	expect_skip(3);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		mov_to_cr(c, 0, bad[i]);
		expect_exception(c, EXC_GP, 0);
		assert_int_equal(vcr_cr0(), CR0_PE | CR0_ET);
	}
	mov_to_cr(c, 0, CR0_PE | 0x1FFC0U); /* reserved low bits are ignored, WP is not one */
	expect_skip(3);
	assert_int_equal(vcr_cr0(), CR0_PE | CR0_ET | CR0_WP);
}

/* Real mode, protected, PAE, LME, paging: EFER.LMA and the entry control follow; and back. */
static void test_to_long_mode_and_back(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);
	uint64_t v;

	(void)state;
	start_real(c);
	mov_to_cr(c, 0, CR0_PE);
	mov_to_cr(c, 4, CR4_PAE);
	fake_vmcs[VMCS_GUEST_CR3] = 0x1000;
	assert_int_equal(vmsr_write(c, MSR_EFER, EFER_LME | EFER_NXE), 0);
	assert_int_equal(vcr_efer() & EFER_LMA, 0);
	mov_to_cr(c, 0, CR0_PE | CR0_PG);
	expect_skip(3);
	assert_int_equal(vcr_efer(), EFER_LME | EFER_LMA | EFER_NXE);
	assert_int_equal(vmcs_read32(VMCS_ENTRY_CTRL) & VMENTRY_IA32E, VMENTRY_IA32E);
	assert_int_not_equal(c->requests & REQ_TLB_FLUSH, 0);
	assert_int_equal(vmsr_read(c, MSR_EFER, &v), 0);
	assert_int_equal(v, EFER_LME | EFER_LMA | EFER_NXE);
	/* in long mode: LME may not change, PAE not be cleared, LMA not be written */
	assert_int_equal(vmsr_write(c, MSR_EFER, 0), -EINVAL);
	mov_to_cr(c, 4, 0);
	expect_exception(c, EXC_GP, 0);
	assert_int_equal(vmsr_write(c, MSR_EFER, EFER_LME), 0);
	assert_int_equal(vcr_efer(), EFER_LME | EFER_LMA);
	/* paging cannot be switched off in 64-bit mode, but in compatibility mode */
	fake_vmcs[VMCS_GUEST_CS_AR] = 0xA09B;
	mov_to_cr(c, 0, CR0_PE);
	expect_exception(c, EXC_GP, 0);
	fake_vmcs[VMCS_GUEST_CS_AR] = 0xC09B;
	mov_to_cr(c, 0, CR0_PE);
	expect_skip(3);
	assert_int_equal(vcr_efer(), EFER_LME);
	assert_int_equal(vmcs_read32(VMCS_ENTRY_CTRL) & VMENTRY_IA32E, 0);
}

/* LME without PAE, with a 64-bit code segment left over, with a 16-bit task register: #GP. */
static void test_long_mode_bad(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	start_real(c);
	mov_to_cr(c, 0, CR0_PE);
	assert_int_equal(vmsr_write(c, MSR_EFER, EFER_LME), 0);
	mov_to_cr(c, 0, CR0_PE | CR0_PG);
	expect_exception(c, EXC_GP, 0);
	mov_to_cr(c, 4, CR4_PAE);
	fake_vmcs[VMCS_GUEST_CS_AR] = 0xA09B;
	mov_to_cr(c, 0, CR0_PE | CR0_PG);
	expect_exception(c, EXC_GP, 0);
	assert_int_equal(vcr_efer(), EFER_LME);
	fake_vmcs[VMCS_GUEST_CS_AR] = 0xC09B;
	fake_vmcs[VMCS_GUEST_TR_AR] = 0x83; /* busy, 16 bits */
	mov_to_cr(c, 0, CR0_PE | CR0_PG);
	expect_exception(c, EXC_GP, 0);
	assert_int_equal(vcr_efer(), EFER_LME);
	assert_int_equal(vmsr_write(c, MSR_EFER, BIT(9)), -EINVAL);
	assert_int_equal(vmsr_write(c, MSR_EFER, BIT(63)), -EINVAL);
}

/* PAE paging: the four entries come from guest memory into the VMCS; bad ones are #GP. */
static void test_pae_entries(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);
	uint64_t pdpte[4] = {0x5001, 0, 0x6001, 0xFFFFFFF000000000UL}; /* the last is not present */

	(void)state;
	start_real(c);
	memcpy(test_ram(test_vm(1), 0x4020), pdpte, sizeof(pdpte));
	fake_vmcs[VMCS_GUEST_CR3] = 0x4020;
	mov_to_cr(c, 4, CR4_PAE);
	mov_to_cr(c, 0, CR0_PE | CR0_PG);
	expect_skip(3);
	for (uint32_t i = 0; i < 4U; i++)
		assert_int_equal(vmcs_read(VMCS_GUEST_PDPTE0 + 2U * i), pdpte[i]);
	pdpte[1] = 0x7001;
	memcpy(test_ram(test_vm(1), 0x4020), pdpte, sizeof(pdpte));
	mov_to_cr(c, 4, CR4_PAE | CR4_PGE); /* this reloads */
	assert_int_equal(vmcs_read(VMCS_GUEST_PDPTE0 + 2U), 0x7001);
	mov_to_cr(c, 0, CR0_PE);
	for (uint32_t i = 0; i < 3U; i++) {
		static const uint64_t bad[] = {0x5003, 0x5021, 1UL << 39 | 1U};

		pdpte[2] = bad[i];
		memcpy(test_ram(test_vm(1), 0x4020), pdpte, sizeof(pdpte));
		mov_to_cr(c, 0, CR0_PE | CR0_PG);
		expect_exception(c, EXC_GP, 0);
		assert_int_equal(vcr_cr0() & CR0_PG, 0);
	}
	fake_vmcs[VMCS_GUEST_CR3] = 0x40000000; /* no memory there */
	mov_to_cr(c, 0, CR0_PE | CR0_PG);
	expect_exception(c, EXC_GP, 0);
}

/* CR4: hidden features are #GP; VMXE is really set and never seen; MCE stays on for the machine. */
static void test_cr4(void **state)
{
	static const uint64_t bad[] = {CR4_VMXE, CR4_SMXE, CR4_LA57, CR4_CET, CR4_KL, CR4_PKS,
				       BIT(15), BIT(32), BIT(63)};
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	start_real(c);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		mov_to_cr(c, 4, bad[i]);
		expect_exception(c, EXC_GP, 0);
	}
	mov_to_cr(c, 4, CR4_OSFXSR | CR4_OSXSAVE | CR4_SMEP);
	expect_skip(3);
	assert_int_equal(vcr_cr4(), CR4_OSFXSR | CR4_OSXSAVE | CR4_SMEP);
	assert_int_equal(vmcs_read(VMCS_GUEST_CR4),
			 CR4_OSFXSR | CR4_OSXSAVE | CR4_SMEP | CR4_VMXE | CR4_MCE);
	mov_to_cr(c, 4, CR4_MCE);
	assert_int_equal(vcr_cr4(), CR4_MCE);
	/* PCID only in long mode, with CR3's low bits clear */
	mov_to_cr(c, 4, CR4_PCIDE);
	expect_exception(c, EXC_GP, 0);
	mode_long64();
	fake_vmcs[VMCS_GUEST_CR3] = 0x1018;
	mov_to_cr(c, 4, CR4_PAE | CR4_PCIDE);
	expect_exception(c, EXC_GP, 0);
	fake_vmcs[VMCS_GUEST_CR3] = 0x1000;
	mov_to_cr(c, 4, CR4_PAE | CR4_PCIDE);
	expect_skip(3);
}

/* CR0.CD makes everything uncached; clearing it brings the guest's own PAT back. */
static void test_cache_disable(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);
	uint64_t v;

	(void)state;
	start_real(c);
	assert_int_equal(vmsr_write(c, MSR_PAT, 0x0007010600070106UL), 0);
	assert_int_equal(vmcs_read(VMCS_GUEST_PAT), 0);
	mov_to_cr(c, 0, CR0_PE);
	assert_int_equal(vmcs_read(VMCS_GUEST_PAT), 0x0007010600070106UL);
	mov_to_cr(c, 0, CR0_PE | CR0_CD);
	assert_int_equal(vmcs_read(VMCS_GUEST_PAT), 0);
	assert_int_equal(vmsr_read(c, MSR_PAT, &v), 0);
	assert_int_equal(v, 0x0007010600070106UL);
	assert_int_equal(vmsr_write(c, MSR_PAT, 2), -EINVAL);
	assert_int_equal(vmsr_write(c, MSR_PAT, 3UL << 56), -EINVAL);
	assert_int_equal(vmsr_write(c, MSR_PAT, 8UL << 8), -EINVAL);
}

/* CLTS, LMSW and CR8, where they exit. */
static void test_other_accesses(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	start_real(c);
	fake_vmcs[VMCS_EXIT_INSN_LEN] = 3;
	fake_vmcs[VMCS_EXIT_QUALIFICATION] = 3U << 4 | (uint64_t)(CR0_PE | CR0_TS) << 16; /* LMSW */
	mov_to_cr(c, 0, CR0_ET);
	fake_vmcs[VMCS_EXIT_QUALIFICATION] = 3U << 4 | (uint64_t)(CR0_PE | CR0_TS) << 16;
	test_exit(c, EXIT_CR_ACCESS);
	assert_int_equal(vcr_cr0(), CR0_ET | CR0_PE | CR0_TS);
	fake_vmcs[VMCS_EXIT_QUALIFICATION] = 3U << 4; /* cannot clear PE */
	test_exit(c, EXIT_CR_ACCESS);
	assert_int_equal(vcr_cr0(), CR0_ET | CR0_PE);
	mov_to_cr(c, 0, CR0_PE | CR0_TS);
	fake_vmcs[VMCS_EXIT_QUALIFICATION] = 2U << 4; /* CLTS */
	test_exit(c, EXIT_CR_ACCESS);
	assert_int_equal(vcr_cr0(), CR0_ET | CR0_PE);
	mov_to_cr(c, 8, 9);
	expect_skip(3);
	fake_vmcs[VMCS_EXIT_QUALIFICATION] = 8U | 1U << 4 | (uint64_t)GPR_RSP << 8;
	test_exit(c, EXIT_CR_ACCESS);
	assert_int_equal(vmcs_read(VMCS_GUEST_RSP), 9);
	mov_to_cr(c, 8, 16);
	expect_exception(c, EXC_GP, 0);
}

static void xsetbv(struct vcpu *c, uint64_t index, uint64_t val)
{
	c->gpr[GPR_RCX] = index;
	c->gpr[GPR_RAX] = (uint32_t)val;
	c->gpr[GPR_RDX] = val >> 32;
	fake_vmcs[VMCS_EXIT_INSN_LEN] = 3;
	test_exit(c, EXIT_XSETBV);
}

/* XSETBV: combinations the manual forbids, and those the guest's CPUID does not show. */
static void test_xsetbv(void **state)
{
	static const uint64_t bad[] = {0, 2, 5, 8 | 1, 0x23, 0x27, 0xE3, 0x67, 1UL << 17 | 1, 1UL << 63 | 1};
	static const uint64_t good[] = {1, 3, 7, 0xE7, 0x207, 0x2E7};
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		xsetbv(c, 0, good[i]);
		expect_skip(3);
		assert_int_equal(c->xcr0, good[i]);
		assert_int_equal(fake_xcr0, good[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		xsetbv(c, 0, bad[i]);
		expect_exception(c, EXC_GP, 0);
	}
	xsetbv(c, 1, 3);
	expect_exception(c, EXC_GP, 0);
	fake_vmcs[VMCS_GUEST_SS_AR] |= 3U << 5; /* a user program */
	xsetbv(c, 0, 1);
	expect_exception(c, EXC_GP, 0);
	assert_int_equal(fake_xcr0, 0x2E7);
}

/* MOV from a debug register. */
static void use_dr(struct vcpu *vcpu, uint32_t reg)
{
	fake_vmcs[VMCS_EXIT_QUALIFICATION] = reg | BIT(4);
	test_exit(vcpu, EXIT_DR_ACCESS);
}

/* MOV of RCX to a debug register; false if it is to run again. */
static bool set_dr(struct vcpu *vcpu, uint32_t reg, uint64_t val)
{
	uint64_t rip = vmcs_read(VMCS_GUEST_RIP);

	fake_vmcs[VMCS_EXIT_QUALIFICATION] = reg | GPR_RCX << 8;
	fake_vmcs[VMCS_EXIT_INSN_LEN] = 3;
	vcpu->gpr[GPR_RCX] = val;
	test_exit(vcpu, EXIT_DR_ACCESS);
	return vmcs_read(VMCS_GUEST_RIP) == rip + 3;
}

/*
 * A guest that does not use the debug registers: are they left alone at a switch, does a kernel's
 * clearing them change nothing, and does the first use find what should be there?
 */
static void test_dr_unused(void **state)
{
	struct vcpu *a = test_vcpu(0, 0), *b = test_vcpu(1, 0);

	(void)state;
	fake_vmcs[VMCS_GUEST_DR7] = 0x400;
	vcpu_fpu_switch(NULL, a);
	use_dr(a, 3);
	fake_dr[3] = 0x3333; /* what the instruction, run again, might have written */
	vcpu_fpu_switch(a, b);
	assert_int_equal(fake_dr[3], 0x3333);
	assert_true((b->proc_ctrl & PROC_DR_EXIT) != 0U);
	for (uint32_t reg = 0; reg < 8; reg++) {
		if (reg != 4 && reg != 5)
			assert_true(set_dr(b, reg, 0));
	}
	assert_true(set_dr(b, 6, 0xFFFF0FF0));
	assert_true(set_dr(b, 7, 0x400));
	assert_int_equal(fake_dr[3], 0x3333);
	vcpu_set_dr6(b, 0xFFFF4FF8); /* a step; and a match, not with its own breakpoint */
	assert_int_equal(vcpu_dr6(b), 0xFFFF4FF0);
	use_dr(b, 6);
	assert_true((b->proc_ctrl & PROC_DR_EXIT) == 0U);
	assert_int_equal(fake_dr[3], 0);
	assert_int_equal(fake_dr[6], 0xFFFF4FF0);
	vcpu_fpu_switch(b, a);
	assert_int_equal(fake_dr[3], 0x3333);
	unit_vcpu_reset(b);
	assert_true((b->proc_ctrl & PROC_DR_EXIT) != 0U);
}

/* What is not a kernel's clearing is use: the instruction runs again, with the processor's checks. */
static void test_dr_writes(void **state)
{
	static const struct {
		uint32_t reg;
		uint64_t val;
	} uses[] = {{0, 1}, {3, 1UL << 63}, {4, 0}, {5, 0}, {6, 1}, {6, 1UL << 32}, {7, 1}, {7, 0x2000}};
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(uses); i++) {
		unit_vcpu_reset(c);
		fake_vmcs[VMCS_GUEST_DR7] = 0x400;
		assert_false(set_dr(c, uses[i].reg, uses[i].val));
		assert_true(c->dr_used);
	}
	unit_vcpu_reset(c);
	fake_vmcs[VMCS_GUEST_SS_AR] = 0xF3; /* a program, where that exits */
	assert_false(set_dr(c, 0, 0));
}

/* Registers that change hands with the CPU: FPU, CR2, debug registers, XCR0. */
static void test_fpu_switch(void **state)
{
	struct vcpu *a = test_vcpu(0, 0), *b = test_vcpu(1, 0);

	(void)state;
	vcpu_fpu_switch(NULL, a);
	xsetbv(a, 0, 3);
	fake_cr[2] = 0xAAAA;
	use_dr(a, 0);
	use_dr(b, 0);
	fake_dr[0] = 1;
	fake_dr[6] = 0xFFFF0FF1;
	vcpu_fpu_switch(a, b);
	assert_int_equal(fake_xsave_mask, 0x2E7); /* also what the guest has switched off */
	assert_int_equal(fake_xrstor_mask, 0x2E7);
	assert_int_equal(fake_xcr0, 1);
	assert_int_equal(fake_cr[2], 0);
	assert_int_equal(fake_dr[0], 0);
	assert_int_equal(fake_dr[6], 0xFFFF0FF0);
	vcpu_fpu_switch(b, a);
	assert_int_equal(fake_xcr0, 3);
	assert_int_equal(fake_cr[2], 0xAAAA);
	assert_int_equal(fake_dr[0], 1);
	assert_int_equal(fake_dr[6], 0xFFFF0FF1);
}

/* A processor without XSAVE: FXSAVE serves. */
static void test_fpu_without_xsave(void **state)
{
	static const enum cpu_cap without[] = {CAP_XSAVE, CAP_XSAVES, CAP_COUNT};
	uint64_t before;

	(void)state;
	guest_start(without);
	before = fake_xcr0;
	vcpu_fpu_switch(test_vcpu(0, 0), test_vcpu(1, 0));
	assert_int_equal(fake_fpu_saves, 1);
	assert_int_equal(fake_xsave_mask, 0);
	assert_int_equal(fake_xcr0, before);
	guest_stop();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, guest_setup, guest_teardown)
	const struct CMUnitTest tests[] = {
		T(test_reset_values),  T(test_cr0_bad),	      T(test_to_long_mode_and_back),
		T(test_long_mode_bad), T(test_pae_entries),   T(test_cr4),
		T(test_cache_disable), T(test_other_accesses), T(test_xsetbv),
		T(test_fpu_switch), T(test_dr_unused), T(test_dr_writes),
		cmocka_unit_test(test_fpu_without_xsave),
	};

	return cmocka_run_group_tests_name("vcr", tests, NULL, NULL);
}
