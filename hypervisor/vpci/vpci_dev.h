/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VPCI_VPCI_DEV_H
#define VPCI_VPCI_DEV_H

/* What the files of vpci/ share, and those of vpci/func/, which an image may be without. */
#include "hv/vfunc.h"
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

struct vpci {
	volatile uint32_t latch; /* 0xCF8 as the guest wrote it */
	/* Serves a configuration access (IO_PCICFG); what a read gives goes into io->value. */
	void (*access)(struct vcpu *vcpu, struct io_access *io);
	spinlock_t lock;
	volatile uint32_t dev_count; /* grows once the new entry is there: readers need no lock */
	struct vpci_dev *dev[CONFIG_MAX_PCI_DEV_NUM]; /* those found so far */
	struct vpci_dev *volatile last;		      /* looked up last, or NULL */
	/* Emulated functions, under the lock too: by device number of bus 0, which have one. */
	volatile uint32_t vfunc_slots;
	uint32_t vfunc_count;
	struct vfunc *vfunc[VFUNC_PER_VM];
};

/* MSI-X of an emulated function; table and pending bits are in a page that traps. */
struct vfunc_msix {
	uint8_t bar;
	uint8_t count; /* 0: none */
	uint32_t pending;
	struct vmsix_entry entry[VFUNC_VECTORS];
};

struct vfunc_bar {
	uint64_t size;	/* 0: none */
	hpa_t memory;	/* what it shows; 0: it traps */
	uint64_t at;	/* GPA, while decoded */
	bool decoded;
	bool read_only; /* its memory */
	uint8_t index;
	struct vfunc *f;
};

/* An emulated function. `cfg` is what the guest reads; under the lock of its struct vpci. */
struct vfunc {
	const struct vfunc_type *type;
	struct vm *vm;
	bdf_t bdf;
	void *priv;
	struct vfunc_bar bar[VFUNC_BARS];
	uint32_t first_bar[VFUNC_BARS]; /* the registers after a reset */
	struct vfunc_msix msix;
	uint32_t cfg[64];
};

#define VFUNC_CAP_MSIX	  0x40U /* offset of the one capability */
#define VFUNC_MSIX_ENABLE BIT32(31) /* in its first register */
#define VFUNC_MSIX_MASK	  BIT32(30)

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

/* vfunc.c: a configuration access to an emulated function; false: there is none at this address. */
bool vfunc_cfg_access(struct vm *vm, bdf_t bdf, uint32_t reg, struct io_access *io);

/* vfunc_msix.c: the page of its table, and what its control register was changed to. */
void vfunc_msix_access(struct vfunc *f, uint64_t offset, struct io_access *io);
void vfunc_msix_changed(struct vfunc *f);

#endif
