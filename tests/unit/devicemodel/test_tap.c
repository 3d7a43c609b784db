// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does the kernel's tap do what virtio-net counts on: filter by addresses, offloads in every
 * combination a driver may ask for, several queues? Real taps, in a network namespace that the
 * test makes; skipped where it may not.
 */
// links: devicemodel/backend/tap.c devicemodel/core/log.c
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <cmocka.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#include "log.h"
#include "tap.h"

#define ETHERTYPE 0x88B5 /* for experiments: nobody else sends it */

static bool possible;

static int make_namespace(void **state)
{
	int fd;

	(void)state;
	log_set_level(0);
	fd = open("/dev/net/tun", O_RDWR);
	possible = fd >= 0 && unshare(CLONE_NEWNET) == 0;
	if (fd >= 0)
		close(fd);
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	if (!possible)
		skip();
	return 0;
}

/* Does a frame that the Service VM sends to this address come out of the tap? */
static bool comes(int fd, const char *name, const char *address)
{
	int sock = socket(AF_PACKET, SOCK_RAW, 0);
	const struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_ifindex = (int)if_nametoindex(name),
		.sll_halen = ETH_ALEN,
	};
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	uint8_t frame[60] = {0}, got[2048];
	bool found = false;

	memcpy(frame, address, ETH_ALEN);
	frame[6] = 2;
	frame[12] = ETHERTYPE >> 8;
	frame[13] = ETHERTYPE & 0xFF;
	assert_true(sock >= 0);
	assert_int_equal(
		sendto(sock, frame, sizeof(frame), 0, (const struct sockaddr *)&to, sizeof(to)),
		sizeof(frame));
	close(sock);
	/* The kernel has news of its own for a new interface. */
	while (!found && poll(&wait, 1, 100) > 0)
		found = read(fd, got, sizeof(got)) == TAP_HEADER + sizeof(frame) &&
			memcmp(got + TAP_HEADER, frame, sizeof(frame)) == 0;
	return found;
}

static const uint8_t own[ETH_ALEN] = {2, 0, 0, 0, 0, 1};
static const uint8_t group[ETH_ALEN] = {1, 0, 0x5E, 0, 0, 1};

/* Does only what is wanted come, and everything with no filter? */
static void test_filter(void **state)
{
	uint8_t addr[TAP_ADDRESSES][ETH_ALEN];
	int fd = tap_open("t0", "test", false);

	(void)state;
	assert_true(fd >= 0);
	assert_true(comes(fd, "t0", "\2\0\0\0\0\2"));
	memcpy(addr[0], own, ETH_ALEN);
	memcpy(addr[1], group, ETH_ALEN);
	assert_true(tap_filter(fd, false, addr, 2) >= 0);
	assert_true(comes(fd, "t0", (const char *)own));
	assert_true(comes(fd, "t0", (const char *)group));
	assert_false(comes(fd, "t0", "\2\0\0\0\0\2"));
	assert_false(comes(fd, "t0", "\1\0\x5E\0\0\2"));
	assert_true(tap_filter(fd, true, addr, 1) >= 0);
	assert_true(comes(fd, "t0", "\1\0\x5E\0\0\2"));
	assert_false(comes(fd, "t0", "\2\0\0\0\0\2"));
	/* Groups behind the first few are told apart by a hash. */
	for (unsigned int i = 1; i < TAP_ADDRESSES; i++) {
		memcpy(addr[i], group, ETH_ALEN);
		addr[i][5] = (uint8_t)(i <= 20 ? i : 20);
	}
	assert_true(tap_filter(fd, false, addr, TAP_ADDRESSES) >= 0);
	assert_true(comes(fd, "t0", "\1\0\x5E\0\0\x14"));
	assert_false(comes(fd, "t0", "\2\0\0\0\0\2"));
	/* More stations than it compares: all comes. */
	for (unsigned int i = 0; i < TAP_ADDRESSES; i++) {
		memcpy(addr[i], own, ETH_ALEN);
		addr[i][4] = (uint8_t)i;
	}
	assert_true(tap_filter(fd, false, addr, TAP_ADDRESSES) >= 0);
	assert_true(comes(fd, "t0", "\2\0\0\0\7\2"));
	assert_true(tap_filter(fd, false, addr, 1) >= 0);
	assert_true(tap_filter(fd, false, addr, 0) >= 0);
	assert_true(comes(fd, "t0", "\2\0\0\0\7\2"));
	close(fd);
}

/* What if a driver can finish some things and not others, in any mixture? */
static void test_offloads(void **state)
{
	static const unsigned int bits[] = {VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4,
					    VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_ECN};
	int fd = tap_open("t1", "test", false);

	(void)state;
	assert_true(fd >= 0);
	for (unsigned int mix = 0; mix < 16; mix++) {
		uint64_t offloads = 0;

		for (unsigned int i = 0; i < 4; i++)
			offloads |= (uint64_t)(mix >> i & 1) << bits[i];
		assert_int_equal(tap_offload(fd, offloads), 0);
	}
	close(fd);
}

/* What if a tap has several queues, or one and somebody has it already? */
static void test_queues(void **state)
{
	int one = tap_open("one", "test", false), fds[3];

	(void)state;
	assert_true(one >= 0);
	assert_int_equal(tap_open("one", "test", false), -EBUSY);
	assert_int_equal(tap_open("one", "test", true), -EINVAL);
	for (unsigned int i = 0; i < 3; i++) {
		fds[i] = tap_open("many", "test", true);
		assert_true(fds[i] >= 0);
	}
	assert_int_equal(tap_open("many", "test", false), -EINVAL);
	/* Only of several can one be left out, and it comes back. */
	assert_int_equal(tap_use(one, false), -EINVAL);
	assert_int_equal(tap_use(fds[2], false), 0);
	assert_int_equal(tap_use(fds[2], true), 0);
	assert_int_equal(tap_header(fds[0], TAP_HEADER - 2), 0);
	assert_int_equal(tap_header(fds[0], 1), -EINVAL);
	for (unsigned int i = 0; i < 3; i++)
		close(fds[i]);
	assert_int_equal(if_nametoindex("many"), 0);
	close(one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_filter, set_up),
		cmocka_unit_test_setup(test_offloads, set_up),
		cmocka_unit_test_setup(test_queues, set_up),
	};

	return cmocka_run_group_tests(tests, make_namespace, NULL);
}
