// SPDX-License-Identifier: BSD-3-Clause
/*
 * MSI-X of a device that a VM owns (PCI 3.0, 6.8.2).  While the guest has it off, the table is the
 * guest's to write; when it switches it on, what it wrote is taken over, the pages of the table are
 * taken out of its EPT, and the device gets what vm->msi_ops makes of each entry it unmasks.
 * Rest of those pages passes through.  With the lock of vpci_pt.c held, but for table accesses,
 * which take it.
 */
#include "lib/errno.h"
#include "asm/io.h"
#include "asm/vmx.h"
#include "hv/ept.h"
#include "hv/gmem.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/vcpu.h"
#include "hv/vintr.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "../vpci_dev.h"

#define CTRL_ENABLE    BIT32(31) /* in the first register; message control is its upper half */
#define CTRL_MASK_ALL  BIT32(30)
#define CTRL_SIZE(r)   ((((r) >> 16) & 0x7FFU) + 1U)
#define ENTRY_SIZE     16U
#define ENTRY_MASKED   BIT32(0)
#define PCI_BAR0       0x10U
#define BAR_IO	       BIT32(0)
#define BAR_64	       BIT32(2)

/* The hypervisor maps this far; a table above cannot be served. */
static uint64_t reachable_top(void)
{
	return MAX(e820_top(&host_e820), GB(4));
}

/* HPA of the table by what the BAR holds now, or 0. */
static uint64_t table_address(const struct vpci_dev *dev)
{
	uint32_t reg = PCI_BAR0 + 4U * dev->msix.bir;
	uint64_t bar = pci_cfg_read(dev->bdf, reg, 4);

	if ((bar & BAR_IO) != 0U) {
		return 0;
	}
	if ((bar & BAR_64) != 0U) {
		bar |= (uint64_t)pci_cfg_read(dev->bdf, reg + 4U, 4) << 32;
	}
	bar &= ~0xFUL;
	if (bar == 0U ||
	    bar + dev->msix.offset + CONFIG_MAX_MSIX_TABLE_NUM * ENTRY_SIZE > reachable_top()) {
		return 0;
	}
	return bar + dev->msix.offset;
}

void vmsix_init(struct vpci_dev *dev, uint8_t cap)
{
	uint32_t table = pci_cfg_read(dev->bdf, cap + 4U, 4);
	uint32_t size = CTRL_SIZE(pci_cfg_read(dev->bdf, cap, 4));

	dev->msix.cap = cap;
	dev->msix.bir = (uint8_t)(table & 7U);
	dev->msix.offset = table & ~7U;
	if (dev->msix.bir > 5U || size > CONFIG_MAX_MSIX_TABLE_NUM) {
		pr_warn("PCI device %04x: its %u MSI-X entries are hidden", dev->bdf, size);
	} else {
		dev->msix.count = (uint16_t)size;
	}
}

bool vmsix_covers(const struct vpci_dev *dev, uint32_t reg)
{
	return dev->msix.cap != 0U && (reg & ~3U) == dev->msix.cap;
}

/* One that cannot be served shows as a null capability (PCI 3.0, appendix H). */
uint32_t vmsix_read(const struct vpci_dev *dev, uint32_t reg, uint32_t phys)
{
	(void)reg;
	return dev->msix.count != 0U ? phys : phys & 0xFF00U;
}

static uint8_t *entry_reg(const struct vpci_dev *dev, uint32_t n)
{
	return hpa_ptr(HPA(dev->msix.table + n * ENTRY_SIZE));
}

static void entry_store(const struct vpci_dev *dev, uint32_t n, uint64_t addr, uint32_t data,
			uint32_t ctrl)
{
	uint8_t *reg = entry_reg(dev, n);

	mmio_write32(reg + 12, ctrl | ENTRY_MASKED); /* no message while half of it is new */
	mmio_write32(reg, (uint32_t)addr);
	mmio_write32(reg + 4, (uint32_t)(addr >> 32));
	mmio_write32(reg + 8, data);
	mmio_write32(reg + 12, ctrl);
}

static void entry_program(const struct vpci_dev *dev, uint32_t n)
{
	const struct vmsix_entry *e = &dev->msix.entry[n];
	const struct msi_ops *ops = dev->vm->msi_ops;
	uint64_t addr = e->addr;
	uint32_t data = e->data;

	if ((e->ctrl & ENTRY_MASKED) != 0U) {
		mmio_write32(entry_reg(dev, n) + 12, e->ctrl);
		return;
	}
	if (ops &&
	    ops->remap(dev->vm, dev->bdf, (uint16_t)n, e->addr, e->data, &addr, &data) != 0) {
		pr_warn("MSI-X %u of PCI device %04x stays masked: address %lx, data %x", n,
			dev->bdf, e->addr, e->data);
		mmio_write32(entry_reg(dev, n) + 12, e->ctrl | ENTRY_MASKED);
		return;
	}
	entry_store(dev, n, addr, data, e->ctrl);
}

static uint64_t raw_read(const struct io_access *io)
{
	const uint8_t *p = hpa_ptr(HPA(io->addr));
	uint64_t val = mmio_read(p, io->width);

	return io->width == 8U ? val | (uint64_t)mmio_read32(p + 4) << 32 : val;
}

static void raw_write(const struct io_access *io)
{
	uint8_t *p = hpa_ptr(HPA(io->addr));

	mmio_write(p, io->width, (uint32_t)io->value);
	if (io->width == 8U) {
		mmio_write32(p + 4, (uint32_t)(io->value >> 32));
	}
}

