// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does a disk work from the guest's instruction to the injected interrupt? The whole device
 * model over the fake HSM; the test is a driver that knows of PCI configuration space only, and
 * finds all else from there (doc/path-virtio-blk.md is this journey).
 */
// links: @machine devicemodel/virtio/queue.c devicemodel/virtio/chain.c
// links: devicemodel/virtio/virtio.c devicemodel/virtio/pci_modern.c devicemodel/virtio/blk.c
// links: devicemodel/backend/block.c devicemodel/backend/block_config.c
// links: tests/unit/devicemodel/driver_ring.c
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "dm_machine.h"
#include "driver_ring.h"
#include "fake_hsm.h"
#include "gmem.h"
#include "io_space.h"
#include "pci.h"

#define SECTORS 64U
#define RUN	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)
#define MSI	0xFEE01000U

/* What the driver learned from configuration space. */
struct driver {
	unsigned int slot;
	uint64_t common, isr, config; /* GPA */
	uint16_t bell;		      /* port */
	uint64_t msix_table;	      /* GPA */
	unsigned int msix_cap, window;
	unsigned int notify_bar;
	struct ring ring;
	uint64_t memory; /* 64 KB of its own, GPA */
};

static char paths[2][64];
static struct driver drivers[2];

void *guest_at(uint64_t gpa, uint64_t len)
{
	void *p = gmem_ptr(&machine, gpa, len);

	assert_non_null(p);
	return p;
}

static uint32_t cfg_read(const struct driver *d, unsigned int reg, unsigned int size)
{
	return pci_bus_read(&machine, 0, d->slot, 0, reg, size);
}

static void cfg_write(const struct driver *d, unsigned int reg, unsigned int size, uint32_t value)
{
	pci_bus_write(&machine, 0, d->slot, 0, reg, size, value);
}

static uint64_t bar(const struct driver *d, unsigned int i)
{
	uint32_t value = cfg_read(d, PCI_BASE_ADDRESS_0 + 4 * i, 4);

	return value & ~(value & PCI_BASE_ADDRESS_SPACE_IO ? 3U : 15U);
}

static void find_structures(struct driver *d)
{
	unsigned int at = cfg_read(d, PCI_CAPABILITY_LIST, 1);

	for (; at != 0; at = cfg_read(d, at + 1, 1)) {
		unsigned int b = cfg_read(d, at + 4, 1);
		uint64_t place = b < 6 ? bar(d, b) + cfg_read(d, at + 8, 4) : 0;

		if (cfg_read(d, at, 1) == PCI_CAP_ID_MSIX) {
			uint32_t table = cfg_read(d, at + PCI_MSIX_TABLE, 4);

			d->msix_cap = at;
			d->msix_table = bar(d, table & 7) + (table & ~7U);
			continue;
		}
		if (cfg_read(d, at, 1) != PCI_CAP_ID_VNDR)
			continue;
		switch (cfg_read(d, at + 3, 1)) {
		case VIRTIO_PCI_CAP_COMMON_CFG:
			d->common = place;
			break;
		case VIRTIO_PCI_CAP_ISR_CFG:
			d->isr = place;
			break;
		case VIRTIO_PCI_CAP_DEVICE_CFG:
			d->config = place;
			break;
		case VIRTIO_PCI_CAP_NOTIFY_CFG:
			if (d->bell == 0) { /* a driver takes the first */
				d->bell = (uint16_t)place;
				d->notify_bar = b;
			}
			break;
		case VIRTIO_PCI_CAP_PCI_CFG:
			d->window = at;
			break;
		default:
			fail();
		}
	}
}

static uint64_t get(uint64_t gpa, unsigned int size)
{
	return io_space_read(machine.mmio, gpa, size);
}

static void put(uint64_t gpa, unsigned int size, uint64_t value)
{
	io_space_write(machine.mmio, gpa, size, value);
}

static void set_msix(const struct driver *d, bool on)
{
	for (unsigned int v = 0; v < 2; v++) {
		put(d->msix_table + 16 * v, 4, MSI);
		put(d->msix_table + 16 * v + 4, 4, 0);
		put(d->msix_table + 16 * v + 8, 4, 0x40 + d->slot * 16 + v);
		put(d->msix_table + 16 * v + 12, 4, 0);
	}
	cfg_write(d, d->msix_cap + PCI_MSIX_FLAGS, 2, on ? PCI_MSIX_FLAGS_ENABLE : 0);
}

