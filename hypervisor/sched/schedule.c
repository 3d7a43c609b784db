// SPDX-License-Identifier: BSD-3-Clause
/*
 * Threads of a pCPU: block, wake, yield, freeze, and the switch between them. Owns struct thread
 * and struct runqueue; who runs next is the policy's business (bvt.c, noop.c). Called from exit
 * handlers, the idle loop and, for sched_wake(), from any CPU. Never moves a thread to another
 * pCPU. Takes the run queue's lock only, and never holds it over the switch itself: a thread that
 * another CPU wakes meanwhile can be picked only by the CPU that is still leaving its stack.
 */
#include "asm/insn.h"
#include "hv/pcpu.h"
#include "hv/schedule.h"
#include "hv/trace.h"

/* context.S */
void sched_switch_stack(struct thread *from, struct thread *to);
void sched_thread_start(void);
/* called by context.S as the first thing on a new thread's stack */
void sched_switched(void);

void (*sched_arm_slice)(uint64_t ticks);

/* Rounds of waiting for another CPU to leave a thread before it is kicked once more. */
#define KICK_AGAIN 0x10000U


static void enqueue(struct runqueue *rq, struct thread *t)
{
	sched_policy.enqueue(rq, t);
	rq->nr_runnable++;
}

static void dequeue(struct runqueue *rq, struct thread *t)
{
	sched_policy.dequeue(rq, t);
	rq->nr_runnable--;
}

/*
 * The slice of t, which runs on this CPU with its VMCS loaded, begins or is called off. A VMCS
 * keeps what is left of a slice while others run.
 */
static void slice_set(struct runqueue *rq, struct thread *t, bool on)
{
	if (rq->slice == 0U || t == rq->idle || (!on && !t->slice_armed)) {
		return;
	}
	if (sched_arm_slice != NULL) {
		if (on == t->slice_armed) {
			return;
		}
		sched_arm_slice(on ? rq->slice : 0U);
	} else if (on) {
		timer_arm(&rq->slice_timer, rdtsc() + rq->slice);
	} else {
		timer_cancel(&rq->slice_timer);
	}
	t->slice_armed = on;
}

/*
 * A thread that shares its CPU has a time slice. Where the slice is the VMX preemption timer it
 * runs even while the others sleep: it ends the guest's run also when no interrupt can (a guest
 * that keeps interrupts off on a CPU that holds external-interrupt exits back for that).
 */
static bool slice_wanted(const struct runqueue *rq)
{
	return rq->nr_runnable != 0U || (sched_arm_slice != NULL && rq->nr_threads > 1U);
}

/* On the new thread's stack: from here on nobody uses the old one. */
void sched_switched(void)
{
	struct runqueue *rq = &this_pcpu()->rq;
	struct thread *t = rq->current;

	__atomic_store_n(&rq->switched_from->on_cpu, false, __ATOMIC_RELEASE);
	if (t->switch_in != NULL) {
		t->switch_in(t);
	}
	slice_set(rq, t, slice_wanted(rq));
}

static void switch_to(struct runqueue *rq, struct thread *prev, struct thread *next)
{
	if (trace_wanted()) {
		trace_switch(prev, next);
	}
	if (sched_arm_slice == NULL) {
		slice_set(rq, prev, false);
	}
	sched_switch_stack(prev, next);
	sched_switched();
}

/*
 * Pick and switch; called with rq->lock held, returns without it when the caller is picked again.
 * With `yield` the running thread is taken only if there is no other.
 */
