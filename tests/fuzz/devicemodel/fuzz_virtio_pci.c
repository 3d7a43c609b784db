// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// fuzzes: devicemodel/virtio/pci_modern.c devicemodel/virtio/virtio.c
// links: devicemodel/virtio/queue.c devicemodel/virtio/chain.c tests/unit/devicemodel/fake_pci.c
// links: devicemodel/core/log.c tests/unit/devicemodel/fake_guest.c
// links: tests/unit/devicemodel/driver_ring.c
/*
 * Any sequence of register accesses: do the transport's rules hold? Input: accesses of eight
 * or more bytes each, to BARs and to the window in configuration space.
 */
#include <assert.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "fake_guest.h"
#include "fake_pci.h"
#include "fuzz.h"
#include "log.h"
#include "pci_modern.h"

static struct virtio_dev *dev;
static unsigned int users; /* of guest memory: what kick began and stop ended */

static int create(struct virtio_dev *d, const char *config)
{
	static const uint8_t bytes[13];

	(void)config;
	dev = d;
	d->offered = VIRTIO_FEATURE(3);
	d->config = bytes;
	d->config_len = sizeof(bytes);
	return 0;
}

static void destroy(struct virtio_dev *d)
{
	(void)d;
}

static void stop(struct virtio_dev *d)
{
	(void)d;
	users = 0;
}

static void kick(struct virtio_dev *d, struct queue *q)
{
	struct iovec iov[8];
	struct chain c;
	uint8_t status = atomic_load(&d->status);

	assert(status & VIRTIO_CONFIG_S_DRIVER_OK && status & VIRTIO_CONFIG_S_FEATURES_OK);
	assert(atomic_load(&q->live));
	users++;
	while (queue_pop(q, &c, iov, 8) > 0)
		queue_push(q, c.head, 0);
	queue_notify(q);
}

static void config_write(struct virtio_dev *d, uint64_t offset, unsigned int size, uint64_t value)
{
	(void)value;
	assert(offset + size <= d->config_len);
}

static const struct virtio_ops fuzz_device = {.id = VIRTIO_ID_RNG,
					      .queues = 2,
					      .queue_max = 128,
					      .create = create,
					      .destroy = destroy,
					      .stop = stop,
					      .kick = kick,
					      .config_write = config_write};

VIRTIO_DEVICE("fuzz", fuzz_device);

static void check(void)
{
	uint8_t status = atomic_load(&dev->status);

	if (status & VIRTIO_CONFIG_S_FEATURES_OK) {
		assert((dev->accepted & ~dev->offered) == 0);
		assert(dev->legacy || virtio_has(dev, VIRTIO_F_VERSION_1));
	}
	assert((status & VIRTIO_CONFIG_S_FEATURES_OK) || !(status & VIRTIO_CONFIG_S_DRIVER_OK));
	for (unsigned int i = 0; i < 2; i++)
		if (atomic_load(&dev->queue[i].live)) {
			assert(status & VIRTIO_CONFIG_S_FEATURES_OK);
			(void)guest_at(dev->queue[i].desc_gpa, dev->queue[i].size * 16ULL);
		}
	assert(users == 0 || status != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = {data, size};
	static struct fake_pci fake;
	uint32_t word;

	log_set_level(0);
	guest_create();
	users = 0;
	(void)fake_pci_create(&fake, "fuzz", NULL);
	while (in.left != 0) {
		uint8_t what = (uint8_t)fuzz_take(&in, 1);
		unsigned int width = 1U << (what >> 2 & 3);
		unsigned int bar = what & 0x80 ? 2 : what & 0x40 ? 0 : 4;
		uint16_t offset = (uint16_t)(fuzz_take(&in, 2) & (bar != 0 ? 0x3FFF : 0x3F));

		switch (what & 3) {
		case 0:
			pci_modern_bar_write(&fake.pci, bar, offset, width, fuzz_take(&in, width));
			break;
		case 1:
			(void)pci_modern_bar_read(&fake.pci, bar, offset, width);
			break;
		case 2: /* the guest's write to a register, as the core masks it */
			offset &= 0xFF;
			fake.pci.cfg[offset] =
				(uint8_t)(fuzz_take(&in, 1) & fake.pci.wmask[offset]) |
				(uint8_t)(fake.pci.cfg[offset] & ~fake.pci.wmask[offset]);
			break;
		default:
			offset &= 0xFC;
			fake.msix = (what & 0x40) != 0;
			if (what & 0x20)
				(void)pci_window_cfg_read(&fake.pci, offset, width & 7, &word);
			else
				(void)pci_window_cfg_write(&fake.pci, offset, width & 7,
							   (uint32_t)fuzz_take(&in, 4));
		}
		check();
	}
	fake_pci_destroy(&fake);
	guest_destroy();
	return 0;
}
