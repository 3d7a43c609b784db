// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does a driver of before virtio 1.0 find a device that works, and does the device stand what such
 * a driver may do wrong? The whole device model over fakes of HSM and tap; the driver knows BAR 0
 * alone.
 */
// links: devicemodel/virtio/doorbell.c devicemodel/virtio/rnd.c
// links: @machine devicemodel/virtio/queue.c devicemodel/virtio/chain.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/virtio.c devicemodel/virtio/pci_modern.c devicemodel/virtio/net.c
// links: tests/unit/devicemodel/driver_ring.c tests/unit/devicemodel/virtio_driver.c
// links: tests/unit/devicemodel/fake_tap.c
// links: devicemodel/virtio/net_control.c devicemodel/virtio/net_config.c
// links: devicemodel/virtio/net_vhost.c devicemodel/virtio/vhost.c devicemodel/virtio/irqfd.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "dm_machine.h"
#include "fake_hsm.h"
#include "fake_tap.h"
#include "log.h"
#include "pci.h"
#include "virtio.h"
#include "virtio_driver.h"

#define W	 VRING_DESC_F_WRITE
#define N	 VRING_DESC_F_NEXT
#define RX	 0U
#define TX	 1U
#define HEADER	 10U /* without the number of buffers */
#define RUN	 (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)
#define MEMORY	 0x200000ULL
#define BUFFER	 (MEMORY + 0x80000)
#define RNG_SLOT 6U
#define LAYOUT	 (1U << VIRTIO_F_ANY_LAYOUT)

static struct driver net, rng;
static struct fake_tap *tap;

static uint32_t get(const struct driver *d, uint16_t reg, unsigned int size)
{
	return machine_in((uint16_t)(driver_bar(d, 0) + reg), size);
}

static void put(const struct driver *d, uint16_t reg, unsigned int size, uint32_t value)
{
	machine_out((uint16_t)(driver_bar(d, 0) + reg), size, value);
}

static uint8_t status(const struct driver *d)
{
	return (uint8_t)get(d, VIRTIO_PCI_STATUS, 1);
}

/* As old drivers: page by page, and the size is the device's. */
static void set_ring(struct driver *d, uint16_t queue)
{
	struct ring *r = &d->ring[queue];

	put(d, VIRTIO_PCI_QUEUE_SEL, 2, queue);
	r->size = (uint16_t)get(d, VIRTIO_PCI_QUEUE_NUM, 2);
	r->made = r->seen = 0;
	r->desc = d->memory + queue * 0x10000ULL;
	r->avail = r->desc + r->size * 16ULL;
	r->used = (r->avail + 6 + 2ULL * r->size + 4095) & ~4095ULL;
	memset(guest_at(r->desc, 0x10000), 0, 0x10000);
	assert_int_equal(get(d, VIRTIO_PCI_QUEUE_PFN, 4), 0);
	put(d, VIRTIO_PCI_QUEUE_PFN, 4, (uint32_t)(r->desc >> 12));
}

