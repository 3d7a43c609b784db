// SPDX-License-Identifier: BSD-3-Clause
/*
 * What every virtio device has in common: feature negotiation, the status state machine, reset,
 * configuration space reads, and the way into DEVICE_NEEDS_RESET.
 *
 * Called by the transport (pci_modern.c) in the I/O request thread; only the interrupt functions
 * and virtio_needs_reset() run in others, and touch atomics alone. It takes no lock and reads no
 * guest memory.
 */
#include <errno.h>
#include <string.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "log.h"
#include "virtio.h"

#define COMMON_FEATURES                                                                            \
	(VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC) |        \
	 VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX))

int virtio_create(struct virtio_dev *dev, const char *config)
{
	int ret;

	for (uint16_t i = 0; i < dev->ops->queues; i++)
		queue_init(&dev->queue[i], dev, dev->vm, i, dev->ops->queue_max);
	dev->queues = dev->ops->queues;
	atomic_store(&dev->config_vector, VIRTIO_MSI_NO_VECTOR);

	ret = dev->ops->create(dev, config);
	if (ret < 0) {
		for (uint16_t i = 0; i < dev->ops->queues; i++)
			queue_fini(&dev->queue[i]);
		return ret;
	}
	dev->offered |= COMMON_FEATURES;
	return 0;
}

void virtio_destroy(struct virtio_dev *dev)
{
	virtio_reset(dev);
	dev->ops->destroy(dev);
	for (uint16_t i = 0; i < dev->ops->queues; i++)
		queue_fini(&dev->queue[i]);
}

void virtio_reset(struct virtio_dev *dev)
{
	/* First this: what finishes from here on is dropped instead of pushed. */
	for (uint16_t i = 0; i < dev->ops->queues; i++)
		queue_stop(&dev->queue[i]);
	if (dev->stop_kicks)
		dev->stop_kicks(dev);
	dev->ops->stop(dev);
	for (uint16_t i = 0; i < dev->ops->queues; i++)
		queue_reset(&dev->queue[i]);
	dev->accepted = 0;
	dev->legacy = false;
	atomic_store(&dev->config_vector, VIRTIO_MSI_NO_VECTOR);
	atomic_store(&dev->status, 0);
}

static bool features_fit(const struct virtio_dev *dev)
{
	if (!dev->legacy && (dev->accepted & VIRTIO_FEATURE(VIRTIO_F_VERSION_1)) == 0) {
		log_guest("%s: driver does not accept VERSION_1", dev->name);
		return false;
	}
	if ((dev->accepted & ~dev->offered) != 0) {
		log_guest("%s: driver accepts features that were not offered: 0x%llx", dev->name,
			  (unsigned long long)(dev->accepted & ~dev->offered));
		return false;
	}
	return true;
}

void virtio_set_status(struct virtio_dev *dev, uint8_t value)
{
	uint8_t status = atomic_load(&dev->status), set;

	/* The driver may only add bits, and NEEDS_RESET is ours (2.1.1). */
	set = (uint8_t)(value & ~status & ~VIRTIO_CONFIG_S_NEEDS_RESET);
	if ((set & VIRTIO_CONFIG_S_FEATURES_OK) != 0 && !features_fit(dev))
		set &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
	if ((set & VIRTIO_CONFIG_S_DRIVER_OK) != 0 &&
	    ((status | set) & VIRTIO_CONFIG_S_FEATURES_OK) == 0) {
		log_guest("%s: DRIVER_OK without FEATURES_OK", dev->name);
		set &= (uint8_t)~VIRTIO_CONFIG_S_DRIVER_OK;
	}
	atomic_fetch_or(&dev->status, set);

	/* A driver may fill its rings before DRIVER_OK and ring the bell too early. */
	if ((set & VIRTIO_CONFIG_S_DRIVER_OK) != 0)
		for (unsigned int i = 0; i < dev->queues; i++)
			virtio_kick(dev, i);
}

bool virtio_legacy_features(struct virtio_dev *dev)
{
	dev->legacy = true;
	virtio_set_status(dev, VIRTIO_CONFIG_S_FEATURES_OK);
	return (atomic_load(&dev->status) & VIRTIO_CONFIG_S_FEATURES_OK) != 0;
}

