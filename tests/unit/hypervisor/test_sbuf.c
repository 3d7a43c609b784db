// SPDX-License-Identifier: BSD-3-Clause
/*
 * A ring of the hypervisor's that somebody reads: what is in it, what is lost when nobody reads,
 * and can who owns its header make the writer leave the ring?
 */
// links: hypervisor/lib/sbuf.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/errno.h"
#include "lib/sbuf.h"

#define NUM 4U

static struct {
	struct sbuf_header h;
	uint64_t data[NUM];
	uint64_t behind;
} ring;
static struct sbuf b;

static int open_ring(uint64_t flags)
{
	const struct sbuf_header h = {.ele_num = NUM, .ele_size = 8U, .flags = flags};

	memset(&ring, 0x5A, sizeof(ring));
	return sbuf_open(&b, &ring.h, &h, sizeof(ring.h) + sizeof(ring.data));
}

static bool put(uint64_t value)
{
	return sbuf_put(&b, &value);
}

/* Does a reader that follows the header get what was put in, in order, and then no more? */
static void test_reads_in_order(void **state)
{
	(void)state;
	assert_int_equal(open_ring(0U), 0);
	assert_int_equal(ring.h.magic, SBUF_MAGIC);
	assert_int_equal(ring.h.size, NUM * 8U);
	for (uint64_t i = 0U; i < 3U * NUM; i++) {
		assert_true(put(i));
		assert_int_equal(ring.h.written, i + 1U);
		assert_int_not_equal(ring.h.head, ring.h.tail);
		assert_int_equal(ring.data[ring.h.head / 8U], i);
		assert_int_equal(ring.data[i % NUM], i);
		ring.h.head = (ring.h.head + 8U) % ring.h.size;
		assert_int_equal(ring.h.head, ring.h.tail);
	}
	assert_int_equal(ring.behind, 0x5A5A5A5A5A5A5A5AUL);
}

/* Is a full ring left as it is, and what did not fit counted, if that is wanted? */
static void test_full(void **state)
{
	(void)state;
	assert_int_equal(open_ring(SBUF_COUNT_OVERRUNS), 0);
	for (uint64_t i = 0U; i < NUM - 1U; i++)
		assert_true(put(i));
	assert_false(put(77U));
	assert_false(put(78U));
	assert_int_equal(ring.h.overrun_cnt, 2U);
	assert_int_equal(ring.h.written, NUM - 1U);
	for (uint64_t i = 0U; i < NUM - 1U; i++)
		assert_int_equal(ring.data[i], i);
	ring.h.head = 8U;
	assert_true(put(79U));
	assert_false(put(80U));
	assert_int_equal(open_ring(0U), 0);
	for (uint64_t i = 0U; i < NUM; i++)
		(void)put(i);
	assert_int_equal(ring.h.overrun_cnt, 0U);
}

/* Does a ring that overwrites hold the newest entries, the head on the oldest of them? */
static void test_overwrites(void **state)
{
	(void)state;
	assert_int_equal(open_ring(SBUF_OVERWRITE | SBUF_COUNT_OVERRUNS), 0);
	for (uint64_t i = 0U; i < 10U; i++)
		(void)put(i);
	assert_int_equal(ring.h.overrun_cnt, 10U - (NUM - 1U));
	assert_int_equal(ring.data[ring.h.head / 8U], 10U - (NUM - 1U));
	assert_int_equal(ring.h.tail, 10U % NUM * 8U);
	assert_int_equal(ring.h.written, 10U);
	assert_int_equal(ring.behind, 0x5A5A5A5A5A5A5A5AUL);
}

/* What if whoever owns the header writes anything into it between two entries? */
static void test_hostile_header(void **state)
{
	(void)state;
	for (uint32_t round = 0U; round < 2U; round++) {
		assert_int_equal(open_ring(round == 0U ? SBUF_OVERWRITE : 0U), 0);
		srand(1);
		for (uint32_t i = 0U; i < 100000U; i++) {
			uint8_t *byte = (uint8_t *)&ring.h + (uint32_t)rand() % sizeof(ring.h);

			*byte = (uint8_t)rand();
			(void)put(i);
			assert_int_equal(ring.behind, 0x5A5A5A5A5A5A5A5AUL);
		}
	}
}

/* Is a ring refused that has no room for two entries, or is larger than its memory? */
static void test_refused(void **state)
{
	static const struct {
		uint32_t num, size;
		uint64_t bytes;
	} bad[] = {
		{0U, 8U, 4096U},
		{1U, 8U, 4096U},
		{8U, 0U, 4096U},
		{504U, 8U, 4095U},
		{0xFFFFFFFFU, 0xFFFFFFFFU, UINT64_MAX},
		{0x80000000U, 2U, UINT64_MAX},
		{(uint32_t)(SBUF_MAX_SIZE / 8U) + 1U, 8U, UINT64_MAX},
	};

	(void)state;
	for (size_t i = 0U; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct sbuf_header h = {.ele_num = bad[i].num, .ele_size = bad[i].size};

		memset(&ring, 0x5A, sizeof(ring));
		assert_int_equal(sbuf_open(&b, &ring.h, &h, bad[i].bytes), -EINVAL);
		assert_int_equal(ring.h.magic, 0x5A5A5A5A5A5A5A5AUL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_in_order), cmocka_unit_test(test_full),
		cmocka_unit_test(test_overwrites),     cmocka_unit_test(test_hostile_header),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
