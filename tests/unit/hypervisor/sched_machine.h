/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads on fake CPUs for tests of the scheduler and its policies, with the real timers. The stack
 * switch is faked: after schedule() a test plays whichever thread is current.
 */
#ifndef SCHED_MACHINE_H
#define SCHED_MACHINE_H

#include "fake_machine.h"
#include "hv/pcpu.h"
#include "hv/schedule.h"

#define MS	1000000UL /* TSC ticks at the fake machine's 1 GHz */
#define THREADS 4U

extern struct thread idle[2], t[THREADS]; /* t[3] lives on CPU 1, the others on CPU 0 */
extern uint64_t stacks[THREADS][64];
extern uint64_t ran[THREADS]; /* ticks that run() gave each */
extern uint32_t switches, kicks, serves, preempts, ins;
extern struct pcpu *kicked;
extern uint64_t armed_at; /* deadline of CPU 0's APIC timer, 0: none */
extern uint64_t guard;	  /* what sched_arm_guard() was last given */
extern void (*on_serve)(void);

void arm_guard(uint64_t ticks);

/* All anew; a cmocka setup. */
int sched_setup(void **state);

/* Who runs on the CPU that the test plays. */
struct thread *current(void);

/* It is the APIC timer's deadline now. */
void timer_fires(void);

/* Time goes by on CPU 0, timers fire, and who is asked to gives the CPU away. */
void run(uint64_t ticks);

#endif
