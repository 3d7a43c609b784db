// SPDX-License-Identifier: BSD-3-Clause
/*
 * See doorbell.h. The device's threads wait for the eventfds, each for those of its queues, but for
 * those whose queues others serve (virtio_dev.doorbell); they exist from DRIVER_OK to the next
 * reset, and the HSM knows them while the doorbells' BAR is mapped. What the HSM does not take, or
 * has no room for, comes as an ordinary request and is passed on, so that one thread alone takes
 * from a queue. With --virtio_poll the threads look at their queues all the time, and the driver is
 * told that no doorbell is needed.
 * A thread's lock is held while it kicks a queue; the locks of queues are inside it. Who stops all
 * threads takes their locks in order.
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

struct ringer {
	struct doorbells *owner;
	struct iothread *thread;
	pthread_mutex_t lock;
	struct mevent *timer; /* of --virtio_poll */
};

struct bell {
	struct doorbells *owner;
	struct ringer *ringer;
	unsigned int queue;
	int fd;		      /* -1: closed */
	struct mevent *event; /* NULL: closed, or somebody else waits for fd */
	bool assigned;	      /* the HSM knows it, at owner->port */
};

struct doorbells {
	struct virtio_dev *dev;
	unsigned int ringers; /* threads that run, and locks that are made */
	struct ringer ringer[IOTHREADS_MAX];
	uint32_t flags; /* of the HSM's doorbells */
	uint16_t port;
	bool open;
	struct bell bell[VIRTIO_MAX_QUEUES];
};

static bool add_ringer(struct doorbells *d, uint64_t cpus)
{
	struct ringer *ringer = &d->ringer[d->ringers];

	ringer->thread = iothread_create("dm-virtio");
	if (!ringer->thread || iothread_start(ringer->thread) < 0) {
		iothread_destroy(ringer->thread);
		return false;
	}
	if (cpus != 0)
		iothread_pin(ringer->thread, cpus);
	pthread_mutex_init(&ringer->lock, NULL);
	ringer->owner = d;
	d->ringers++;
	return true;
}

struct doorbells *doorbells_create(struct virtio_dev *dev)
{
	static const struct iothread_set one = {.count = 1};
	const struct iothread_set *set = dev->threads ? dev->threads : &one;
	bool asyncio = rings_asyncio(dev->vm);
	struct doorbells *d;

	/* Without asyncio the HSM still saves the way to the I/O request thread, if asked to. */
	if (!dev->ops->any_thread ||
	    (!asyncio && !dev->threads && !dev->doorbell && dev->vm->cfg.poll_ns == 0))
		return NULL;
	d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	d->dev = dev;
	d->flags = ACRN_IOEVENTFD_FLAG_PIO | (asyncio ? HSM_IOEVENTFD_ASYNCIO : 0);
	while (d->ringers < set->count && add_ringer(d, set->cpus[d->ringers]))
		;
	if (d->ringers == 0) {
		free(d);
		return NULL;
	}
	for (unsigned int i = 0; i < VIRTIO_MAX_QUEUES; i++) {
		d->bell[i].owner = d;
		d->bell[i].ringer = &d->ringer[i % d->ringers];
		d->bell[i].queue = i;
		d->bell[i].fd = -1;
	}
	return d;
}

void doorbells_destroy(struct doorbells *d)
{
	if (!d)
		return;
	doorbells_close(d);
	for (unsigned int i = 0; i < d->ringers; i++) {
		iothread_destroy(d->ringer[i].thread);
		pthread_mutex_destroy(&d->ringer[i].lock);
	}
	free(d);
}

static int tell_hsm(const struct bell *bell, unsigned int flags)
{
	const struct acrn_ioeventfd req = {
		.fd = (uint32_t)bell->fd,
		.flags = bell->owner->flags | flags,
		.addr = bell->owner->port + bell->queue * DOORBELL_STRIDE,
		.len = WRITE_BYTES,
	};

	return hsm_ioeventfd(bell->owner->dev->vm->hsm, &req);
}

static void assign(struct bell *bell)
{
	int err;

	if (bell->fd < 0 || bell->owner->port == 0)
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
	pthread_mutex_lock(&bell->ringer->lock);
	virtio_kick(bell->owner->dev, bell->queue);
	pthread_mutex_unlock(&bell->ringer->lock);
}

static int open_bell(struct bell *bell)
{
	struct virtio_dev *dev = bell->owner->dev;

	if (dev->doorbell)
		bell->fd = dev->doorbell(dev, bell->queue);
	if (bell->fd >= 0)
		return 0;
	bell->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (bell->fd < 0)
		return -errno;
	bell->event = mevent_add(iothread_loop(bell->ringer->thread), bell->fd, MEVENT_READ,
				 on_bell, bell);
	if (!bell->event) {
		close(bell->fd);
		bell->fd = -1;
		return -ENOMEM;
	}
	return 0;
}

static void on_timer(void *arg, unsigned int events)
{
	struct ringer *ringer = arg;

	(void)events;
	pthread_mutex_lock(&ringer->lock);
	for (unsigned int i = 0; i < VIRTIO_MAX_QUEUES; i++) {
		if (ringer->owner->bell[i].ringer == ringer && ringer->owner->bell[i].event)
			virtio_kick(ringer->owner->dev, i);
	}
	pthread_mutex_unlock(&ringer->lock);
}

static int begin_to_poll(struct ringer *ringer)
{
	const uint64_t ns = ringer->owner->dev->vm->cfg.poll_ns;

	ringer->timer = mevent_add_timer(iothread_loop(ringer->thread), on_timer, ringer);
	return ringer->timer ? mevent_timer_set(ringer->timer, ns, ns) : -ENOMEM;
}

void doorbells_open(struct doorbells *d)
{
	int err = 0;

	if (!d || d->open)
		return;
	d->open = true;
	for (unsigned int i = 0; i < d->dev->queues && !err; i++)
		err = open_bell(&d->bell[i]);
	for (unsigned int i = 0; i < d->ringers && !err && d->dev->vm->cfg.poll_ns != 0; i++)
		err = begin_to_poll(&d->ringer[i]);
	if (err) {
		log_warn("%s: no thread for its doorbells: %s", d->dev->name, strerror(-err));
		doorbells_close(d);
		return;
	}
	atomic_store(&d->dev->polled, d->dev->vm->cfg.poll_ns != 0);
	for (unsigned int i = 0; i < d->dev->queues; i++)
		assign(&d->bell[i]);
}

void doorbells_close(struct doorbells *d)
{
	if (!d)
		return;
	atomic_store(&d->dev->polled, false);
	for (unsigned int i = 0; i < d->ringers; i++) {
		mevent_delete(d->ringer[i].timer, true);
		d->ringer[i].timer = NULL;
	}
	for (unsigned int i = 0; i < VIRTIO_MAX_QUEUES; i++) {
		deassign(&d->bell[i]);
		/* Waits for a kick that is under way. */
		mevent_delete(d->bell[i].event, true);
		d->bell[i].event = NULL;
		d->bell[i].fd = -1;
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
	if (queue < VIRTIO_MAX_QUEUES && d->bell[queue].fd >= 0 &&
	    write(d->bell[queue].fd, &one, sizeof(one)) < 0)
		return true;
	return true;
}

void doorbells_hold(struct doorbells *d)
{
	for (unsigned int i = 0; d && i < d->ringers; i++)
		pthread_mutex_lock(&d->ringer[i].lock);
}

void doorbells_go_on(struct doorbells *d)
{
	for (unsigned int i = 0; d && i < d->ringers; i++)
		pthread_mutex_unlock(&d->ringer[i].lock);
}