static void reschedule(struct runqueue *rq, bool yield)
{
	struct thread *prev = rq->current, *next = NULL;
	uint64_t now = rdtsc();

	if (prev != rq->idle) {
		sched_policy.account(rq, prev, now - prev->run_start);
	}
	if (prev->state == THREAD_RUNNING) {
		prev->state = THREAD_RUNNABLE;
		if (yield) {
			next = sched_policy.pick(rq);
		}
		if (prev != rq->idle && !prev->frozen) {
			enqueue(rq, prev);
		}
	}
	if (next == NULL) {
		next = sched_policy.pick(rq);
	}
	if (next != NULL) {
		dequeue(rq, next);
	} else {
		next = rq->idle;
	}
	next->state = THREAD_RUNNING;
	next->run_start = now;
	rq->need_resched = false;
	if (next == prev) {
		spin_unlock(&rq->lock);
		slice_set(rq, next, slice_wanted(rq));
		return;
	}
	rq->current = next;
	rq->switched_from = prev;
	next->on_cpu = true;
	spin_unlock(&rq->lock);
	switch_to(rq, prev, next);
}

void schedule(void)
{
	struct runqueue *rq = &this_pcpu()->rq;

	spin_lock(&rq->lock);
	reschedule(rq, false);
}

void sched_yield_cpu(void)
{
	struct runqueue *rq = &this_pcpu()->rq;

	spin_lock(&rq->lock);
	if (rq->nr_runnable != 0U || rq->current->frozen) {
		reschedule(rq, true);
	} else {
		spin_unlock(&rq->lock);
	}
}

void sched_block(void)
{
	struct runqueue *rq = &this_pcpu()->rq;

	spin_lock(&rq->lock);
	if (rq->current->wake_pending) {
		rq->current->wake_pending = false;
		spin_unlock(&rq->lock);
		return;
	}
	rq->current->state = THREAD_BLOCKED;
	reschedule(rq, false);
}

/* Ask the running thread to call schedule(); rq->lock is held. */
static void preempt_current(struct runqueue *rq)
{
	rq->need_resched = true;
	if (rq->current->preempt != NULL) {
		rq->current->preempt(rq->current);
	}
}

/* t has just become runnable on another CPU; releases rq->lock, then makes that notice. */
static void notice_remote(struct runqueue *rq, const struct thread *t)
{
	struct thread *cur = rq->current;
	bool preempt = cur == rq->idle || rq->nr_runnable == 1U ||
		       sched_policy.should_preempt(rq, t, rdtsc() - cur->run_start);

	if (preempt) {
		preempt_current(rq);
	}
	spin_unlock(&rq->lock);
	if (preempt) {
		pcpu_kick(t->pcpu);
	}
}

/* t has just become runnable; releases rq->lock, then makes its pCPU notice. */
static void notice_runnable(struct runqueue *rq, const struct thread *t)
{
	struct thread *cur = rq->current;
	bool first;

	if (t->pcpu != this_pcpu()) {
		notice_remote(rq, t);
		return;
	}
	if (cur == rq->idle ||
	    sched_policy.should_preempt(rq, t, rdtsc() - cur->run_start)) {
		preempt_current(rq);
		spin_unlock(&rq->lock);
		return;
	}
	first = rq->nr_runnable == 1U;
	spin_unlock(&rq->lock);
	if (first) {
		slice_set(rq, cur, true);
	}
}

void sched_wake(struct thread *t)
{
	struct runqueue *rq = &t->pcpu->rq;

	spin_lock(&rq->lock);
	if (t->state != THREAD_BLOCKED) {
		t->wake_pending = true;
		spin_unlock(&rq->lock);
		return;
	}
	t->state = THREAD_RUNNABLE;
	if (t->frozen) {
		spin_unlock(&rq->lock);
		return;
	}
	sched_policy.wake(rq, t);
	enqueue(rq, t);
	notice_runnable(rq, t);
}

void sched_stop(struct thread *t)
{
	struct runqueue *rq = &t->pcpu->rq;
	bool running;

	spin_lock(&rq->lock);
	if (!t->frozen && t->state == THREAD_RUNNABLE) {
		dequeue(rq, t);
	}
	t->frozen = true;
	running = rq->current == t;
	if (running) {
		preempt_current(rq);
	}
	spin_unlock(&rq->lock);
	if (running && t->pcpu != this_pcpu()) {
		pcpu_kick(t->pcpu);
	}
}

