// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does the kernel's vhost get what it needs to serve a network card, do doorbells and interrupts
 * go by acrn-dm then, and what if there is no vhost, or it refuses? The whole device model over
 * fakes of HSM, tap and vhost; the test is what the kernel would be.
 */
// links: @machine devicemodel/virtio/queue.c devicemodel/virtio/chain.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/virtio.c devicemodel/virtio/pci_modern.c devicemodel/virtio/net.c
// links: devicemodel/virtio/net_control.c devicemodel/virtio/net_config.c
// links: devicemodel/virtio/net_vhost.c devicemodel/virtio/vhost.c devicemodel/virtio/irqfd.c
// links: devicemodel/virtio/doorbell.c
// links: tests/unit/devicemodel/driver_ring.c tests/unit/devicemodel/virtio_driver.c
// links: tests/unit/devicemodel/fake_tap.c tests/unit/devicemodel/fake_vhost.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
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
#include "fake_vhost.h"
#include "gmem.h"
#include "log.h"
#include "pci.h"
#include "virtio_driver.h"

#define F(bit)	 (1U << VIRTIO_NET_F_##bit)
#define MASKED	 1U
#define GSI_OF_5 21U

static struct driver card;

static void create(const char *options)
{
	fake_hsm_reset();
	machine_create(options);
	driver_find(&card, 5, 0x200000);
}

static int set_up(void **state)
{
	(void)state;
	log_set_level(0);
	fake_vhost_reset();
	create("-s 0,hostbridge -s 5,virtio-net,tap=one,vhost");
	return 0;
}

static unsigned int known_to_hsm(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < FAKE_HSM_IRQFDS; i++)
		n += fake_hsm.irqfd[i].fd != 0;
	for (unsigned int i = 0; i < FAKE_HSM_DOORBELLS; i++)
		n += fake_hsm.doorbell[i].len != 0;
	return n;
}

static int tear_down(void **state)
{
	(void)state;
	machine_destroy();
	fake_tap_reset();
	for (unsigned int i = 0; i < FAKE_VHOSTS; i++)
		for (unsigned int r = 0; r < 2 && fake_vhost[i].fd != 0; r++)
			assert_false(fake_vhost_serves(&fake_vhost[i].ring[r]));
	assert_int_equal(known_to_hsm(), 0);
	return 0;
}

static bool needs_reset(void)
{
	return (driver_get(card.common + VIRTIO_PCI_COMMON_STATUS, 1) &
		VIRTIO_CONFIG_S_NEEDS_RESET) != 0;
}

static void reset(void)
{
	driver_put(card.common + VIRTIO_PCI_COMMON_STATUS, 1, 0);
}

/* Messages of queue @queue that the guest got so far. */
static unsigned int messages(unsigned int queue)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < fake_hsm.msis; i++)
		n += fake_hsm.msi[i].msi_data == driver_msi(&card, queue + 1);
	return n;
}

static void mask(unsigned int queue, bool on)
{
	driver_put(card.msix_table + 16 * (queue + 1) + 12, 4, on ? MASKED : 0);
}

/* Is all of ring @i what the driver set up, and the tap behind it? */
static void expect_ring(const struct fake_vhost *v, unsigned int i, const struct ring *r)
{
	const struct fake_vhost_ring *ring = &v->ring[i];

	assert_true(fake_vhost_serves(ring));
	assert_int_equal(ring->size, 16);
	assert_ptr_equal(ring->addr.desc_user_addr, guest_at(r->desc, 1));
	assert_ptr_equal(ring->addr.avail_user_addr, guest_at(r->avail, 1));
	assert_ptr_equal(ring->addr.used_user_addr, guest_at(r->used, 1));
	assert_true(fake_vhost_kicked(ring));
	assert_false(fake_vhost_kicked(ring));
}

