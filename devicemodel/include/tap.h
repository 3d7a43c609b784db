// SPDX-License-Identifier: BSD-3-Clause
/* Tap interfaces of the Service VM: an Ethernet port as a file descriptor. */
#ifndef DM_TAP_H
#define DM_TAP_H

#include <stdbool.h>
#include <stddef.h>

/* Before each packet on the descriptor, both ways: struct virtio_net_hdr_v1. */
#define TAP_HEADER 12U

/*
 * Attach to tap @name, made if it does not exist, and set it up. The descriptor does not block;
 * one read or write is one packet. Negative errno, logged under @device's name.
 */
int tap_open(const char *name, const char *device);

/* May packets to read come without a complete checksum? */
int tap_partial_checksum(int fd, bool allowed);

#endif
