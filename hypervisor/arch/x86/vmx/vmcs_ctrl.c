// SPDX-License-Identifier: BSD-3-Clause
/*
 * The VMX controls: one table says which bits are wanted and what they depend on, and what the
 * CPU allows decides. Worked out on each vCPU's own CPU when its VMCS is filled; no lock. Units
 * that own a control (APICv) change it later through vmcs_read/vmcs_write or vmcs_proc_ctrl().
 */
#include "asm/insn.h"
#include "asm/msr.h"
#include "hv/caps.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/vm.h"
#include "hv/vmcs.h"
#include "vmcs_parts.h"

enum ctrl { CTRL_PIN, CTRL_PROC, CTRL_PROC2, CTRL_EXIT, CTRL_ENTRY, CTRL_COUNT };

#define ALWAYS CAP_COUNT

static const struct {
	enum ctrl ctrl;
	uint32_t bit;
	enum cpu_cap cap; /* wanted where the CPU has it, ALWAYS: needed */
} wanted[] = {
	{CTRL_PIN, PIN_EXTINT_EXIT, ALWAYS},
	{CTRL_PIN, PIN_NMI_EXIT, ALWAYS},
	{CTRL_PIN, PIN_VIRTUAL_NMI, ALWAYS},
	{CTRL_PROC, PROC_TSC_OFFSET, ALWAYS},
	{CTRL_PROC, PROC_HLT_EXIT, ALWAYS},
	{CTRL_PROC, PROC_MWAIT_EXIT, ALWAYS},
	{CTRL_PROC, PROC_MONITOR_EXIT, ALWAYS},
	{CTRL_PROC, PROC_RDPMC_EXIT, ALWAYS},
	{CTRL_PROC, PROC_CR8_LOAD_EXIT, ALWAYS},  /* until APICv gives it a TPR shadow */
	{CTRL_PROC, PROC_CR8_STORE_EXIT, ALWAYS},
	{CTRL_PROC, PROC_IO_BITMAPS, ALWAYS},
	{CTRL_PROC, PROC_MSR_BITMAPS, ALWAYS},
	{CTRL_PROC, PROC_SECONDARY, ALWAYS},
	{CTRL_PROC, PROC_PAUSE_EXIT, CAP_PAUSE_EXIT},
	{CTRL_PROC2, PROC2_EPT, ALWAYS},
	{CTRL_PROC2, PROC2_UNRESTRICTED, ALWAYS},
	{CTRL_PROC2, PROC2_WBINVD_EXIT, ALWAYS},
	{CTRL_PROC2, PROC2_VPID, CAP_VPID},
	{CTRL_PROC2, PROC2_RDTSCP, CAP_RDTSCP},
	{CTRL_PROC2, PROC2_INVPCID, CAP_INVPCID},
	{CTRL_PROC2, PROC2_XSAVES, CAP_XSAVES},
	{CTRL_EXIT, VMEXIT_HOST_64, ALWAYS},
	{CTRL_EXIT, VMEXIT_ACK_INTR, ALWAYS},
	{CTRL_EXIT, VMEXIT_SAVE_DEBUG, ALWAYS},
	{CTRL_EXIT, VMEXIT_SAVE_PAT, ALWAYS},
	{CTRL_EXIT, VMEXIT_LOAD_PAT, ALWAYS},
	{CTRL_EXIT, VMEXIT_SAVE_EFER, ALWAYS},
	{CTRL_EXIT, VMEXIT_LOAD_EFER, ALWAYS},
	{CTRL_ENTRY, VMENTRY_LOAD_DEBUG, ALWAYS},
	{CTRL_ENTRY, VMENTRY_LOAD_PAT, ALWAYS},
	{CTRL_ENTRY, VMENTRY_LOAD_EFER, ALWAYS},
};

static const struct {
	const char *name;
	uint32_t field, msr, true_msr;
} controls[CTRL_COUNT] = {
	[CTRL_PIN] = {"pin", VMCS_PIN_CTRL, MSR_VMX_PINBASED, MSR_VMX_TRUE_PINBASED},
	[CTRL_PROC] = {"primary", VMCS_PROC_CTRL, MSR_VMX_PROCBASED, MSR_VMX_TRUE_PROCBASED},
	[CTRL_PROC2] = {"secondary", VMCS_PROC_CTRL2, MSR_VMX_PROCBASED2, MSR_VMX_PROCBASED2},
	[CTRL_EXIT] = {"exit", VMCS_EXIT_CTRL, MSR_VMX_EXIT, MSR_VMX_TRUE_EXIT},
	[CTRL_ENTRY] = {"entry", VMCS_ENTRY_CTRL, MSR_VMX_ENTRY, MSR_VMX_TRUE_ENTRY},
};

