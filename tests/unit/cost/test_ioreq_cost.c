// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does the device model's own share of an access stay small? The processor's trap flag stops
 * after each instruction between the driver's hand-over of a request and its completion, and
 * the handler counts.
 */
// links: @machine
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "dm_machine.h"
#include "fake_hsm.h"
#include "hsm.h"
#include "ioreq.h"
#include "power.h"

#define LIMIT  800U /* instructions of a round trip, both system calls' wrappers apart */
#define ROUNDS 8U
#define RD     ACRN_IOREQ_DIR_READ
#define WR     ACRN_IOREQ_DIR_WRITE

int __real_hsm_wait_ioreq(struct hsm *hsm);
int __real_hsm_notify_ioreq(struct hsm *hsm, uint16_t vmid, uint32_t vcpu);
int __wrap_hsm_wait_ioreq(struct hsm *hsm);
int __wrap_hsm_notify_ioreq(struct hsm *hsm, uint16_t vmid, uint32_t vcpu);

static volatile unsigned int steps;
static unsigned int cost[ROUNDS];
static unsigned int rounds;

static void on_step(int sig)
{
	(void)sig;
	steps++;
}

static void trap(bool on)
{
	if (on)
		__asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "memory", "cc");
	else
		__asm__ volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "memory", "cc");
}

int __wrap_hsm_wait_ioreq(struct hsm *hsm)
{
	int err = __real_hsm_wait_ioreq(hsm);

	steps = 0;
	trap(rounds < ROUNDS);
	return err;
}

int __wrap_hsm_notify_ioreq(struct hsm *hsm, uint16_t vmid, uint32_t vcpu)
{
	trap(false);
	if (rounds < ROUNDS)
		cost[rounds++] = steps;
	return __real_hsm_notify_ioreq(hsm, vmid, vcpu);
}

static int setup(void **state)
{
	(void)state;
	fake_hsm_reset();
	machine_create("-s 0,hostbridge -s 1,lpc -l com1,pty");
	signal(SIGTRAP, on_step);
	rounds = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	signal(SIGTRAP, SIG_DFL);
	machine_destroy();
	return 0;
}

static struct fake_access access_of_guest;

/* The loop asks for more: once the last round is over it is sent home. */
static void again(void)
{
	if (rounds == ROUNDS) {
		power_request(&machine, POWER_OFF, 0);
		return;
	}
	access_of_guest.done = false;
	fake_hsm_queue(&access_of_guest);
}

static void measure(const char *what, struct fake_access access)
{
	unsigned int worst = 0;

	access_of_guest = access;
	fake_hsm_idle = again;
	assert_int_equal(ioreq_loop(&machine), 0);
	assert_int_equal(rounds, ROUNDS);
	for (unsigned int i = 1; i < ROUNDS; i++) /* the first finds caches of the loader cold */
		worst = cost[i] > worst ? cost[i] : worst;
	printf("# %s: %u instructions\n", what, worst);
	assert_in_range(worst, 20, LIMIT);
}

/* What does a read of a port cost whose device does nothing? */
static void test_port(void **state)
{
	(void)state;
	measure("port read", (struct fake_access) {.type = ACRN_IOREQ_TYPE_PORTIO,
						   .direction = RD,
						   .address = 0x80,
						   .size = 1});
}

/* What does an access nobody claims cost? */
static void test_nobody(void **state)
{
	(void)state;
	measure("port nobody claims", (struct fake_access) {.type = ACRN_IOREQ_TYPE_PORTIO,
							    .direction = WR,
							    .address = 0xed,
							    .size = 1});
}

/* What does the serial port's line status cost, which consoles poll? */
static void test_uart(void **state)
{
	(void)state;
	measure("serial line status", (struct fake_access) {.type = ACRN_IOREQ_TYPE_PORTIO,
							    .direction = RD,
							    .address = 0x3fd,
							    .size = 1});
}

/* What does a register of configuration space cost, through 0xCFC and through memory? */
static void test_config(void **state)
{
	(void)state;
	measure("configuration read", (struct fake_access) {.type = ACRN_IOREQ_TYPE_PCICFG,
							    .direction = RD,
							    .address = 1 << 15,
							    .size = 4});
}

static void test_ecam(void **state)
{
	(void)state;
	measure("configuration read by memory",
		(struct fake_access) {.type = ACRN_IOREQ_TYPE_MMIO,
				      .direction = RD,
				      .address = VM_ECAM_BASE + (1 << 15),
				      .size = 4});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_port, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(test_uart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_config, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ecam, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
