/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_SCHEDULE_H
#define HV_SCHEDULE_H

#include "lib/list.h"
#include "lib/spinlock.h"

struct pcpu;
struct runqueue;

enum thread_state {
	THREAD_BLOCKED,	 /* waits for sched_wake() */
	THREAD_RUNNABLE, /* in its pCPU's run queue */
	THREAD_RUNNING,
};

/*
 * What a pCPU switches between: a vCPU or the idle loop. It owns a stack and never moves to
 * another pCPU. Protected by its run queue's lock, except where only its own CPU writes.
 */
struct thread {
	uint64_t sp; /* saved stack pointer, valid while not running; context.S knows offset 0 */
	struct pcpu *pcpu;
	enum thread_state state;
	bool wake_pending; /* woken before it blocked: the next block returns at once */
	bool frozen;	   /* not to be picked until thawed: its VM is paused */
	struct list node;
	void (*switch_out)(struct thread *t); /* on its CPU, interrupts off, no lock held */
	void (*switch_in)(struct thread *t);
	uint64_t weight;
	int64_t avt; /* BVT: actual virtual time */
	uint64_t run_start; /* host TSC when it was last switched in */
	uint64_t run_total; /* TSC ticks it has run */
};

/* A scheduling policy; every pCPU of a build uses the same. Called with the rq lock held. */
struct sched_policy {
	const char *name;
	void (*enqueue)(struct runqueue *rq, struct thread *t);
	void (*dequeue)(struct runqueue *rq, struct thread *t);
	struct thread *(*pick)(struct runqueue *rq); /* NULL: idle */
	void (*account)(struct runqueue *rq, struct thread *t, uint64_t ticks);
	bool (*should_preempt)(struct runqueue *rq, const struct thread *woken);
	uint64_t slice; /* TSC ticks a thread runs while another is runnable */
};

struct runqueue {
	spinlock_t lock;
	struct list runnable;
	uint32_t nr_runnable; /* not counting the running one */
	struct thread *current;
	struct thread *idle;
	int64_t svt; /* BVT: scheduler virtual time */
};

void sched_init_pcpu(struct pcpu *p, struct thread *idle);

/*
 * Prepare t to start at entry(arg) on its own stack when it is first picked; BLOCKED until then.
 * `stack_top` is 16-byte aligned.
 */
void thread_init(struct thread *t, struct pcpu *p, void *stack_top, void (*entry)(void *arg),
		 void *arg);

/* Give the pCPU to whom the policy picks; returns when the caller is picked again. No lock held. */
void schedule(void);

/* Block the running thread until sched_wake(); spurious returns happen: re-check the condition. */
void sched_block(void);

/* Any CPU. Wakes a blocked thread, or makes the running one's next block return at once. */
void sched_wake(struct thread *t);

/* The running thread stays runnable, others go first. */
void sched_yield(void);

/*
 * Keep t from running until sched_thaw(); returns when it runs nowhere. Never on the caller's
 * own thread. May schedule.
 */
void sched_freeze(struct thread *t);
void sched_thaw(struct thread *t);

/* The running thread's time slice ended (VMX preemption timer or tick): reschedule if another waits. */
void sched_slice_end(void);

/* Set by sched_wake() and the tick for the running pCPU; the exit path looks at vcpu->requests. */
bool sched_need_resched(const struct pcpu *p);

#endif
