// SPDX-License-Identifier: BSD-3-Clause
/*
 * Borrowed virtual time (Duda and Cheriton, SOSP 1999): a thread's virtual time grows as it runs,
 * slower with a higher weight, and the one furthest behind runs next, so that over time each gets
 * processor time in proportion to its weight. Called by schedule.c with the run queue's lock held;
 * takes no lock.
 */
#include "hv/schedule.h"

/*
 * The context-switch allowance: how long a thread may run ahead of the others before it loses the
 * processor. One that slept is put at most this far behind, so that a device's interrupt is served
 * at once and a long sleep is no licence to keep the processor for as long.
 */
#define ALLOWANCE_US 5000U

/* Virtual time that t spends when it runs for so many TSC ticks. */
static int64_t virtual_time(const struct thread *t, uint64_t ticks)
{
	return (int64_t)(ticks * THREAD_WEIGHT_MAX / t->weight);
}

static void bvt_account(struct runqueue *rq, struct thread *t, uint64_t ticks)
{
	t->avt += virtual_time(t, ticks);
	rq->svt = t->avt;
	if (!list_empty(&rq->runnable)) {
		const struct thread *first = container_of(rq->runnable.next, struct thread, node);

		rq->svt = MIN(rq->svt, first->avt);
	}
}

static void bvt_wake(struct runqueue *rq, struct thread *t)
{
	t->avt = MAX(t->avt, rq->svt - virtual_time(t, rq->slice));
}

static void bvt_enqueue(struct runqueue *rq, struct thread *t)
{
	struct list *it;

	list_for_each(it, &rq->runnable) {
		if (container_of(it, struct thread, node)->avt > t->avt) {
			break;
		}
	}
	list_insert_before(&t->node, it);
}

static void bvt_dequeue(struct runqueue *rq, struct thread *t)
{
	(void)rq;
	list_remove(&t->node);
}

static struct thread *bvt_pick(struct runqueue *rq)
{
	if (list_empty(&rq->runnable)) {
		return NULL;
	}
	return container_of(rq->runnable.next, struct thread, node);
}

static bool bvt_should_preempt(struct runqueue *rq, const struct thread *woken, uint64_t ticks)
{
	const struct thread *cur = rq->current;

	return woken->avt + virtual_time(cur, rq->slice / 2U) < cur->avt + virtual_time(cur, ticks);
}

const struct sched_policy sched_policy = {
	.name = "BVT",
	.wake = bvt_wake,
	.enqueue = bvt_enqueue,
	.dequeue = bvt_dequeue,
	.pick = bvt_pick,
	.account = bvt_account,
	.should_preempt = bvt_should_preempt,
	.slice_us = ALLOWANCE_US,
};
