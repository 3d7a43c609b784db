// SPDX-License-Identifier: BSD-3-Clause
/*
 * Are the VMX controls those the CPU demands, plus those we need, plus what was found and not
 * hidden; and is the time slice armed by a pair of controls that the CPU accepts?
 */
// links: hypervisor/arch/x86/vmx/vmcs_ctrl.c @machine
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "asm/msr.h"
#include "asm/vmx.h"
#include "hv/caps.h"
#include "hv/schedule.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "hv/vmcs.h"
#include "fake_machine.h"
#include "../../../hypervisor/arch/x86/vmx/vmcs_parts.h"

#define ALLOW_ALL 0xFFFFFFFF00000000UL

static bool caps[CAP_COUNT];
void (*sched_arm_guard)(uint64_t ticks);

bool cap_has(enum cpu_cap cap)
{
	return caps[cap];
}

static uint8_t io_bitmap[2 * PAGE_SIZE], msr_bitmap[PAGE_SIZE];
static struct vm vm;
static struct vcpu vcpu;

static int setup(void **state)
{
	static const uint32_t msrs[] = {MSR_VMX_TRUE_PINBASED, MSR_VMX_TRUE_PROCBASED,
					MSR_VMX_PROCBASED2,    MSR_VMX_TRUE_EXIT,
					MSR_VMX_TRUE_ENTRY};

	(void)state;
	fake_machine_reset();
	memset(caps, 1, sizeof(caps));
	for (size_t i = 0; i < ARRAY_SIZE(msrs); i++)
		fake_msr_set(msrs[i], ALLOW_ALL);
	fake_msr_set(MSR_VMX_BASIC, BIT(55));
	memset(&vm, 0, sizeof(vm));
	vm.io_bitmap = io_bitmap;
	vm.msr_bitmap = msr_bitmap;
	vm.ept.eptp = 0x12345001E;
	memset(&vcpu, 0, sizeof(vcpu));
	vcpu.vm = &vm;
	vcpu.vpid = 17;
	vcpu.tsc_offset = 0x1234;
	sched_arm_guard = NULL;
	return 0;
}

/* What does a guest on a CPU with everything run under? */
static void test_all(void **state)
{
	uint32_t proc, proc2;

	(void)state;
	vmcs_init_controls(&vcpu);
	assert_int_equal(fake_vmcs[VMCS_PIN_CTRL], PIN_EXTINT_EXIT | PIN_NMI_EXIT | PIN_VIRTUAL_NMI);
	proc = (uint32_t)fake_vmcs[VMCS_PROC_CTRL];
	assert_int_equal(vcpu.proc_ctrl, proc);
	assert_true((proc & PROC_SECONDARY) && (proc & PROC_IO_BITMAPS) && (proc & PROC_MSR_BITMAPS));
	assert_true((proc & PROC_HLT_EXIT) && (proc & PROC_PAUSE_EXIT) && (proc & PROC_TSC_OFFSET));
	/* reading the TSC, CR3 and debug registers, INVLPG and unbitmapped I/O cost no exit */
	assert_int_equal(proc & (PROC_RDTSC_EXIT | PROC_CR3_LOAD_EXIT | PROC_CR3_STORE_EXIT |
				 PROC_INVLPG_EXIT | PROC_DR_EXIT | PROC_IO_EXIT | PROC_INTR_WINDOW), 0);
	proc2 = (uint32_t)fake_vmcs[VMCS_PROC_CTRL2];
	assert_true((proc2 & PROC2_EPT) && (proc2 & PROC2_UNRESTRICTED) && (proc2 & PROC2_VPID));
	/* APICv is vapic/'s to switch on */
	assert_int_equal(proc2 & (PROC2_APIC_ACCESS | PROC2_X2APIC | PROC2_APIC_REGS |
				  PROC2_VINTR_DELIVERY), 0);
	assert_true((fake_vmcs[VMCS_EXIT_CTRL] & VMEXIT_HOST_64) && (fake_vmcs[VMCS_EXIT_CTRL] & VMEXIT_ACK_INTR));
	assert_int_equal(fake_vmcs[VMCS_IO_BITMAP_A], (uintptr_t)io_bitmap);
	assert_int_equal(fake_vmcs[VMCS_IO_BITMAP_B], (uintptr_t)io_bitmap + PAGE_SIZE);
	assert_int_equal(fake_vmcs[VMCS_MSR_BITMAP], (uintptr_t)msr_bitmap);
	assert_int_equal(fake_vmcs[VMCS_EPTP], vm.ept.eptp);
	assert_int_equal(fake_vmcs[VMCS_VPID], 17);
	assert_int_equal(fake_vmcs[VMCS_TSC_OFFSET], 0x1234);
	assert_int_equal(fake_vmcs[VMCS_LINK_POINTER], UINT64_MAX);
	assert_int_equal(fake_msr_gp, 0);
}

