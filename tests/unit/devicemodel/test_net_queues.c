// SPDX-License-Identifier: BSD-3-Clause
/*
 * What if a packet is larger than a buffer, and what does the network card do on its driver's
 * command: filter, address, queues, offloads? The whole device model over fakes of HSM and tap.
 */
// links: devicemodel/virtio/doorbell.c
// links: @machine devicemodel/virtio/queue.c devicemodel/virtio/chain.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/virtio.c devicemodel/virtio/pci_modern.c devicemodel/virtio/net.c
// links: devicemodel/virtio/net_control.c devicemodel/virtio/net_config.c
// links: tests/unit/devicemodel/driver_ring.c tests/unit/devicemodel/virtio_driver.c
// links: tests/unit/devicemodel/fake_tap.c
// links: devicemodel/virtio/net_vhost.c devicemodel/virtio/vhost.c devicemodel/virtio/irqfd.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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
#include "virtio_driver.h"

#define W      VRING_DESC_F_WRITE
#define N      VRING_DESC_F_NEXT
#define HEADER 12U
#define F(bit) (1U << VIRTIO_NET_F_##bit)
#define CTRL   2U /* of a card with one pair of queues in use */
#define OFFLOADS                                                                                   \
	(F(GUEST_CSUM) | F(GUEST_TSO4) | F(GUEST_TSO6) | F(GUEST_ECN) | F(CTRL_GUEST_OFFLOADS))

static struct driver card, many; /* one pair of queues, and up to three */
static struct fake_tap *tap;

