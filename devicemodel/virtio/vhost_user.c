// SPDX-License-Identifier: BSD-3-Clause
/*
 * Messages of vhost-user, see vhost_user.h. Devices (vhost_user_blk.c) call it where they are made,
 * started and stopped. It keeps no state, takes no lock, touches no ring, and never waits longer
 * than TIME_LIMIT_MS for a back end. Descriptors that a back end sends are dropped by the kernel,
 * as no place is given for them.
 */
#include "vhost_user.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "gmem.h"
#include "queue.h"

#define TIME_LIMIT_MS 5000

#define FLAGS_VERSION 1U
#define FLAGS_REPLY   4U

#define F_PROTOCOL_FEATURES (1ULL << 30)
#define PROTOCOL_CONFIG	    (1ULL << 9)

enum request {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	SET_VRING_ENABLE = 18,
	GET_CONFIG = 24,
};

struct vring_state {
	uint32_t index, value;
};

struct vring_addr {
	uint32_t index, flags;
	uint64_t desc, used, avail, log;
};

struct mem_table {
	uint32_t count, padding;
	struct {
		uint64_t gpa, size, hva, offset;
	} region[GMEM_PIECES];
};

struct config_space {
	uint32_t offset, size, flags;
	uint8_t bytes[VHOST_USER_CONFIG_MAX];
};

struct message {
	uint32_t request, flags, size;
	union {
		uint64_t u64;
		struct vring_state state;
		struct vring_addr addr;
		struct mem_table table;
		struct config_space config;
	} __attribute__((packed)) body;
} __attribute__((packed));

#define HEADER offsetof(struct message, body)

