// SPDX-License-Identifier: BSD-3-Clause
/*
 * Threads of a pCPU: block, wake, yield, freeze, and the switch between them. Owns struct thread
 * and struct runqueue; in which order they run is the policy's business (bvt.c, prio.c, iorr.c,
 * noop.c). Called from exit handlers, the idle loop and, for sched_wake() and sched_set_rank(), from
 * any CPU. Never moves a thread to another pCPU. Takes the run queue's lock only, and never holds it
 * over the switch itself: a thread that another CPU wakes meanwhile can be picked only by the CPU
 * that is still leaving its stack.
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

void (*sched_arm_guard)(uint64_t ticks);

/* Rounds of waiting for another CPU to leave a thread before it is kicked once more. */
#define KICK_AGAIN 0x10000U

static inline struct thread *first_of(const struct runqueue *rq)
{
	return container_of(rq->runnable.next, struct thread, node);
}

static inline void enqueue(struct runqueue *rq, struct thread *t)
{
	struct list *it;

	list_for_each(it, &rq->runnable) {
		if (container_of(it, struct thread, node)->order > t->order) {
			break;
		}
	}
	list_insert_before(&t->node, it);
	rq->nr_runnable++;
}

static inline void dequeue(struct runqueue *rq, struct thread *t)
{
	list_remove(&t->node);
	rq->nr_runnable--;
}

static inline void account(struct runqueue *rq, struct thread *t, uint64_t now)
{
	uint64_t ticks = now - t->accounted;

	if (unlikely((int64_t)ticks < 0)) { /* the TSC of another CPU, a little behind */
		return;
	}
	t->ran += ticks;
	t->accounted = now;
	if (sched_policy.account != NULL) {
		sched_policy.account(rq, t, ticks);
	}
}

/* It may have been alone for long, and what is decided next is by what it has had. */
static inline void account_current(struct runqueue *rq)
{
	if (rq->current != rq->idle) {
		account(rq, rq->current, rdtsc());
	}
}

/*
 * Somebody waits for this CPU: the slice ends by a timer, in real time, so that what the hypervisor
 * does for a thread is part of its slice. The timer is left to fire when nobody waits any more.
 */
static inline void slice_begin(struct runqueue *rq)
{
	if (unlikely(list_empty(&rq->slice_timer.node)) && rq->slice != 0U) { /* not armed */
		timer_arm(&rq->slice_timer, rdtsc() + rq->slice);
	}
}

/* Of t, which runs on this CPU with its VMCS loaded. A VMCS keeps it while others run. */
static __noinline void guard_set(const struct runqueue *rq, struct thread *t)
{
	if (t != rq->idle && sched_arm_guard != NULL) {
		sched_arm_guard(rq->guarded ? rq->slice : 0U);
		t->guard_armed = rq->guarded;
	}
}

static inline void guard_check(const struct runqueue *rq, struct thread *t)
{
	if (unlikely(t->guard_armed != rq->guarded)) {
		guard_set(rq, t);
	}
}

/* On the new thread's stack: from here on nobody uses the old one. */
static inline void switched(struct runqueue *rq)
{
	struct thread *t = rq->current;

	__atomic_store_n(&rq->switched_from->on_cpu, false, __ATOMIC_RELEASE);
	if (t->switch_in != NULL) {
		t->switch_in(t);
	}
	guard_check(rq, t);
}

void sched_switched(void)
{
	switched(&this_pcpu()->rq);
}

/*
 * Pick and switch; called with rq->lock held, returns without it when the caller is picked again.
 * `prev` runs, and goes on being runnable with `stay`; with `yield` only if there is no other. Who
 * asks a vCPU for something kicks it only if it runs (vcpu_request()), so that its state must be
 * seen before it looks for what it was asked: hence the unlocking.
 */
static inline void reschedule(struct runqueue *rq, struct thread *prev, bool stay, bool yield)
{
	struct thread *next = NULL;
	uint64_t now = rdtsc();

	if (prev != rq->idle) {
		account(rq, prev, now);
	}
	if (yield && rq->nr_runnable != 0U) {
		next = first_of(rq);
		dequeue(rq, next);
	}
	if (stay) {
		prev->state = THREAD_RUNNABLE;
		if (prev != rq->idle && !prev->frozen) {
			enqueue(rq, prev);
		}
	}
	if (next == NULL) {
		next = rq->idle;
		if (rq->nr_runnable != 0U) {
			next = first_of(rq);
			dequeue(rq, next);
		}
	}
	next->state = THREAD_RUNNING;
	next->run_start = now;
	next->accounted = now;
	rq->need_resched = false;
	if (rq->nr_runnable != 0U) {
		slice_begin(rq);
	}
	if (next == prev) {
		spin_unlock_ordered(&rq->lock);
		guard_check(rq, prev);
		return;
	}
	rq->current = next;
	rq->switched_from = prev;
	next->on_cpu = true;
	spin_unlock_ordered(&rq->lock);
	if (trace_wanted()) {
		trace_switch(prev, next);
	}
	sched_switch_stack(prev, next);
	switched(rq);
}

void schedule(void)
{
	struct runqueue *rq = &this_pcpu()->rq;

	spin_lock(&rq->lock);
	reschedule(rq, rq->current, true, false);
}

