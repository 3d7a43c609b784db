// SPDX-License-Identifier: BSD-3-Clause
/*
 * acrn-usernet: the network of a User VM that has "-s N,virtio-net,user". acrn-dm starts one for
 * each such device. Frames come and go on a socket; libslirp ends the guest's connections and makes
 * them anew as sockets of this process, which needs no interface, no address and no rights: it
 * gives up root's before it looks at a frame. So what a guest sends is parsed apart from the device
 * model. One thread; it ends with the socket.
 */
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <linux/virtio_net.h>
#include <slirp/libslirp.h>

#define NOBODY	  65534U
#define FRAME_MAX 65536U
#define TIMERS	  4U
#define SOCKET	  STDIN_FILENO

static const char usage[] =
	"usage: acrn-usernet [hostfwd=PROTOCOL:[ADDRESS]:PORT-[GUEST]:PORT]... <SOCKET\n"
	"  the network of one User VM; acrn-dm starts it (-s N,virtio-net,user)\n"
	"  hostfwd=tcp::2222-:22  connections to port 2222 here go to the guest's port 22\n";

/* libslirp's timers, and the descriptors it wants to wait for. */
struct timer {
	SlirpTimerId id;
	void *arg;
	int64_t at_ms; /* -1: not armed */
	bool used;
};

static struct {
	Slirp *slirp;
	struct timer timers[TIMERS];
	struct pollfd *fds; /* [0]: the socket */
	size_t count, room;
} net;

/* --- what libslirp calls --- */

