// SPDX-License-Identifier: BSD-3-Clause
/*
 * The MSI capability of a device that a VM owns (PCI 3.0, 6.8.1).  The guest's address and data
 * stay here; the device gets what vm->msi_ops makes of them while the guest has MSI on.  One
 * message a device: the guest is told that there is no more.  With the lock of vpci_pt.c held.
 */
#include "hv/log.h"
#include "hv/vintr.h"
#include "hv/vm.h"
#include "../vpci_dev.h"

/* In the first register of the capability; message control is its upper half. */
#define CTRL_ENABLE BIT32(16)
#define CTRL_MMC    0xE0000U /* how many it could, and does, send: as powers of two */
#define CTRL_MME    0x700000U
#define CTRL_64	    BIT32(23)

void vmsi_init(struct vpci_dev *dev, uint8_t cap)
{
	dev->msi.cap = cap;
	dev->msi.wide = (pci_cfg_read(dev->bdf, cap, 4) & CTRL_64) != 0U;
}

/* Control, address and data; mask and pending bits behind them are the device's own. */
bool vmsi_covers(const struct vpci_dev *dev, uint32_t reg)
{
	uint32_t cap = dev->msi.cap;

	return cap != 0U && reg >= cap && reg < cap + (dev->msi.wide ? 16U : 12U);
}

static uint32_t data_at(const struct vmsi *m)
{
	return m->wide ? 12U : 8U;
}

uint32_t vmsi_read(const struct vpci_dev *dev, uint32_t reg, uint32_t phys)
{
	const struct vmsi *m = &dev->msi;
	uint32_t at = reg - m->cap;

	if (at == 0U) {
		return (phys & ~(CTRL_ENABLE | CTRL_MMC | CTRL_MME)) | (m->on ? CTRL_ENABLE : 0U);
	}
	if (at == 4U) {
		return (uint32_t)m->addr;
	}
	if (at == data_at(m)) {
		return (phys & ~0xFFFFU) | m->data;
	}
	return (uint32_t)(m->addr >> 32);
}

static void set_enable(const struct vpci_dev *dev, bool on)
{
	uint32_t ctrl = pci_cfg_read(dev->bdf, dev->msi.cap, 4) & ~(CTRL_ENABLE | CTRL_MME);

	pci_cfg_write(dev->bdf, dev->msi.cap + 2U, 2, (ctrl | (on ? CTRL_ENABLE : 0U)) >> 16);
}

/* The device must not send while half of a message is new. */
static void program(struct vpci_dev *dev)
{
	const struct vmsi *m = &dev->msi;
	const struct msi_ops *ops = dev->vm->msi_ops;
	uint64_t addr = m->addr;
	uint32_t data = m->data;

	set_enable(dev, false);
	if (ops && ops->remap(dev->vm, dev->bdf, 0, m->addr, m->data, &addr, &data) != 0) {
		pr_warn("MSI of PCI device %04x stays off: address %lx, data %x", dev->bdf, m->addr,
			m->data);
		return;
	}
	pci_cfg_write(dev->bdf, m->cap + 4U, 4, (uint32_t)addr);
	if (m->wide) {
		pci_cfg_write(dev->bdf, m->cap + 8U, 4, (uint32_t)(addr >> 32));
	}
	pci_cfg_write(dev->bdf, m->cap + data_at(m), 2, data);
	set_enable(dev, true);
}

bool vmsi_write(struct vpci_dev *dev, uint32_t reg, uint32_t val)
{
	struct vmsi *m = &dev->msi;
	uint32_t at = reg - m->cap;
	bool was_on = m->on;

	if (at == 0U) {
		m->on = (val & CTRL_ENABLE) != 0U;
	} else if (at == 4U) {
		m->addr = (m->addr & ~(uint64_t)UINT32_MAX) | (val & ~3U);
	} else if (at == data_at(m)) {
		m->data = val & 0xFFFFU;
	} else {
		m->addr = (m->addr & UINT32_MAX) | (uint64_t)val << 32;
	}
	if (m->on && (at != 0U || !was_on)) {
		program(dev);
	} else if (was_on && !m->on) {
		set_enable(dev, false);
		if (dev->vm->msi_ops) {
			dev->vm->msi_ops->release(dev->vm, dev->bdf);
		}
	}
	return true;
}
