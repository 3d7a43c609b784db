// SPDX-License-Identifier: BSD-3-Clause
/*
 * See fake_tap.h. A socket pair keeps packets apart and cuts what does not fit, as a tap does;
 * the name "busy" cannot be opened. Each
 * open of a name is one more queue of it.
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

int tap_open(const char *name, const char *device, bool many)
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
		taps[i] = (struct fake_tap) {.many = many};
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
	return tap_open("user", device, false);
}

void usernet_close(pid_t process)
{
	(void)process;
}

/* NULL when the test has closed its end: such a tap was deleted. */
static struct fake_tap *of_fd(int fd)
{
	for (unsigned int i = 0; i < FAKE_TAPS; i++)
		if (taps[i].open && fds[i] == fd)
			return &taps[i];
	return NULL;
}

int tap_offload(int fd, uint64_t offloads)
{
	struct fake_tap *tap = of_fd(fd);

	if (tap == NULL)
		return -EBADFD;
	tap->offloads = offloads;
	return 0;
}

int tap_header(int fd, uint32_t size)
{
	struct fake_tap *tap = of_fd(fd);

	if (tap == NULL)
		return -EBADFD;
	tap->header = size;
	return 0;
}

int tap_use(int fd, bool use)
{
	struct fake_tap *tap = of_fd(fd);

	if (tap == NULL)
		return -EBADFD;
	tap->unused = !use;
	return 0;
}

int tap_filter(int fd, bool groups, const uint8_t (*addr)[ETH_ALEN], unsigned int count)
{
	struct fake_tap *tap = of_fd(fd);

	if (tap == NULL)
		return -EBADFD;
	tap->filters++;
	tap->groups = groups;
	tap->count = count;
	memcpy(tap->addr, addr, (size_t)count * ETH_ALEN);
	return 0;
}

struct fake_tap *fake_tap_queue(const char *name, unsigned int index)
{
	for (unsigned int i = 0; i < FAKE_TAPS; i++)
		if (taps[i].open && strcmp(taps[i].name, name) == 0 && index-- == 0)
			return &taps[i];
	return NULL;
}

struct fake_tap *fake_tap_find(const char *name)
{
	return fake_tap_queue(name, 0);
}

void fake_tap_reset(void)
{
	for (unsigned int i = 0; i < FAKE_TAPS; i++) {
		if (taps[i].open)
			close(taps[i].peer);
		taps[i].open = false;
	}
}
