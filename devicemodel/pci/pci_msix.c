// SPDX-License-Identifier: BSD-3-Clause
/*
 * MSI-X: the capability, and the table and pending bits that live in a BAR of
 * the device. The guest reaches the table on the I/O request thread; devices
 * raise vectors from any thread. irq_lock covers all of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pci.h"
#include "pci_priv.h"

#define MAX_VECTORS 2048U
#define ENTRY_BYTES 16U
#define CTRL_MASKED 1U

/* As the guest sees it in the BAR. */
struct msix_entry {
	uint32_t addr_lo;
	uint32_t addr_hi;
	uint32_t data;
	uint32_t ctrl;
};

struct msix {
	unsigned int vectors;
	unsigned int bar;
	uint32_t table_offset;
	uint32_t pba_offset;
	uint32_t pba_bytes;
	struct msix_entry *table;
	uint64_t *pba;
};

static uint32_t pba_bytes(unsigned int vectors)
{
	return (vectors + 63U) / 64U * 8U;
}

uint32_t pci_msix_bytes(unsigned int vectors)
{
	return vectors * ENTRY_BYTES + pba_bytes(vectors);
}

int pci_msix_add(struct pci_device *dev, unsigned int bar, uint32_t table_offset,
		 unsigned int vectors)
{
	struct msix *msix;
	unsigned int at;
	int cap;

	if (vectors == 0 || vectors > MAX_VECTORS || bar >= PCI_BARS || (table_offset & 7U) != 0 ||
	    table_offset > dev->bar[bar].size ||
	    pci_msix_bytes(vectors) > dev->bar[bar].size - table_offset)
		return -EINVAL;
	msix = calloc(1, sizeof(*msix));
	if (!msix)
		return -ENOMEM;
	msix->table = calloc(vectors, sizeof(*msix->table));
	msix->pba = calloc(1, pba_bytes(vectors));
	cap = -ENOMEM;
	if (msix->table && msix->pba)
		cap = pci_cap_add(dev, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);
	if (cap < 0) {
		free(msix->table);
		free(msix->pba);
		free(msix);
		return cap;
	}
	msix->vectors = vectors;
	msix->bar = bar;
	msix->table_offset = table_offset;
	msix->pba_offset = table_offset + vectors * ENTRY_BYTES;
	msix->pba_bytes = pba_bytes(vectors);
	dev->msix = msix;
	pci_msix_reset(dev);

	at = (unsigned int)cap;
	dev->msix_cap = at;
	pci_cfg_set16(dev, at + PCI_MSIX_FLAGS, (uint16_t)(vectors - 1));
	dev->wmask[at + PCI_MSIX_FLAGS + 1] = (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL) >> 8;
	pci_cfg_set32(dev, at + PCI_MSIX_TABLE, msix->table_offset | bar);
	pci_cfg_set32(dev, at + PCI_MSIX_PBA, msix->pba_offset | bar);
	return cap;
}

void pci_msix_free(struct pci_device *dev)
{
	if (!dev->msix)
		return;
	free(dev->msix->table);
	free(dev->msix->pba);
	free(dev->msix);
	dev->msix = NULL;
}

/* After a reset every vector is masked and none pending. */
void pci_msix_reset(struct pci_device *dev)
{
	struct msix *msix = dev->msix;

	if (!msix)
		return;
	memset(msix->table, 0, msix->vectors * ENTRY_BYTES);
	memset(msix->pba, 0, msix->pba_bytes);
	for (unsigned int i = 0; i < msix->vectors; i++)
		msix->table[i].ctrl = CTRL_MASKED;
}

static uint16_t control(const struct pci_device *dev)
{
	return dev->msix_cap ? pci_cfg_get16(dev, dev->msix_cap + PCI_MSIX_FLAGS) : 0;
}

bool pci_msix_enabled(const struct pci_device *dev)
{
	return control(dev) & PCI_MSIX_FLAGS_ENABLE;
}

static bool deliverable(const struct pci_device *dev, unsigned int vector)
{
	return (control(dev) & (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL)) ==
		       PCI_MSIX_FLAGS_ENABLE &&
	       !(dev->msix->table[vector].ctrl & CTRL_MASKED);
}

