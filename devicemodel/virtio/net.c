// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-net (virtio 1.2, section 5.1) on a tap interface, or on the socket of a network without
 * set-up, whose header format is virtio's own. Below, "tap" is either. Packets to send go straight
 * from the guest's buffers to the tap; one that comes is read before it is known how many buffers
 * it takes, and copied. The driver's commands are net_control.c's, the options net_config.c's.
 * With vhost the kernel moves the packets (net_vhost.c), and nothing is sent or received here.
 *
 * Sending happens at the doorbell, on whichever thread serves it. Receiving happens on the main
 * event loop's thread when the tap has a packet; a doorbell comes in when the driver gives new
 * buffers, and the I/O request thread to stop. net->lock is held by whoever takes from a receive
 * queue or changes struct net; the locks of queue, interrupt and event loop are taken inside it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/virtio_ids.h>

#include "log.h"
#include "mevent.h"
#include "net.h"
#include "pci_modern.h"
#include "vm.h"

#define RING_SIZE  1024U
#define CLASS_CODE 0x020000U
/* Packets taken from the tap in one go, so that the event loop's other work is not starved. */
#define RX_BURST 256U
/* Buffers that one packet may take: the largest in 1 KB each. */
#define RX_BUFFERS 64U

/* What a driver of before virtio 1.0 sees of the header, unless it takes packets in several
 * buffers. */
#define SHORT_HEADER sizeof(struct virtio_net_hdr)

uint32_t net_header_size(const struct virtio_dev *dev)
{
	return virtio_has(dev, VIRTIO_F_VERSION_1) || virtio_has(dev, VIRTIO_NET_F_MRG_RXBUF)
		       ? TAP_HEADER
		       : SHORT_HEADER;
}

unsigned int net_pairs(const struct net *net)
{
	return virtio_has(net->dev, VIRTIO_NET_F_MQ) ? net->pairs : 1;
}

/* --- receiving --- */

/*
 * Copy the packet that waits to the driver's buffers. False: it goes on waiting, for buffers, which
 * the driver will tell of. One that never fits is lost.
 */
static bool put_packet(struct net_source *s, struct queue *q)
{
	bool mergeable = virtio_has(s->net->dev, VIRTIO_NET_F_MRG_RXBUF);
	uint32_t header = net_header_size(s->net->dev);
	const uint8_t *packet = s->packet.bytes + TAP_HEADER - header;
	unsigned int limit = !mergeable ? 1 : q->size < RX_BUFFERS ? q->size : RX_BUFFERS;
	struct iovec iov[2][NET_CHAIN_MAX]; /* of the first buffer, and of another */
	struct queue_used used[RX_BUFFERS];
	struct chain first, c;
	unsigned int n = 0;
	size_t done = 0;

	while (done < s->waiting && n < limit) {
		int taken = queue_pop(q, &c, iov[n != 0], NET_CHAIN_MAX);

		if (taken == 0 && queue_rearm(q))
			continue;
		if (taken <= 0) {
			queue_untake(q, n);
			return false;
		}
		if (c.readable != 0 || c.write_len < header + (mergeable ? 0 : ETH_FRAME_LEN)) {
			queue_break(q, "receive buffer too small, or not writable");
			return false;
		}
		if (n == 0)
			first = c;
		used[n].head = c.head;
		used[n].len = chain_write(&c, packet + done, (uint32_t)(s->waiting - done));
		done += used[n++].len;
	}
	if (done < s->waiting) {
		queue_untake(q, n);
	} else {
		s->packet.header.num_buffers = (uint16_t)n;
		if (header == TAP_HEADER)
			(void)chain_write(&first, &s->packet.header, TAP_HEADER);
		queue_push_all(q, used, n);
	}
	s->waiting = 0;
	return true;
}

static void watch(struct net_source *s, bool on)
{
	if (s->watching == on)
		return;
	s->watching = on;
	mevent_set(s->event, on ? MEVENT_READ : 0);
}

static bool packets_wait(const struct net *net)
{
	for (unsigned int i = 0; i < net->pairs; i++)
		if (net->source[i]->waiting != 0)
			return true;
	return false;
}

