// SPDX-License-Identifier: BSD-3-Clause
/*
 * vhost-user-blk: a disk that a process behind a UNIX socket serves, qcow2 images by
 * qemu-storage-daemon for one. This file passes on features, doorbells and interrupts; it never
 * looks into a ring or a request.
 *
 * blk_kick() and blk_stop() exclude one another (virtio.h) and own the connection. on_call() and
 * on_hangup() run on the main loop's thread and touch atomics alone. A back end that is gone or
 * answers nonsense leaves the device in need of a reset, at which it is connected to anew.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#include "log.h"
#include "mevent.h"
#include "pci_modern.h"
#include "vhost_user.h"
#include "vm.h"

#define RING_SIZE      128U
#define CLASS_CODE     0x018000U /* mass storage, other */
#define BLK_CONFIG_LEN offsetof(struct virtio_blk_config, max_secure_erase_sectors)

/* The ring's features are offered for every device: the back end has to know them. */
#define NEEDED                                                                                     \
	(VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC) |        \
	 VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX))
/* What asks nothing of us: no queue but one, and no write to the configuration space. */
#define PASSED                                                                                     \
	(VIRTIO_FEATURE(VIRTIO_BLK_F_SIZE_MAX) | VIRTIO_FEATURE(VIRTIO_BLK_F_SEG_MAX) |            \
	 VIRTIO_FEATURE(VIRTIO_BLK_F_RO) | VIRTIO_FEATURE(VIRTIO_BLK_F_BLK_SIZE) |                 \
	 VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH) | VIRTIO_FEATURE(VIRTIO_BLK_F_TOPOLOGY) |              \
	 VIRTIO_FEATURE(VIRTIO_BLK_F_DISCARD) | VIRTIO_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES))

struct blk {
	struct virtio_dev *dev;
	char *path;
	struct vhost_user_info info;
	int fd;			       /* the connection, or -1 */
	struct mevent *_Atomic hangup; /* of fd */
	atomic_bool gone;	       /* fd hung up */
	bool started;
	int kick;	     /* while started */
	struct mevent *call; /* while started */
	int call_fd;
};

/* --- main loop --- */

static void on_hangup(void *arg, unsigned int events)
{
	struct blk *blk = arg;

	(void)events;
	/* Hung up before connect_to() has it: this is told again. */
	if (!atomic_load(&blk->hangup))
		return;
	mevent_mute(blk->hangup);
	atomic_store(&blk->gone, true);
	virtio_needs_reset(blk->dev, 0, "the back end hung up");
}

static void on_call(void *arg, unsigned int events)
{
	struct blk *blk = arg;
	uint64_t count;
	struct iovec iov = {&count, sizeof(count)};

	(void)events;
	/* The back end has the descriptor too and may have made it one that waits. */
	if (preadv2(blk->call_fd, &iov, 1, -1, RWF_NOWAIT) == sizeof(count))
		virtio_queue_interrupt(blk->dev, &blk->dev->queue[0]);
}

/* --- the connection --- */

static void disconnect(struct blk *blk)
{
	mevent_delete(blk->hangup, true);
	blk->hangup = NULL;
	blk->fd = -1;
}

static int connect_to(struct blk *blk, struct vhost_user_info *info)
{
	int fd = vhost_user_connect(blk->path, info, BLK_CONFIG_LEN);

	if (fd < 0)
		return fd;
	atomic_store(&blk->gone, false);
	blk->hangup = mevent_add(blk->dev->vm->loop, fd, 0, on_hangup, blk);
	if (!blk->hangup) {
		close(fd);
		return -ENOMEM;
	}
	blk->fd = fd;
	return 0;
}

/* The driver knows the device as it was: another is refused. */
static int reconnect(struct blk *blk)
{
	struct vhost_user_info info;
	int err;

	if (blk->fd >= 0 && !atomic_load(&blk->gone))
		return 0;
	disconnect(blk);
	err = connect_to(blk, &info);
	if (!err && (info.features != blk->info.features ||
		     memcmp(info.config, blk->info.config, BLK_CONFIG_LEN) != 0)) {
		disconnect(blk);
		err = -EPROTO;
	}
	if (!err)
		log_notice("%s: connected to %s again", blk->dev->name, blk->path);
	return err;
}

