// SPDX-License-Identifier: BSD-3-Clause
/*
 * The exits that exist for the sake of sharing a CPU: the guard of a time slice and a guest that
 * spins. On the vCPU's own CPU, no lock.
 */
#include "hv/pcpu.h"
#include "hv/vcpu.h"
#include "hv/vmexit.h"

/*
 * A slice ends by an interrupt, and a CPU (Bochs) may hold external-interrupt exits back while the
 * guest keeps interrupts off. So a guest that shares its CPU exits now and then; what waits is taken
 * here.
 */
static void preemption_timer_exit(struct vcpu *vcpu)
{
	(void)vcpu;
	pcpu_poll();
	sched_guard_ended();
}

/* The guest waits for another CPU, perhaps for a vCPU that shares this one. */
static void pause_exit(struct vcpu *vcpu)
{
	vcpu_skip(vcpu);
	sched_yield_cpu();
}

VMEXIT(EXIT_PREEMPTION_TIMER, preemption_timer_exit);
VMEXIT(EXIT_PAUSE, pause_exit);
