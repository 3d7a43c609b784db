// SPDX-License-Identifier: BSD-3-Clause
/*
 * The small emulated MSRs: time stamp, microcode, platform, machine check, power, debug control.
 * Each reads as a machine without the function behind it would, so that a kernel's probing ends
 * well; none touches an MSR of the processor but ARCH_CAPABILITIES.  Own CPU, no lock.
 */
#include "lib/errno.h"
#include "asm/cpuregs.h"
#include "asm/cpuid.h"
#include "asm/msr.h"
#include "asm/vmx_insn.h"
#include "hv/caps.h"
#include "hv/timer.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vintr.h"
#include "hv/vm.h"
#include "hv/vmsr.h"

#define CPUID_7_EDX_ARCH_CAP BIT32(29)

/*
 * ARCH_CAPABILITIES bits that only tell; those that promise a control register (TSX_CTRL,
 * MCU_CONTROL ...) are cleared. RDCL_NO, IBRS_ALL, RSBA, SKIP_L1DFL, SSB_NO, MDS_NO, PSCHANGE_NO;
 * TAA_NO; SBDR_SSDP_NO, FBSDP_NO, PSDP_NO; FB_CLEAR; RRSBA, BHI_NO; PBRSB_NO; GDS_NO, RFDS_NO.
 */
#define ARCH_CAP_SHOWN                                                                             \
	(0x7FUL | BIT(8) | (7UL << 13) | BIT(17) | (3UL << 19) | BIT(24) | (3UL << 26))

#define MISC_ENABLE_FAST_STRINGS     BIT(0)
#define MISC_ENABLE_BTS_UNAVAILABLE  BIT(11)
#define MISC_ENABLE_PEBS_UNAVAILABLE BIT(12)

static uint64_t arch_caps;

/* A write to the TSC moves IA32_TSC_ADJUST by the same amount, and the other way round. */
static void tsc_move(struct vcpu *vcpu, uint64_t delta)
{
	vcpu->msrs->tsc_adjust += delta;
	vcpu->tsc_offset += delta;
	vmcs_write(VMCS_TSC_OFFSET, vcpu->tsc_offset);
	if (vcpu->vm->vintr->tsc_moved) {
		vcpu->vm->vintr->tsc_moved(vcpu);
	}
}

static int tsc_write(struct vcpu *vcpu, uint32_t msr, uint64_t val)
{
	(void)msr;
	tsc_move(vcpu, val - (rdtsc() + vcpu->tsc_offset));
	return 0;
}

static int tsc_adjust_read(struct vcpu *vcpu, uint32_t msr, uint64_t *val)
{
	(void)msr;
	*val = vcpu->msrs->tsc_adjust;
	return 0;
}

static int tsc_adjust_write(struct vcpu *vcpu, uint32_t msr, uint64_t val)
{
	(void)msr;
	tsc_move(vcpu, val - vcpu->msrs->tsc_adjust);
	return 0;
}

/*
 * What a machine with nothing behind the register says. Microcode is of revision 1: kernels take 0
 * for "not loaded". FEATURE_CONTROL is locked with VMX off, as a firmware that offers none leaves
 * it. The ratio of a 100 MHz bus clock at which the TSC runs is in bits 15:8.
 */
static int constant_read(struct vcpu *vcpu, uint32_t msr, uint64_t *val)
{
	(void)vcpu;
	switch (msr) {
	case MSR_BIOS_SIGN_ID:
		*val = 1UL << 32;
		break;
	case MSR_FEATURE_CONTROL:
		*val = FEATURE_CONTROL_LOCK;
		break;
	case MSR_PLATFORM_INFO:
	case MSR_PERF_STATUS:
	case MSR_PERF_CTL:
		*val = (uint64_t)((tsc_khz() / 100000U) & 0xFFU) << 8;
		break;
	case MSR_ARCH_CAPABILITIES:
		*val = arch_caps;
		break;
	default:
		*val = 0;
		break;
	}
	return 0;
}

/* Also the trigger of a microcode update: updates are the hypervisor's. */
static int write_ignored(struct vcpu *vcpu, uint32_t msr, uint64_t val)
{
	(void)vcpu;
	(void)msr;
	(void)val;
	return 0;
}

/* No machine check is pending; every supervisor state component is hidden from CPUID. */
static int zero_write(struct vcpu *vcpu, uint32_t msr, uint64_t val)
{
	(void)vcpu;
	(void)msr;
	return val == 0U ? 0 : -EINVAL;
}

static int misc_enable_read(struct vcpu *vcpu, uint32_t msr, uint64_t *val)
{
	(void)msr;
	*val = vcpu->msrs->misc_enable | MISC_ENABLE_BTS_UNAVAILABLE | MISC_ENABLE_PEBS_UNAVAILABLE;
	return 0;
}