static uint64_t entry_addr(const struct msix_entry *entry)
{
	return (uint64_t)entry->addr_hi << 32 | entry->addr_lo;
}

/* Send a vector that is pending and may go. irq_lock held. */
static void flush(struct pci_device *dev, unsigned int vector)
{
	const struct msix_entry *entry = &dev->msix->table[vector];
	uint64_t bit = 1ULL << (vector % 64);

	if (!(dev->msix->pba[vector / 64] & bit) || !deliverable(dev, vector))
		return;
	dev->msix->pba[vector / 64] &= ~bit;
	pci_msi_send(dev, entry_addr(entry), entry->data);
}

static void changed(struct pci_device *dev)
{
	if (dev->ops->msix_changed)
		dev->ops->msix_changed(dev);
}

void pci_msix_update(struct pci_device *dev)
{
	pthread_mutex_lock(&dev->irq_lock);
	for (unsigned int i = 0; i < dev->msix->vectors; i++)
		flush(dev, i);
	pthread_mutex_unlock(&dev->irq_lock);
	changed(dev);
}

void pci_msix_notify(struct pci_device *dev, unsigned int vector)
{
	struct msix *msix = dev->msix;

	if (!msix || vector >= msix->vectors)
		return;
	pthread_mutex_lock(&dev->irq_lock);
	if (pci_msix_enabled(dev)) {
		msix->pba[vector / 64] |= 1ULL << (vector % 64);
		flush(dev, vector);
	}
	pthread_mutex_unlock(&dev->irq_lock);
}

bool pci_msix_message(struct pci_device *dev, unsigned int vector, uint64_t *addr, uint32_t *data)
{
	const struct msix *msix = dev->msix;
	bool ok;

	if (!msix || vector >= msix->vectors)
		return false;
	pthread_mutex_lock(&dev->irq_lock);
	*addr = entry_addr(&msix->table[vector]);
	*data = msix->table[vector].data;
	ok = deliverable(dev, vector) && pci_msi_address(*addr);
	pthread_mutex_unlock(&dev->irq_lock);
	return ok;
}

static bool inside(uint64_t offset, unsigned int size, uint64_t base, uint64_t len)
{
	return offset >= base && offset - base < len && size <= len - (offset - base);
}

bool pci_msix_read(struct pci_device *dev, unsigned int bar, uint64_t offset, unsigned int size,
		   uint64_t *value)
{
	const struct msix *msix = dev->msix;
	const uint8_t *from;

	if (bar != msix->bar)
		return false;
	if (inside(offset, size, msix->table_offset, msix->vectors * ENTRY_BYTES))
		from = (const uint8_t *)msix->table + (offset - msix->table_offset);
	else if (inside(offset, size, msix->pba_offset, msix->pba_bytes))
		from = (const uint8_t *)msix->pba + (offset - msix->pba_offset);
	else
		return false;
	*value = 0;
	pthread_mutex_lock(&dev->irq_lock);
	memcpy(value, from, size);
	pthread_mutex_unlock(&dev->irq_lock);
	return true;
}

bool pci_msix_write(struct pci_device *dev, unsigned int bar, uint64_t offset, unsigned int size,
		    uint64_t value)
{
	struct msix *msix = dev->msix;
	uint64_t at = offset - msix->table_offset;

	if (bar != msix->bar)
		return false;
	/* The pending bits are read-only. */
	if (inside(offset, size, msix->pba_offset, msix->pba_bytes))
		return true;
	if (!inside(offset, size, msix->table_offset, msix->vectors * ENTRY_BYTES))
		return false;
	pthread_mutex_lock(&dev->irq_lock);
	memcpy((uint8_t *)msix->table + at, &value, size);
	msix->table[at / ENTRY_BYTES].ctrl &= CTRL_MASKED;
	flush(dev, (unsigned int)(at / ENTRY_BYTES));
	pthread_mutex_unlock(&dev->irq_lock);
	changed(dev);
	return true;
}
