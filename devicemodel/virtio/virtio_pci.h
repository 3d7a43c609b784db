// SPDX-License-Identifier: BSD-3-Clause
/*
 * What the files of the virtio PCI transport share (virtio 1.2, 4.1): pci_modern.c, which owns the
 * device, pci_legacy.c, the registers of BAR 0, and pci_window.c, the way by configuration space.
 * Nobody else includes this.
 */
#ifndef DM_VIRTIO_PCI_H
#define DM_VIRTIO_PCI_H

#include <pthread.h>
#include <stdint.h>

#include "virtio.h"

struct doorbells;
struct pci_device;

#define BAR_LEGACY 0U
#define BAR_MSIX   1U
#define BAR_NOTIFY 2U
#define BAR_MODERN 4U

struct virtio_pci {
	struct virtio_dev dev; /* the first member */
	struct pci_device *pci;
	struct doorbells *bells; /* or NULL */
	uint32_t device_feature_select, driver_feature_select;
	uint16_t queue_select;
	unsigned int cfg_cap; /* offset of the PCI_CFG capability */
	pthread_mutex_t isr_lock;
	uint8_t isr;
};

/* What an access means, whichever interface it comes by. I/O request thread. */
uint8_t virtio_pci_isr_take(struct virtio_pci *vp);
void virtio_pci_set_vector(struct virtio_pci *vp, _Atomic uint16_t *vector, uint32_t value);
void virtio_pci_write_status(struct virtio_pci *vp, uint32_t value);
void virtio_pci_write_config(struct virtio_pci *vp, uint64_t offset, unsigned int size,
			     uint64_t value);
void virtio_pci_ring(struct virtio_pci *vp, unsigned int queue);

static inline uint64_t all_ones(unsigned int size)
{
	return size >= 8 ? UINT64_MAX : (1ULL << (size * 8)) - 1;
}

/* The PCI device ID by which a legacy driver knows the type, or 0: there is none (4.1.2.1). */
uint16_t pci_legacy_device_id(uint16_t type);
/* Bytes of BAR 0, for a device with so much configuration space. */
uint64_t pci_legacy_size(size_t config_len);
uint64_t pci_legacy_read(struct virtio_pci *vp, uint64_t offset, unsigned int size);
void pci_legacy_write(struct virtio_pci *vp, uint64_t offset, unsigned int size, uint64_t value);

#endif