static void start(struct driver *d)
{
	uint8_t run = RUN;

	cfg_write(d, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	put(d->common + VIRTIO_PCI_COMMON_STATUS, 1, 0);
	put(d->common + VIRTIO_PCI_COMMON_STATUS, 1, run);
	put(d->common + VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	put(d->common + VIRTIO_PCI_COMMON_GF, 4, 1U << VIRTIO_BLK_F_FLUSH);
	put(d->common + VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	put(d->common + VIRTIO_PCI_COMMON_GF, 4, 1);
	put(d->common + VIRTIO_PCI_COMMON_STATUS, 1, run |= VIRTIO_CONFIG_S_FEATURES_OK);
	ring_init(&d->ring, d->memory, 16);
	put(d->common + VIRTIO_PCI_COMMON_MSIX, 2, 0);
	put(d->common + VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	put(d->common + VIRTIO_PCI_COMMON_Q_SIZE, 2, d->ring.size);
	put(d->common + VIRTIO_PCI_COMMON_Q_DESCLO, 8, d->ring.desc);
	put(d->common + VIRTIO_PCI_COMMON_Q_AVAILLO, 8, d->ring.avail);
	put(d->common + VIRTIO_PCI_COMMON_Q_USEDLO, 8, d->ring.used);
	put(d->common + VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	put(d->common + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	put(d->common + VIRTIO_PCI_COMMON_STATUS, 1, run |= VIRTIO_CONFIG_S_DRIVER_OK);
	assert_int_equal(get(d->common + VIRTIO_PCI_COMMON_STATUS, 1), run);
}

static uint8_t *data(const struct driver *d)
{
	return guest_at(d->memory + 0x8000, 4096);
}

static void wait_used(struct driver *d)
{
	uint32_t id, len;
	bool taken = false;

	machine_wait(taken || (taken = ring_take(&d->ring, &id, &len)));
}

/* Offer one request of 4 KB, ring the bell, wait, return the status. */
static uint8_t request(struct driver *d, uint32_t type)
{
	struct virtio_blk_outhdr hdr = {.type = type, .sector = 8};
	volatile uint8_t *status = guest_at(d->memory + 0x7000, 1);
	uint16_t write = type == VIRTIO_BLK_T_IN ? VRING_DESC_F_WRITE : 0;

	memcpy(guest_at(d->memory + 0x6000, 16), &hdr, 16);
	*status = 0xEE;
	ring_desc(&d->ring, 0, d->memory + 0x6000, 16, VRING_DESC_F_NEXT, 1);
	ring_desc(&d->ring, 1, d->memory + 0x8000, 4096, VRING_DESC_F_NEXT | write, 2);
	ring_desc(&d->ring, 2, d->memory + 0x7000, 1, VRING_DESC_F_WRITE, 0);
	ring_offer(&d->ring, 0);
	machine_out(d->bell, 2, 0);
	wait_used(d);
	return *status;
}

static int set_up(void **state)
{
	char options[256];

	(void)state;
	fake_hsm_reset();
	for (unsigned int i = 0; i < 2; i++) {
		int fd;

		snprintf(paths[i], sizeof(paths[i]), "/tmp/test_blk_path.%d.%u", (int)getpid(), i);
		fd = open(paths[i], O_RDWR | O_CREAT | O_TRUNC, 0600);
		assert_true(fd >= 0);
		assert_int_equal(ftruncate(fd, SECTORS * 512), 0);
		close(fd);
	}
	snprintf(options, sizeof(options),
		 "-s 0,hostbridge -s 3,virtio-blk,%s -s 4,virtio-blk,%s,writeback", paths[0],
		 paths[1]);
	machine_create(options);
	for (unsigned int i = 0; i < 2; i++) {
		drivers[i] = (struct driver) {.slot = 3 + i, .memory = 0x200000 + 0x10000 * i};
		assert_int_equal(cfg_read(&drivers[i], 0, 4), 0x10421AF4);
		cfg_write(&drivers[i], PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
		find_structures(&drivers[i]);
		set_msix(&drivers[i], true);
		start(&drivers[i]);
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	machine_destroy();
	unlink(paths[0]);
	unlink(paths[1]);
	return 0;
}

/* Do both disks answer, each with its own data and its own message? */
static void test_msix(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		unsigned int before = atomic_load(&fake_hsm.msis);

		assert_int_equal(get(drivers[i].config, 8), SECTORS);
		memset(data(&drivers[i]), 0x30 + (int)i, 4096);
		assert_int_equal(request(&drivers[i], VIRTIO_BLK_T_OUT), VIRTIO_BLK_S_OK);
		machine_wait(atomic_load(&fake_hsm.msis) == before + 1);
		assert_int_equal(fake_hsm.msi[before % FAKE_HSM_MSIS].msi_addr, MSI);
		assert_int_equal(fake_hsm.msi[before % FAKE_HSM_MSIS].msi_data,
				 0x41 + drivers[i].slot * 16);
	}
	for (unsigned int i = 0; i < 2; i++) {
		memset(data(&drivers[i]), 0, 4096);
		assert_int_equal(request(&drivers[i], VIRTIO_BLK_T_IN), VIRTIO_BLK_S_OK);
		assert_int_equal(data(&drivers[i])[0], 0x30 + i);
		assert_int_equal(data(&drivers[i])[4095], 0x30 + i);
	}
}

/* Does a driver without MSI-X get its line, until it reads the ISR? */
static void test_intx(void **state)
{
	struct driver *d = &drivers[0];
	unsigned int gsi = pci_intx_gsi(d->slot, 1), before;

	(void)state;
	set_msix(d, false);
	before = atomic_load(&fake_hsm.msis);
	assert_int_equal(request(d, VIRTIO_BLK_T_IN), VIRTIO_BLK_S_OK);
	machine_wait(atomic_load(&fake_hsm.line[gsi]));
	assert_int_equal(get(d->isr, 1), 1); /* a queue */
	assert_false(atomic_load(&fake_hsm.line[gsi]));
	assert_int_equal(atomic_load(&fake_hsm.msis), before);
}

/* What if the guest moves the doorbell? The new place rings, the old one is nobody's. */
static void test_move_bar(void **state)
{
	struct driver *d = &drivers[0];
	uint16_t old = d->bell;
	uint32_t id, len;

	(void)state;
	cfg_write(d, PCI_BASE_ADDRESS_0 + 4 * d->notify_bar, 4, 0x7000);
	d->bell = 0x7000;
	assert_int_equal(request(d, VIRTIO_BLK_T_IN), VIRTIO_BLK_S_OK);
	ring_offer(&d->ring, 0);
	machine_out(old, 2, 0);
	usleep(2000);
	assert_false(ring_take(&d->ring, &id, &len));
	machine_out(d->bell, 2, 0);
	wait_used(d);
}

/* Can firmware drive the device through configuration space alone? */
static void test_window(void **state)
{
	struct driver *d = &drivers[0];

	(void)state;
	cfg_write(d, d->window + VIRTIO_PCI_CAP_BAR, 1, 4);
	cfg_write(d, d->window + VIRTIO_PCI_CAP_OFFSET, 4, VIRTIO_PCI_COMMON_NUMQ);
	cfg_write(d, d->window + VIRTIO_PCI_CAP_LENGTH, 4, 2);
	assert_int_equal(cfg_read(d, d->window + 16, 2), 1);
	cfg_write(d, d->window + VIRTIO_PCI_CAP_OFFSET, 4, VIRTIO_PCI_COMMON_STATUS);
	cfg_write(d, d->window + VIRTIO_PCI_CAP_LENGTH, 4, 1);
	cfg_write(d, d->window + 16, 1, 0);
	assert_int_equal(get(d->common + VIRTIO_PCI_COMMON_STATUS, 1), 0);
}

/* What if the machine is reset while the disks are in use? They start over from nothing. */
static void test_machine_reset(void **state)
{
	(void)state;
	assert_int_equal(request(&drivers[0], VIRTIO_BLK_T_IN), VIRTIO_BLK_S_OK);
	for (unsigned int i = 0; i < 8; i++) {
		ring_offer(&drivers[0].ring, 0);
		machine_out(drivers[0].bell, 2, 0);
	}
	pci_bus_reset(&machine);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(cfg_read(&drivers[i], PCI_COMMAND, 2) & PCI_COMMAND_MEMORY, 0);
		cfg_write(&drivers[i], PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
		assert_int_equal(get(drivers[i].common + VIRTIO_PCI_COMMON_STATUS, 1), 0);
	}
	for (unsigned int i = 0; i < 2; i++) {
		set_msix(&drivers[i], true);
		start(&drivers[i]);
		assert_int_equal(request(&drivers[i], VIRTIO_BLK_T_IN), VIRTIO_BLK_S_OK);
	}
}

/* What if one disk's driver breaks its ring? The other disk does not notice. */
static void test_one_broken(void **state)
{
	unsigned int before = atomic_load(&fake_hsm.msis);

	(void)state;
	ring_offer(&drivers[0].ring, 0xFFFF);
	machine_out(drivers[0].bell, 2, 0);
	assert_true(get(drivers[0].common + VIRTIO_PCI_COMMON_STATUS, 1) &
		    VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(atomic_load(&fake_hsm.msis), before + 1);
	assert_int_equal(fake_hsm.msi[before % FAKE_HSM_MSIS].msi_data,
			 0x40 + drivers[0].slot * 16);
	assert_int_equal(request(&drivers[1], VIRTIO_BLK_T_IN), VIRTIO_BLK_S_OK);
	start(&drivers[0]);
	assert_int_equal(request(&drivers[0], VIRTIO_BLK_T_IN), VIRTIO_BLK_S_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_msix, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_intx, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_move_bar, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_window, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_machine_reset, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_broken, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