/* net->lock held. What comes while the driver has no buffers waits in the tap. */
static void receive(struct net *net, unsigned int index)
{
	struct net_source *s = net->source[index];
	struct queue *q = &net->dev->queue[2 * (index % net->active)];
	unsigned int budget = RX_BURST;
	bool buffers = true;
	uint32_t gap;

	if (!packets_wait(net))
		queue_quiet(q);
	while (net->running && budget-- != 0) {
		if (s->waiting == 0) {
			ssize_t len = read(s->fd, s->packet.bytes, sizeof(s->packet.bytes));

			if (len < 0 && errno == EINTR)
				continue;
			if (len < (ssize_t)TAP_HEADER)
				break;
			gap = TAP_HEADER - net_header_size(net->dev);
			memmove(s->packet.bytes + gap, s->packet.bytes, TAP_HEADER - gap);
			s->waiting = (size_t)len - gap;
		}
		buffers = put_packet(s, q);
		if (!buffers)
			break;
	}
	watch(s, net->running && buffers);
	queue_notify(q);
}

static void on_packet(void *arg, unsigned int events)
{
	const struct net_source *s = arg;
	struct net *net = s->net;

	pthread_mutex_lock(&net->lock);
	if (events & MEVENT_HANGUP) {
		/* The event would be reported for ever. What the guest sends is lost. */
		if (s == net->source[0])
			log_warn("%s: the %s, the VM has no network here any more", net->dev->name,
				 net->process ? "network's process ended" : "tap was deleted");
		mevent_mute(s->event);
	} else if (net->running) {
		receive(net, s->index);
	}
	pthread_mutex_unlock(&net->lock);
}

/* --- sending --- */

/* The tap has one form of header: a short one gets what it lacks. False: there is none. */
static bool lengthen_header(struct net_source *s, struct chain *c)
{
	if (net_header_size(s->net->dev) == TAP_HEADER)
		return true;
	if (!chain_read(c, &s->tx_header, SHORT_HEADER))
		return false;
	c->iov--; /* the place before the first is free */
	c->iov[0] = (struct iovec) {&s->tx_header, TAP_HEADER};
	c->readable++;
	c->read_len += TAP_HEADER;
	return true;
}

static void send_all(struct net_source *s, struct queue *q)
{
	struct chain c;

	queue_quiet(q);
	do {
		while (queue_pop(q, &c, &s->tx_iov[1], NET_CHAIN_MAX) > 0) {
			bool sound = lengthen_header(s, &c);
			ssize_t n;

			/* Like a wire: what is no packet, or the tap does not take, is lost. */
			do {
				n = sound && c.read_len <= NET_PACKET_MAX
					    ? writev(s->fd, c.iov, c.readable)
					    : 0;
			} while (n < 0 && errno == EINTR);
			queue_push(q, c.head, 0);
		}
	} while (queue_rearm(q));
	queue_notify(q);
}

/* The driver has new receive buffers in queue @pair, or has changed which queues it uses. */
static void receive_all(struct net *net, unsigned int pair)
{
	for (unsigned int i = 0; i < net->pairs; i++)
		if (i % net->active == pair)
			receive(net, i);
}

static void net_kick(struct virtio_dev *dev, struct queue *q)
{
	struct net *net = dev->priv;
	unsigned int pairs = net_pairs(net);
	bool kernels = q->index / 2 < pairs && net->vhost[0] != NULL;

	if (!kernels && q->index / 2 < pairs && q->index % 2 != 0) {
		send_all(net->source[q->index / 2], q);
		return;
	}
	pthread_mutex_lock(&net->lock);
	if (kernels) {
		net_vhost_kick(net, q->index);
	} else if (q->index / 2 < pairs) {
		if (!net->running)
			net_set_offloads(net, dev->accepted & TAP_OFFLOADS);
		net->running = true;
		receive_all(net, q->index / 2);
	} else if (q->index == 2 * pairs && virtio_has(dev, VIRTIO_NET_F_CTRL_VQ)) {
		net_control(net, q);
		for (unsigned int i = 0; i < net->active && net->running; i++)
			receive_all(net, i);
	}
	pthread_mutex_unlock(&net->lock);
}

static void net_stop(struct virtio_dev *dev)
{
	struct net *net = dev->priv;

	pthread_mutex_lock(&net->lock);
	if (net->vhost[0] != NULL)
		net_vhost_stop(net);
	net->running = false;
	for (unsigned int i = 0; i < net->pairs; i++) {
		net->source[i]->waiting = 0;
		watch(net->source[i], false);
	}
	net_control_reset(net);
	pthread_mutex_unlock(&net->lock);
}

