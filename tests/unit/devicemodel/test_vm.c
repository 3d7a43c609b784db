// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does the device model take a VM through its life in the order the hypervisor demands, serve
 * every kind of request once, and leave nothing behind, whatever fails?
 */
// links: @machine tests/unit/devicemodel/bzimage.c
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "acpi.h"
#include "bzimage.h"
#include "dm_machine.h"
#include "fake_hsm.h"
#include "ioreq.h"
#include "platform.h"
#include "pm.h"
#include "power.h"

#define RD ACRN_IOREQ_DIR_READ
#define WR ACRN_IOREQ_DIR_WRITE

static int setup(void **state)
{
	struct bzimage image;

	(void)state;
	fake_hsm_reset();
	machine_create("-s 0,hostbridge -s 1,lpc --debugexit");
	bzimage_make(&image);
	machine.cfg.kernel = bzimage_write(image.bytes, sizeof(image.bytes));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	machine_destroy();
	return 0;
}

static void power_off(void)
{
	power_request(&machine, POWER_OFF, 0);
}

/* What if all goes well: is the order of the life cycle the one the hypervisor demands? */
static void test_life(void **state)
{
	struct fake_access s5 = {ACRN_IOREQ_TYPE_PORTIO,       WR,	 ACPI_PM1_CONTROL_PORT, 2,
				 1 << 13 | ACPI_S5_TYPE << 10, .vcpu = 0};

	(void)state;
	assert_string_equal(fake_hsm.vm_name, "vm1");
	assert_int_equal(vm_boot(&machine), 0);
	fake_hsm_queue(&s5);
	assert_int_equal(vm_run(&machine), 0);
	assert_true(s5.done);
	vm_destroy(&machine);
	assert_string_equal(fake_hsm.log,
			    "open create client regs start pause unclient destroy close ");
}

/* What if several vCPUs ask at once, for ports, memory and configuration space? */
static void test_requests(void **state)
{
	struct fake_access post = {ACRN_IOREQ_TYPE_PORTIO, WR, 0x80, 1, 0x42, .vcpu = 0};
	struct fake_access nobody = {ACRN_IOREQ_TYPE_PORTIO, RD, 0x1234, 2, 0, .vcpu = 1};
	struct fake_access ecam = {
		ACRN_IOREQ_TYPE_MMIO, RD, VM_ECAM_BASE + (1 << 15), 4, 0, .vcpu = 2};
	struct fake_access cfg = {ACRN_IOREQ_TYPE_PCICFG, RD, 0, 2, 0, .vcpu = 3};
	struct fake_access hole = {ACRN_IOREQ_TYPE_MMIO, RD, 0xfed40000, 8, 0, .vcpu = 4};
	struct fake_access kernel = {ACRN_IOREQ_TYPE_MMIO,  RD, 0xfed40000, 8, 7, .vcpu = 5,
				     .kernel_handled = true};
	struct fake_access odd = {ACRN_IOREQ_TYPE_PORTIO, RD, 0x80, 3, 0, .vcpu = 6};
	struct fake_access unknown = {77, RD, 0x80, 3, 0, .vcpu = 7};

	(void)state;
	machine.vcpu_num = 8;
	fake_hsm_idle = power_off;
	fake_hsm_queue(&post);
	fake_hsm_queue(&nobody);
	fake_hsm_queue(&ecam);
	fake_hsm_queue(&cfg);
	fake_hsm_queue(&hole);
	fake_hsm_queue(&kernel);
	fake_hsm_queue(&odd);
	fake_hsm_queue(&unknown);
	assert_int_equal(vm_boot(&machine), 0);
	assert_int_equal(vm_run(&machine), 0);
	assert_true(post.done);
	assert_int_equal(machine_in(0x80, 1), 0x42);
	assert_int_equal(nobody.value, 0xffff);
	assert_int_equal(ecam.value, 0x70008086);
	assert_int_equal(cfg.value, 0x1275);
	assert_true(hole.value == UINT64_MAX);
	assert_false(kernel.done);
	assert_true(odd.done);
	assert_true(unknown.done);
	assert_int_equal(fake_hsm.calls[0x31], 7);
}

