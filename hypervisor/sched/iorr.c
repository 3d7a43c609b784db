// SPDX-License-Identifier: BSD-3-Clause
/*
 * Round robin with regard to I/O: threads take turns of 10 ms, counted in time they have run. One
 * that waits before its turn is over keeps its place, so that it goes first when what it waited for
 * is there; one that has had its turn goes behind all others. Called by schedule.c with the run
 * queue's lock held; takes no lock.
 */
#include "hv/schedule.h"

#define TURN_US 10000U

/* What a thread ran beyond its turn is part of the next. */
static void iorr_account(struct runqueue *rq, struct thread *t, uint64_t ticks)
{
	t->spent += ticks;
	if (t->spent >= rq->slice) {
		t->spent %= rq->slice;
		rq->vtime++;
		t->order = rq->vtime;
	}
}

const struct sched_policy sched_policy = {
	.name = "IORR",
	.slice_us = TURN_US,
	.account = iorr_account,
	.should_preempt = sched_before,
};