static uint32_t preemption_shift;

/* Low half of the capability: bits that must be 1; high half: bits that may be (SDM 3D A.2). */
static uint32_t settle(enum ctrl which)
{
	bool true_ctls = (msr_read(MSR_VMX_BASIC) & BIT(55)) != 0U;
	uint64_t cap = msr_read(true_ctls ? controls[which].true_msr : controls[which].msr);
	uint32_t v = (uint32_t)cap;

	for (size_t i = 0U; i < ARRAY_SIZE(wanted); i++) {
		if (wanted[i].ctrl != which) {
			continue;
		}
		if (wanted[i].cap == ALWAYS && ((uint32_t)(cap >> 32) & wanted[i].bit) == 0U) {
			panic("VMX: the CPU lacks %s control 0x%x", controls[which].name,
			      wanted[i].bit);
		}
		if (wanted[i].cap == ALWAYS || cap_has(wanted[i].cap)) {
			v |= wanted[i].bit;
		}
	}
	return v;
}

void vmcs_init_controls(struct vcpu *vcpu)
{
	const struct vm *vm = vcpu->vm;

	for (uint32_t i = 0U; i < CTRL_COUNT; i++) {
		vmcs_write(controls[i].field, settle((enum ctrl)i));
	}
	vcpu->proc_ctrl = vmcs_read32(VMCS_PROC_CTRL);
	vmcs_write(VMCS_EXCEPTION_BITMAP, 0U);
	vmcs_write(VMCS_PF_ERROR_MASK, 0U);
	vmcs_write(VMCS_PF_ERROR_MATCH, 0U);
	vmcs_write(VMCS_CR3_TARGET_COUNT, 0U);
	vmcs_write(VMCS_EXIT_MSR_STORE_COUNT, 0U);
	vmcs_write(VMCS_EXIT_MSR_LOAD_COUNT, 0U);
	vmcs_write(VMCS_ENTRY_MSR_LOAD_COUNT, 0U);
	vmcs_write(VMCS_ENTRY_INTR_INFO, 0U);
	vmcs_write(VMCS_TPR_THRESHOLD, 0U);
	vmcs_write(VMCS_LINK_POINTER, UINT64_MAX);
	vmcs_write(VMCS_TSC_OFFSET, vcpu->tsc_offset);
	vmcs_write(VMCS_IO_BITMAP_A, ptr_hpa(vm->io_bitmap).v);
	vmcs_write(VMCS_IO_BITMAP_B, ptr_hpa(vm->io_bitmap + PAGE_SIZE).v);
	vmcs_write(VMCS_MSR_BITMAP, ptr_hpa(vm->msr_bitmap).v);
	vmcs_write(VMCS_EPTP, vm->ept.eptp);
	if (cap_has(CAP_VPID)) {
		vmcs_write(VMCS_VPID, vcpu->vpid);
	}
	if (cap_has(CAP_XSAVES)) {
		vmcs_write(VMCS_XSS_EXIT_BITMAP, 0U);
	}
}

/*
 * The timer counts only while the guest runs and keeps its value over exits, so that an exit costs
 * nothing; saving is allowed only while it is active (SDM 3C 27.2.1.2), hence the pair.
 */
static void guard_set(uint64_t ticks)
{
	uint32_t pin = vmcs_read32(VMCS_PIN_CTRL), out = vmcs_read32(VMCS_EXIT_CTRL);

	if (ticks == 0U) {
		vmcs_write(VMCS_PIN_CTRL, pin & ~PIN_PREEMPTION_TIMER);
		vmcs_write(VMCS_EXIT_CTRL, out & ~VMEXIT_SAVE_PREEMPTION);
		return;
	}
	vmcs_write(VMCS_PREEMPTION_TIMER, MIN(ticks >> preemption_shift, (uint64_t)UINT32_MAX));
	if ((pin & PIN_PREEMPTION_TIMER) == 0U) {
		vmcs_write(VMCS_PIN_CTRL, pin | PIN_PREEMPTION_TIMER);
		vmcs_write(VMCS_EXIT_CTRL, out | VMEXIT_SAVE_PREEMPTION);
	}
}

void vmcs_ctrl_boot(void)
{
	if (!cap_has(CAP_PREEMPTION_TIMER)) {
		return;
	}
	preemption_shift = (uint32_t)msr_read(MSR_VMX_MISC) & 0x1FU;
	sched_arm_guard = guard_set;
}
