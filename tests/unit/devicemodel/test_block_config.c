// SPDX-License-Identifier: BSD-3-Clause
/* What of the text behind "virtio-blk," is understood, and what is refused? */
// links: devicemodel/backend/block_config.c devicemodel/core/log.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "block_config.h"

/* Which words does the grammar know, and which does it refuse? */
static void test_options(void **state)
{
	static const struct {
		const char *config;
		int ret;
		const char *path;
		bool ro, wb, nocache;
	} cases[] = {
		{"/a", 0, "/a", false, false, false},
		{"/a,ro", 0, "/a", true, false, false},
		{"/a,writeback,nocache", 0, "/a", false, true, true},
		{"/a,writeback,writethru", 0, "/a", false, false, false},
		{"iothread,mq=2,/a,writeback", 0, "/a", false, true, false},
		{"iothread=2@0:1/2,/a,aio=io_uring,no_bst_block", 0, "/a", false, false, false},
		{"./ro,ro", 0, "./ro", true, false, false},
		{"/a,", 0, "/a", false, false, false},
		{"", -EINVAL, "", false, false, false},
		{NULL, -EINVAL, "", false, false, false},
		{"ro", -EINVAL, "", false, false, false},
		{",ro", -EINVAL, "", false, false, false},
		{"/a,/b", -EINVAL, "", false, false, false},
		{"/a,rw", -EINVAL, "", false, false, false},
		{"/a,ro=1", -EINVAL, "", false, false, false},
		{"mq=0,/a", -EINVAL, "", false, false, false},
		{"mq=17,/a", -EINVAL, "", false, false, false},
		{"mq=2/2,/a", -EINVAL, "", false, false, false},
		{"mq,/a", -EINVAL, "", false, false, false},
		{"iothread=,/a", -EINVAL, "", false, false, false},
		{"iothread=0,/a", -EINVAL, "", false, false, false},
		{"iothread=17,/a", -EINVAL, "", false, false, false},
		{"iothread=-1,/a", -EINVAL, "", false, false, false},
		{"iothread=99999999999999999999,/a", -EINVAL, "", false, false, false},
		{"iothread=2x,/a", -EINVAL, "", false, false, false},
		{"iothread@,/a", -EINVAL, "", false, false, false},
		{"iothread@64,/a", -EINVAL, "", false, false, false},
		{"iothread@0:,/a", -EINVAL, "", false, false, false},
		{"iothread@0/1,/a", -EINVAL, "", false, false, false},
		{"iothread@0-1,/a", -EINVAL, "", false, false, false},
		{"nodisk", 0, "", false, false, false},
		{"nodisk,writeback", 0, "", false, true, false},
		{"nodisk,/a", -EINVAL, "", false, false, false},
		{"nodisk=1", -EINVAL, "", false, false, false},
		{"/a,discard=", -EINVAL, "", false, false, false},
		{"/a,discard=0", -EINVAL, "", false, false, false},
		{"/a,discard=4294967296", -EINVAL, "", false, false, false},
		{"/a,discard=8:17", -EINVAL, "", false, false, false},
		{"/a,discard=8:1:1:1", -EINVAL, "", false, false, false},
		{"/a,discard=-8", -EINVAL, "", false, false, false},
		{"/a,sectorsize", -EINVAL, "", false, false, false},
		{"/a,sectorsize=256", -EINVAL, "", false, false, false},
		{"/a,sectorsize=1000", -EINVAL, "", false, false, false},
		{"/a,sectorsize=4096/512", -EINVAL, "", false, false, false},
		{"/a,sectorsize=131072", -EINVAL, "", false, false, false},
		{"/a,range", -EINVAL, "", false, false, false},
		{"/a,range=8", -EINVAL, "", false, false, false},
		{"/a,range=0/0", -EINVAL, "", false, false, false},
		{"/a,range=0/18014398509481984", -EINVAL, "", false, false, false},
		{"/a,range=99999999999999999999/8", -EINVAL, "", false, false, false},
	};
	struct block_config cfg;
	char *longest = malloc(8192);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (block_config_parse(&cfg, "test", cases[i].config) != cases[i].ret)
			fail_msg("%s", cases[i].config);
		if (cases[i].ret != 0)
			continue;
		assert_string_equal(cfg.path, cases[i].path);
		assert_int_equal(cfg.read_only, cases[i].ro);
		assert_int_equal(cfg.writeback, cases[i].wb);
		assert_int_equal(cfg.nocache, cases[i].nocache);
	}
	assert_non_null(longest);
	memset(longest, 'x', 8191);
	longest[8191] = '\0';
	assert_int_equal(block_config_parse(&cfg, "test", longest), -EINVAL);
	longest[PATH_MAX] = '\0';
	assert_int_equal(block_config_parse(&cfg, "test", longest), -EINVAL);
	longest[PATH_MAX - 1] = '\0';
	assert_int_equal(block_config_parse(&cfg, "test", longest), 0);
	free(longest);
}

/* Do discard, sectorsize and range get their numbers, and what if some are left out? */
static void test_numbers(void **state)
{
	static const struct {
		const char *config;
		uint32_t sectors, segments, align, logical, physical;
		uint64_t first, count;
	} cases[] = {
		{"/a", 0, 0, 0, 0, 0, 0, 0},
		{"/a,discard", 4U << 20, 1, 0, 0, 0, 0, 0},
		{"/a,discard=100", 100, 1, 0, 0, 0, 0, 0},
		{"discard=100:16,/a", 100, 16, 0, 0, 0, 0, 0},
		{"/a,discard=4294967295:2:64", UINT32_MAX, 2, 64, 0, 0, 0, 0},
		{"/a,sectorsize=4096", 0, 0, 0, 4096, 4096, 0, 0},
		{"/a,sectorsize=512/4096,range=2048/1", 0, 0, 0, 512, 4096, 2048, 1},
	};
	struct block_config cfg;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(block_config_parse(&cfg, "test", cases[i].config), 0);
		assert_int_equal(cfg.discard_sectors, cases[i].sectors);
		assert_int_equal(cfg.discard_segments, cases[i].segments);
		assert_int_equal(cfg.discard_align, cases[i].align);
		assert_int_equal(cfg.logical, cases[i].logical);
		assert_int_equal(cfg.physical, cases[i].physical);
		assert_int_equal(cfg.range_first, cases[i].first);
		assert_int_equal(cfg.range_sectors, cases[i].count);
	}
}

/* How many queues and threads are asked for, and which CPUs has each thread? */
static void test_threads(void **state)
{
	static const struct {
		const char *config;
		unsigned int queues, threads;
		uint64_t cpus[3];
	} cases[] = {
		{"/a", 1, 0, {0}},
		{"mq=16,/a", 16, 0, {0}},
		{"iothread,mq=2,/a", 2, 1, {0}},
		{"/a,iothread@0:2", 1, 1, {5}},
		{"iothread=16,/a", 1, 16, {0}},
		{"iothread=3@63:0/1,/a", 1, 3, {1ULL << 63 | 1, 2}},
		{"iothread=3@0/1:1/2,/a", 1, 3, {1, 2, 4}},
		{"iothread=3@0/1/2,iothread,/a", 1, 1, {0}},
	};
	struct block_config cfg;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(block_config_parse(&cfg, "test", cases[i].config), 0);
		assert_string_equal(cfg.path, "/a");
		assert_int_equal(cfg.queues, cases[i].queues);
		assert_int_equal(cfg.threads.count, cases[i].threads);
		assert_memory_equal(cfg.threads.cpus, cases[i].cpus, sizeof(cases[i].cpus));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