/* Does vhost get rings, memory, features and tap, and the HSM doorbells and interrupts? */
static void test_serves(void **state)
{
	struct fake_vhost *v = &fake_vhost[0];
	struct fake_tap *tap = fake_tap_find("one");
	uint8_t packet[64] = {0};

	(void)state;
	assert_string_equal(v->path, "/dev/vhost-net");
	assert_int_equal(v->regions, 1);
	assert_ptr_equal(v->region[0].userspace_addr, guest_at(0, 1));
	assert_int_equal(v->region[0].memory_size, machine.cfg.mem_size);
	driver_start(&card, F(MRG_RXBUF) | F(CTRL_VQ) | F(CTRL_RX) | F(GUEST_CSUM), 3);
	for (unsigned int i = 0; i < 2; i++)
		expect_ring(v, i, &card.ring[i]);
	assert_int_equal(v->features, 1ULL << VIRTIO_F_VERSION_1 | F(MRG_RXBUF));
	assert_int_equal(tap->header, 12);
	assert_int_equal(tap->offloads, F(GUEST_CSUM));
	for (unsigned int i = 0; i < 2; i++) {
		assert_true(fake_hsm_ring((uint16_t)(card.bell + 4 * i)));
		assert_true(fake_vhost_kicked(&v->ring[i]));
		driver_ring_bell(&card, i); /* as a request */
		assert_true(fake_vhost_kicked(&v->ring[i]));
		assert_false(fake_vhost_kicked(&v->ring[1 - i]));
		fake_hsm_signal(v->ring[i].call);
		assert_int_equal(messages(i), 1);
	}
	/* Packets are none of acrn-dm's business. */
	assert_int_equal(write(tap->peer, packet, 64), 64);
	ring_desc(&card.ring[0], 0, 0x300000, 2000, VRING_DESC_F_WRITE, 0);
	ring_offer(&card.ring[0], 0);
	driver_ring_bell(&card, 0);
	usleep(5000);
	assert_int_equal(ring_used_flags(&card.ring[0]), 0);
	assert_int_equal(messages(0), 1);
}

/* Does the control queue work as ever, by a doorbell of its own? */
static void test_control(void **state)
{
	uint8_t *at = guest_at(0x3F0000, 16);

	(void)state;
	driver_start(&card, F(CTRL_VQ) | F(CTRL_RX), 3);
	at[0] = VIRTIO_NET_CTRL_RX;
	at[1] = VIRTIO_NET_CTRL_RX_PROMISC;
	at[3] = 0xEE;
	ring_desc(&card.ring[2], 0, 0x3F0000, 3, VRING_DESC_F_NEXT, 1);
	ring_desc(&card.ring[2], 1, 0x3F0003, 1, VRING_DESC_F_WRITE, 0);
	ring_offer(&card.ring[2], 0);
	assert_true(fake_hsm_ring((uint16_t)(card.bell + 8)));
	assert_int_equal(driver_wait(&card, 2), 1);
	assert_int_equal(at[3], VIRTIO_NET_OK);
	assert_int_equal(fake_tap_find("one")->count, 2);
}

