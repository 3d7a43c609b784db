// SPDX-License-Identifier: BSD-3-Clause
/* Taps in place of devicemodel/backend/tap.c: the test holds the other end of each. */
#ifndef FAKE_TAP_H
#define FAKE_TAP_H

#include <stdbool.h>

#define FAKE_TAPS 8

struct fake_tap {
	char name[32];
	int peer; /* one read or write is one packet, virtio header included */
	bool partial_checksum;
	bool open;
};

/* The tap of that name, or NULL if nobody opened it. */
struct fake_tap *fake_tap_find(const char *name);
/* Close the test's ends. */
void fake_tap_reset(void);

#endif