static int send_message(int fd, const struct message *msg, const int *fds, unsigned int count)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(GMEM_PIECES * sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)msg, .iov_len = HEADER + msg->size};
	struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t sent;

	if (count != 0) {
		hdr.msg_control = &control;
		hdr.msg_controllen = CMSG_SPACE(count * sizeof(int));
		control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
	}
	/* A back end that reads has room for it: all messages of a start are less than 1 KB. */
	sent = sendmsg(fd, &hdr, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0)
		return -errno;
	return (size_t)sent == iov.iov_len ? 0 : -EIO;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int receive(int fd, void *buf, size_t len, int64_t end_ms)
{
	for (size_t got = 0; got < len;) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		int64_t left = end_ms - now_ms();
		ssize_t n;

		if (left <= 0 || poll(&wait, 1, (int)left) == 0)
			return -ETIMEDOUT;
		n = recv(fd, (uint8_t *)buf + got, len - got, MSG_DONTWAIT);
		if (n == 0)
			return -ECONNRESET;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		got += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* Send @msg and put the answer, which must be as long as @size says, in its place. */
static int ask(int fd, struct message *msg, uint32_t size)
{
	int64_t end_ms = now_ms() + TIME_LIMIT_MS;
	const uint32_t request = msg->request;
	int err = send_message(fd, msg, NULL, 0);

	if (!err)
		err = receive(fd, msg, HEADER, end_ms);
	if (!err && (msg->request != request || msg->flags != (FLAGS_VERSION | FLAGS_REPLY) ||
		     msg->size != size))
		err = -EPROTO;
	return err ? err : receive(fd, &msg->body, size, end_ms);
}

static int get_u64(int fd, enum request request, uint64_t *value)
{
	struct message msg = {.request = request, .flags = FLAGS_VERSION};
	int err = ask(fd, &msg, sizeof(msg.body.u64));

	*value = msg.body.u64;
	return err;
}

static int set_u64(int fd, enum request request, uint64_t value, const int *give)
{
	const struct message msg = {.request = request,
				    .flags = FLAGS_VERSION,
				    .size = sizeof(msg.body.u64),
				    .body.u64 = value};

	return send_message(fd, &msg, give, give ? 1 : 0);
}

static int set_state(int fd, enum request request, uint32_t index, uint32_t value)
{
	const struct message msg = {.request = request,
				    .flags = FLAGS_VERSION,
				    .size = sizeof(msg.body.state),
				    .body.state = {index, value}};

	return send_message(fd, &msg, NULL, 0);
}

static int get_config(int fd, uint8_t *config, size_t len)
{
	const uint32_t size = (uint32_t)(offsetof(struct config_space, bytes) + len);
	struct message msg = {.request = GET_CONFIG,
			      .flags = FLAGS_VERSION,
			      .size = size,
			      .body.config = {.size = (uint32_t)len}};
	int err = ask(fd, &msg, size);

	if (!err && (msg.body.config.offset != 0 || msg.body.config.size != len))
		err = -EPROTO;
	if (!err)
		memcpy(config, msg.body.config.bytes, len);
	return err;
}

static int greet(int fd, struct vhost_user_info *info, size_t config_len)
{
	const struct message own = {.request = SET_OWNER, .flags = FLAGS_VERSION};
	uint64_t protocol = 0;
	int err = get_u64(fd, GET_FEATURES, &info->features);

	if (!err && (info->features & F_PROTOCOL_FEATURES) == 0)
		err = -EPROTO;
	if (!err)
		err = get_u64(fd, GET_PROTOCOL_FEATURES, &protocol);
	if (!err && (protocol & PROTOCOL_CONFIG) == 0)
		err = -EPROTO;
	if (!err)
		err = set_u64(fd, SET_PROTOCOL_FEATURES, PROTOCOL_CONFIG, NULL);
	if (!err)
		err = send_message(fd, &own, NULL, 0);
	return err ? err : get_config(fd, info->config, config_len);
}

int vhost_user_connect(const char *path, struct vhost_user_info *info, size_t config_len)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, err = 0;

	if (config_len > VHOST_USER_CONFIG_MAX || strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	/* Nonblocking: the queue of a listener that accepts nobody may be full. */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		err = -errno;
	if (!err)
		err = greet(fd, info, config_len);
	if (!err)
		return fd;
	close(fd);
	return err;
}

static int give_memory(int fd, const struct vm *vm)
{
	struct gmem_piece pieces[GMEM_PIECES];
	unsigned int count = gmem_pieces(vm, pieces);
	struct message msg = {.request = SET_MEM_TABLE, .flags = FLAGS_VERSION};
	int fds[GMEM_PIECES];

	msg.body.table.count = count;
	msg.size = (uint32_t)(offsetof(struct mem_table, region) +
			      count * sizeof(msg.body.table.region[0]));
	for (unsigned int i = 0; i < count; i++) {
		msg.body.table.region[i].gpa = pieces[i].gpa;
		msg.body.table.region[i].size = pieces[i].size;
		msg.body.table.region[i].hva = (uintptr_t)pieces[i].hva;
		fds[i] = pieces[i].fd;
	}
	return send_message(fd, &msg, fds, count);
}

/* The back end finds its place in our addresses by the memory table. */
static int give_ring(int fd, const struct queue *q)
{
	const struct message msg = {
		.request = SET_VRING_ADDR,
		.flags = FLAGS_VERSION,
		.size = sizeof(msg.body.addr),
		.body.addr = {.index = q->index,
			      .desc = (uintptr_t)q->desc,
			      .used = (uintptr_t)q->used,
			      .avail = (uintptr_t)q->avail},
	};

	return send_message(fd, &msg, NULL, 0);
}

int vhost_user_start(int fd, const struct queue *q, uint64_t features, int kick, int call)
{
	int err = set_u64(fd, SET_FEATURES, features | F_PROTOCOL_FEATURES, NULL);

	if (!err)
		err = give_memory(fd, q->vm);
	if (!err)
		err = set_state(fd, SET_VRING_NUM, q->index, q->size);
	if (!err)
		err = set_state(fd, SET_VRING_BASE, q->index, 0);
	if (!err)
		err = give_ring(fd, q);
	if (!err)
		err = set_u64(fd, SET_VRING_CALL, q->index, &call);
	if (!err)
		err = set_u64(fd, SET_VRING_KICK, q->index, &kick);
	return err ? err : set_state(fd, SET_VRING_ENABLE, q->index, 1);
}

int vhost_user_stop(int fd, const struct queue *q)
{
	struct message msg = {.request = GET_VRING_BASE,
			      .flags = FLAGS_VERSION,
			      .size = sizeof(msg.body.state),
			      .body.state.index = q->index};

	return ask(fd, &msg, sizeof(msg.body.state));
}
