// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does a guest learn what an input device can do, get its events whole and in order, and is what it
 * may do to the device no more than lights and sounds? The whole device model over a fake HSM; the
 * input device is a FIFO, whose ioctl() is the test's.
 */
// links: devicemodel/virtio/doorbell.c devicemodel/virtio/input.c
// links: @machine devicemodel/virtio/queue.c devicemodel/virtio/chain.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/virtio.c devicemodel/virtio/pci_modern.c
// links: tests/unit/devicemodel/driver_ring.c tests/unit/devicemodel/virtio_driver.c
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <linux/input.h>
#include <linux/virtio_input.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "dm_machine.h"
#include "fake_hsm.h"
#include "log.h"
#include "pci.h"
#include "virtio.h"
#include "virtio_driver.h"

#define W      VRING_DESC_F_WRITE
#define EVENTS 0U
#define STATUS 1U
#define MEMORY 0x200000ULL
#define BUFFER (MEMORY + 0x8000)

static char folder[] = "/tmp/acrn-input.XXXXXX", path[64];
static int fifo;
static struct driver d;
static bool no_device, taken;
static unsigned int grabs;

/* Of an input device with a wheel, a lamp, and one axis. */
int ioctl(int fd, unsigned long request, ...)
{
	static const struct input_absinfo axis = {7, -100, 100, 3, 4, 5};
	static const struct input_id id = {BUS_USB, 0x1234, 0x5678, 0x0111};
	va_list args;
	void *out;

	(void)fd;
	va_start(args, request);
	out = va_arg(args, void *);
	va_end(args);
	if (_IOC_TYPE(request) != 'E' || no_device) {
		errno = ENOTTY;
		return -1;
	}
	if (request == EVIOCGVERSION)
		return 0;
	if (request == EVIOCGRAB) {
		grabs++;
		errno = EBUSY;
		return taken ? -1 : 0;
	}
	if (request == EVIOCGID)
		memcpy(out, &id, sizeof(id));
	else if (_IOC_NR(request) == _IOC_NR(EVIOCGNAME(1)))
		return snprintf(out, _IOC_SIZE(request), "a wheel") + 1;
	else if (_IOC_NR(request) == _IOC_NR(EVIOCGUNIQ(1)))
		return snprintf(out, _IOC_SIZE(request), "its own") + 1;
	else if (_IOC_NR(request) == _IOC_NR(EVIOCGPROP(1)))
		*(uint8_t *)out = 1 << INPUT_PROP_POINTER;
	else if (_IOC_NR(request) == _IOC_NR(EVIOCGABS(ABS_X)))
		memcpy(out, &axis, sizeof(axis));
	else if (_IOC_NR(request) == _IOC_NR(EVIOCGBIT(EV_REL, 1)))
		((uint8_t *)out)[REL_WHEEL / 8] = 1 << REL_WHEEL % 8;
	else if (_IOC_NR(request) == _IOC_NR(EVIOCGBIT(EV_LED, 1)))
		*(uint8_t *)out = 1 << LED_CAPSL;
	else if (_IOC_NR(request) >= 0x40) {
		errno = EINVAL;
		return -1;
	}
	return 0;
}

static void start(const char *options)
{
	char text[256];

	snprintf(text, sizeof(text), "-s 0,hostbridge -s 5,virtio-input,%s%s", path, options);
	machine_create(text);
	driver_find(&d, 5, MEMORY);
	driver_start(&d, 0, 2);
}

static int set_up(void **state)
{
	(void)state;
	log_set_level(0);
	fake_hsm_reset();
	strcpy(strrchr(folder, '.'), ".XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/event0", folder);
	assert_int_equal(mkfifo(path, 0600), 0);
	fifo = open(path, O_RDWR | O_NONBLOCK);
	assert_true(fifo >= 0);
	no_device = taken = false;
	grabs = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(fifo);
	unlink(path);
	rmdir(folder);
	return 0;
}

static uint8_t ask(uint8_t select, uint8_t subsel)
{
	driver_put(d.config, 1, select);
	driver_put(d.config + 1, 1, subsel);
	return (uint8_t)driver_get(d.config + 2, 1);
}

static uint8_t byte(unsigned int i)
{
	return (uint8_t)driver_get(d.config + 8 + i, 1);
}

static void assert_string(const char *text)
{
	for (unsigned int i = 0; i < strlen(text); i++)
		assert_int_equal(byte(i), text[i]);
}

