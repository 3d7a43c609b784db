// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does each host interrupt reach its handler, after one EOI; and what about those that nobody
 * asked for?
 */
// links: hypervisor/arch/x86/irq/irq.c @machine
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hv/irq.h"
#include "hv/pcpu.h"
#include "lib/errno.h"
#include "fake_machine.h"

static uint32_t eois, served;
static struct {
	uint8_t vector;
	void *arg;
	uint32_t calls, eois;
} last;

void lapic_eoi(void)
{
	eois++;
}

void smp_call_serve(void)
{
	served++;
}

static void handler(uint8_t vector, void *arg)
{
	last.vector = vector;
	last.arg = arg;
	last.calls++;
	last.eois = eois;
}

static int setup(void **state)
{
	(void)state;
	eois = served = 0;
	memset(&last, 0, sizeof(last));
	return 0;
}

/* Is the handler called with its vector and argument, once, after the EOI? */
static void test_dispatch(void **state)
{
	int a, b;

	(void)state;
	irq_register(0x31, handler, &a);
	irq_register(0x32, handler, &b);
	irq_dispatch(0x32);
	assert_int_equal(last.vector, 0x32);
	assert_ptr_equal(last.arg, &b);
	assert_int_equal(last.calls, 1);
	assert_int_equal(last.eois, 1);
	irq_dispatch(0x31);
	assert_ptr_equal(last.arg, &a);
	irq_free_vector(0x31);
	irq_free_vector(0x32);
}

/* What if nobody registered, or has gone? The interrupt ends, or the next would never come. */
static void test_nobody(void **state)
{
	(void)state;
	irq_dispatch(0x40);
	assert_int_equal(eois, 1);
	irq_register(0x40, handler, NULL);
	irq_free_vector(0x40);
	irq_dispatch(0x40);
	assert_int_equal(eois, 2);
	assert_int_equal(last.calls, 0);
}

/* A spurious interrupt is not in service: its EOI would end another one (SDM 3A 11.9). */
static void test_spurious(void **state)
{
	(void)state;
	irq_dispatch(VECTOR_SPURIOUS);
	assert_int_equal(eois, 0);
}

/* Does a kick make this CPU serve what others ask of it? */
static void test_kick(void **state)
{
	(void)state;
	irq_init();
	irq_dispatch(VECTOR_KICK);
	assert_int_equal(served, 1);
	assert_int_equal(eois, 1);
}

/* What if all vectors are taken? And does one that is freed come again, without its handler? */
static void test_vectors(void **state)
{
	bool seen[256] = {false};

	(void)state;
	for (uint32_t i = VECTOR_DYN_FIRST; i <= VECTOR_DYN_LAST; i++) {
		int v = irq_alloc_vector();

		assert_in_range(v, VECTOR_DYN_FIRST, VECTOR_DYN_LAST);
		assert_false(seen[v]);
		seen[v] = true;
	}
	assert_int_equal(irq_alloc_vector(), -ENOSPC);
	irq_register(0x77, handler, NULL);
	irq_free_vector(0x77);
	irq_dispatch(0x77);
	assert_int_equal(last.calls, 0);
	assert_int_equal(irq_alloc_vector(), 0x77);
	assert_int_equal(irq_alloc_vector(), -ENOSPC);
	for (uint32_t i = VECTOR_DYN_FIRST; i <= VECTOR_DYN_LAST; i++)
		irq_free_vector((uint8_t)i);
	assert_int_equal(irq_alloc_vector(), VECTOR_DYN_FIRST);
	irq_free_vector(VECTOR_DYN_FIRST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_dispatch, setup), cmocka_unit_test_setup(test_nobody, setup),
		cmocka_unit_test_setup(test_spurious, setup), cmocka_unit_test_setup(test_kick, setup),
		cmocka_unit_test_setup(test_vectors, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
