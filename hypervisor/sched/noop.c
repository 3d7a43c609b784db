// SPDX-License-Identifier: BSD-3-Clause
/*
 * No sharing: the scenario places one vCPU on a pCPU and it runs whenever it can. Threads that
 * share one all the same (a mistake the configuration check refuses) run to their next block, in
 * turn. Called by schedule.c with the run queue's lock held; takes no lock.
 */
#include "hv/schedule.h"

static void noop_wake(struct runqueue *rq, struct thread *t)
{
	(void)rq;
	(void)t;
}

static void noop_enqueue(struct runqueue *rq, struct thread *t)
{
	list_insert_before(&t->node, &rq->runnable);
}

static void noop_dequeue(struct runqueue *rq, struct thread *t)
{
	(void)rq;
	list_remove(&t->node);
}

static struct thread *noop_pick(struct runqueue *rq)
{
	if (list_empty(&rq->runnable)) {
		return NULL;
	}
	return container_of(rq->runnable.next, struct thread, node);
}

static void noop_account(struct runqueue *rq, struct thread *t, uint64_t ticks)
{
	(void)rq;
	(void)t;
	(void)ticks;
}

static bool noop_should_preempt(struct runqueue *rq, const struct thread *woken, uint64_t ticks)
{
	(void)ticks;
	(void)rq;
	(void)woken;
	return false;
}

const struct sched_policy sched_policy = {
	.name = "NOOP",
	.wake = noop_wake,
	.enqueue = noop_enqueue,
	.dequeue = noop_dequeue,
	.pick = noop_pick,
	.account = noop_account,
	.should_preempt = noop_should_preempt,
	.slice_us = 0U,
};
