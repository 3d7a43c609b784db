// SPDX-License-Identifier: BSD-3-Clause
/*
 * One-shot timers of a pCPU over its local APIC's timer. A sorted list: a CPU has a few timers (its
 * vCPUs' APIC timers, the console's), and the common change is at the front. Everything happens on
 * the owning CPU with interrupts off, so there is no lock; another CPU goes through smp_call().
 */
#include "hv/timer.h"
#include "asm/insn.h"
#include "hv/irq.h"
#include "hv/pcpu.h"
#include "hv/trace.h"

static struct timer *first(const struct timer_queue *q)
{
	return list_empty(&q->head) ? NULL : container_of(q->head.next, struct timer, node);
}

/* The APIC is written only when the earliest deadline changed. */
static void program(struct timer_queue *q)
{
	const struct timer *t = first(q);
	uint64_t deadline = (t != NULL) ? t->deadline : 0U;

	if (deadline != q->programmed) {
		q->programmed = deadline;
		trace(TRACE_TIMER_UPDATED, deadline, 0U);
		lapic_timer_set(deadline);
	}
}

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	list_init(&t->node);
	t->deadline = 0U;
	t->fn = fn;
}

bool timer_armed(const struct timer *t)
{
	return !list_empty(&t->node);
}

void timer_arm(struct timer *t, uint64_t deadline)
{
	struct timer_queue *q = &this_pcpu()->timers;
	struct list *it;

	if (timer_armed(t)) {
		list_remove(&t->node);
	}
	t->deadline = (deadline != 0U) ? deadline : 1U; /* 0 would disarm the APIC */
	list_for_each(it, &q->head) {
		if (container_of(it, struct timer, node)->deadline > t->deadline) {
			break;
		}
	}
	list_insert_before(&t->node, it);
	trace(TRACE_TIMER_ADDED, t->deadline, 0U);
	program(q);
}

void timer_cancel(struct timer *t)
{
	if (!timer_armed(t)) {
		return;
	}
	list_remove(&t->node);
	program(&this_pcpu()->timers);
}

/*
 * What is due now is taken out first: a handler that arms its timer for the past gets its next turn
 * at the next interrupt, and the CPU its turn before that.
 */
void timer_run(void)
{
	struct timer_queue *q = &this_pcpu()->timers;
	uint64_t now = rdtsc();
	struct list due;
	struct timer *t;

	list_init(&due);
	while ((t = first(q)) != NULL && t->deadline <= now) {
		list_remove(&t->node);
		list_insert_before(&t->node, &due);
	}
	q->programmed = 0U; /* a deadline that fired is not armed any more */
	while (!list_empty(&due)) {
		t = container_of(due.next, struct timer, node);
		list_remove(&t->node);
		trace(TRACE_TIMER_PICKED, t->deadline, 0U);
		t->fn(t);
	}
	program(q);
}

static void timer_interrupt(uint8_t vector, void *arg)
{
	(void)vector;
	(void)arg;
	trace(TRACE_TIMER_IRQ, 0U, 0U);
	timer_run();
}

void timer_init_pcpu(void)
{
	list_init(&this_pcpu()->timers.head);
	irq_register(VECTOR_TIMER, timer_interrupt, NULL);
}
