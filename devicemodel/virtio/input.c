// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-input (virtio 1.2, section 5.8): an input device of the Service VM, "/dev/input/eventX",
 * is the guest's alone. What it is able to do the driver asks for by selecting; events go to the
 * driver in whole groups, each up to its SYN_REPORT, and a group that finds no room is lost as a
 * whole. The guest sets lights and sounds, and nothing else.
 *
 * Events come on vm->loop, all else in the I/O request thread; input->lock covers what both use.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/input.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_input.h>

#include "log.h"
#include "mevent.h"
#include "pci_modern.h"
#include "vm.h"

#define RING_SIZE   64U
#define CHAIN_MAX   4U
#define CLASS_CODE  0x098000U /* input, other */
#define QUEUE_EVENT 0U
#define GROUP_MAX   (RING_SIZE - 1U) /* events; no device of Linux reports more at once */

struct input {
	struct virtio_dev *dev;
	int fd;
	struct mevent *event;
	char serial[64];
	struct virtio_input_config config;

	pthread_mutex_t lock;
	bool running; /* the event queue may be used */
	bool told;    /* of lost events, since the reset */
	bool skip;    /* up to the next SYN_REPORT: the group is not whole */
	unsigned int held;
	struct virtio_input_event group[GROUP_MAX];
};

/* --- what the device is --- */

/* Bytes up to the last that is not 0: what a driver takes for the size of a bitmap. */
static uint8_t used_bytes(const uint8_t *bytes, size_t size)
{
	while (size != 0 && bytes[size - 1] == 0)
		size--;
	return (uint8_t)size;
}

static uint8_t abs_info(const struct input *in, uint8_t axis, struct virtio_input_absinfo *out)
{
	struct input_absinfo info;

	if (axis >= ABS_CNT || ioctl(in->fd, EVIOCGABS((unsigned int)axis), &info) < 0)
		return 0;
	*out = (struct virtio_input_absinfo) {.min = (uint32_t)info.minimum,
					      .max = (uint32_t)info.maximum,
					      .fuzz = (uint32_t)info.fuzz,
					      .flat = (uint32_t)info.flat,
					      .res = (uint32_t)info.resolution};
	return sizeof(*out);
}

static uint8_t ids(const struct input *in, struct virtio_input_devids *out)
{
	struct input_id id;

	if (ioctl(in->fd, EVIOCGID, &id) < 0)
		return 0;
	*out = (struct virtio_input_devids) {id.bustype, id.vendor, id.product, id.version};
	return sizeof(*out);
}

/* Answer what the driver has selected (5.8.5.1); nothing there has size 0. */
static void answer(struct input *in)
{
	struct virtio_input_config *c = &in->config;
	const size_t room = sizeof(c->u);

	memset(&c->u, 0, room);
	c->size = 0;
	switch (c->select) {
	case VIRTIO_INPUT_CFG_ID_NAME:
		if (c->subsel == 0 && ioctl(in->fd, EVIOCGNAME(room - 1), c->u.string) >= 0)
			c->size = (uint8_t)strnlen(c->u.string, room);
		break;
	case VIRTIO_INPUT_CFG_ID_SERIAL:
		if (c->subsel == 0) {
			memcpy(c->u.string, in->serial, sizeof(in->serial));
			c->size = (uint8_t)strlen(in->serial);
		}
		break;
	case VIRTIO_INPUT_CFG_ID_DEVIDS:
		c->size = c->subsel == 0 ? ids(in, &c->u.ids) : 0;
		break;
	case VIRTIO_INPUT_CFG_PROP_BITS:
		if (c->subsel == 0 && ioctl(in->fd, EVIOCGPROP(room), c->u.bitmap) >= 0)
			c->size = used_bytes(c->u.bitmap, room);
		break;
	case VIRTIO_INPUT_CFG_EV_BITS:
		/* Of type 0 Linux would tell the types, which is not what the driver means. */
		if (c->subsel != 0 && c->subsel < EV_CNT &&
		    ioctl(in->fd, EVIOCGBIT((unsigned int)c->subsel, room), c->u.bitmap) >= 0)
			c->size = used_bytes(c->u.bitmap, room);
		break;
	case VIRTIO_INPUT_CFG_ABS_INFO:
		c->size = abs_info(in, c->subsel, &c->u.abs);
		break;
	default:
		break;
	}
}

