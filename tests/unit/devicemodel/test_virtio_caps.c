// SPDX-License-Identifier: BSD-3-Clause
/*
 * What does a virtio device look like on the PCI bus: identity, capabilities, the window in
 * configuration space, the edges of its BARs? The real transport over a fake PCI core.
 */
// links: devicemodel/virtio/queue.c devicemodel/virtio/chain.c devicemodel/virtio/virtio.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/pci_modern.c devicemodel/core/log.c
// links: tests/unit/devicemodel/fake_virtio.c tests/unit/devicemodel/fake_guest.c
// links: tests/unit/devicemodel/driver_ring.c tests/unit/devicemodel/fake_pci.c
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "fake_virtio.h"

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
	assert_true(pci_window_cfg_read(&fake.pci, data, 4, &value));
	assert_int_equal(value, QUEUES);
	aim(BAR, VIRTIO_PCI_COMMON_Q_SELECT, 2);
	assert_true(pci_window_cfg_write(&fake.pci, data, 2, 0xFFFF0002));
	assert_int_equal(get(VIRTIO_PCI_COMMON_Q_SELECT, 2), 2);
	assert_false(pci_window_cfg_write(&fake.pci, data, 1, 1)); /* narrower than the window */
	assert_int_equal(get(VIRTIO_PCI_COMMON_Q_SELECT, 2), 2);
	assert_false(pci_window_cfg_read(&fake.pci, data + 1, 1, &value));
	assert_false(pci_window_cfg_read(&fake.pci, 0, 4, &value));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		aim(bad[i].bar, bad[i].offset, bad[i].length);
		assert_false(pci_window_cfg_read(&fake.pci, data, 4, &value));
		assert_false(pci_window_cfg_write(&fake.pci, data, 4, 0));
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
		cmocka_unit_test_setup_teardown(test_init_errors, fake_virtio_set_up,
						fake_virtio_tear_down),
		cmocka_unit_test_setup_teardown(test_capabilities, fake_virtio_set_up,
						fake_virtio_tear_down),
		cmocka_unit_test_setup_teardown(test_config, fake_virtio_set_up,
						fake_virtio_tear_down),
		cmocka_unit_test_setup_teardown(test_window, fake_virtio_set_up,
						fake_virtio_tear_down),
		cmocka_unit_test_setup_teardown(test_elsewhere, fake_virtio_set_up,
						fake_virtio_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
