// SPDX-License-Identifier: BSD-3-Clause
/*
 * The control queue of virtio-net (virtio 1.2, 5.1.6.5): which packets the driver wants, its
 * address, how many queues it uses, what it can finish by itself. The filter is the tap's, so that
 * what nobody wants wakes nobody; a network without set-up sends a guest nothing but its own.
 *
 * Called by net.c with net->lock held, on the thread that serves doorbells. A command is copied
 * whole before any of it is used, and changes nothing if it is refused.
 */
#include <string.h>
#include <linux/virtio_net.h>

#include "log.h"
#include "net.h"

/* Longer than any command may be: two tables that a driver has reason to send. */
#define COMMAND_MAX 65536U

static void set_filter(struct net *net)
{
	const struct net_filter *f = &net->filter;
	uint8_t addr[TAP_ADDRESSES][ETH_ALEN];
	unsigned int n = 0;
	bool all = f->promiscuous || f->many_unicast;

	if (net->process)
		return;
	if (!all) {
		/* The first few are compared, groups behind them by a hash. */
		memcpy(addr[n++], net->config.mac, ETH_ALEN);
		memcpy(addr[n], f->addr, (size_t)f->unicast * ETH_ALEN);
		n += f->unicast;
		memset(addr[n++], 0xFF, ETH_ALEN);
		memcpy(addr[n], f->addr[f->unicast], (size_t)f->multicast * ETH_ALEN);
		n += f->multicast;
	}
	/* One that takes no filter passes everything, which drivers must bear with. */
	(void)tap_filter(net->source[0]->fd, f->all_multicast || f->many_multicast, addr, n);
}

void net_set_offloads(struct net *net, uint64_t offloads)
{
	if (!net->process && tap_offload(net->source[0]->fd, offloads) < 0)
		log_guest("%s: the tap takes no offload settings", net->dev->name);
}

void net_control_reset(struct net *net)
{
	net->active = 1;
	net_vhost_use_pairs(net);
	memcpy(net->config.mac, net->own_mac, ETH_ALEN);
	net->filter = (struct net_filter) {.promiscuous = true};
	set_filter(net);
}

/* --- one function a class of commands; false: refused --- */

static bool rx_mode(struct net *net, uint8_t command, struct chain *c)
{
	uint8_t on;

	if (!chain_read(c, &on, sizeof(on)))
		return false;
	if (command == VIRTIO_NET_CTRL_RX_PROMISC)
		net->filter.promiscuous = on != 0;
	else if (command == VIRTIO_NET_CTRL_RX_ALLMULTI)
		net->filter.all_multicast = on != 0;
	else
		return false;
	set_filter(net);
	return true;
}

/* One table of addresses, added to those in @f; @count and @many are @f's own. */
static bool read_table(struct chain *c, struct net_filter *f, unsigned int *count, bool *many)
{
	unsigned int room = TAP_ADDRESSES - 2 - f->unicast;
	uint8_t skipped[ETH_ALEN] = {0};
	uint32_t entries;

	if (!chain_read(c, &entries, sizeof(entries)) || entries > c->read_len / ETH_ALEN)
		return false;
	*many = entries > room;
	for (uint32_t i = 0; i < entries; i++)
		(void)chain_read(c, *many ? skipped : f->addr[f->unicast + f->multicast + i],
				 ETH_ALEN);
	*count = *many ? 0 : entries;
	return true;
}

static bool mac_table(struct net *net, struct chain *c)
{
	struct net_filter f = {
		.promiscuous = net->filter.promiscuous,
		.all_multicast = net->filter.all_multicast,
	};

	if (!read_table(c, &f, &f.unicast, &f.many_unicast) ||
	    !read_table(c, &f, &f.multicast, &f.many_multicast))
		return false;
	net->filter = f;
	set_filter(net);
	return true;
}

static bool mac(struct net *net, uint8_t command, struct chain *c)
{
	uint8_t addr[ETH_ALEN];

	if (command == VIRTIO_NET_CTRL_MAC_TABLE_SET)
		return virtio_has(net->dev, VIRTIO_NET_F_CTRL_RX) && mac_table(net, c);
	if (command != VIRTIO_NET_CTRL_MAC_ADDR_SET ||
	    !virtio_has(net->dev, VIRTIO_NET_F_CTRL_MAC_ADDR) ||
	    !chain_read(c, addr, sizeof(addr)) || !net_mac_valid(addr))
		return false;
	memcpy(net->config.mac, addr, ETH_ALEN);
	set_filter(net);
	return true;
}

static bool queue_pairs(struct net *net, uint8_t command, struct chain *c)
{
	uint16_t pairs;

	if (command != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET || !chain_read(c, &pairs, sizeof(pairs)) ||
	    pairs == 0 || pairs > net->pairs)
		return false;
	net->active = pairs;
	net_vhost_use_pairs(net);
	return true;
}

static bool guest_offloads(struct net *net, uint8_t command, struct chain *c)
{
	uint64_t wanted;

	/* Its bits are numbered like the features that allow them. */
	if (command != VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET ||
	    !chain_read(c, &wanted, sizeof(wanted)) ||
	    (wanted & ~(net->dev->accepted & TAP_OFFLOADS)) != 0)
		return false;
	net_set_offloads(net, wanted);
	return true;
}

static bool obey(struct net *net, struct chain *c)
{
	struct virtio_net_ctrl_hdr hdr;

	if (c->read_len > COMMAND_MAX || !chain_read(c, &hdr, sizeof(hdr)))
		return false;
	switch (hdr.class) {
	case VIRTIO_NET_CTRL_RX:
		return virtio_has(net->dev, VIRTIO_NET_F_CTRL_RX) && rx_mode(net, hdr.cmd, c);
	case VIRTIO_NET_CTRL_MAC:
		return mac(net, hdr.cmd, c);
	case VIRTIO_NET_CTRL_MQ:
		return virtio_has(net->dev, VIRTIO_NET_F_MQ) && queue_pairs(net, hdr.cmd, c);
	case VIRTIO_NET_CTRL_GUEST_OFFLOADS:
		return virtio_has(net->dev, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) &&
		       guest_offloads(net, hdr.cmd, c);
	default:
		return false;
	}
}

void net_control(struct net *net, struct queue *q)
{
	struct iovec iov[NET_CHAIN_MAX];
	struct chain c;

	queue_quiet(q);
	do {
		while (queue_pop(q, &c, iov, NET_CHAIN_MAX) > 0) {
			uint8_t *answer = chain_cut_last(&c);

			if (answer == NULL) {
				queue_break(q, "command without room for its answer");
				return;
			}
			*answer = obey(net, &c) ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
			queue_push(q, c.head, 1);
		}
	} while (queue_rearm(q));
	queue_notify(q);
}
