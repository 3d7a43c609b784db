// SPDX-License-Identifier: BSD-3-Clause
/* See fake_virtio.h. Registers with VIRTIO_DEVICE(), as any device. */
#include <assert.h>
#include <string.h>

#include "fake_virtio.h"
#include "log.h"

struct fake_pci fake;
struct virtio_dev *dev;
const uint8_t config_bytes[5] = {0x11, 0x22, 0x33, 0x44, 0x55};
unsigned int kicks[QUEUES], stops, destroys;
uint64_t config_written;

static int test_create(struct virtio_dev *d, const char *config)
{
	if (config != NULL && strcmp(config, "bad") == 0)
		return -22;
	dev = d;
	d->offered = VIRTIO_FEATURE(FEATURE);
	d->config = config_bytes;
	d->config_len = sizeof(config_bytes);
	return 0;
}

static void test_destroy(struct virtio_dev *d)
{
	(void)d;
	destroys++;
}

static void test_kick(struct virtio_dev *d, struct queue *q)
{
	(void)d;
	kicks[q->index]++;
}

static void test_stop(struct virtio_dev *d)
{
	(void)d;
	stops++;
}

static void test_config_write(struct virtio_dev *d, uint64_t offset, unsigned int size,
			      uint64_t value)
{
	(void)d;
	config_written = offset << 48 | (uint64_t)size << 32 | value;
}

static const struct virtio_ops test_device = {
	.id = 42,
	.class_code = 0xFF0000,
	.queues = QUEUES,
	.queue_max = QUEUE_MAX,
	.create = test_create,
	.destroy = test_destroy,
	.kick = test_kick,
	.stop = test_stop,
	.config_write = test_config_write,
};

VIRTIO_DEVICE("virtio-test", test_device);

uint64_t get(uint64_t offset, unsigned int size)
{
	return pci_modern_bar_read(&fake.pci, BAR, offset, size);
}

void put(uint64_t offset, unsigned int size, uint64_t value)
{
	pci_modern_bar_write(&fake.pci, BAR, offset, size, value);
}

uint8_t status(void)
{
	return (uint8_t)get(VIRTIO_PCI_COMMON_STATUS, 1);
}

void set_status(uint8_t value)
{
	put(VIRTIO_PCI_COMMON_STATUS, 1, value);
}

void accept_features(uint64_t features)
{
	for (unsigned int sel = 0; sel < 2; sel++) {
		put(VIRTIO_PCI_COMMON_GFSELECT, 4, sel);
		put(VIRTIO_PCI_COMMON_GF, 4, (uint32_t)(features >> (sel * 32)));
	}
}

void negotiate(void)
{
	set_status(0);
	set_status(ACK | DRIVER);
	accept_features(VIRTIO_FEATURE(VIRTIO_F_VERSION_1));
	set_status(ACK | DRIVER | FEAT_OK);
	assert(status() == (ACK | DRIVER | FEAT_OK));
}

void aim_queue(unsigned int i, const struct ring *r)
{
	put(VIRTIO_PCI_COMMON_Q_SELECT, 2, i);
	put(VIRTIO_PCI_COMMON_Q_SIZE, 2, r->size);
	put(VIRTIO_PCI_COMMON_Q_DESCLO, 8, r->desc);
	put(VIRTIO_PCI_COMMON_Q_AVAILLO, 4, (uint32_t)r->avail);
	put(VIRTIO_PCI_COMMON_Q_AVAILHI, 4, r->avail >> 32);
	put(VIRTIO_PCI_COMMON_Q_USEDLO, 4, (uint32_t)r->used);
	put(VIRTIO_PCI_COMMON_Q_USEDHI, 4, r->used >> 32);
}

int fake_virtio_set_up(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	guest_create();
	memset(kicks, 0, sizeof(kicks));
	fake.add_error = 0;
	return fake_pci_create(&fake, "virtio-test", NULL);
}

int fake_virtio_tear_down(void **state)
{
	(void)state;
	fake_pci_destroy(&fake);
	guest_destroy();
	return 0;
}
