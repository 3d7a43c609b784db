// SPDX-License-Identifier: BSD-3-Clause
/*
 * Borrowed virtual time (Duda and Cheriton, SOSP 1999): a thread's virtual time, its order, grows
 * as it runs, slower with a higher weight, and the one furthest behind runs next, so that over time
 * each gets processor time in proportion to its weight. Called by schedule.c with the run queue's
 * lock held; takes no lock.
 */
#include "hv/schedule.h"
#include "hv/vm_config.h"

#define WEIGHT_MAX 128U

/*
 * The context-switch allowance: how long a thread may run ahead of the others before it loses the
 * processor. One that was away is put at most twice this far behind, which is more than waiting its
 * turn can make it, so that a device's interrupt is served at once and a long sleep is no licence to
 * keep the processor for as long.
 */
#define ALLOWANCE_US 5000U

static uint32_t bvt_rank(const struct vm_config *config)
{
	return (config != NULL) ? config->bvt_weight : 1U;
}

static void bvt_ranked(struct thread *t)
{
	t->rank = MIN(MAX(t->rank, 1U), WEIGHT_MAX);
}

/* Virtual time that t spends when it runs for so many TSC ticks. */
static inline int64_t virtual_time(const struct thread *t, uint64_t ticks)
{
	return (int64_t)(ticks * WEIGHT_MAX / t->rank);
}

static void bvt_account(struct runqueue *rq, struct thread *t, uint64_t ticks)
{
	t->order += virtual_time(t, ticks);
	rq->vtime = t->order;
}

/* Time stands where the furthest behind of those who want the CPU is. */
static void bvt_wake(struct runqueue *rq, struct thread *t)
{
	int64_t now = (rq->current != rq->idle) ? rq->current->order : rq->vtime;

	if (rq->nr_runnable != 0U) {
		now = MIN(now, container_of(rq->runnable.next, struct thread, node)->order);
	}
	t->order = MAX(t->order, now - virtual_time(t, 2U * rq->slice));
}

/* Half of the allowance, lest two that are close change places all the time. */
static bool bvt_should_preempt(struct runqueue *rq, const struct thread *t)
{
	const struct thread *cur = rq->current;

	return t->order + virtual_time(cur, rq->slice / 2U) < cur->order;
}

const struct sched_policy sched_policy = {
	.name = "BVT",
	.slice_us = ALLOWANCE_US,
	.rank = bvt_rank,
	.ranked = bvt_ranked,
	.wake = bvt_wake,
	.account = bvt_account,
	.should_preempt = bvt_should_preempt,
};
