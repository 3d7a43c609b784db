/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VPCI_VPCI_DEV_H
#define VPCI_VPCI_DEV_H

/* What the files of vpci/ share, and those of vpci/func/, which an image may be without. */
#include "hv/vpci.h"
#include "lib/kconfig.h"
#include "lib/spinlock.h"

/* MSI: what the guest wrote; the device holds what vm->msi_ops made of it. */
struct vmsi {
	uint8_t cap; /* offset of the capability, 0: none */
	bool wide;   /* 64-bit address */
	bool on;
	uint64_t addr;
	uint32_t data;
};

struct vmsix_entry {
	uint64_t addr;
	uint32_t data;
	uint32_t ctrl; /* bit 0: masked */
};

struct vmsix {
	uint8_t cap;
	bool on;
	uint16_t count; /* entries kept, at most CONFIG_MAX_MSIX_TABLE_NUM */
	uint8_t bir;
	uint32_t offset; /* of the table in the BAR */
	uint64_t table;	 /* HPA while on */
	uint64_t first, size; /* pages trapped while on */
	struct vmsix_entry entry[CONFIG_MAX_MSIX_TABLE_NUM];
};

/* Fields are protected by the lock of the struct vpci it belongs to. */
struct vpci_dev {
	bdf_t bdf;
	struct vm *vm;
	spinlock_t *lock;
	uint64_t special; /* a bit for each 4-byte register below 256 that is not just the device's */
	struct vmsi msi;
	struct vmsix msix;
};

#define VFUNC_PER_VM 8U

/* GPAs of a pre-launched VM's BARs, as misc/config/acpi.py has them; RAM ends below. */
#define VPCI_WINDOW	0x80000000UL
#define VPCI_WINDOW_END 0xE0000000UL

struct vpci {
	volatile uint32_t latch; /* 0xCF8 as the guest wrote it */
	/* Serves a configuration access (IO_PCICFG); what a read gives goes into io->value. */
	void (*access)(struct vcpu *vcpu, struct io_access *io);
	spinlock_t lock;
	volatile uint32_t dev_count; /* grows once the new entry is there: readers need no lock */
	struct vpci_dev *dev[CONFIG_MAX_PCI_DEV_NUM]; /* those found so far */
	struct vpci_dev *volatile last;		      /* looked up last, or NULL */
	/* A configuration access to an emulated function; false: none is there. NULL: none at all. */
	bool (*emulated)(struct vm *vm, bdf_t bdf, uint32_t reg, struct io_access *io);
	/* Emulated functions, under the lock too: by device number of bus 0, which have one. */
	volatile uint32_t vfunc_slots;
	uint32_t vfunc_count;
	uint64_t bar_top; /* GPA: of a pre-launched VM, below it is room for BARs; while it is made */
	struct vfunc *vfunc[VFUNC_PER_VM];
};

/* The device has to be asked for this register itself. */
static inline bool vpci_is_special(const struct vpci_dev *dev, uint32_t reg)
{
	return reg < 256U && (dev->special & BIT(reg / 4U)) != 0U;
}

/* Merge a write of `width` bytes at `reg` into the aligned 32-bit register `old`. */
static inline uint32_t vpci_merge(uint32_t old, uint32_t reg, uint8_t width, uint32_t val)
{
	uint32_t shift = (reg & 3U) * 8U;
	uint32_t mask = (width == 4U ? UINT32_MAX : BIT32(width * 8U) - 1U) << shift;

	return (old & ~mask) | ((val << shift) & mask);
}

/*
 * The capability's registers. read: the aligned 32-bit register `reg` as the guest sees it, from
 * the device's `phys`. write: the whole register's new value; false when the device should have it
 * as it is. With the lock held.
 */
void vmsi_init(struct vpci_dev *dev, uint8_t cap);
uint32_t vmsi_read(const struct vpci_dev *dev, uint32_t reg, uint32_t phys);
bool vmsi_write(struct vpci_dev *dev, uint32_t reg, uint32_t val);
bool vmsi_covers(const struct vpci_dev *dev, uint32_t reg);

void vmsix_init(struct vpci_dev *dev, uint8_t cap);
uint32_t vmsix_read(const struct vpci_dev *dev, uint32_t reg, uint32_t phys);
bool vmsix_covers(const struct vpci_dev *dev, uint32_t reg);
/* *flush: the EPT has lost rights; the caller flushes it once the lock is dropped. */
void vmsix_write(struct vpci_dev *dev, uint32_t val, bool *flush);

/*
 * An access at `offset` of an entry, by a whole 32- or 64-bit register; others read all-ones and
 * write nothing. True: the entry has been written.
 */
bool vmsix_entry_access(struct vmsix_entry *e, uint64_t offset, struct io_access *io);

#endif
