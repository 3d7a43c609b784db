// SPDX-License-Identifier: BSD-3-Clause
/* A driver for virtio-blk over fake_pci.h, and the files behind its disks. */
#ifndef DISK_DRIVER_H
#define DISK_DRIVER_H

#include <stdint.h>
#include <sys/types.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>

#include "driver_ring.h"
#include "fake_pci.h"
#include "pci_modern.h"

#define DISK_CONFIG 0x2000U /* its configuration, in the BAR */
#define DISK_DRIVE  (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)
#define DISK_RUN    (DISK_DRIVE | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK)
#define DISK_WANTED                                                                                \
	(VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC) |        \
	 VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH))

/* Each disk has 256 KB of guest memory: its ring, then 128 requests of 1 KB, then data. */
struct disk {
	struct fake_pci fake;
	struct ring ring;
	uint64_t base;
	char path[64];
};

/* Group set-up and tear-down: the folder. */
int disk_make_dir(void **state);
int disk_remove_dir(void **state);

/* Disk @i, 0 to 2, of @size bytes of a new file; @options follow its path. */
void disk_create(struct disk *d, unsigned int i, off_t size, const char *options);
void disk_destroy(struct disk *d);

/* Registers of the common structure and, from DISK_CONFIG, of the device. */
uint64_t disk_get(struct disk *d, uint64_t offset, unsigned int size);
void disk_put(struct disk *d, uint64_t offset, unsigned int size, uint64_t value);
uint64_t disk_offered(struct disk *d);
/* From reset to DRIVER_OK with these features and a ring of 64. */
void disk_start(struct disk *d, uint64_t features);

/*
 * Put a request in slot 0..63 with an indirect table and offer it. A @len of 0 leaves the data
 * buffer out.
 */
void disk_offer(struct disk *d, unsigned int slot, uint32_t type, uint64_t sector, uint64_t data,
		uint32_t len, uint16_t data_flags);
void disk_ring_bell(struct disk *d);
/* The next used entry, waited for. */
uint32_t disk_take(struct disk *d, uint32_t *len);
/* One request of disk_data(), from bell to used entry; its status byte. */
uint8_t disk_run(struct disk *d, uint32_t type, uint64_t sector, uint32_t len, uint16_t flags,
		 uint32_t used_len);

/* GPAs of a request and of the data, and what is there. */
uint64_t disk_request_at(const struct disk *d, unsigned int slot);
uint64_t disk_data_at(const struct disk *d);
uint8_t *disk_data(struct disk *d);
volatile uint8_t *disk_status_at(const struct disk *d, unsigned int slot);

#endif
