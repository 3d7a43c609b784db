// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does the kernel's vhost get a guest's vsock, both rings or none, and what if it does not take it?
 * The whole device model over fakes of HSM and vhost; the test is what the kernel would be.
 */
// links: @machine devicemodel/virtio/queue.c devicemodel/virtio/chain.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/virtio.c devicemodel/virtio/pci_modern.c
// links: devicemodel/virtio/vhost_vsock.c devicemodel/virtio/vhost.c devicemodel/virtio/irqfd.c
// links: devicemodel/virtio/doorbell.c
// links: tests/unit/devicemodel/driver_ring.c tests/unit/devicemodel/virtio_driver.c
// links: tests/unit/devicemodel/fake_vhost.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_vsock.h>

#include "dm_machine.h"
#include "fake_hsm.h"
#include "fake_vhost.h"
#include "log.h"
#include "virtio_driver.h"

static struct driver sock;

static int set_up(void **state)
{
	(void)state;
	log_set_level(0);
	fake_vhost_reset();
	fake_vhost_features |= 1ULL << VIRTIO_VSOCK_F_SEQPACKET;
	fake_hsm_reset();
	machine_create("-s 0,hostbridge -s 5,vhost-vsock,cid=42");
	driver_find(&sock, 5, 0x200000);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	machine_destroy();
	assert_false(fake_vhost[0].running);
	for (unsigned int i = 0; i < FAKE_HSM_IRQFDS; i++)
		assert_int_equal(fake_hsm.irqfd[i].fd, 0);
	return 0;
}

static bool needs_reset(void)
{
	return (driver_get(sock.common + VIRTIO_PCI_COMMON_STATUS, 1) &
		VIRTIO_CONFIG_S_NEEDS_RESET) != 0;
}

/* Do rings, doorbells and interrupts pass to the kernel and back, and once more after a reset? */
static void test_serves(void **state)
{
	const struct fake_vhost *v = &fake_vhost[0];

	(void)state;
	assert_string_equal(v->path, "/dev/vhost-vsock");
	assert_int_equal(v->cid, 42);
	assert_int_equal(driver_get(sock.config, 4), 42);
	for (unsigned int round = 0; round < 2; round++) {
		driver_start(&sock, 1U << VIRTIO_VSOCK_F_SEQPACKET, 3);
		assert_true(v->running);
		assert_int_equal(v->features,
				 1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_VSOCK_F_SEQPACKET);
		for (unsigned int i = 0; i < 2; i++) {
			unsigned int before = fake_hsm.msis;

			assert_ptr_equal(v->ring[i].addr.used_user_addr,
					 guest_at(sock.ring[i].used, 1));
			assert_true(fake_vhost_kicked(&v->ring[i]));
			assert_true(fake_hsm_ring((uint16_t)(sock.bell + 4 * i)));
			assert_true(fake_vhost_kicked(&v->ring[i]));
			fake_hsm_signal(v->ring[i].call);
			assert_int_equal(fake_hsm.msis, before + 1);
			assert_int_equal(fake_hsm.msi[before].msi_data, driver_msi(&sock, i + 1));
		}
		/* Events are nobody's, and do no harm. */
		assert_true(fake_hsm_ring((uint16_t)(sock.bell + 8)));
		driver_put(sock.common + VIRTIO_PCI_COMMON_STATUS, 1, 0);
		assert_false(v->running);
	}
}

/* What if the driver sets up one ring, or the kernel refuses one or finds it broken? */
static void test_broken(void **state)
{
	static const unsigned long codes[] = {VHOST_SET_VRING_ADDR, VHOST_VSOCK_SET_RUNNING};
	const struct fake_vhost *v = &fake_vhost[0];

	(void)state;
	driver_start(&sock, 0, 1);
	driver_ring_bell(&sock, 0);
	assert_false(v->running || needs_reset());
	for (unsigned int i = 0; i < 2; i++) {
		driver_put(sock.common + VIRTIO_PCI_COMMON_STATUS, 1, 0);
		fake_vhost_fail[codes[i] & 0xFF] = EFAULT;
		(void)driver_program(&sock, 0, 3);
		assert_true(needs_reset());
		fake_vhost_fail[codes[i] & 0xFF] = 0;
		driver_start(&sock, 0, 3);
		assert_true(v->running);
	}
	fake_hsm_signal(v->ring[0].error);
	machine_wait(needs_reset());
}

/* What is no address, and what if there is no vhost, or the address is another VM's? */
static void test_refused(void **state)
{
	static const char *const bad[] = {"",	    ",cid",    ",cid=",		  ",cid=2",
					  ",cid=x", ",cid=3x", ",cid=4294967295", ",cid=-1",
					  ",port=3"};
	char options[64];

	(void)state;
	log_set_level(0);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fake_vhost_reset();
		fake_hsm_reset();
		snprintf(options, sizeof(options), "-s 0,hostbridge -s 5,vhost-vsock%s", bad[i]);
		assert_int_equal(machine_try(options), -EINVAL);
		assert_int_equal(fake_vhost[0].fd, 0);
	}
	fake_vhost_missing = ENOENT;
	assert_int_equal(machine_try("-s 0,hostbridge -s 5,vhost-vsock,cid=3"), -ENOENT);
	fake_vhost_reset();
	fake_vhost_fail[VHOST_VSOCK_SET_GUEST_CID & 0xFF] = EADDRINUSE;
	assert_int_equal(machine_try("-s 0,hostbridge -s 5,vhost-vsock,cid=3"), -EADDRINUSE);
	fake_vhost_reset();
	fake_vhost_features = 0;
	assert_int_equal(machine_try("-s 0,hostbridge -s 5,vhost-vsock,cid=3"), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_serves, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_broken, set_up, tear_down),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
