/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_SCHEDULE_H
#define HV_SCHEDULE_H

#include "lib/list.h"
#include "lib/spinlock.h"
#include "hv/timer.h"

struct pcpu;
struct runqueue;
struct vm_config;

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
	bool guard_armed;     /* its VMCS holds the guard of its time slice; own CPU */
	struct list node;
	void (*switch_in)(struct thread *t); /* on its CPU, interrupts off, no lock held */
	/* Any CPU, run queue locked: t runs and should call schedule() before its next VM entry. */
	void (*preempt)(struct thread *t);
	uint32_t rank;	    /* by what the policy shares: BVT a weight, PRIO a priority */
	int64_t order;	    /* its place in the run queue, lowest first; the policy's */
	uint64_t spent;	    /* IORR: ticks of its turn */
	uint64_t run_start; /* host TSC when it was last picked */
	uint64_t accounted; /* host TSC up to which its time is accounted for */
	uint64_t ran;	    /* host TSC ticks it has run before, the hypervisor's for it included */
};

/*
 * A scheduling policy; every pCPU of a build uses the same. The run queue is sorted by
 * thread->order, in turn where that is the same, and its first thread runs next: a policy sets the
 * order. Called with the run queue's lock held, t in no queue; a hook may be NULL.
 */
struct sched_policy {
	const char *name;
	uint32_t slice_us; /* how long a thread runs while another is runnable; 0: for ever */
	bool strict;	   /* what is behind in order never goes first, not even by a yield */
	/* By what a VM of the scenario shares (thread->rank); NULL: one that is not in it. */
	uint32_t (*rank)(const struct vm_config *config);
	void (*ranked)(struct thread *t); /* t->rank is new, and may be any number */
	void (*wake)(struct runqueue *rq, struct thread *t); /* t was away; comes before its enqueue */
	void (*account)(struct runqueue *rq, struct thread *t, uint64_t ticks); /* t ran so long */
	/* Does t, now in the queue, go before the running thread, which has just been accounted? */
	bool (*should_preempt)(struct runqueue *rq, const struct thread *t);
};

/* The one that this build links: bvt.c, noop.c, ... */
extern const struct sched_policy sched_policy;

/* The should_preempt of policies whose order says all. */
bool sched_before(struct runqueue *rq, const struct thread *t);

struct runqueue {
	spinlock_t lock;
	struct list runnable;
	uint32_t nr_runnable; /* not counting the running one */
	uint32_t nr_threads;  /* bound to this pCPU, the idle loop apart */
	struct thread *current;
	struct thread *idle;
	struct thread *switched_from; /* who ran before `current`; own CPU */
	bool need_resched;
	bool guarded;		  /* its threads want the guard of a slice: they share the pCPU */
	int64_t vtime;		  /* BVT: virtual time of who was accounted last; IORR: turns */
	uint64_t slice;		  /* sched_policy.slice_us in TSC ticks */
	struct timer slice_timer; /* armed while threads wait; own CPU */
};

/*
 * Makes the guest whose VMCS is loaded exit after it has run for `ticks`, 0: never. arch/x86/vmx
 * sets it at boot where the CPU has the VMX preemption timer. The slice itself ends by an
 * interrupt; this guards it where a guest can hold that back (see vcpu_sched.c).
 */
extern void (*sched_arm_guard)(uint64_t ticks);

void sched_init_pcpu(struct pcpu *p, struct thread *idle);

/*
 * Prepare t to start at entry(arg) on its own stack when it is first picked; BLOCKED and thawed
 * until then. t runs nowhere (new, or frozen); its hooks stay. `stack_top` is 16-byte
 * aligned.
 */
void thread_init(struct thread *t, struct pcpu *p, void *stack_top, void (*entry)(void *arg),
		 void *arg);

/* t shares by this rank from now on. Any CPU. */
void sched_set_rank(struct thread *t, uint32_t rank);

/* t, frozen, will not run again: forget its binding, so that thread_init() makes a new one. */
void thread_deinit(struct thread *t);

/* Give the pCPU to whom the policy picks; returns when the caller is picked again. No lock held. */
void schedule(void);

/* Block the running thread until sched_wake(); spurious returns happen: re-check the condition. */
void sched_block(void);

/* Any CPU. Wakes a blocked thread, or makes the running one's next block return at once. */
void sched_wake(struct thread *t);

/*
 * The running thread stays runnable, others go first. (sched_yield() is the C library's in tests.)
 */
void sched_yield_cpu(void);
/*
 * One round of the running thread's wait for what it polls: others go first; when there is none,
 * this CPU's interrupts are taken, since what it waits for may depend on one.
 */
void sched_poll(void);

/*
 * Keep t from running until sched_thaw(), without waiting: also for the caller's own thread, which
 * goes with its next schedule(), and where two threads may stop each other.
 */
void sched_stop(struct thread *t);
/* The same for good, once: who is alone on the CPU from then on has no guard. */
void sched_retire(struct thread *t);

/*
 * Keep t from running until sched_thaw(); returns when it runs nowhere. Never on the caller's
 * own thread. May schedule.
 */
void sched_freeze(struct thread *t);
void sched_thaw(struct thread *t);

/* This CPU was kicked: if another one has put a thread into its queue, a slice begins. */
void sched_kicked(void);

/* The guard of the running thread's slice has ended the guest's run: a new one begins. */
void sched_guard_ended(void);

/*
 * Set by sched_wake() and the slice's end for the running pCPU; the exit path looks at
 * vcpu->requests.
 */
bool sched_need_resched(const struct pcpu *p);

#endif
