// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does a disk work from the guest's instruction to the injected interrupt? The whole device
 * model over the fake HSM; doc/path-virtio-blk.md is this journey.
 */
// links: devicemodel/virtio/doorbell.c
// links: @machine devicemodel/virtio/queue.c devicemodel/virtio/chain.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/virtio.c devicemodel/virtio/pci_modern.c devicemodel/virtio/blk.c
// links: devicemodel/backend/block.c devicemodel/backend/block_uring.c
// links: devicemodel/backend/block_config.c
// links: tests/unit/devicemodel/driver_ring.c tests/unit/devicemodel/virtio_driver.c
#include <errno.h>
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
#include "fake_hsm.h"
#include "pci.h"
#include "virtio_driver.h"

#define SECTORS 64U

static char paths[2][64];
static struct driver drivers[2];

static uint8_t *data(const struct driver *d)
{
	return guest_at(d->memory + 0x8000, 4096);
}

/* Offer one request of 4 KB, ring the bell, wait, return the status. */
static uint8_t request_at(struct driver *d, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr hdr = {.type = type, .sector = sector};
	volatile uint8_t *status = guest_at(d->memory + 0x7000, 1);
	uint16_t write = type == VIRTIO_BLK_T_IN ? VRING_DESC_F_WRITE : 0;

	memcpy(guest_at(d->memory + 0x6000, 16), &hdr, 16);
	*status = 0xEE;
	ring_desc(&d->ring[0], 0, d->memory + 0x6000, 16, VRING_DESC_F_NEXT, 1);
	ring_desc(&d->ring[0], 1, d->memory + 0x8000, 4096, VRING_DESC_F_NEXT | write, 2);
	ring_desc(&d->ring[0], 2, d->memory + 0x7000, 1, VRING_DESC_F_WRITE, 0);
	ring_offer(&d->ring[0], 0);
	driver_ring_bell(d, 0);
	(void)driver_wait(d, 0);
	return *status;
}

static uint8_t request(struct driver *d, uint32_t type)
{
	return request_at(d, type, 8);
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
		driver_find(&drivers[i], 3 + i, 0x200000 + 0x10000 * i);
		assert_int_equal(driver_cfg_read(&drivers[i], 0, 4), 0x10011AF4);
		driver_start(&drivers[i], 1U << VIRTIO_BLK_F_FLUSH, 1);
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

		assert_int_equal(driver_get(drivers[i].config, 8), SECTORS);
		memset(data(&drivers[i]), 0x30 + (int)i, 4096);
		assert_int_equal(request(&drivers[i], VIRTIO_BLK_T_OUT), VIRTIO_BLK_S_OK);
		machine_wait(atomic_load(&fake_hsm.msis) == before + 1);
		assert_int_equal(fake_hsm.msi[before % FAKE_HSM_MSIS].msi_addr, DRIVER_MSI);
		assert_int_equal(fake_hsm.msi[before % FAKE_HSM_MSIS].msi_data,
				 driver_msi(&drivers[i], 1));
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
	driver_set_msix(d, false);
	before = atomic_load(&fake_hsm.msis);
	assert_int_equal(request(d, VIRTIO_BLK_T_IN), VIRTIO_BLK_S_OK);
	machine_wait(atomic_load(&fake_hsm.line[gsi]));
	assert_int_equal(driver_get(d->isr, 1), 1); /* a queue */
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
	driver_cfg_write(d, PCI_BASE_ADDRESS_0 + 4 * d->notify_bar, 4, 0x7000);
	d->bell = 0x7000;
	assert_int_equal(request(d, VIRTIO_BLK_T_IN), VIRTIO_BLK_S_OK);
	ring_offer(&d->ring[0], 0);
	machine_out(old, 2, 0);
	usleep(2000);
	assert_false(ring_take(&d->ring[0], &id, &len));
	driver_ring_bell(d, 0);
	(void)driver_wait(d, 0);
}

/* Can firmware drive the device through configuration space alone? */
static void test_window(void **state)
{
	struct driver *d = &drivers[0];

	(void)state;
	driver_cfg_write(d, d->window + VIRTIO_PCI_CAP_BAR, 1, 4);
	driver_cfg_write(d, d->window + VIRTIO_PCI_CAP_OFFSET, 4, VIRTIO_PCI_COMMON_NUMQ);
	driver_cfg_write(d, d->window + VIRTIO_PCI_CAP_LENGTH, 4, 2);
	assert_int_equal(driver_cfg_read(d, d->window + 16, 2), 1);
	driver_cfg_write(d, d->window + VIRTIO_PCI_CAP_OFFSET, 4, VIRTIO_PCI_COMMON_STATUS);
	driver_cfg_write(d, d->window + VIRTIO_PCI_CAP_LENGTH, 4, 1);
	driver_cfg_write(d, d->window + 16, 1, 0);
	assert_int_equal(driver_get(d->common + VIRTIO_PCI_COMMON_STATUS, 1), 0);
}

