// SPDX-License-Identifier: BSD-3-Clause
/*
 * The watchdog: does it reset a guest that leaves it alone for both its stages, and no other? The
 * timer and the reset are the test's.
 */
// links: devicemodel/pci/wdt_i6300esb.c devicemodel/core/log.c tests/unit/devicemodel/fake_pci.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "fake_pci.h"
#include "log.h"
#include "mevent.h"
#include "power.h"
#include "vm.h"

#define CONFIG	0x60
#define LOCK	0x68
#define TIMER1	0
#define TIMER2	4
#define RELOAD	12
#define LOCKED	1
#define ENABLE	2
#define FREE	4
#define MHZ	4
#define NO_OUT	0x20
#define SLOW_NS (32768ULL * 30)

static struct fake_pci fake;
static struct vm vm;
static mevent_fn expire;
static void *expire_arg;
static uint64_t armed; /* ns, 0: not */
static int resets, add_fails;

struct mevent *mevent_add_timer(struct mevent_loop *loop, mevent_fn fn, void *arg)
{
	(void)loop;
	expire = fn;
	expire_arg = arg;
	return add_fails ? NULL : (struct mevent *)&expire;
}

int mevent_timer_set(struct mevent *ev, uint64_t first_ns, uint64_t interval_ns)
{
	(void)ev;
	assert_int_equal(interval_ns, 0);
	armed = first_ns;
	return 0;
}

void mevent_delete(struct mevent *ev, bool close_fd)
{
	assert_ptr_equal(ev, &expire);
	assert_true(close_fd);
}

void power_request(struct vm *of, enum power_action action, int status)
{
	assert_ptr_equal(of, &vm);
	assert_int_equal(action, POWER_RESET);
	assert_int_equal(status, 0);
	resets++;
}

static void put(unsigned int offset, unsigned int size, uint32_t value)
{
	fake.pci.ops->bar_write(&fake.pci, 0, offset, size, value);
}

static uint64_t get(unsigned int offset)
{
	return fake.pci.ops->bar_read(&fake.pci, 0, offset, 2);
}

static void put_unlocked(unsigned int offset, uint32_t value)
{
	put(RELOAD, 2, 0x80);
	put(RELOAD, 2, 0x86);
	put(offset, 4, value);
}

static void set(unsigned int reg, uint32_t value)
{
	assert_true(fake.pci.ops->cfg_write(&fake.pci, reg, 1, value));
}

static uint32_t look(unsigned int reg)
{
	uint32_t value = 0x55;

	assert_true(fake.pci.ops->cfg_read(&fake.pci, reg, 1, &value));
	return value;
}

static void end_of_stage(void)
{
	assert_true(armed != 0);
	armed = 0;
	expire(expire_arg, MEVENT_READ);
}

static int setup(void **state)
{
	(void)state;
	log_set_level(0);
	memset(&vm, 0, sizeof(vm));
	vm.cfg.name = "vm";
	fake.pci.vm = &vm;
	fake.add_error = 0;
	armed = 0;
	resets = add_fails = 0;
	assert_int_equal(fake_pci_create(&fake, "wdt-i6300esb", NULL), 0);
	put_unlocked(TIMER1, 1000);
	put_unlocked(TIMER2, 500);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_pci_destroy(&fake);
	return 0;
}

/* Is the guest reset behind both stages, told so by its next life, and does that begin unwatched? */
static void test_bites(void **state)
{
	(void)state;
	assert_int_equal(pci_cfg_get32(&fake.pci, 0), 0x25ab8086);
	assert_int_equal(armed, 0);
	set(LOCK, ENABLE);
	assert_int_equal(armed, 1000 * SLOW_NS + 1);
	end_of_stage();
	assert_int_equal(armed, 500 * SLOW_NS + 1);
	assert_int_equal(resets, 0);
	end_of_stage();
	assert_int_equal(resets, 1);
	assert_int_equal(armed, 0);
	fake.pci.ops->reset(&fake.pci);
	assert_int_equal(look(LOCK), 0);
	assert_int_equal(get(RELOAD), 0x200);
	put(RELOAD, 2, 0x200); /* not unlocked */
	assert_int_equal(get(RELOAD), 0x200);
	put_unlocked(RELOAD, 0x200);
	assert_int_equal(get(RELOAD), 0);
}