/* What if a vector is masked, moved, taken away, or messages are off? No interrupt is lost. */
static void test_messages(void **state)
{
	const struct fake_vhost_ring *rx = &fake_vhost[0].ring[0];
	unsigned int calls;

	(void)state;
	driver_start(&card, 0, 2);
	mask(0, true);
	fake_hsm_signal(rx->call);
	usleep(5000);
	assert_int_equal(messages(0), 0);
	mask(0, false);
	assert_int_equal(messages(0), 1);
	/* Unmasked, it is the HSM's again; and what it was told is not told once more. */
	fake_hsm_signal(rx->call);
	assert_int_equal(messages(0), 2);
	mask(0, true);
	mask(0, false);
	usleep(5000);
	assert_int_equal(messages(0), 2);
	/* A signal while it changes hands: the HSM finds it. */
	driver_put(card.msix_table + 16 + 8, 4, driver_msi(&card, 1) + 64);
	fake_hsm_signal(rx->call);
	driver_put(card.msix_table + 16 + 8, 4, driver_msi(&card, 1));
	assert_int_equal(fake_hsm.msi[fake_hsm.msis - 1].msi_data, driver_msi(&card, 1) + 64);
	calls = atomic_load(&fake_hsm.calls[0x71]);
	driver_put(card.msix_table + 16 + 8, 4, driver_msi(&card, 1)); /* the same */
	assert_int_equal(fake_hsm.calls[0x71], calls);
	/* An address that is no interrupt's is not the HSM's to write to. */
	driver_put(card.msix_table + 16, 4, 0x1000);
	fake_hsm_signal(rx->call);
	usleep(5000);
	assert_int_equal(messages(0), 2);
	driver_put(card.msix_table + 16, 4, DRIVER_MSI);
	/* A queue without a vector is silent. */
	driver_put(card.common + VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	driver_put(card.common + VIRTIO_PCI_COMMON_Q_MSIX, 2, VIRTIO_MSI_NO_VECTOR);
	fake_hsm_signal(rx->call);
	usleep(5000);
	assert_int_equal(messages(0), 2);
	driver_put(card.common + VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	fake_hsm_signal(rx->call);
	assert_int_equal(messages(0), 3);
}

/* What if the guest has no MSI-X, or the HSM no irqfd? acrn-dm raises the interrupt. */
static void test_by_hand(void **state)
{
	const struct fake_vhost_ring *rx = &fake_vhost[0].ring[0];

	(void)state;
	driver_start(&card, 0, 2);
	driver_set_msix(&card, false);
	fake_hsm_signal(rx->call);
	machine_wait(fake_hsm.line[GSI_OF_5]);
	assert_int_equal(driver_get(card.isr, 1), 1);
	assert_false(fake_hsm.line[GSI_OF_5]);
	assert_int_equal(messages(0), 0);
	/* What is signalled last is not heard of after a reset. */
	fake_hsm_signal(rx->call);
	reset();
	assert_int_equal(driver_get(card.isr, 1), 0);
	usleep(5000);
	assert_false(fake_hsm.line[GSI_OF_5]);
	fake_hsm.fail[0x71] = ENOSPC;
	driver_set_msix(&card, true);
	driver_start(&card, 0, 2);
	fake_hsm_signal(rx->call);
	machine_wait(messages(0) == 1);
	fake_hsm.fail[0x71] = 0;
}

/* Do reset and restart leave nothing behind, the guest's and the machine's? */
static void test_reset(void **state)
{
	struct fake_vhost *v = &fake_vhost[0];

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		driver_start(&card, 0, 2);
		expect_ring(v, 0, &card.ring[0]);
		expect_ring(v, 1, &card.ring[1]);
		assert_int_not_equal(known_to_hsm(), 0);
		if (i == 0)
			pci_bus_reset(&machine);
		else
			reset();
		assert_false(fake_vhost_serves(&v->ring[0]) || fake_vhost_serves(&v->ring[1]));
		assert_int_equal(known_to_hsm(), 0);
		driver_find(&card, 5, 0x200000);
	}
	assert_int_equal(fake_vhost[1].fd, 0);
}

/* What if /dev/vhost-net is not there, is another's, or does not know what is needed? */
static void test_refused(void **state)
{
	uint8_t packet[64];

	(void)state;
	for (unsigned int round = 0; round < 4; round++) {
		tear_down(NULL);
		fake_vhost_reset();
		fake_vhost_missing = round == 0 ? ENOENT : 0;
		fake_vhost_fail[VHOST_SET_OWNER & 0xFF] = round == 1 ? ENOMEM : 0;
		fake_vhost_fail[VHOST_SET_MEM_TABLE & 0xFF] = round == 2 ? ENOMEM : 0;
		if (round == 3)
			fake_vhost_features &= ~(uint64_t)F(MRG_RXBUF);
		create("-s 0,hostbridge -s 5,virtio-net,tap=one,vhost");
		driver_start(&card, 0, 2);
		ring_desc(&card.ring[1], 0, 0x300000, 52, 0, 0);
		ring_offer(&card.ring[1], 0);
		driver_ring_bell(&card, 1);
		assert_int_equal(driver_wait(&card, 1), 0);
		assert_int_equal(read(fake_tap_find("one")->peer, packet, 64), 52);
	}
	/* And what has no tap has none: it is said before anything is opened. */
	tear_down(NULL);
	fake_hsm_reset();
	assert_int_equal(machine_try("-s 0,hostbridge -s 6,virtio-net,user,vhost"), -EINVAL);
	set_up(NULL);
}

/* What if it refuses a ring, or finds one broken? The driver is told, and may try again. */
static void test_broken(void **state)
{
	static const unsigned long codes[] = {VHOST_SET_FEATURES,   VHOST_SET_VRING_NUM,
					      VHOST_SET_VRING_ADDR, VHOST_SET_VRING_KICK,
					      VHOST_SET_VRING_CALL, VHOST_NET_SET_BACKEND};
	const struct fake_vhost *v = &fake_vhost[0];

	(void)state;
	for (unsigned int i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		reset();
		fake_vhost_fail[codes[i] & 0xFF] = EFAULT;
		driver_program(&card, 0, 2);
		assert_true(needs_reset());
		fake_vhost_fail[codes[i] & 0xFF] = 0;
		driver_start(&card, 0, 2);
		assert_true(fake_vhost_serves(&v->ring[1]));
	}
	fake_hsm_signal(v->ring[1].error);
	machine_wait(needs_reset());
	driver_start(&card, 0, 2);
	expect_ring(v, 1, &card.ring[1]);
}

/* What if a ring is outside of the guest's memory, or there is none? vhost never hears of it. */
static void test_hostile(void **state)
{
	const struct fake_vhost *v = &fake_vhost[0];

	(void)state;
	driver_start(&card, 0, 1);
	assert_true(fake_vhost_serves(&v->ring[0]));
	assert_false(fake_vhost_serves(&v->ring[1]));
	driver_ring_bell(&card, 1);
	driver_put(card.common + VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	driver_put(card.common + VIRTIO_PCI_COMMON_Q_DESCLO, 8, machine.cfg.mem_size);
	driver_put(card.common + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	assert_true(needs_reset());
	driver_ring_bell(&card, 1);
	assert_false(fake_vhost_serves(&v->ring[1]));
	assert_int_equal(v->ring[1].addr.desc_user_addr, 0);
}

/* Several pairs: which queue is whose, and does the tap leave out what the driver does not use? */
static void test_pairs(void **state)
{
	static const uint8_t use_two[] = {VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 2, 0,
					  0xEE};
	uint8_t *at;

	(void)state;
	tear_down(NULL);
	fake_vhost_reset();
	create("-s 0,hostbridge -s 5,virtio-net,tap=many,queues=3,vhost");
	at = guest_at(0x3F0000, 16);
	driver_start(&card, F(CTRL_VQ) | F(MQ), 7);
	for (unsigned int i = 0; i < 6; i++)
		expect_ring(&fake_vhost[i / 2], i % 2, &card.ring[i]);
	assert_false(fake_tap_queue("many", 0)->unused);
	assert_true(fake_tap_queue("many", 1)->unused && fake_tap_queue("many", 2)->unused);
	memcpy(at, use_two, sizeof(use_two));
	ring_desc(&card.ring[6], 0, 0x3F0000, 4, VRING_DESC_F_NEXT, 1);
	ring_desc(&card.ring[6], 1, 0x3F0004, 1, VRING_DESC_F_WRITE, 0);
	ring_offer(&card.ring[6], 0);
	driver_ring_bell(&card, 6);
	assert_int_equal(driver_wait(&card, 6), 1);
	assert_int_equal(at[4], VIRTIO_NET_OK);
	assert_false(fake_tap_queue("many", 1)->unused);
	assert_true(fake_tap_queue("many", 2)->unused);
	/* For a driver of one pair, queue 2 is of commands. */
	driver_start(&card, F(CTRL_VQ), 3);
	assert_true(fake_tap_queue("many", 1)->unused);
	assert_true(fake_vhost_serves(&fake_vhost[0].ring[1]));
	assert_false(fake_vhost_serves(&fake_vhost[1].ring[0]));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_serves),	 T(test_control), T(test_messages), T(test_by_hand), T(test_reset),
		T(test_refused), T(test_broken),  T(test_hostile),  T(test_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
