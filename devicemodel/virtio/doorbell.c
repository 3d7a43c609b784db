// SPDX-License-Identifier: BSD-3-Clause
/*
 * See doorbell.h. The device's thread waits for the eventfds; they exist from
 * DRIVER_OK to the next reset, and the HSM knows them while the doorbells' BAR is
 * mapped. What the HSM does not take, or has no room for, comes as an ordinary
 * request and is passed on, so that one thread alone takes from a queue.
 * d->lock is held while a queue is kicked; the locks of queues are inside it.
 */
#include "doorbell.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hsm.h"
#include "iothread.h"
#include "log.h"
#include "mevent.h"
#include "rings.h"
#include "virtio.h"
#include "vm.h"

#define WRITE_BYTES 2U /* what a driver writes (virtio 1.2, 4.1.5.2) */

struct bell {
	struct doorbells *owner;
	unsigned int queue;
	int fd;
	struct mevent *event; /* NULL: closed */
	bool assigned;	      /* the HSM knows it, at owner->port */
};

struct doorbells {
	struct virtio_dev *dev;
	struct iothread *thread;
	pthread_mutex_t lock;
	uint16_t port;
	bool open;
	struct bell bell[VIRTIO_MAX_QUEUES];
};

struct doorbells *doorbells_create(struct virtio_dev *dev)
{
	struct doorbells *d;

	if (!dev->ops->any_thread || !rings_asyncio(dev->vm))
		return NULL;
	d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	d->dev = dev;
	d->thread = iothread_create("dm-virtio");
	if (!d->thread || iothread_start(d->thread) < 0) {
		iothread_destroy(d->thread);
		free(d);
		return NULL;
	}
	pthread_mutex_init(&d->lock, NULL);
	for (unsigned int i = 0; i < VIRTIO_MAX_QUEUES; i++) {
		d->bell[i].owner = d;
		d->bell[i].queue = i;
	}
	return d;
}

void doorbells_destroy(struct doorbells *d)
{
	if (!d)
		return;
	doorbells_close(d);
	iothread_destroy(d->thread);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static int tell_hsm(const struct bell *bell, unsigned int flags)
{
	const struct acrn_ioeventfd req = {
		.fd = (uint32_t)bell->fd,
		.flags = ACRN_IOEVENTFD_FLAG_PIO | HSM_IOEVENTFD_ASYNCIO | flags,
		.addr = bell->owner->port + bell->queue * DOORBELL_STRIDE,
		.len = WRITE_BYTES,
	};

	return hsm_ioeventfd(bell->owner->dev->vm->hsm, &req);
}

static void assign(struct bell *bell)
{
	int err;

	if (!bell->event || bell->owner->port == 0)
		return;
	err = tell_hsm(bell, 0);
	bell->assigned = !err;
	if (err)
		log_info("%s: doorbell %u stops its vCPU: %s", bell->owner->dev->name, bell->queue,
			 strerror(-err));
}

static void deassign(struct bell *bell)
{
	if (bell->assigned)
		(void)tell_hsm(bell, ACRN_IOEVENTFD_FLAG_DEASSIGN);
	bell->assigned = false;
}

static void on_bell(void *arg, unsigned int events)
{
	const struct bell *bell = arg;
	uint64_t count;

	(void)events;
	if (read(bell->fd, &count, sizeof(count)) != sizeof(count))
		return;
	pthread_mutex_lock(&bell->owner->lock);
	virtio_kick(bell->owner->dev, bell->queue);
	pthread_mutex_unlock(&bell->owner->lock);
}

static int open_bell(struct bell *bell)
{
	bell->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (bell->fd < 0)
		return -errno;
	bell->event = mevent_add(iothread_loop(bell->owner->thread), bell->fd, MEVENT_READ, on_bell,
				 bell);
	if (!bell->event) {
		close(bell->fd);
		return -ENOMEM;
	}
	return 0;
}

void doorbells_open(struct doorbells *d)
{
	int err = 0;

	if (!d || d->open)
		return;
	d->open = true;
	for (unsigned int i = 0; i < d->dev->queues && !err; i++)
		err = open_bell(&d->bell[i]);
	if (err) {
		log_warn("%s: no thread for its doorbells: %s", d->dev->name, strerror(-err));
		doorbells_close(d);
		return;
	}
	for (unsigned int i = 0; i < d->dev->queues; i++)
		assign(&d->bell[i]);
}

void doorbells_close(struct doorbells *d)
{
	if (!d)
		return;
	for (unsigned int i = 0; i < VIRTIO_MAX_QUEUES; i++) {
		deassign(&d->bell[i]);
		/* Waits for a kick that is under way. */
		mevent_delete(d->bell[i].event, true);
		d->bell[i].event = NULL;
	}
	d->open = false;
}

void doorbells_move(struct doorbells *d, uint16_t port)
{
	if (!d || d->port == port)
		return;
	for (unsigned int i = 0; i < VIRTIO_MAX_QUEUES; i++)
		deassign(&d->bell[i]);
	d->port = port;
	for (unsigned int i = 0; i < VIRTIO_MAX_QUEUES; i++)
		assign(&d->bell[i]);
}

bool doorbells_ring(struct doorbells *d, unsigned int queue)
{
	const uint64_t one = 1;

	if (!d || !d->open)
		return false;
	/* EAGAIN: the counter is full, so the thread is awake already. */
	if (queue < VIRTIO_MAX_QUEUES && d->bell[queue].event &&
	    write(d->bell[queue].fd, &one, sizeof(one)) < 0)
		return true;
	return true;
}

void doorbells_hold(struct doorbells *d)
{
	if (d)
		pthread_mutex_lock(&d->lock);
}

void doorbells_go_on(struct doorbells *d)
{
	if (d)
		pthread_mutex_unlock(&d->lock);
}
