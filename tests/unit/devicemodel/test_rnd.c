// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does the entropy device fill what the driver gives it, with numbers that differ, and nothing
 * beyond? The real device, transport and ring over a fake PCI core.
 */
// links: devicemodel/virtio/queue.c devicemodel/virtio/chain.c devicemodel/virtio/virtio.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/pci_modern.c devicemodel/virtio/rnd.c devicemodel/core/log.c
// links: tests/unit/devicemodel/fake_guest.c tests/unit/devicemodel/driver_ring.c
// links: tests/unit/devicemodel/fake_pci.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "fake_guest.h"
#include "fake_pci.h"
#include "log.h"
#include "pci_modern.h"

#define W   VRING_DESC_F_WRITE
#define N   VRING_DESC_F_NEXT
#define BUF 0x8000ULL

static struct fake_pci fake;
static struct ring ring;

static void put(uint64_t offset, unsigned int size, uint64_t value)
{
	pci_modern_bar_write(&fake.pci, 4, offset, size, value);
}

static void start(void)
{
	put(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	put(VIRTIO_PCI_COMMON_STATUS, 1, 3);
	put(VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	put(VIRTIO_PCI_COMMON_GF, 4, 1);
	put(VIRTIO_PCI_COMMON_STATUS, 1, 11);
	ring_init(&ring, 0x1000, 64);
	put(VIRTIO_PCI_COMMON_Q_DESCLO, 8, ring.desc);
	put(VIRTIO_PCI_COMMON_Q_AVAILLO, 8, ring.avail);
	put(VIRTIO_PCI_COMMON_Q_USEDLO, 8, ring.used);
	put(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	put(VIRTIO_PCI_COMMON_STATUS, 1, 15);
}

static int set_up(void **state)
{
	(void)state;
	log_set_level(0);
	guest_create();
	assert_int_equal(fake_pci_create(&fake, "virtio-rnd", NULL), 0);
	start();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_pci_destroy(&fake);
	guest_destroy();
	return 0;
}

static uint32_t request(void)
{
	uint32_t id, len;

	ring_offer(&ring, 0);
	pci_modern_bar_write(&fake.pci, 2, 0, 2, 0);
	assert_true(ring_take(&ring, &id, &len));
	return len;
}

/* Are small and scattered buffers filled exactly, and large ones in part? */
static void test_fill(void **state)
{
	static const uint32_t sizes[] = {1, 31, 64, 255, 256, 257, 4096, 65536};
	const uint8_t *buf = guest_at(BUF, 0x20000);
	uint8_t zeros[64] = {0}, first[64];

	(void)state;
	for (unsigned int i = 0; i < 8; i++) {
		uint32_t want = sizes[i] < 256 ? sizes[i] : 256;

		memset(guest_at(BUF, 0x20000), 0, 0x20000);
		ring_desc(&ring, 0, BUF, sizes[i], W, 0);
		assert_int_equal(request(), want);
		assert_int_equal(buf[want], 0);
		assert_int_equal(buf[0x1FFFF], 0);
	}
	ring_desc(&ring, 0, BUF, 32, N | W, 1);
	ring_desc(&ring, 1, BUF + 0x1000, 32, W, 0);
	assert_int_equal(request(), 64);
	assert_memory_not_equal(buf, zeros, 32);
	assert_memory_not_equal(buf + 0x1000, zeros, 32);
	memcpy(first, buf, 32);
	assert_int_equal(request(), 64);
	assert_memory_not_equal(buf, first, 32);
}

/* What if there is nothing to fill? The buffer comes back as it is. */
static void test_not_writable(void **state)
{
	(void)state;
	ring_desc(&ring, 0, BUF, 64, 0, 0);
	assert_int_equal(request(), 0);
	assert_int_equal(*(uint8_t *)guest_at(BUF, 1), 0);
}

static uint8_t status(void)
{
	return (uint8_t)pci_modern_bar_read(&fake.pci, 4, VIRTIO_PCI_COMMON_STATUS, 1);
}

/*
 * What if the ring is garbage: a buffer beyond memory, a chain without an end, a head that is no
 * descriptor? The device asks for a reset, does nothing more, and works after one.
 */
static void test_broken_ring(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		uint32_t id, len;

		if (i == 0)
			ring_desc(&ring, 0, ~0ULL - 63, 64, W, 0);
		else if (i == 1)
			ring_desc(&ring, 0, BUF, 64, N | W, 0);
		else
			ring_desc(&ring, 0, BUF, 64, W, 0);
		ring_offer(&ring, i == 2 ? 64 : 0);
		pci_modern_bar_write(&fake.pci, 2, 0, 2, 0);
		assert_int_equal(status(), 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
		assert_false(ring_take(&ring, &id, &len));
		ring_desc(&ring, 0, BUF, 64, W, 0);
		ring_offer(&ring, 0);
		pci_modern_bar_write(&fake.pci, 2, 0, 2, 0);
		assert_false(ring_take(&ring, &id, &len));
		start();
		assert_int_equal(status(), 15);
		ring_desc(&ring, 0, BUF, 64, W, 0);
		assert_int_equal(request(), 64);
	}
}

/* Which options are there? One, of old, without effect. */
static void test_options(void **state)
{
	struct fake_pci other = {0};

	(void)state;
	assert_int_equal(fake_pci_create(&other, "virtio-rnd", "kernel=off"), -EINVAL);
	assert_int_equal(fake_pci_create(&other, "virtio-rnd", "/dev/random"), -EINVAL);
	assert_int_equal(fake_pci_create(&other, "virtio-rnd", "kernel=on"), 0);
	fake_pci_destroy(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_fill, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_writable, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_broken_ring, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_options, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