static void input_config_write(struct virtio_dev *dev, uint64_t offset, unsigned int size,
			       uint64_t value)
{
	struct input *in = dev->priv;

	if (offset == 0) {
		in->config.select = (uint8_t)value;
		if (size > 1)
			in->config.subsel = (uint8_t)(value >> 8);
	} else if (offset == 1) {
		in->config.subsel = (uint8_t)value;
	}
	answer(in);
}

/* --- events, to the guest --- */

/* in->lock held. All of the group or nothing. */
static void pass_group(struct input *in)
{
	struct queue *q = &in->dev->queue[QUEUE_EVENT];
	struct queue_used used[GROUP_MAX];
	struct iovec iov[CHAIN_MAX];
	struct chain c;
	unsigned int n;

	for (n = 0; n < in->held; n++) {
		if (queue_pop(q, &c, iov, CHAIN_MAX) <= 0)
			break;
		if (c.write_len < sizeof(in->group[n])) {
			queue_break(q, "buffer too small for an event, or not writable");
			return;
		}
		used[n].head = c.head;
		used[n].len = chain_write(&c, &in->group[n], sizeof(in->group[n]));
	}
	if (n < in->held) {
		queue_untake(q, n);
		if (!in->told)
			log_notice("%s: the guest has no buffers for events; some are lost",
				   in->dev->name);
		in->told = true;
		return;
	}
	queue_push_all(q, used, n);
	queue_notify(q);
}

/* in->lock held. */
static void collect(struct input *in, const struct input_event *e)
{
	bool end = e->type == EV_SYN && e->code == SYN_REPORT;

	if (e->type == EV_SYN && e->code == SYN_DROPPED)
		in->skip = true;
	else if (in->held == GROUP_MAX)
		in->skip = true;
	else if (!in->skip)
		in->group[in->held++] =
			(struct virtio_input_event) {e->type, e->code, (uint32_t)e->value};
	if (!end)
		return;
	if (!in->skip && in->running)
		pass_group(in);
	in->held = 0;
	in->skip = false;
}

static void on_event(void *arg, unsigned int events)
{
	struct input *in = arg;
	struct input_event e[16];
	ssize_t len;

	if (events & MEVENT_HANGUP) {
		log_warn("%s: the input device is gone", in->dev->name);
		mevent_mute(in->event);
		return;
	}
	len = read(in->fd, e, sizeof(e));
	pthread_mutex_lock(&in->lock);
	for (ssize_t i = 0; i < len / (ssize_t)sizeof(e[0]); i++)
		collect(in, &e[i]);
	pthread_mutex_unlock(&in->lock);
}

/* --- lights and sounds, from the guest --- */

static void obey(const struct input *in, const struct virtio_input_event *what)
{
	struct input_event e = {
		.type = what->type, .code = what->code, .value = (int32_t)what->value};

	/* A key from here would be one of the Service VM's own. */
	if (e.type != EV_LED && e.type != EV_SND && e.type != EV_REP)
		return;
	if (write(in->fd, &e, sizeof(e)) < 0)
		log_guest("%s: event %u/%u: %s", in->dev->name, e.type, e.code, strerror(errno));
}

