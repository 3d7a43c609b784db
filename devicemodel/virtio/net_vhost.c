// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-net with vhost: the kernel moves packets between the tap and the rings of the guest, by
 * one /dev/vhost-net a pair of queues; commands stay with net_control.c. Called by net.c, with
 * net->lock held but where the device is made, destroyed, and told of other messages.
 */
#include <errno.h>
#include <string.h>
#include <linux/vhost.h>
#include <linux/virtio_ring.h>

#include "log.h"
#include "net.h"
#include "vhost.h"

#define DEVICE "/dev/vhost-net"

/* The ring's features are offered for every device: vhost has to know them. */
#define NEEDED                                                                                     \
	(VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC) |        \
	 VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX) | VIRTIO_FEATURE(VIRTIO_NET_F_MRG_RXBUF))

static int doorbell(struct virtio_dev *dev, unsigned int queue)
{
	const struct net *net = dev->priv;

	return queue / 2 < net_pairs(net) ? vhost_doorbell(net->vhost[queue / 2], queue % 2) : -1;
}

static void messages_changed(struct virtio_dev *dev)
{
	const struct net *net = dev->priv;

	for (unsigned int i = 0; i < net->pairs; i++)
		vhost_messages_changed(net->vhost[i]);
}

void net_vhost_open(struct net *net)
{
	struct virtio_dev *dev = net->dev;
	uint64_t features;
	int err = 0;

	for (unsigned int i = 0; i < net->pairs && !err; i++) {
		err = vhost_open(&net->vhost[i], dev, 2 * i, DEVICE, &features);
		if (!err && (~features & NEEDED) != 0)
			err = -EPROTO;
	}
	if (err) {
		log_warn("%s: no vhost, packets pass through acrn-dm: " DEVICE ": %s", dev->name,
			 strerror(-err));
		net_vhost_close(net);
		return;
	}
	dev->doorbell = doorbell;
	dev->messages_changed = messages_changed;
}

void net_vhost_close(struct net *net)
{
	for (unsigned int i = 0; i < net->pairs && net->vhost[i] != NULL; i++) {
		vhost_close(net->vhost[i]);
		net->vhost[i] = NULL;
	}
}

static int set_backend(const struct net *net, unsigned int queue, int fd)
{
	const struct vhost_vring_file file = {.index = queue % 2, .fd = fd};

	return vhost_request(net->vhost[queue / 2], VHOST_NET_SET_BACKEND, &file);
}

void net_vhost_kick(struct net *net, unsigned int queue)
{
	struct vhost *v = net->vhost[queue / 2];
	int err = 0;

	if (!vhost_has_ring(v, queue % 2)) {
		if (queue == 0)
			net_set_offloads(net, net->dev->accepted & TAP_OFFLOADS);
		err = tap_header(net->source[queue / 2]->fd, net_header_size(net->dev));
		if (!err)
			err = vhost_start_ring(v, queue % 2);
		if (!err)
			err = set_backend(net, queue, net->source[queue / 2]->fd);
	}
	if (!err) {
		vhost_ring(v, queue % 2);
		return;
	}
	log_err("%s: " DEVICE " does not start: %s", net->dev->name, strerror(-err));
	virtio_needs_reset(net->dev, queue, "not served by vhost");
}

void net_vhost_stop(struct net *net)
{
	for (unsigned int i = 0; i < 2 * net->pairs; i++) {
		if (!vhost_has_ring(net->vhost[i / 2], i % 2))
			continue;
		/* On return the kernel has let go of every buffer. */
		if (set_backend(net, i, -1) < 0)
			log_err("%s: vhost does not stop", net->dev->name);
		vhost_stop_ring(net->vhost[i / 2], i % 2);
	}
}

void net_vhost_use_pairs(struct net *net)
{
	for (unsigned int i = 1; i < net->pairs && net->vhost[0] != NULL; i++) {
		struct net_source *s = net->source[i];
		bool detached = i >= net->active;

		if (s->detached != detached && tap_use(s->fd, !detached) == 0)
			s->detached = detached;
	}
}
