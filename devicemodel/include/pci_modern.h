// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio over PCI (virtio 1.2, section 4.1), modern interface. A device file ends in
 *	VIRTIO_DEVICE("virtio-name", object)
 * where object is its struct virtio_ops; "-s slot,virtio-name,config" makes instances.
 */
#ifndef DM_PCI_MODERN_H
#define DM_PCI_MODERN_H

#include <stdbool.h>
#include <stdint.h>

#include "pci.h"
#include "virtio.h"

/* The hooks of struct pci_ops, common to all virtio devices. */
int pci_modern_init(struct pci_device *pci, const struct virtio_ops *ops, const char *config);
void pci_modern_deinit(struct pci_device *pci);
void pci_modern_reset(struct pci_device *pci);
uint64_t pci_modern_bar_read(struct pci_device *pci, unsigned int bar, uint64_t offset,
			     unsigned int size);
void pci_modern_bar_write(struct pci_device *pci, unsigned int bar, uint64_t offset,
			  unsigned int size, uint64_t value);
bool pci_window_cfg_read(struct pci_device *pci, unsigned int reg, unsigned int size,
			 uint32_t *value);
void pci_modern_bar_moved(struct pci_device *pci, unsigned int bar);
void pci_modern_msix_changed(struct pci_device *pci);
int pci_modern_rescan(struct pci_device *pci, const char *file);
bool pci_window_cfg_write(struct pci_device *pci, unsigned int reg, unsigned int size,
			  uint32_t value);

#define VIRTIO_DEVICE(device_name, object)                                                         \
	static int object##_pci_init(struct pci_device *pci, const char *config)                   \
	{                                                                                          \
		return pci_modern_init(pci, &(object), config);                                    \
	}                                                                                          \
	static const struct pci_ops object##_pci = {                                               \
		.name = (device_name),                                                             \
		.init = object##_pci_init,                                                         \
		.deinit = pci_modern_deinit,                                                       \
		.reset = pci_modern_reset,                                                         \
		.bar_read = pci_modern_bar_read,                                                   \
		.bar_write = pci_modern_bar_write,                                                 \
		.cfg_read = pci_window_cfg_read,                                                   \
		.bar_moved = pci_modern_bar_moved,                                                 \
		.msix_changed = pci_modern_msix_changed,                                           \
		.cfg_write = pci_window_cfg_write,                                                 \
		.rescan = pci_modern_rescan,                                                       \
	};                                                                                         \
	PCI_DEVICE(object##_pci)

#endif
