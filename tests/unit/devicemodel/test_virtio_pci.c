// SPDX-License-Identifier: BSD-3-Clause
/*
 * Do the registers do what virtio 1.2 section 4.1.4.3 says, and do they stand what a hostile
 * driver writes? The real pci_modern.c, virtio.c and queue.c over a fake PCI core.
 */
// links: devicemodel/virtio/queue.c devicemodel/virtio/chain.c devicemodel/virtio/virtio.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/pci_modern.c devicemodel/core/log.c
// links: tests/unit/devicemodel/fake_virtio.c tests/unit/devicemodel/fake_guest.c
// links: tests/unit/devicemodel/driver_ring.c
// links: tests/unit/devicemodel/fake_pci.c
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include <linux/virtio_ring.h>

#include "fake_virtio.h"

/*
 * What does each register do at each width? Its own width works, every other access reads all
 * ones and writes nothing, and no access anywhere does harm.
 */
static void test_every_register(void **state)
{
	static const struct {
		uint8_t offset, size;
		uint64_t reset, write, after;
	} regs[] = {
		{VIRTIO_PCI_COMMON_DFSELECT, 4, 0, 0xFFFFFFFF, 0xFFFFFFFF},
		{VIRTIO_PCI_COMMON_DF, 4, 0x30000020, 0xFFFFFFFF, 0x30000020},
		{VIRTIO_PCI_COMMON_GFSELECT, 4, 0, 0xFFFFFFFF, 0xFFFFFFFF},
		{VIRTIO_PCI_COMMON_GF, 4, 0, 0xFFFFFFFF, 0xFFFFFFFF},
		{VIRTIO_PCI_COMMON_MSIX, 2, 0xFFFF, QUEUES, QUEUES},
		{VIRTIO_PCI_COMMON_MSIX, 2, 0xFFFF, QUEUES + 1, 0xFFFF},
		{VIRTIO_PCI_COMMON_NUMQ, 2, QUEUES, 0xFFFF, QUEUES},
		{VIRTIO_PCI_COMMON_STATUS, 1, 0, 0x83, 0x83},
		{VIRTIO_PCI_COMMON_STATUS, 1, 0, RESET_ME, 0},
		{VIRTIO_PCI_COMMON_CFGGENERATION, 1, 0, 0xFF, 0},
		{VIRTIO_PCI_COMMON_Q_SELECT, 2, 0, 0xFFFF, 0xFFFF},
		{VIRTIO_PCI_COMMON_Q_SIZE, 2, QUEUE_MAX, 3, 3},
		{VIRTIO_PCI_COMMON_Q_MSIX, 2, 0xFFFF, 1, 1},
		{VIRTIO_PCI_COMMON_Q_MSIX, 2, 0xFFFF, 0x1001, 0xFFFF},
		{VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0, 0, 0},
		{VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0, 2, 0},
		{VIRTIO_PCI_COMMON_Q_NOFF, 2, 0, 0xFFFF, 0},
		{VIRTIO_PCI_COMMON_Q_DESCLO, 4, 0, 0xFFFFFFFF, 0xFFFFFFFF},
		{VIRTIO_PCI_COMMON_Q_DESCHI, 4, 0, 0xFFFFFFFF, 0xFFFFFFFF},
		{VIRTIO_PCI_COMMON_Q_AVAILLO, 4, 0, 0x12345678, 0x12345678},
		{VIRTIO_PCI_COMMON_Q_AVAILHI, 4, 0, 0x9ABCDEF0, 0x9ABCDEF0},
		{VIRTIO_PCI_COMMON_Q_USEDLO, 4, 0, 0x12345678, 0x12345678},
		{VIRTIO_PCI_COMMON_Q_USEDHI, 4, 0, 0x9ABCDEF0, 0x9ABCDEF0},
		{VIRTIO_PCI_COMMON_Q_DESCLO, 8, 0, UINT64_MAX, UINT64_MAX},
		{VIRTIO_PCI_COMMON_Q_AVAILLO, 8, 0, 0x123456789ABCDEF0, 0x123456789ABCDEF0},
		{VIRTIO_PCI_COMMON_Q_USEDLO, 8, 0, 0x123456789ABCDEF0, 0x123456789ABCDEF0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(regs) / sizeof(regs[0]); i++) {
		set_status(0);
		assert_int_equal(get(regs[i].offset, regs[i].size), regs[i].reset);
		put(regs[i].offset, regs[i].size, regs[i].write);
		assert_int_equal(get(regs[i].offset, regs[i].size), regs[i].after);
	}
	for (uint64_t offset = 0; offset < 0x1000; offset++) {
		for (unsigned int size = 1; size <= 8; size *= 2) {
			bool known = false;

			for (size_t i = 0; i < sizeof(regs) / sizeof(regs[0]); i++)
				known |= regs[i].offset == offset && regs[i].size == size;
			if (known)
				continue;
			set_status(0);
			put(offset, size, 0x0101010101010101);
			assert_int_equal(get(offset, size),
					 size == 8 ? UINT64_MAX : (1ULL << size * 8) - 1);
			assert_int_equal(status(), 0);
		}
	}
}

/* What if no such queue is selected? It has no entries and writes go nowhere. */
static void test_no_such_queue(void **state)
{
	static const uint16_t selects[] = {QUEUES, 0x7FFF, 0xFFFF};

	(void)state;
	negotiate();
	for (unsigned int i = 0; i < 3; i++) {
		put(VIRTIO_PCI_COMMON_Q_SELECT, 2, selects[i]);
		for (uint64_t offset = VIRTIO_PCI_COMMON_Q_DESCLO; offset < 0x38; offset += 4) {
			put(offset, 4, 0x1000);
			assert_int_equal(get(offset, 4), 0);
		}
		for (uint64_t offset = VIRTIO_PCI_COMMON_Q_SIZE; offset < 0x20; offset += 2) {
			put(offset, 2, 1);
			assert_int_equal(get(offset, 2),
					 offset == VIRTIO_PCI_COMMON_Q_MSIX ? 0xFFFF : 0);
		}
	}
	assert_int_equal(status(), ACK | DRIVER | FEAT_OK);
}

/* Which features does the driver see, and which may it take? */
static void test_features(void **state)
{
	uint64_t all = VIRTIO_FEATURE(VIRTIO_F_VERSION_1) |
		       VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC) |
		       VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX) | VIRTIO_FEATURE(FEATURE);
	const struct {
		uint64_t accept;
		bool ok;
	} cases[] = {
		{all, true},
		{VIRTIO_FEATURE(VIRTIO_F_VERSION_1), true},
		{0, false}, /* a legacy driver */
		{all & ~VIRTIO_FEATURE(VIRTIO_F_VERSION_1), false},
		{all | VIRTIO_FEATURE(0), false},
		{all | VIRTIO_FEATURE(63), false},
		{UINT64_MAX, false},
	};

	(void)state;
	for (uint32_t sel = 0; sel < 4; sel++) {
		put(VIRTIO_PCI_COMMON_DFSELECT, 4, sel);
		assert_int_equal(get(VIRTIO_PCI_COMMON_DF, 4),
				 sel < 2 ? (uint32_t)(all >> (sel * 32)) : 0);
	}
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set_status(0);
		set_status(ACK | DRIVER);
		accept_features(cases[i].accept);
		/* There is no third word. */
		put(VIRTIO_PCI_COMMON_GFSELECT, 4, 2);
		put(VIRTIO_PCI_COMMON_GF, 4, 0xFFFFFFFF);
		assert_int_equal(get(VIRTIO_PCI_COMMON_GF, 4), 0);
		set_status(ACK | DRIVER | FEAT_OK);
		assert_int_equal((status() & FEAT_OK) != 0, cases[i].ok);
		/* Without it the driver cannot go on, and with it the features are fixed. */
		set_status(ACK | DRIVER | FEAT_OK | DRV_OK);
		assert_int_equal((status() & DRV_OK) != 0, cases[i].ok);
		accept_features(0);
		assert_int_equal(dev->accepted, cases[i].ok ? cases[i].accept : 0);
	}
}

