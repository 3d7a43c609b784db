// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fixed priorities: the highest that is runnable runs, at once, and for as long as it wants. Equal
 * ones take turns of 10 ms. Called by schedule.c with the run queue's lock held; takes no lock.
 */
#include "hv/schedule.h"
#include "hv/vm_config.h"

#define SLICE_US 10000U

static uint32_t prio_rank(const struct vm_config *config)
{
	return (config != NULL) ? config->priority : PRIO_LOW;
}

static void prio_ranked(struct thread *t)
{
	t->order = -(int64_t)t->rank;
}

const struct sched_policy sched_policy = {
	.name = "PRIO",
	.slice_us = SLICE_US,
	.strict = true,
	.rank = prio_rank,
	.ranked = prio_ranked,
	.should_preempt = sched_before,
};
