// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does a function asked of another CPU run there, once, before the caller goes on, whoever calls
 * whom at the same time; and does a CPU that does not listen get an NMI?
 */
// links: hypervisor/arch/x86/cpu/pcpu.c tests/fake/fake_log.c
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "asm/insn.h"
#include "hv/irq.h"
#include "hv/pcpu.h"
#include "fake_machine.h"

uint32_t fake_log_lines;
char fake_log_last[256];

#define CPUS 4
static struct pcpu cpus[CPUS];
static __thread uint16_t me;
static uint64_t tsc;
static uint32_t ipis[CPUS], nmis[CPUS];
static uint32_t serve_after; /* one thread plays all CPUs: the target serves at this kick; 0: never */

struct pcpu *this_pcpu(void)
{
	return &cpus[me];
}

uint64_t rdtsc(void)
{
	return __atomic_add_fetch(&tsc, 1, __ATOMIC_SEQ_CST);
}

uint64_t us_to_tsc(uint64_t us)
{
	return us * 1000;
}

/* The scheduler hears of each kick that is noticed. */
static uint32_t told[CPUS];

void sched_kicked(void)
{
	told[me]++;
}

static void kicked(uint16_t id)
{
	uint16_t was = me;

	(void)sched_yield(); /* there may be fewer real CPUs than threads */
	if (serve_after == 0 || __atomic_load_n(&ipis[id], __ATOMIC_SEQ_CST) + nmis[id] < serve_after)
		return;
	me = id;
	smp_call_serve();
	me = was;
}

void lapic_send_ipi(uint32_t apic_id, uint8_t vector)
{
	assert_int_equal(vector, VECTOR_KICK);
	__atomic_add_fetch(&ipis[apic_id - 100], 1, __ATOMIC_SEQ_CST);
	kicked((uint16_t)(apic_id - 100));
}

void lapic_send_nmi(uint32_t apic_id)
{
	__atomic_add_fetch(&nmis[apic_id - 100], 1, __ATOMIC_SEQ_CST);
	kicked((uint16_t)(apic_id - 100));
}

static uint32_t inits;

void lapic_send_init(uint32_t apic_id)
{
	(void)apic_id;
	inits++;
}

static int setup(void **state)
{
	(void)state;
	inits = 0;
	pcpu_kick_owned_by_nmi = false;
	memset(cpus, 0, sizeof(cpus));
	memset(ipis, 0, sizeof(ipis));
	memset(nmis, 0, sizeof(nmis));
	pcpus = cpus;
	pcpu_count = CPUS;
	for (uint16_t i = 0; i < CPUS; i++) {
		cpus[i].self = &cpus[i];
		cpus[i].id = i;
		cpus[i].apic_id = 100U + i;
	}
	tsc = 1000;
	me = 0;
	serve_after = 0;
	return 0;
}

static uint64_t ran_on; /* bitmap of CPUs */

static void note_cpu(void *arg)
{
	ran_on |= BIT(me);
	++*(uint32_t *)arg;
}

/* What if the target is this CPU? It is an ordinary call. */
static void test_self(void **state)
{
	uint32_t n = 0;

	(void)state;
	ran_on = 0;
	me = 2;
	smp_call(&cpus[2], note_cpu, &n);
	assert_int_equal(n, 1);
	assert_int_equal(ran_on, BIT(2));
	assert_int_equal(ipis[2], 0);
	me = 0;
}

/* Does it run on the other CPU, once, and is it over when the caller goes on? */
static void test_other(void **state)
{
	uint32_t n = 0;

	(void)state;
	ran_on = 0;
	serve_after = 1;
	smp_call(&cpus[3], note_cpu, &n);
	assert_int_equal(n, 1);
	assert_int_equal(ran_on, BIT(3));
	assert_int_equal(ipis[3], 1);
	assert_int_equal(cpus[3].calls, 0);
	assert_int_equal(cpus[3].kicked_at, 0);
	assert_int_equal(told[3], 1);
	assert_int_equal(told[0], 0);
	smp_call(&cpus[1], note_cpu, &n);
	assert_int_equal(n, 2);
	assert_int_equal(ran_on, BIT(3) | BIT(1));
	me = 3;
	smp_call_serve(); /* nothing is left to do */
	assert_int_equal(n, 2);
	me = 0;
}

/* What if the target does not notice the first kick? It is kicked again, harder in the end. */
static void test_not_noticed(void **state)
{
	uint32_t n = 0;

	(void)state;
	serve_after = 3;
	smp_call(&cpus[1], note_cpu, &n);
	assert_int_equal(n, 1);
	assert_int_equal(ipis[1] + nmis[1], 3);
}

