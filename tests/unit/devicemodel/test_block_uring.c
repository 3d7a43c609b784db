// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does a disk with aio=io_uring keep what it was given, with the kernel's real ring: many requests
 * at once, more than it holds, some that fail, and one that ends while they run? Where the kernel has
 * no ring for us, the threads do it all, and only that is tested.
 */
// links: devicemodel/backend/block.c devicemodel/backend/block_uring.c
// links: devicemodel/backend/block_config.c
// links: devicemodel/core/log.c tests/unit/devicemodel/fake_io.c
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <liburing.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "block.h"
#include "fake_io.h"
#include "log.h"

#define COUNT 700U /* the ring holds 256 */
#define PART  1024U

static char image[] = "/tmp/test_uring.XXXXXX";
static struct block *disk;
static atomic_uint finished, failed;
static bool ring;

static struct io {
	struct block_req req;
	struct iovec iov;
	uint8_t buf[PART];
} io[COUNT];

static void done(struct block_req *req, int err)
{
	(void)req;
	failed += err != 0 ? 1U : 0;
	finished++;
}

static void open_disk(const char *options)
{
	char config[128];

	snprintf(config, sizeof(config), "%s,%s", image, options);
	assert_int_equal(block_open(&disk, "test", config), 0);
}

static int set_up(void **state)
{
	struct io_uring probe;
	int fd;

	(void)state;
	ring = io_uring_queue_init(1, &probe, 0) == 0;
	if (ring)
		io_uring_queue_exit(&probe);
	strcpy(strchr(image, '.'), ".XXXXXX");
	fd = mkstemp(image);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)COUNT * PART), 0);
	close(fd);
	fake_io_reset();
	atomic_store(&fake_io.nowait_errno, EAGAIN); /* nothing is done at once */
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	block_close(disk);
	unlink(image);
	return 0;
}

/* The n-th part of the disk; what it becomes. */
static int submit(unsigned int n, enum block_op op)
{
	int err;

	io[n].iov = (struct iovec) {io[n].buf, PART};
	io[n].req = (struct block_req) {.op = op,
					.durable = op == BLOCK_WRITE,
					.iov = &io[n].iov,
					.iovcnt = op == BLOCK_FLUSH ? 0 : 1,
					.offset = op == BLOCK_FLUSH ? 0 : (uint64_t)n * PART,
					.len = op == BLOCK_FLUSH ? 0 : PART,
					.done = done};
	err = block_submit(disk, &io[n].req);
	assert_int_equal(err, -EINPROGRESS);
	return err;
}

static void wait_for(unsigned int count)
{
	for (unsigned int i = 0; i < 10000 && finished < count; i++)
		usleep(1000);
	assert_int_equal(finished, count);
}

static void all(enum block_op op)
{
	finished = 0;
	failed = 0;
	for (unsigned int i = 0; i < COUNT; i++)
		submit(i, op);
}

/* Writes, a flush and reads: is each done once, and by the ring? */
static void test_data(void **state)
{
	(void)state;
	open_disk("aio=io_uring");
	for (unsigned int round = 0; round < 20; round++) {
		finished = 0;
		for (unsigned int i = 0; i < 64; i++) {
			memset(io[i].buf, (int)(i + round), PART);
			submit(i, BLOCK_WRITE);
		}
		wait_for(64);
		submit(0, BLOCK_FLUSH);
		wait_for(65);
		for (unsigned int i = 0; i < 64; i++) {
			memset(io[i].buf, 0xEE, PART);
			submit(i, BLOCK_READ);
		}
		wait_for(129);
		for (unsigned int i = 0; i < 64; i++)
			assert_true(io[i].buf[0] == (uint8_t)(i + round) &&
				    io[i].buf[PART - 1] == (uint8_t)(i + round));
	}
	assert_int_equal(failed, 0);
	if (ring)
		assert_int_equal(fake_io.reads + fake_io.writes + fake_io.syncs, 0);
}

/* What if more come than the ring holds? The threads take the rest. */
static void test_full(void **state)
{
	(void)state;
	open_disk("aio=io_uring");
	for (unsigned int i = 0; i < COUNT; i++)
		memset(io[i].buf, (int)i, PART);
	all(BLOCK_WRITE);
	wait_for(COUNT);
	for (unsigned int i = 0; i < COUNT; i++)
		io[i].buf[7] = 0xEE;
	all(BLOCK_READ);
	wait_for(COUNT);
	for (unsigned int i = 0; i < COUNT; i++)
		assert_int_equal(io[i].buf[7], (uint8_t)i);
	assert_int_equal(failed, 0);
}

/* What if the file was cut behind its back: nothing is there, or half a part? It fails, and all else goes on. */
static void test_errors(void **state)
{
	(void)state;
	open_disk("aio=io_uring");
	assert_int_equal(truncate(image, 10 * PART + PART / 2), 0);
	all(BLOCK_READ);
	wait_for(COUNT);
	assert_int_equal(failed, COUNT - 10);
}

/* What if the device is reset while requests are under way? Afterwards none is. */
static void test_drain(void **state)
{
	(void)state;
	open_disk("aio=io_uring");
	for (unsigned int round = 0; round < 10; round++) {
		all(round % 2 != 0 ? BLOCK_READ : BLOCK_WRITE);
		block_drain(disk);
		assert_int_equal(finished, COUNT);
		memset(io, 0xFF, sizeof(io));
	}
}

/* What if there is no ring to be had? Then there are threads. */
static void test_none(void **state)
{
	struct rlimit limit;
	int next = dup(0);

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	close(next);
	limit.rlim_cur = (rlim_t)next + 1; /* the disk, and nothing else */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	open_disk("aio=io_uring");
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	all(BLOCK_WRITE);
	wait_for(COUNT);
	assert_int_equal(failed, 0);
	assert_int_equal(fake_io.writes, COUNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_data, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_errors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_drain, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_none, set_up, tear_down),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
