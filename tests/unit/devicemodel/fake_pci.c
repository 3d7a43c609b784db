// SPDX-License-Identifier: BSD-3-Clause
/* See fake_pci.h. Finds devices in the section they register in, as the real bus does. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "doorbell.h"
#include "fake_pci.h"
#include "vm.h"

SECTION_DECLARE(dm_pci_devices, struct pci_ops);

int fake_pci_create(struct fake_pci *f, const char *name, const char *config)
{
	static struct vm nobodys;
	static unsigned int slot;
	struct vm *vm = f->pci.vm;
	int error = f->add_error;

	memset(f, 0, sizeof(*f));
	f->pci.vm = vm ? vm : &nobodys;
	f->add_error = error;
	f->msix = true;
	f->pci.cap_end = 0x40;
	snprintf(f->pci.name, sizeof(f->pci.name), "%s@0:%u.0", name, slot++ % 32);
	SECTION_FOREACH(dm_pci_devices, struct pci_ops, it)
	{
		if (strcmp((*it)->name, name) == 0) {
			f->pci.ops = *it;
			return (*it)->init(&f->pci, config);
		}
	}
	return -ENODEV;
}

void fake_pci_destroy(struct fake_pci *f)
{
	f->pci.ops->deinit(&f->pci);
}

static struct fake_pci *fake(struct pci_device *dev)
{
	return (struct fake_pci *)(void *)dev;
}

uint8_t pci_cfg_get8(const struct pci_device *dev, unsigned int reg)
{
	return dev->cfg[reg];
}

uint16_t pci_cfg_get16(const struct pci_device *dev, unsigned int reg)
{
	return (uint16_t)(dev->cfg[reg] | dev->cfg[reg + 1] << 8);
}

uint32_t pci_cfg_get32(const struct pci_device *dev, unsigned int reg)
{
	return pci_cfg_get16(dev, reg) | (uint32_t)pci_cfg_get16(dev, reg + 2) << 16;
}

void pci_cfg_set8(struct pci_device *dev, unsigned int reg, uint8_t value)
{
	dev->cfg[reg] = value;
}

void pci_cfg_set16(struct pci_device *dev, unsigned int reg, uint16_t value)
{
	memcpy(&dev->cfg[reg], &value, 2);
}

void pci_cfg_set32(struct pci_device *dev, unsigned int reg, uint32_t value)
{
	memcpy(&dev->cfg[reg], &value, 4);
}

void pci_cfg_set_ids(struct pci_device *dev, uint16_t vendor, uint16_t device, uint32_t class_code,
		     uint8_t revision)
{
	pci_cfg_set16(dev, PCI_VENDOR_ID, vendor);
	pci_cfg_set16(dev, PCI_DEVICE_ID, device);
	pci_cfg_set32(dev, PCI_REVISION_ID, class_code << 8 | revision);
}

void pci_cfg_set_subsystem(struct pci_device *dev, uint16_t vendor, uint16_t device)
{
	pci_cfg_set16(dev, PCI_SUBSYSTEM_VENDOR_ID, vendor);
	pci_cfg_set16(dev, PCI_SUBSYSTEM_ID, device);
}

int pci_bar_add(struct pci_device *dev, unsigned int bar, enum pci_bar_type type, uint64_t size,
		bool prefetchable)
{
	uint64_t rounded = type == PCI_BAR_IO ? 4 : 4096;

	while (rounded < size)
		rounded *= 2;
	dev->bar[bar].type = type;
	dev->bar[bar].size = rounded;
	(void)prefetchable;
	return fake(dev)->add_error;
}

int pci_cap_add(struct pci_device *dev, uint8_t id, unsigned int len)
{
	unsigned int at = dev->cap_end;

	if (at + len > PCI_CFG_CONVENTION)
		return -ENOSPC;
	dev->cfg[at] = id;
	dev->cfg[dev->cap_last != 0 ? dev->cap_last + 1 : PCI_CAPABILITY_LIST] = (uint8_t)at;
	dev->cap_last = at;
	dev->cap_end = (at + len + 3) & ~3U;
	return (int)at;
}

int pci_msix_add(struct pci_device *dev, unsigned int bar, uint32_t table_offset,
		 unsigned int vectors)
{
	(void)bar;
	(void)table_offset;
	fake(dev)->vectors = vectors;
	return pci_cap_add(dev, PCI_CAP_ID_MSIX, 12) < 0 ? -ENOSPC : 0;
}

uint32_t pci_msix_bytes(unsigned int vectors)
{
	return vectors * 16 + 8;
}

void pci_intx_add(struct pci_device *dev)
{
	pci_cfg_set8(dev, PCI_INTERRUPT_PIN, 1);
}

int pci_msi_add(struct pci_device *dev, unsigned int vectors)
{
	fake(dev)->vectors = vectors;
	return pci_cap_add(dev, PCI_CAP_ID_MSI, 14);
}

bool pci_msi_enabled(const struct pci_device *dev)
{
	(void)dev;
	return false;
}

void pci_msi_notify(struct pci_device *dev, unsigned int vector)
{
	assert(vector < fake(dev)->vectors);
	atomic_fetch_add(&fake(dev)->msi_count, 1);
}

bool pci_msix_enabled(const struct pci_device *dev)
{
	return ((const struct fake_pci *)(const void *)dev)->msix;
}

void pci_msix_notify(struct pci_device *dev, unsigned int vector)
{
	if (vector < FAKE_VECTORS)
		atomic_fetch_add(&fake(dev)->msix_count[vector], 1);
}

bool pci_msix_message(struct pci_device *dev, unsigned int vector, uint64_t *addr, uint32_t *data)
{
	(void)dev;
	(void)vector;
	(void)addr;
	(void)data;
	return false;
}

void pci_intx_set(struct pci_device *dev, bool level)
{
	atomic_store(&fake(dev)->intx, level);
}

/* There is no HSM: a device's doorbells are the caller's. */

struct doorbells *doorbells_create(struct virtio_dev *dev)
{
	(void)dev;
	return NULL;
}

void doorbells_destroy(struct doorbells *d)
{
	(void)d;
}

void doorbells_open(struct doorbells *d)
{
	(void)d;
}

void doorbells_close(struct doorbells *d)
{
	(void)d;
}

void doorbells_move(struct doorbells *d, uint16_t port)
{
	(void)d;
	(void)port;
}

bool doorbells_ring(struct doorbells *d, unsigned int queue)
{
	(void)d;
	(void)queue;
	return false;
}

void doorbells_hold(struct doorbells *d)
{
	(void)d;
}

void doorbells_go_on(struct doorbells *d)
{
	(void)d;
}

int pci_no_config(const struct pci_device *dev, const char *config)
{
	(void)dev;
	return config ? -EINVAL : 0;
}
