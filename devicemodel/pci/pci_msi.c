// SPDX-License-Identifier: BSD-3-Clause
/*
 * MSI capability, 64-bit address, no per-vector masks. Messages are sent from
 * any thread under irq_lock, so that a guest that reprograms address and data
 * never sees half of the old message.
 */
#include <errno.h>

#include "hsm.h"
#include "log.h"
#include "pci.h"
#include "pci_priv.h"
#include "vm.h"

#define MAX_VECTORS   32U
#define MSI_ADDR_BASE 0xfee00000U
#define MSI_ADDR_MASK 0xfff00000U

bool pci_msi_address(uint64_t addr)
{
	return addr <= UINT32_MAX && (addr & MSI_ADDR_MASK) == MSI_ADDR_BASE;
}

void pci_msi_send(struct pci_device *dev, uint64_t addr, uint32_t data)
{
	/* Anything else would be a memory write somewhere, not an interrupt. */
	if (!pci_msi_address(addr)) {
		log_guest("%s: message address 0x%llx is no interrupt", dev->name,
			  (unsigned long long)addr);
		return;
	}
	if (hsm_inject_msi(dev->vm->hsm, addr, data))
		log_guest("%s: message 0x%llx/0x%x refused", dev->name, (unsigned long long)addr,
			  data);
}

int pci_msi_add(struct pci_device *dev, unsigned int vectors)
{
	unsigned int log2 = 0;
	unsigned int at;
	int cap;

	if (vectors == 0 || vectors > MAX_VECTORS)
		return -EINVAL;
	while ((1U << log2) < vectors)
		log2++;
	cap = pci_cap_add(dev, PCI_CAP_ID_MSI, PCI_MSI_DATA_64 + 2);
	if (cap < 0)
		return cap;
	at = (unsigned int)cap;
	dev->msi_cap = at;
	pci_cfg_set16(dev, at + PCI_MSI_FLAGS, (uint16_t)(PCI_MSI_FLAGS_64BIT | log2 << 1));
	dev->wmask[at + PCI_MSI_FLAGS] = PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE;
	for (unsigned int i = 0; i < 10; i++)
		dev->wmask[at + PCI_MSI_ADDRESS_LO + i] = i == 0 ? 0xfc : 0xff;
	return cap;
}

bool pci_msi_enabled(const struct pci_device *dev)
{
	return dev->msi_cap && (dev->cfg[dev->msi_cap + PCI_MSI_FLAGS] & PCI_MSI_FLAGS_ENABLE);
}

void pci_msi_notify(struct pci_device *dev, unsigned int vector)
{
	unsigned int at = dev->msi_cap;

	pthread_mutex_lock(&dev->irq_lock);
	if (pci_msi_enabled(dev)) {
		unsigned int flags = pci_cfg_get16(dev, at + PCI_MSI_FLAGS);
		unsigned int capable = (flags & PCI_MSI_FLAGS_QMASK) >> 1;
		unsigned int log2 = (flags & PCI_MSI_FLAGS_QSIZE) >> 4;
		unsigned int enabled = 1U << (log2 < capable ? log2 : capable);
		uint64_t addr = pci_cfg_get32(dev, at + PCI_MSI_ADDRESS_LO) |
				(uint64_t)pci_cfg_get32(dev, at + PCI_MSI_ADDRESS_HI) << 32;
		uint32_t data = pci_cfg_get16(dev, at + PCI_MSI_DATA_64);

		if (vector < enabled)
			pci_msi_send(dev, addr, (data & ~(enabled - 1)) | vector);
	}
	pthread_mutex_unlock(&dev->irq_lock);
}
