// SPDX-License-Identifier: BSD-3-Clause
/*
 * See irqfd.h. Started, stopped and updated by the device's file (net_vhost.c), on the threads that
 * kick and configure it; the eventfd is read on the main event loop's thread. irqfd->lock makes
 * them take turns; what the transport locks for an interrupt is inside it.
 *
 * The HSM never reads the eventfd, and makes a message of what is in it when it is given one: so
 * what comes in between two ways is told twice rather than never.
 */
#include "irqfd.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hsm.h"
#include "mevent.h"
#include "queue.h"
#include "virtio.h"
#include "vm.h"

struct irqfd {
	struct queue *q;
	int fd;
	struct mevent *event;
	pthread_mutex_t lock;
	bool started;
	bool assigned; /* the HSM has it, with this message */
	struct acrn_msi_entry msi;
};

static bool drain(const struct irqfd *irqfd)
{
	uint64_t count;

	return read(irqfd->fd, &count, sizeof(count)) == sizeof(count);
}

static void on_signal(void *arg, unsigned int events)
{
	struct irqfd *irqfd = arg;

	(void)events;
	pthread_mutex_lock(&irqfd->lock);
	if (irqfd->started && !irqfd->assigned && drain(irqfd))
		virtio_queue_interrupt(irqfd->q->dev, irqfd->q);
	pthread_mutex_unlock(&irqfd->lock);
}

static int tell_hsm(const struct irqfd *irqfd, uint32_t flags)
{
	const struct acrn_irqfd req = {.fd = irqfd->fd, .flags = flags, .msi = irqfd->msi};

	return hsm_irqfd(irqfd->q->vm->hsm, &req);
}

/* lock held. */
static void release(struct irqfd *irqfd)
{
	if (!irqfd->assigned)
		return;
	(void)drain(irqfd);
	(void)tell_hsm(irqfd, ACRN_IRQFD_FLAG_DEASSIGN);
	irqfd->assigned = false;
}

/* lock held. */
static void route(struct irqfd *irqfd)
{
	struct virtio_dev *dev = irqfd->q->dev;
	uint64_t addr = 0;
	uint32_t data = 0;
	bool direct =
		irqfd->started && dev->message(dev, atomic_load(&irqfd->q->vector), &addr, &data);

	if (irqfd->assigned && direct && addr == irqfd->msi.msi_addr && data == irqfd->msi.msi_data)
		return;
	release(irqfd);
	irqfd->msi = (struct acrn_msi_entry) {.msi_addr = addr, .msi_data = data};
	irqfd->assigned = direct && tell_hsm(irqfd, 0) == 0;
	mevent_set(irqfd->event, irqfd->started && !irqfd->assigned ? MEVENT_READ : 0);
}

struct irqfd *irqfd_create(struct queue *q)
{
	struct irqfd *irqfd = calloc(1, sizeof(*irqfd));

	if (!irqfd)
		return NULL;
	irqfd->q = q;
	pthread_mutex_init(&irqfd->lock, NULL);
	irqfd->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (irqfd->fd >= 0)
		irqfd->event = mevent_add(q->vm->loop, irqfd->fd, 0, on_signal, irqfd);
	if (irqfd->event)
		return irqfd;
	if (irqfd->fd >= 0)
		close(irqfd->fd);
	pthread_mutex_destroy(&irqfd->lock);
	free(irqfd);
	return NULL;
}

void irqfd_destroy(struct irqfd *irqfd)
{
	if (!irqfd)
		return;
	irqfd_stop(irqfd);
	mevent_delete(irqfd->event, true);
	pthread_mutex_destroy(&irqfd->lock);
	free(irqfd);
}

int irqfd_descriptor(const struct irqfd *irqfd)
{
	return irqfd->fd;
}

static void set_started(struct irqfd *irqfd, bool started)
{
	pthread_mutex_lock(&irqfd->lock);
	/* What was signalled before is nobody's. */
	(void)drain(irqfd);
	irqfd->started = started;
	route(irqfd);
	pthread_mutex_unlock(&irqfd->lock);
}

void irqfd_start(struct irqfd *irqfd)
{
	set_started(irqfd, true);
}

void irqfd_stop(struct irqfd *irqfd)
{
	set_started(irqfd, false);
}

void irqfd_update(struct irqfd *irqfd)
{
	pthread_mutex_lock(&irqfd->lock);
	route(irqfd);
	pthread_mutex_unlock(&irqfd->lock);
}
