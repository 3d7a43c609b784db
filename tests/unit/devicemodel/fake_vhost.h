// SPDX-License-Identifier: BSD-3-Clause
/*
 * /dev/vhost-* inside the test, in place of the kernel's open() and ioctl(): it keeps what it is
 * told, refuses what the kernel would, and serves no ring; that is the test's.
 */
#ifndef FAKE_VHOST_H
#define FAKE_VHOST_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/vhost.h>

#define FAKE_VHOSTS	   4U
#define FAKE_VHOST_REGIONS 4U

struct fake_vhost_ring {
	struct vhost_vring_addr addr;
	unsigned int size;
	int kick, call, error;
	int backend; /* or -1 */
};

struct fake_vhost {
	char path[32]; /* empty: closed or never opened */
	int fd;
	bool owned, running;
	uint64_t features, cid;
	unsigned int regions;
	struct vhost_memory_region region[FAKE_VHOST_REGIONS];
	struct fake_vhost_ring ring[2];
};

/* In the order in which they were opened. */
extern struct fake_vhost fake_vhost[FAKE_VHOSTS];
/* What a test sets: what VHOST_GET_FEATURES says, and requests by number that fail with an errno.
 */
extern uint64_t fake_vhost_features;
extern int fake_vhost_fail[256];
/* open() fails with this. */
extern int fake_vhost_missing;

void fake_vhost_reset(void);

/* Has the ring's doorbell been rung? It is quiet again then. */
bool fake_vhost_kicked(const struct fake_vhost_ring *ring);
/* A ring is being served. */
bool fake_vhost_serves(const struct fake_vhost_ring *ring);

#endif