static int64_t now_ns(void *opaque)
{
	struct timespec now;

	(void)opaque;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A guest without room for a frame loses it, as on a wire. */
static ssize_t send_frame(const void *frame, size_t len, void *opaque)
{
	struct virtio_net_hdr_v1 hdr = {.num_buffers = 1};
	struct iovec iov[] = {{&hdr, sizeof(hdr)}, {(void *)(uintptr_t)frame, len}};
	const struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	(void)opaque;
	(void)sendmsg(SOCKET, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	return (ssize_t)len;
}

/* Said once: a guest can send wrong frames as fast as it likes. */
static void guest_error(const char *message, void *opaque)
{
	static bool said;

	(void)opaque;
	if (!said)
		fprintf(stderr, "acrn-usernet: the guest's frames are wrong: %s\n", message);
	said = true;
}

static void *timer_new(SlirpTimerId id, void *arg, void *opaque)
{
	(void)opaque;
	for (size_t i = 0; i < TIMERS; i++) {
		struct timer *timer = &net.timers[i];

		if (!timer->used) {
			*timer = (struct timer) {id, arg, -1, true};
			return timer;
		}
	}
	abort(); /* the library has one for each id */
}

static void timer_free(void *timer, void *opaque)
{
	(void)opaque;
	((struct timer *)timer)->used = false;
}

static void timer_mod(void *timer, int64_t at_ms, void *opaque)
{
	(void)opaque;
	((struct timer *)timer)->at_ms = at_ms;
}

static void ignore_fd(int fd, void *opaque)
{
	(void)fd;
	(void)opaque;
}

/* There is no other thread that sleeps. */
static void ignore(void *opaque)
{
	(void)opaque;
}

static int add_fd(int fd, int events, void *opaque)
{
	short wanted = (short)((events & SLIRP_POLL_IN ? POLLIN : 0) |
			       (events & SLIRP_POLL_OUT ? POLLOUT : 0) |
			       (events & SLIRP_POLL_PRI ? POLLPRI : 0));

	(void)opaque;
	if (net.count == net.room) {
		size_t room = net.room * 2 + 16;
		struct pollfd *fds = realloc(net.fds, room * sizeof(*fds));

		if (!fds)
			return -1; /* looked at the next time */
		net.fds = fds;
		net.room = room;
	}
	net.fds[net.count] = (struct pollfd) {.fd = fd, .events = wanted};
	return (int)net.count++;
}

static int fd_events(int i, void *opaque)
{
	short got = i < 0 ? 0 : net.fds[i].revents;

	(void)opaque;
	return (got & POLLIN ? SLIRP_POLL_IN : 0) | (got & POLLOUT ? SLIRP_POLL_OUT : 0) |
	       (got & POLLPRI ? SLIRP_POLL_PRI : 0) | (got & POLLERR ? SLIRP_POLL_ERR : 0) |
	       (got & POLLHUP ? SLIRP_POLL_HUP : 0);
}

/* --- the loop --- */

static void fire_timers(void)
{
	int64_t now_ms = now_ns(NULL) / 1000000;

	for (size_t i = 0; i < TIMERS; i++) {
		struct timer *timer = &net.timers[i];

		if (timer->used && timer->at_ms >= 0 && timer->at_ms <= now_ms) {
			timer->at_ms = -1;
			slirp_handle_timer(net.slirp, timer->id, timer->arg);
		}
	}
}

static int timeout_ms(uint32_t wanted)
{
	int64_t left = wanted > INT32_MAX ? INT32_MAX : (int64_t)wanted;
	int64_t now_ms = now_ns(NULL) / 1000000;

	for (size_t i = 0; i < TIMERS; i++) {
		const struct timer *timer = &net.timers[i];
		int64_t until = timer->at_ms - now_ms;

		if (timer->used && timer->at_ms >= 0 && until < left)
			left = until > 0 ? until : 0;
	}
	return (int)left;
}

/* The frames there are now, but a guest that never rests does not keep us from its answers. */
static void take_frames(void)
{
	static uint8_t message[sizeof(struct virtio_net_hdr_v1) + FRAME_MAX];

	for (unsigned int i = 0; i < 64; i++) {
		ssize_t n = recv(SOCKET, message, sizeof(message), MSG_DONTWAIT);

		if (n < 0)
			return;
		n -= (ssize_t)sizeof(struct virtio_net_hdr_v1);
		if (n > 0)
			slirp_input(net.slirp, message + sizeof(struct virtio_net_hdr_v1), (int)n);
	}
}

static int run(void)
{
	/* Its clock stands at 0 before: what the first frames make would be too old already. */
	slirp_pollfds_poll(net.slirp, 0, fd_events, NULL);
	for (;;) {
		uint32_t wait = UINT32_MAX;
		int ready;

		net.count = 0;
		if (add_fd(SOCKET, SLIRP_POLL_IN, NULL) < 0)
			return 1;
		slirp_pollfds_fill(net.slirp, &wait, add_fd, NULL);
		ready = poll(net.fds, net.count, timeout_ms(wait));
		if (ready < 0 && errno != EINTR)
			return 1;
		if (ready > 0 && net.fds[0].revents != 0)
			take_frames();
		if (ready > 0 && (net.fds[0].revents & POLLHUP) != 0)
			return 0;
		slirp_pollfds_poll(net.slirp, ready < 0, fd_events, NULL);
		fire_timers();
	}
}

/* --- set-up --- */

static bool parse_port(const char *text, int *port)
{
	char *end;
	long value = strtol(text, &end, 10);

	*port = (int)value;
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && value > 0 && value <= UINT16_MAX;
}

/* "[ADDRESS]:PORT", cut in two; without an address *address stays as it is. */
static bool parse_end(char *text, struct in_addr *address, int *port)
{
	char *colon = strchr(text, ':');

	if (!colon)
		return false;
	*colon = '\0';
	return (text[0] == '\0' || inet_pton(AF_INET, text, address) == 1) &&
	       parse_port(colon + 1, port);
}

static bool forward(const char *word)
{
	struct in_addr here = {.s_addr = htonl(INADDR_ANY)}, guest = {.s_addr = INADDR_ANY};
	bool udp = strncmp(word, "hostfwd=udp:", 12) == 0;
	char copy[128], *dash;
	int port, guest_port;

	if ((!udp && strncmp(word, "hostfwd=tcp:", 12) != 0) || strlen(word + 12) >= sizeof(copy))
		return false;
	strcpy(copy, word + 12);
	dash = strchr(copy, '-');
	if (!dash)
		return false;
	*dash = '\0';
	if (!parse_end(copy, &here, &port) || !parse_end(dash + 1, &guest, &guest_port))
		return false;
	if (slirp_add_hostfwd(net.slirp, udp, here, port, guest, guest_port) == 0)
		return true;
	fprintf(stderr, "acrn-usernet: %s: %s\n", word, strerror(errno));
	exit(1);
}

static void create(void)
{
	static const SlirpCb callbacks = {
		.send_packet = send_frame,
		.guest_error = guest_error,
		.clock_get_ns = now_ns,
		.timer_free = timer_free,
		.timer_mod = timer_mod,
		.register_poll_fd = ignore_fd,
		.unregister_poll_fd = ignore_fd,
		.notify = ignore,
		.timer_new_opaque = timer_new,
	};
	/* The addresses that QEMU's users know. */
	SlirpConfig config = {
		.version = 4, .in_enabled = true, .in6_enabled = true, .vprefix_len = 64};

	inet_pton(AF_INET, "10.0.2.0", &config.vnetwork);
	inet_pton(AF_INET, "255.255.255.0", &config.vnetmask);
	inet_pton(AF_INET, "10.0.2.2", &config.vhost);
	inet_pton(AF_INET, "10.0.2.3", &config.vnameserver);
	inet_pton(AF_INET, "10.0.2.15", &config.vdhcp_start);
	inet_pton(AF_INET6, "fec0::", &config.vprefix_addr6);
	inet_pton(AF_INET6, "fec0::2", &config.vhost6);
	inet_pton(AF_INET6, "fec0::3", &config.vnameserver6);
	net.slirp = slirp_new(&config, &callbacks, NULL);
	if (!net.slirp) {
		fprintf(stderr, "acrn-usernet: libslirp %s refuses\n", slirp_version_string());
		exit(1);
	}
}

/* Ports below 1024 are open by now. */
static bool give_up_rights(void)
{
	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
		return false;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

int main(int argc, char **argv)
{
	int type;
	socklen_t len = sizeof(type);

	if (getsockopt(SOCKET, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET) {
		fputs(usage, stderr);
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	create();
	for (int i = 1; i < argc; i++) {
		if (!forward(argv[i])) {
			fprintf(stderr,
				"acrn-usernet: \"%s\": the form is hostfwd=tcp:[ADDRESS]:PORT-"
				"[GUEST]:PORT, or udp\n",
				argv[i]);
			return 2;
		}
	}
	if (!give_up_rights()) {
		fprintf(stderr, "acrn-usernet: cannot give up root's rights: %s\n",
			strerror(errno));
		return 1;
	}
	/* acrn-dm waits for this: from here on there is a network. */
	if (send(SOCKET, "", 1, MSG_NOSIGNAL) != 1)
		return 1;
	return run();
}
