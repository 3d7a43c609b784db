// SPDX-License-Identifier: BSD-3-Clause
/*
 * disk_driver.h: the driver's side of virtio-blk by its registers, and a folder for the files that
 * are the disks. A test that fails inside stops.
 */
#include "disk_driver.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "fake_guest.h"
#include "pci_modern.h"

static char dir[] = "/tmp/test_blk.XXXXXX";

uint64_t disk_get(struct disk *d, uint64_t offset, unsigned int size)
{
	return pci_modern_bar_read(&d->fake.pci, 4, offset, size);
}

void disk_put(struct disk *d, uint64_t offset, unsigned int size, uint64_t value)
{
	pci_modern_bar_write(&d->fake.pci, 4, offset, size, value);
}

uint64_t disk_offered(struct disk *d)
{
	uint64_t low;

	disk_put(d, VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
	low = disk_get(d, VIRTIO_PCI_COMMON_DF, 4);
	disk_put(d, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	return low | disk_get(d, VIRTIO_PCI_COMMON_DF, 4) << 32;
}

void disk_start(struct disk *d, uint64_t features)
{
	disk_put(d, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	disk_put(d, VIRTIO_PCI_COMMON_STATUS, 1, DISK_DRIVE);
	for (unsigned int sel = 0; sel < 2; sel++) {
		disk_put(d, VIRTIO_PCI_COMMON_GFSELECT, 4, sel);
		disk_put(d, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)(features >> (32 * sel)));
	}
	disk_put(d, VIRTIO_PCI_COMMON_STATUS, 1, DISK_DRIVE | VIRTIO_CONFIG_S_FEATURES_OK);
	ring_init(&d->ring, d->base, 64);
	disk_put(d, VIRTIO_PCI_COMMON_Q_DESCLO, 8, d->ring.desc);
	disk_put(d, VIRTIO_PCI_COMMON_Q_AVAILLO, 8, d->ring.avail);
	disk_put(d, VIRTIO_PCI_COMMON_Q_USEDLO, 8, d->ring.used);
	disk_put(d, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	disk_put(d, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	disk_put(d, VIRTIO_PCI_COMMON_STATUS, 1, DISK_RUN);
	assert_int_equal(disk_get(d, VIRTIO_PCI_COMMON_STATUS, 1), DISK_RUN);
}

void disk_create(struct disk *d, unsigned int i, off_t size, const char *options)
{
	char config[96];
	int fd;

	memset(d, 0, sizeof(*d));
	d->base = 0x40000 * i + 0x40000;
	snprintf(d->path, sizeof(d->path), "%s/disk%u", dir, i);
	fd = open(d->path, O_RDWR | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
	snprintf(config, sizeof(config), "%s%s", d->path, options);
	assert_int_equal(fake_pci_create(&d->fake, "virtio-blk", config), 0);
}

void disk_destroy(struct disk *d)
{
	fake_pci_destroy(&d->fake);
	unlink(d->path);
}

void disk_ring_bell(struct disk *d)
{
	pci_modern_bar_write(&d->fake.pci, 2, 0, 2, 0);
}

uint64_t disk_request_at(const struct disk *d, unsigned int slot)
{
	return d->base + 0x3000 + slot * 1024ULL;
}

uint64_t disk_data_at(const struct disk *d)
{
	return d->base + 0x24000;
}

volatile uint8_t *disk_status_at(const struct disk *d, unsigned int slot)
{
	return guest_at(disk_request_at(d, slot) + 1000, 1);
}

/*
 * Put a request in slot 0..63 with an indirect table and offer it. A @len of 0 leaves the data
 * buffer out.
 */
void disk_offer(struct disk *d, unsigned int slot, uint32_t type, uint64_t sector, uint64_t data,
		uint32_t len, uint16_t data_flags)
{
	struct virtio_blk_outhdr hdr = {.type = type, .sector = sector};
	uint64_t at = disk_request_at(d, slot), table = at + 64;

	memcpy(guest_at(at, sizeof(hdr)), &hdr, sizeof(hdr));
	*disk_status_at(d, slot) = 0xEE;
	ring_desc_at(table, 0, at, sizeof(hdr), VRING_DESC_F_NEXT, len != 0 ? 1 : 2);
	ring_desc_at(table, 1, data, len, VRING_DESC_F_NEXT | data_flags, 2);
	ring_desc_at(table, 2, at + 1000, 1, VRING_DESC_F_WRITE, 0);
	ring_desc(&d->ring, slot, table, 48, VRING_DESC_F_INDIRECT, 0);
	ring_offer(&d->ring, (uint16_t)slot);
}

/* The next used entry, waited for. */
uint32_t disk_take(struct disk *d, uint32_t *len)
{
	uint32_t id = 0;

	while (!ring_take(&d->ring, &id, len))
		usleep(100);
	return id;
}

/* One request from bell to used entry; its status byte. */
uint8_t disk_run(struct disk *d, uint32_t type, uint64_t sector, uint32_t len, uint16_t flags,
		 uint32_t used_len)
{
	uint32_t used;

	disk_offer(d, 0, type, sector, disk_data_at(d), len, flags);
	disk_ring_bell(d);
	assert_int_equal(disk_take(d, &used), 0);
	assert_int_equal(used, used_len);
	return *disk_status_at(d, 0);
}

uint8_t *disk_data(struct disk *d)
{
	return guest_at(disk_data_at(d), 0x10000);
}

int disk_make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL ? -1 : 0;
}

int disk_remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}