/* --- set-up --- */

static void close_sources(struct net *net)
{
	net_vhost_close(net);
	for (unsigned int i = 0; i < NET_PAIRS_MAX && net->source[i] != NULL; i++) {
		struct net_source *s = net->source[i];

		if (s->event != NULL)
			mevent_delete(s->event, true);
		else if (s->fd >= 0)
			close(s->fd);
		free(s);
	}
	if (net->process)
		usernet_close(net->process);
}

static int open_source(struct net *net, unsigned int index, const struct net_options *o)
{
	struct virtio_dev *dev = net->dev;
	struct net_source *s = calloc(1, sizeof(*s));
	pid_t process = 0;

	if (s == NULL)
		return -ENOMEM;
	net->source[index] = s;
	s->net = net;
	s->index = index;
	s->fd = o->tap ? tap_open(o->tap, dev->name, net->pairs > 1)
		       : usernet_open(o->forwards, o->forward_count, dev->name, &process);
	if (s->fd < 0)
		return s->fd;
	net->process = process;
	s->event = mevent_add(dev->vm->loop, s->fd, 0, on_packet, s);
	return s->event == NULL ? -EIO : 0;
}

static void offer(struct virtio_dev *dev, const struct net *net)
{
	dev->queues = (uint16_t)(2 * net->pairs + 1);
	dev->config = &net->config;
	dev->config_len = offsetof(struct virtio_net_config, mtu);
	dev->offered = VIRTIO_FEATURE(VIRTIO_NET_F_MAC) | VIRTIO_FEATURE(VIRTIO_NET_F_STATUS) |
		       VIRTIO_FEATURE(VIRTIO_NET_F_MRG_RXBUF) |
		       VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_VQ) |
		       VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_MAC_ADDR);
	/* Nobody but a tap's kernel ends what a guest leaves undone. */
	if (!net->process)
		dev->offered |= VIRTIO_FEATURE(VIRTIO_NET_F_CSUM) |
				VIRTIO_FEATURE(VIRTIO_NET_F_HOST_TSO4) |
				VIRTIO_FEATURE(VIRTIO_NET_F_HOST_TSO6) |
				VIRTIO_FEATURE(VIRTIO_NET_F_HOST_ECN) |
				VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_RX) |
				VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) | TAP_OFFLOADS;
	if (net->pairs > 1)
		dev->offered |= VIRTIO_FEATURE(VIRTIO_NET_F_MQ);
}

static int net_create(struct virtio_dev *dev, const char *config)
{
	struct net *net = calloc(1, sizeof(*net));
	struct net_options o;
	int ret;

	if (net == NULL)
		return -ENOMEM;
	net->dev = dev;
	ret = net_options_parse(dev, config, &o);
	if (ret < 0)
		goto out_free;
	net->pairs = o.pairs;
	memcpy(net->own_mac, o.mac, ETH_ALEN);
	for (unsigned int i = 0; i < net->pairs && ret == 0; i++)
		ret = open_source(net, i, &o);
	if (ret < 0)
		goto out_close;
	pthread_mutex_init(&net->lock, NULL);
	net->config.status = VIRTIO_NET_S_LINK_UP;
	net->config.max_virtqueue_pairs = (uint16_t)net->pairs;
	dev->priv = net;
	if (o.vhost)
		net_vhost_open(net);
	net_control_reset(net);
	offer(dev, net);
	return 0;

out_close:
	close_sources(net);
out_free:
	free(net);
	return ret;
}

static void net_destroy(struct virtio_dev *dev)
{
	struct net *net = dev->priv;

	close_sources(net);
	pthread_mutex_destroy(&net->lock);
	free(net);
}

static const struct virtio_ops virtio_net = {
	.id = VIRTIO_ID_NET,
	.class_code = CLASS_CODE,
	.queues = 2 * NET_PAIRS_MAX + 1,
	.queue_max = RING_SIZE,
	.any_thread = true,
	.create = net_create,
	.destroy = net_destroy,
	.kick = net_kick,
	.stop = net_stop,
};

VIRTIO_DEVICE("virtio-net", virtio_net);
