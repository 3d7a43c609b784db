// SPDX-License-Identifier: BSD-3-Clause
/*
 * Exceptions, NMIs and interrupted deliveries: what meets becomes, what VM entry is told, and what
 * a guest can do to the hypervisor with them (nothing).
 */
/* links: @machine @guest */
#include <string.h>

#include "guest_machine.h"
#include "hv/vmcs.h"

#define VALID INTR_INFO_VALID
#define EXCEPTION(v) (VALID | INTR_TYPE_HW_EXC << 8 | (v))

static struct vcpu *cpu;

static int setup(void **state)
{
	(void)guest_setup(state);
	cpu = test_vcpu(1, 0);
	return 0;
}

/* What the loop does before VM entry; the processor clears the valid bit at the entry. */
static uint32_t enter(void)
{
	uint64_t reqs = atomic_xchg64(&cpu->requests, 0);
	uint32_t info;

	fake_vmcs[VMCS_ENTRY_INTR_INFO] &= ~(uint64_t)VALID;
	if ((reqs & (REQ_EXCEPTION | REQ_NMI | REQ_REINJECT)) != 0U)
		vevent_prepare(cpu, reqs & (REQ_EXCEPTION | REQ_NMI | REQ_REINJECT));
	info = vmcs_read32(VMCS_ENTRY_INTR_INFO);
	return (info & VALID) != 0U ? info : 0U;
}

/* Which vectors push an error code? In real mode none. */
static void test_error_codes(void **state)
{
	static const uint32_t with = BIT32(8) | BIT32(10) | BIT32(11) | BIT32(12) | BIT32(13) |
				     BIT32(14) | BIT32(17);

	(void)state;
	for (uint8_t v = 0; v < 20U; v++) {
		vcpu_inject(cpu, v, 0x18);
		assert_int_equal(enter(), EXCEPTION(v) | ((with & BIT32(v)) != 0U ? INTR_INFO_ERROR_CODE : 0U));
		if ((with & BIT32(v)) != 0U)
			assert_int_equal(vmcs_read(VMCS_ENTRY_ERROR_CODE), 0x18);
	}
	mode_real();
	vcpu_inject_gp(cpu);
	assert_int_equal(enter(), EXCEPTION(EXC_GP));
	assert_int_equal(enter(), 0); /* once */
}

/* Two exceptions on the same instruction: SDM 3A table 6-5, in full. */
static void test_double_faults(void **state)
{
	static const uint8_t benign[] = {EXC_DB, EXC_BP, EXC_UD, EXC_NM, EXC_MF, EXC_AC};
	static const uint8_t contributory[] = {EXC_DE, EXC_TS, EXC_NP, EXC_SS, EXC_GP};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(contributory); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(contributory); j++) {
			vcpu_inject(cpu, contributory[i], 1);
			vcpu_inject(cpu, contributory[j], 2);
			assert_int_equal(enter(), EXCEPTION(EXC_DF) | INTR_INFO_ERROR_CODE);
			assert_int_equal(vmcs_read(VMCS_ENTRY_ERROR_CODE), 0);
		}
		vcpu_inject(cpu, contributory[i], 0); /* then a page fault: in series */
		vcpu_inject_pf(cpu, GVA(0x1000), PFEC_W);
		assert_int_equal(enter(), EXCEPTION(EXC_PF) | INTR_INFO_ERROR_CODE);
		vcpu_inject_pf(cpu, GVA(0x1000), 0);
		vcpu_inject(cpu, contributory[i], 0);
		assert_int_equal(enter() & 0xFFU, EXC_DF);
	}
	vcpu_inject_pf(cpu, GVA(0x1000), 0);
	vcpu_inject_pf(cpu, GVA(0x2000), 0);
	assert_int_equal(enter() & 0xFFU, EXC_DF);
	for (size_t i = 0; i < ARRAY_SIZE(benign); i++) {
		vcpu_inject(cpu, benign[i], 0);
		vcpu_inject_gp(cpu);
		assert_int_equal(enter() & 0xFFU, EXC_GP);
		vcpu_inject_gp(cpu);
		vcpu_inject(cpu, benign[i], 0);
		assert_int_equal(enter() & 0xFFU, benign[i]);
	}
	assert_int_equal(test_triple_faults, 0);
}

