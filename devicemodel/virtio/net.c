// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-net (virtio 1.2, section 5.1) on a tap interface, or on the socket of a network without
 * set-up: two queues, packets straight between the guest's buffers and the descriptor, whose header
 * format is virtio's own. Below, "tap" is either.
 *
 * Sending happens at the doorbell, on whichever thread serves it. Receiving happens on the main
 * event loop's thread when the tap has a packet; a doorbell comes in when the driver gives new
 * buffers, and the I/O request thread to stop. net->lock is held by whoever takes from the receive
 * queue or changes net->running; the locks of queue, interrupt and event loop are taken inside it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/if_ether.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>

#include "log.h"
#include "mevent.h"
#include "pci_modern.h"
#include "tap.h"
#include "usernet.h"
#include "vm.h"

#define RX	   0U
#define TX	   1U
#define RING_SIZE  1024U
#define CHAIN_MAX  64U /* more than the pages of the largest packet that a driver sends */
#define CLASS_CODE 0x020000U
/* Packets taken from the tap in one go, so that the event loop's other work is not starved. */
#define RX_BURST 256U
/* The longest packet to send: 64 KB of IP, to be cut by the tap, in a frame with a VLAN tag. */
#define TX_MAX (TAP_HEADER + ETH_HLEN + 4U + UINT16_MAX)
/* Without large receive offload a packet is a frame, with a VLAN tag at most. */
#define RX_MIN (TAP_HEADER + ETH_FRAME_LEN)

struct net {
	struct virtio_dev *dev;
	int fd;
	pid_t process; /* of a network without set-up, or 0: a tap */
	struct mevent *event;
	struct virtio_net_config config;

	pthread_mutex_t lock;
	bool running;  /* the receive side may use buffers */
	bool watching; /* the event loop tells of packets */
	bool have_rx;  /* rx is taken from the queue and waits for a packet */
	struct chain rx;
	struct iovec rx_iov[CHAIN_MAX];

	struct iovec tx_iov[CHAIN_MAX];
};

/* --- receiving --- */

/* A buffer for the next packet; false when the driver has given none. */
static bool next_buffer(struct net *net, struct queue *q)
{
	/* virtio wants num_buffers to be 1; the tap writes the ten bytes before it. */
	static const struct virtio_net_hdr_v1 hdr = {.num_buffers = 1};

	if (net->have_rx)
		return true;
	if (queue_pop(q, &net->rx, net->rx_iov, CHAIN_MAX) <= 0)
		return false;
	if (net->rx.readable != 0 || net->rx.write_len < RX_MIN) {
		queue_break(q, "receive buffer too small, or not writable");
		return false;
	}
	(void)chain_write(&net->rx, &hdr, sizeof(hdr));
	net->have_rx = true;
	return true;
}

static void watch(struct net *net, bool on)
{
	if (net->watching == on)
		return;
	net->watching = on;
	mevent_set(net->event, on ? MEVENT_READ : 0);
}

/* net->lock held. What comes while the driver has no buffers waits in the tap. */
static void receive(struct net *net)
{
	struct queue *q = &net->dev->queue[RX];
	unsigned int budget = RX_BURST;
	bool buffers = true;

	queue_quiet(q);
	while (net->running && budget-- != 0) {
		ssize_t len;

		buffers = next_buffer(net, q) || (queue_rearm(q) && next_buffer(net, q));
		if (!buffers)
			break;
		len = readv(net->fd, net->rx.iov, net->rx.writable);
		if (len < 0 && errno == EINTR)
			continue;
		if (len <= 0)
			break;
		net->have_rx = false;
		queue_push(q, net->rx.head, (uint32_t)len);
	}
	watch(net, net->running && buffers);
	queue_notify(q);
}

static void on_packet(void *arg, unsigned int events)
{
	struct net *net = arg;

	pthread_mutex_lock(&net->lock);
	if (events & MEVENT_HANGUP) {
		/* The event would be reported for ever. What the guest sends is lost. */
		log_warn("%s: the %s, the VM has no network here any more", net->dev->name,
			 net->process ? "network's process ended" : "tap was deleted");
		mevent_mute(net->event);
	} else if (net->running) {
		receive(net);
	}
	pthread_mutex_unlock(&net->lock);
}