/* When does a kick become an NMI? After 50 us without an answer, and not after an answer. */
static void test_kick_patience(void **state)
{
	(void)state;
	pcpu_kick(&cpus[1]);
	assert_int_equal(ipis[1], 1);
	tsc += 49000;
	pcpu_kick(&cpus[1]);
	assert_int_equal(ipis[1], 2);
	assert_int_equal(nmis[1], 0);
	tsc += 2000;
	pcpu_kick(&cpus[1]);
	assert_int_equal(ipis[1], 2);
	assert_int_equal(nmis[1], 1);
	assert_int_equal(cpus[1].nmi_kick, 1);
	pcpu_kick(&cpus[1]); /* one NMI at a time */
	assert_int_equal(nmis[1], 1);
	cpus[1].nmi_kick = 0; /* as its handler does */
	pcpu_kick(&cpus[1]);
	assert_int_equal(nmis[1], 2);
	me = 1;
	smp_call_serve();
	me = 0;
	pcpu_kick(&cpus[1]);
	assert_int_equal(ipis[1], 3);
	assert_int_equal(nmis[1], 2);
}

/* Which CPU has this id; and none? */
static void test_by_apic_id(void **state)
{
	(void)state;
	assert_ptr_equal(pcpu_by_apic_id(102), &cpus[2]);
	assert_null(pcpu_by_apic_id(0));
	assert_null(pcpu_by_apic_id(104));
	pcpu_count = 2;
	assert_null(pcpu_by_apic_id(102));
}

#define ROUNDS 100
static uint32_t ran[CPUS][CPUS]; /* [target][caller] */
static volatile uint32_t wrong_cpu;
static uint32_t done;

struct call {
	uint16_t from, to;
};

static void count_call(void *arg)
{
	const struct call *c = arg;

	if (me != c->to)
		wrong_cpu++;
	ran[c->to][c->from]++;
}

/* A CPU that calls all others in turn, then serves until everybody is done. */
static void *cpu_thread(void *arg)
{
	me = (uint16_t)(uintptr_t)arg;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		for (uint16_t to = 0; to < pcpu_count; to++) {
			struct call c = {me, to};

			smp_call(&cpus[to], count_call, &c);
			/* it is over: nobody may look at c any more */
			memset(&c, 0xFF, sizeof(c));
		}
	}
	__atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&done, __ATOMIC_SEQ_CST) < pcpu_count) {
		smp_call_serve();
		(void)sched_yield();
	}
	return NULL;
}

/* What if 2 or 4 CPUs call each other at the same time? All calls run, and nobody waits for ever. */
static void test_all_at_once(void **state)
{
	for (uint16_t n = 2; n <= CPUS; n += 2) {
		pthread_t t[CPUS];

		(void)setup(state);
		memset(ran, 0, sizeof(ran));
		done = wrong_cpu = 0;
		pcpu_count = n;
		for (uintptr_t i = 0; i < n; i++)
			assert_int_equal(pthread_create(&t[i], NULL, cpu_thread, (void *)i), 0);
		for (uint16_t i = 0; i < n; i++)
			pthread_join(t[i], NULL);
		assert_int_equal(wrong_cpu, 0);
		for (uint16_t to = 0; to < n; to++) {
			for (uint16_t from = 0; from < n; from++)
				assert_int_equal(ran[to][from], ROUNDS);
		}
	}
}

/* What reaches a CPU whose local APIC a guest owns? Never a vector, which would be the guest's. */
static void test_kick_owned(void **state)
{
	(void)state;
	cpus[1].lapic_owned = 1;
	pcpu_kick(&cpus[1]);
	pcpu_kick(&cpus[1]);
	assert_int_equal(inits, 2);
	assert_int_equal(nmis[1], 0);
	pcpu_kick_owned_by_nmi = true;
	pcpu_kick(&cpus[1]);
	pcpu_kick(&cpus[1]); /* one at a time */
	assert_int_equal(nmis[1], 1);
	assert_int_equal(inits, 2);
	assert_int_equal(ipis[1], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_self, setup),
		cmocka_unit_test_setup(test_other, setup),
		cmocka_unit_test_setup(test_not_noticed, setup),
		cmocka_unit_test_setup(test_kick_patience, setup),
		cmocka_unit_test_setup(test_kick_owned, setup),
		cmocka_unit_test_setup(test_by_apic_id, setup),
		cmocka_unit_test_setup(test_all_at_once, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