/* What if the CPU demands bits that we did not ask for? */
static void test_must_be_one(void **state)
{
	(void)state;
	fake_msr_set(MSR_VMX_TRUE_PINBASED, ALLOW_ALL | 0x16);
	fake_msr_set(MSR_VMX_TRUE_PROCBASED, ALLOW_ALL | 0x04006172);
	fake_msr_set(MSR_VMX_TRUE_EXIT, ALLOW_ALL | 0x36DFB);
	fake_msr_set(MSR_VMX_TRUE_ENTRY, ALLOW_ALL | 0x11FB);
	vmcs_init_controls(&vcpu);
	assert_int_equal(fake_vmcs[VMCS_PIN_CTRL] & 0x16, 0x16);
	assert_int_equal(fake_vmcs[VMCS_PROC_CTRL] & 0x04006172, 0x04006172);
	assert_int_equal(fake_vmcs[VMCS_EXIT_CTRL] & 0x36DFB, 0x36DFB);
	assert_int_equal(fake_vmcs[VMCS_ENTRY_CTRL] & 0x11FB, 0x11FB);
}

/* What if an optional feature is missing or hidden? Its control stays 0, its fields unwritten. */
static void test_optional(void **state)
{
	(void)state;
	memset(caps, 0, sizeof(caps));
	fake_vmcs[VMCS_VPID] = 0x55;
	vmcs_init_controls(&vcpu);
	assert_int_equal(fake_vmcs[VMCS_PROC_CTRL2], PROC2_EPT | PROC2_UNRESTRICTED | PROC2_WBINVD_EXIT);
	assert_int_equal(fake_vmcs[VMCS_PROC_CTRL] & PROC_PAUSE_EXIT, 0);
	assert_int_equal(fake_vmcs[VMCS_VPID], 0x55);
}

/* What if a control that every guest needs is not there? It is said which. */
static void test_missing(void **state)
{
	(void)state;
	fake_msr_set(MSR_VMX_TRUE_PROCBASED, ALLOW_ALL & ~((uint64_t)PROC_MSR_BITMAPS << 32));
	expect_assert_failure(vmcs_init_controls(&vcpu));
	assert_true(strstr(fake_log_last, "lacks primary control 0x10000000") != NULL);
}

/* What if the CPU has no "true" capability registers? */
static void test_old_registers(void **state)
{
	(void)state;
	fake_msr_set(MSR_VMX_BASIC, 0);
	fake_msr_set(MSR_VMX_PINBASED, ALLOW_ALL | 0x16);
	fake_msr_set(MSR_VMX_PROCBASED, ALLOW_ALL | 0x0401E172);
	fake_msr_set(MSR_VMX_EXIT, ALLOW_ALL);
	fake_msr_set(MSR_VMX_ENTRY, ALLOW_ALL);
	vmcs_init_controls(&vcpu);
	assert_int_equal(fake_vmcs[VMCS_PIN_CTRL] & 0x16, 0x16);
	assert_int_equal(fake_vmcs[VMCS_PROC_CTRL] & 0x0401E172, 0x0401E172);
	assert_int_equal(fake_msr_gp, 0);
}

/* Is saving the timer on only while the timer is, and is the rate's shift applied? */
static void test_slice(void **state)
{
	uint32_t writes;

	(void)state;
	fake_msr_set(MSR_VMX_MISC, 0x7004C1E5);
	vmcs_ctrl_boot();
	assert_non_null(sched_arm_guard);
	vmcs_init_controls(&vcpu);
	assert_int_equal(fake_vmcs[VMCS_PIN_CTRL] & PIN_PREEMPTION_TIMER, 0);
	sched_arm_guard(3200);
	assert_int_equal(fake_vmcs[VMCS_PREEMPTION_TIMER], 100);
	assert_true((fake_vmcs[VMCS_PIN_CTRL] & PIN_PREEMPTION_TIMER) != 0);
	assert_true((fake_vmcs[VMCS_EXIT_CTRL] & VMEXIT_SAVE_PREEMPTION) != 0);
	writes = fake_vmcs_writes;
	sched_arm_guard(64);
	assert_int_equal(fake_vmcs_writes, writes + 1);
	sched_arm_guard(UINT64_MAX);
	assert_int_equal(fake_vmcs[VMCS_PREEMPTION_TIMER], UINT32_MAX);
	sched_arm_guard(0);
	assert_int_equal(fake_vmcs[VMCS_PIN_CTRL] & PIN_PREEMPTION_TIMER, 0);
	assert_int_equal(fake_vmcs[VMCS_EXIT_CTRL] & VMEXIT_SAVE_PREEMPTION, 0);
	assert_true((fake_vmcs[VMCS_PIN_CTRL] & PIN_EXTINT_EXIT) != 0);
}

/* What if there is no such timer? The scheduler uses the APIC's. */
static void test_no_timer(void **state)
{
	(void)state;
	caps[CAP_PREEMPTION_TIMER] = false;
	vmcs_ctrl_boot();
	assert_null(sched_arm_guard);
	assert_int_equal(fake_msr_gp, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_all, setup),
		cmocka_unit_test_setup(test_must_be_one, setup),
		cmocka_unit_test_setup(test_optional, setup),
		cmocka_unit_test_setup(test_missing, setup),
		cmocka_unit_test_setup(test_old_registers, setup),
		cmocka_unit_test_setup(test_slice, setup),
		cmocka_unit_test_setup(test_no_timer, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
