// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does the transport show a driver what virtio 1.2 section 4.1 says, and does it stand what a
 * hostile driver writes? The real pci_modern.c, virtio.c and queue.c, a device made for the test
 * and a fake PCI core.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "fake_guest.h"
#include "fake_pci.h"
#include "log.h"
#include "pci_modern.h"

#define QUEUES	  3U
#define QUEUE_MAX 64U
#define FEATURE	  5U /* the one of its own that the device offers */

#define BAR_NOTIFY 2U
#define BAR	   4U
#define ISR	   0x1000U
#define CONFIG	   0x2000U
#define NOTIFY	   0x3000U

#define ACK	 VIRTIO_CONFIG_S_ACKNOWLEDGE
#define DRIVER	 VIRTIO_CONFIG_S_DRIVER
#define FEAT_OK	 VIRTIO_CONFIG_S_FEATURES_OK
#define DRV_OK	 VIRTIO_CONFIG_S_DRIVER_OK
#define RESET_ME VIRTIO_CONFIG_S_NEEDS_RESET

static struct fake_pci fake;
static struct virtio_dev *dev;
static const uint8_t config_bytes[5] = {0x11, 0x22, 0x33, 0x44, 0x55};
static unsigned int kicks[QUEUES], stops, destroys;
static uint64_t config_written;

static int test_create(struct virtio_dev *d, const char *config)
{
	if (config != NULL && strcmp(config, "bad") == 0)
		return -22;
	dev = d;
	d->offered = VIRTIO_FEATURE(FEATURE);
	d->config = config_bytes;
	d->config_len = sizeof(config_bytes);
	return 0;
}

static void test_destroy(struct virtio_dev *d)
{
	(void)d;
	destroys++;
}

static void test_kick(struct virtio_dev *d, struct queue *q)
{
	(void)d;
	kicks[q->index]++;
}

static void test_stop(struct virtio_dev *d)
{
	(void)d;
	stops++;
}

static void test_config_write(struct virtio_dev *d, uint64_t offset, unsigned int size,
			      uint64_t value)
{
	(void)d;
	config_written = offset << 48 | (uint64_t)size << 32 | value;
}

static const struct virtio_ops test_device = {
	.id = 42,
	.class_code = 0xFF0000,
	.queues = QUEUES,
	.queue_max = QUEUE_MAX,
	.create = test_create,
	.destroy = test_destroy,
	.kick = test_kick,
	.stop = test_stop,
	.config_write = test_config_write,
};

VIRTIO_DEVICE("virtio-test", test_device);

static uint64_t get(uint64_t offset, unsigned int size)
{
	return pci_modern_bar_read(&fake.pci, BAR, offset, size);
}

static void put(uint64_t offset, unsigned int size, uint64_t value)
{
	pci_modern_bar_write(&fake.pci, BAR, offset, size, value);
}

static uint8_t status(void)
{
	return (uint8_t)get(VIRTIO_PCI_COMMON_STATUS, 1);
}

static void set_status(uint8_t value)
{
	put(VIRTIO_PCI_COMMON_STATUS, 1, value);
}

static void accept(uint64_t features)
{
	for (unsigned int sel = 0; sel < 2; sel++) {
		put(VIRTIO_PCI_COMMON_GFSELECT, 4, sel);
		put(VIRTIO_PCI_COMMON_GF, 4, (uint32_t)(features >> (sel * 32)));
	}
}

static void negotiate(void)
{
	set_status(0);
	set_status(ACK | DRIVER);
	accept(VIRTIO_FEATURE(VIRTIO_F_VERSION_1));
	set_status(ACK | DRIVER | FEAT_OK);
	assert_int_equal(status(), ACK | DRIVER | FEAT_OK);
}

static void aim_queue(unsigned int i, const struct ring *r)
{
	put(VIRTIO_PCI_COMMON_Q_SELECT, 2, i);
	put(VIRTIO_PCI_COMMON_Q_SIZE, 2, r->size);
	put(VIRTIO_PCI_COMMON_Q_DESCLO, 8, r->desc);
	put(VIRTIO_PCI_COMMON_Q_AVAILLO, 4, (uint32_t)r->avail);
	put(VIRTIO_PCI_COMMON_Q_AVAILHI, 4, r->avail >> 32);
	put(VIRTIO_PCI_COMMON_Q_USEDLO, 4, (uint32_t)r->used);
	put(VIRTIO_PCI_COMMON_Q_USEDHI, 4, r->used >> 32);
}

