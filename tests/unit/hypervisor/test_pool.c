// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does a pool hand out each object once, zeroed, and nothing when it is empty, to however many
 * CPUs ask?
 */
// links: hypervisor/arch/x86/mm/pool.c
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hv/mm.h"

static void *memory;

void *boot_alloc_raw(size_t size, size_t align)
{
	free(memory);
	memory = aligned_alloc(align, ALIGN_UP(size, align));
	memset(memory, 0xEE, size);
	return memory;
}

static int teardown(void **state)
{
	(void)state;
	free(memory);
	memory = NULL;
	return 0;
}

/* What if all are taken, and one comes back? */
static void test_exhaustion(void **state)
{
	struct pool p;
	uint8_t *obj[8];

	(void)state;
	pool_init(&p, "test", 100, 64, 8);
	assert_int_equal(p.size, 128);
	assert_int_equal(p.total, 8);
	for (uint32_t i = 0; i < 8; i++) {
		obj[i] = pool_get(&p);
		assert_non_null(obj[i]);
		assert_int_equal((uintptr_t)obj[i] % 64, 0);
		for (uint32_t k = 0; k < i; k++)
			assert_true(obj[i] >= obj[k] + 128 || obj[i] + 128 <= obj[k]);
		assert_int_equal(p.used, i + 1);
		memset(obj[i], 0x55, 128);
	}
	assert_null(pool_get(&p));
	assert_int_equal(p.used, 8);
	pool_put(&p, obj[3]);
	assert_int_equal(p.used, 7);
	assert_ptr_equal(pool_get(&p), obj[3]);
	assert_null(pool_get(&p));
}

/* What does the next owner see of what the last one wrote? Nothing, to the last byte. */
static void test_zeroed(void **state)
{
	static const uint8_t zeros[4096];
	struct pool p;

	(void)state;
	pool_init(&p, "test", 4096, 4096, 2);
	for (int i = 0; i < 4; i++) {
		uint8_t *a = pool_get(&p), *b = pool_get(&p);

		assert_memory_equal(a, zeros, 4096);
		assert_memory_equal(b, zeros, 4096);
		memset(a, 0xA5, 4096);
		memset(b, 0x5A, 4096);
		pool_put(&p, i % 2 ? a : b);
		pool_put(&p, i % 2 ? b : a);
	}
}

/* What if memory is added to a pool that is in use? */
static void test_add(void **state)
{
	static uint64_t more[4][8];
	struct pool p = {.name = "test", .size = 64};
	uint32_t n = 0;

	(void)state;
	assert_null(pool_get(&p));
	pool_add(&p, more, 3);
	assert_ptr_equal(pool_get(&p), more[0]);
	pool_add(&p, more[3], 1);
	assert_int_equal(p.total, 4);
	while (pool_get(&p))
		n++;
	assert_int_equal(n, 3);
	pool_add(&p, more, 0);
	assert_null(pool_get(&p));
}

struct worker {
	struct pool *pool;
	uint32_t id, failures;
};

static void *work(void *arg)
{
	struct worker *w = arg;

	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t *obj = pool_get(w->pool);

		if (!obj)
			continue;
		obj[4] = w->id;
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		w->failures += obj[4] != w->id;
		pool_put(w->pool, obj);
	}
	return NULL;
}

/* What if two CPUs take and give back at once? None has what the other has. */
static void test_two_cpus(void **state)
{
	struct pool p;
	struct worker w[2] = {{&p, 1, 0}, {&p, 2, 0}};
	pthread_t t[2];

	(void)state;
	pool_init(&p, "test", 64, 64, 2);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, work, &w[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(w[0].failures + w[1].failures, 0);
	assert_int_equal(p.used, 0);
	assert_non_null(pool_get(&p));
	assert_non_null(pool_get(&p));
	assert_null(pool_get(&p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_exhaustion, teardown),
		cmocka_unit_test_teardown(test_zeroed, teardown),
		cmocka_unit_test_teardown(test_add, teardown),
		cmocka_unit_test_teardown(test_two_cpus, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