void sched_yield_cpu(void)
{
	struct runqueue *rq = &this_pcpu()->rq;

	spin_lock(&rq->lock);
	if (rq->nr_runnable != 0U || rq->current->frozen) {
		reschedule(rq, rq->current, true, !sched_policy.strict);
	} else {
		spin_unlock(&rq->lock);
	}
}

void sched_poll(void)
{
	const struct runqueue *rq = &this_pcpu()->rq;

	if (rq->nr_runnable != 0U || rq->need_resched) {
		sched_yield_cpu();
		return;
	}
	pcpu_poll();
}

void sched_block(void)
{
	struct runqueue *rq = &this_pcpu()->rq;
	struct thread *t = rq->current;

	spin_lock(&rq->lock);
	if (t->wake_pending) {
		t->wake_pending = false;
		spin_unlock(&rq->lock);
		return;
	}
	t->state = THREAD_BLOCKED;
	reschedule(rq, t, false, false);
}

/* Ask the running thread to call schedule(); rq->lock is held. */
static void preempt_current(struct runqueue *rq)
{
	rq->need_resched = true;
	if (rq->current->preempt != NULL) {
		rq->current->preempt(rq->current);
	}
}

/*
 * t is in the queue now: makes its pCPU notice if it goes before who runs there, or is the first
 * that waits, and a slice must begin (sched_kicked()). Releases rq->lock.
 */
static __force_inline void notice_runnable(struct runqueue *rq, const struct thread *t)
{
	struct thread *cur = rq->current;
	bool here = t->pcpu == this_pcpu();
	bool preempt = cur == rq->idle || sched_policy.should_preempt(rq, t);
	bool kick = !here && (preempt || rq->nr_runnable == 1U);

	if (preempt) {
		preempt_current(rq);
	} else if (here) {
		slice_begin(rq);
		guard_check(rq, cur);
	}
	spin_unlock(&rq->lock);
	if (kick) {
		pcpu_kick(t->pcpu);
	}
}

void sched_kicked(void)
{
	struct runqueue *rq = &this_pcpu()->rq;

	if (rq->nr_runnable != 0U) {
		slice_begin(rq);
		guard_check(rq, rq->current);
	}
}

bool sched_before(struct runqueue *rq, const struct thread *t)
{
	return t->order < rq->current->order;
}

/* t, which was away, wants its CPU from now on; releases rq->lock. */
static __force_inline void make_runnable(struct runqueue *rq, struct thread *t)
{
	account_current(rq);
	if (sched_policy.wake != NULL) {
		sched_policy.wake(rq, t);
	}
	enqueue(rq, t);
	notice_runnable(rq, t);
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
	make_runnable(rq, t);
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
	make_runnable(rq, t);
}

/*
 * The running thread has used up its slice, or another one ran before it: then it has what is left.
 * With nobody waiting the timer stays off.
 */
static void slice_ended(struct timer *timer)
{
	struct runqueue *rq = container_of(timer, struct runqueue, slice_timer);
	uint64_t end;

	spin_lock(&rq->lock);
	if (rq->nr_runnable != 0U) {
		end = rq->current->run_start + rq->slice;
		if (rdtsc() >= end) {
			preempt_current(rq);
		} else {
			timer_arm(timer, end);
		}
	}
	spin_unlock(&rq->lock);
}

void sched_guard_ended(void)
{
	struct runqueue *rq = &this_pcpu()->rq;

	guard_set(rq, rq->current);
}

/* Who waits may go before who runs now. */
static void rank_changed(struct runqueue *rq, const struct thread *t)
{
	if (rq->nr_runnable != 0U && (t == rq->current || t == first_of(rq))) {
		notice_runnable(rq, first_of(rq));
	} else {
		spin_unlock(&rq->lock);
	}
}

void sched_set_rank(struct thread *t, uint32_t rank)
{
	struct runqueue *rq = &t->pcpu->rq;
	bool queued;

	spin_lock(&rq->lock);
	account_current(rq);
	queued = t->state == THREAD_RUNNABLE && !t->frozen;
	if (queued) {
		dequeue(rq, t);
	}
	t->rank = rank;
	if (sched_policy.ranked != NULL) {
		sched_policy.ranked(t);
	}
	if (queued) {
		enqueue(rq, t);
	}
	rank_changed(rq, t);
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
	timer_init(&rq->slice_timer, slice_ended);
	list_init(&idle->node);
	idle->pcpu = p;
	idle->state = THREAD_RUNNING;
	idle->on_cpu = true;
}

/* One thread more on the CPU, or with UINT32_MAX one less. */
static void bind(struct runqueue *rq, uint32_t more)
{
	spin_lock(&rq->lock);
	rq->nr_threads += more;
	rq->guarded = rq->nr_threads > 1U && rq->slice != 0U && sched_arm_guard != NULL;
	spin_unlock(&rq->lock);
}

void sched_retire(struct thread *t)
{
	sched_stop(t);
	bind(&t->pcpu->rq, UINT32_MAX);
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
		bind(&p->rq, 1U);
	}
	t->sp = (uint64_t)(uintptr_t)sp;
	t->pcpu = p;
	t->state = THREAD_BLOCKED;
	t->wake_pending = false;
	t->frozen = false;
	t->guard_armed = false;
	list_init(&t->node);
	if (sched_policy.ranked != NULL) {
		sched_policy.ranked(t);
	}
}

void thread_deinit(struct thread *t)
{
	bind(&t->pcpu->rq, UINT32_MAX);
	t->pcpu = NULL;
}
