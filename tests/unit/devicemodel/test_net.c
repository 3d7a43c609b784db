// SPDX-License-Identifier: BSD-3-Clause
/*
 * Do packets go both ways, whole and to the right one, and does the network card let go of the
 * guest's buffers when it is reset in the middle of traffic? The whole device model over fakes
 * of HSM and tap.
 */
// links: devicemodel/virtio/doorbell.c
// links: @machine devicemodel/virtio/queue.c devicemodel/virtio/chain.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/virtio.c devicemodel/virtio/pci_modern.c devicemodel/virtio/net.c
// links: tests/unit/devicemodel/driver_ring.c tests/unit/devicemodel/virtio_driver.c
// links: tests/unit/devicemodel/fake_tap.c
// links: devicemodel/virtio/net_control.c devicemodel/virtio/net_config.c
// links: devicemodel/virtio/net_vhost.c devicemodel/virtio/vhost.c devicemodel/virtio/irqfd.c
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
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
#include "virtio_driver.h"

#define RX     0U
#define TX     1U
#define W      VRING_DESC_F_WRITE
#define N      VRING_DESC_F_NEXT
#define HEADER 12U
#define BUFFER 1600U

static struct driver drivers[3];
static struct fake_tap *taps[3];

static uint64_t buffer_at(const struct driver *d, unsigned int i)
{
	return d->memory + 0x8000 + i * 0x800ULL;
}

/* Give receive buffer @i of 0..7. */
static void give(struct driver *d, uint16_t i, uint32_t len)
{
	memset(guest_at(buffer_at(d, i), 0x800), 0xEE, 0x800);
	ring_desc(&d->ring[RX], i, buffer_at(d, i), len, W, 0);
	ring_offer(&d->ring[RX], i);
}

static void give_all(struct driver *d)
{
	for (uint16_t i = 0; i < 8; i++)
		give(d, i, BUFFER);
	driver_ring_bell(d, RX);
}

static void from_wire(struct fake_tap *tap, const char *text)
{
	char packet[64] = {0};

	memcpy(packet + HEADER, text, strlen(text));
	assert_int_equal(write(tap->peer, packet, HEADER + strlen(text)), HEADER + strlen(text));
}