static int resets;

static void then_off(void)
{
	if (resets++ == 0)
		assert_null(strstr(fake_hsm.log, "clear"));
	power_off();
}

/* What if the guest resets itself: are devices and registers as at the first start? */
static void test_reset(void **state)
{
	struct fake_access pin = {ACRN_IOREQ_TYPE_PORTIO, WR, 0x80, 1, 0x42, .vcpu = 0};
	struct fake_access cf9 = {ACRN_IOREQ_TYPE_PORTIO, WR,	    ACPI_RESET_PORT, 1,
				  ACPI_RESET_VALUE,	  .vcpu = 1};
	struct acrn_vcpu_regs first;

	(void)state;
	machine.vcpu_num = 2;
	fake_hsm_idle = then_off;
	fake_hsm_queue(&pin);
	fake_hsm_queue(&cf9);
	assert_int_equal(vm_boot(&machine), 0);
	first = fake_hsm.regs;
	memset(&fake_hsm.regs, 0, sizeof(fake_hsm.regs));
	fake_hsm.log[0] = '\0';
	resets = 1;
	assert_int_equal(vm_run(&machine), 0);
	assert_string_equal(fake_hsm.log, "pause clear reset regs start ");
	assert_memory_equal(&fake_hsm.regs, &first, sizeof(first));
	assert_int_equal(machine_in(0x80, 1), 0);
}

/* What if the user pauses a VM that runs, twice, and resumes it, twice? And if the driver fails? */
static void test_pause(void **state)
{
	(void)state;
	assert_int_equal(vm_boot(&machine), 0);
	fake_hsm.log[0] = '\0';
	assert_int_equal(vm_resume(&machine), 0);
	assert_string_equal(fake_hsm.log, "");
	fake_hsm.fail[0x13] = EIO;
	assert_int_equal(vm_pause(&machine), -EIO);
	assert_false(machine.paused);
	fake_hsm.fail[0x13] = 0;
	assert_int_equal(vm_pause(&machine), 0);
	assert_int_equal(vm_pause(&machine), 0);
	fake_hsm.fail[0x12] = EIO;
	assert_int_equal(vm_resume(&machine), -EIO);
	assert_true(machine.paused);
	fake_hsm.fail[0x12] = 0;
	assert_int_equal(vm_resume(&machine), 0);
	assert_int_equal(vm_resume(&machine), 0);
	assert_string_equal(fake_hsm.log, "pause pause pause start start ");
}

/* What if a VM is paused before it is loaded, or reset while it is paused: does it wait? */
static void test_pause_before_start(void **state)
{
	(void)state;
	assert_int_equal(vm_pause(&machine), 0);
	assert_int_equal(vm_resume(&machine), 0);
	assert_int_equal(vm_pause(&machine), 0);
	assert_int_equal(vm_boot(&machine), 0);
	assert_null(strstr(fake_hsm.log, "start"));
	assert_int_equal(vm_resume(&machine), 0);
	assert_int_equal(vm_pause(&machine), 0);
	fake_hsm.log[0] = '\0';
	fake_hsm_idle = power_off;
	power_request(&machine, POWER_RESET, 0);
	assert_int_equal(vm_run(&machine), 0);
	assert_string_equal(fake_hsm.log, "pause clear reset regs ");
	assert_int_equal(vm_resume(&machine), 0);
	assert_string_equal(fake_hsm.log, "pause clear reset regs start ");
}

/* What if the guest writes to the debug exit port: is the status v << 1 | 1? */
static void test_debugexit(void **state)
{
	struct fake_access out = {ACRN_IOREQ_TYPE_PORTIO, WR, 0xf4, 1, 0x21, .vcpu = 0};

	(void)state;
	fake_hsm_queue(&out);
	assert_int_equal(vm_boot(&machine), 0);
	assert_int_equal(vm_run(&machine), 0x43);
}