/* What if the machine is reset while the disks are in use? They start over from nothing. */
static void test_machine_reset(void **state)
{
	(void)state;
	assert_int_equal(request(&drivers[0], VIRTIO_BLK_T_IN), VIRTIO_BLK_S_OK);
	for (unsigned int i = 0; i < 8; i++) {
		ring_offer(&drivers[0].ring[0], 0);
		driver_ring_bell(&drivers[0], 0);
	}
	pci_bus_reset(&machine);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(driver_cfg_read(&drivers[i], PCI_COMMAND, 2) & PCI_COMMAND_MEMORY,
				 0);
		driver_cfg_write(&drivers[i], PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
		assert_int_equal(driver_get(drivers[i].common + VIRTIO_PCI_COMMON_STATUS, 1), 0);
	}
	for (unsigned int i = 0; i < 2; i++) {
		driver_set_msix(&drivers[i], true);
		driver_start(&drivers[i], 1U << VIRTIO_BLK_F_FLUSH, 1);
		assert_int_equal(request(&drivers[i], VIRTIO_BLK_T_IN), VIRTIO_BLK_S_OK);
	}
}

/* What if one disk's driver breaks its ring? The other disk does not notice. */
static void test_one_broken(void **state)
{
	unsigned int before = atomic_load(&fake_hsm.msis);

	(void)state;
	ring_offer(&drivers[0].ring[0], 0xFFFF);
	driver_ring_bell(&drivers[0], 0);
	assert_true(driver_get(drivers[0].common + VIRTIO_PCI_COMMON_STATUS, 1) &
		    VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(atomic_load(&fake_hsm.msis), before + 1);
	assert_int_equal(fake_hsm.msi[before % FAKE_HSM_MSIS].msi_data, driver_msi(&drivers[0], 0));
	assert_int_equal(request(&drivers[1], VIRTIO_BLK_T_IN), VIRTIO_BLK_S_OK);
	driver_start(&drivers[0], 1U << VIRTIO_BLK_F_FLUSH, 1);
	assert_int_equal(request(&drivers[0], VIRTIO_BLK_T_IN), VIRTIO_BLK_S_OK);
}

/* The number of sectors, and the configuration message since @before, which is advanced. */
static uint64_t sectors_told(const struct driver *d, unsigned int *before)
{
	assert_int_equal(atomic_load(&fake_hsm.msis), *before + 1);
	assert_int_equal(fake_hsm.msi[*before % FAKE_HSM_MSIS].msi_data, driver_msi(d, 0));
	(*before)++;
	return driver_get(d->config, 8);
}

/* What if the file grows, shrinks, or is to be another one, while the guest uses the disk? */
static void test_grown(void **state)
{
	struct driver *d = &drivers[0];
	unsigned int before = atomic_load(&fake_hsm.msis);
	uint64_t generation = driver_get(d->common + VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	char text[128];

	(void)state;
	snprintf(text, sizeof(text), "3,%s", paths[0]);
	assert_int_equal(pci_bus_rescan(&machine, text), 0);
	assert_int_equal(atomic_load(&fake_hsm.msis), before);
	assert_int_equal(truncate(paths[0], 2 * SECTORS * 512 + 100), 0);
	assert_int_equal(driver_get(d->config, 8), SECTORS);
	assert_int_equal(pci_bus_rescan(&machine, text), 0);
	assert_int_equal(sectors_told(d, &before), 2 * SECTORS);
	assert_int_equal(driver_get(d->common + VIRTIO_PCI_COMMON_CFGGENERATION, 1),
			 generation + 1);
	assert_int_equal(request_at(d, VIRTIO_BLK_T_OUT, 2 * SECTORS - 8), VIRTIO_BLK_S_OK);
	assert_int_equal(request_at(d, VIRTIO_BLK_T_OUT, 2 * SECTORS - 7), VIRTIO_BLK_S_IOERR);
	before = atomic_load(&fake_hsm.msis);

	assert_int_equal(truncate(paths[0], SECTORS * 512), 0);
	assert_int_equal(pci_bus_rescan(&machine, text), -ERANGE);
	snprintf(text, sizeof(text), "3,%s", paths[1]);
	assert_int_equal(pci_bus_rescan(&machine, text), -EEXIST);
	assert_int_equal(pci_bus_rescan(&machine, "3,/absent"), -ENOENT);
	assert_int_equal(atomic_load(&fake_hsm.msis), before);
	assert_int_equal(driver_get(d->config, 8), 2 * SECTORS);
}

/* What if the place or the form is wrong? */
static void test_wrong_rescan(void **state)
{
	(void)state;
	for (size_t i = 0; i < 6; i++) {
		static const char *const wrong[] = {"", "3", "3,", ",/x", "x,/x", "3:,/x"};

		assert_int_equal(pci_bus_rescan(&machine, wrong[i]), -EINVAL);
	}
	assert_int_equal(pci_bus_rescan(&machine, "7,/x"), -ENODEV);
	assert_int_equal(pci_bus_rescan(&machine, "32,/x"), -ENODEV);
	assert_int_equal(pci_bus_rescan(&machine, "3:1,/x"), -ENODEV);
	assert_int_equal(pci_bus_rescan(&machine, "1:3:0,/x"), -ENODEV);
	assert_int_equal(pci_bus_rescan(&machine, "0,/x"), -ENOTTY);
}

/* What if a disk is empty: does it refuse all I/O, take one file, and then work? */
static void test_empty(void **state)
{
	struct driver *d = &drivers[0];
	unsigned int before;
	char text[128];

	(void)state;
	machine_destroy();
	snprintf(text, sizeof(text), "-s 3,virtio-blk,nodisk,writeback -s 4,virtio-blk,%s",
		 paths[1]);
	machine_create(text);
	driver_find(d, 3, 0x200000);
	driver_start(d, 1U << VIRTIO_BLK_F_FLUSH, 1);
	assert_int_equal(driver_get(d->config, 8), 0);
	assert_int_equal(request(d, VIRTIO_BLK_T_IN), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(d, VIRTIO_BLK_T_OUT), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(d, VIRTIO_BLK_T_FLUSH), VIRTIO_BLK_S_OK);
	before = atomic_load(&fake_hsm.msis);

	assert_int_equal(pci_bus_rescan(&machine, "3,/absent"), -ENOENT);
	assert_int_equal(pci_bus_rescan(&machine, "3,/dev/null"), -ENOTBLK);
	snprintf(text, sizeof(text), "3,%s", paths[1]);
	assert_int_equal(pci_bus_rescan(&machine, text), -EBUSY);
	assert_int_equal(request(d, VIRTIO_BLK_T_IN), VIRTIO_BLK_S_IOERR);
	before = atomic_load(&fake_hsm.msis);

	snprintf(text, sizeof(text), "0:3:0,%s", paths[0]);
	assert_int_equal(pci_bus_rescan(&machine, text), 0);
	assert_int_equal(sectors_told(d, &before), SECTORS);
	memset(data(d), 0x5A, 4096);
	assert_int_equal(request(d, VIRTIO_BLK_T_OUT), VIRTIO_BLK_S_OK);
	memset(data(d), 0, 4096);
	assert_int_equal(request(d, VIRTIO_BLK_T_IN), VIRTIO_BLK_S_OK);
	assert_int_equal(data(d)[4095], 0x5A);
	/* It is not empty any more. */
	assert_int_equal(pci_bus_rescan(&machine, "3,/etc/passwd"), -EEXIST);
}

/* What if the guest has no driver for the empty disk yet, or one without MSI-X? */
static void test_quiet_rescan(void **state)
{
	struct driver *d = &drivers[0];
	unsigned int gsi = pci_intx_gsi(d->slot, 1);
	unsigned int before = atomic_load(&fake_hsm.msis);
	char text[128];

	(void)state;
	snprintf(text, sizeof(text), "3,%s", paths[0]);
	driver_set_msix(d, false);
	assert_int_equal(truncate(paths[0], 2 * SECTORS * 512), 0);
	assert_int_equal(pci_bus_rescan(&machine, text), 0);
	assert_true(atomic_load(&fake_hsm.line[gsi]));
	assert_int_equal(driver_get(d->isr, 1), 2); /* the configuration */
	assert_false(atomic_load(&fake_hsm.line[gsi]));
	driver_put(d->common + VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(truncate(paths[0], 3 * SECTORS * 512), 0);
	assert_int_equal(pci_bus_rescan(&machine, text), 0);
	assert_false(atomic_load(&fake_hsm.line[gsi]));
	assert_int_equal(atomic_load(&fake_hsm.msis), before);
	assert_int_equal(driver_get(d->config, 8), 3 * SECTORS);
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
		cmocka_unit_test_setup_teardown(test_grown, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_wrong_rescan, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_empty, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_quiet_rescan, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
