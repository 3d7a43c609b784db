// SPDX-License-Identifier: BSD-3-Clause
/*
 * Byte streams of serial ports and consoles: the terminal this runs in, a pseudo
 * terminal, a terminal device, a TCP port, a UNIX socket, a file. All descriptors
 * but a file's are non-blocking; dev->lock
 * covers the descriptor and the bytes still to send, as the guest's writes come
 * from the I/O request thread and everything else from the event loop's.
 */
#include "chardev.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "log.h"
#include "mevent.h"

#define TX_ROOM 16384U
#define RX_MAX	256U

struct chardev {
	pthread_mutex_t lock;
	struct mevent_loop *loop;
	const char *name;
	const struct chardev_ops *ops;
	void *arg;
	int in_fd, out_fd; /* -1: nobody there; the same but for stdio */
	int keep_fd; /* pty: our side of the slave, so that the master never hangs up; a file */
	struct mevent *in_ev;  /* reading, and writing where the descriptor is one */
	struct mevent *out_ev; /* stdio: waits for room */
	struct mevent *listen_ev;
	int listen_fd;
	bool rx_stopped; /* the receiver had no room */
	bool tx_waits;
	bool is_stdio;
	bool raw;
	char *made; /* path of the socket that is ours, to be removed */
	struct termios saved;
	int saved_flags[2];
	uint8_t tx[TX_ROOM];
	size_t tx_head, tx_len;
};

/* stdio is one terminal: only one device can have it. */
static atomic_bool stdio_taken;

static bool pollable(int fd)
{
	struct stat st;

	return isatty(fd) ||
	       (fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)));
}

static bool parse_port(const char *spec, uint16_t *port)
{
	unsigned long value;
	char *end;

	if (strncmp(spec, "tcp:", 4) != 0 || spec[4] < '0' || spec[4] > '9')
		return false;
	value = strtoul(spec + 4, &end, 10);
	if (*end != '\0' || value == 0 || value > UINT16_MAX)
		return false;
	*port = (uint16_t)value;
	return true;
}

/* The path in "file:/..." and the like; NULL if it is not of that kind. */
static const char *path_of(const char *spec, const char *kind)
{
	size_t len = strlen(kind);

	return strncmp(spec, kind, len) == 0 && spec[len] == '/' ? spec + len : NULL;
}

bool chardev_spec_valid(const char *spec)
{
	uint16_t port;

	return strcmp(spec, "stdio") == 0 || strcmp(spec, "pty") == 0 || spec[0] == '/' ||
	       path_of(spec, "file:") || path_of(spec, "socket:") || path_of(spec, "connect:") ||
	       parse_port(spec, &port);
}

static unsigned int wanted(const struct chardev *dev)
{
	unsigned int events = dev->rx_stopped ? 0 : MEVENT_READ;

	return dev->tx_waits && dev->in_fd == dev->out_fd ? events | MEVENT_WRITE : events;
}

/* lock held, which also says whether chardev_close() has taken the event away. */
static void update_in(struct chardev *dev)
{
	if (dev->in_ev)
		mevent_set(dev->in_ev, wanted(dev));
}

/* The other side went away; only a TCP port waits for the next. lock held. */
static void hang_up(struct chardev *dev)
{
	if (!dev->in_ev)
		return;
	mevent_delete(dev->in_ev, !dev->is_stdio);
	dev->in_ev = NULL;
	dev->in_fd = -1;
	if (!dev->is_stdio) {
		dev->out_fd = -1;
		dev->tx_len = 0;
		dev->tx_waits = false;
	}
}

/* Send what waits. lock held. */
static void flush(struct chardev *dev)
{
	while (dev->tx_len > 0) {
		size_t run = TX_ROOM - dev->tx_head;
		ssize_t n;

		if (run > dev->tx_len)
			run = dev->tx_len;
		n = write(dev->out_fd, dev->tx + dev->tx_head, run);
		if (n <= 0)
			break;
		dev->tx_head = (dev->tx_head + (size_t)n) % TX_ROOM;
		dev->tx_len -= (size_t)n;
	}
	if (dev->tx_len == 0)
		dev->tx_waits = false;
}

