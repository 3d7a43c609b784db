// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-rnd, the entropy device (virtio 1.2, section 5.4): fills the driver's buffers from the
 * Service VM's random number generator, in the I/O request thread. It keeps no state and takes
 * no lock. The kernel's generator never waits once it is seeded, which it is before any VM runs;
 * if it is not, the driver gets nothing and asks again.
 */
#include <errno.h>
#include <string.h>
#include <linux/virtio_ids.h>
#include <sys/random.h>

#include "log.h"
#include "pci_modern.h"

#define RING_SIZE  64U
#define CHAIN_MAX  8U
#define CLASS_CODE 0xFF0000U
/* Per request; the driver may ask for more than it gets. getrandom() is not cut short below. */
#define BYTES_MAX 256U

static void rnd_kick(struct virtio_dev *dev, struct queue *q)
{
	struct iovec iov[CHAIN_MAX];
	struct chain c;

	(void)dev;
	queue_quiet(q);
	do {
		while (queue_pop(q, &c, iov, CHAIN_MAX) > 0) {
			uint8_t bytes[BYTES_MAX];
			uint32_t want = c.write_len < BYTES_MAX ? c.write_len : BYTES_MAX;
			ssize_t got = getrandom(bytes, want, GRND_NONBLOCK);

			queue_push(q, c.head, got > 0 ? chain_write(&c, bytes, (uint32_t)got) : 0);
		}
	} while (queue_rearm(q));
	queue_notify(q);
}

static int rnd_create(struct virtio_dev *dev, const char *config)
{
	if (config != NULL && strcmp(config, "kernel=on") == 0) {
		log_notice("%s: option kernel=on has no effect: numbers come from acrn-dm",
			   dev->name);
	} else if (config != NULL && config[0] != '\0') {
		log_err("%s: unknown option \"%s\": there is none to give", dev->name, config);
		return -EINVAL;
	}
	return 0;
}

static void rnd_nothing(struct virtio_dev *dev)
{
	(void)dev; /* requests end in rnd_kick(): nothing is ever in flight */
}

static const struct virtio_ops virtio_rnd = {
	.id = VIRTIO_ID_RNG,
	.class_code = CLASS_CODE,
	.queues = 1,
	.queue_max = RING_SIZE,
	.create = rnd_create,
	.destroy = rnd_nothing,
	.kick = rnd_kick,
	.stop = rnd_nothing,
};

VIRTIO_DEVICE("virtio-rnd", virtio_rnd);
