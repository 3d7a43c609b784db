// SPDX-License-Identifier: BSD-3-Clause
/*
 * The virtio registers of before 1.0, in BAR 0 (virtio 1.2, 4.1.4.10): for guests whose driver is
 * older, and firmware. pci_modern.c, which owns the device, calls it in the I/O request thread for
 * each access.
 *
 * Such a driver knows neither VERSION_1 nor FEATURES_OK: its features are settled when it gives the
 * device the first ring, or says DRIVER_OK. A ring is one piece at a page, found by its number. It
 * takes no lock and reads no guest memory.
 */
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "log.h"
#include "pci.h"
#include "virtio_pci.h"

#define PAGE_SHIFT 12U
#define PAGE_SIZE  (1ULL << PAGE_SHIFT)

/* Any layout of buffers will do, which a driver of 1.0 does not ask for (2.7.4.1). */
#define ANY_LAYOUT VIRTIO_FEATURE(VIRTIO_F_ANY_LAYOUT)

uint16_t pci_legacy_device_id(uint16_t type)
{
	switch (type) {
	case VIRTIO_ID_NET:
		return 0x1000U;
	case VIRTIO_ID_BLOCK:
		return 0x1001U;
	case VIRTIO_ID_CONSOLE:
		return 0x1003U;
	case VIRTIO_ID_RNG:
		return 0x1005U;
	default:
		return 0;
	}
}

uint64_t pci_legacy_size(size_t config_len)
{
	return VIRTIO_PCI_CONFIG_OFF(1) + config_len;
}

/* Where the configuration space begins: two vectors come before it while there is MSI-X. */
static uint64_t config_at(const struct virtio_pci *vp)
{
	return VIRTIO_PCI_CONFIG_OFF(pci_msix_enabled(vp->pci));
}

static uint32_t read_vector(struct virtio_pci *vp, uint64_t offset)
{
	const struct queue *q = virtio_queue(&vp->dev, vp->queue_select);

	if (offset == VIRTIO_MSI_CONFIG_VECTOR)
		return atomic_load(&vp->dev.config_vector);
	return q != NULL ? atomic_load(&q->vector) : VIRTIO_MSI_NO_VECTOR;
}

uint64_t pci_legacy_read(struct virtio_pci *vp, uint64_t offset, unsigned int size)
{
	const struct queue *q = virtio_queue(&vp->dev, vp->queue_select);

	if (offset >= config_at(vp))
		return virtio_config_read(&vp->dev, offset - config_at(vp), size);
	switch (offset) {
	case VIRTIO_PCI_HOST_FEATURES:
		return virtio_offered(&vp->dev, 0) | ANY_LAYOUT;
	case VIRTIO_PCI_GUEST_FEATURES:
		return virtio_accepted(&vp->dev, 0);
	case VIRTIO_PCI_QUEUE_PFN:
		return q != NULL ? q->desc_gpa >> PAGE_SHIFT : 0;
	case VIRTIO_PCI_QUEUE_NUM:
		return q != NULL ? q->max : 0;
	case VIRTIO_PCI_QUEUE_SEL:
		return vp->queue_select;
	case VIRTIO_PCI_STATUS:
		/* The bit that its driver does not know is not its own. */
		return (uint64_t)atomic_load(&vp->dev.status) &
		       ~(uint64_t)(vp->dev.legacy ? VIRTIO_CONFIG_S_FEATURES_OK : 0);
	case VIRTIO_PCI_ISR:
		return virtio_pci_isr_take(vp);
	case VIRTIO_MSI_CONFIG_VECTOR:
	case VIRTIO_MSI_QUEUE_VECTOR:
		return read_vector(vp, offset);
	default:
		return 0;
	}
}

/* Descriptors, then what is available, and at the next page what is used (2.7.2). */
static void set_ring(struct virtio_pci *vp, uint32_t page)
{
	struct queue *q = virtio_queue(&vp->dev, vp->queue_select);

	if (q == NULL || atomic_load(&q->live) || !virtio_legacy_features(&vp->dev))
		return;
	q->size = q->max;
	q->desc_gpa = (uint64_t)page << PAGE_SHIFT;
	q->avail_gpa = q->desc_gpa + q->size * sizeof(struct vring_desc);
	q->used_gpa = (q->avail_gpa + (q->size + 3ULL) * sizeof(uint16_t) + PAGE_SIZE - 1) &
		      ~(PAGE_SIZE - 1);
	virtio_queue_enable(&vp->dev, q);
}

static void write_status(struct virtio_pci *vp, uint32_t value)
{
	value &= (uint32_t)~VIRTIO_CONFIG_S_FEATURES_OK;
	if ((value & VIRTIO_CONFIG_S_DRIVER_OK) != 0)
		(void)virtio_legacy_features(&vp->dev);
	virtio_pci_write_status(vp, value);
}

static void write_vector(struct virtio_pci *vp, uint64_t offset, uint32_t value)
{
	struct queue *q = virtio_queue(&vp->dev, vp->queue_select);

	if (offset == VIRTIO_MSI_CONFIG_VECTOR)
		virtio_pci_set_vector(vp, &vp->dev.config_vector, value);
	else if (q != NULL)
		virtio_pci_set_vector(vp, &q->vector, value);
}

void pci_legacy_write(struct virtio_pci *vp, uint64_t offset, unsigned int size, uint64_t value)
{
	if (offset >= config_at(vp)) {
		virtio_pci_write_config(vp, offset - config_at(vp), size, value);
		return;
	}
	switch (offset) {
	case VIRTIO_PCI_GUEST_FEATURES:
		virtio_accept(&vp->dev, 0, (uint32_t)(value & ~ANY_LAYOUT));
		break;
	case VIRTIO_PCI_QUEUE_PFN:
		/* No ring any more: drivers that say so are done with the device. */
		if ((uint32_t)value == 0)
			virtio_pci_write_status(vp, 0);
		else
			set_ring(vp, (uint32_t)value);
		break;
	case VIRTIO_PCI_QUEUE_SEL:
		vp->queue_select = (uint16_t)value;
		break;
	case VIRTIO_PCI_QUEUE_NOTIFY:
		virtio_pci_ring(vp, (uint16_t)value);
		break;
	case VIRTIO_PCI_STATUS:
		write_status(vp, (uint8_t)value);
		break;
	case VIRTIO_MSI_CONFIG_VECTOR:
	case VIRTIO_MSI_QUEUE_VECTOR:
		write_vector(vp, offset, (uint32_t)value);
		break;
	default:
		log_guest("%s: %u-byte write at 0x%llx of the legacy registers ignored",
			  vp->dev.name, size, (unsigned long long)offset);
	}
}
