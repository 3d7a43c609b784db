// SPDX-License-Identifier: BSD-3-Clause
/*
 * vhost-vsock (virtio 1.2, section 5.10): sockets between programs of the guest and of the Service
 * VM, whose kernel serves the two queues of packets by /dev/vhost-vsock. The third, of events, has
 * nothing to tell here: there is no migration. vsock_kick() and vsock_stop() exclude one another
 * (virtio.h); no lock, and no look into a ring.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/vhost.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <linux/virtio_vsock.h>
#include <linux/vm_sockets.h>

#include "log.h"
#include "pci_modern.h"
#include "vhost.h"
#include "vm.h"

#define DEVICE	   "/dev/vhost-vsock"
#define RING_SIZE  128U
#define QUEUES	   3U
#define CLASS_CODE 0x078000U /* communication, other */

/* The ring's features are offered for every device: vhost has to know them. */
#define NEEDED                                                                                     \
	(VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC) |        \
	 VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX))

struct vsock {
	struct virtio_vsock_config config;
	struct vhost *vhost;
	bool running;
};

static int doorbell(struct virtio_dev *dev, unsigned int queue)
{
	const struct vsock *vsock = dev->priv;

	return queue < VHOST_RINGS ? vhost_doorbell(vsock->vhost, queue) : -1;
}

static void messages_changed(struct virtio_dev *dev)
{
	const struct vsock *vsock = dev->priv;

	vhost_messages_changed(vsock->vhost);
}

static int set_running(const struct vsock *vsock, int running)
{
	return vhost_request(vsock->vhost, VHOST_VSOCK_SET_RUNNING, &running);
}

static void vsock_kick(struct virtio_dev *dev, struct queue *q)
{
	struct vsock *vsock = dev->priv;
	int err = 0;

	/* The kernel takes both rings or none. */
	if (q->index >= VHOST_RINGS || !atomic_load(&dev->queue[0].live) ||
	    !atomic_load(&dev->queue[1].live))
		return;
	for (unsigned int i = 0; i < VHOST_RINGS && !err && !vsock->running; i++)
		err = vhost_start_ring(vsock->vhost, i);
	if (!err && !vsock->running)
		err = set_running(vsock, 1);
	if (err) {
		log_err("%s: " DEVICE " does not start: %s", dev->name, strerror(-err));
		virtio_needs_reset(dev, q->index, "not served by vhost");
		return;
	}
	vsock->running = true;
	vhost_ring(vsock->vhost, q->index);
}

static void vsock_stop(struct virtio_dev *dev)
{
	struct vsock *vsock = dev->priv;

	/* On return the kernel has let go of every buffer. */
	if (vsock->running && set_running(vsock, 0) < 0)
		log_err("%s: vhost does not stop", dev->name);
	vsock->running = false;
	for (unsigned int i = 0; i < VHOST_RINGS; i++)
		vhost_stop_ring(vsock->vhost, i);
}

/* 0: @text is no address that a guest may have. */
static uint64_t parse_cid(const char *text)
{
	unsigned long long cid;
	char *end;

	if (strncmp(text, "cid=", 4) != 0 || text[4] < '0' || text[4] > '9')
		return 0;
	cid = strtoull(text + 4, &end, 10);
	return *end == '\0' && cid > VMADDR_CID_HOST && cid < VMADDR_CID_ANY ? cid : 0;
}

static int open_vhost(struct vsock *vsock, struct virtio_dev *dev, uint64_t *features)
{
	int err = vhost_open(&vsock->vhost, dev, 0, DEVICE, features);

	if (err)
		return err;
	if ((~*features & NEEDED) != 0)
		err = -EPROTO;
	if (!err)
		err = vhost_request(vsock->vhost, VHOST_VSOCK_SET_GUEST_CID,
				    &vsock->config.guest_cid);
	if (err)
		vhost_close(vsock->vhost);
	return err;
}

static int vsock_create(struct virtio_dev *dev, const char *config)
{
	uint64_t cid = parse_cid(config ? config : ""), features = 0;
	struct vsock *vsock;
	int err;

	if (cid == 0) {
		log_err("%s: the form is vhost-vsock,cid=N, N from 3 to 4294967294", dev->name);
		return -EINVAL;
	}
	vsock = calloc(1, sizeof(*vsock));
	if (!vsock)
		return -ENOMEM;
	vsock->config.guest_cid = cid;
	err = open_vhost(vsock, dev, &features);
	if (err) {
		log_err("%s: " DEVICE ", cid %llu: %s%s", dev->name, (unsigned long long)cid,
			strerror(-err), err == -EADDRINUSE ? " (another VM has it)" : "");
		free(vsock);
		return err;
	}
	dev->priv = vsock;
	dev->config = &vsock->config;
	dev->config_len = sizeof(vsock->config);
	dev->offered = features & VIRTIO_FEATURE(VIRTIO_VSOCK_F_SEQPACKET);
	dev->doorbell = doorbell;
	dev->messages_changed = messages_changed;
	return 0;
}

static void vsock_destroy(struct virtio_dev *dev)
{
	struct vsock *vsock = dev->priv;

	vhost_close(vsock->vhost);
	free(vsock);
}

static const struct virtio_ops vhost_vsock = {
	.id = VIRTIO_ID_VSOCK,
	.class_code = CLASS_CODE,
	.queues = QUEUES,
	.queue_max = RING_SIZE,
	.any_thread = true,
	.create = vsock_create,
	.destroy = vsock_destroy,
	.kick = vsock_kick,
	.stop = vsock_stop,
};

VIRTIO_DEVICE("vhost-vsock", vhost_vsock);