/* --- sending --- */

static void send_all(struct net *net, struct queue *q)
{
	struct chain c;

	queue_quiet(q);
	do {
		while (queue_pop(q, &c, net->tx_iov, CHAIN_MAX) > 0) {
			ssize_t n;

			/* Like a wire: what is no packet, or the tap does not take, is lost. */
			do {
				n = c.read_len <= TX_MAX ? writev(net->fd, c.iov, c.readable) : 0;
			} while (n < 0 && errno == EINTR);
			queue_push(q, c.head, 0);
		}
	} while (queue_rearm(q));
	queue_notify(q);
}

static void net_kick(struct virtio_dev *dev, struct queue *q)
{
	struct net *net = dev->priv;

	if (q->index == TX) {
		send_all(net, q);
		return;
	}
	pthread_mutex_lock(&net->lock);
	if (!net->running) {
		bool csum = virtio_has(dev, VIRTIO_NET_F_GUEST_CSUM);

		net->running = true;
		if (!net->process && tap_partial_checksum(net->fd, csum) < 0)
			log_guest("%s: the tap takes no offload settings", dev->name);
	}
	receive(net);
	pthread_mutex_unlock(&net->lock);
}

static void net_stop(struct virtio_dev *dev)
{
	struct net *net = dev->priv;

	pthread_mutex_lock(&net->lock);
	net->running = false;
	net->have_rx = false;
	watch(net, false);
	pthread_mutex_unlock(&net->lock);
}

/* --- set-up --- */

