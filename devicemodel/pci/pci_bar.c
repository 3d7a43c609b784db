// SPDX-License-Identifier: BSD-3-Clause
/*
 * Base address registers: their addresses at start, the size probe, and the
 * ranges in port and memory space that follow them. A BAR whose address the
 * guest sets onto RAM or another device is not mapped until one of the two
 * moves; nothing else suffers. I/O request thread only.
 */
#include <errno.h>

#include "log.h"
#include "mmio.h"
#include "pci.h"
#include "pci_priv.h"
#include "pio.h"
#include "vm.h"

#define BAR_REG(i)    (PCI_BASE_ADDRESS_0 + 4U * (i))
#define IO_FLAG_BITS  0x3U
#define MEM_FLAG_BITS 0xfU
#define MIN_MEM_SIZE  4096U
#define MIN_IO_SIZE   4U

static uint64_t bar_io_read(void *arg, uint64_t offset, unsigned int size)
{
	const struct pci_bar *bar = arg;
	struct pci_device *dev = bar->dev;
	unsigned int index = (unsigned int)(bar - dev->bar);
	uint64_t value;

	if (dev->msix && pci_msix_read(dev, index, offset, size, &value))
		return value;
	return dev->ops->bar_read ? dev->ops->bar_read(dev, index, offset, size) : UINT64_MAX;
}

static void bar_io_write(void *arg, uint64_t offset, unsigned int size, uint64_t value)
{
	const struct pci_bar *bar = arg;
	struct pci_device *dev = bar->dev;
	unsigned int index = (unsigned int)(bar - dev->bar);

	if (dev->msix && pci_msix_write(dev, index, offset, size, value))
		return;
	if (dev->ops->bar_write)
		dev->ops->bar_write(dev, index, offset, size, value);
}

static const struct io_ops bar_ops = {.read = bar_io_read, .write = bar_io_write};

static uint64_t bar_addr(const struct pci_device *dev, unsigned int i)
{
	uint64_t addr = pci_cfg_get32(dev, BAR_REG(i));

	if (dev->bar[i].type == PCI_BAR_IO)
		return addr & ~(uint64_t)IO_FLAG_BITS;
	if (dev->bar[i].type == PCI_BAR_MEM64)
		addr |= (uint64_t)pci_cfg_get32(dev, BAR_REG(i + 1)) << 32;
	return addr & ~(uint64_t)MEM_FLAG_BITS;
}

static void moved(struct pci_bar *bar)
{
	if (bar->dev->ops->bar_moved)
		bar->dev->ops->bar_moved(bar->dev, (unsigned int)(bar - bar->dev->bar));
}

static void unmap(struct pci_bar *bar)
{
	if (!bar->mapped)
		return;
	if (bar->type == PCI_BAR_IO)
		pio_unregister(bar->dev->vm, (uint16_t)bar->mapped_at);
	else
		mmio_unregister(bar->dev->vm, bar->mapped_at);
	bar->mapped = false;
	moved(bar);
}

static void map(struct pci_bar *bar, uint64_t addr)
{
	struct pci_device *dev = bar->dev;
	int err;

	/* Address 0 is what a driver leaves that releases the BAR. */
	if (addr == 0)
		return;
	if (bar->type != PCI_BAR_IO)
		err = mmio_register(dev->vm, dev->name, addr, bar->size, &bar_ops, bar);
	else if (addr > UINT16_MAX)
		return;
	else
		err = pio_register(dev->vm, dev->name, (uint16_t)addr, (uint32_t)bar->size,
				   &bar_ops, bar);
	if (err)
		return;
	bar->mapped = true;
	bar->mapped_at = addr;
	moved(bar);
}

/* Returns whether an address became free. */
static bool sync_device(struct pci_device *dev)
{
	uint16_t command = pci_cfg_get16(dev, PCI_COMMAND);
	bool freed = false;

	for (unsigned int i = 0; i < PCI_BARS; i++) {
		struct pci_bar *bar = &dev->bar[i];
		bool is_io = bar->type == PCI_BAR_IO;
		uint64_t addr;

		if (bar->type == PCI_BAR_NONE || bar->type == PCI_BAR_MEM64_HIGH)
			continue;
		addr = bar_addr(dev, i);
		if (!(command & (is_io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY))) {
			freed |= bar->mapped;
			unmap(bar);
			continue;
		}
		if (bar->mapped && bar->mapped_at != addr) {
			freed = true;
			unmap(bar);
		}
		if (!bar->mapped)
			map(bar, addr);
	}
	return freed;
}

