// SPDX-License-Identifier: BSD-3-Clause
/*
 * A VM and its keeper: does nobody but the VM end an RTVM, and what if the device model is gone?
 */
// links: @machine tests/unit/devicemodel/bzimage.c
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "acpi.h"
#include "bzimage.h"
#include "dm_machine.h"
#include "fake_hsm.h"
#include "keeper.h"

#define RD	ACRN_IOREQ_DIR_READ
#define WR	ACRN_IOREQ_DIR_WRITE
#define CREATE	0x10
#define DESTROY 0x11
#define WAIT	0x33

static int setup(void **state)
{
	struct bzimage image;

	(void)state;
	fake_hsm_reset();
	machine_create("-s 0,hostbridge -s 1,lpc --rtvm");
	bzimage_make(&image);
	machine.cfg.kernel = bzimage_write(image.bytes, sizeof(image.bytes));
	assert_int_equal(vm_boot(&machine), 0);
	fake_hsm.log[0] = '\0';
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_hsm.fail[DESTROY] = 0;
	machine_destroy();
	return 0;
}

/* Is a VM that runs not paused, and its process there until the VM is destroyed, and no longer? */
static void test_life(void **state)
{
	(void)state;
	assert_true(vm_ends_itself(&machine));
	assert_int_equal(vm_pause(&machine), -EPERM);
	assert_false(machine.paused);
	assert_non_null(machine.keeper);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), 0);
	vm_destroy(&machine);
	assert_string_equal(fake_hsm.log, "pause destroy close ");
	assert_null(machine.keeper);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* What if the hypervisor lets the VM run on when we end? The process stays. */
static void test_runs_on(void **state)
{
	int status;

	(void)state;
	fake_hsm.fail[DESTROY] = EPERM;
	vm_destroy(&machine);
	assert_non_null(machine.keeper);
	assert_non_null(machine.hsm);
	assert_non_null(machine.ioreq);
	assert_int_equal(waitpid(-1, &status, WNOHANG), 0);
	fake_hsm.fail[DESTROY] = 0;
	vm_destroy(&machine);
	assert_int_equal(waitpid(-1, &status, WNOHANG), -1);
}

/* What if we were killed before the VM ran? Then it is destroyed at once. */
static void test_early(void **state)
{
	(void)state;
	keeper_serve(&machine);
	assert_string_equal(fake_hsm.log, "pause destroy ");
	assert_int_equal(fake_hsm.calls[WAIT], 0);
}

static struct fake_access off = {
	ACRN_IOREQ_TYPE_PORTIO, WR, ACPI_PM1_CONTROL_PORT, 2, 0x3400, .vcpu = 0};

/* When all that was queued has been answered. */
static void power_off(void)
{
	assert_string_equal(fake_hsm.log, "pause destroy pause destroy ");
	fake_hsm.fail[DESTROY] = 0;
	fake_hsm_queue(&off);
}

/*
 * What does the VM read without a device model, and is it destroyed when it has written power-off,
 * not before? A write that the hypervisor did not take for its end is no end.
 */
static void test_alone(void **state)
{
	struct fake_access port = {ACRN_IOREQ_TYPE_PORTIO, RD, 0x3fd, 1, 0, .vcpu = 0};
	struct fake_access memory = {ACRN_IOREQ_TYPE_MMIO, RD, 0xfed40000, 8, 0, .vcpu = 1};
	struct fake_access cfg = {ACRN_IOREQ_TYPE_PCICFG, RD, 0, 4, 0, .vcpu = 2};
	struct fake_access write = {ACRN_IOREQ_TYPE_MMIO, WR, 0xfed40000, 4, 7, .vcpu = 3};
	struct fake_access out = {ACRN_IOREQ_TYPE_PORTIO, WR, 0x3f8, 1, 'x', .vcpu = 4};
	struct fake_access kernel = {ACRN_IOREQ_TYPE_MMIO,  RD, 0xfed40000, 8, 7, .vcpu = 5,
				     .kernel_handled = true};
	struct fake_access sleep = {
		ACRN_IOREQ_TYPE_PORTIO, WR, ACPI_PM1_CONTROL_PORT + 1, 1, 1, .vcpu = 6};

	(void)state;
	machine.vcpu_num = 7;
	fake_hsm.fail[DESTROY] = EPERM;
	fake_hsm_idle = power_off;
	fake_hsm_queue(&port);
	fake_hsm_queue(&memory);
	fake_hsm_queue(&cfg);
	fake_hsm_queue(&write);
	fake_hsm_queue(&out);
	fake_hsm_queue(&kernel);
	fake_hsm_queue(&sleep);
	keeper_serve(&machine);
	assert_int_equal(port.value, UINT32_MAX);
	assert_true(memory.value == UINT64_MAX);
	assert_int_equal(cfg.value, UINT32_MAX);
	assert_int_equal(write.value, 7);
	assert_int_equal(out.value, 'x');
	assert_true(write.done && out.done && sleep.done && off.done);
	assert_false(kernel.done);
	assert_string_equal(fake_hsm.log, "pause destroy pause destroy pause destroy ");
}

/* What if the driver refuses the VM? Then there is no process. */
static void test_refused(void **state)
{
	(void)state;
	fake_hsm_reset();
	fake_hsm.fail[CREATE] = EINVAL;
	assert_int_equal(machine_try("-s 0,hostbridge -s 1,lpc"), -EINVAL);
	assert_null(machine.keeper);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* A device model that makes its VM, and is killed when it has said so. */
static void victim(const char *options, int to)
{
	fake_hsm_reset();
	fake_hsm.descriptor = to;
	machine_create(options);
	if (write(to, "made ", 5) == 5)
		pause();
	_exit(1);
}

/*
 * What if the device model of a VM that may be ended by others is killed? Its process ends the VM,
 * before the driver is closed, and then itself.
 */
static void test_killed(void **state)
{
	char text[256] = "";
	size_t len = 0;
	ssize_t n;
	int ends[2], status;
	pid_t pid;

	(void)state;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0)
		victim("-s 0,hostbridge -s 1,lpc", ends[1]);
	close(ends[1]);
	while ((n = read(ends[0], text + len, sizeof(text) - 1 - len)) > 0) {
		len += (size_t)n;
		text[len] = '\0';
		if (strcmp(text, "opencreateclientmade ") == 0)
			kill(pid, SIGKILL);
	}
	assert_string_equal(text, "opencreateclientmade pausedestroy");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_true(waitpid(-1, &status, 0) > 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	close(ends[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_life, setup, teardown),
		cmocka_unit_test_setup_teardown(test_runs_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_early, setup, teardown),
		cmocka_unit_test_setup_teardown(test_alone, setup, teardown),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
