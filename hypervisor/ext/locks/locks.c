// SPDX-License-Identifier: BSD-3-Clause
/*
 * Split locks and locks on uncached memory, which stop the memory accesses of all processors (SDM 3A
 * 9.1.2.3): the processor faults on them (#AC, #GP) in place of doing them, and so we see them. The
 * instruction is then done once, detection being off for that step; a fault that comes all the same
 * is the guest's own. After a lock the vCPU rests, so that a VM can do few of them in a second.
 * Guests see nothing of it. On the vCPU's own CPU, no lock.
 */
#include "asm/cpuregs.h"
#include "asm/insn.h"
#include "asm/msr.h"
#include "hv/boot.h"
#include "hv/log.h"
#include "hv/pcpu.h"
#include "hv/timer.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "hv/vmcs.h"
#include "hv/vmexit.h"
#include "config.h"

#define MSR_TEST_CTRL	   0x33U
#define MSR_CORE_CAPS	   0xCFU
#define CPUID_7_EDX_CAPS   BIT32(30)
#define CORE_CAPS_UC_LOCK  BIT(4)
#define CORE_CAPS_SPLIT	   BIT(5)
#define TEST_CTRL_UC_LOCK  BIT(28) /* #GP(0) */
#define TEST_CTRL_SPLIT	   BIT(29) /* #AC(0), whatever CR0.AM and the privilege level are */
#define REST_US		   1000U

/* A vCPU between two locks. */
struct rest {
	struct timer timer;
	struct thread *thread;
	bool told;
};

static struct rest rests[CONFIG_MAX_VM_NUM][VM_MAX_VCPUS];
static uint64_t detected;		    /* bits of TEST_CTRL that are on while guests run */
static bool is_off[CONFIG_MAX_PCPU_NUM];
static vmexit_fn next_exception;
static void (*next_switch_in)(struct thread *t);

static void detect(bool on)
{
	uint64_t val = msr_read(MSR_TEST_CTRL);

	msr_write(MSR_TEST_CTRL, on ? (val | detected) : (val & ~detected));
	is_off[this_pcpu()->id] = !on;
}

static bool is_stepping(const struct vcpu *vcpu)
{
	return (vcpu->proc_ctrl & PROC_MTF) != 0U;
}

static void locks_switch_in(struct thread *t)
{
	const struct vcpu *vcpu = container_of(t, struct vcpu, thread);

	next_switch_in(t);
	if (is_off[vcpu->pcpu->id] != is_stepping(vcpu)) {
		detect(!is_stepping(vcpu));
	}
}

/* A fault with error code 0 that may be a lock's. */
static bool may_be_lock(uint32_t info)
{
	uint8_t vector = (uint8_t)INTR_INFO_VECTOR(info);
	bool split = vector == EXC_AC && (detected & TEST_CTRL_SPLIT) != 0U;
	bool uc = vector == EXC_GP && (detected & TEST_CTRL_UC_LOCK) != 0U;

	return INTR_INFO_TYPE(info) == INTR_TYPE_HW_EXC && (split || uc) &&
	       vmcs_read32(VMCS_EXIT_ERROR_CODE) == 0U;
}

static void exception_exit(struct vcpu *vcpu)
{
	if (!is_stepping(vcpu) && may_be_lock(vmcs_read32(VMCS_EXIT_INTR_INFO))) {
		vmcs_proc_ctrl(vcpu, PROC_MTF, 0U);
		detect(false);
	} else if (is_stepping(vcpu) &&
		   INTR_INFO_TYPE(vmcs_read32(VMCS_EXIT_INTR_INFO)) == INTR_TYPE_HW_EXC) {
		/* Not a lock: no rest. */
		vmcs_proc_ctrl(vcpu, 0U, PROC_MTF);
		detect(true);
		next_exception(vcpu);
	} else {
		next_exception(vcpu);
	}
}

