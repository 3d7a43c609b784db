// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does the front end of vhost-user give a back end what it needs, and get over one that refuses,
 * lies, is silent or dies? The real device, transport and loop; the back end is a thread of the
 * test behind a real socket.
 */
// links: devicemodel/virtio/queue.c devicemodel/virtio/chain.c devicemodel/virtio/virtio.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/pci_modern.c devicemodel/virtio/vhost_user.c
// links: devicemodel/virtio/vhost_user_blk.c devicemodel/core/log.c devicemodel/core/mevent.c
// links: tests/unit/devicemodel/fake_guest.c tests/unit/devicemodel/driver_ring.c
// links: tests/unit/devicemodel/fake_pci.c tests/unit/devicemodel/fake_back_end.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#include "fake_back_end.h"
#include "fake_guest.h"
#include "fake_pci.h"
#include "log.h"
#include "mevent.h"
#include "pci_modern.h"
#include "vm.h"

static struct vm vm;
static struct fake_pci fake;
static struct ring ring;
static pthread_t loop_thread;

static void put(uint64_t offset, unsigned int size, uint64_t value)
{
	pci_modern_bar_write(&fake.pci, 4, offset, size, value);
}

static uint8_t status(void)
{
	return (uint8_t)pci_modern_bar_read(&fake.pci, 4, VIRTIO_PCI_COMMON_STATUS, 1);
}

static void start(void)
{
	put(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	put(VIRTIO_PCI_COMMON_STATUS, 1, 3);
	put(VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	put(VIRTIO_PCI_COMMON_GF, 4, 1);
	put(VIRTIO_PCI_COMMON_STATUS, 1, 11);
	ring_init(&ring, 0x1000, 64);
	put(VIRTIO_PCI_COMMON_Q_SIZE, 2, 64);
	put(VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	put(VIRTIO_PCI_COMMON_Q_DESCLO, 8, ring.desc);
	put(VIRTIO_PCI_COMMON_Q_AVAILLO, 8, ring.avail);
	put(VIRTIO_PCI_COMMON_Q_USEDLO, 8, ring.used);
	put(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	put(VIRTIO_PCI_COMMON_STATUS, 1, 15);
}

static void *run_loop(void *arg)
{
	mevent_loop_run(arg);
	return NULL;
}

static int set_up(void **state)
{
	(void)state;
	log_set_level(0);
	guest_create();
	memset(&fake, 0, sizeof(fake));
	vm.loop = mevent_loop_create();
	fake.pci.vm = &vm;
	pthread_create(&loop_thread, NULL, run_loop, vm.loop);
	back_end_create();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	back_end_destroy();
	mevent_loop_stop(vm.loop);
	pthread_join(loop_thread, NULL);
	mevent_loop_destroy(vm.loop);
	guest_destroy();
	return 0;
}

static bool within_seconds(bool (*true_now)(void))
{
	for (int i = 0; i < 5000 && !true_now(); i++)
		usleep(1000);
	return true_now();
}

static bool needs_reset(void)
{
	return (status() & VIRTIO_CONFIG_S_NEEDS_RESET) != 0;
}

static bool interrupted(void)
{
	return atomic_load(&fake.msix_count[1]) != 0;
}

/* Does the back end get ring, doorbells and memory, the driver its interrupts and capacity? */
static void test_serves(void **state)
{
	const struct back_end *b = &back_end;

	(void)state;
	assert_int_equal(fake_pci_create(&fake, "vhost-user-blk", back_end.path), 0);
	assert_int_equal(pci_modern_bar_read(&fake.pci, 4, 0x2000, 4), BACK_END_SECTORS);
	start();
	assert_int_equal(status(), 15);
	assert_true(back_end_wait_kick());
	assert_int_equal(b->ring_size, 64);
	assert_ptr_equal(b->desc, guest_at(ring.desc, 1));
	assert_ptr_equal(b->avail, guest_at(ring.avail, 1));
	assert_ptr_equal(b->used, guest_at(ring.used, 1));
	assert_int_equal(b->regions, 2);
	assert_true(b->fds_usable);
	back_end_call();
	assert_true(within_seconds(interrupted));
	/* and once more, after a reset */
	put(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(b->stops, 1);
	start();
	assert_true(back_end_wait_kick());
	put(0x2000, 4, 7); /* not writable */
	assert_int_equal(pci_modern_bar_read(&fake.pci, 4, 0x2000, 4), BACK_END_SECTORS);
	fake_pci_destroy(&fake);
	assert_int_equal(b->stops, 2);
}

/* What if there is nobody, or somebody who does not answer as agreed? */
static void test_refused(void **state)
{
	static const enum back_end_fault faults[] = {FAULT_HANG_UP, FAULT_NONSENSE, FAULT_LONG,
						     FAULT_WRONG_REQUEST, FAULT_FEATURES};

	(void)state;
	assert_int_equal(fake_pci_create(&fake, "vhost-user-blk", NULL), -EINVAL);
	assert_int_equal(fake_pci_create(&fake, "vhost-user-blk", "/nowhere/at/all"), -ENOENT);
	for (unsigned int i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		back_end.fault = faults[i];
		assert_true(fake_pci_create(&fake, "vhost-user-blk", back_end.path) < 0);
	}
	back_end.fault = FAULT_NONE;
	assert_int_equal(fake_pci_create(&fake, "vhost-user-blk", back_end.path), 0);
	fake_pci_destroy(&fake);
}

/* What if it says nothing? It has five seconds. */
static void test_silent(void **state)
{
	(void)state;
	back_end.fault = FAULT_SILENT;
	assert_int_equal(fake_pci_create(&fake, "vhost-user-blk", back_end.path), -ETIMEDOUT);
}

/* What if it dies, and another takes its place at the driver's reset? */
static void test_dies(void **state)
{
	(void)state;
	assert_int_equal(fake_pci_create(&fake, "vhost-user-blk", back_end.path), 0);
	start();
	assert_true(back_end_wait_kick());
	back_end_hang_up();
	assert_true(within_seconds(needs_reset));
	assert_true(atomic_load(&fake.msix_count[0]) == 0); /* has no vector */
	pci_modern_bar_write(&fake.pci, 2, 0, 2, 0);
	start();
	assert_int_equal(status(), 15);
	assert_true(back_end_wait_kick());
	back_end_hang_up();
	assert_true(within_seconds(needs_reset));
	back_end.fault = FAULT_HANG_UP;
	start();
	assert_true(needs_reset());
	back_end.fault = FAULT_OTHER_DISK;
	start();
	assert_true(needs_reset());
	fake_pci_destroy(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_serves, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_silent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_dies, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