static int set_up(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	guest_create();
	memset(kicks, 0, sizeof(kicks));
	fake.add_error = 0;
	return fake_pci_create(&fake, "virtio-test", NULL);
}

static int tear_down(void **state)
{
	(void)state;
	fake_pci_destroy(&fake);
	guest_destroy();
	return 0;
}

/* What if init fails, early or late? Nothing may be left behind (the sanitizer counts). */
static void test_init_errors(void **state)
{
	struct fake_pci other = {.add_error = -28};
	unsigned int before = destroys;

	(void)state;
	assert_int_equal(fake_pci_create(&other, "virtio-test", NULL), -28);
	assert_int_equal(destroys, before + 1);
	other.add_error = 0;
	assert_int_equal(fake_pci_create(&other, "virtio-test", "bad"), -22);
	assert_int_equal(destroys, before + 1);
	dev = fake.pci.priv;
}

/* Does a driver find the device and all five structures, the cheap doorbell first? */
static void test_capabilities(void **state)
{
	static const struct {
		uint8_t type, bar;
		uint32_t offset, length;
	} want[] = {
		{VIRTIO_PCI_CAP_COMMON_CFG, BAR, 0, 0x38},
		{VIRTIO_PCI_CAP_ISR_CFG, BAR, ISR, 1},
		{VIRTIO_PCI_CAP_NOTIFY_CFG, BAR_NOTIFY, 0, 4 * QUEUES},
		{VIRTIO_PCI_CAP_NOTIFY_CFG, BAR, NOTIFY, 4 * QUEUES},
		{VIRTIO_PCI_CAP_DEVICE_CFG, BAR, CONFIG, sizeof(config_bytes)},
		{VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 0},
	};
	unsigned int found = 0;

	(void)state;
	assert_int_equal(pci_cfg_get16(&fake.pci, PCI_VENDOR_ID), 0x1AF4);
	assert_int_equal(pci_cfg_get16(&fake.pci, PCI_DEVICE_ID), 0x1040 + 42);
	assert_int_equal(pci_cfg_get8(&fake.pci, PCI_REVISION_ID), 1);
	assert_int_equal(fake.vectors, QUEUES + 1);
	assert_int_equal(fake.pci.bar[0].type, PCI_BAR_NONE);
	assert_int_equal(fake.pci.bar[BAR_NOTIFY].type, PCI_BAR_IO);
	for (unsigned int at = fake.pci.cfg[PCI_CAPABILITY_LIST]; at != 0;
	     at = fake.pci.cfg[at + 1]) {
		struct virtio_pci_notify_cap cap;

		memcpy(&cap, &fake.pci.cfg[at], sizeof(cap));
		if (cap.cap.cap_vndr != PCI_CAP_ID_VNDR)
			continue;
		assert_true(found < 6);
		assert_int_equal(cap.cap.cfg_type, want[found].type);
		assert_int_equal(cap.cap.bar, want[found].bar);
		assert_int_equal(cap.cap.offset, want[found].offset);
		assert_int_equal(cap.cap.length, want[found].length);
		if (cap.cap.cfg_type == VIRTIO_PCI_CAP_NOTIFY_CFG)
			assert_int_equal(cap.notify_off_multiplier, 4);
		found++;
	}
	assert_int_equal(found, 6);
}

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
		accept(cases[i].accept);
		/* There is no third word. */
		put(VIRTIO_PCI_COMMON_GFSELECT, 4, 2);
		put(VIRTIO_PCI_COMMON_GF, 4, 0xFFFFFFFF);
		assert_int_equal(get(VIRTIO_PCI_COMMON_GF, 4), 0);
		set_status(ACK | DRIVER | FEAT_OK);
		assert_int_equal((status() & FEAT_OK) != 0, cases[i].ok);
		/* Without it the driver cannot go on, and with it the features are fixed. */
		set_status(ACK | DRIVER | FEAT_OK | DRV_OK);
		assert_int_equal((status() & DRV_OK) != 0, cases[i].ok);
		accept(0);
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