static void on_out(void *arg, unsigned int events)
{
	struct chardev *dev = arg;

	(void)events;
	pthread_mutex_lock(&dev->lock);
	flush(dev);
	if (dev->out_ev && !dev->tx_waits)
		mevent_set(dev->out_ev, 0);
	pthread_mutex_unlock(&dev->lock);
}

/* The callbacks run without the lock: the device behind them has its own. */
static void receive(struct chardev *dev, unsigned int events)
{
	uint8_t data[RX_MAX];
	size_t room = dev->ops->room(dev->arg);
	ssize_t n;

	if (room == 0 && !(events & MEVENT_HANGUP)) {
		pthread_mutex_lock(&dev->lock);
		/* Room made since then was announced before this lock: look again. */
		dev->rx_stopped = true;
		update_in(dev);
		pthread_mutex_unlock(&dev->lock);
		if (dev->ops->room(dev->arg) > 0)
			chardev_rx_ready(dev);
		return;
	}
	n = read(dev->in_fd, data, room == 0 || room > RX_MAX ? RX_MAX : room);
	if (n > 0 && room > 0)
		dev->ops->receive(dev->arg, data, (size_t)n);
	else if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		pthread_mutex_lock(&dev->lock);
		hang_up(dev);
		pthread_mutex_unlock(&dev->lock);
	}
}

static void on_in(void *arg, unsigned int events)
{
	struct chardev *dev = arg;

	if (events & MEVENT_WRITE) {
		pthread_mutex_lock(&dev->lock);
		flush(dev);
		update_in(dev);
		pthread_mutex_unlock(&dev->lock);
	}
	if (events & (MEVENT_READ | MEVENT_HANGUP))
		receive(dev, events);
}

/* Have on_out() or on_in() called when there is room. A plain file, on a full disk, never tells. */
static void watch_room(struct chardev *dev)
{
	if (!pollable(dev->out_fd))
		return;
	dev->tx_waits = true;
	if (dev->in_fd == dev->out_fd)
		update_in(dev);
	else if (dev->out_ev)
		mevent_set(dev->out_ev, MEVENT_WRITE);
	else
		dev->out_ev = mevent_add(dev->loop, dev->out_fd, MEVENT_WRITE, on_out, dev);
}

