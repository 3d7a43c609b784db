// SPDX-License-Identifier: BSD-3-Clause
/*
 * See fake_tap.h. A socket pair keeps packets apart and cuts what does not fit, as a tap does;
 * the name "busy" cannot be opened.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>

#include "fake_tap.h"
#include "tap.h"
#include "usernet.h"

static struct fake_tap taps[FAKE_TAPS];
static int fds[FAKE_TAPS];

int tap_open(const char *name, const char *device)
{
	int pair[2];

	(void)device;
	if (strcmp(name, "busy") == 0)
		return -EBUSY;
	for (unsigned int i = 0; i < FAKE_TAPS; i++) {
		if (taps[i].open)
			continue;
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair) < 0)
			return -errno;
		snprintf(taps[i].name, sizeof(taps[i].name), "%s", name);
		taps[i].open = true;
		taps[i].peer = pair[1];
		fds[i] = pair[0];
		return pair[0];
	}
	return -ENOSPC;
}

/* The network without set-up is a tap called "user", which has no process. */
int usernet_open(char *const forwards[], size_t count, const char *device, pid_t *process)
{
	(void)forwards;
	(void)count;
	*process = 0;
	return tap_open("user", device);
}

void usernet_close(pid_t process)
{
	(void)process;
}

int tap_partial_checksum(int fd, bool allowed)
{
	for (unsigned int i = 0; i < FAKE_TAPS; i++)
		if (taps[i].open && fds[i] == fd)
			taps[i].partial_checksum = allowed;
	return 0;
}

struct fake_tap *fake_tap_find(const char *name)
{
	for (unsigned int i = 0; i < FAKE_TAPS; i++)
		if (taps[i].open && strcmp(taps[i].name, name) == 0)
			return &taps[i];
	return NULL;
}

void fake_tap_reset(void)
{
	for (unsigned int i = 0; i < FAKE_TAPS; i++) {
		if (taps[i].open)
			close(taps[i].peer);
		taps[i].open = false;
	}
}