/* What if the configuration space is read at its end, or written? */
static void test_config(void **state)
{
	(void)state;
	assert_int_equal(get(CONFIG, 1), 0x11);
	assert_int_equal(get(CONFIG + 1, 2), 0x3322);
	assert_int_equal(get(CONFIG, 4), 0x44332211);
	assert_int_equal(get(CONFIG, 8), 0x5544332211);
	assert_int_equal(get(CONFIG + 4, 4), 0x55);
	assert_int_equal(get(CONFIG + 5, 8), 0);
	assert_int_equal(get(CONFIG + 0xFFF, 8), 0);
	put(CONFIG + 3, 2, 0xAABB);
	assert_int_equal(config_written, 3ULL << 48 | 2ULL << 32 | 0xAABB);
	config_written = 0;
	put(CONFIG + 4, 2, 0xAABB);
	put(CONFIG + 0xFFE, 2, 0xAABB);
	assert_int_equal(config_written, 0);
}

static unsigned int window_cap(void)
{
	unsigned int at = fake.pci.cfg[PCI_CAPABILITY_LIST];

	while (fake.pci.cfg[at] != PCI_CAP_ID_VNDR ||
	       fake.pci.cfg[at + 3] != VIRTIO_PCI_CAP_PCI_CFG)
		at = fake.pci.cfg[at + 1];
	return at;
}

static void aim(uint8_t bar, uint32_t offset, uint32_t length)
{
	unsigned int cap = window_cap();

	/* What the generic code stores for the guest, if the mask lets it. */
	assert_int_equal(fake.pci.wmask[cap + 4], 0xFF);
	assert_int_equal(fake.pci.wmask[cap + 8] & fake.pci.wmask[cap + 15], 0xFF);
	pci_cfg_set8(&fake.pci, cap + 4, bar);
	pci_cfg_set32(&fake.pci, cap + 8, offset);
	pci_cfg_set32(&fake.pci, cap + 12, length);
}

/* Does the window in configuration space reach the registers, and nothing else? */
static void test_window(void **state)
{
	static const struct {
		uint8_t bar;
		uint32_t offset, length;
	} bad[] = {
		{BAR, 0, 0},	       {BAR, 0, 3}, {BAR, 0, 8},
		{BAR, 0, 0xFFFFFFFF},  {BAR, 2, 4}, {BAR, 0x4000, 1},
		{BAR, 0xFFFFFFFC, 4},  {0, 0, 4},   {1, 0, 4},
		{BAR_NOTIFY, 0x10, 1}, {6, 0, 4},   {0xFF, 0, 4},
	};
	unsigned int data = window_cap() + 16;
	uint32_t value = 0;

	(void)state;
	aim(BAR, VIRTIO_PCI_COMMON_NUMQ, 2);
	assert_true(pci_modern_cfg_read(&fake.pci, data, 4, &value));
	assert_int_equal(value, QUEUES);
	aim(BAR, VIRTIO_PCI_COMMON_Q_SELECT, 2);
	assert_true(pci_modern_cfg_write(&fake.pci, data, 2, 0xFFFF0002));
	assert_int_equal(get(VIRTIO_PCI_COMMON_Q_SELECT, 2), 2);
	assert_false(pci_modern_cfg_write(&fake.pci, data, 1, 1)); /* narrower than the window */
	assert_int_equal(get(VIRTIO_PCI_COMMON_Q_SELECT, 2), 2);
	assert_false(pci_modern_cfg_read(&fake.pci, data + 1, 1, &value));
	assert_false(pci_modern_cfg_read(&fake.pci, 0, 4, &value));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		aim(bad[i].bar, bad[i].offset, bad[i].length);
		assert_false(pci_modern_cfg_read(&fake.pci, data, 4, &value));
		assert_false(pci_modern_cfg_write(&fake.pci, data, 4, 0));
	}
}

/* What of the rest of the BARs? All ones, and writes go nowhere. */
static void test_elsewhere(void **state)
{
	(void)state;
	for (unsigned int bar = 0; bar < 6; bar++)
		if (bar != BAR)
			assert_int_equal(pci_modern_bar_read(&fake.pci, bar, 0, 4), 0xFFFFFFFF);
	for (uint64_t offset = NOTIFY; offset < NOTIFY + 0x1000; offset += 4)
		assert_int_equal(get(offset, 4), 0xFFFFFFFF);
	put(ISR, 1, 0xFF);
	pci_modern_bar_write(&fake.pci, 0, 0x14, 1, 0xFF);
	assert_int_equal(status(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_init_errors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_capabilities, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_every_register, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_such_queue, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_features, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_status, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reset, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_live_ring, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_ring, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_doorbells, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_interrupts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_config, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_window, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_elsewhere, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
