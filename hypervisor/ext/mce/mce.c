// SPDX-License-Identifier: BSD-3-Clause
/*
 * Machine checks (SDM 3B 15): they are switched on, reported, and end no more than what they hit. A
 * VM whose instruction consumed an error ends as by a triple fault, without being told: it sees no
 * banks. A processor that was only told of another's error goes on. A corrupt processor, or an error
 * in the hypervisor's own work, is a panic. On the CPU that took it, no lock; a bank that several
 * CPUs share is reported by the first of them.
 */
#include "asm/cpuregs.h"
#include "asm/insn.h"
#include "asm/msr.h"
#include "hv/boot.h"
#include "hv/cpu.h"
#include "hv/log.h"
#include "hv/pcpu.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "hv/vmcs.h"
#include "hv/vmexit.h"
#include "config.h"

#define MSR_MCG_CTL   0x17BU
#define MSR_MC0_CTL   0x400U /* four MSRs a bank: CTL, STATUS, ADDR, MISC */
#define BANK_MSRS     4U
#define MCG_CAP_COUNT 0xFFU
#define MCG_CAP_CTL_P BIT(8)
#define MCG_CAP_SER_P BIT(24) /* banks tell what software can recover from */
#define MCG_RIPV      BIT(0)  /* what was interrupted can go on */
#define MCG_EIPV      BIT(1)  /* its instruction is the error's */
#define MC_VAL	      BIT(63)
#define MC_UC	      BIT(61) /* not corrected */
#define MC_EN	      BIT(60)
#define MC_ADDRV      BIT(58)
#define MC_PCC	      BIT(57) /* the processor's state may be corrupt */
#define CPUID_1_EDX_MCE BIT32(7)
#define CPUID_1_EDX_MCA BIT32(14)

enum verdict {
	NOT_OURS,  /* of another processor, or nothing that was used */
	OUR_WORK,  /* of what this processor was doing */
	PROCESSOR, /* nothing it does can be relied on */
};

static vmexit_fn next_exception;
static void (*next_switch_in)(struct thread *t);
static bool is_ready[CONFIG_MAX_PCPU_NUM];

/* Reports and empties one bank. */
static enum verdict judge_bank(uint32_t bank, bool recoverable)
{
	uint32_t first = MSR_MC0_CTL + bank * BANK_MSRS;
	uint64_t status = msr_read(first + 1U);

	if ((status & MC_VAL) == 0U) {
		return NOT_OURS;
	}
	report("machine check: CPU %u bank %u status %lx address %lx", this_pcpu()->id, bank, status,
	       ((status & MC_ADDRV) != 0U) ? msr_read(first + 2U) : 0U);
	msr_write(first + 1U, 0U);
	if ((status & MC_PCC) != 0U) {
		return PROCESSOR;
	}
	/* Where banks tell more, EIPV has told already whose it is. */
	return (!recoverable && (status & (MC_UC | MC_EN)) == (MC_UC | MC_EN)) ? OUR_WORK : NOT_OURS;
}

static enum verdict judge(void)
{
	uint64_t cap = msr_read(MSR_MCG_CAP), status = msr_read(MSR_MCG_STATUS);
	enum verdict worst = ((status & (MCG_RIPV | MCG_EIPV)) == MCG_RIPV) ? NOT_OURS : OUR_WORK;

	for (uint32_t i = 0U; i < (cap & MCG_CAP_COUNT); i++) {
		enum verdict bank = judge_bank(i, (cap & MCG_CAP_SER_P) != 0U);

		worst = MAX(worst, bank);
	}
	msr_write(MSR_MCG_STATUS, 0U); /* with MCIP set the next one would stop the machine */
	return worst;
}

static void exception_exit(struct vcpu *vcpu)
{
	uint32_t info = vmcs_read32(VMCS_EXIT_INTR_INFO);
	enum verdict found;

	if (INTR_INFO_TYPE(info) != INTR_TYPE_HW_EXC || INTR_INFO_VECTOR(info) != EXC_MC) {
		next_exception(vcpu);
		return;
	}
	found = judge();
	if (found == PROCESSOR) {
		panic("machine check: CPU %u is not reliable any more", this_pcpu()->id);
	}
	if (found == OUR_WORK) {
		report("machine check: hit VM%u vCPU%u at %lx, which ends", vcpu->vm->id, vcpu->id,
		       vmcs_read(VMCS_GUEST_RIP));
		vcpu->vm->on_triple_fault(vcpu);
	}
}

/* In root mode; its own stack (IST). */
static bool expected(struct intr_frame *f)
{
	return f->vector == EXC_MC && judge() == NOT_OURS;
}

/* Each CPU, before its first VMCS takes over CR4. What the banks hold is from before this boot. */
static void switch_on(void)
{
	uint64_t cap = msr_read(MSR_MCG_CAP);

	if ((cap & MCG_CAP_CTL_P) != 0U) {
		msr_write(MSR_MCG_CTL, UINT64_MAX);
	}
	for (uint32_t i = 0U; i < (cap & MCG_CAP_COUNT); i++) {
		msr_write(MSR_MC0_CTL + i * BANK_MSRS, UINT64_MAX);
		(void)judge_bank(i, true);
	}
	write_cr4(read_cr4() | CR4_MCE);
}

static void mce_switch_in(struct thread *t)
{
	bool *ready = &is_ready[this_pcpu()->id];

	if (!*ready) {
		*ready = true;
		switch_on();
	}
	next_switch_in(t);
}

static int mce_boot(void)
{
	uint32_t r[4], both = CPUID_1_EDX_MCE | CPUID_1_EDX_MCA;
	uint64_t cap = 0U;

	cpuid_count(1U, 0U, r);
	if ((r[3] & both) == both && msr_read_safe(MSR_MCG_CAP, &cap) && (cap & MCG_CAP_COUNT) != 0U) {
		next_exception = vmexit_replace(EXIT_EXCEPTION_NMI, exception_exit);
		next_switch_in = vcpu_switch_replace(mce_switch_in);
		exception_expected = expected;
	} else {
		report("boot: this CPU has no machine-check banks");
	}
	return 0;
}

UNIT(mce) = {.name = "mce", .level = UNIT_SERVICE, .boot = mce_boot};
