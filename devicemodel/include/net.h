// SPDX-License-Identifier: BSD-3-Clause
/*
 * What the files of virtio-net share: virtio/net.c moves packets, virtio/net_vhost.c has the kernel
 * do it, virtio/net_control.c obeys the driver's commands, virtio/net_config.c reads the options.
 * Nobody else includes this.
 */
#ifndef DM_NET_H
#define DM_NET_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <linux/if_ether.h>
#include <linux/virtio_net.h>

#include "tap.h"
#include "usernet.h"
#include "virtio.h"

#define NET_PAIRS_MAX ((VIRTIO_MAX_QUEUES - 1U) / 2U)
#define NET_CHAIN_MAX 64U /* more than the pages of the largest packet that a driver sends */
/* The longest packet: 64 KB of IP, to be cut by who gets it, in a frame with a VLAN tag. */
#define NET_PACKET_MAX (TAP_HEADER + ETH_HLEN + 4U + UINT16_MAX)

struct net;
struct vhost;

/* One descriptor of the tap, which has as many as the device has pairs of queues. */
struct net_source {
	struct net *net;
	unsigned int index;
	int fd;
	struct mevent *event;
	bool detached;	/* this queue of the tap gets no packets */
	bool watching;	/* the event loop tells of packets */
	size_t waiting; /* bytes of the packet that no buffers were there for, or 0 */
	union {
		struct virtio_net_hdr_v1 header;
		uint8_t bytes[NET_PACKET_MAX];
	} packet;
	struct virtio_net_hdr_v1 tx_header;
	struct iovec
		tx_iov[1 + NET_CHAIN_MAX]; /* the first for a header that is not the driver's */
};

/* What the driver wants to receive; its own address and broadcasts it always gets. */
struct net_filter {
	bool promiscuous, all_multicast;
	bool many_unicast, many_multicast; /* more addresses than there is room for: all of them */
	unsigned int unicast, multicast;
	uint8_t addr[TAP_ADDRESSES - 2][ETH_ALEN]; /* first those of stations */
};

struct net {
	struct virtio_dev *dev;
	pid_t process;		   /* of a network without set-up, or 0: a tap */
	uint8_t own_mac[ETH_ALEN]; /* after a reset */
	struct virtio_net_config config;

	pthread_mutex_t lock;
	bool running;	     /* the receive side may use buffers */
	unsigned int pairs;  /* of queues */
	unsigned int active; /* 1..pairs: those the driver uses */
	struct net_filter filter;
	struct net_source *source[NET_PAIRS_MAX];
	struct vhost *vhost[NET_PAIRS_MAX]; /* of each pair, or all NULL: it is acrn-dm's own */
};

/* Bytes before each packet in the driver's buffers. */
uint32_t net_header_size(const struct virtio_dev *dev);
/* Of queues, as the driver numbers them: what is behind them is the control queue. */
unsigned int net_pairs(const struct net *net);

/* --- net_config.c --- */

/* What the words after virtio-net ask for; they point into text. */
struct net_options {
	char text[512];
	const char *tap; /* or NULL: a network without set-up */
	bool vhost;
	unsigned int pairs;
	uint8_t mac[ETH_ALEN];
	char *forwards[USERNET_FORWARDS];
	size_t forward_count;
};

/* -EINVAL: @config is wrong, and the log says how. */
int net_options_parse(const struct virtio_dev *dev, const char *config, struct net_options *o);

/* Is this the address of one station? */
bool net_mac_valid(const uint8_t mac[ETH_ALEN]);

/* --- net_control.c --- */

/* Obey what is in the control queue; net->lock held. */
void net_control(struct net *net, struct queue *q);
/* Back to what holds before a driver speaks; net->lock held. */
void net_control_reset(struct net *net);
/* Tell the tap which packets the driver can take; net->lock held. */
void net_set_offloads(struct net *net, uint64_t offloads);

/* --- net_vhost.c --- */

/* Have the kernel serve all pairs; a line in the log if it does not, and all is as without. */
void net_vhost_open(struct net *net);
void net_vhost_close(struct net *net);
/* The driver has rung for that queue; net->lock held, as in the others below. */
void net_vhost_kick(struct net *net, unsigned int queue);
/* On return no buffer of the guest is in use. */
void net_vhost_stop(struct net *net);
/* The driver uses net->active pairs now: the tap leaves the others out. */
void net_vhost_use_pairs(struct net *net);

#endif
