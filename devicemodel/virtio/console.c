// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-console (virtio 1.2, section 5.3): up to 16 ports, each a byte stream to somewhere in the
 * Service VM (chardev.h). Ports marked with @ are consoles (hvc0 and up), the others are files of
 * the guest (/dev/virtio-ports/NAME).
 *
 * The I/O request thread sends, and serves the control queues. The main event loop's thread fills
 * the ports' receive queues when their streams have something. con->lock is held by whoever takes
 * from a receive queue or changes con->running or a port's state; chardev's and queues' locks are
 * not held when it is taken, the queues' are taken inside it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>

#include "chardev.h"
#include "log.h"
#include "pci_modern.h"
#include "vm.h"

#define PORTS	     16U
#define CONTROL_RX   2U
#define CONTROL_TX   3U
#define QUEUES	     (2U * PORTS + 2U)
#define RING_SIZE    64U
#define CHAIN_MAX    16U
#define NAME_MAX_LEN 31U
#define CLASS_CODE   0x078000U /* communication controller, other */

struct console;

struct port {
	struct console *con;
	unsigned int index;
	bool console;
	char name[NAME_MAX_LEN + 1];
	struct chardev *stream;

	bool open;    /* somebody in the guest reads */
	bool have_rx; /* rx is taken from the queue and waits for bytes */
	struct chain rx;
	struct iovec rx_iov[CHAIN_MAX];
};

struct console {
	struct virtio_dev *dev;
	struct virtio_console_config config;
	pthread_mutex_t lock;
	bool running; /* receive queues may be used */
	unsigned int count;
	struct port ports[PORTS];
};

static struct queue *rx_queue(const struct port *port)
{
	return &port->con->dev->queue[port->index == 0 ? 0 : 2 * port->index + 2];
}

/* --- to the guest --- */

/* con->lock held. A driver without ports of its own has port 0, which is always open. */
static bool next_buffer(struct port *port)
{
	struct virtio_dev *dev = port->con->dev;
	struct queue *q = rx_queue(port);

	if (!port->con->running || (!port->open && virtio_has(dev, VIRTIO_CONSOLE_F_MULTIPORT)))
		return false;
	while (!port->have_rx) {
		if (queue_pop(q, &port->rx, port->rx_iov, CHAIN_MAX) <= 0 &&
		    (!queue_rearm(q) || queue_pop(q, &port->rx, port->rx_iov, CHAIN_MAX) <= 0))
			return false;
		port->have_rx = port->rx.write_len != 0;
		if (!port->have_rx)
			queue_push(q, port->rx.head, 0);
	}
	return true;
}

static size_t port_room(void *arg)
{
	struct port *port = arg;
	size_t room;

	pthread_mutex_lock(&port->con->lock);
	room = next_buffer(port) ? port->rx.write_len : 0;
	pthread_mutex_unlock(&port->con->lock);
	return room;
}

/* A reset since port_room() took the buffer away; then the bytes are lost, as the guest's were. */
static void port_receive(void *arg, const uint8_t *data, size_t len)
{
	struct port *port = arg;
	struct queue *q = rx_queue(port);

	pthread_mutex_lock(&port->con->lock);
	if (port->have_rx) {
		port->have_rx = false;
		queue_push(q, port->rx.head, chain_write(&port->rx, data, (uint32_t)len));
		queue_notify(q);
	}
	pthread_mutex_unlock(&port->con->lock);
}

static const struct chardev_ops port_ops = {.room = port_room, .receive = port_receive};

/* --- control --- */

/* A driver that gives too few buffers misses what it was to be told. */
static void tell(struct console *con, const struct port *port, uint16_t event, uint16_t value,
		 const char *name)
{
	const struct virtio_console_control msg = {port->index, event, value};
	struct queue *q = &con->dev->queue[CONTROL_RX];
	uint8_t bytes[sizeof(msg) + NAME_MAX_LEN];
	size_t len = sizeof(msg) + strlen(name);
	struct iovec iov[CHAIN_MAX];
	struct chain c;

	memcpy(bytes, &msg, sizeof(msg));
	memcpy(bytes + sizeof(msg), name, strlen(name));
	if (queue_pop(q, &c, iov, CHAIN_MAX) <= 0) {
		log_guest("%s: no buffer for a control message", con->dev->name);
		return;
	}
	queue_push(q, c.head, chain_write(&c, bytes, (uint32_t)len));
}

