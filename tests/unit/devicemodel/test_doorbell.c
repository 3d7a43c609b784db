// SPDX-License-Identifier: BSD-3-Clause
/*
 * Doorbells over an HSM that has asynchronous I/O: a disk and its own thread, from the guest's
 * write to the used ring, and everything that may come in between.
 */
// links: @machine devicemodel/virtio/queue.c devicemodel/virtio/chain.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/virtio.c devicemodel/virtio/pci_modern.c devicemodel/virtio/blk.c
// links: devicemodel/virtio/rnd.c devicemodel/virtio/doorbell.c
// links: devicemodel/backend/block.c devicemodel/backend/block_uring.c
// links: devicemodel/backend/block_config.c
// links: tests/unit/devicemodel/driver_ring.c tests/unit/devicemodel/virtio_driver.c
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "dm_machine.h"
#include "fake_hsm.h"
#include "hsm.h"
#include "options.h"
#include "pci.h"
#include "power.h"
#include "virtio_driver.h"

#define SECTORS 64U

static char path[64];
static struct driver disk;
static const char *more = ""; /* options */

static unsigned int doorbells(void)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < FAKE_HSM_DOORBELLS; i++)
		count += fake_hsm.doorbell[i].len != 0;
	return count;
}

static int create(bool newer, int refuse)
{
	char options[256];
	int fd;

	fake_hsm_reset();
	fake_hsm.newer = newer;
	fake_hsm.fail[0x70] = refuse;
	snprintf(path, sizeof(path), "/tmp/test_doorbell.%d", (int)getpid());
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, SECTORS * 512), 0);
	close(fd);
	snprintf(options, sizeof(options), "%s -s 0,hostbridge -s 3,virtio-blk,%s -s 4,virtio-rnd",
		 more, path);
	machine_create(options);
	driver_find(&disk, 3, 0x200000);
	driver_start(&disk, 1U << VIRTIO_BLK_F_FLUSH, 1);
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	return create(true, 0);
}

static int tear_down(void **state)
{
	(void)state;
	machine_destroy();
	unlink(path);
	assert_int_equal(doorbells(), 0);
	return 0;
}

/* A read of one sector. */
static void describe(void)
{
	struct virtio_blk_outhdr hdr = {.type = VIRTIO_BLK_T_IN, .sector = 1};

	memcpy(guest_at(disk.memory + 0x6000, 16), &hdr, 16);
	*(uint8_t *)guest_at(disk.memory + 0x7000, 1) = 0xEE;
	ring_desc(&disk.ring[0], 0, disk.memory + 0x6000, 16, VRING_DESC_F_NEXT, 1);
	ring_desc(&disk.ring[0], 1, disk.memory + 0x8000, 512,
		  VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2);
	ring_desc(&disk.ring[0], 2, disk.memory + 0x7000, 1, VRING_DESC_F_WRITE, 0);
}

static void offer(void)
{
	describe();
	ring_offer(&disk.ring[0], 0);
}

static void served(void)
{
	(void)driver_wait(&disk, 0);
	assert_int_equal(*(uint8_t *)guest_at(disk.memory + 0x7000, 1), VIRTIO_BLK_S_OK);
}

/* Is the request served without the I/O request thread, which here is this test? */
static void test_async(void **state)
{
	(void)state;
	assert_int_equal(doorbells(), 1);
	assert_int_equal(fake_hsm.doorbell[0].addr, disk.bell);
	assert_int_equal(fake_hsm.doorbell[0].len, 2);
	assert_int_equal(fake_hsm.doorbell[0].flags,
			 ACRN_IOEVENTFD_FLAG_PIO | HSM_IOEVENTFD_ASYNCIO);
	for (unsigned int i = 0; i < 40; i++) {
		offer();
		assert_true(fake_hsm_ring(disk.bell));
		served();
	}
}

/* What if the hypervisor's ring is full, or a driver rings in memory? It comes as a request. */
static void test_as_request(void **state)
{
	(void)state;
	offer();
	driver_ring_bell(&disk, 0);
	served();
	offer();
	driver_put(disk.common + 0x3000, 2, 0);
	served();
	/* of a queue that is not there */
	driver_put(disk.common + 0x3000 + 4 * 1, 2, 0);
	driver_put(disk.common + 0x3000 + 4 * 100, 2, 0);
	offer();
	assert_true(fake_hsm_ring(disk.bell));
	served();
}

/* A device that does not allow it has no thread, and an HSM that has none is not asked. */
static void test_not_there(void **state)
{
	struct driver rnd;

	(void)state;
	driver_find(&rnd, 4, 0x210000);
	driver_start(&rnd, 0, 1);
	assert_int_equal(doorbells(), 1);
	machine_destroy();
	create(false, 0);
	assert_int_equal(fake_hsm.calls[0x70], 0);
	offer();
	driver_ring_bell(&disk, 0);
	served();
}

/* What if the HSM has no room for the doorbell? */
static void test_refused(void **state)
{
	(void)state;
	machine_destroy();
	create(true, ENOSPC);
	assert_false(fake_hsm_ring(disk.bell));
	offer();
	driver_ring_bell(&disk, 0);
	served();
	fake_hsm.fail[0x70] = 0;
	driver_start(&disk, 0, 1);
	assert_int_equal(doorbells(), 1);
}