static void start(struct driver *d, uint32_t features, uint16_t queues)
{
	put(d, VIRTIO_PCI_STATUS, 1, 0);
	put(d, VIRTIO_PCI_STATUS, 1, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	put(d, VIRTIO_PCI_STATUS, 1, RUN);
	put(d, VIRTIO_PCI_GUEST_FEATURES, 4, features);
	for (uint16_t i = 0; i < queues; i++)
		set_ring(d, i);
	put(d, VIRTIO_PCI_STATUS, 1, RUN | VIRTIO_CONFIG_S_DRIVER_OK);
}

static void ring_bell(const struct driver *d, uint16_t queue)
{
	put(d, VIRTIO_PCI_QUEUE_NOTIFY, 2, queue);
}

static int set_up(void **state)
{
	(void)state;
	log_set_level(0);
	fake_hsm_reset();
	machine_create("-s 0,hostbridge -s 5,virtio-net,tap=one,mac=02:11:22:33:44:55 "
		       "-s 6,virtio-rnd");
	driver_find(&net, 5, MEMORY);
	driver_find(&rng, RNG_SLOT, MEMORY + 0x40000);
	driver_set_msix(&net, false);
	driver_set_msix(&rng, false);
	tap = fake_tap_find("one");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	machine_destroy();
	fake_tap_reset();
	return 0;
}

/* Does an old driver know the devices, and is what it sees of one what it expects? */
static void test_registers(void **state)
{
	(void)state;
	assert_int_equal(driver_cfg_read(&net, 0, 4), 0x10001AF4);
	assert_int_equal(driver_cfg_read(&rng, 0, 4), 0x10051AF4);
	assert_int_equal(driver_cfg_read(&net, PCI_REVISION_ID, 1), 0);
	assert_int_equal(driver_cfg_read(&net, PCI_SUBSYSTEM_ID, 2), 1);
	assert_int_equal(driver_cfg_read(&rng, PCI_SUBSYSTEM_ID, 2), 4);
	assert_true(get(&net, VIRTIO_PCI_HOST_FEATURES, 4) & LAYOUT);
	assert_true(get(&net, VIRTIO_PCI_HOST_FEATURES, 4) & 1U << VIRTIO_NET_F_MAC);
	assert_int_equal(get(&net, 20, 4), 0x33221102);
	assert_int_equal(get(&net, 24, 1), 0x44);
	/* With MSI-X there are two vectors, and the rest moves. */
	driver_set_msix(&net, true);
	assert_int_equal(get(&net, 24, 4), 0x33221102);
	assert_int_equal(get(&net, VIRTIO_MSI_CONFIG_VECTOR, 2), VIRTIO_MSI_NO_VECTOR);
	put(&net, VIRTIO_MSI_CONFIG_VECTOR, 2, 2);
	assert_int_equal(get(&net, VIRTIO_MSI_CONFIG_VECTOR, 2), 2);
	put(&net, VIRTIO_PCI_QUEUE_SEL, 2, 1);
	put(&net, VIRTIO_MSI_QUEUE_VECTOR, 2, 1);
	assert_int_equal(get(&net, VIRTIO_MSI_QUEUE_VECTOR, 2), 1);
	put(&net, VIRTIO_MSI_QUEUE_VECTOR, 2, 77);
	assert_int_equal(get(&net, VIRTIO_MSI_QUEUE_VECTOR, 2), VIRTIO_MSI_NO_VECTOR);
	/* No such queue. */
	put(&net, VIRTIO_PCI_QUEUE_SEL, 2, 1000);
	assert_int_equal(get(&net, VIRTIO_PCI_QUEUE_NUM, 2), 0);
	put(&net, VIRTIO_PCI_QUEUE_PFN, 4, 0x200);
	assert_int_equal(get(&net, VIRTIO_PCI_QUEUE_PFN, 4), 0);
	put(&net, VIRTIO_MSI_QUEUE_VECTOR, 2, 1);
	assert_int_equal(get(&net, VIRTIO_MSI_QUEUE_VECTOR, 2), VIRTIO_MSI_NO_VECTOR);
}

/* Are requests served, with the interrupt by the pin, and by a message? */
static void test_requests(void **state)
{
	uint8_t zeros[64] = {0};
	unsigned int gsi = pci_intx_gsi(RNG_SLOT, 1);

	(void)state;
	for (int msix = 0; msix < 2; msix++) {
		unsigned int msis = atomic_load(&fake_hsm.msis);

		driver_set_msix(&rng, msix != 0);
		start(&rng, LAYOUT, 1);
		assert_int_equal(status(&rng), RUN | VIRTIO_CONFIG_S_DRIVER_OK);
		if (msix != 0)
			put(&rng, VIRTIO_MSI_QUEUE_VECTOR, 2, 1);
		memset(guest_at(BUFFER, 64), 0, 64);
		ring_desc(&rng.ring[0], 0, BUFFER, 64, W, 0);
		ring_offer(&rng.ring[0], 0);
		ring_bell(&rng, 0);
		assert_int_equal(driver_wait(&rng, 0), 64);
		assert_memory_not_equal(guest_at(BUFFER, 64), zeros, 64);
		if (msix != 0) {
			assert_int_equal(atomic_load(&fake_hsm.msis), msis + 1);
			continue;
		}
		machine_wait(atomic_load(&fake_hsm.line[gsi]));
		assert_int_equal(get(&rng, VIRTIO_PCI_ISR, 1), VIRTIO_ISR_QUEUE);
		assert_int_equal(get(&rng, VIRTIO_PCI_ISR, 1), 0);
		assert_false(atomic_load(&fake_hsm.line[gsi]));
		assert_int_equal(atomic_load(&fake_hsm.msis), msis);
	}
}

/* What if the driver knows nothing of packets in several buffers? Its header is two bytes shorter.
 */
static void test_short_header(void **state)
{
	char packet[64] = {0}, *got = guest_at(BUFFER, 2048);
	uint32_t used;

	(void)state;
	start(&net, 1U << VIRTIO_NET_F_MAC, 2);
	memset(got, 0xEE, 2048);
	ring_desc(&net.ring[RX], 0, BUFFER, HEADER, W | N, 1); /* as drivers of that age */
	ring_desc(&net.ring[RX], 1, BUFFER + HEADER, 1514, W, 0);
	ring_offer(&net.ring[RX], 0);
	ring_bell(&net, RX);
	memcpy(packet + TAP_HEADER, "from the wire", 13);
	assert_int_equal(write(tap->peer, packet, TAP_HEADER + 13), TAP_HEADER + 13);
	used = driver_wait(&net, RX);
	assert_int_equal(used, HEADER + 13);
	assert_memory_equal(got + HEADER, "from the wire\xEE", 14);
	assert_int_equal(got[HEADER - 1], 0);

	memcpy(got, "\0\0\0\0\0\0\0\0\0\0to the wire", HEADER + 11);
	ring_desc(&net.ring[TX], 0, BUFFER, HEADER, N, 1);
	ring_desc(&net.ring[TX], 1, BUFFER + HEADER, 11, 0, 0);
	ring_desc(&net.ring[TX], 2, BUFFER, HEADER + 11, 0, 0);
	ring_desc(&net.ring[TX], 3, BUFFER, HEADER - 1, 0, 0);
	for (unsigned int i = 0; i < 3; i++) {
		static const uint16_t heads[] = {0, 2, 3};

		ring_offer(&net.ring[TX], heads[i]);
		ring_bell(&net, TX);
		(void)driver_wait(&net, TX);
	}
	for (int i = 0; i < 2; i++) {
		ssize_t len = 0;

		memset(packet, 0xEE, sizeof(packet));
		machine_wait(len > 0 || (len = read(tap->peer, packet, sizeof(packet))) > 0);
		assert_int_equal(len, TAP_HEADER + 11);
		assert_memory_equal(packet, "\0\0\0\0\0\0\0\0\0\0\0\0to the wire", TAP_HEADER + 11);
	}
	assert_int_equal(status(&net), RUN | VIRTIO_CONFIG_S_DRIVER_OK);
}

/* What if the driver takes features that nobody offered, or gives a ring where no memory is? */
static void test_wrong(void **state)
{
	(void)state;
	start(&rng, 1U << 5, 0);
	set_ring(&rng, 0);
	assert_int_equal(get(&rng, VIRTIO_PCI_QUEUE_PFN, 4), 0);
	assert_int_equal(status(&rng), RUN);

	start(&rng, 0, 0);
	put(&rng, VIRTIO_PCI_QUEUE_PFN, 4, 0xFFFFFFFF);
	assert_int_equal(status(&rng),
			 RUN | VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET);

	/* A ring that is given again stays; none any more is the end of all. */
	start(&rng, 0, 1);
	put(&rng, VIRTIO_PCI_QUEUE_PFN, 4, 1);
	assert_int_equal(get(&rng, VIRTIO_PCI_QUEUE_PFN, 4), rng.ring[0].desc >> 12);
	put(&rng, VIRTIO_PCI_QUEUE_PFN, 4, 0);
	assert_int_equal(status(&rng), 0);
	assert_int_equal(get(&rng, VIRTIO_PCI_QUEUE_PFN, 4), 0);
	ring_offer(&rng.ring[0], 0);
	ring_bell(&rng, 0);
	ring_bell(&rng, 1000);
}

/* What if a driver of 1.0 comes after an old one? It must say that it is one. */
static void test_old_then_new(void **state)
{
	(void)state;
	start(&rng, 0, 1);
	/* What the old one settled it cannot take back through the other door. */
	driver_put(rng.common + VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	driver_put(rng.common + VIRTIO_PCI_COMMON_GF, 4, 1U << VIRTIO_RING_F_EVENT_IDX);
	assert_int_equal(get(&rng, VIRTIO_PCI_GUEST_FEATURES, 4), 0);
	driver_put(rng.common + VIRTIO_PCI_COMMON_STATUS, 1, 0);
	driver_put(rng.common + VIRTIO_PCI_COMMON_STATUS, 1, RUN | VIRTIO_CONFIG_S_FEATURES_OK);
	assert_int_equal(driver_get(rng.common + VIRTIO_PCI_COMMON_STATUS, 1), RUN);
	driver_set_msix(&rng, true);
	driver_start(&rng, 0, 1);
	ring_desc(&rng.ring[0], 0, BUFFER, 64, W, 0);
	ring_offer(&rng.ring[0], 0);
	driver_ring_bell(&rng, 0);
	assert_int_equal(driver_wait(&rng, 0), 64);
}

/* What if every register is read and written in every size? The device lives. */
static void test_every_access(void **state)
{
	(void)state;
	for (uint16_t reg = 0; reg < 64; reg++) {
		for (unsigned int size = 1; size <= 4; size *= 2) {
			(void)get(&net, reg, size);
			put(&net, reg, size, 0xA5A5A5A5);
			put(&net, reg, size, 0);
		}
	}
	start(&net, 1U << VIRTIO_NET_F_MAC, 2);
	assert_int_equal(status(&net), RUN | VIRTIO_CONFIG_S_DRIVER_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_registers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_requests, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_short_header, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_wrong, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_old_then_new, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_every_access, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