static void close_ring(struct blk *blk)
{
	mevent_delete(blk->call, true);
	blk->call = NULL;
	close(blk->kick);
	blk->started = false;
}

static int open_ring(struct blk *blk)
{
	blk->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	blk->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (blk->kick >= 0 && blk->call_fd >= 0)
		blk->call = mevent_add(blk->dev->vm->loop, blk->call_fd, MEVENT_READ, on_call, blk);
	if (blk->call) {
		blk->started = true;
		return 0;
	}
	if (blk->kick >= 0)
		close(blk->kick);
	if (blk->call_fd >= 0)
		close(blk->call_fd);
	return -ENOMEM;
}

static int start(struct blk *blk, const struct queue *q)
{
	int err = reconnect(blk);

	if (!err)
		err = open_ring(blk);
	if (!err)
		err = vhost_user_start(blk->fd, q, blk->dev->accepted, blk->kick, blk->call_fd);
	return err;
}

/* --- the device --- */

static void blk_kick(struct virtio_dev *dev, struct queue *q)
{
	struct blk *blk = dev->priv;
	struct pollfd room = {.events = POLLOUT};
	const uint64_t one = 1;
	int err;

	if (!blk->started) {
		err = start(blk, q);
		if (err) {
			log_err("%s: %s: %s", dev->name, blk->path, strerror(-err));
			virtio_needs_reset(dev, 0, "the back end does not start");
			return;
		}
	}
	/* As above. No room: the back end has been told often enough. */
	room.fd = blk->kick;
	if (poll(&room, 1, 0) > 0 && write(blk->kick, &one, sizeof(one)) < 0)
		return;
}

static void blk_stop(struct virtio_dev *dev)
{
	struct blk *blk = dev->priv;
	int err = 0;

	if (!blk->started)
		return;
	if (!atomic_load(&blk->gone))
		err = vhost_user_stop(blk->fd, &dev->queue[0]);
	if (err)
		log_warn("%s: %s does not stop: %s", dev->name, blk->path, strerror(-err));
	/* Who did not answer is not listened to any more. */
	if (err)
		disconnect(blk);
	close_ring(blk);
}

static void blk_destroy(struct virtio_dev *dev)
{
	struct blk *blk = dev->priv;

	disconnect(blk);
	free(blk->path);
	free(blk);
}

static int blk_create(struct virtio_dev *dev, const char *config)
{
	struct blk *blk;
	int err;

	if (!config || config[0] == '\0') {
		log_err("%s: no path of a socket given", dev->name);
		return -EINVAL;
	}
	blk = calloc(1, sizeof(*blk));
	if (!blk)
		return -ENOMEM;
	blk->dev = dev;
	blk->fd = -1;
	dev->priv = blk;
	blk->path = strdup(config);
	err = blk->path ? connect_to(blk, &blk->info) : -ENOMEM;
	if (err) {
		log_err("%s: no back end at %s: %s", dev->name, config, strerror(-err));
	} else if ((~blk->info.features & NEEDED) != 0) {
		log_err("%s: the back end at %s lacks features: 0x%llx", dev->name, config,
			(unsigned long long)(~blk->info.features & NEEDED));
		err = -EPROTO;
	}
	if (err) {
		blk_destroy(dev);
		return err;
	}
	dev->config = blk->info.config;
	dev->config_len = BLK_CONFIG_LEN;
	dev->offered = blk->info.features & PASSED;
	return 0;
}

static const struct virtio_ops vhost_user_blk = {
	.id = VIRTIO_ID_BLOCK,
	.class_code = CLASS_CODE,
	.queues = 1,
	.queue_max = RING_SIZE,
	.any_thread = true,
	.create = blk_create,
	.destroy = blk_destroy,
	.kick = blk_kick,
	.stop = blk_stop,
};

VIRTIO_DEVICE("vhost-user-blk", vhost_user_blk);