/* What if the driver clears bits, sets NEEDS_RESET, or skips steps? */
static void test_status(void **state)
{
	(void)state;
	set_status(DRV_OK);
	assert_int_equal(status(), 0);
	set_status(0xFF & ~FEAT_OK);
	assert_int_equal(status(), 0xFF & ~FEAT_OK & ~DRV_OK & ~RESET_ME);
	set_status(0);
	assert_int_equal(status(), 0);
	negotiate();
	set_status(ACK);
	assert_int_equal(status(), ACK | DRIVER | FEAT_OK);
	put(VIRTIO_PCI_COMMON_STATUS, 1, 0x100); /* the byte is 0: a reset */
	assert_int_equal(status(), 0);
}

/* What does a reset leave? Nothing. */
static void test_reset(void **state)
{
	struct ring r;
	unsigned int before;

	(void)state;
	negotiate();
	ring_init(&r, 0x1000, 8);
	aim_queue(1, &r);
	put(VIRTIO_PCI_COMMON_Q_MSIX, 2, 2);
	put(VIRTIO_PCI_COMMON_MSIX, 2, 1);
	put(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	assert_int_equal(get(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	fake.msix = false;
	virtio_queue_interrupt(dev, &dev->queue[1]);
	assert_true(atomic_load(&fake.intx));

	before = stops;
	set_status(0);
	assert_int_equal(stops, before + 1);
	assert_false(atomic_load(&fake.intx));
	assert_int_equal(get(ISR, 1), 0);
	assert_int_equal(get(VIRTIO_PCI_COMMON_MSIX, 2), 0xFFFF);
	assert_int_equal(get(VIRTIO_PCI_COMMON_Q_SELECT, 2), 0);
	put(VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	assert_int_equal(get(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	assert_int_equal(get(VIRTIO_PCI_COMMON_Q_SIZE, 2), QUEUE_MAX);
	assert_int_equal(get(VIRTIO_PCI_COMMON_Q_MSIX, 2), 0xFFFF);
	assert_int_equal(get(VIRTIO_PCI_COMMON_Q_DESCLO, 8), 0);
	assert_int_equal(dev->accepted, 0);
}

/* What if a live ring is moved, resized or enabled again? It stays. */
static void test_live_ring(void **state)
{
	struct ring r, other;

	(void)state;
	negotiate();
	ring_init(&r, 0x1000, 8);
	ring_init(&other, 0x10000, 32);
	aim_queue(0, &r);
	put(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	aim_queue(0, &other);
	put(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	put(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0);
	assert_int_equal(get(VIRTIO_PCI_COMMON_Q_SIZE, 2), 8);
	assert_int_equal(get(VIRTIO_PCI_COMMON_Q_DESCLO, 8), r.desc);
	assert_int_equal(get(VIRTIO_PCI_COMMON_Q_AVAILLO, 8), r.avail);
	assert_int_equal(get(VIRTIO_PCI_COMMON_Q_USEDLO, 8), r.used);
	assert_int_equal(get(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	assert_ptr_equal(dev->queue[0].desc, guest_at(r.desc, 1));
	assert_int_equal(status() & RESET_ME, 0);
}

/* What if a ring is bad, or comes before the features are fixed? The device says so. */
static void test_bad_ring(void **state)
{
	struct ring r;

	(void)state;
	ring_init(&r, 0x1000, 8);
	for (unsigned int i = 0; i < 4; i++) {
		struct ring bad = r;

		set_status(0);
		if (i != 0)
			negotiate();
		if (i == 1)
			bad.size = 6;
		if (i == 2)
			bad.used = GUEST_LOW;
		if (i == 3)
			bad.desc = UINT64_MAX & ~15ULL;
		aim_queue(2, &bad);
		put(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
		assert_int_equal(get(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
		assert_int_equal(status() & RESET_ME, RESET_ME);
		/* The driver cannot write it away, only reset. */
		set_status(ACK | DRIVER | FEAT_OK | DRV_OK);
		assert_int_equal(status() & RESET_ME, RESET_ME);
	}
	negotiate();
	aim_queue(2, &r);
	put(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	assert_int_equal(status(), ACK | DRIVER | FEAT_OK);
}

/* Which doorbells reach the device? Those of live queues, after DRIVER_OK, until it breaks. */
static void test_doorbells(void **state)
{
	struct ring r;

	(void)state;
	negotiate();
	ring_init(&r, 0x1000, 8);
	aim_queue(1, &r);
	put(NOTIFY + 4, 2, 1);
	put(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	assert_int_equal(get(VIRTIO_PCI_COMMON_Q_NOFF, 2), 1);
	put(NOTIFY + 4, 2, 1);
	assert_int_equal(kicks[1], 0);
	set_status(ACK | DRIVER | FEAT_OK | DRV_OK);
	assert_int_equal(kicks[1], 1); /* for what was rung too early */

	put(NOTIFY + 4, 2, 1);
	assert_int_equal(kicks[1], 2);
	pci_modern_bar_write(&fake.pci, BAR_NOTIFY, 4, 2, 1);
	assert_int_equal(kicks[1], 3);
	put(NOTIFY + 4, 4, 0xFFFFFFFF); /* the place counts, not the value */
	assert_int_equal(kicks[1], 4);
	put(NOTIFY, 2, 1);		/* not live */
	put(NOTIFY + 4 * QUEUES, 2, 1); /* no such queue */
	put(NOTIFY + 0xFFE, 2, 1);
	pci_modern_bar_write(&fake.pci, BAR_NOTIFY, 12, 2, 1);
	pci_modern_bar_write(&fake.pci, 1, 4, 2, 1);
	assert_int_equal(kicks[0] + kicks[2], 0);
	assert_int_equal(kicks[1], 4);
	queue_break(&dev->queue[1], "test");
	put(NOTIFY + 4, 2, 1);
	assert_int_equal(kicks[1], 4);
}

/* Does each interrupt take its way: its vector with MSI-X, ISR and line without? */
static void test_interrupts(void **state)
{
	(void)state;
	negotiate();
	set_status(ACK | DRIVER | FEAT_OK | DRV_OK);
	put(VIRTIO_PCI_COMMON_Q_SELECT, 2, 2);
	virtio_queue_interrupt(dev, &dev->queue[2]); /* no vector yet: nobody hears */
	put(VIRTIO_PCI_COMMON_Q_MSIX, 2, 3);
	put(VIRTIO_PCI_COMMON_MSIX, 2, 1);
	virtio_queue_interrupt(dev, &dev->queue[2]);
	assert_int_equal(fake.msix_count[3], 1);
	assert_int_equal(get(ISR, 1), 0);
	queue_break(&dev->queue[2], "test");
	queue_break(&dev->queue[1], "test");
	assert_int_equal(fake.msix_count[1], 1);
	assert_int_equal(fake.msix_count[0] + fake.msix_count[2], 0);

	set_status(0);
	fake.msix = false;
	negotiate();
	set_status(ACK | DRIVER | FEAT_OK | DRV_OK);
	virtio_queue_interrupt(dev, &dev->queue[2]);
	virtio_queue_interrupt(dev, &dev->queue[0]);
	assert_true(atomic_load(&fake.intx));
	queue_break(&dev->queue[2], "test");
	assert_int_equal(get(ISR, 1), VIRTIO_ISR_QUEUE | VIRTIO_ISR_CONFIG);
	assert_false(atomic_load(&fake.intx));
	assert_int_equal(get(ISR, 1), 0);
	assert_int_equal(fake.msix_count[3], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_register, fake_virtio_set_up,
						fake_virtio_tear_down),
		cmocka_unit_test_setup_teardown(test_no_such_queue, fake_virtio_set_up,
						fake_virtio_tear_down),
		cmocka_unit_test_setup_teardown(test_features, fake_virtio_set_up,
						fake_virtio_tear_down),
		cmocka_unit_test_setup_teardown(test_status, fake_virtio_set_up,
						fake_virtio_tear_down),
		cmocka_unit_test_setup_teardown(test_reset, fake_virtio_set_up,
						fake_virtio_tear_down),
		cmocka_unit_test_setup_teardown(test_live_ring, fake_virtio_set_up,
						fake_virtio_tear_down),
		cmocka_unit_test_setup_teardown(test_bad_ring, fake_virtio_set_up,
						fake_virtio_tear_down),
		cmocka_unit_test_setup_teardown(test_doorbells, fake_virtio_set_up,
						fake_virtio_tear_down),
		cmocka_unit_test_setup_teardown(test_interrupts, fake_virtio_set_up,
						fake_virtio_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