/* Does the driver find name, serial, ids, and what the device can do, and nothing where nothing is? */
static void test_config(void **state)
{
	(void)state;
	start("");
	assert_int_equal(driver_cfg_read(&d, 0, 4), 0x10521AF4);
	assert_int_equal(grabs, 1);
	assert_int_equal(ask(VIRTIO_INPUT_CFG_ID_NAME, 0), 7);
	assert_string("a wheel");
	assert_int_equal(ask(VIRTIO_INPUT_CFG_ID_SERIAL, 0), 7);
	assert_string("its own");
	assert_int_equal(ask(VIRTIO_INPUT_CFG_ID_DEVIDS, 0), 8);
	assert_int_equal(driver_get(d.config + 8, 4), 0x12340000 | BUS_USB);
	assert_int_equal(driver_get(d.config + 12, 4), 0x01115678);
	assert_int_equal(ask(VIRTIO_INPUT_CFG_PROP_BITS, 0), 1);
	assert_int_equal(byte(0), 1 << INPUT_PROP_POINTER);
	assert_int_equal(ask(VIRTIO_INPUT_CFG_EV_BITS, EV_REL), REL_WHEEL / 8 + 1);
	assert_int_equal(byte(REL_WHEEL / 8), 1 << REL_WHEEL % 8);
	assert_int_equal(ask(VIRTIO_INPUT_CFG_ABS_INFO, ABS_X), 20);
	assert_int_equal((int32_t)driver_get(d.config + 8, 4), -100);
	assert_int_equal(driver_get(d.config + 24, 4), 5);
	assert_int_equal(ask(VIRTIO_INPUT_CFG_UNSET, 0), 0);
	assert_int_equal(ask(VIRTIO_INPUT_CFG_EV_BITS, EV_KEY), 0);
	/* What if it asks for what there is not? No byte of an answer before is left. */
	for (unsigned int select = 0; select < 256; select++) {
		for (unsigned int subsel = 0; subsel < 256; subsel++) {
			unsigned int size = ask((uint8_t)select, (uint8_t)subsel);

			assert_in_range(size, 0, 128);
			assert_int_equal(byte(127), 0);
			assert_true(size != 0 || byte(0) == 0);
		}
	}
	machine_destroy();
	start(",mine");
	assert_int_equal(ask(VIRTIO_INPUT_CFG_ID_SERIAL, 0), 4);
	assert_string("mine");
	machine_destroy();
}

static void give(unsigned int number, uint32_t len)
{
	for (uint16_t i = 0; i < number; i++) {
		ring_desc(&d.ring[EVENTS], i, BUFFER + i * 8ULL, len, W, 0);
		ring_offer(&d.ring[EVENTS], i);
	}
	driver_ring_bell(&d, EVENTS);
}

static void happens(uint16_t type, uint16_t code, int32_t value)
{
	const struct input_event e = {.type = type, .code = code, .value = value};

	assert_int_equal(write(fifo, &e, sizeof(e)), sizeof(e));
}

static struct virtio_input_event next(void)
{
	struct virtio_input_event e;

	assert_int_equal(driver_wait(&d, EVENTS), sizeof(e));
	memcpy(&e, guest_at(BUFFER + 8ULL * ((d.ring[EVENTS].seen - 1U) % 16), 8), sizeof(e));
	return e;
}

/* Nothing comes until it is whole; then all of it, in order. */
static void test_events(void **state)
{
	struct virtio_input_event e;
	uint32_t id, len;

	(void)state;
	start("");
	give(16, 8);
	happens(EV_REL, REL_WHEEL, -2);
	usleep(20000);
	assert_false(ring_take(&d.ring[EVENTS], &id, &len));
	happens(EV_KEY, BTN_LEFT, 1);
	happens(EV_SYN, SYN_REPORT, 0);
	e = next();
	assert_int_equal(e.type, EV_REL);
	assert_int_equal(e.code, REL_WHEEL);
	assert_int_equal((int32_t)e.value, -2);
	assert_int_equal(next().code, BTN_LEFT);
	assert_int_equal(next().type, EV_SYN);

	/* What if the Service VM lost some? The rest of that group is no use to the guest. */
	happens(EV_REL, REL_X, 1);
	happens(EV_SYN, SYN_DROPPED, 0);
	happens(EV_REL, REL_Y, 1);
	happens(EV_SYN, SYN_REPORT, 0);
	happens(EV_REL, REL_Z, 1);
	happens(EV_SYN, SYN_REPORT, 0);
	assert_int_equal(next().code, REL_Z);
	assert_int_equal(next().type, EV_SYN);
	machine_destroy();
}