/* A fault while #DF is delivered ends the VM; a benign exception does not. */
static void test_triple_fault(void **state)
{
	(void)state;
	vcpu_inject(cpu, EXC_DF, 0);
	vcpu_inject_gp(cpu);
	assert_int_equal(test_triple_faults, 1);
	(void)enter();
	vcpu_inject(cpu, EXC_DF, 0);
	vcpu_inject_pf(cpu, GVA(0), 0);
	assert_int_equal(test_triple_faults, 2);
	(void)enter();
	vcpu_inject(cpu, EXC_DF, 0);
	vcpu_inject(cpu, EXC_DB, 0);
	assert_int_equal(test_triple_faults, 2);
	test_exit(cpu, EXIT_TRIPLE_FAULT);
	assert_int_equal(test_triple_faults, 3);
}

/* An event whose delivery exited is delivered again as it was. */
static void test_reinject(void **state)
{
	static const struct {
		uint32_t info, error, len, entry;
	} events[] = {
		{VALID | INTR_TYPE_EXTERNAL << 8 | 0x31, 0, 0, VALID | 0x31},
		{EXCEPTION(EXC_PF) | INTR_INFO_ERROR_CODE, 6, 0, EXCEPTION(EXC_PF) | INTR_INFO_ERROR_CODE},
		{VALID | INTR_TYPE_SW_INTR << 8 | 0x80, 0, 2, VALID | INTR_TYPE_SW_INTR << 8 | 0x80},
		{VALID | INTR_TYPE_SW_EXC << 8 | 3, 0, 1, VALID | INTR_TYPE_SW_EXC << 8 | 3},
		/* bit 12 means something else in the entry's field */
		{VALID | BIT32(12) | 0x41, 0, 0, VALID | 0x41},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		fake_vmcs[VMCS_IDT_VECTORING_INFO] = events[i].info;
		fake_vmcs[VMCS_IDT_VECTORING_ERROR] = events[i].error;
		fake_vmcs[VMCS_EXIT_INSN_LEN] = events[i].len;
		vevent_idt_vectoring(cpu);
		assert_int_equal(enter(), events[i].entry);
		if ((events[i].info & INTR_INFO_ERROR_CODE) != 0U)
			assert_int_equal(vmcs_read(VMCS_ENTRY_ERROR_CODE), events[i].error);
		if (events[i].len != 0U)
			assert_int_equal(vmcs_read(VMCS_ENTRY_INSN_LEN), events[i].len);
	}
	fake_vmcs[VMCS_IDT_VECTORING_INFO] = 0x31; /* not valid */
	vevent_idt_vectoring(cpu);
	assert_int_equal(enter(), 0);
}

/* A fault in handling the exit meets the event that was being delivered. */
static void test_reinject_meets_fault(void **state)
{
	(void)state;
	fake_vmcs[VMCS_IDT_VECTORING_INFO] = EXCEPTION(EXC_PF) | INTR_INFO_ERROR_CODE;
	vevent_idt_vectoring(cpu);
	vcpu_inject_gp(cpu);
	assert_int_equal(enter() & 0xFFU, EXC_DF);
	fake_vmcs[VMCS_IDT_VECTORING_INFO] = EXCEPTION(EXC_DF) | INTR_INFO_ERROR_CODE;
	vevent_idt_vectoring(cpu);
	vcpu_inject_gp(cpu);
	assert_int_equal(test_triple_faults, 1);
	(void)enter();
	fake_vmcs[VMCS_IDT_VECTORING_INFO] = VALID | 0x31;
	vevent_idt_vectoring(cpu);
	vcpu_inject_gp(cpu);
	assert_int_equal(enter(), EXCEPTION(EXC_GP) | INTR_INFO_ERROR_CODE);
	assert_int_equal(enter(), 0);
}

/* An NMI waits while blocked or while another event goes in, and comes with the window's exit. */
static void test_nmi(void **state)
{
	(void)state;
	vcpu_inject_nmi(cpu);
	assert_int_equal(enter(), VALID | INTR_TYPE_NMI << 8 | 2U);
	for (uint32_t block = BLOCK_BY_STI; block <= BLOCK_BY_NMI; block <<= 1) {
		if (block == BLOCK_BY_SMI)
			continue;
		fake_vmcs[VMCS_GUEST_INTERRUPTIBILITY] = block;
		vcpu_inject_nmi(cpu);
		assert_int_equal(enter(), 0);
		assert_int_equal(vmcs_read32(VMCS_PROC_CTRL) & PROC_NMI_WINDOW, PROC_NMI_WINDOW);
		fake_vmcs[VMCS_GUEST_INTERRUPTIBILITY] = 0;
		test_exit(cpu, EXIT_NMI_WINDOW);
		assert_int_equal(vmcs_read32(VMCS_PROC_CTRL) & PROC_NMI_WINDOW, 0);
		assert_int_equal(enter(), VALID | INTR_TYPE_NMI << 8 | 2U);
	}
	vcpu_inject_nmi(cpu);
	vcpu_inject_gp(cpu);
	assert_int_equal(enter() & 0xFFU, EXC_GP);
	test_exit(cpu, EXIT_NMI_WINDOW);
	assert_int_equal(enter(), VALID | INTR_TYPE_NMI << 8 | 2U);
}