void pci_bar_sync(struct pci_device *dev)
{
	struct pci_bus *bus = dev->vm->pci;

	if (!sync_device(dev))
		return;
	/* Another device may have waited for that address. */
	for (unsigned int slot = 0; slot < PCI_SLOTS; slot++) {
		for (unsigned int func = 0; func < PCI_FUNCS; func++) {
			if (bus->dev[slot][func])
				sync_device(bus->dev[slot][func]);
		}
	}
}

void pci_bar_unmap_all(struct pci_device *dev)
{
	for (unsigned int i = 0; i < PCI_BARS; i++)
		unmap(&dev->bar[i]);
}

bool pci_bar_write_reg(struct pci_device *dev, unsigned int reg, unsigned int size, uint32_t value)
{
	unsigned int i = (reg - BAR_REG(0)) / 4;
	unsigned int shift = 8 * (reg & 3U);
	uint32_t byte_mask = (UINT32_MAX >> (32 - 8 * size)) << shift;
	uint32_t old, mask;

	if (reg < BAR_REG(0) || reg >= BAR_REG(PCI_BARS))
		return false;
	switch (dev->bar[i].type) {
	case PCI_BAR_IO:
		mask = ~((uint32_t)dev->bar[i].size - 1) & ~IO_FLAG_BITS;
		break;
	case PCI_BAR_MEM32:
	case PCI_BAR_MEM64:
		mask = (uint32_t) ~(dev->bar[i].size - 1) & ~MEM_FLAG_BITS;
		break;
	case PCI_BAR_MEM64_HIGH:
		mask = (uint32_t)(~(dev->bar[i - 1].size - 1) >> 32);
		break;
	case PCI_BAR_NONE:
	default:
		return true;
	}
	mask &= byte_mask;
	old = pci_cfg_get32(dev, BAR_REG(i));
	pci_cfg_set32(dev, BAR_REG(i), (old & ~mask) | ((value << shift) & mask));
	pci_bar_sync(dev);
	return true;
}

/* The next free address of a window, aligned to size; 0 when it is full. */
static uint64_t allocate(uint64_t *next, uint64_t limit, uint64_t size)
{
	uint64_t addr = (*next + size - 1) & ~(size - 1);

	if (addr >= limit || size > limit - addr)
		return 0;
	*next = addr + size;
	return addr;
}

static uint64_t round_up_pow2(uint64_t size, uint64_t min)
{
	uint64_t pow2 = min;

	while (pow2 < size)
		pow2 <<= 1;
	return pow2;
}

int pci_bar_add(struct pci_device *dev, unsigned int bar, enum pci_bar_type type, uint64_t size,
		bool prefetchable)
{
	struct pci_windows *next = &dev->vm->pci->next;
	uint32_t flags = prefetchable ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0;
	uint64_t addr;

	if (bar >= PCI_BARS || size == 0 || size > VM_MMIO64_BASE ||
	    (type == PCI_BAR_MEM64 && bar + 1 >= PCI_BARS))
		return -EINVAL;
	if (dev->bar[bar].type != PCI_BAR_NONE ||
	    (type == PCI_BAR_MEM64 && dev->bar[bar + 1].type != PCI_BAR_NONE))
		return -EBUSY;

	if (type == PCI_BAR_IO) {
		size = round_up_pow2(size, MIN_IO_SIZE);
		addr = allocate(&next->io, VM_IO_LIMIT, size);
		flags = PCI_BASE_ADDRESS_SPACE_IO;
	} else if (type == PCI_BAR_MEM32) {
		size = round_up_pow2(size, MIN_MEM_SIZE);
		addr = allocate(&next->mem32, VM_MMIO32_LIMIT, size);
	} else {
		size = round_up_pow2(size, MIN_MEM_SIZE);
		addr = allocate(&next->mem64, VM_MMIO64_LIMIT, size);
		flags |= PCI_BASE_ADDRESS_MEM_TYPE_64;
	}
	if (addr == 0) {
		log_err("%s: no address space left for a BAR of 0x%llx bytes", dev->name,
			(unsigned long long)size);
		return -ENOSPC;
	}
	dev->bar[bar].type = type;
	dev->bar[bar].size = size;
	dev->bar[bar].dev = dev;
	pci_cfg_set32(dev, BAR_REG(bar), (uint32_t)addr | flags);
	if (type == PCI_BAR_MEM64) {
		dev->bar[bar + 1].type = PCI_BAR_MEM64_HIGH;
		pci_cfg_set32(dev, BAR_REG(bar + 1), (uint32_t)(addr >> 32));
	}
	return 0;
}