static int set_up(void **state)
{
	(void)state;
	log_set_level(0);
	fake_hsm_reset();
	machine_create("-s 0,hostbridge -s 5,virtio-net,tap=one,mac=02:11:22:aA:Bb:cc "
		       "-s 6,virtio-net,tap=two -s 7,virtio-net,vhost,tap=three,mac_seed=x");
	for (unsigned int i = 0; i < 3; i++) {
		static const char *const names[] = {"one", "two", "three"};

		driver_find(&drivers[i], 5 + i, 0x200000 + 0x10000 * i);
		assert_int_equal(driver_cfg_read(&drivers[i], 0, 4), 0x10001AF4);
		taps[i] = fake_tap_find(names[i]);
		assert_non_null(taps[i]);
		driver_start(&drivers[i], 1U << VIRTIO_NET_F_MAC, 2);
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	machine_destroy();
	fake_tap_reset();
	return 0;
}

static uint64_t cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* What if a tap is deleted under a running VM? No thread spins, and the other cards go on. */
static void test_tap_deleted(void **state)
{
	uint64_t before;

	(void)state;
	give_all(&drivers[0]);
	give_all(&drivers[1]);
	close(taps[0]->peer);
	taps[0]->peer = -1;
	usleep(50000);
	before = cpu_ms();
	usleep(400000);
	assert_true(cpu_ms() - before < 20);
	give_all(&drivers[0]);
	from_wire(taps[1], "second");
	assert_int_equal(driver_wait(&drivers[1], RX), HEADER + 6);
}

/* Which address does each card have? The one given, or one of its own that stays. */
static void test_mac(void **state)
{
	uint64_t mac[3];

	(void)state;
	for (unsigned int round = 0; round < 2; round++) {
		for (unsigned int i = 0; i < 3; i++) {
			uint64_t now = driver_get(drivers[i].config, 4) |
				       driver_get(drivers[i].config + 4, 2) << 32;

			assert_true(round == 0 || mac[i] == now);
			mac[i] = now;
			assert_int_equal(driver_get(drivers[i].config + 6, 2),
					 VIRTIO_NET_S_LINK_UP);
		}
		tear_down(state);
		set_up(state);
	}
	assert_int_equal(mac[0], 0xCCBBAA221102);
	assert_int_equal(mac[1] & 0xFFFFFF, 0x3E1600);
	assert_int_equal(mac[2] & 0xFFFFFF, 0x3E1600);
	assert_int_not_equal(mac[1], mac[2]);
}

/* What if the options are wrong, or the tap is taken? One line, and no device. */
static void test_options(void **state)
{
	static const struct {
		const char *config;
		int ret;
	} cases[] = {
		{NULL, -EINVAL},
		{"", -EINVAL},
		{"tap=", -EINVAL},
		{"vhost", -EINVAL},
		{"one", -EINVAL},
		{"tap=a,mac=", -EINVAL},
		{"tap=a,mac=02:11:22:33:44", -EINVAL},
		{"tap=a,mac=02:11:22:33:44:5", -EINVAL},
		{"tap=a,mac=02:11:22:33:44:555", -EINVAL},
		{"tap=a,mac=02:11:22:33:44:g5", -EINVAL},
		{"tap=a,mac=02:11:22:33: 4:55", -EINVAL},
		{"tap=a,mac=02-11-22-33-44-55", -EINVAL},
		{"tap=a,mac=01:11:22:33:44:55", -EINVAL},
		{"tap=a,mac=ff:ff:ff:ff:ff:ff", -EINVAL},
		{"tap=a,mac=00:00:00:00:00:00", -EINVAL},
		{"tap=a,mtu=9000", -EINVAL},
		{"tap=a,queues=", -EINVAL},
		{"tap=a,queues=0", -EINVAL},
		{"tap=a,queues=17", -EINVAL},
		{"tap=a,queues=4294967297", -EINVAL},
		{"tap=a,queues=2x", -EINVAL},
		{"tap=busy,queues=2", -EBUSY},
		{"user,queues=2", -EINVAL},
		{"tap=a,user", -EINVAL},
		{"tap=a,hostfwd=tcp::80-:80", -EINVAL},
		{"hostfwd=tcp::80-:80", -EINVAL},
		{"user,hostfwd", -EINVAL},
		{"tap=busy", -EBUSY},
	};
	SECTION_DECLARE(dm_pci_devices, struct pci_ops);
	static struct pci_device pci;
	char text[512];

	(void)state;
	SECTION_FOREACH(dm_pci_devices, struct pci_ops, it)
	{
		if (strcmp((*it)->name, "virtio-net") != 0)
			continue;
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			pci.vm = &machine;
			if ((*it)->init(&pci, cases[i].config) != cases[i].ret)
				fail_msg("%s", cases[i].config);
		}
		memset(text, 'x', sizeof(text));
		text[sizeof(text) - 1] = '\0';
		assert_int_equal((*it)->init(&pci, text), -EINVAL);
	}
}

