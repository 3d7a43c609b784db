// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does the checker see each invariant that is broken, and say that all hold when they do?
 */
// links: hypervisor/debug/check.c @machine
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "asm/vmx.h"
#include "hv/caps.h"
#include "hv/check.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/vm.h"
#include "config.h"
#include "fake_machine.h"

#define PTE	0x3UL /* present, writable */
#define NX	BIT(63)
#define OURS	0x700000UL /* a page of the hypervisor */
#define APIC	0xFEE00000UL

static struct vm slots[CONFIG_MAX_VM_NUM];
static uint64_t host[4][512] __attribute__((aligned(4096)));
static uint64_t ept[4][512] __attribute__((aligned(4096)));
static struct thread idle, thread;

struct vm *vm_by_id(uint16_t id)
{
	return &slots[id];
}

bool hv_owns(hpa_t base, uint64_t size)
{
	return base.v <= OURS && OURS - base.v < size;
}

bool cap_has(enum cpu_cap cap)
{
	return cap == CAP_NX;
}

uint64_t hostmm_root(void)
{
	return ptr_hpa(host[3]).v;
}

/* One page of `attr` at va, by the four tables. */
static void map(uint64_t t[4][512], uint64_t va, uint64_t pa, uint64_t table, uint64_t attr)
{
	for (uint32_t level = 3; level > 0; level--)
		t[level][va >> (12U + 9U * level) & 511U] = ptr_hpa(t[level - 1]).v | table;
	t[0][va >> 12 & 511U] = pa | attr;
}

static int setup(void **state)
{
	struct runqueue *rq = &pcpus[0].rq;

	(void)state;
	fake_machine_reset();
	memset(slots, 0, sizeof(slots));
	memset(host, 0, sizeof(host));
	memset(ept, 0, sizeof(ept));
	map(host, 0x1000, 0x1000, PTE, PTE | NX);
	map(ept, 0x2000, 0x2000, EPT_RWX, EPT_RWX);
	slots[1].state = VM_RUNNING;
	slots[1].ept.pt.root = ept[3];
	list_init(&rq->runnable);
	rq->current = rq->idle = &idle;
	rq->nr_runnable = 1;
	rq->nr_threads = 1;
	thread = (struct thread){.pcpu = &pcpus[0], .state = THREAD_RUNNABLE};
	list_insert_before(&thread.node, &rq->runnable);
	for (uint16_t i = 1; i < pcpu_count; i++)
		list_init(&pcpus[i].rq.runnable);
	page_pool.total = page_pool.used;
	page_pool.free = NULL;
	return 0;
}

static void test_hold(void **state)
{
	(void)state;
	assert_int_equal(check_invariants(), 0);
	assert_int_equal(fake_log_lines, 0);
	memset(ept, 0, sizeof(ept));
	map(ept, APIC, OURS, EPT_RWX, EPT_RWX); /* on purpose */
	assert_int_equal(check_invariants(), 0);
}

/* A VM sees a page of the hypervisor's, alone or inside a large one. */
static void test_ept(void **state)
{
	(void)state;
	map(ept, 0x3000, OURS, EPT_RWX, EPT_READ);
	assert_int_equal(check_invariants(), 1);
	ept[0][3] = 0;
	ept[1][1] = 0x600000UL | EPT_RWX | EPT_LARGE;
	assert_int_equal(check_invariants(), 1);
	slots[1].state = VM_POWERED_OFF; /* what is left there is nobody's */
	assert_int_equal(check_invariants(), 0);
}

static void test_host(void **state)
{
	(void)state;
	map(host, 0x4000, 0x4000, PTE, PTE);
	assert_int_equal(check_invariants(), 1);
	map(host, 0x4000, 0x4000, PTE, 1); /* code that cannot be written */
	assert_int_equal(check_invariants(), 0);
}

/* A thread of another CPU, one that sleeps or runs, a wrong count. */
static void test_queue(void **state)
{
	(void)state;
	thread.pcpu = &pcpus[1];
	assert_int_equal(check_invariants(), 1);
	thread.pcpu = &pcpus[0];
	thread.state = THREAD_BLOCKED;
	assert_int_equal(check_invariants(), 1);
	thread.state = THREAD_RUNNABLE;
	pcpus[0].rq.current = &thread;
	assert_int_equal(check_invariants(), 1);
	pcpus[0].rq.current = &idle;
	pcpus[0].rq.nr_runnable = 2;
	assert_int_equal(check_invariants(), 1);
}

/* A page that is lost, and a list that runs in a circle. */
static void test_pool(void **state)
{
	static void *page[512];

	(void)state;
	page_pool.total++;
	assert_int_equal(check_invariants(), 1);
	page_pool.free = page;
	assert_int_equal(check_invariants(), 0);
	page[0] = page;
	assert_int_equal(check_invariants(), 1);
	page_pool.free = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_hold, setup),  cmocka_unit_test_setup(test_ept, setup),
		cmocka_unit_test_setup(test_host, setup),  cmocka_unit_test_setup(test_queue, setup),
		cmocka_unit_test_setup(test_pool, setup),
	};

	return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
