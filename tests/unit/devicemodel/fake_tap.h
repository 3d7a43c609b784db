// SPDX-License-Identifier: BSD-3-Clause
/* Taps in place of devicemodel/backend/tap.c: the test holds the other end of each. */
#ifndef FAKE_TAP_H
#define FAKE_TAP_H

#include <stdbool.h>
#include <stdint.h>

#include "tap.h"

#define FAKE_TAPS 8

struct fake_tap {
	char name[32];
	int peer;  /* one read or write is one packet, virtio header included */
	bool many; /* opened as one queue of several */
	bool unused;
	uint32_t header; /* if it was set anew */
	uint64_t offloads;
	unsigned int filters; /* set so far */
	bool groups;	      /* of the last filter, like the rest */
	unsigned int count;
	uint8_t addr[TAP_ADDRESSES][ETH_ALEN];
	bool open;
};

/* The tap of that name, or NULL if nobody opened it. Of several queues the first. */
struct fake_tap *fake_tap_find(const char *name);
/* Its queue @index. */
struct fake_tap *fake_tap_queue(const char *name, unsigned int index);
/* Close the test's ends. */
void fake_tap_reset(void);

#endif