/* What if the guest has no room, or too small a buffer, or a group is too long? */
static void test_no_room(void **state)
{
	uint32_t id, len;

	(void)state;
	start("");
	give(2, 8);
	happens(EV_REL, REL_X, 1);
	happens(EV_REL, REL_Y, 1);
	happens(EV_SYN, SYN_REPORT, 0);
	usleep(20000);
	assert_false(ring_take(&d.ring[EVENTS], &id, &len));
	for (int i = 0; i < 100; i++)
		happens(EV_REL, REL_X, i);
	happens(EV_SYN, SYN_REPORT, 0);
	happens(EV_REL, REL_Z, 1);
	happens(EV_SYN, SYN_REPORT, 0);
	assert_int_equal(next().code, REL_Z);
	assert_int_equal(next().type, EV_SYN);

	driver_start(&d, 0, 2);
	give(4, 7);
	happens(EV_REL, REL_X, 1);
	happens(EV_SYN, SYN_REPORT, 0);
	machine_wait(driver_get(d.common + VIRTIO_PCI_COMMON_STATUS, 1) &
		     VIRTIO_CONFIG_S_NEEDS_RESET);
	/* A reset, and it goes on; what happened in between is gone. */
	happens(EV_REL, REL_X, 1);
	happens(EV_SYN, SYN_REPORT, 0);
	usleep(20000);
	driver_start(&d, 0, 2);
	give(4, 8);
	happens(EV_REL, REL_HWHEEL, 1);
	happens(EV_SYN, SYN_REPORT, 0);
	assert_int_equal(next().code, REL_HWHEEL);
	machine_destroy();
}

/* May the guest switch a lamp on? Yes; press a key? No. The FIFO gives back what was written. */
static void test_status(void **state)
{
	const struct virtio_input_event wanted[] = {
		{EV_KEY, KEY_A, 1}, {EV_LED, LED_CAPSL, 1}, {EV_SYN, SYN_REPORT, 0}};
	struct virtio_input_event e;

	(void)state;
	start("");
	give(16, 8);
	for (uint16_t i = 0; i < 3; i++) {
		memcpy(guest_at(BUFFER + 0x1000 + i * 8ULL, 8), &wanted[i], 8);
		ring_desc(&d.ring[STATUS], i, BUFFER + 0x1000 + i * 8ULL, 8, 0, 0);
		ring_offer(&d.ring[STATUS], i);
	}
	ring_desc(&d.ring[STATUS], 3, BUFFER + 0x1000, 3, 0, 0);
	ring_offer(&d.ring[STATUS], 3);
	driver_ring_bell(&d, STATUS);
	for (int i = 0; i < 4; i++)
		(void)driver_wait(&d, STATUS);
	happens(EV_SYN, SYN_REPORT, 0);
	e = next();
	assert_int_equal(e.type, EV_LED);
	assert_int_equal(e.code, LED_CAPSL);
	assert_int_equal(e.value, 1);
	assert_int_equal(next().type, EV_SYN);
	machine_destroy();
}

/* What if it is no input device, or not there, or another's, or the line is wrong? */
static void test_wrong(void **state)
{
	char text[512];

	(void)state;
	assert_true(machine_try("-s 0,hostbridge -s 5,virtio-input") != 0);
	assert_true(machine_try("-s 0,hostbridge -s 5,virtio-input,") != 0);
	assert_true(machine_try("-s 0,hostbridge -s 5,virtio-input,,x") != 0);
	assert_true(machine_try("-s 0,hostbridge -s 5,virtio-input,/nonexistent") != 0);
	snprintf(text, sizeof(text), "-s 0,hostbridge -s 5,virtio-input,%s,%0100d", path, 1);
	assert_true(machine_try(text) != 0);
	snprintf(text, sizeof(text), "-s 0,hostbridge -s 5,virtio-input,%s", path);
	taken = true;
	assert_true(machine_try(text) != 0);
	taken = false;
	no_device = true;
	assert_true(machine_try(text) != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_config, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_events, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_room, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_status, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_wrong, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
