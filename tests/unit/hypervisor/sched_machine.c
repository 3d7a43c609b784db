// SPDX-License-Identifier: BSD-3-Clause
/* See sched_machine.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "asm/insn.h"
#include "hv/irq.h"
#include "sched_machine.h"

/* What schedule.c takes from context.S. */
void sched_switch_stack(struct thread *from, struct thread *to);
void sched_thread_start(void);

struct thread idle[2], t[THREADS];
uint64_t stacks[THREADS][64];
uint64_t ran[THREADS];
uint32_t switches, kicks, serves, preempts, ins;
struct pcpu *kicked;
uint64_t armed_at, guard;
void (*on_serve)(void);

void sched_switch_stack(struct thread *from, struct thread *to)
{
	(void)from;
	(void)to;
	switches++;
}

void sched_thread_start(void)
{
}

void pcpu_kick(struct pcpu *p)
{
	kicks++;
	kicked = p;
}

void smp_call_serve(void)
{
	serves++;
	if (on_serve)
		on_serve();
}

void lapic_timer_set(uint64_t deadline)
{
	armed_at = deadline;
}

void irq_register(uint8_t vector, irq_handler_t fn, void *arg)
{
	(void)vector;
	(void)fn;
	(void)arg;
}

void arm_guard(uint64_t ticks)
{
	guard = ticks;
}

static void count_preempt(struct thread *th)
{
	(void)th;
	preempts++;
}

static void count_in(struct thread *th)
{
	(void)th;
	ins++;
}

int sched_setup(void **state)
{
	(void)state;
	fake_machine_reset();
	fake_tsc_step = 0;
	memset(idle, 0, sizeof(idle));
	memset(t, 0, sizeof(t));
	memset(ran, 0, sizeof(ran));
	switches = kicks = serves = preempts = ins = 0;
	kicked = NULL;
	guard = 0;
	armed_at = 0;
	on_serve = NULL;
	sched_arm_guard = NULL;
	for (uint16_t i = 0; i < 2; i++) {
		fake_cpu = i;
		timer_init_pcpu();
		sched_init_pcpu(&pcpus[i], &idle[i]);
	}
	fake_cpu = 0;
	for (uint32_t i = 0; i < THREADS; i++) {
		t[i].rank = 1;
		t[i].preempt = count_preempt;
		t[i].switch_in = count_in;
		thread_init(&t[i], &pcpus[i / 3], &stacks[i][64], NULL, NULL);
	}
	return 0;
}

struct thread *current(void)
{
	return pcpus[fake_cpu].rq.current;
}

void timer_fires(void)
{
	fake_tsc = armed_at;
	armed_at = 0;
	timer_run();
}

static void give_way(void)
{
	if (sched_need_resched(&pcpus[0]))
		schedule();
}

void run(uint64_t ticks)
{
	uint64_t end = fake_tsc + ticks;

	give_way();
	while (fake_tsc < end) {
		uint64_t next = (armed_at != 0 && armed_at < end) ? armed_at : end;

		next = next > fake_tsc ? next : fake_tsc;
		for (uint32_t i = 0; i < THREADS; i++) {
			if (current() == &t[i])
				ran[i] += next - fake_tsc;
		}
		fake_tsc = next;
		if (armed_at != 0 && armed_at <= fake_tsc)
			timer_fires();
		give_way();
	}
}

void pcpu_poll(void)
{
	irq_enable();
	irq_disable();
}