/* Does a reload begin both stages anew, in either of them, and does it take the whole sequence? */
static void test_reload(void **state)
{
	(void)state;
	set(LOCK, ENABLE);
	end_of_stage();
	put_unlocked(RELOAD, 0x100);
	assert_int_equal(armed, 1000 * SLOW_NS + 1);
	end_of_stage();
	put(RELOAD, 2, 0x100);
	put(RELOAD, 2, 0x86);
	put(RELOAD, 2, 0x100);
	put(RELOAD, 2, 0x80);
	put(RELOAD, 2, 0x100);
	put_unlocked(TIMER1, 7);
	put(RELOAD, 2, 0x100); /* that sequence is used up */
	assert_int_equal(armed, 500 * SLOW_NS + 1);
	put(TIMER2, 4, 1);
	put_unlocked(RELOAD, 0x100);
	assert_int_equal(armed, 7 * SLOW_NS + 1);
	end_of_stage();
	assert_int_equal(armed, 500 * SLOW_NS + 1);
	set(LOCK, 0);
	assert_int_equal(armed, 0);
	put_unlocked(RELOAD, 0x100); /* nothing runs that could begin anew */
	assert_int_equal(armed, 0);
	expire(expire_arg, MEVENT_READ); /* the timer had ended just before */
	assert_int_equal(armed, 0);
	assert_int_equal(resets, 0);
}

/* Does the lock hold until the reset? */
static void test_lock(void **state)
{
	(void)state;
	set(LOCK, ENABLE | LOCKED);
	set(LOCK, 0);
	assert_int_equal(look(LOCK), ENABLE | LOCKED);
	assert_true(armed != 0);
	fake.pci.ops->reset(&fake.pci);
	assert_int_equal(armed, 0);
	set(LOCK, 0xf8);
	assert_int_equal(look(LOCK), 0);
}

/* What if its end is to reset nothing, once or again and again; and with the fast clock? */
static void test_config(void **state)
{
	(void)state;
	set(CONFIG, 0xff);
	assert_int_equal(look(CONFIG), 0x27);
	set(LOCK, ENABLE);
	assert_int_equal(armed, 1000 * 32 * 30 + 1);
	end_of_stage();
	end_of_stage();
	assert_int_equal(armed, 0);
	assert_int_equal(get(RELOAD), 0x200);
	set(LOCK, 0);
	set(LOCK, ENABLE | FREE);
	end_of_stage();
	end_of_stage();
	assert_int_equal(armed, 1000 * 32 * 30 + 1);
	assert_int_equal(resets, 0);
}

/* What if the VM is paused over the end of its time, or asks for none or for more than there is? */
static void test_times(void **state)
{
	(void)state;
	set(LOCK, ENABLE);
	end_of_stage();
	vm.paused = true;
	end_of_stage();
	assert_int_equal(armed, 500 * SLOW_NS + 1);
	assert_int_equal(resets, 0);
	vm.paused = false;
	put_unlocked(TIMER1, 0);
	put_unlocked(RELOAD, 0x100);
	assert_int_equal(armed, 1);
	put_unlocked(TIMER1, UINT32_MAX);
	put_unlocked(RELOAD, 0x100);
	assert_int_equal(armed, 0xfffff * SLOW_NS + 1);
}

/* What if the device is given words, to an RTVM, or there is no timer? And other registers? */
static void test_refused(void **state)
{
	struct fake_pci other = {.pci.vm = &vm};
	uint32_t value;

	(void)state;
	vm.cfg.rtvm = true;
	assert_int_equal(fake_pci_create(&other, "wdt-i6300esb", NULL), -EINVAL);
	vm.cfg.rtvm = false;
	assert_int_equal(fake_pci_create(&other, "wdt-i6300esb", "x"), -EINVAL);
	add_fails = 1;
	assert_int_equal(fake_pci_create(&other, "wdt-i6300esb", NULL), -ENOMEM);
	add_fails = 0;
	other.add_error = -ENOSPC;
	assert_int_equal(fake_pci_create(&other, "wdt-i6300esb", NULL), -ENOSPC);
	assert_false(fake.pci.ops->cfg_read(&fake.pci, 0x61, 1, &value));
	assert_false(fake.pci.ops->cfg_write(&fake.pci, 0x6c, 4, 1));
	assert_int_equal(get(TIMER1), 0);
	put(8, 4, UINT32_MAX);
	assert_int_equal(get(8), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bites, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reload, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lock, setup, teardown),
		cmocka_unit_test_setup_teardown(test_config, setup, teardown),
		cmocka_unit_test_setup_teardown(test_times, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
