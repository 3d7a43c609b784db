// SPDX-License-Identifier: BSD-3-Clause
/* See fake_back_end.h. Written from the protocol's text, apart from the front end. */
#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fake_back_end.h"
#include "fake_guest.h"
#include "gmem.h"

struct back_end back_end;

/* Two pieces, as a VM with much memory has them. */
unsigned int gmem_pieces(const struct vm *vm, struct gmem_piece pieces[GMEM_PIECES])
{
	static int fd = -1;

	(void)vm;
	if (fd < 0)
		fd = memfd_create("guest", MFD_CLOEXEC);
	pieces[0] = (struct gmem_piece) {0, GUEST_LOW, guest_at(0, 1), fd};
	pieces[1] =
		(struct gmem_piece) {GUEST_HIGH_BASE, GUEST_HIGH, guest_at(GUEST_HIGH_BASE, 1), fd};
	return 2;
}

static void answer(int fd, uint32_t request, const void *body, uint32_t size)
{
	uint32_t words[3] = {request, 5, size};
	uint8_t bytes[512];

	if (back_end.fault == FAULT_NONSENSE)
		memset(words, 0xA5, sizeof(words));
	if (back_end.fault == FAULT_LONG)
		words[2] = UINT32_MAX;
	if (back_end.fault == FAULT_WRONG_REQUEST)
		words[0]++;
	memcpy(bytes, words, 12);
	memcpy(bytes + 12, body, size);
	(void)!send(fd, bytes, 12 + size, MSG_NOSIGNAL);
}

static void questions(int fd, uint32_t request, uint8_t *body, uint32_t size)
{
	uint64_t features = 1ULL << 30 | 1ULL << 28 | 1ULL << 29;
	uint64_t sectors = BACK_END_SECTORS + (back_end.fault == FAULT_OTHER_DISK);
	const uint64_t protocol = 1ULL << 9;

	if (back_end.fault != FAULT_FEATURES)
		features |= 1ULL << 32;
	if (request == 1)
		answer(fd, request, &features, 8);
	if (request == 15)
		answer(fd, request, &protocol, 8);
	if (request == 24) {
		memcpy(body + 12, &sectors, 8);
		answer(fd, request, body, size);
	}
	if (request == 11) {
		back_end.stops++;
		answer(fd, request, body, size);
	}
}

static void take(uint32_t request, const uint8_t *body, const int *fds, unsigned int count)
{
	uint64_t words[5];
	uint32_t half[2];

	memcpy(words, body, sizeof(words));
	memcpy(half, body, sizeof(half));
	if (request == 5) {
		back_end.regions = half[0];
		back_end.fds_usable = count == half[0];
	}
	if (request == 8)
		back_end.ring_size = half[1];
	if (request == 9) {
		back_end.desc = (const void *)(uintptr_t)words[1];
		back_end.used = (const void *)(uintptr_t)words[2];
		back_end.avail = (const void *)(uintptr_t)words[3];
	}
	if (request == 12)
		back_end.kick = dup(fds[0]);
	if (request == 13)
		back_end.call = dup(fds[0]);
	for (unsigned int i = 0; i < count; i++)
		close(fds[i]);
}

static bool serve_one(int fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(8 * sizeof(int))];
	} control;
	uint8_t body[512] = {0};
	uint32_t head[3];
	struct iovec iov = {head, sizeof(head)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	const struct cmsghdr *c;
	unsigned int count = 0;
	int fds[8];

	if (recvmsg(fd, &msg, 0) != sizeof(head))
		return false;
	c = CMSG_FIRSTHDR(&msg);
	if (c) {
		count = (unsigned int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), count * sizeof(int));
	}
	assert(head[1] == 1 && head[2] <= sizeof(body));
	if (head[2] != 0 && recv(fd, body, head[2], MSG_WAITALL) != (ssize_t)head[2])
		return false;
	if (back_end.fault == FAULT_HANG_UP)
		return false;
	take(head[0], body, fds, count);
	if (back_end.fault != FAULT_SILENT)
		questions(fd, head[0], body, head[2]);
	return true;
}

static void forget_ring(void)
{
	int kick = atomic_exchange(&back_end.kick, -1), call = atomic_exchange(&back_end.call, -1);

	if (kick >= 0)
		close(kick);
	if (call >= 0)
		close(call);
}

static void *serve(void *arg)
{
	(void)arg;
	for (;;) {
		int fd = accept(back_end.listener, NULL, NULL);

		if (fd < 0)
			return NULL;
		back_end.connection = fd;
		while (serve_one(fd))
			;
		back_end.connection = -1;
		close(fd);
	}
}

void back_end_create(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memset(&back_end, 0, sizeof(back_end));
	back_end.connection = -1;
	back_end.kick = -1;
	back_end.call = -1;
	snprintf(back_end.path, sizeof(back_end.path), "/tmp/back-end.%d", getpid());
	memcpy(address.sun_path, back_end.path, sizeof(back_end.path));
	unlink(back_end.path);
	back_end.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(bind(back_end.listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	assert(listen(back_end.listener, 4) == 0);
	assert(pthread_create(&back_end.thread, NULL, serve, NULL) == 0);
}

void back_end_destroy(void)
{
	shutdown(back_end.listener, SHUT_RDWR);
	pthread_join(back_end.thread, NULL);
	close(back_end.listener);
	unlink(back_end.path);
	forget_ring();
}

bool back_end_wait_kick(void)
{
	struct pollfd wait = {.events = POLLIN};

	for (int i = 0; i < 5000 && back_end.kick < 0; i++)
		usleep(1000);
	wait.fd = back_end.kick;
	return wait.fd >= 0 && poll(&wait, 1, 5000) == 1;
}

void back_end_call(void)
{
	const uint64_t one = 1;

	assert(write(back_end.call, &one, sizeof(one)) == sizeof(one));
}

void back_end_hang_up(void)
{
	forget_ring();
	shutdown(back_end.connection, SHUT_RDWR);
}
