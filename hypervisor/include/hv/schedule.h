/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_SCHEDULE_H
#define HV_SCHEDULE_H

#include "lib/list.h"
#include "lib/spinlock.h"
#include "hv/timer.h"

struct pcpu;
struct runqueue;

#define THREAD_WEIGHT_MAX 128U

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
	volatile bool on_cpu; /* its stack is in use: still true while it is being switched out */
	bool slice_armed;     /* its VMCS (or the CPU's timer) holds a time slice; own CPU */
	struct list node;
	void (*switch_in)(struct thread *t); /* on its CPU, interrupts off, no lock held */
	/* Any CPU, run queue locked: t runs and should call schedule() before its next VM entry. */
	void (*preempt)(struct thread *t);
	uint64_t weight; /* 1 to THREAD_WEIGHT_MAX, made so by thread_init() */
	int64_t avt; /* BVT: actual virtual time */
	uint64_t run_start; /* host TSC when it was last switched in */
};

/* A scheduling policy; every pCPU of a build uses the same. Called with the rq lock held. */
struct sched_policy {
	const char *name;
	void (*wake)(struct runqueue *rq, struct thread *t); /* t slept; comes before its enqueue */
	void (*enqueue)(struct runqueue *rq, struct thread *t);
	void (*dequeue)(struct runqueue *rq, struct thread *t);
	struct thread *(*pick)(struct runqueue *rq); /* NULL: idle */
	void (*account)(struct runqueue *rq, struct thread *t, uint64_t ticks);
	/* `ticks`: for how long the running thread has run since it was accounted. */
	bool (*should_preempt)(struct runqueue *rq, const struct thread *woken, uint64_t ticks);
	uint32_t slice_us; /* how long a thread runs while another is runnable; 0: for ever */
};

/* The one that this build links: bvt.c, noop.c, ... */
extern const struct sched_policy sched_policy;

struct runqueue {
	spinlock_t lock;
	struct list runnable;
	uint32_t nr_runnable; /* not counting the running one */
	uint32_t nr_threads;  /* bound to this pCPU, the idle loop apart */
	struct thread *current;
	struct thread *idle;
	struct thread *switched_from; /* who ran before `current`; own CPU */
	bool need_resched;
	int64_t svt;		  /* BVT: scheduler virtual time */
	uint64_t slice;		  /* sched_policy.slice_us in TSC ticks */
	struct timer slice_timer; /* used where the CPU has no VMX preemption timer */
};

/*
 * Arms the time slice of the vCPU whose VMCS is loaded, 0 disarms: arch/x86/vmx sets it at boot
 * where the CPU has the VMX preemption timer, whose exit calls sched_slice_end(). Such a slice
 * ends even in a guest that keeps interrupts off.
 */
extern void (*sched_arm_slice)(uint64_t ticks);

void sched_init_pcpu(struct pcpu *p, struct thread *idle);

/*
 * Prepare t to start at entry(arg) on its own stack when it is first picked; BLOCKED and thawed
 * until then. t runs nowhere (new, or frozen); its hooks and weight stay. `stack_top` is 16-byte
 * aligned.
 */
void thread_init(struct thread *t, struct pcpu *p, void *stack_top, void (*entry)(void *arg),
		 void *arg);

/* t, frozen, will not run again: forget its binding, so that thread_init() makes a new one. */
void thread_deinit(struct thread *t);

/* Give the pCPU to whom the policy picks; returns when the caller is picked again. No lock held. */
void schedule(void);

/* Block the running thread until sched_wake(); spurious returns happen: re-check the condition. */
void sched_block(void);

/* Any CPU. Wakes a blocked thread, or makes the running one's next block return at once. */
void sched_wake(struct thread *t);

/* The running thread stays runnable, others go first. (sched_yield() is the C library's in tests.) */
void sched_yield_cpu(void);

/*
 * Keep t from running until sched_thaw(), without waiting: also for the caller's own thread, which
 * goes with its next schedule(), and where two threads may stop each other.
 */
void sched_stop(struct thread *t);

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
