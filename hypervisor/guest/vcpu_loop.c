// SPDX-License-Identifier: BSD-3-Clause
/*
 * The life of a vCPU's thread around the guest: wait for the start, fill the VMCS, enter; then,
 * after every exit that left requests, serve them. On the vCPU's own CPU and stack, interrupts
 * off, no lock. A request that another CPU sets after the last look here comes with an IPI, which
 * makes the coming VM entry exit again at once.
 */
#include "hv/vcpu_loop.h"
#include "asm/cpuregs.h"
#include "hv/log.h"
#include "hv/pcpu.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vevent.h"
#include "hv/vintr.h"
#include "hv/vm.h"
#include "hv/vmcs.h"
#include "hv/vmexit.h"
#include "lib/string.h"

#define REQ_EVENTS (REQ_EXCEPTION | REQ_NMI | REQ_REINJECT)
/* What ends a HLT whatever RFLAGS.IF is; the rest is done at the entry that follows some day. */
#define REQ_WAKES (REQ_EVENTS | REQ_RESET)

/* Real mode at vector * 4 KB, as a start-up IPI begins it (SDM 3A 9.4.4.1). */
static void start_at_sipi(struct vcpu *vcpu)
{
	vcpu_start_power_on(&vcpu->start);
	vcpu->start.rip = 0U;
	vcpu->start.seg[1].sel = (uint16_t)((uint32_t)vcpu->sipi_vector << 8);
	vcpu->start.seg[1].base = (uint64_t)vcpu->sipi_vector << 12;
}

static void load_start_state(struct vcpu *vcpu)
{
	(void)memcpy(vcpu->gpr, vcpu->start.gpr, sizeof(vcpu->gpr));
	vcpu->event = (struct vcpu_event){0};
	vmcs_guest_reset(vcpu, &vcpu->start);
	unit_vcpu_reset(vcpu);
}

/* INIT was received, or this is an application processor that was never started. */
static void wait_for_sipi(struct vcpu *vcpu)
{
	while (vcpu->state != VCPU_RUNNING) {
		sched_block();
	}
	if (vcpu->from_sipi) {
		start_at_sipi(vcpu);
	}
	load_start_state(vcpu);
}

void vcpu_loop_serve(struct vcpu *vcpu)
{
	uint64_t reqs;

	while (vcpu->requests != 0U) {
		reqs = atomic_xchg64(&vcpu->requests, 0U);
		if ((reqs & REQ_RESET) != 0U) {
			wait_for_sipi(vcpu);
			reqs &= REQ_RESCHED;
		}
		if ((reqs & REQ_RESCHED) != 0U) {
			/* Others may ask for more while we are away: look again afterwards. */
			if (reqs != REQ_RESCHED) {
				(void)atomic_or64(&vcpu->requests, reqs & ~REQ_RESCHED);
			}
			schedule();
			continue;
		}
		if ((reqs & REQ_TLB_FLUSH) != 0U) {
			vmx_invvpid(vcpu->vpid);
		}
		if ((reqs & REQ_EVENTS) != 0U) {
			vevent_prepare(vcpu, reqs & REQ_EVENTS);
		}
		if ((reqs & (REQ_EVENT | REQ_EXTINT | REQ_EOI_MAP)) != 0U) {
			vcpu->vm->vintr->inject(vcpu);
		}
	}
}

void vcpu_loop_start(void *arg)
{
	struct vcpu *vcpu = arg;

	vmcs_init(vcpu);
	sched_guard_ended(); /* the VMCS is new, and holds none */
	wait_for_sipi(vcpu);
	vcpu_loop_serve(vcpu);
	bool started = vcpu->started;

	vcpu->started = true;
	vmx_enter(vcpu, started);
}

void vmx_entry_failed(struct vcpu *vcpu)
{
	panic("VM %u vCPU %u: VM entry failed with error %u", vcpu->vm->id, vcpu->id,
	      vmcs_read32(VMCS_INSN_ERROR));
}

/* Sleeps until something the guest would take is there; RFLAGS.IF decides whether interrupts do. */
void vcpu_halt(struct vcpu *vcpu)
{
	uint64_t rflags = vmcs_read(VMCS_GUEST_RFLAGS);
	bool interruptible = (rflags & RFLAGS_IF) != 0U;

	/* The trap after a HLT that is single-stepped ends it at once (SDM 2A, HLT). */
	if (unlikely((rflags & RFLAGS_TF) != 0U) && vmcs_read(VMCS_GUEST_PENDING_DEBUG) != 0U) {
		return;
	}
	atomic_set32(&vcpu->halted, 1U);
	for (;;) {
		/* Cleared before the look, so that what comes after it wakes us. */
		(void)atomic_and64(&vcpu->requests, ~(REQ_EVENT | REQ_EXTINT | REQ_RESCHED));
		if (interruptible && vcpu->vm->vintr->pending(vcpu)) {
			break;
		}
		if ((vcpu->requests & REQ_WAKES) != 0U) {
			break;
		}
		sched_block();
	}
	atomic_set32(&vcpu->halted, 0U);
	vcpu_request_self(vcpu, REQ_EVENT | (sched_need_resched(vcpu->pcpu) ? REQ_RESCHED : 0U));
}

static void hlt_exit(struct vcpu *vcpu)
{
	vcpu_skip(vcpu);
	vcpu_halt(vcpu);
}
VMEXIT(EXIT_HLT, hlt_exit);