static void port_ready(struct console *con, const struct port *port)
{
	if (port->console)
		tell(con, port, VIRTIO_CONSOLE_CONSOLE_PORT, 1, "");
	tell(con, port, VIRTIO_CONSOLE_PORT_NAME, 1, port->name);
	tell(con, port, VIRTIO_CONSOLE_PORT_OPEN, 1, "");
}

static void set_open(struct port *port, bool open)
{
	pthread_mutex_lock(&port->con->lock);
	port->open = open;
	pthread_mutex_unlock(&port->con->lock);
	if (open)
		chardev_rx_ready(port->stream);
}

static void control(struct console *con, const struct virtio_console_control *msg)
{
	struct port *port = msg->id < con->count ? &con->ports[msg->id] : NULL;

	if (msg->event == VIRTIO_CONSOLE_DEVICE_READY && msg->value == 1) {
		for (unsigned int i = 0; i < con->count; i++)
			tell(con, &con->ports[i], VIRTIO_CONSOLE_PORT_ADD, 1, "");
	} else if (port && msg->event == VIRTIO_CONSOLE_PORT_READY && msg->value == 1) {
		port_ready(con, port);
	} else if (port && msg->event == VIRTIO_CONSOLE_PORT_OPEN) {
		set_open(port, msg->value != 0);
	} else {
		log_guest("%s: control message %u, value %u, for port %u", con->dev->name,
			  msg->event, msg->value, msg->id);
	}
}

static void take_control(struct console *con, struct queue *q)
{
	struct virtio_console_control msg;
	struct iovec iov[CHAIN_MAX];
	struct chain c;

	queue_quiet(q);
	do {
		while (queue_pop(q, &c, iov, CHAIN_MAX) > 0) {
			bool whole = chain_read(&c, &msg, sizeof(msg));

			queue_push(q, c.head, 0);
			if (whole)
				control(con, &msg);
		}
	} while (queue_rearm(q));
	queue_notify(&con->dev->queue[CONTROL_RX]);
	queue_notify(q);
}

/* --- from the guest --- */

static void send_all(const struct port *port, struct queue *q)
{
	struct iovec iov[CHAIN_MAX];
	struct chain c;

	queue_quiet(q);
	do {
		while (queue_pop(q, &c, iov, CHAIN_MAX) > 0) {
			for (uint16_t i = 0; i < c.readable; i++)
				chardev_write(port->stream, c.iov[i].iov_base, c.iov[i].iov_len);
			queue_push(q, c.head, 0);
		}
	} while (queue_rearm(q));
	queue_notify(q);
}

static void console_kick(struct virtio_dev *dev, struct queue *q)
{
	struct console *con = dev->priv;
	unsigned int index = q->index < CONTROL_RX ? 0 : q->index / 2U - 1U;

	if (q->index == CONTROL_TX)
		take_control(con, q);
	if (q->index == CONTROL_RX || q->index == CONTROL_TX || index >= con->count)
		return;
	if (q->index % 2U != 0) {
		send_all(&con->ports[index], q);
		return;
	}
	pthread_mutex_lock(&con->lock);
	con->running = true;
	pthread_mutex_unlock(&con->lock);
	chardev_rx_ready(con->ports[index].stream);
}

static void console_stop(struct virtio_dev *dev)
{
	struct console *con = dev->priv;

	pthread_mutex_lock(&con->lock);
	con->running = false;
	for (unsigned int i = 0; i < con->count; i++)
		con->ports[i].have_rx = con->ports[i].open = false;
	pthread_mutex_unlock(&con->lock);
}