/* Does what the guest sends reach its tap, and only that, from scattered buffers? */
static void test_send(void **state)
{
	char packet[2048];

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		struct driver *d = &drivers[i];
		unsigned int before = atomic_load(&fake_hsm.msis);
		char text[32];

		snprintf(text, sizeof(text), "hello from %u", i);
		memset(guest_at(buffer_at(d, 0), 64), 0, 64);
		memcpy(guest_at(buffer_at(d, 0) + HEADER, 3), text, 3);
		memcpy(guest_at(buffer_at(d, 1), 32), text + 3, strlen(text) - 3);
		ring_desc(&d->ring[TX], 0, buffer_at(d, 0), 5, N, 1);
		ring_desc(&d->ring[TX], 1, buffer_at(d, 0) + 5, HEADER + 3 - 5, N, 2);
		ring_desc(&d->ring[TX], 2, buffer_at(d, 1), (uint32_t)strlen(text) - 3, 0, 0);
		ring_offer(&d->ring[TX], 0);
		driver_ring_bell(d, TX);
		assert_int_equal(driver_wait(d, TX), 0);
		assert_int_equal(fake_hsm.msi[before % FAKE_HSM_MSIS].msi_data, driver_msi(d, 2));
		assert_int_equal(read(taps[i]->peer, packet, sizeof(packet)),
				 HEADER + strlen(text));
		assert_memory_equal(packet + HEADER, text, strlen(text));
		assert_true(read(taps[1 - i]->peer, packet, sizeof(packet)) < 0);
	}
}

/* Does what comes from the wire reach the right guest, one packet a buffer? */
static void test_receive(void **state)
{
	struct driver *d = &drivers[0];
	unsigned int before;

	(void)state;
	give_all(d);
	give_all(&drivers[1]);
	before = atomic_load(&fake_hsm.msis);
	from_wire(taps[0], "first");
	assert_int_equal(driver_wait(d, RX), HEADER + 5);
	assert_memory_equal(guest_at(buffer_at(d, 0) + HEADER, 5), "first", 5);
	machine_wait(atomic_load(&fake_hsm.msis) == before + 1);
	assert_int_equal(fake_hsm.msi[before % FAKE_HSM_MSIS].msi_data, driver_msi(d, 1));
	from_wire(taps[0], "second one");
	from_wire(taps[0], "third");
	assert_int_equal(driver_wait(d, RX), HEADER + 10);
	assert_int_equal(driver_wait(d, RX), HEADER + 5);
	assert_memory_equal(guest_at(buffer_at(d, 2) + HEADER, 5), "third", 5);
	assert_int_equal(*(uint8_t *)guest_at(buffer_at(&drivers[1], 0) + HEADER, 1), 0xEE);
}

/* What if packets come before the driver, or after it has run out of buffers? They wait. */
static void test_no_buffers(void **state)
{
	struct driver *d = &drivers[0];
	uint32_t id, len;

	(void)state;
	from_wire(taps[0], "early");
	usleep(5000);
	assert_false(ring_take(&d->ring[RX], &id, &len));
	for (unsigned int round = 0; round < 20; round++) {
		/* It wants to hear of new buffers now, and not while it has one. */
		machine_wait(ring_used_flags(&d->ring[RX]) == 0);
		give(d, 0, BUFFER);
		driver_ring_bell(d, RX);
		assert_int_equal(driver_wait(d, RX), HEADER + 5);
		from_wire(taps[0], "later");
		usleep(500);
	}
}

/* What if a receive buffer is too small, or for reading? */
static void test_bad_buffers(void **state)
{
	struct driver *d = &drivers[0];

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		driver_start(d, 0, 2);
		if (i == 0)
			give(d, 0, HEADER + 100);
		else
			ring_desc(&d->ring[RX], 0, buffer_at(d, 0), BUFFER, 0, 0),
				ring_offer(&d->ring[RX], 0);
		driver_ring_bell(d, RX);
		from_wire(taps[0], "lost");
		machine_wait(driver_get(d->common + VIRTIO_PCI_COMMON_STATUS, 1) &
			     VIRTIO_CONFIG_S_NEEDS_RESET);
	}
	driver_start(d, 0, 2);
	give_all(d);
	from_wire(taps[0], "again");
	assert_int_equal(driver_wait(d, RX), HEADER + 5);
}

