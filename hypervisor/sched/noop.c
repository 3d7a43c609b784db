// SPDX-License-Identifier: BSD-3-Clause
/*
 * No sharing: the scenario places one vCPU on a pCPU and it runs whenever it can. Threads that
 * share one all the same, as those of a VM the scenario does not know may, run to their next block
 * or PAUSE, in turn. Called by schedule.c with the run queue's lock held; takes no lock.
 */
#include "hv/schedule.h"

const struct sched_policy sched_policy = {.name = "NOOP", .should_preempt = sched_before};
