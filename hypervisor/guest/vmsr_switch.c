// SPDX-License-Identifier: BSD-3-Clause
/*
 * MSRs a guest uses directly: those of the VMCS, and those that stay in the processor while the
 * vCPU does and are saved and loaded when another one takes its place.  Root mode uses none of
 * them.  The hooks run on the vCPU's own pCPU; no lock.
 */
#include "lib/errno.h"
#include "lib/kconfig.h"
#include "lib/string.h"
#include "config.h"
#include "asm/cpuregs.h"
#include "asm/cpuid.h"
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

static bool spec_ctrl;

static uint32_t leaf7_edx(void)
{
	return cpuid_reg(7, 0, CPUID_EDX);
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

/* What a CPU's registers hold of those a guest cannot write without an exit. */
static struct {
	struct quiet_msrs msrs;
	const struct quiet_msrs *syscall_of; /* all of SYSCALL's are this vCPU's; NULL: perhaps not */
} held[CONFIG_MAX_PCPU_NUM];

static inline void load(uint32_t msr, uint64_t *now, uint64_t val)
{
	if (*now != val) {
		*now = val;
		msr_write(msr, val);
	}
}

static __noinline void syscall_load(uint32_t cpu, const struct quiet_msrs *m)
{
	uint64_t *now = held[cpu].msrs.syscall;

	for (uint32_t i = 0U; i < ARRAY_SIZE(m->syscall); i++) {
		load(MSR_STAR + i, &now[i], m->syscall[i]);
	}
	held[cpu].syscall_of = m;
}

static inline void quiet_load(const struct quiet_msrs *m)
{
	uint32_t cpu = this_pcpu()->id;

	load(MSR_TSC_AUX, &held[cpu].msrs.tsc_aux, m->tsc_aux); /* where there is none both are 0 */
	if (m->syscall_on && held[cpu].syscall_of != m) {
		syscall_load(cpu, m);
	}
}

void vmsr_syscall_on(struct vcpu *vcpu)
{
	vcpu->msrs->quiet.syscall_on = true;
	quiet_load(&vcpu->msrs->quiet);
}

static int syscall_read(struct vcpu *vcpu, uint32_t msr, uint64_t *val)
{
	*val = vcpu->msrs->quiet.syscall[msr - MSR_STAR];
	return 0;
}

/* Kernels write these once, as they start; so a switch need neither read nor often write them. */
static int quiet_write(struct vcpu *vcpu, uint32_t msr, uint64_t val)
{
	struct quiet_msrs *m = &vcpu->msrs->quiet;
	bool is_address = msr == MSR_LSTAR || msr == MSR_CSTAR;

	if (is_address && (uint64_t)((int64_t)(val << 16) >> 16) != val) {
		return -EINVAL;
	}
	if ((msr == MSR_FMASK || msr == MSR_TSC_AUX) && val > UINT32_MAX) {
		return -EINVAL;
	}
	*(msr == MSR_TSC_AUX ? &m->tsc_aux : &m->syscall[msr - MSR_STAR]) = val;
	held[this_pcpu()->id].syscall_of = NULL;
	quiet_load(m);
	return 0;
}

void vmsr_switch(struct vcpu *from, const struct vcpu *to)
{
	const struct vcpu_msrs *m = to->msrs;

	if (likely(from != NULL)) {
		from->msrs->kernel_gs_base = msr_read(MSR_KERNEL_GS_BASE);
		if (spec_ctrl) {
			from->msrs->spec_ctrl = msr_read(MSR_SPEC_CTRL);
		}
	}
	quiet_load(&m->quiet);
	msr_write(MSR_KERNEL_GS_BASE, m->kernel_gs_base);
	if (spec_ctrl) {
		msr_write(MSR_SPEC_CTRL, m->spec_ctrl);
	}
}

static int msrs_boot(void)
{
	spec_ctrl = has_spec_ctrl();
	return 0;
}

/*
 * The vCPU's state is in the processor by now, so its reset goes there. It comes before the first
 * entry: what the loader or firmware left in the registers is gone then.
 */
static void msrs_vcpu_reset(struct vcpu *vcpu)
{
	uint32_t cpu = this_pcpu()->id;
	struct quiet_msrs *now = &held[cpu].msrs;

	(void)memset(now->syscall, 0xFF, sizeof(now->syscall));
	now->tsc_aux = has_rdtscp() ? UINT64_MAX : 0U;
	held[cpu].syscall_of = NULL;
	*vcpu->msrs = (struct vcpu_msrs){
		.pat = PAT_POWER_ON,
		.misc_enable = 1U,
		.tsc_adjust = vcpu->msrs->tsc_adjust, /* outlives an INIT */
		.quiet.syscall_on = (vcpu->start.efer & EFER_SCE) != 0U,
	};
	vmsr_switch(NULL, vcpu);
}

UNIT(vmsr_switch) = {
	.name = "vmsr_switch",
	.level = UNIT_CORE,
	.boot = msrs_boot,
	.vcpu_state = VCPU_STATE("vCPU MSRs", struct vcpu_msrs, msrs),
	.vcpu_reset = msrs_vcpu_reset,
};

VMSR(sysenter) = {.first = MSR_SYSENTER_CS, .last = MSR_SYSENTER_EIP, .pass_read = true, .pass_write = true};
VMSR(syscall) = {
	.first = MSR_STAR, .last = MSR_FMASK, .read = syscall_read, .write = quiet_write};
VMSR(fs_gs) = {.first = MSR_FS_BASE, .last = MSR_KERNEL_GS_BASE, .pass_read = true, .pass_write = true};
VMSR(tsc_aux) = {.first = MSR_TSC_AUX, .last = MSR_TSC_AUX, .pass_read = true, .write = quiet_write,
		 .present = has_rdtscp};
VMSR(spec_ctrl) = {.first = MSR_SPEC_CTRL, .last = MSR_SPEC_CTRL, .pass_read = true,
		   .pass_write = true, .present = has_spec_ctrl};
VMSR(pred_cmd) = {.first = MSR_PRED_CMD, .last = MSR_PRED_CMD, .pass_write = true,
		  .present = has_pred_cmd};
VMSR(flush_cmd) = {.first = MSR_FLUSH_CMD, .last = MSR_FLUSH_CMD, .pass_write = true,
		   .present = has_flush_cmd};
