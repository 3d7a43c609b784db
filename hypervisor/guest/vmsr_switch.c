// SPDX-License-Identifier: BSD-3-Clause
/*
 * MSRs a guest uses directly: those of the VMCS, and those that stay in the processor while the
 * vCPU does and are saved and loaded when another one takes its place.  Root mode uses none of
 * them.  The hooks run on the vCPU's own pCPU; no lock.
 */
#include "lib/errno.h"
#include "lib/kconfig.h"
#include "asm/insn.h"
#include "asm/msr.h"
#include "hv/caps.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "hv/vmsr.h"

/* CPUID.7.0:EDX */
#define CPUID_7_EDX_IBRS      BIT32(26)
#define CPUID_7_EDX_STIBP     BIT32(27)
#define CPUID_7_EDX_L1D_FLUSH BIT32(28)
#define CPUID_7_EDX_SSBD      BIT32(31)

static struct pool msrs_pool;
static bool spec_ctrl;

static uint32_t leaf7_edx(void)
{
	uint32_t r[4];

	cpuid_count(0, 0, r);
	if (r[0] < 7U) {
		return 0;
	}
	cpuid_count(7, 0, r);
	return r[3];
}

static bool has_spec_ctrl(void)
{
	return (leaf7_edx() & (CPUID_7_EDX_IBRS | CPUID_7_EDX_STIBP | CPUID_7_EDX_SSBD)) != 0U;
}

static bool has_pred_cmd(void)
{
	return (leaf7_edx() & CPUID_7_EDX_IBRS) != 0U;
}

static bool has_flush_cmd(void)
{
	return (leaf7_edx() & CPUID_7_EDX_L1D_FLUSH) != 0U;
}

static bool has_rdtscp(void)
{
	return cap_has(CAP_RDTSCP);
}

static void msrs_switch_out(struct vcpu *vcpu)
{
	struct vcpu_msrs *m = vcpu->msrs;

	m->star = msr_read(MSR_STAR);
	m->lstar = msr_read(MSR_LSTAR);
	m->cstar = msr_read(MSR_CSTAR);
	m->fmask = msr_read(MSR_FMASK);
	m->kernel_gs_base = msr_read(MSR_KERNEL_GS_BASE);
	if (has_rdtscp()) {
		m->tsc_aux = msr_read(MSR_TSC_AUX);
	}
	if (spec_ctrl) {
		m->spec_ctrl = msr_read(MSR_SPEC_CTRL);
	}
}

static void msrs_switch_in(struct vcpu *vcpu)
{
	const struct vcpu_msrs *m = vcpu->msrs;

	msr_write(MSR_STAR, m->star);
	msr_write(MSR_LSTAR, m->lstar);
	msr_write(MSR_CSTAR, m->cstar);
	msr_write(MSR_FMASK, m->fmask);
	msr_write(MSR_KERNEL_GS_BASE, m->kernel_gs_base);
	if (has_rdtscp()) {
		msr_write(MSR_TSC_AUX, m->tsc_aux);
	}
	if (spec_ctrl) {
		msr_write(MSR_SPEC_CTRL, m->spec_ctrl);
	}
}

static int msrs_boot(void)
{
	spec_ctrl = has_spec_ctrl();
	pool_init(&msrs_pool, "vCPU MSRs", sizeof(struct vcpu_msrs), 64U,
		  CONFIG_MAX_VM_NUM * MIN((uint32_t)pcpu_count, VM_MAX_VCPUS));
	return 0;
}

static int msrs_vcpu_init(struct vcpu *vcpu)
{
	vcpu->msrs = pool_get(&msrs_pool);
	return vcpu->msrs ? 0 : -ENOMEM;
}

static void msrs_vcpu_deinit(struct vcpu *vcpu)
{
	pool_put(&msrs_pool, vcpu->msrs);
	vcpu->msrs = NULL;
}

/* The vCPU's state is in the processor by now, so its reset goes there. */
static void msrs_vcpu_reset(struct vcpu *vcpu)
{
	*vcpu->msrs = (struct vcpu_msrs){
		.pat = PAT_POWER_ON,
		.misc_enable = 1U,
		.tsc_adjust = vcpu->msrs->tsc_adjust, /* outlives an INIT */
	};
	msrs_switch_in(vcpu);
}

UNIT(vmsr_switch) = {
	.name = "vmsr_switch",
	.level = UNIT_CORE,
	.boot = msrs_boot,
	.vcpu_init = msrs_vcpu_init,
	.vcpu_reset = msrs_vcpu_reset,
	.vcpu_deinit = msrs_vcpu_deinit,
	.switch_out = msrs_switch_out,
	.switch_in = msrs_switch_in,
};

VMSR(sysenter) = {.first = MSR_SYSENTER_CS, .last = MSR_SYSENTER_EIP, .pass_read = true, .pass_write = true};
VMSR(syscall) = {.first = MSR_STAR, .last = MSR_FMASK, .pass_read = true, .pass_write = true};
VMSR(fs_gs) = {.first = MSR_FS_BASE, .last = MSR_KERNEL_GS_BASE, .pass_read = true, .pass_write = true};
VMSR(tsc_aux) = {.first = MSR_TSC_AUX, .last = MSR_TSC_AUX, .pass_read = true, .pass_write = true,
		 .present = has_rdtscp};
VMSR(spec_ctrl) = {.first = MSR_SPEC_CTRL, .last = MSR_SPEC_CTRL, .pass_read = true,
		   .pass_write = true, .present = has_spec_ctrl};
VMSR(pred_cmd) = {.first = MSR_PRED_CMD, .last = MSR_PRED_CMD, .pass_write = true,
		  .present = has_pred_cmd};
VMSR(flush_cmd) = {.first = MSR_FLUSH_CMD, .last = MSR_FLUSH_CMD, .pass_write = true,
		   .present = has_flush_cmd};
