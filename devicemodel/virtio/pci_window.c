// SPDX-License-Identifier: BSD-3-Clause
/*
 * The window into a virtio device's BARs through its configuration space (virtio 1.2, 4.1.4.9), for
 * firmware that cannot reach them otherwise. pci/ asks it first about each configuration access of
 * such a device, in the I/O request thread. It takes no lock.
 */
#include <linux/virtio_pci.h>

#include "pci_modern.h"
#include "virtio_pci.h"

struct window {
	unsigned int bar, size;
	uint32_t offset;
};

/* True when @reg is the window's data and the guest has aimed it at something real. */
static bool window_aim(const struct virtio_pci *vp, unsigned int reg, struct window *w)
{
	unsigned int cap = vp->cfg_cap;
	uint32_t size = pci_cfg_get32(vp->pci, cap + VIRTIO_PCI_CAP_LENGTH);

	if (reg != cap + sizeof(struct virtio_pci_cap))
		return false;
	w->bar = pci_cfg_get8(vp->pci, cap + VIRTIO_PCI_CAP_BAR);
	w->offset = pci_cfg_get32(vp->pci, cap + VIRTIO_PCI_CAP_OFFSET);
	if (size != 1 && size != 2 && size != 4)
		return false;
	w->size = size;
	if ((w->bar != BAR_MODERN && w->bar != BAR_NOTIFY) || w->offset % size != 0)
		return false;
	return w->offset < vp->pci->bar[w->bar].size; /* aligned, so all of it is */
}

bool pci_window_cfg_read(struct pci_device *pci, unsigned int reg, unsigned int size,
			 uint32_t *value)
{
	struct window w;

	if (!window_aim(pci->priv, reg, &w))
		return false;
	*value = (uint32_t)(pci_modern_bar_read(pci, w.bar, w.offset, w.size) & all_ones(size));
	return true;
}

bool pci_window_cfg_write(struct pci_device *pci, unsigned int reg, unsigned int size,
			  uint32_t value)
{
	struct window w;

	if (!window_aim(pci->priv, reg, &w) || size < w.size)
		return false;
	pci_modern_bar_write(pci, w.bar, w.offset, w.size, value & all_ones(w.size));
	return true;
}
