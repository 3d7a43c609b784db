// SPDX-License-Identifier: BSD-3-Clause
// links: hypervisor/sched/schedule.c hypervisor/sched/noop.c @machine
/*
 * The real stack switch (sched/context.S), with real threads on stacks of their own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "fake_machine.h"
#include "hv/pcpu.h"
#include "hv/schedule.h"

__asm__(".include \"../sched/context.S\"\n\t.text");

#define STACK 65536U

static struct thread idle, t[2];
static char *stacks[2];
static uint32_t rounds[2], misaligned;

void pcpu_poll(void)
{
}

void pcpu_kick(struct pcpu *p)
{
	(void)p;
}

void smp_call_serve(void)
{
}

void timer_init(struct timer *tm, void (*fn)(struct timer *tm))
{
	tm->fn = fn;
}

void timer_arm(struct timer *tm, uint64_t deadline)
{
	(void)tm;
	(void)deadline;
}

bool timer_armed(const struct timer *tm)
{
	(void)tm;
	return false;
}

static void body(void *arg)
{
	uint32_t *count = arg;

	for (;;) {
		if (((uintptr_t)__builtin_frame_address(0) & 15U) != 0U)
			misaligned++;
		(*count)++;
		sched_wake(&t[count == &rounds[0]]);
		sched_block();
	}
}

/* Do two threads and the idle loop each find their own stack again, a thousand times? */
static void test_ping_pong(void **state)
{
	volatile uint64_t canary = 0x1122334455667788UL;

	(void)state;
	fake_machine_reset();
	sched_init_pcpu(&pcpus[0], &idle);
	for (uint32_t i = 0; i < 2; i++) {
		stacks[i] = aligned_alloc(16, STACK);
		thread_init(&t[i], &pcpus[0], stacks[i] + STACK, body, &rounds[i]);
	}
	sched_wake(&t[0]);
	for (uint32_t i = 0; i < 1000; i++) {
		/* Each wakes the other before it blocks; the freeze brings the idle loop back. */
		t[(i + 1U) % 2U].frozen = true;
		schedule();
		assert_ptr_equal(pcpus[0].rq.current, &idle);
		sched_thaw(&t[(i + 1U) % 2U]);
	}
	assert_int_equal(rounds[0], 500);
	assert_int_equal(rounds[1], 500);
	assert_int_equal(misaligned, 0);
	assert_true(canary == 0x1122334455667788UL);
	free(stacks[0]);
	free(stacks[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ping_pong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