static void rested(struct timer *t)
{
	sched_wake(container_of(t, struct rest, timer)->thread);
}

/* The step is done, or an event was delivered in its place and it will come again. */
static void step_exit(struct vcpu *vcpu)
{
	struct rest *r = &rests[vcpu->vm->id][vcpu->id];

	vmcs_proc_ctrl(vcpu, 0U, PROC_MTF);
	detect(true);
	if (!r->told) {
		r->told = true;
		pr_warn("VM%u vCPU%u: a lock that stops all processors, before %lx", vcpu->vm->id,
			vcpu->id, vmcs_read(VMCS_GUEST_RIP));
	}
	/* A VM that owns its LAPIC owns the timer of its processor too. */
	if ((vcpu->vm->flags & GUEST_FLAG_LAPIC_PASSTHROUGH) == 0U) {
		r->thread = &vcpu->thread;
		timer_arm(&r->timer, rdtsc() + us_to_tsc(REST_US));
		while (timer_armed(&r->timer)) {
			sched_block();
		}
	}
}

static int locks_vcpu_init(struct vcpu *vcpu)
{
	struct rest *r = &rests[vcpu->vm->id][vcpu->id];

	r->told = false;
	timer_init(&r->timer, rested);
	return 0;
}

static void locks_vcpu_reset(struct vcpu *vcpu)
{
	if (detected == 0U) {
		return;
	}
	timer_cancel(&rests[vcpu->vm->id][vcpu->id].timer);
	detect(true);
	if ((detected & TEST_CTRL_UC_LOCK) != 0U) {
		vmcs_write(VMCS_EXCEPTION_BITMAP,
			   vmcs_read(VMCS_EXCEPTION_BITMAP) | BIT32(EXC_GP));
	}
}

static void locks_vcpu_deinit(struct vcpu *vcpu)
{
	timer_cancel(&rests[vcpu->vm->id][vcpu->id].timer);
}

static uint64_t find(void)
{
	uint32_t r[4];
	uint64_t caps;

	cpuid_count(0U, 0U, r);
	if (r[0] < 7U) {
		return 0U;
	}
	cpuid_count(7U, 0U, r);
	if ((r[3] & CPUID_7_EDX_CAPS) == 0U || ((msr_read(MSR_VMX_PROCBASED) >> 32) & PROC_MTF) == 0U) {
		return 0U;
	}
	caps = msr_read(MSR_CORE_CAPS);
	return ((caps & CORE_CAPS_SPLIT) != 0U ? TEST_CTRL_SPLIT : 0U) |
	       ((caps & CORE_CAPS_UC_LOCK) != 0U ? TEST_CTRL_UC_LOCK : 0U);
}

static int locks_boot(void)
{
	uint64_t wanted = (locks_config.split ? TEST_CTRL_SPLIT : 0U) |
			  (locks_config.uncached ? TEST_CTRL_UC_LOCK : 0U);

	detected = (wanted != 0U) ? find() & wanted : 0U;
	if (detected != wanted) {
		report("boot: this CPU does not detect %s locks: a VM's can slow the others down",
		       ((wanted & ~detected) == TEST_CTRL_UC_LOCK) ? "uncached" : "split");
	}
	if (detected != 0U) {
		for (uint32_t i = 0U; i < CONFIG_MAX_PCPU_NUM; i++) {
			is_off[i] = true;
		}
		next_exception = vmexit_replace(EXIT_EXCEPTION_NMI, exception_exit);
		next_switch_in = vcpu_switch_replace(locks_switch_in);
	}
	return 0;
}

UNIT(locks) = {
	.name = "locks",
	.level = UNIT_INTR, /* after vevent.c has written which exceptions exit */
	.boot = locks_boot,
	.vcpu_init = locks_vcpu_init,
	.vcpu_reset = locks_vcpu_reset,
	.vcpu_deinit = locks_vcpu_deinit,
};
VMEXIT(EXIT_MTF, step_exit);
