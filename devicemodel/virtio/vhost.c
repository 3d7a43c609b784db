// SPDX-License-Identifier: BSD-3-Clause
/*
 * See vhost.h: the requests to /dev/vhost-* that all its kinds of devices share. Called by a
 * device's file (net_vhost.c) where it is made, started and stopped; on_error() alone runs on the
 * main event loop's thread and touches atomics only. It never looks into a ring, and takes no lock.
 */
#include "vhost.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/vhost.h>

#include "gmem.h"
#include "irqfd.h"
#include "mevent.h"
#include "virtio.h"
#include "vm.h"

struct ring {
	struct queue *q;
	int kick;
	struct irqfd *call;
	bool started;
};

struct vhost {
	struct virtio_dev *dev;
	int fd;
	uint64_t features;
	int error_fd;
	struct mevent *error;
	struct ring ring[VHOST_RINGS];
};

/* The kernel has found a ring or a buffer that breaks the rules. */
static void on_error(void *arg, unsigned int events)
{
	struct vhost *v = arg;
	uint64_t count;

	(void)events;
	if (read(v->error_fd, &count, sizeof(count)) == sizeof(count))
		virtio_needs_reset(v->dev, v->ring[0].q->index,
				   "vhost reports an error of it or the next");
}

int vhost_request(const struct vhost *v, unsigned long code, const void *payload)
{
	return ioctl(v->fd, code, payload) < 0 ? -errno : 0;
}

static int give_memory(const struct vhost *v)
{
	union {
		struct vhost_memory table;
		char space[sizeof(struct vhost_memory) +
			   GMEM_PIECES * sizeof(struct vhost_memory_region)];
	} m = {0};
	struct gmem_piece pieces[GMEM_PIECES];

	m.table.nregions = gmem_pieces(v->dev->vm, pieces);
	for (unsigned int i = 0; i < m.table.nregions; i++) {
		m.table.regions[i].guest_phys_addr = pieces[i].gpa;
		m.table.regions[i].memory_size = pieces[i].size;
		m.table.regions[i].userspace_addr = (uintptr_t)pieces[i].hva;
	}
	return vhost_request(v, VHOST_SET_MEM_TABLE, &m.table);
}

static int make_eventfds(struct vhost *v)
{
	v->error_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->error_fd < 0)
		return -errno;
	v->error = mevent_add(v->dev->vm->loop, v->error_fd, MEVENT_READ, on_error, v);
	for (unsigned int i = 0; i < VHOST_RINGS && v->error; i++) {
		v->ring[i].kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		v->ring[i].call = irqfd_create(v->ring[i].q);
		if (v->ring[i].kick < 0 || !v->ring[i].call)
			return -ENOMEM;
	}
	return v->error ? 0 : -ENOMEM;
}

int vhost_open(struct vhost **out, struct virtio_dev *dev, unsigned int first, const char *path,
	       uint64_t *features)
{
	struct vhost *v = calloc(1, sizeof(*v));
	int err = 0;

	if (!v)
		return -ENOMEM;
	v->dev = dev;
	v->error_fd = -1;
	for (unsigned int i = 0; i < VHOST_RINGS; i++)
		v->ring[i] = (struct ring) {.q = &dev->queue[first + i], .kick = -1};
	v->fd = open(path, O_RDWR | O_CLOEXEC);
	if (v->fd < 0)
		err = -errno;
	if (!err)
		err = vhost_request(v, VHOST_SET_OWNER, NULL);
	if (!err)
		err = vhost_request(v, VHOST_GET_FEATURES, &v->features);
	if (!err)
		err = give_memory(v);
	if (!err)
		err = make_eventfds(v);
	if (err) {
		vhost_close(v);
		return err;
	}
	*features = v->features;
	*out = v;
	return 0;
}

void vhost_close(struct vhost *v)
{
	/* First this: who is to signal the others is gone then. */
	if (v->fd >= 0)
		close(v->fd);
	for (unsigned int i = 0; i < VHOST_RINGS; i++) {
		irqfd_destroy(v->ring[i].call);
		if (v->ring[i].kick >= 0)
			close(v->ring[i].kick);
	}
	mevent_delete(v->error, true);
	if (!v->error && v->error_fd >= 0)
		close(v->error_fd);
	free(v);
}

static int give_ring(const struct vhost *v, unsigned int index)
{
	const struct queue *q = v->ring[index].q;
	const struct vhost_vring_state size = {.index = index, .num = q->size};
	const struct vhost_vring_state base = {.index = index};
	const struct vhost_vring_addr addr = {
		.index = index,
		.desc_user_addr = (uintptr_t)q->desc,
		.used_user_addr = (uintptr_t)q->used,
		.avail_user_addr = (uintptr_t)q->avail,
	};
	int err = vhost_request(v, VHOST_SET_VRING_NUM, &size);

	if (!err)
		err = vhost_request(v, VHOST_SET_VRING_BASE, &base);
	return err ? err : vhost_request(v, VHOST_SET_VRING_ADDR, &addr);
}

static int give_eventfds(const struct vhost *v, unsigned int index)
{
	struct vhost_vring_file file = {.index = index, .fd = v->error_fd};
	int err = vhost_request(v, VHOST_SET_VRING_ERR, &file);

	file.fd = irqfd_descriptor(v->ring[index].call);
	if (!err)
		err = vhost_request(v, VHOST_SET_VRING_CALL, &file);
	file.fd = v->ring[index].kick;
	return err ? err : vhost_request(v, VHOST_SET_VRING_KICK, &file);
}

int vhost_start_ring(struct vhost *v, unsigned int index)
{
	const uint64_t features = v->dev->accepted & v->features;
	int err;

	if (v->ring[index].started)
		return 0;
	err = vhost_request(v, VHOST_SET_FEATURES, &features);
	if (!err)
		err = give_ring(v, index);
	if (!err)
		err = give_eventfds(v, index);
	if (err)
		return err;
	irqfd_start(v->ring[index].call);
	v->ring[index].started = true;
	return 0;
}

bool vhost_has_ring(const struct vhost *v, unsigned int index)
{
	return v->ring[index].started;
}

void vhost_stop_ring(struct vhost *v, unsigned int index)
{
	irqfd_stop(v->ring[index].call);
	v->ring[index].started = false;
}

int vhost_doorbell(const struct vhost *v, unsigned int index)
{
	return v->ring[index].kick;
}

void vhost_ring(const struct vhost *v, unsigned int index)
{
	const uint64_t one = 1;

	/* EAGAIN: the counter is full, so the kernel has been told already. */
	if (write(v->ring[index].kick, &one, sizeof(one)) < 0)
		return;
}

void vhost_messages_changed(struct vhost *v)
{
	for (unsigned int i = 0; i < VHOST_RINGS; i++)
		irqfd_update(v->ring[i].call);
}