/* What if the guest sends nonsense, or more than the tap takes? Lost, and life goes on. */
static void test_bad_packets(void **state)
{
	struct driver *d = &drivers[0];

	(void)state;
	ring_desc(&d->ring[TX], 0, buffer_at(d, 0), 64, W, 0); /* nothing to read */
	ring_desc(&d->ring[TX], 1, d->memory, 0x10000, 0, 0);
	ring_offer(&d->ring[TX], 0);
	driver_ring_bell(d, TX);
	assert_int_equal(driver_wait(d, TX), 0);
	for (unsigned int i = 0; i < 200; i++) { /* until the socket is full, and on */
		ring_offer(&d->ring[TX], 1);
		driver_ring_bell(d, TX);
		assert_int_equal(driver_wait(d, TX), 0);
	}
	assert_int_equal(driver_get(d->common + VIRTIO_PCI_COMMON_STATUS, 1) &
				 VIRTIO_CONFIG_S_NEEDS_RESET,
			 0);
}

/* What if a packet is longer than any can be? It is not even offered to the tap. */
static void test_giant(void **state)
{
	struct driver *d = &drivers[0];
	static char packet[0x20000];

	(void)state;
	for (unsigned int i = 0; i < 2; i++)
		ring_desc(&d->ring[TX], i, 0x300000, i == 0 ? HEADER : 0xFFFF + 14 + 4,
			  i == 0 ? N : 0, 1);
	for (unsigned int i = 0; i < 2; i++) {
		ring_offer(&d->ring[TX], 0);
		driver_ring_bell(d, TX);
		assert_int_equal(driver_wait(d, TX), 0);
		if (i == 0)
			assert_int_equal(read(taps[0]->peer, packet, sizeof(packet)),
					 HEADER + 0xFFFF + 14 + 4);
		ring_desc(&d->ring[TX], 1, 0x300000, 0xFFFF + 14 + 4 + 1, 0, 0);
	}
	assert_true(read(taps[0]->peer, packet, sizeof(packet)) < 0);
}

static _Atomic bool stop_flood;

static void *flood(void *arg)
{
	struct fake_tap *tap = arg;
	static const char packet[100];

	/* A trickle, so that it is the event loop that finds most of them. */
	while (!atomic_load(&stop_flood)) {
		if (write(tap->peer, packet, sizeof(packet)) < 0)
			usleep(50);
		for (volatile unsigned int spin = 0; spin < 3000; spin++)
			;
	}
	return NULL;
}

/*
 * What if the device is reset while packets stream in? Nothing is written after status 0, and
 * nobody stumbles over a ring that goes away under him.
 */
static void test_reset_in_traffic(void **state)
{
	struct driver *d = &drivers[0];
	pthread_t thread;

	(void)state;
	atomic_store(&stop_flood, false);
	pthread_create(&thread, NULL, flood, taps[0]);
	for (unsigned int round = 0; round < 5000; round++) {
		driver_start(d, 0, 2);
		for (unsigned int i = 0; i < 16; i++)
			ring_desc(&d->ring[RX], i, buffer_at(d, i % 8), BUFFER, W, 0);
		for (uint16_t i = 0; i < 16; i++)
			ring_offer(&d->ring[RX], i);
		driver_ring_bell(d, RX);
		for (volatile unsigned int spin = 0; spin < round % 64 * 500; spin++)
			;
		driver_put(d->common + VIRTIO_PCI_COMMON_STATUS, 1, 0);
	}
	for (unsigned int round = 0; round < 100; round++) {
		driver_start(d, 0, 2);
		give_all(d);
		if (round % 2 != 0)
			(void)driver_wait(d, RX);
		driver_put(d->common + VIRTIO_PCI_COMMON_STATUS, 1, 0);
		assert_int_equal(driver_get(d->common + VIRTIO_PCI_COMMON_STATUS, 1), 0);
		memset(guest_at(d->memory, 0x10000), 0xDD, 0x10000);
		usleep(300);
		for (unsigned int i = 0; i < 0x10000; i += 8)
			assert_int_equal(*(uint8_t *)guest_at(d->memory + i, 1), 0xDD);
	}
	atomic_store(&stop_flood, true);
	pthread_join(thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_mac, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_options, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_send, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_receive, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_buffers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_buffers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_packets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_giant, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tap_deleted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reset_in_traffic, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