uint32_t virtio_offered(const struct virtio_dev *dev, uint32_t sel)
{
	return sel < 2 ? (uint32_t)(dev->offered >> (sel * 32)) : 0;
}

uint32_t virtio_accepted(const struct virtio_dev *dev, uint32_t sel)
{
	return sel < 2 ? (uint32_t)(dev->accepted >> (sel * 32)) : 0;
}

void virtio_accept(struct virtio_dev *dev, uint32_t sel, uint32_t value)
{
	unsigned int shift = sel * 32;

	if (sel >= 2 || (atomic_load(&dev->status) & VIRTIO_CONFIG_S_FEATURES_OK) != 0)
		return;
	dev->accepted &= ~((uint64_t)UINT32_MAX << shift);
	dev->accepted |= (uint64_t)value << shift;
}

bool virtio_has(const struct virtio_dev *dev, unsigned int bit)
{
	return (dev->accepted & VIRTIO_FEATURE(bit)) != 0;
}

struct queue *virtio_queue(struct virtio_dev *dev, unsigned int index)
{
	return index < dev->queues ? &dev->queue[index] : NULL;
}

void virtio_queue_enable(struct virtio_dev *dev, struct queue *q)
{
	int ret;

	/* Whether the ring has an event index is not known before (3.1.1 step 7). */
	if ((atomic_load(&dev->status) & VIRTIO_CONFIG_S_FEATURES_OK) == 0) {
		virtio_needs_reset(dev, q->index, "enabled before FEATURES_OK");
		return;
	}
	ret = queue_enable(q, virtio_has(dev, VIRTIO_RING_F_EVENT_IDX),
			   virtio_has(dev, VIRTIO_RING_F_INDIRECT_DESC));
	if (ret == -EINVAL)
		virtio_needs_reset(dev, q->index, "ring of a bad size or alignment");
	else if (ret == -EFAULT)
		virtio_needs_reset(dev, q->index, "ring outside guest memory");
}

void virtio_kick(struct virtio_dev *dev, unsigned int index)
{
	uint8_t status = atomic_load_explicit(&dev->status, memory_order_relaxed);
	struct queue *q = virtio_queue(dev, index);

	/* Pairs with queue_enable(), which may be another thread's. */
	if (q == NULL || !atomic_load_explicit(&q->live, memory_order_acquire))
		return;
	if ((status & (VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET)) ==
	    VIRTIO_CONFIG_S_DRIVER_OK)
		dev->ops->kick(dev, q);
}

uint64_t virtio_config_read(const struct virtio_dev *dev, uint64_t offset, unsigned int size)
{
	uint64_t value = 0;

	if (offset < dev->config_len) {
		size_t left = dev->config_len - (size_t)offset;

		memcpy(&value, (const uint8_t *)dev->config + offset, size < left ? size : left);
	}
	return value;
}

void virtio_config_write(struct virtio_dev *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	if (dev->ops->config_write == NULL || offset > dev->config_len ||
	    size > dev->config_len - offset) {
		log_guest("%s: write to read-only configuration at 0x%llx", dev->name,
			  (unsigned long long)offset);
		return;
	}
	dev->ops->config_write(dev, offset, size, value);
}

void virtio_config_changed(struct virtio_dev *dev)
{
	dev->generation++;
	if ((atomic_load(&dev->status) & VIRTIO_CONFIG_S_DRIVER_OK) != 0)
		dev->interrupt(dev, atomic_load(&dev->config_vector), VIRTIO_ISR_CONFIG);
}

void virtio_queue_interrupt(struct virtio_dev *dev, struct queue *q)
{
	dev->interrupt(dev, atomic_load_explicit(&q->vector, memory_order_relaxed),
		       VIRTIO_ISR_QUEUE);
}

void virtio_needs_reset(struct virtio_dev *dev, unsigned int index, const char *why)
{
	uint8_t old = atomic_fetch_or(&dev->status, VIRTIO_CONFIG_S_NEEDS_RESET);

	if ((old & VIRTIO_CONFIG_S_NEEDS_RESET) != 0)
		return;
	log_guest("%s: queue %u: %s; stopped until the driver resets it", dev->name, index, why);
	if ((old & VIRTIO_CONFIG_S_DRIVER_OK) != 0)
		dev->interrupt(dev, atomic_load(&dev->config_vector), VIRTIO_ISR_CONFIG);
}