/* A doorbell moves with its BAR, and is nowhere while ports are not decoded. */
static void test_move(void **state)
{
	uint16_t old = disk.bell;

	(void)state;
	driver_cfg_write(&disk, PCI_BASE_ADDRESS_0 + 4 * disk.notify_bar, 4, 0x7000);
	assert_false(fake_hsm_ring(old));
	offer();
	assert_true(fake_hsm_ring(0x7000));
	served();
	driver_cfg_write(&disk, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(doorbells(), 0);
	driver_cfg_write(&disk, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
	offer();
	assert_true(fake_hsm_ring(0x7000));
	served();
}

/* After a reset nobody listens until the driver is ready again. */
static void test_reset(void **state)
{
	(void)state;
	driver_put(disk.common + VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(doorbells(), 0);
	driver_start(&disk, 0, 1);
	assert_int_equal(doorbells(), 1);
	offer();
	assert_true(fake_hsm_ring(disk.bell));
	served();
	pci_bus_reset(&machine);
	assert_int_equal(doorbells(), 0);
	driver_cfg_write(&disk, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	assert_int_equal(doorbells(), 0);
	driver_set_msix(&disk, true);
	driver_start(&disk, 0, 1);
	offer();
	assert_true(fake_hsm_ring(disk.bell));
	served();
}

/* A ring that breaks the rules: told as ever, by the thread that finds it. */
static void test_broken(void **state)
{
	(void)state;
	ring_offer(&disk.ring[0], 0xFFFF);
	assert_true(fake_hsm_ring(disk.bell));
	machine_wait(driver_get(disk.common + VIRTIO_PCI_COMMON_STATUS, 1) &
		     VIRTIO_CONFIG_S_NEEDS_RESET);
	driver_start(&disk, 0, 1);
	offer();
	assert_true(fake_hsm_ring(disk.bell));
	served();
}

static atomic_bool stop_pouring;
static atomic_uint poured;

/* Another vCPU that keeps the ring full. */
static void *pour(void *arg)
{
	uint32_t id, len;

	(void)arg;
	while (!atomic_load(&stop_pouring)) {
		ring_offer(&disk.ring[0], 0);
		(void)fake_hsm_ring(disk.bell);
		while (!ring_take(&disk.ring[0], &id, &len) && !atomic_load(&stop_pouring))
			;
		atomic_fetch_add(&poured, 1);
	}
	return NULL;
}

/*
 * What if the driver never stops, and the device is looked at, written to, made larger, moved and
 * reset meanwhile? Each of these ends, and after the reset the thread is quiet.
 */
static void test_pouring(void **state)
{
	pthread_t thread;
	char text[80];

	(void)state;
	snprintf(text, sizeof(text), "3,%s", path);
	for (unsigned int i = 0; i < 20; i++) {
		driver_start(&disk, 1U << VIRTIO_BLK_F_CONFIG_WCE, 1);
		describe();
		atomic_store(&stop_pouring, false);
		atomic_store(&poured, 0);
		assert_int_equal(pthread_create(&thread, NULL, pour, NULL), 0);
		driver_put(disk.config + offsetof(struct virtio_blk_config, wce), 1, i & 1);
		assert_int_equal(truncate(path, (SECTORS + i) * 512), 0);
		assert_int_equal(pci_bus_rescan(&machine, text), 0);
		machine_wait(atomic_load(&poured) > 8);
		driver_put(disk.common + VIRTIO_PCI_COMMON_STATUS, 1, 0);
		assert_int_equal(doorbells(), 0);
		atomic_store(&stop_pouring, true);
		pthread_join(thread, NULL);
		assert_int_equal(*(uint8_t *)guest_at(disk.memory + 0x7000, 1), VIRTIO_BLK_S_OK);
	}
}

/* The machine goes while the thread is at work. */
static void test_end(void **state)
{
	(void)state;
	describe();
	for (unsigned int i = 0; i < 16; i++) {
		ring_offer(&disk.ring[0], 0);
		assert_true(fake_hsm_ring(disk.bell));
	}
}

static int set_up_polled(void **state)
{
	(void)state;
	more = "--virtio_poll 100000";
	create(false, 0);
	more = "";
	return 0;
}

/*
 * --virtio_poll: is a request found without a doorbell, is the driver asked for none, by the flag
 * and by the event index, and is the queue left alone after a reset?
 */
static void test_polled(void **state)
{
	const uint32_t event_idx = 1U << VIRTIO_RING_F_EVENT_IDX;

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		offer();
		served();
	}
	machine_wait(ring_used_flags(&disk.ring[0]) == VRING_USED_F_NO_NOTIFY);
	offer();
	driver_ring_bell(&disk, 0); /* rung all the same */
	served();
	driver_start(&disk, event_idx, 1);
	for (unsigned int i = 0; i < 3; i++) {
		offer();
		served();
		machine_wait(ring_avail_event(&disk.ring[0]) == i);
	}
	driver_put(disk.common + VIRTIO_PCI_COMMON_STATUS, 1, 0);
	offer();
	usleep(2000);
	assert_int_equal(*(uint8_t *)guest_at(disk.memory + 0x7000, 1), 0xEE);
	driver_start(&disk, 0, 1);
	offer();
	served();
}

/* What is not a number of nanoseconds? */
static void test_poll_option(void **state)
{
	static const char *const bad[] = {"0",	"10000001", "1ms",
					  "-5", "x",	    "99999999999999999999"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *argv[] = {
			"acrn-dm", "--virtio_poll", (char *)(uintptr_t)bad[i], "-k", "k", "vm1",
			NULL};
		struct vm_config cfg = {.mem_size = 1U << 20};

		assert_int_equal(options_parse(6, argv, &cfg), OPTIONS_ERROR);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_async),
		T(test_as_request),
		T(test_not_there),
		T(test_refused),
		T(test_move),
		T(test_reset),
		T(test_broken),
		T(test_pouring),
		T(test_end),
		cmocka_unit_test_setup_teardown(test_polled, set_up_polled, tear_down),
		cmocka_unit_test(test_poll_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
