// SPDX-License-Identifier: BSD-3-Clause
/*
 * MSI-X of the emulated functions (PCI 3.0, 6.8.2): a page with the table at its start and the
 * pending bits at 0x800.  Table accesses come on the vCPU's CPU, messages from any.  Under the VM's
 * vPCI lock, which is held while a message goes out, so that a mask that is set holds.
 */
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/vintr.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "vfunc_dev.h"

#define CAP_MSIX     0x11U
#define ENTRY_SIZE   16U
#define ENTRY_MASKED BIT32(0)
#define PENDING	     0x800U

void vfunc_msix(struct vfunc *f, uint32_t bar, uint32_t vectors)
{
	ASSERT(vectors != 0U && vectors <= VFUNC_VECTORS);
	vfunc_bar_trap(f, bar, PAGE_SIZE);
	f->msix.bar = (uint8_t)bar;
	f->msix.count = (uint8_t)vectors;
	f->cfg[VFUNC_CAP_MSIX / 4U] = (vectors - 1U) << 16 | CAP_MSIX;
	f->cfg[VFUNC_CAP_MSIX / 4U + 1U] = bar;
	f->cfg[VFUNC_CAP_MSIX / 4U + 2U] = PENDING | bar;
}

static bool is_open(const struct vfunc *f, uint32_t vector)
{
	uint32_t ctrl = f->cfg[VFUNC_CAP_MSIX / 4U] & (VFUNC_MSIX_ENABLE | VFUNC_MSIX_MASK);

	return ctrl == VFUNC_MSIX_ENABLE && (f->msix.entry[vector].ctrl & ENTRY_MASKED) == 0U;
}

/* A message that is no interrupt is a write to nowhere. */
static void send_pending(struct vfunc *f)
{
	for (uint32_t n = 0U; n < f->msix.count && f->msix.pending != 0U; n++) {
		const struct vmsix_entry *e = &f->msix.entry[n];

		if ((f->msix.pending & BIT32(n)) != 0U && is_open(f, n)) {
			f->msix.pending &= ~BIT32(n);
			(void)vintr_msi(f->vm, e->addr, e->data);
		}
	}
}

void vfunc_msix_changed(struct vfunc *f)
{
	if ((f->cfg[VFUNC_CAP_MSIX / 4U] & VFUNC_MSIX_ENABLE) == 0U) {
		f->msix.pending = 0U;
	}
	send_pending(f);
}

void vfunc_msix_access(struct vfunc *f, uint64_t offset, struct io_access *io)
{
	struct vpci *vpci = f->vm->vpci;

	spin_lock(&vpci->lock);
	if (offset / ENTRY_SIZE < f->msix.count) {
		struct vmsix_entry *e = &f->msix.entry[offset / ENTRY_SIZE];

		if (vmsix_entry_access(e, offset % ENTRY_SIZE, io)) {
			e->ctrl &= ENTRY_MASKED;
			send_pending(f);
		}
	} else if (!io->write) {
		io->value = (offset == PENDING) ? f->msix.pending : 0U;
	} else {
		/* pending bits are read-only, and there is nothing else */
	}
	spin_unlock(&vpci->lock);
}

bool vfunc_msix_enabled(const struct vfunc *f)
{
	return (*(volatile const uint32_t *)&f->cfg[VFUNC_CAP_MSIX / 4U] & VFUNC_MSIX_ENABLE) != 0U;
}

void vfunc_raise(struct vfunc *f, uint32_t vector)
{
	struct vpci *vpci = f->vm->vpci;

	spin_lock(&vpci->lock);
	if (vector < f->msix.count && vfunc_msix_enabled(f)) {
		f->msix.pending |= BIT32(vector);
		send_pending(f);
	}
	spin_unlock(&vpci->lock);
}