/* Only fast strings can be seen to change: the other switches are for functions that are hidden. */
static int misc_enable_write(struct vcpu *vcpu, uint32_t msr, uint64_t val)
{
	(void)msr;
	vcpu->msrs->misc_enable = val & MISC_ENABLE_FAST_STRINGS;
	return 0;
}

static int debugctl_read(struct vcpu *vcpu, uint32_t msr, uint64_t *val)
{
	(void)vcpu;
	(void)msr;
	*val = vmcs_read(VMCS_GUEST_DEBUGCTL);
	return 0;
}

/* Single-stepping on branches works; last-branch records and trace stores are not there. */
static int debugctl_write(struct vcpu *vcpu, uint32_t msr, uint64_t val)
{
	(void)vcpu;
	(void)msr;
	if ((val & ~DEBUGCTL_BTF) != 0U) {
		return -EINVAL;
	}
	vmcs_write(VMCS_GUEST_DEBUGCTL, val);
	return 0;
}

static bool has_arch_caps(void)
{
	return (cpuid_reg(7, 0, CPUID_EDX) & CPUID_7_EDX_ARCH_CAP) != 0U;
}

static bool has_xsaves(void)
{
	return cap_has(CAP_XSAVES);
}

static int misc_boot(void)
{
	if (has_arch_caps()) {
		arch_caps = msr_read(MSR_ARCH_CAPABILITIES) & ARCH_CAP_SHOWN;
	}
	return 0;
}

static void misc_vcpu_reset(struct vcpu *vcpu)
{
	vmcs_write(VMCS_TSC_OFFSET, vcpu->tsc_offset);
	if (has_xsaves()) {
		msr_write(MSR_XSS, 0);
	}
}

/* An INIT leaves the time stamp counter alone; a reset of the machine does not. */
static void misc_vm_reset(struct vm *vm)
{
	for (uint16_t i = 0; i < vm->vcpu_count; i++) {
		vm->vcpus[i]->tsc_offset = 0;
		vm->vcpus[i]->msrs->tsc_adjust = 0;
	}
}

UNIT(vmsr_misc) = {
	.name = "vmsr_misc",
	.level = UNIT_CPU,
	.boot = misc_boot,
	.vm_reset = misc_vm_reset,
	.vcpu_reset = misc_vcpu_reset,
};

/* The VMCS's TSC offset serves reads of the TSC. */
VMSR(tsc) = {.first = MSR_TSC, .last = MSR_TSC, .pass_read = true, .write = tsc_write};
VMSR(platform_id) = {.first = MSR_PLATFORM_ID, .last = MSR_PLATFORM_ID, .read = constant_read};
VMSR(feature_control) = {.first = MSR_FEATURE_CONTROL, .last = MSR_FEATURE_CONTROL,
			 .read = constant_read};
VMSR(tsc_adjust) = {.first = MSR_TSC_ADJUST, .last = MSR_TSC_ADJUST, .read = tsc_adjust_read,
		    .write = tsc_adjust_write};
VMSR(bios_updt_trig) = {.first = MSR_BIOS_UPDT_TRIG, .last = MSR_BIOS_UPDT_TRIG,
			.write = write_ignored};
VMSR(bios_sign_id) = {.first = MSR_BIOS_SIGN_ID, .last = MSR_BIOS_SIGN_ID, .read = constant_read,
		      .write = write_ignored};
VMSR(platform_info) = {.first = MSR_PLATFORM_INFO, .last = MSR_PLATFORM_INFO, .read = constant_read};
VMSR(arch_capabilities) = {.first = MSR_ARCH_CAPABILITIES, .last = MSR_ARCH_CAPABILITIES,
			   .read = constant_read, .present = has_arch_caps};
VMSR(mcg_cap) = {.first = MSR_MCG_CAP, .last = MSR_MCG_CAP, .read = constant_read};
VMSR(mcg_status) = {.first = MSR_MCG_STATUS, .last = MSR_MCG_STATUS, .read = constant_read,
		    .write = zero_write};
VMSR(perf_status) = {.first = MSR_PERF_STATUS, .last = MSR_PERF_STATUS, .read = constant_read};
VMSR(perf_ctl) = {.first = MSR_PERF_CTL, .last = MSR_PERF_CTL, .read = constant_read,
		  .write = write_ignored};
VMSR(misc_enable) = {.first = MSR_MISC_ENABLE, .last = MSR_MISC_ENABLE, .read = misc_enable_read,
		     .write = misc_enable_write};
VMSR(debugctl) = {.first = MSR_DEBUGCTL, .last = MSR_DEBUGCTL, .read = debugctl_read,
		  .write = debugctl_write};
VMSR(xss) = {.first = MSR_XSS, .last = MSR_XSS, .read = constant_read, .write = zero_write,
	     .present = has_xsaves};