/* A cut NMI is delivered again, and must not be kept out by its own blocking. */
static void test_nmi_reinject(void **state)
{
	(void)state;
	fake_vmcs[VMCS_GUEST_INTERRUPTIBILITY] = BLOCK_BY_NMI;
	fake_vmcs[VMCS_IDT_VECTORING_INFO] = VALID | INTR_TYPE_NMI << 8 | 2U;
	vevent_idt_vectoring(cpu);
	assert_int_equal(vmcs_read(VMCS_GUEST_INTERRUPTIBILITY), 0);
	assert_int_equal(enter(), VALID | INTR_TYPE_NMI << 8 | 2U);
}

/* An IRET that faulted on a device had already ended the blocking: it is put back. */
static void test_nmi_unblocked_by_iret(void **state)
{
	(void)state;
	fake_vmcs[VMCS_EXIT_QUALIFICATION] = EPTV_READ | EPTV_LINEAR | EPTV_FINAL | EPTV_NMI_UNBLOCK;
	fake_vmcs[VMCS_GUEST_PHYS_ADDR] = 0x10000;
	test_exit(cpu, EXIT_EPT_VIOLATION);
	assert_int_equal(vmcs_read(VMCS_GUEST_INTERRUPTIBILITY), BLOCK_BY_NMI);
}

/* #DB and #AC are the guest's: with DR6 and DR7 as the processor would leave them. */
static void test_forwarded(void **state)
{
	(void)state;
	assert_int_equal(vmcs_read(VMCS_EXCEPTION_BITMAP), BIT32(EXC_DB) | BIT32(EXC_AC) | BIT32(EXC_MC));
	fake_vmcs[VMCS_EXIT_INTR_INFO] = EXCEPTION(EXC_DB);
	fake_vmcs[VMCS_EXIT_QUALIFICATION] = 0x4002; /* BS, B1 */
	fake_vmcs[VMCS_GUEST_DR7] = 0x2400;
	fake_dr[6] = 0xFFFF0FF1;
	cpu->dr_used = true;
	test_exit(cpu, EXIT_EXCEPTION_NMI);
	assert_int_equal(fake_dr[6], 0xFFFF4FF2);
	assert_int_equal(vmcs_read(VMCS_GUEST_DR7), 0x400);
	assert_int_equal(enter(), EXCEPTION(EXC_DB));
	fake_vmcs[VMCS_EXIT_INTR_INFO] = EXCEPTION(EXC_AC) | INTR_INFO_ERROR_CODE;
	fake_vmcs[VMCS_EXIT_ERROR_CODE] = 0;
	test_exit(cpu, EXIT_EXCEPTION_NMI);
	assert_int_equal(enter(), EXCEPTION(EXC_AC) | INTR_INFO_ERROR_CODE);
}

/* Is INT1 over when the guest gets its #DB? It is a trap, and changes no debug register. */
static void test_int1(void **state)
{
	(void)state;
	fake_vmcs[VMCS_EXIT_INTR_INFO] = VALID | INTR_TYPE_PRIV_SW_EXC << 8 | EXC_DB;
	fake_vmcs[VMCS_EXIT_QUALIFICATION] = 0;
	fake_vmcs[VMCS_EXIT_INSN_LEN] = 1;
	fake_vmcs[VMCS_GUEST_RIP] = 0x1000;
	fake_dr[6] = 0xFFFF0FF1;
	test_exit(cpu, EXIT_EXCEPTION_NMI);
	assert_int_equal(enter(), EXCEPTION(EXC_DB));
	assert_int_equal(vmcs_read(VMCS_GUEST_RIP), 0x1001);
	assert_int_equal(fake_dr[6], 0xFFFF0FF1);
}

/*
 * What if the guest single-steps over STI or MOV SS? VM entry refuses their shadow beside TF
 * without a pending trap; the delivery of the exception ends the shadow anyway.
 */
