// SPDX-License-Identifier: BSD-3-Clause
/* Tap interfaces of the Service VM: an Ethernet port as a file descriptor. */
#ifndef DM_TAP_H
#define DM_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/if_ether.h>
#include <linux/virtio_net.h>

/* Before each packet on the descriptor, both ways: struct virtio_net_hdr_v1, or what
 * tap_header() says. */
#define TAP_HEADER 12U

/* Addresses that tap_filter() takes. */
#define TAP_ADDRESSES 64U

/* Feature bits of virtio-net that tap_offload() knows. */
#define TAP_OFFLOADS                                                                               \
	(1ULL << VIRTIO_NET_F_GUEST_CSUM | 1ULL << VIRTIO_NET_F_GUEST_TSO4 |                       \
	 1ULL << VIRTIO_NET_F_GUEST_TSO6 | 1ULL << VIRTIO_NET_F_GUEST_ECN)

/*
 * Attach to tap @name, made if it does not exist, and set it up; with @many each call is one more
 * queue of it. The descriptor does not block; one read or write is one packet. Negative errno,
 * logged under @device's name.
 */
int tap_open(const char *name, const char *device, bool many);

/* Bytes before each packet of all queues: TAP_HEADER, or 2 less, without the last field. */
int tap_header(int fd, uint32_t size);

/* One of several queues gets packets, as it does at first, or none. */
int tap_use(int fd, bool use);

/* What packets to read may leave undone: checksums, or to be cut to size. Bits of TAP_OFFLOADS. */
int tap_offload(int fd, uint64_t offloads);

/*
 * Have only packets to these @count addresses, at most TAP_ADDRESSES; and those to any group, with
 * @groups. All packets if @count is 0, or if the kernel cannot compare that many.
 */
int tap_filter(int fd, bool groups, const uint8_t (*addr)[ETH_ALEN], unsigned int count);

#endif