static int set_up(void **state)
{
	(void)state;
	log_set_level(0);
	fake_hsm_reset();
	machine_create("-s 0,hostbridge -s 5,virtio-net,tap=one,mac=02:00:00:00:00:01 "
		       "-s 6,virtio-net,tap=many,queues=3");
	driver_find(&card, 5, 0x200000);
	driver_find(&many, 6, 0x220000);
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

static bool needs_reset(const struct driver *d)
{
	return (driver_get(d->common + VIRTIO_PCI_COMMON_STATUS, 1) &
		VIRTIO_CONFIG_S_NEEDS_RESET) != 0;
}

/* --- packets and buffers --- */

static uint64_t buffer_at(unsigned int i)
{
	return 0x300000 + i * 0x4000ULL;
}

/* Receive buffer @i, whose bytes are EE. */
static void give(struct driver *d, unsigned int queue, uint16_t i, uint32_t len)
{
	memset(guest_at(buffer_at(i), 0x4000), 0xEE, 0x4000);
	ring_desc(&d->ring[queue], i, buffer_at(i), len, W, 0);
	ring_offer(&d->ring[queue], i);
}

static uint8_t byte_of(size_t i)
{
	return (uint8_t)(i * 7 + i / 256);
}

/* A packet of @len bytes behind its header. */
static void from_wire(const struct fake_tap *from, size_t len)
{
	uint8_t packet[65536] = {0};

	for (size_t i = 0; i < len; i++)
		packet[HEADER + i] = byte_of(i);
	assert_int_equal(write(from->peer, packet, HEADER + len), HEADER + len);
}

/* The next packet of the queue is @len bytes long and in so many buffers, all but the last full. */
static void expect_packet(struct driver *d, unsigned int queue, size_t len, unsigned int buffers)
{
	struct ring *r = &d->ring[queue];
	size_t done = 0;
	uint32_t id, n;

	for (unsigned int b = 0; b < buffers; b++) {
		bool taken = false;
		const uint8_t *at;

		if (b == 0)
			machine_wait(taken || (taken = ring_take(r, &id, &n)));
		else
			assert_true(ring_take(r, &id, &n)); /* all of them or none */
		at = guest_at(buffer_at(id), 0x4000);
		if (b == 0) {
			assert_int_equal(at[10] | at[11] << 8, buffers);
			at += HEADER;
			n -= HEADER;
		}
		for (size_t i = 0; i < n; i++)
			assert_int_equal(at[i], byte_of(done + i));
		assert_int_equal(at[n], 0xEE);
		done += n;
	}
	assert_int_equal(done, len);
}

/* What if a packet takes several buffers, of sizes that have nothing to do with it? */
static void test_spread(void **state)
{
	static const uint32_t sizes[] = {2000, 12, 1, 1000, 4000, 1600};
	struct driver *d = &card;

	(void)state;
	driver_start(d, F(MRG_RXBUF), 2);
	for (uint16_t i = 0; i < 6; i++)
		if (sizes[i] >= HEADER)
			give(d, 0, i, sizes[i]);
	driver_ring_bell(d, 0);
	from_wire(tap, 5000);
	expect_packet(d, 0, 5000, 4);
	from_wire(tap, 60);
	expect_packet(d, 0, 60, 1);
	assert_false(needs_reset(d));
}

/* What if there are too few buffers? The packet waits for more, and the next one behind it. */
static void test_too_few(void **state)
{
	struct driver *d = &card;
	uint32_t id, len;

	(void)state;
	driver_start(d, F(MRG_RXBUF), 2);
	give(d, 0, 0, 2000);
	give(d, 0, 1, 2000);
	driver_ring_bell(d, 0);
	from_wire(tap, 5000);
	from_wire(tap, 300);
	/* It wants to hear of new buffers. */
	machine_wait(ring_used_flags(&d->ring[0]) == 0);
	usleep(5000);
	assert_false(ring_take(&d->ring[0], &id, &len));
	give(d, 0, 2, 100);
	driver_ring_bell(d, 0);
	usleep(5000);
	assert_false(ring_take(&d->ring[0], &id, &len));
	give(d, 0, 3, 2000);
	give(d, 0, 4, 2000);
	driver_ring_bell(d, 0);
	expect_packet(d, 0, 5000, 4);
	expect_packet(d, 0, 300, 1);
}

/* What if not all buffers of the ring are enough? The packet is lost, and the next one is not. */
static void test_never_fits(void **state)
{
	static const uint32_t features[] = {F(MRG_RXBUF), 0};

	(void)state;
	for (unsigned int round = 0; round < 2; round++) {
		driver_start(&card, features[round], 2);
		for (uint16_t i = 0; i < 16; i++)
			give(&card, 0, i, round == 0 ? 200 : 1600);
		driver_ring_bell(&card, 0);
		from_wire(tap, 5000);
		from_wire(tap, 100);
		assert_int_equal(driver_wait(&card, 0), HEADER + 100);
		assert_int_equal(*(uint8_t *)guest_at(buffer_at(0) + HEADER + 99, 1), byte_of(99));
		assert_false(needs_reset(&card));
	}
}

/* What if a buffer has no room for the header, or is for reading? */
static void test_bad_buffers(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < 2; round++) {
		driver_start(&card, F(MRG_RXBUF), 2);
		give(&card, 0, 0, 2000);
		give(&card, 0, 1, HEADER - 1);
		if (round != 0)
			ring_desc(&card.ring[0], 1, buffer_at(1), 2000, 0, 0);
		driver_ring_bell(&card, 0);
		from_wire(tap, 4000);
		machine_wait(needs_reset(&card));
	}
}

/* --- commands --- */

/* The answer to a command, whose bytes are cut in two pieces. */
static uint8_t command(struct driver *d, unsigned int queue, uint8_t class, uint8_t cmd,
		       const void *data, uint32_t len)
{
	uint8_t *at = guest_at(0x3F0000, 0x10000);
	struct ring *r = &d->ring[queue];

	at[0] = class;
	at[1] = cmd;
	if (len != 0)
		memcpy(at + 2, data, len);
	at[2 + len] = 0xEE;
	ring_desc(r, 0, 0x3F0000, 1, N, 1);
	ring_desc(r, 1, 0x3F0001, 1 + len, N, 2);
	ring_desc(r, 2, 0x3F0002 + len, 1, W, 0);
	ring_offer(r, 0);
	driver_ring_bell(d, queue);
	assert_int_equal(driver_wait(d, queue), 1);
	return at[2 + len];
}

