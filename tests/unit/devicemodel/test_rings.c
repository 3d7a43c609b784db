// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does the device model offer its rings to an HSM that knows them, hear of events, and go on as
 * before over one that does not?
 */
// links: @machine tests/unit/devicemodel/bzimage.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "dm_machine.h"
#include "fake_hsm.h"
#include "power.h"
#include "rings.h"

#define RTC_CHANGE   0
#define POWEROFF     1
#define TRIPLE_FAULT 2

static void create(bool newer)
{
	fake_hsm_reset();
	fake_hsm.newer = newer;
	machine_create("-s 0,hostbridge");
}

/* Linux 6.1's driver knows none of the requests: is that all there is to it? */
static void test_absent(void **state)
{
	(void)state;
	create(false);
	assert_int_equal(fake_hsm.calls[0x90], 1);
	assert_int_equal(fake_hsm.calls[0xa0], 1);
	assert_int_equal(fake_hsm.calls[0xa1], 0);
	assert_false(rings_asyncio(&machine));
	rings_take_events(&machine);
	rings_stop_events(&machine);
	machine_destroy();
}

/* Pages as the hypervisor checks them (doc/abi/hypercalls.md). */
static void test_headers(void **state)
{
	const uint64_t *words;

	(void)state;
	create(true);
	assert_true(rings_asyncio(&machine));
	words = fake_hsm.asyncio_page;
	assert_int_equal((uintptr_t)words % 4096, 0);
	assert_int_equal(words[0], 0x5AA57AA71AA13AA3);
	assert_int_equal(words[1], 8UL << 32 | 504);
	assert_int_equal(words[2], 0);
	assert_int_equal(words[3], 0);
	assert_int_equal(words[4], 504UL * 8 << 32);
	words = fake_hsm.event_page;
	assert_int_equal((uintptr_t)words % 4096, 0);
	assert_int_equal(words[1], 32UL << 32 | 126);
	machine_destroy();
}

/* A power-off ends the VM; a triple fault does not yet, for its power-off comes as a request. */
static void test_events(void **state)
{
	(void)state;
	create(true);
	fake_hsm_event(RTC_CHANGE, 5, 6);
	fake_hsm_event(77, 0, 0);
	fake_hsm_event(TRIPLE_FAULT, 0, 0);
	machine_wait(__atomic_load_n((uint32_t *)fake_hsm.event_page + 4, __ATOMIC_ACQUIRE) == 96);
	usleep(2000);
	assert_int_equal(power_pending(&machine), POWER_NONE);
	fake_hsm_event(POWEROFF, 0, 0);
	machine_wait(power_pending(&machine) == POWER_OFF);
	machine_destroy();
}

/* More events than the ring has places, in turns: is none taken twice, or passed over? */
static void test_around(void **state)
{
	uint32_t *head;

	(void)state;
	create(true);
	head = (uint32_t *)fake_hsm.event_page + 4;
	for (unsigned int i = 1; i <= 300; i++) {
		fake_hsm_event(RTC_CHANGE, 0, 0);
		machine_wait(__atomic_load_n(head, __ATOMIC_ACQUIRE) == i % 126 * 32);
	}
	assert_int_equal(power_pending(&machine), POWER_NONE);
	machine_destroy();
}

/* What if the tail is nonsense? Nothing is read outside the page, and nothing loops. */
static void test_wrong_tail(void **state)
{
	static const uint32_t tails[] = {1, 33, 4032, 4064, 0x80000000, UINT32_MAX, UINT32_MAX - 31};
	uint32_t *tail;

	(void)state;
	create(true);
	tail = (uint32_t *)fake_hsm.event_page + 5;
	for (unsigned int i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		*tail = tails[i];
		rings_take_events(&machine);
	}
	assert_int_equal(tail[-1], 0);
	machine_destroy();
}

/* What if the driver takes one ring and refuses the rest? */
static void test_partly(void **state)
{
	static const unsigned int fails[] = {0x90, 0xa0, 0xa1};

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		fake_hsm_reset();
		fake_hsm.newer = true;
		fake_hsm.fail[fails[i]] = EINVAL;
		machine_create("-s 0,hostbridge");
		assert_int_equal(rings_asyncio(&machine), i != 0);
		rings_stop_events(&machine);
		machine_destroy();
	}
}

/* After rings_stop_events() the thread is silent; what was in the ring is told before. */
static void test_stop(void **state)
{
	uint32_t *head;

	(void)state;
	create(true);
	head = (uint32_t *)fake_hsm.event_page + 4;
	rings_stop_events(&machine);
	fake_hsm_event(POWEROFF, 0, 0);
	usleep(5000);
	assert_int_equal(*head, 0);
	assert_int_equal(power_pending(&machine), POWER_NONE);
	rings_stop_events(&machine);
	assert_int_equal(*head, 32);
	assert_int_equal(power_pending(&machine), POWER_OFF);
	machine_destroy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_absent), cmocka_unit_test(test_headers),
		cmocka_unit_test(test_events), cmocka_unit_test(test_around),
		cmocka_unit_test(test_wrong_tail), cmocka_unit_test(test_partly),
		cmocka_unit_test(test_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
