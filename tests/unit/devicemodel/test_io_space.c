// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does each guest access reach the one device that claims its address, and none where nobody
 * does, whatever is added and removed meanwhile?
 */
// links: devicemodel/core/io_space.c devicemodel/core/log.c
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "io_space.h"

struct target {
	struct io_space *space;
	uint64_t base; /* to remove itself, if set */
	atomic_int inside;
	atomic_bool slow;
	unsigned int reads, writes;
	uint64_t offset, value;
};

static uint64_t target_read(void *arg, uint64_t offset, unsigned int size)
{
	struct target *t = arg;

	(void)size;
	atomic_fetch_add(&t->inside, 1);
	while (atomic_load(&t->slow))
		usleep(100);
	t->reads++;
	t->offset = offset;
	if (t->base)
		io_space_remove(t->space, t->base);
	atomic_fetch_sub(&t->inside, 1);
	return 0x1122334455667788;
}

static void target_write(void *arg, uint64_t offset, unsigned int size, uint64_t value)
{
	struct target *t = arg;

	(void)size;
	t->writes++;
	t->offset = offset;
	t->value = value;
}

static const struct io_ops ops = {.read = target_read, .write = target_write};

/* What if two ranges touch: does every access find its own, at its offset and size? */
static void test_dispatch(void **state)
{
	struct io_space *space = io_space_create(0x10000);
	struct target a = {0}, b = {0};

	(void)state;
	assert_int_equal(io_space_add(space, "a", 0x100, 0x10, &ops, &a), 0);
	assert_int_equal(io_space_add(space, "b", 0x110, 0x10, &ops, &b), 0);
	assert_int_equal(io_space_read(space, 0x10c, 4), 0x55667788);
	assert_int_equal(a.offset, 0xc);
	assert_int_equal(io_space_read(space, 0x110, 1), 0x88);
	assert_int_equal(b.offset, 0);
	io_space_write(space, 0x11f, 1, 0xabcd);
	assert_int_equal(b.writes, 1);
	assert_int_equal(b.value, 0xcd);
	assert_true(io_space_read(space, 0x100, 8) == 0x1122334455667788);
	io_space_destroy(space);
}

/* What if nobody is there, or an access hangs over the end of its range? */
static void test_unclaimed(void **state)
{
	struct io_space *space = io_space_create(0x10000);
	struct target a = {0};

	(void)state;
	assert_int_equal(io_space_add(space, "a", 0x100, 4, &ops, &a), 0);
	assert_int_equal(io_space_read(space, 0x104, 1), 0xff);
	assert_int_equal(io_space_read(space, 0xff, 2), 0xffff);
	assert_int_equal(io_space_read(space, 0x102, 4), 0xffffffff);
	assert_true(io_space_read(space, 0xfffffffffffffff8, 8) == UINT64_MAX);
	io_space_write(space, 0x103, 2, 0);
	assert_int_equal(a.reads + a.writes, 0);
	io_space_destroy(space);
}

/* What if a range is empty, too long, wraps, or overlaps from any side? */
static void test_bad_ranges(void **state)
{
	struct io_space *space = io_space_create(0x10000);
	struct target a = {0};

	(void)state;
	assert_int_equal(io_space_add(space, "a", 0x100, 0x10, &ops, &a), 0);
	assert_int_equal(io_space_add(space, "x", 0x200, 0, &ops, &a), -EINVAL);
	assert_int_equal(io_space_add(space, "x", 0xffff, 2, &ops, &a), -EINVAL);
	assert_int_equal(io_space_add(space, "x", 0x10000, 1, &ops, &a), -EINVAL);
	assert_int_equal(io_space_add(space, "x", 0x200, UINT64_MAX, &ops, &a), -EINVAL);
	assert_int_equal(io_space_add(space, "x", 0x10f, 1, &ops, &a), -EEXIST);
	assert_int_equal(io_space_add(space, "x", 0x0, 0x101, &ops, &a), -EEXIST);
	assert_int_equal(io_space_add(space, "x", 0x0, 0x1000, &ops, &a), -EEXIST);
	assert_int_equal(io_space_add(space, "x", 0x104, 2, &ops, &a), -EEXIST);
	assert_int_equal(io_space_add(space, "x", 0xffff, 1, &ops, &a), 0);
	io_space_destroy(space);
}

/* What if hundreds of ranges come and go: is each still found, and only while it is there? */
static void test_many(void **state)
{
	struct io_space *space = io_space_create(0x10000);
	struct target t[200] = {0};

	(void)state;
	for (unsigned int i = 0; i < 200; i++) {
		unsigned int at = i * 37 % 200;

		assert_int_equal(io_space_add(space, "t", at * 16, 16, &ops, &t[at]), 0);
	}
	for (unsigned int i = 0; i < 200; i += 2)
		io_space_remove(space, i * 16);
	io_space_remove(space, 0x5); /* no range starts there */
	for (unsigned int i = 0; i < 200; i++) {
		assert_int_equal(io_space_read(space, i * 16 + 3, 1), i % 2 ? 0x88 : 0xff);
		assert_int_equal(t[i].reads, i % 2);
	}
	io_space_destroy(space);
}

/* What if a device removes its range in its own handler (a BAR that moves itself)? */
static void test_removes_itself(void **state)
{
	struct io_space *space = io_space_create(0x10000);
	struct target t = {.space = space, .base = 0x100};

	(void)state;
	assert_int_equal(io_space_add(space, "t", 0x100, 16, &ops, &t), 0);
	assert_int_equal(io_space_read(space, 0x100, 1), 0x88);
	assert_int_equal(io_space_read(space, 0x100, 1), 0xff);
	assert_int_equal(t.reads, 1);
	io_space_destroy(space);
}

static void *read_slowly(void *arg)
{
	struct target *t = arg;

	io_space_read(t->space, 0x100, 1);
	return NULL;
}

static void *let_go(void *arg)
{
	struct target *t = arg;

	usleep(20000);
	atomic_store(&t->slow, false);
	return NULL;
}

/* What if one thread removes a range while another is inside its handler? */
static void test_remove_waits(void **state)
{
	struct io_space *space = io_space_create(0x10000);
	struct target t = {.space = space, .slow = true};
	pthread_t reader, helper;

	(void)state;
	assert_int_equal(io_space_add(space, "t", 0x100, 16, &ops, &t), 0);
	pthread_create(&reader, NULL, read_slowly, &t);
	while (atomic_load(&t.inside) == 0)
		usleep(100);
	pthread_create(&helper, NULL, let_go, &t);
	io_space_remove(space, 0x100);
	assert_int_equal(atomic_load(&t.inside), 0);
	assert_int_equal(io_space_read(space, 0x100, 1), 0xff);
	pthread_join(reader, NULL);
	pthread_join(helper, NULL);
	io_space_destroy(space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dispatch),       cmocka_unit_test(test_unclaimed),
		cmocka_unit_test(test_bad_ranges),     cmocka_unit_test(test_many),
		cmocka_unit_test(test_removes_itself), cmocka_unit_test(test_remove_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