/* Xen's prefix, as ACRN uses it, and a hash of what is unique to the VM or given by the user. */
static void make_mac(struct net *net, const char *seed)
{
	uint32_t hash = 0x811C9DC5;
	char text[128];

	snprintf(text, sizeof(text), "%s-%s", net->dev->name, seed);
	for (const char *c = text; *c != '\0'; c++)
		hash = (hash ^ (uint8_t)*c) * 0x01000193;
	memcpy(net->config.mac, "\x00\x16\x3E", 3);
	for (unsigned int i = 0; i < 3; i++)
		net->config.mac[3 + i] = (uint8_t)(hash >> (8 * i));
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static int parse_mac(struct net *net, const char *text)
{
	uint8_t *mac = net->config.mac;

	if (strlen(text) != 3 * ETH_ALEN - 1)
		return -EINVAL;
	for (unsigned int i = 0; i < ETH_ALEN; i++) {
		int high = hex_digit(text[3 * i]), low = hex_digit(text[3 * i + 1]);

		if (high < 0 || low < 0 || (i + 1 < ETH_ALEN && text[3 * i + 2] != ':'))
			return -EINVAL;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	/* A group address is nobody's, and all zeros is none. */
	return (mac[0] & 1) != 0 || memcmp(mac, "\0\0\0\0\0\0", ETH_ALEN) == 0 ? -EINVAL : 0;
}

/* What the words after virtio-net ask for; they point into text. */
struct wanted {
	char text[512];
	const char *tap;
	bool user;
	char *forwards[USERNET_FORWARDS];
	size_t count;
};

static int parse_word(struct net *net, char *word, struct wanted *w)
{
	const char *name = net->dev->name;

	if (strncmp(word, "tap=", 4) == 0) {
		w->tap = word + 4;
	} else if (strcmp(word, "user") == 0) {
		w->user = true;
	} else if (strncmp(word, "hostfwd=", 8) == 0) {
		if (w->count == USERNET_FORWARDS) {
			log_err("%s: more than %u hostfwd=", name, USERNET_FORWARDS);
			return -EINVAL;
		}
		w->forwards[w->count++] = word;
	} else if (strcmp(word, "vhost") == 0) {
		log_notice("%s: option vhost has no effect: packets pass through acrn-dm", name);
	} else if (strncmp(word, "mac_seed=", 9) == 0) {
		make_mac(net, word + 9);
	} else if (strncmp(word, "mac=", 4) == 0) {
		if (parse_mac(net, word + 4) < 0) {
			log_err("%s: %s is no address of a station, like mac=00:16:3e:01:02:03",
				name, word);
			return -EINVAL;
		}
	} else if (word[0] != '\0') {
		log_err("%s: unknown option \"%s\"; there are tap=, user, hostfwd=, mac= and "
			"mac_seed=",
			name, word);
		return -EINVAL;
	}
	return 0;
}

/* (tap=name[,vhost]|user[,hostfwd=...])[,mac=xx:xx:xx:xx:xx:xx|,mac_seed=text] */
static int parse(struct net *net, const char *config, struct wanted *w)
{
	const char *name = net->dev->name;
	char *rest = w->text, *word;
	int ret = 0;

	if (snprintf(w->text, sizeof(w->text), "%s", config != NULL ? config : "") >=
	    (int)sizeof(w->text)) {
		log_err("%s: configuration is too long", name);
		return -EINVAL;
	}
	make_mac(net, net->dev->vm->cfg.name != NULL ? net->dev->vm->cfg.name : "");
	while (ret == 0 && (word = strsep(&rest, ",")) != NULL)
		ret = parse_word(net, word, w);
	if (ret == 0 && (w->tap == NULL ? !w->user : w->tap[0] == '\0')) {
		log_err("%s: no tap given: the form is virtio-net,tap=name[,mac=address], or "
			"virtio-net,user[,hostfwd=tcp:[address]:port-[guest]:port][,mac=address]",
			name);
		ret = -EINVAL;
	} else if (ret == 0 && w->tap != NULL && (w->user || w->count != 0)) {
		log_err("%s: tap=, or user with its hostfwd=: it is one or the other", name);
		ret = -EINVAL;
	}
	return ret;
}

static int net_create(struct virtio_dev *dev, const char *config)
{
	struct net *net = calloc(1, sizeof(*net));
	struct wanted w = {.count = 0};
	int ret;

	if (net == NULL)
		return -ENOMEM;
	net->dev = dev;
	ret = parse(net, config, &w);
	if (ret < 0)
		goto out_free;
	ret = w.user ? usernet_open(w.forwards, w.count, dev->name, &net->process)
		     : tap_open(w.tap, dev->name);
	if (ret < 0)
		goto out_free;
	net->fd = ret;
	pthread_mutex_init(&net->lock, NULL);
	net->event = mevent_add(dev->vm->loop, net->fd, 0, on_packet, net);
	if (net->event == NULL) {
		ret = -EIO;
		goto out_close;
	}

	net->config.status = VIRTIO_NET_S_LINK_UP;
	dev->priv = net;
	dev->config = &net->config;
	dev->config_len = offsetof(struct virtio_net_config, max_virtqueue_pairs);
	dev->offered = VIRTIO_FEATURE(VIRTIO_NET_F_MAC) | VIRTIO_FEATURE(VIRTIO_NET_F_STATUS);
	/* Nobody but a tap's kernel ends what a guest leaves undone. */
	if (!w.user)
		dev->offered |= VIRTIO_FEATURE(VIRTIO_NET_F_CSUM) |
				VIRTIO_FEATURE(VIRTIO_NET_F_HOST_TSO4) |
				VIRTIO_FEATURE(VIRTIO_NET_F_HOST_TSO6) |
				VIRTIO_FEATURE(VIRTIO_NET_F_HOST_ECN) |
				VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_CSUM);
	return 0;

out_close:
	pthread_mutex_destroy(&net->lock);
	close(net->fd);
	if (net->process)
		usernet_close(net->process);
out_free:
	free(net);
	return ret;
}

static void net_destroy(struct virtio_dev *dev)
{
	struct net *net = dev->priv;

	mevent_delete(net->event, true);
	if (net->process)
		usernet_close(net->process);
	pthread_mutex_destroy(&net->lock);
	free(net);
}

static const struct virtio_ops virtio_net = {
	.id = VIRTIO_ID_NET,
	.class_code = CLASS_CODE,
	.queues = 2,
	.queue_max = RING_SIZE,
	.any_thread = true,
	.create = net_create,
	.destroy = net_destroy,
	.kick = net_kick,
	.stop = net_stop,
};

VIRTIO_DEVICE("virtio-net", virtio_net);
