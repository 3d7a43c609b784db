// SPDX-License-Identifier: BSD-3-Clause
/*
 * Configuration space of a function: cfg is what the guest reads, wmask the bits
 * it may write, and a few registers have an effect beyond their bits. Accesses
 * come from the I/O request thread; irq_lock is taken for registers that other
 * threads read when they raise an interrupt.
 */
#include <errno.h>
#include <string.h>

#include "pci.h"
#include "pci_priv.h"

#define CAP_FIRST 0x40U

uint8_t pci_cfg_get8(const struct pci_device *dev, unsigned int reg)
{
	return dev->cfg[reg];
}

uint16_t pci_cfg_get16(const struct pci_device *dev, unsigned int reg)
{
	uint16_t value;

	memcpy(&value, &dev->cfg[reg], sizeof(value));
	return value;
}

uint32_t pci_cfg_get32(const struct pci_device *dev, unsigned int reg)
{
	uint32_t value;

	memcpy(&value, &dev->cfg[reg], sizeof(value));
	return value;
}

void pci_cfg_set8(struct pci_device *dev, unsigned int reg, uint8_t value)
{
	dev->cfg[reg] = value;
}

void pci_cfg_set16(struct pci_device *dev, unsigned int reg, uint16_t value)
{
	memcpy(&dev->cfg[reg], &value, sizeof(value));
}

void pci_cfg_set32(struct pci_device *dev, unsigned int reg, uint32_t value)
{
	memcpy(&dev->cfg[reg], &value, sizeof(value));
}

static void set_wmask16(struct pci_device *dev, unsigned int reg, uint16_t mask)
{
	memcpy(&dev->wmask[reg], &mask, sizeof(mask));
}

void pci_cfg_init(struct pci_device *dev)
{
	dev->cap_end = CAP_FIRST;
	set_wmask16(dev, PCI_COMMAND,
		    PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
			    PCI_COMMAND_INTX_DISABLE | PCI_COMMAND_SERR | PCI_COMMAND_PARITY);
	dev->wmask[PCI_CACHE_LINE_SIZE] = 0xff;
	dev->wmask[PCI_INTERRUPT_LINE] = 0xff;
}

void pci_cfg_set_ids(struct pci_device *dev, uint16_t vendor, uint16_t device, uint32_t class_code,
		     uint8_t revision)
{
	pci_cfg_set16(dev, PCI_VENDOR_ID, vendor);
	pci_cfg_set16(dev, PCI_DEVICE_ID, device);
	pci_cfg_set32(dev, PCI_CLASS_REVISION, class_code << 8 | revision);
}

void pci_cfg_set_subsystem(struct pci_device *dev, uint16_t vendor, uint16_t device)
{
	pci_cfg_set16(dev, PCI_SUBSYSTEM_VENDOR_ID, vendor);
	pci_cfg_set16(dev, PCI_SUBSYSTEM_ID, device);
}

int pci_cap_add(struct pci_device *dev, uint8_t id, unsigned int len)
{
	unsigned int at = dev->cap_end;

	if (len < 2 || at + len > PCI_CFG_CONVENTION)
		return -ENOSPC;
	dev->cap_end = (at + len + 3U) & ~3U;
	dev->cfg[at] = id;
	if (dev->cap_last)
		dev->cfg[dev->cap_last + 1] = (uint8_t)at;
	else
		dev->cfg[PCI_CAPABILITY_LIST] = (uint8_t)at;
	dev->cap_last = at;
	dev->cfg[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	return (int)at;
}

/* Version 2, an endpoint integrated in the root complex: it has no link. */
int pci_cap_add_pcie(struct pci_device *dev)
{
	int cap = pci_cap_add(dev, PCI_CAP_ID_EXP, PCI_CAP_EXP_ENDPOINT_SIZEOF_V2);
	unsigned int at;

	if (cap < 0)
		return cap;
	at = (unsigned int)cap;
	dev->pcie_cap = at;
	pci_cfg_set16(dev, at + PCI_EXP_FLAGS, 2U | PCI_EXP_TYPE_RC_END << 4);
	pci_cfg_set32(dev, at + PCI_EXP_DEVCAP, PCI_EXP_DEVCAP_RBER);
	set_wmask16(dev, at + PCI_EXP_DEVCTL,
		    PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE | PCI_EXP_DEVCTL_FERE |
			    PCI_EXP_DEVCTL_URRE | PCI_EXP_DEVCTL_RELAX_EN |
			    PCI_EXP_DEVCTL_NOSNOOP_EN | PCI_EXP_DEVCTL_PAYLOAD |
			    PCI_EXP_DEVCTL_READRQ);
	return cap;
}

uint32_t pci_cfg_read(struct pci_device *dev, unsigned int reg, unsigned int size)
{
	uint32_t value = 0;

	if (dev->ops->cfg_read && dev->ops->cfg_read(dev, reg, size, &value))
		return value;
	/* A function without PCI Express decodes no extended space. */
	if (reg >= PCI_CFG_CONVENTION && !dev->pcie_cap)
		return UINT32_MAX >> (32 - 8 * size);
	memcpy(&value, &dev->cfg[reg], size);
	return value;
}

static bool touches(unsigned int reg, unsigned int size, unsigned int at, unsigned int len)
{
	return reg < at + len && at < reg + size;
}

void pci_cfg_write(struct pci_device *dev, unsigned int reg, unsigned int size, uint32_t value)
{
	if (dev->ops->cfg_write && dev->ops->cfg_write(dev, reg, size, value))
		return;
	if (pci_bar_write_reg(dev, reg, size, value))
		return;

	pthread_mutex_lock(&dev->irq_lock);
	for (unsigned int i = 0; i < size; i++) {
		uint8_t mask = dev->wmask[reg + i];
		uint8_t byte = (uint8_t)(value >> (8 * i));

		dev->cfg[reg + i] = (uint8_t)((dev->cfg[reg + i] & ~mask) | (byte & mask));
	}
	pthread_mutex_unlock(&dev->irq_lock);

	if (touches(reg, size, PCI_COMMAND, 2))
		pci_bar_sync(dev);
	pci_intx_update(dev);
	if (dev->msix_cap && touches(reg, size, dev->msix_cap + PCI_MSIX_FLAGS, 2))
		pci_msix_update(dev);
}