static void input_kick(struct virtio_dev *dev, struct queue *q)
{
	struct input *in = dev->priv;
	struct virtio_input_event what;
	struct iovec iov[CHAIN_MAX];
	struct chain c;

	if (q->index == QUEUE_EVENT) {
		pthread_mutex_lock(&in->lock);
		in->running = true;
		queue_quiet(q); /* buffers are looked for when there is an event */
		pthread_mutex_unlock(&in->lock);
		return;
	}
	queue_quiet(q);
	do {
		while (queue_pop(q, &c, iov, CHAIN_MAX) > 0) {
			if (chain_read(&c, &what, sizeof(what)))
				obey(in, &what);
			queue_push(q, c.head, 0);
		}
	} while (queue_rearm(q));
	queue_notify(q);
}

static void input_stop(struct virtio_dev *dev)
{
	struct input *in = dev->priv;

	pthread_mutex_lock(&in->lock);
	in->running = false;
	in->told = false;
	pthread_mutex_unlock(&in->lock);
	in->config.select = VIRTIO_INPUT_CFG_UNSET;
	in->config.subsel = 0;
	answer(in);
}

/* --- set-up --- */

/* "PATH[,SERIAL]"; in->serial is the device's own without one. */
static int open_device(struct input *in, const char *config)
{
	const char *name = in->dev->name, *comma;
	char path[256];
	int version;

	if (config == NULL || config[0] == '\0' || config[0] == ',') {
		log_err("%s: the form is virtio-input,/dev/input/eventX[,serial]", name);
		return -EINVAL;
	}
	comma = strchrnul(config, ',');
	if ((size_t)(comma - config) >= sizeof(path) ||
	    (*comma != '\0' && strlen(comma + 1) >= sizeof(in->serial))) {
		log_err("%s: \"%s\" is too long", name, config);
		return -EINVAL;
	}
	memcpy(path, config, (size_t)(comma - config));
	path[comma - config] = '\0';
	in->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (in->fd < 0) {
		log_err("%s: %s: %s", name, path, strerror(errno));
		return -errno;
	}
	if (ioctl(in->fd, EVIOCGVERSION, &version) < 0) {
		log_err("%s: %s is no input device", name, path);
		return -EINVAL;
	}
	if (ioctl(in->fd, EVIOCGRAB, 1) < 0) {
		log_err("%s: %s belongs to somebody else: %s", name, path, strerror(errno));
		return -EBUSY;
	}
	if (*comma != '\0')
		memcpy(in->serial, comma + 1, strlen(comma + 1));
	else if (ioctl(in->fd, EVIOCGUNIQ(sizeof(in->serial) - 1), in->serial) < 0)
		in->serial[0] = '\0';
	return 0;
}

static int input_create(struct virtio_dev *dev, const char *config)
{
	struct input *in = calloc(1, sizeof(*in));
	int err;

	if (in == NULL)
		return -ENOMEM;
	in->dev = dev;
	in->fd = -1;
	err = open_device(in, config);
	if (err < 0)
		goto out;
	pthread_mutex_init(&in->lock, NULL);
	in->event = mevent_add(dev->vm->loop, in->fd, MEVENT_READ, on_event, in);
	if (in->event == NULL) {
		pthread_mutex_destroy(&in->lock);
		err = -EIO;
		goto out;
	}
	dev->priv = in;
	dev->config = &in->config;
	dev->config_len = sizeof(in->config);
	return 0;

out:
	if (in->fd >= 0)
		close(in->fd);
	free(in);
	return err;
}

static void input_destroy(struct virtio_dev *dev)
{
	struct input *in = dev->priv;

	mevent_delete(in->event, true); /* which also gives the device back to the Service VM */
	pthread_mutex_destroy(&in->lock);
	free(in);
}

static const struct virtio_ops virtio_input = {
	.id = VIRTIO_ID_INPUT,
	.class_code = CLASS_CODE,
	.queues = 2,
	.queue_max = RING_SIZE,
	.create = input_create,
	.destroy = input_destroy,
	.kick = input_kick,
	.stop = input_stop,
	.config_write = input_config_write,
};

VIRTIO_DEVICE("virtio-input", virtio_input);