#define OK(...)	     assert_int_equal(command(__VA_ARGS__), VIRTIO_NET_OK)
#define REFUSED(...) assert_int_equal(command(__VA_ARGS__), VIRTIO_NET_ERR)

static uint64_t mac_of(const struct driver *d)
{
	return driver_get(d->config, 4) | driver_get(d->config + 4, 2) << 32;
}

/* Does the tap drop what the driver does not want? All else comes through. */
static void test_filter(void **state)
{
	static const uint8_t table[] = {1, 0, 0,    0,	  0x02, 0,    0,    0,	 0,
					9, 2, 0,    0,	  0,	0x33, 0x33, 0,	 0,
					0, 1, 0x01, 0x00, 0x5E, 0x00, 0x00, 0xFB};
	static const uint8_t want[][ETH_ALEN] = {{2, 0, 0, 0, 0, 7},
						 {2, 0, 0, 0, 0, 9},
						 {255, 255, 255, 255, 255, 255},
						 {0x33, 0x33, 0, 0, 0, 1},
						 {1, 0, 0x5E, 0, 0, 0xFB}};
	static const uint8_t empty[8];
	struct driver *d = &card;

	(void)state;
	driver_start(d, F(CTRL_VQ) | F(CTRL_RX) | F(CTRL_MAC_ADDR), 3);
	assert_int_equal(tap->count, 0);
	OK(d, CTRL, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table, sizeof(table));
	assert_int_equal(tap->count, 0); /* promiscuous until told otherwise */
	OK(d, CTRL, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "\0", 1);
	assert_int_equal(tap->count, 5);
	assert_int_equal(tap->addr[0][5], 1);
	OK(d, CTRL, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, want[0], ETH_ALEN);
	assert_int_equal(mac_of(d), 0x070000000002);
	assert_memory_equal(tap->addr, want, sizeof(want));
	assert_false(tap->groups);
	OK(d, CTRL, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, "\1", 1);
	assert_true(tap->groups);
	OK(d, CTRL, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, empty, sizeof(empty));
	assert_true(tap->groups && tap->count == 2);
	OK(d, CTRL, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "\1", 1);
	assert_int_equal(tap->count, 0);
	OK(d, CTRL, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "\0", 1);
	assert_int_equal(tap->count, 2);
	/* The next driver finds the card as the first did. */
	driver_start(d, 0, 3);
	assert_int_equal(tap->count, 0);
	assert_false(tap->groups);
	assert_int_equal(mac_of(d), 0x010000000002);
}

/* What if the driver names more addresses than there is room for? It gets all of that kind. */
static void test_many_addresses(void **state)
{
	static uint8_t table[8 + 100 * ETH_ALEN];
	struct driver *d = &card;

	(void)state;
	driver_start(d, F(CTRL_VQ) | F(CTRL_RX), 3);
	OK(d, CTRL, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "\0", 1);
	for (unsigned int stations = 0; stations <= 100; stations++) {
		unsigned int groups = 100 - stations;

		memset(table, 0x11, sizeof(table));
		memcpy(table, &(uint32_t) {stations}, 4);
		memcpy(table + 4 + stations * ETH_ALEN, &(uint32_t) {groups}, 4);
		OK(d, CTRL, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table,
		   sizeof(table));
		assert_int_equal(tap->count, stations > TAP_ADDRESSES - 2 ? 0 : 2 + stations);
		assert_true(tap->groups == (stations <= TAP_ADDRESSES - 2));
	}
}