void chardev_write(struct chardev *dev, const uint8_t *data, size_t len)
{
	pthread_mutex_lock(&dev->lock);
	if (dev->out_fd < 0)
		goto out;
	if (!dev->tx_waits)
		flush(dev);
	if (dev->tx_len == 0) {
		ssize_t n = write(dev->out_fd, data, len);

		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	for (; len > 0 && dev->tx_len < TX_ROOM; len--)
		dev->tx[(dev->tx_head + dev->tx_len++) % TX_ROOM] = *data++;
	if (dev->tx_len > 0 && !dev->tx_waits)
		watch_room(dev);
out:
	pthread_mutex_unlock(&dev->lock);
}

void chardev_rx_ready(struct chardev *dev)
{
	pthread_mutex_lock(&dev->lock);
	if (dev->rx_stopped) {
		dev->rx_stopped = false;
		update_in(dev);
	}
	pthread_mutex_unlock(&dev->lock);
}

/* The first event may come before in_ev is stored: the lock makes its callback wait. */
static int watch_in(struct chardev *dev)
{
	int err;

	pthread_mutex_lock(&dev->lock);
	dev->in_ev = mevent_add(dev->loop, dev->in_fd, MEVENT_READ, on_in, dev);
	err = dev->in_ev ? 0 : -EIO;
	pthread_mutex_unlock(&dev->lock);
	return err;
}

static bool make_raw(int fd, struct termios *saved)
{
	struct termios raw;

	if (tcgetattr(fd, saved) < 0)
		return false;
	raw = *saved;
	cfmakeraw(&raw);
	return tcsetattr(fd, TCSANOW, &raw) == 0;
}

static int open_stdio(struct chardev *dev)
{
	if (atomic_exchange(&stdio_taken, true)) {
		log_err("%s: stdio is in use by another device", dev->name);
		return -EBUSY;
	}
	dev->is_stdio = true;
	dev->out_fd = STDOUT_FILENO;
	/* Both may be one open file: look at both before changing either. */
	for (int fd = 0; fd < 2; fd++)
		dev->saved_flags[fd] = fcntl(fd, F_GETFL);
	for (int fd = 0; fd < 2; fd++) {
		if (dev->saved_flags[fd] >= 0)
			fcntl(fd, F_SETFL, dev->saved_flags[fd] | O_NONBLOCK);
	}
	dev->raw = make_raw(STDIN_FILENO, &dev->saved);
	log_set_raw(dev->raw);
	/* A plain file or /dev/null as input never has a byte to wait for. */
	if (!pollable(STDIN_FILENO))
		return 0;
	dev->in_fd = STDIN_FILENO;
	return watch_in(dev);
}

static void close_stdio(struct chardev *dev)
{
	if (dev->raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &dev->saved);
	log_set_raw(false);
	for (int fd = 0; fd < 2; fd++) {
		if (dev->saved_flags[fd] >= 0)
			fcntl(fd, F_SETFL, dev->saved_flags[fd]);
	}
	atomic_store(&stdio_taken, false);
}

static int open_pty(struct chardev *dev)
{
	struct termios saved;
	char path[64];
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || grantpt(fd) < 0 || unlockpt(fd) < 0 ||
	    ptsname_r(fd, path, sizeof(path)) != 0) {
		log_err("%s: no pseudo terminal: %s", dev->name, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -EIO;
	}
	dev->keep_fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (dev->keep_fd >= 0)
		make_raw(dev->keep_fd, &saved);
	log_notice("%s: %s", dev->name, path);
	dev->in_fd = dev->out_fd = fd;
	return watch_in(dev);
}

static int open_tty(struct chardev *dev, const char *path)
{
	int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0) {
		log_err("%s: cannot open %s: %s", dev->name, path, strerror(errno));
		return -EIO;
	}
	if (!isatty(fd)) {
		log_err("%s: %s is not a terminal", dev->name, path);
		close(fd);
		return -ENOTTY;
	}
	dev->raw = make_raw(fd, &dev->saved);
	dev->in_fd = dev->out_fd = fd;
	return watch_in(dev);
}

static void on_connect(void *arg, unsigned int events)
{
	struct chardev *dev = arg;
	int fd = accept4(dev->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	pthread_mutex_lock(&dev->lock);
	if (dev->in_fd >= 0) {
		close(fd);
	} else {
		dev->in_ev = mevent_add(dev->loop, fd, MEVENT_READ, on_in, dev);
		if (dev->in_ev)
			dev->in_fd = dev->out_fd = fd;
		else
			close(fd);
	}
	pthread_mutex_unlock(&dev->lock);
}

/* The descriptor is a socket that listens. */
static int accept_on(struct chardev *dev, int fd)
{
	dev->listen_fd = fd;
	dev->listen_ev = mevent_add(dev->loop, fd, MEVENT_READ, on_connect, dev);
	return dev->listen_ev ? 0 : -EIO;
}

static int open_tcp(struct chardev *dev, uint16_t port)
{
	const struct sockaddr_in where = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	const int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (const struct sockaddr *)&where, sizeof(where)) < 0 ||
	    listen(fd, 1) < 0) {
		log_err("%s: cannot listen on TCP port %u: %s", dev->name, port, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -EIO;
	}
	return accept_on(dev, fd);
}

/* The name of a socket that nobody listens on any more is free. */
static int bind_path(int fd, const struct sockaddr_un *where, socklen_t len)
{
	struct stat st;
	int probe, err;

	if (bind(fd, (const struct sockaddr *)where, len) == 0)
		return 0;
	if (errno != EADDRINUSE)
		return -1;
	probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (probe < 0)
		return -1;
	err = connect(probe, (const struct sockaddr *)where, len) == 0 ? 0 : errno;
	close(probe);
	errno = EADDRINUSE;
	if (err != ECONNREFUSED || lstat(where->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode) ||
	    unlink(where->sun_path) < 0)
		return -1;
	return bind(fd, (const struct sockaddr *)where, len);
}

