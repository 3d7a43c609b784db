/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VPCI_VFUNC_DEV_H
#define VPCI_VFUNC_DEV_H

/* What vfunc.c, vfunc_bar.c and vfunc_msix.c share. */
#include "hv/vm.h"
#include "hv/vfunc.h"
#include "../vpci_dev.h"

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

#define VFUNC_COMMAND 0x04U /* status is its upper half */
#define VFUNC_BAR0    0x10U

/* Its functions are among the machine's. */
static inline bool vfunc_owns_machine(const struct vm *vm)
{
	return vm->load_order == SERVICE_VM;
}

/*
 * vfunc_bar.c, with the vPCI lock held: map and unmap BARs as the registers now say, true if the
 * EPT is to be flushed; the guest writes the whole of a BAR's register; give the BARs of a function of a
 * pre-launched VM their first addresses.
 */
bool vfunc_bar_decode(struct vfunc *f);
void vfunc_bar_write(struct vfunc *f, uint32_t reg, uint32_t val);
void vfunc_bar_place(struct vfunc *f);
/* A BAR of the VM shows this memory here on purpose; as vm_shows of hv/vm.h. */
bool vfunc_bar_shares(const struct vm *vm, gpa_t gpa, hpa_t hpa, uint64_t size);

/* vfunc_msix.c: the page of its table, and what its control register was changed to. */
void vfunc_msix_access(struct vfunc *f, uint64_t offset, struct io_access *io);
void vfunc_msix_changed(struct vfunc *f);

#endif
