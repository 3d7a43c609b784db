// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does gmem_ptr() give out guest RAM, all of it and nothing else, and does the hypervisor get
 * every byte mapped once in segments the HSM takes?
 */
// links: devicemodel/core/gmem.c devicemodel/core/hugepage.c devicemodel/core/helper.c
// links: devicemodel/core/log.c tests/fake/fake_hsm.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "fake_hsm.h"
#include "gmem.h"
#include "vm.h"

#define MB (1ULL << 20)

static struct vm vm;

static int setup(void **state)
{
	(void)state;
	fake_hsm_reset();
	memset(&vm, 0, sizeof(vm));
	return 0;
}

/* What if the range is inside, at the edge, one byte beyond, wraps, or is empty? */
static void test_low(void **state)
{
	uint8_t *base;

	(void)state;
	assert_int_equal(gmem_create(&vm, 100 * MB), 0);
	assert_int_equal(gmem_low_size(&vm), 100 * MB);
	assert_int_equal(gmem_high_size(&vm), 0);
	base = gmem_ptr(&vm, 0, 100 * MB);
	assert_non_null(base);
	assert_int_equal((uintptr_t)base % GMEM_ALIGN, 0);
	assert_ptr_equal(gmem_ptr(&vm, 100 * MB - 1, 1), base + 100 * MB - 1);
	assert_ptr_equal(gmem_ptr(&vm, 63 * MB, 2 * MB), base + 63 * MB); /* over a segment's end */
	assert_null(gmem_ptr(&vm, 100 * MB - 1, 2));
	assert_null(gmem_ptr(&vm, 100 * MB, 0));
	assert_null(gmem_ptr(&vm, 100 * MB, 1));
	assert_null(gmem_ptr(&vm, 1, UINT64_MAX));
	assert_null(gmem_ptr(&vm, UINT64_MAX, 1));
	assert_null(gmem_ptr(&vm, UINT64_MAX, UINT64_MAX));
	assert_null(gmem_ptr(&vm, VM_HIGHMEM_BASE, 1));
	assert_non_null(gmem_ptr(&vm, 5, 0));
	base[0] = 1;
	base[100 * MB - 1] = 1;
	gmem_destroy(&vm);
}

/* What if there is high memory: do the two parts stay apart? */
static void test_high(void **state)
{
	(void)state;
	assert_int_equal(gmem_create(&vm, 2048 * MB + 10 * MB), 0);
	assert_int_equal(gmem_low_size(&vm), VM_LOWMEM_LIMIT);
	assert_int_equal(gmem_high_size(&vm), 10 * MB);
	assert_non_null(gmem_ptr(&vm, VM_LOWMEM_LIMIT - 1, 1));
	assert_null(gmem_ptr(&vm, VM_LOWMEM_LIMIT - 1, 2));
	assert_null(gmem_ptr(&vm, VM_HIGHMEM_BASE - 1, 1));
	assert_null(gmem_ptr(&vm, VM_HIGHMEM_BASE - 1, 2));
	memset(gmem_ptr(&vm, VM_HIGHMEM_BASE, 4096), 1, 4096);
	assert_non_null(gmem_ptr(&vm, VM_HIGHMEM_BASE + 10 * MB - 1, 1));
	assert_null(gmem_ptr(&vm, VM_HIGHMEM_BASE + 10 * MB - 1, 2));
	gmem_destroy(&vm);
}

/* Are the segments gapless, aligned, at most 64 MB, and do they say where gmem_ptr() points? */
static void test_segments(void **state)
{
	uint64_t next = 0;

	(void)state;
	assert_int_equal(gmem_create(&vm, 2048 * MB + 65 * MB), 0);
	assert_int_equal(fake_hsm.maps, 32 + 2);
	for (unsigned int i = 0; i < fake_hsm.maps; i++) {
		const struct fake_hsm_map *map = &fake_hsm.map[i];

		if (i == 32)
			next = VM_HIGHMEM_BASE;
		assert_true(map->gpa == next);
		assert_true(map->len > 0 && map->len <= GMEM_SEGMENT);
		assert_int_equal(map->len % GMEM_ALIGN, 0);
		assert_int_equal((uintptr_t)map->hva % GMEM_ALIGN, 0);
		assert_ptr_equal(map->hva, gmem_ptr(&vm, map->gpa, map->len));
		next = map->gpa + map->len;
	}
	assert_true(next == VM_HIGHMEM_BASE + 66 * MB);
	gmem_destroy(&vm);
}

/* What if the size is nothing, odd, or more than the HSM's segments hold? */
static void test_sizes(void **state)
{
	(void)state;
	assert_int_equal(gmem_create(&vm, 0), -EINVAL);
	assert_int_equal(gmem_create(&vm, GMEM_MAX + 1), -EINVAL);
	assert_null(vm.gmem);
	assert_int_equal(gmem_create(&vm, 1), 0);
	assert_int_equal(gmem_low_size(&vm), GMEM_ALIGN);
	gmem_destroy(&vm);
}

/* What if the hypervisor refuses a segment? */
static void test_refused(void **state)
{
	(void)state;
	fake_hsm.fail[0x41] = ENOMEM;
	assert_int_equal(gmem_create(&vm, 200 * MB), -ENOMEM);
	assert_null(vm.gmem);
	assert_int_equal(fake_hsm.maps, 1);
}

/* What if a device's back end is to have the memory: is it all there, and can nobody cut it? */
static void test_shared(void **state)
{
	struct gmem_piece pieces[GMEM_PIECES];
	uint8_t *theirs;

	(void)state;
	assert_int_equal(gmem_create(&vm, 10 * MB), 0);
	assert_int_equal(gmem_pieces(&vm, pieces), 1);
	assert_int_equal(pieces[0].gpa, 0);
	assert_int_equal(pieces[0].size, 10 * MB);
	assert_int_equal(pieces[0].fd, -1);
	gmem_destroy(&vm);

	vm.cfg.slot_count = 2;
	strcpy(vm.cfg.slots[1].name, "vhost-user-blk");
	assert_int_equal(gmem_create(&vm, 2048 * MB + 10 * MB), 0);
	assert_int_equal(gmem_pieces(&vm, pieces), 2);
	assert_int_equal(pieces[0].size, VM_LOWMEM_LIMIT);
	assert_int_equal(pieces[1].gpa, VM_HIGHMEM_BASE);
	assert_int_equal(pieces[1].size, 10 * MB);
	assert_ptr_equal(pieces[1].hva, gmem_ptr(&vm, VM_HIGHMEM_BASE, 10 * MB));
	theirs = mmap(NULL, 10 * MB, PROT_READ | PROT_WRITE, MAP_SHARED, pieces[1].fd, 0);
	assert_true(theirs != MAP_FAILED);
	theirs[9 * MB] = 42;
	assert_int_equal(*(uint8_t *)gmem_ptr(&vm, VM_HIGHMEM_BASE + 9 * MB, 1), 42);
	assert_int_equal(ftruncate(pieces[1].fd, 0), -1);
	assert_int_equal(errno, EPERM);
	munmap(theirs, 10 * MB);
	gmem_destroy(&vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_low, setup),
		cmocka_unit_test_setup(test_high, setup),
		cmocka_unit_test_setup(test_segments, setup),
		cmocka_unit_test_setup(test_sizes, setup),
		cmocka_unit_test_setup(test_refused, setup),
		cmocka_unit_test_setup(test_shared, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