/* What if a command is cut short, unknown, of a feature that was not agreed on, or absurd? */
static void test_bad_commands(void **state)
{
	static const struct {
		uint8_t class, cmd;
		uint32_t len;
		uint8_t data[16];
	} bad[] = {
		{VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 0, {0}},
		{VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOBCAST, 1, {1}},
		{VIRTIO_NET_CTRL_RX, 0xFF, 1, {1}},
		{VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, 0, {0}},
		{VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, 4, {0}},
		{VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, 9, {1}},
		{VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, 8, {255, 255, 255, 255}},
		{VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, 8, {0, 0, 0, 0, 1}},
		/* 6 times this is 2 */
		{VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, 16, {0xAB, 0xAA, 0xAA, 0xAA}},
		{VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, 5, {2}},
		{VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, 6, {0}},
		{VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, 6, {1}},
		{VIRTIO_NET_CTRL_MAC, 2, 6, {2}},
		{VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 2, {1}},
		{VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, 7, {0}},
		{VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, 8, {1}},
		{VIRTIO_NET_CTRL_GUEST_OFFLOADS, 1, 8, {0}},
		{VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, 2, {1}},
		{0xFF, 0, 8, {0}},
	};
	const uint32_t all = F(CTRL_RX) | F(CTRL_MAC_ADDR) | OFFLOADS;
	struct driver *d = &card;

	(void)state;
	for (unsigned int round = 0; round < 2; round++) {
		unsigned int before;

		driver_start(d, F(CTRL_VQ) | (round == 0 ? all : 0), 3);
		before = tap->filters;
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
			if (command(d, CTRL, bad[i].class, bad[i].cmd, bad[i].data, bad[i].len) !=
			    VIRTIO_NET_ERR)
				fail_msg("command %zu of round %u", i, round);
		assert_int_equal(tap->filters, before);
	}
	REFUSED(d, CTRL, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "\0", 1);
	REFUSED(d, CTRL, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, "\0\0\0\0\0\0\0", 8);
	REFUSED(d, CTRL, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, "\2\0\0\0\0\1", 6);
	assert_int_equal(mac_of(d), 0x010000000002);
}

/* What if a command has no room for an answer, no class, or 64 KB of bytes? */
static void test_bad_requests(void **state)
{
	static const uint32_t lens[][2] = {{2, 0}, {0, 1}, {1, 1}, {0x10001, 1}};
	struct driver *d = &card;

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		uint32_t read = lens[i][0];

		driver_start(d, F(CTRL_VQ) | F(CTRL_RX), 3);
		memset(guest_at(0x300000, 0x20000), 0, 0x20000);
		ring_desc(&d->ring[CTRL], 0, 0x300000, read, lens[i][1] != 0 ? N : 0, 1);
		ring_desc(&d->ring[CTRL], 1, 0x320000, 1, W, 0);
		ring_offer(&d->ring[CTRL], read == 0 ? 1 : 0);
		driver_ring_bell(d, CTRL);
		if (lens[i][1] == 0) {
			machine_wait(needs_reset(d));
		} else {
			assert_int_equal(driver_wait(d, CTRL), 1);
			assert_int_equal(*(uint8_t *)guest_at(0x320000, 1), VIRTIO_NET_ERR);
		}
	}
	/* The queue of a driver that has not heard of it does nothing. */
	driver_start(d, F(CTRL_RX), 3);
	ring_offer(&d->ring[CTRL], 0);
	driver_ring_bell(d, CTRL);
	usleep(5000);
	assert_false(needs_reset(d));
}

/* Does the tap leave undone what the driver can do, and that alone? */
static void test_offloads(void **state)
{
	const uint64_t some = F(GUEST_CSUM) | F(GUEST_TSO4), none = 0, more = F(GUEST_TSO6);
	struct driver *d = &card;

	(void)state;
	driver_start(d, OFFLOADS, 3);
	assert_int_equal(tap->offloads, TAP_OFFLOADS);
	driver_start(d, (uint32_t)some | F(CTRL_VQ) | F(CTRL_GUEST_OFFLOADS), 3);
	assert_int_equal(tap->offloads, some);
	OK(d, CTRL, VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, &none, 8);
	assert_int_equal(tap->offloads, 0);
	REFUSED(d, CTRL, VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, &more,
		8);
	OK(d, CTRL, VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, &some, 8);
	assert_int_equal(tap->offloads, some);
	driver_start(d, 0, 3);
	assert_int_equal(tap->offloads, 0);
}