/* One 32-bit register of an entry, in the order of the table. */
static uint32_t *entry_word(struct vmsix_entry *e, uint64_t offset)
{
	uint32_t *addr = (uint32_t *)(void *)&e->addr;

	switch (offset & 0xCU) {
	case 0:
		return &addr[0];
	case 4:
		return &addr[1];
	case 8:
		return &e->data;
	default:
		return &e->ctrl;
	}
}

bool vmsix_entry_access(struct vmsix_entry *e, uint64_t offset, struct io_access *io)
{
	uint32_t words = io->width / 4U;

	if ((io->width != 4U && io->width != 8U) || (offset & (io->width - 1U)) != 0U) {
		io->value = io->write ? io->value : UINT64_MAX;
		return false;
	}
	if (!io->write) {
		io->value = 0;
	}
	for (uint32_t i = 0; i < words; i++) {
		uint32_t *w = entry_word(e, offset + 4U * i);

		if (io->write) {
			*w = (uint32_t)(io->value >> (32U * i));
		} else {
			io->value |= (uint64_t)*w << (32U * i);
		}
	}
	return io->write;
}

static void table_access(struct vpci_dev *dev, uint64_t offset, struct io_access *io)
{
	uint32_t n = (uint32_t)(offset / ENTRY_SIZE);

	if (vmsix_entry_access(&dev->msix.entry[n], offset, io)) {
		entry_program(dev, n);
	}
}

static void table_io(struct vcpu *vcpu, void *arg, struct io_access *io)
{
	struct vpci_dev *dev = arg;
	uint64_t offset = io->addr - dev->msix.table;

	(void)vcpu;
	spin_lock(dev->lock);
	if (dev->msix.on && io->addr >= dev->msix.table && offset < dev->msix.count * ENTRY_SIZE) {
		table_access(dev, offset, io);
	} else if (io->write) {
		raw_write(io);
	} else {
		io->value = raw_read(io);
	}
	spin_unlock(dev->lock);
}

/* Take over what the guest wrote to the table while it was its own. */
static int switch_on(struct vpci_dev *dev)
{
	struct vmsix *m = &dev->msix;
	uint64_t table = table_address(dev);
	int ret;

	if (table == 0U) {
		return -EINVAL;
	}
	m->table = table;
	m->first = ALIGN_DOWN(table, PAGE_SIZE);
	m->size = ALIGN_UP(table + m->count * ENTRY_SIZE, PAGE_SIZE) - m->first;
	/* The guest moves BARs as it likes, over the hypervisor's memory or another VM's too. */
	if (!gmem_is_device(dev->vm, GPA(m->first), m->size)) {
		return -EACCES;
	}
	ret = vio_add_mmio(dev->vm, GPA(m->first), m->size, table_io, dev);
	if (ret != 0) {
		return ret;
	}
	ret = ept_unmap(&dev->vm->ept, GPA(m->first), m->size);
	if (ret != 0) {
		vio_remove_mmio(dev->vm, GPA(m->first));
		return ret;
	}
	m->on = true;
	for (uint32_t n = 0; n < m->count; n++) {
		uint8_t *reg = entry_reg(dev, n);

		m->entry[n].addr = mmio_read32(reg) | (uint64_t)mmio_read32(reg + 4) << 32;
		m->entry[n].data = mmio_read32(reg + 8);
		m->entry[n].ctrl = mmio_read32(reg + 12);
		entry_program(dev, n);
	}
	return 0;
}

/* Give the table back as the guest knows it. */
static void switch_off(struct vpci_dev *dev)
{
	struct vmsix *m = &dev->msix;

	m->on = false;
	for (uint32_t n = 0; n < m->count; n++) {
		entry_store(dev, n, m->entry[n].addr, m->entry[n].data, m->entry[n].ctrl);
	}
	vio_remove_mmio(dev->vm, GPA(m->first));
	if (ept_map(&dev->vm->ept, GPA(m->first), HPA(m->first), m->size, EPT_RWX | EPT_MT_UC) !=
	    0) {
		pr_err("PCI device %04x: its MSI-X page is lost to the VM", dev->bdf);
	}
	if (dev->vm->msi_ops) {
		dev->vm->msi_ops->release(dev->vm, dev->bdf);
	}
}

void vmsix_write(struct vpci_dev *dev, uint32_t val, bool *flush)
{
	struct vmsix *m = &dev->msix;
	bool on = (val & CTRL_ENABLE) != 0U;

	if (m->count == 0U) {
		return; /* a null capability */
	}
	if (!on && m->on) {
		pci_cfg_write(dev->bdf, m->cap + 2U, 2, (val & ~CTRL_ENABLE) >> 16);
		switch_off(dev);
		return;
	}
	if (on && !m->on) {
		/* Some devices answer in the table only with MSI-X on: all masked meanwhile. */
		pci_cfg_write(dev->bdf, m->cap + 2U, 2, (val | CTRL_MASK_ALL) >> 16);
		if (switch_on(dev) != 0) {
			pr_warn("MSI-X of PCI device %04x stays off: no access to its table",
				dev->bdf);
			val &= ~CTRL_ENABLE;
		} else {
			*flush = true;
		}
	}
	pci_cfg_write(dev->bdf, m->cap + 2U, 2, val >> 16);
}
