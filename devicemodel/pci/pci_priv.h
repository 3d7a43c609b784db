// SPDX-License-Identifier: BSD-3-Clause
/* What the files of the PCI core need of each other; devices use pci.h. */
#ifndef DM_PCI_PRIV_H
#define DM_PCI_PRIV_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct pci_device;
struct vm;

/* One past the last address handed to a BAR, per window. */
struct pci_windows {
	uint64_t io;
	uint64_t mem32;
	uint64_t mem64;
};

#define PCI_INTX_LINES 8U

struct pci_bus {
	struct pci_device *dev[32][8];
	struct pci_windows next;
	/* INTx: how many functions drive each line; under intx_lock. */
	unsigned int drivers[PCI_INTX_LINES];
	pthread_mutex_t intx_lock;
};

/* pci_cfg.c: the registers every function has. size 1, 2 or 4, reg aligned to it. */
void pci_cfg_init(struct pci_device *dev);
uint32_t pci_cfg_read(struct pci_device *dev, unsigned int reg, unsigned int size);
void pci_cfg_write(struct pci_device *dev, unsigned int reg, unsigned int size, uint32_t value);

/* pci_bar.c */
bool pci_bar_write_reg(struct pci_device *dev, unsigned int reg, unsigned int size, uint32_t value);
/* Map and unmap BARs as the command register and their addresses now say. */
void pci_bar_sync(struct pci_device *dev);
void pci_bar_unmap_all(struct pci_device *dev);

/* pci_msix.c: accesses inside a BAR; true when the table or the pending bits took it. */
bool pci_msix_read(struct pci_device *dev, unsigned int bar, uint64_t offset, unsigned int size,
		   uint64_t *value);
bool pci_msix_write(struct pci_device *dev, unsigned int bar, uint64_t offset, unsigned int size,
		    uint64_t value);
/* The control register changed: what was pending and is now unmasked goes out. */
void pci_msix_update(struct pci_device *dev);
void pci_msix_reset(struct pci_device *dev);
void pci_msix_free(struct pci_device *dev);

/* pci_msi.c: does a write to this address raise an interrupt? */
bool pci_msi_address(uint64_t addr);
/* Send one message; irq_lock is held by the caller. */
void pci_msi_send(struct pci_device *dev, uint64_t addr, uint32_t data);

/* pci_intx.c: the command register changed, or what enables messages. */
void pci_intx_update(struct pci_device *dev);

#endif