/* --- set-up --- */

/* What chardev.h calls it; false when there is no such form. */
static bool stream_of(const char *kind, const char *path, const char *role, char *spec, size_t size)
{
	bool socket = strcmp(kind, "socket") == 0;
	const char *prefix = strcmp(kind, "tty") == 0	 ? ""
			     : strcmp(kind, "file") == 0 ? "file:"
			     : socket			 ? "socket:"
							 : NULL;

	if (role && strcmp(role, "client") == 0)
		prefix = "connect:";
	else if (role && strcmp(role, "server") != 0)
		return false;
	if (role && !socket)
		return false;
	if (strcmp(kind, "stdio") == 0 || strcmp(kind, "pty") == 0)
		return !path && snprintf(spec, size, "%s", kind) < (int)size;
	return prefix && path && path[0] == '/' &&
	       snprintf(spec, size, "%s%s", prefix, path) < (int)size;
}

/* "[@]KIND:NAME[=PATH][:server|:client]", cut in place. */
static int add_port(struct console *con, char *word)
{
	const char *device = con->dev->name;
	struct port *port = &con->ports[con->count];
	char *kind = word + (word[0] == '@'), *name = strchr(kind, ':'), *path, *role;
	char spec[160];

	if (con->count == PORTS) {
		log_err("%s: more than %u ports", device, PORTS);
		return -EINVAL;
	}
	if (name)
		*name++ = '\0';
	path = name ? strchr(name, '=') : NULL;
	if (path)
		*path++ = '\0';
	role = name ? strchr(path ? path : name, ':') : NULL;
	if (role)
		*role++ = '\0';
	if (!name || name[0] == '\0' || strlen(name) > NAME_MAX_LEN ||
	    !stream_of(kind, path, role, spec, sizeof(spec))) {
		log_err("%s: port %u: the form is [@]stdio:NAME, pty:NAME, tty:NAME=/dev/..., "
			"file:NAME=/PATH or socket:NAME=/PATH[:server|:client]",
			device, con->count);
		return -EINVAL;
	}
	port->con = con;
	port->index = con->count;
	port->console = word[0] == '@';
	memcpy(port->name, name, strlen(name));
	port->stream = chardev_open(con->dev->vm->loop, port->name, spec, &port_ops, port);
	if (!port->stream)
		return -EIO;
	con->count++;
	return 0;
}

static void free_console(struct console *con)
{
	for (unsigned int i = 0; i < con->count; i++)
		chardev_close(con->ports[i].stream);
	pthread_mutex_destroy(&con->lock);
	free(con);
}

static int console_create(struct virtio_dev *dev, const char *config)
{
	struct console *con = calloc(1, sizeof(*con));
	char *text = strdup(config ? config : ""), *rest = text, *word;
	int ret = 0;

	if (!con || !text) {
		free(con);
		free(text);
		return -ENOMEM;
	}
	con->dev = dev;
	pthread_mutex_init(&con->lock, NULL);
	while (ret == 0 && (word = strsep(&rest, ",")) != NULL)
		ret = add_port(con, word);
	free(text);
	if (ret < 0) {
		free_console(con);
		return ret;
	}
	con->config.max_nr_ports = con->count;
	dev->priv = con;
	dev->config = &con->config;
	dev->config_len = offsetof(struct virtio_console_config, emerg_wr);
	dev->offered = VIRTIO_FEATURE(VIRTIO_CONSOLE_F_MULTIPORT);
	return 0;
}

static void console_destroy(struct virtio_dev *dev)
{
	free_console(dev->priv);
}

static const struct virtio_ops virtio_console = {
	.id = VIRTIO_ID_CONSOLE,
	.class_code = CLASS_CODE,
	.queues = QUEUES,
	.queue_max = RING_SIZE,
	.create = console_create,
	.destroy = console_destroy,
	.kick = console_kick,
	.stop = console_stop,
};

VIRTIO_DEVICE("virtio-console", virtio_console);