void sched_freeze(struct thread *t)
{
	uint32_t spins = 0U;

	sched_stop(t);
	/* Its CPU may be waiting for us in smp_call(): serve it. */
	while (__atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE)) {
		smp_call_serve();
		cpu_relax();
		spins++;
		if ((spins % KICK_AGAIN) == 0U) {
			pcpu_kick(t->pcpu);
		}
	}
}

void sched_thaw(struct thread *t)
{
	struct runqueue *rq = &t->pcpu->rq;

	spin_lock(&rq->lock);
	if (!t->frozen) {
		spin_unlock(&rq->lock);
		return;
	}
	t->frozen = false;
	if (t->state != THREAD_RUNNABLE) {
		spin_unlock(&rq->lock);
		return;
	}
	enqueue(rq, t);
	notice_runnable(rq, t);
}

void sched_slice_end(void)
{
	struct runqueue *rq = &this_pcpu()->rq;
	struct thread *cur = rq->current;
	bool others;

	spin_lock(&rq->lock);
	others = rq->nr_runnable != 0U;
	if (others) {
		preempt_current(rq);
	}
	spin_unlock(&rq->lock);
	if (sched_arm_slice != NULL) {
		slice_set(rq, cur, false); /* used up: a new one begins, now or when it runs again */
	}
	if (!others) {
		slice_set(rq, cur, slice_wanted(rq));
	}
}

static void slice_timer_fired(struct timer *t)
{
	(void)t;
	sched_slice_end();
}

bool sched_need_resched(const struct pcpu *p)
{
	return p->rq.need_resched;
}

void sched_init_pcpu(struct pcpu *p, struct thread *idle)
{
	struct runqueue *rq = &p->rq;

	list_init(&rq->runnable);
	rq->nr_runnable = 0U;
	rq->idle = idle;
	rq->current = idle;
	rq->switched_from = idle;
	rq->slice = us_to_tsc(sched_policy.slice_us);
	timer_init(&rq->slice_timer, slice_timer_fired);
	list_init(&idle->node);
	idle->pcpu = p;
	idle->state = THREAD_RUNNING;
	idle->on_cpu = true;
	idle->run_start = rdtsc();
}

void thread_init(struct thread *t, struct pcpu *p, void *stack_top, void (*entry)(void *arg),
		 void *arg)
{
	/* As if it had called sched_switch_stack(); %rsp is 16-byte aligned at sched_thread_start. */
	uint64_t *sp = (uint64_t *)stack_top - 9;

	sp[0] = 0U; /* r15 */
	sp[1] = 0U; /* r14 */
	sp[2] = (uint64_t)(uintptr_t)arg;   /* r13 */
	sp[3] = (uint64_t)(uintptr_t)entry; /* r12 */
	sp[4] = 0U;			    /* rbx */
	sp[5] = 0U;			    /* rbp: ends a backtrace */
	sp[6] = (uint64_t)(uintptr_t)sched_thread_start;
	sp[7] = 0U;
	sp[8] = 0U;

	if (t->pcpu == NULL) {
		spin_lock(&p->rq.lock);
		p->rq.nr_threads++;
		spin_unlock(&p->rq.lock);
	}
	t->sp = (uint64_t)(uintptr_t)sp;
	t->pcpu = p;
	t->weight = MIN(MAX(t->weight, 1U), THREAD_WEIGHT_MAX);
	t->state = THREAD_BLOCKED;
	t->wake_pending = false;
	t->frozen = false;
	t->slice_armed = false;
	list_init(&t->node);
}

void thread_deinit(struct thread *t)
{
	struct runqueue *rq = &t->pcpu->rq;

	spin_lock(&rq->lock);
	rq->nr_threads--;
	spin_unlock(&rq->lock);
	t->pcpu = NULL;
}