static int open_socket(struct chardev *dev, const char *path, bool listens)
{
	struct sockaddr_un where = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err = -1;

	errno = ENAMETOOLONG;
	if (fd >= 0 && strlen(path) < sizeof(where.sun_path)) {
		memcpy(where.sun_path, path, strlen(path));
		err = listens ? bind_path(fd, &where, sizeof(where))
			      : connect(fd, (const struct sockaddr *)&where, sizeof(where));
	}
	if (err == 0 && listens) {
		dev->made = strdup(path);
		err = listen(fd, 1);
	}
	if (err < 0) {
		log_err("%s: cannot %s %s: %s", dev->name, listens ? "listen on" : "connect to",
			path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -EIO;
	}
	if (!listens) {
		dev->in_fd = dev->out_fd = fd;
		return watch_in(dev);
	}
	return accept_on(dev, fd);
}

static int open_file(struct chardev *dev, const char *path)
{
	int fd =
		open(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);

	if (fd < 0) {
		log_err("%s: cannot open %s: %s", dev->name, path, strerror(errno));
		return -EIO;
	}
	dev->out_fd = dev->keep_fd = fd;
	return 0;
}

struct chardev *chardev_open(struct mevent_loop *loop, const char *name, const char *spec,
			     const struct chardev_ops *ops, void *arg)
{
	struct chardev *dev = calloc(1, sizeof(*dev));
	uint16_t port;
	int err;

	if (!dev)
		return NULL;
	pthread_mutex_init(&dev->lock, NULL);
	dev->loop = loop;
	dev->name = name;
	dev->ops = ops;
	dev->arg = arg;
	dev->in_fd = dev->out_fd = dev->listen_fd = dev->keep_fd = -1;
	if (strcmp(spec, "stdio") == 0)
		err = open_stdio(dev);
	else if (strcmp(spec, "pty") == 0)
		err = open_pty(dev);
	else if (parse_port(spec, &port))
		err = open_tcp(dev, port);
	else if (path_of(spec, "file:"))
		err = open_file(dev, path_of(spec, "file:"));
	else if (path_of(spec, "socket:"))
		err = open_socket(dev, path_of(spec, "socket:"), true);
	else if (path_of(spec, "connect:"))
		err = open_socket(dev, path_of(spec, "connect:"), false);
	else
		err = open_tty(dev, spec);
	if (err) {
		chardev_close(dev);
		return NULL;
	}
	return dev;
}

/*
 * Events are deleted without the lock, since each deletion waits for a callback
 * under way, which takes it. That callback may hang up and delete the event
 * itself: whoever takes in_ev out of dev under the lock deletes it.
 */
void chardev_close(struct chardev *dev)
{
	struct mevent *in_ev;

	if (!dev)
		return;
	mevent_delete(dev->listen_ev, false);
	/* At once, so that the port is free when this returns. */
	if (dev->listen_fd >= 0)
		close(dev->listen_fd);
	if (dev->made)
		(void)unlink(dev->made);
	free(dev->made);
	mevent_delete(dev->out_ev, false);
	pthread_mutex_lock(&dev->lock);
	in_ev = dev->in_ev;
	dev->in_ev = NULL;
	pthread_mutex_unlock(&dev->lock);
	mevent_delete(in_ev, false);
	if (dev->tx_len > 0)
		flush(dev);
	if (dev->is_stdio) {
		close_stdio(dev);
	} else if (dev->in_fd >= 0) {
		if (dev->raw)
			tcsetattr(dev->in_fd, TCSANOW, &dev->saved);
		close(dev->in_fd);
	}
	if (dev->keep_fd >= 0)
		close(dev->keep_fd);
	pthread_mutex_destroy(&dev->lock);
	free(dev);
}