static void test_shadow_ends(void **state)
{
	(void)state;
	for (uint32_t block = BLOCK_BY_STI; block <= BLOCK_BY_MOV_SS; block <<= 1) {
		fake_vmcs[VMCS_GUEST_INTERRUPTIBILITY] = block | BLOCK_BY_NMI;
		fake_vmcs[VMCS_EXIT_INTR_INFO] = EXCEPTION(EXC_DB);
		test_exit(cpu, EXIT_EXCEPTION_NMI);
		assert_int_equal(enter(), EXCEPTION(EXC_DB));
		assert_int_equal(vmcs_read(VMCS_GUEST_INTERRUPTIBILITY), BLOCK_BY_NMI);
	}
}

/* Which exceptions come with RF set in the frame? Faults, and none that is a trap. */
static void test_resume_flag(void **state)
{
	static const uint32_t traps = BIT32(EXC_DB) | BIT32(EXC_BP) | BIT32(EXC_OF) | BIT32(EXC_DF);

	(void)state;
	for (uint8_t v = 0; v < EXC_MC; v++) {
		fake_vmcs[VMCS_GUEST_RFLAGS] = RFLAGS_FIXED;
		vcpu_inject(cpu, v, 0);
		(void)enter();
		assert_int_equal((vmcs_read(VMCS_GUEST_RFLAGS) & RFLAGS_RF) != 0U,
				 (traps & BIT32(v)) == 0U);
	}
}

/* The machine's NMI goes to the hypervisor's own handler; a machine check stops everything. */
static void test_machine_events(void **state)
{
	(void)state;
	fake_vmcs[VMCS_EXIT_INTR_INFO] = VALID | INTR_TYPE_NMI << 8 | 2U;
	test_exit(cpu, EXIT_EXCEPTION_NMI);
	assert_int_equal(fake_log_lines, 100); /* nmi_exit() of the test machine */
	assert_int_equal(enter(), 0);
	fake_vmcs[VMCS_EXIT_INTR_INFO] = EXCEPTION(EXC_MC);
	expect_assert_failure(test_exit(cpu, EXIT_EXCEPTION_NMI));
}

/* Instructions of hidden features fault; cache instructions are done, INVD by writing back. */
static void test_instruction_exits(void **state)
{
	static const uint32_t hidden[] = {EXIT_GETSEC, EXIT_MONITOR, EXIT_MWAIT, EXIT_VMXON,
		EXIT_VMXOFF, EXIT_VMPTRLD, EXIT_VMREAD, EXIT_VMWRITE, EXIT_VMLAUNCH, EXIT_VMRESUME,
		EXIT_VMCLEAR, EXIT_VMPTRST, EXIT_INVEPT, EXIT_INVVPID};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++) {
		test_exit(cpu, hidden[i]);
		expect_exception(cpu, EXC_UD, 0);
	}
	assert_int_equal(fake_log_lines, 0); /* a guest cannot fill the log with them */
	fake_vmcs[VMCS_EXIT_INSN_LEN] = 2;
	test_exit(cpu, EXIT_WBINVD);
	expect_skip(2);
	test_exit(cpu, EXIT_INVD);
	expect_skip(2);
	assert_int_equal(fake_wbinvds, 2);
	test_exit(cpu, EXIT_RDPMC);
	expect_exception(cpu, EXC_GP, 0);
}

/* Does a hardware task switch end the VM that asks for it, and does a line say why? */
static void test_task_switch(void **state)
{
	(void)state;
	fake_vmcs[VMCS_EXIT_QUALIFICATION] = (2UL << 30) | 0x30U; /* JMP to selector 0x30 */
	test_exit(cpu, EXIT_TASK_SWITCH);
	assert_non_null(strstr(fake_log_last, "task switch by JMP to selector 0x30"));
	assert_int_equal(test_triple_faults, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, guest_teardown)
	const struct CMUnitTest tests[] = {
		T(test_error_codes), T(test_double_faults),	   T(test_triple_fault),
		T(test_reinject),    T(test_reinject_meets_fault), T(test_nmi),
		T(test_nmi_reinject), T(test_nmi_unblocked_by_iret), T(test_forwarded),
		T(test_int1), T(test_shadow_ends), T(test_resume_flag),
		T(test_machine_events), T(test_instruction_exits), T(test_task_switch),
	};

	return cmocka_run_group_tests_name("vevent", tests, NULL, NULL);
}