/* --- several pairs of queues --- */

/* Send a packet of @len bytes from queue @queue. */
static void send(struct driver *d, unsigned int queue, uint32_t len)
{
	ring_desc(&d->ring[queue], 0, buffer_at(3), HEADER + len, 0, 0);
	ring_offer(&d->ring[queue], 0);
	driver_ring_bell(d, queue);
	assert_int_equal(driver_wait(d, queue), 0);
}

/* Which queue is whose: does a packet of any of the tap's queues reach one that is in use? */
static void test_pairs(void **state)
{
	static const uint16_t wrong[] = {0, 4, 0xFFFF}, two = 2;
	struct driver *d = &many;
	uint8_t packet[64];

	(void)state;
	assert_int_equal(driver_get(d->config + 8, 2), 3);
	assert_true(fake_tap_queue("many", 2)->many && !tap->many);
	driver_start(d, F(CTRL_VQ) | F(MQ), 7);
	for (uint16_t i = 0; i < 4; i++) {
		give(d, 0, i, 2000);
		give(d, 2, 4 + i, 2000);
	}
	driver_ring_bell(d, 0);
	driver_ring_bell(d, 2);
	for (unsigned int i = 0; i < 3; i++) {
		from_wire(fake_tap_queue("many", i), 100 + i);
		expect_packet(d, 0, 100 + i, 1);
	}
	for (unsigned int i = 0; i < 3; i++)
		REFUSED(d, 6, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &wrong[i], 2);
	OK(d, 6, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &two, 2);
	for (unsigned int i = 0; i < 2; i++) {
		from_wire(fake_tap_queue("many", i), 200 + i);
		expect_packet(d, 2 * i, 200 + i, 1);
	}
	for (unsigned int i = 0; i < 3; i++) {
		send(d, 2 * i + 1, 20 + i);
		assert_int_equal(read(fake_tap_queue("many", i)->peer, packet, 64),
				 HEADER + 20 + i);
	}
	/* A driver of one pair: commands are in queue 2 again, and so are all packets in queue 0.
	 */
	driver_start(d, F(CTRL_VQ) | F(CTRL_RX), 3);
	OK(d, CTRL, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "\0", 1);
	give(d, 0, 0, 2000);
	driver_ring_bell(d, 0);
	from_wire(fake_tap_queue("many", 1), 300);
	expect_packet(d, 0, 300, 1);
}

/* What if a packet waits for buffers, and the queue that has them is used from then on? */
static void test_pairs_wait(void **state)
{
	static const uint16_t two = 2, one = 1;
	struct driver *d = &many;

	(void)state;
	driver_start(d, F(CTRL_VQ) | F(MQ), 7);
	OK(d, 6, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &two, 2);
	give(d, 0, 0, 2000);
	driver_ring_bell(d, 0);
	driver_ring_bell(d, 2);
	from_wire(fake_tap_queue("many", 1), 400);
	machine_wait(ring_used_flags(&d->ring[2]) == 0);
	OK(d, 6, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &one, 2);
	expect_packet(d, 0, 400, 1);
	/* Two wait for one queue: one that is served does not make the driver silent. */
	from_wire(fake_tap_queue("many", 0), 500);
	from_wire(fake_tap_queue("many", 2), 501);
	machine_wait(ring_used_flags(&d->ring[0]) == 0);
	usleep(5000);
	give(d, 0, 1, 2000);
	driver_ring_bell(d, 0);
	expect_packet(d, 0, 500, 1);
	assert_int_equal(ring_used_flags(&d->ring[0]), 0);
	give(d, 0, 2, 2000);
	driver_ring_bell(d, 0);
	expect_packet(d, 0, 501, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_spread, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_few, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_never_fits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_buffers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_filter, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_addresses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_commands, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_requests, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_offloads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pairs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pairs_wait, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