/* What if power-off and reset come together, or a second power-off with another status? */
static void test_power_order(void **state)
{
	(void)state;
	power_request(&machine, POWER_RESET, 0);
	assert_int_equal(power_pending(&machine), POWER_RESET);
	power_request(&machine, POWER_OFF, 5);
	power_request(&machine, POWER_OFF, 6);
	power_request(&machine, POWER_RESET, 0);
	power_reset_done(&machine);
	assert_int_equal(power_pending(&machine), POWER_OFF);
	assert_int_equal(power_status(&machine), 5);
}

/* What if the guest writes PM1 registers by parts, or across the end of their block? */
static void test_pm1_event(void **state)
{
	const uint16_t enable = ACPI_PM1_EVENT_PORT + 2;

	(void)state;
	for (uint16_t port = ACPI_PM1_EVENT_PORT - 4; port < ACPI_PM1_EVENT_PORT + 4; port++) {
		for (unsigned int size = 1; size <= 4; size *= 2) {
			bool inside = port >= ACPI_PM1_EVENT_PORT &&
				      port + size <= ACPI_PM1_EVENT_PORT + 4U;

			machine_out(port, size, UINT32_MAX);
			machine_out(port, size, inside ? 0 : UINT32_MAX);
			assert_int_equal(machine_in(port, size),
					 inside ? 0 : UINT32_MAX >> (32 - 8 * size));
		}
	}
	assert_int_equal(machine_in(ACPI_PM1_EVENT_PORT, 4), 0);
	machine_out(enable, 2, 0xffff);
	assert_int_equal(machine_in(ACPI_PM1_EVENT_PORT, 4), 0x07210000);
	machine_out(enable, 1, 0);
	assert_int_equal(machine_in(enable, 2), 0x0700);
	machine_out(ACPI_PM1_EVENT_PORT, 4, 0x00210000);
	assert_int_equal(machine_in(enable, 1), 0x21);
	assert_int_equal(machine_in(enable + 1, 1), 0);
}

/* What if the power button is pressed: before the guest listens, while it does, and after? */
static void test_power_button(void **state)
{
	const uint16_t status = ACPI_PM1_EVENT_PORT, enable = ACPI_PM1_EVENT_PORT + 2;

	(void)state;
	assert_int_equal(pm_press_power_button(&machine), -EOPNOTSUPP);
	machine_out(enable, 2, 0x0100);
	assert_int_equal(pm_press_power_button(&machine), -EOPNOTSUPP);
	machine_out(ACPI_SMI_PORT, 1, ACPI_SMI_ENABLE);
	assert_int_equal(machine_in(status, 2), 0);
	assert_int_equal(pm_press_power_button(&machine), 0);
	assert_int_equal(machine_in(status, 2), 0x0100);
	assert_true(fake_hsm.line[ACPI_SCI_IRQ]);
	/* Masked while it is handled, then acknowledged. */
	machine_out(enable, 2, 0);
	assert_false(fake_hsm.line[ACPI_SCI_IRQ]);
	machine_out(enable, 2, 0x0100);
	assert_true(fake_hsm.line[ACPI_SCI_IRQ]);
	machine_out(status, 2, 0x0100);
	assert_false(fake_hsm.line[ACPI_SCI_IRQ]);
	assert_int_equal(machine_in(status, 2), 0);
	/* Pressed in the moment of a reset. */
	assert_int_equal(pm_press_power_button(&machine), 0);
	platform_reset(&machine);
	assert_false(fake_hsm.line[ACPI_SCI_IRQ]);
	assert_int_equal(machine_in(status, 4), 0);
	assert_int_equal(pm_press_power_button(&machine), -EOPNOTSUPP);
}

static atomic_bool in_driver;

static void sleep_in_driver(void)
{
	atomic_store(&in_driver, true);
	pause(); /* the signal of ioreq_kick() ends it */
}

static void *request_off(void *arg)
{
	(void)arg;
	while (!atomic_load(&in_driver))
		usleep(100);
	power_request(&machine, POWER_OFF, 3);
	return NULL;
}

