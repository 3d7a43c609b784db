// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: devicemodel/virtio/queue.c devicemodel/virtio/chain.c
// links: devicemodel/virtio/virtio.c
// links: devicemodel/core/log.c tests/unit/devicemodel/fake_guest.c
// links: tests/unit/devicemodel/driver_ring.c
/*
 * Any bytes as a ring: does queue_pop() ever hand out what is not guest memory, more than it
 * says, or more buffers than asked for? Input: options, ring addresses in units of 16 bytes,
 * then the guest's memory from 0 on.
 */
#include <assert.h>
#include <linux/virtio_ring.h>

#include "fake_guest.h"
#include "fuzz.h"
#include "log.h"
#include "queue.h"
#include "virtio.h"

#define MAX    24U
#define MEMORY 0x4000U

static void interrupt(struct virtio_dev *dev, uint16_t vector, uint8_t isr)
{
	(void)dev;
	(void)vector;
	(void)isr;
}

static int create(struct virtio_dev *dev, const char *config)
{
	(void)dev;
	(void)config;
	return 0;
}

static void nothing(struct virtio_dev *dev)
{
	(void)dev;
}

static void kick(struct virtio_dev *dev, struct queue *q)
{
	(void)dev;
	(void)q;
}

static const struct virtio_ops ops = {.queues = 1,
				      .queue_max = 256,
				      .create = create,
				      .destroy = nothing,
				      .stop = nothing,
				      .kick = kick};

static void check(struct chain *c)
{
	uint64_t readable = 0, writable = 0;
	uint8_t byte;

	assert(c->readable + c->writable <= MAX && c->readable + c->writable > 0);
	for (unsigned int i = 0; i < c->readable + c->writable; i++) {
		volatile uint8_t *p = c->iov[i].iov_base;

		assert(c->iov[i].iov_len != 0);
		(void)p[0];
		(void)p[c->iov[i].iov_len - 1];
		*(i < c->readable ? &readable : &writable) += c->iov[i].iov_len;
	}
	assert(readable == c->read_len && writable == c->write_len);
	assert(chain_read(c, &byte, 1) == (readable != 0));
	assert((chain_cut_last(c) != NULL) == (writable != 0));
	(void)chain_write(c, "written", 7);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = {data, size};
	struct virtio_dev dev = {.ops = &ops, .name = "fuzz", .interrupt = interrupt};
	struct queue *q = &dev.queue[0];
	struct iovec iov[MAX];
	struct chain c;
	uint8_t options = (uint8_t)fuzz_take(&in, 1);

	log_set_level(0);
	guest_create();
	(void)virtio_create(&dev, NULL);
	q->size = (uint16_t)(1U << fuzz_take(&in, 1) % 10);
	q->desc_gpa = fuzz_take(&in, 2) * 16;
	q->avail_gpa = fuzz_take(&in, 2) * 16;
	q->used_gpa = fuzz_take(&in, 2) * 16;
	memcpy(guest_at(0, MEMORY), in.data, in.left < MEMORY ? in.left : MEMORY);

	if (queue_enable(q, options & 1, options & 2) == 0) {
		queue_quiet(q);
		for (unsigned int i = 0; i < 600 && queue_pop(q, &c, iov, MAX) > 0; i++) {
			check(&c);
			if ((options & 4) == 0 || i % 3 != 0)
				queue_push(q, c.head, c.write_len);
			if (options & 8)
				queue_notify(q);
		}
		(void)queue_rearm(q);
		queue_notify(q);
	}
	virtio_destroy(&dev);
	guest_destroy();
	return 0;
}