/* What if another thread powers off while the loop is asleep in the driver? */
static void test_kick(void **state)
{
	pthread_t thread;

	(void)state;
	atomic_store(&in_driver, false);
	fake_hsm_idle = sleep_in_driver;
	assert_int_equal(vm_boot(&machine), 0);
	pthread_create(&thread, NULL, request_off, NULL);
	assert_int_equal(vm_run(&machine), 3);
	pthread_join(thread, NULL);
}

static pthread_t caller;
static int call_results[2];

static int called(void *arg)
{
	assert_true(pthread_equal(pthread_self(), *(pthread_t *)arg));
	power_off(); /* as a device may, from within */
	return 42;
}

static void *call_twice(void *arg)
{
	while (!atomic_load(&in_driver))
		usleep(100);
	call_results[0] = ioreq_call(&machine, called, arg);
	call_results[1] = ioreq_call(&machine, called, arg);
	return NULL;
}

/* What if another thread has work for the loop: while it is asleep, and when it has ended? */
static void test_call(void **state)
{
	pthread_t self = pthread_self();

	(void)state;
	atomic_store(&in_driver, false);
	fake_hsm_idle = sleep_in_driver;
	assert_int_equal(vm_boot(&machine), 0);
	pthread_create(&caller, NULL, call_twice, &self);
	assert_int_equal(vm_run(&machine), 0);
	pthread_join(caller, NULL);
	assert_int_equal(call_results[0], 42);
	assert_int_equal(call_results[1], -ESHUTDOWN);
}

/* What if the driver fails while the VM runs? */
static void test_driver_fails(void **state)
{
	struct fake_access in = {ACRN_IOREQ_TYPE_PORTIO, RD, 0x80, 1, 0, .vcpu = 0};

	(void)state;
	assert_int_equal(vm_boot(&machine), 0);
	fake_hsm.fail[0x31] = EIO;
	fake_hsm_queue(&in);
	assert_int_equal(vm_run(&machine), 1);
	fake_hsm.fail[0x33] = ENODEV;
	assert_int_equal(vm_run(&machine), 1);
}

/* What if any step of the creation is refused: is what was made before undone? */
static void test_create_fails(void **state)
{
	static const struct {
		int request;
		const char *log;
	} steps[] = {
		{0x00, "open "},
		{0x10, "open create close "},
		{0x41, "open create pause unclient destroy close "},
		{0x32, "open create client pause unclient destroy close "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		vm_destroy(&machine);
		fake_hsm_reset();
		fake_hsm.fail[steps[i].request] = EINVAL;
		assert_int_equal(vm_create(&machine), -EINVAL);
		assert_string_equal(fake_hsm.log, steps[i].log);
	}
	fake_hsm_reset();
	fake_hsm.vcpu_num = 17;
	assert_int_equal(vm_create(&machine), -EINVAL);
}

/* What if the VM cannot be started, or its kernel is gone at the second boot? */
static void test_boot_fails(void **state)
{
	(void)state;
	fake_hsm.fail[0x12] = EINVAL;
	assert_int_equal(vm_boot(&machine), -EINVAL);
	fake_hsm.fail[0x12] = 0;
	machine.cfg.kernel = "/nonexistent/bzImage";
	assert_int_equal(vm_boot(&machine), -ENOENT);
	power_request(&machine, POWER_RESET, 0);
	assert_int_equal(vm_run(&machine), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_life, setup, teardown),
		cmocka_unit_test_setup_teardown(test_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pause_before_start, setup, teardown),
		cmocka_unit_test_setup_teardown(test_debugexit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pm1_event, setup, teardown),
		cmocka_unit_test_setup_teardown(test_power_button, setup, teardown),
		cmocka_unit_test_setup_teardown(test_power_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kick, setup, teardown),
		cmocka_unit_test_setup_teardown(test_call, setup, teardown),
		cmocka_unit_test_setup_teardown(test_driver_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_create_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_boot_fails, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
