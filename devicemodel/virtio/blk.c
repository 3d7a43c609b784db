// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtio-blk (virtio 1.2, section 5.2): turns requests of the ring into reads, writes and
 * flushes of the block backend, and results into status bytes.
 *
 * blk_kick() may run for several queues at once; it changes nothing but its queue's requests.
 * While blk_stop(), blk_rescan() or blk_config_write() runs none of these does (virtio.h).
 * blk_done() runs on a worker of the backend, or in blk_stop() for what was cancelled; it touches
 * its own request, the busy bits and the queue, each of which is made for it. A request's slot is
 * freed before its descriptor goes back, so there is a slot for every request the ring can hold.
 * A flush covers what was done before it came, through whichever queue.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>

#include "block.h"
#include "block_config.h"
#include "log.h"
#include "pci_modern.h"
#include "vm.h"

#define RING_SIZE   64U
#define SEG_MAX	    126U
#define CHAIN_MAX   (SEG_MAX + 2U) /* the header before, the status byte after */
#define CLASS_CODE  0x018000U	   /* mass storage, other */
#define DISCARD_MAX 16U		   /* ranges of one request, as block_config.c has it */
#define WCE_OFFSET  offsetof(struct virtio_blk_config, wce)

/* A bit of busy for each entry of the ring. */
_Static_assert(RING_SIZE == 64, "struct blk_queue.busy has 64 bits");

struct blk_queue;

struct blk_req {
	struct block_req io; /* first: the backend hands it back */
	struct blk_queue *queue;
	uint8_t *status;
	uint32_t used_len; /* for the used ring: what is written if all goes well */
	uint16_t head;
	struct iovec iov[CHAIN_MAX];
	struct block_range ranges[DISCARD_MAX];
};

struct blk_queue {
	struct queue *ring;
	_Atomic uint64_t busy;
	struct blk_req req[RING_SIZE];
};

struct blk {
	struct virtio_dev *dev;
	struct block *block;
	const struct block_info *info;
	struct virtio_blk_config config;
	struct iothread_set threads;
	struct blk_queue queue[]; /* dev->queues */
};

/* --- the end of a request, any thread --- */

static void blk_finish(struct blk_req *req, uint8_t status)
{
	struct blk_queue *queue = req->queue;
	uint64_t bit = 1ULL << (req - queue->req);
	uint32_t used_len = req->used_len;
	uint16_t head = req->head;

	*req->status = status;
	atomic_fetch_and_explicit(&queue->busy, ~bit, memory_order_release);
	queue_push(queue->ring, head, used_len);
}

static uint8_t status_of(int err)
{
	if (err == -EOPNOTSUPP)
		return VIRTIO_BLK_S_UNSUPP;
	return err == 0 ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
}

static void blk_done(struct block_req *io, int err)
{
	struct blk_req *req = (struct blk_req *)io;
	struct queue *q = req->queue->ring;

	blk_finish(req, status_of(err));
	queue_notify(q);
}

/* --- requests, on the thread that serves their queue --- */

/* Is [sector, sector + len) on the disk, in whole sectors? */
static bool on_disk(const struct blk *blk, uint64_t sector, uint64_t len)
{
	uint64_t sectors = blk->info->size / BLOCK_SECTOR;

	return len % BLOCK_SECTOR == 0 && sector <= sectors &&
	       len / BLOCK_SECTOR <= sectors - sector;
}

/* Without FLUSH, or with its cache switched off, the guest takes "done" for "on the disk". */
static bool write_through(const struct blk *blk)
{
	return !virtio_has(blk->dev, VIRTIO_BLK_F_FLUSH) || blk->config.wce == 0;
}

static void submit(struct blk *blk, struct blk_req *req)
{
	int err = block_submit(blk->block, &req->io);

	if (err != -EINPROGRESS)
		blk_finish(req, status_of(err));
}

static void read_or_write(struct blk *blk, struct blk_req *req, const struct chain *c,
			  uint64_t sector, bool write)
{
	uint32_t len = write ? c->read_len : c->write_len;

	if (!on_disk(blk, sector, len) || (write && blk->info->read_only)) {
		log_guest("%s: %s of %u bytes at sector %llu refused", blk->dev->name,
			  write ? "write" : "read", len, (unsigned long long)sector);
		req->used_len = 1;
		blk_finish(req, VIRTIO_BLK_S_IOERR);
		return;
	}
	req->io.op = write ? BLOCK_WRITE : BLOCK_READ;
	req->io.durable = write && write_through(blk);
	req->io.iov = write ? c->iov : c->iov + c->readable;
	req->io.iovcnt = write ? c->readable : c->writable;
	req->io.offset = sector * BLOCK_SECTOR;
	req->io.len = len;
	req->used_len = write ? 1 : len + 1;
	if (len == 0)
		blk_finish(req, VIRTIO_BLK_S_OK);
	else
		submit(blk, req);
}

static void flush(struct blk *blk, struct blk_req *req)
{
	req->io.op = BLOCK_FLUSH;
	req->io.durable = false;
	req->io.offset = 0;
	req->io.len = 0;
	req->used_len = 1;
	submit(blk, req);
}

/* What the ranges in the request come to; they are copied once. VIRTIO_BLK_S_OK: ready to go. */
static uint8_t take_ranges(const struct blk *blk, struct blk_req *req, struct chain *c)
{
	const struct block_info *info = blk->info;
	struct virtio_blk_discard_write_zeroes in;
	uint32_t count = c->read_len / sizeof(in);

	if (!virtio_has(blk->dev, VIRTIO_BLK_F_DISCARD))
		return VIRTIO_BLK_S_UNSUPP;
	if (c->read_len % sizeof(in) != 0 || count == 0 || count > info->discard_segments)
		return VIRTIO_BLK_S_IOERR;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t len;

		if (!chain_read(c, &in, sizeof(in)))
			return VIRTIO_BLK_S_IOERR;
		if (in.flags != 0) /* unmapping is of zeroes that are written */
			return VIRTIO_BLK_S_UNSUPP;
		len = (uint64_t)in.num_sectors * BLOCK_SECTOR;
		if (in.num_sectors == 0 || in.num_sectors > info->discard_sectors ||
		    !on_disk(blk, in.sector, len))
			return VIRTIO_BLK_S_IOERR;
		req->ranges[i] = (struct block_range) {in.sector * BLOCK_SECTOR, len};
	}
	req->io.ranges = req->ranges;
	req->io.range_count = count;
	return VIRTIO_BLK_S_OK;
}

static void discard(struct blk *blk, struct blk_req *req, struct chain *c)
{
	uint8_t status = take_ranges(blk, req, c);

	req->io.op = BLOCK_DISCARD;
	req->io.durable = false;
	req->io.offset = 0;
	req->io.len = 0;
	req->used_len = 1;
	if (status == VIRTIO_BLK_S_OK)
		submit(blk, req);
	else
		blk_finish(req, status);
}

static void get_id(struct blk *blk, struct blk_req *req, const struct chain *c)
{
	req->used_len = chain_write(c, blk->info->serial, VIRTIO_BLK_ID_BYTES) + 1;
	blk_finish(req, VIRTIO_BLK_S_OK);
}

static void start(struct blk *blk, struct blk_queue *queue, struct blk_req *req, struct chain *c)
{
	struct virtio_blk_outhdr hdr;

	if (!chain_read(c, &hdr, sizeof(hdr))) {
		queue_break(queue->ring, "request without a header");
		return;
	}
	req->status = chain_cut_last(c);
	if (req->status == NULL) {
		queue_break(queue->ring, "request without a status byte");
		return;
	}
	req->io.done = blk_done;
	req->queue = queue;
	req->head = c->head;
	atomic_fetch_or_explicit(&queue->busy, 1ULL << (req - queue->req), memory_order_relaxed);

	switch (hdr.type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		read_or_write(blk, req, c, hdr.sector, hdr.type == VIRTIO_BLK_T_OUT);
		break;
	case VIRTIO_BLK_T_FLUSH:
		flush(blk, req);
		break;
	case VIRTIO_BLK_T_DISCARD:
		discard(blk, req, c);
		break;
	case VIRTIO_BLK_T_GET_ID:
		get_id(blk, req, c);
		break;
	default:
		req->used_len = 1;
		blk_finish(req, VIRTIO_BLK_S_UNSUPP);
	}
}

static void blk_kick(struct virtio_dev *dev, struct queue *q)
{
	struct blk *blk = dev->priv;
	struct blk_queue *queue = &blk->queue[q->index];
	struct chain c;

	queue_quiet(q);
	do {
		while (queue_ready(q)) {
			/* Fewer are in flight than the ring has entries: a slot is free. */
			uint64_t busy = atomic_load_explicit(&queue->busy, memory_order_acquire);
			struct blk_req *req = &queue->req[__builtin_ctzll(~busy)];

			if (queue_pop(q, &c, req->iov, CHAIN_MAX) > 0)
				start(blk, queue, req, &c);
		}
	} while (queue_rearm(q));
	/* One interrupt for all that was done right here. */
	queue_notify(q);
}

static void blk_stop(struct virtio_dev *dev)
{
	struct blk *blk = dev->priv;

	block_drain(blk->block);
	blk->config.wce = blk->info->writeback ? 1 : 0;
}

static void blk_config_write(struct virtio_dev *dev, uint64_t offset, unsigned int size,
			     uint64_t value)
{
	struct blk *blk = dev->priv;

	if (offset == WCE_OFFSET && size == 1 && virtio_has(dev, VIRTIO_BLK_F_CONFIG_WCE))
		blk->config.wce = (value & 1) != 0 ? 1 : 0;
	else
		log_guest("%s: write to read-only configuration at 0x%llx", dev->name,
			  (unsigned long long)offset);
}

static int blk_rescan(struct virtio_dev *dev, const char *file)
{
	struct blk *blk = dev->priv;
	int err = block_rescan(blk->block, file);

	if (err || blk->config.capacity == blk->info->size / BLOCK_SECTOR)
		return err;
	blk->config.capacity = blk->info->size / BLOCK_SECTOR;
	log_notice("%s: now has %llu sectors", dev->name, (unsigned long long)blk->config.capacity);
	virtio_config_changed(dev);
	return 0;
}

/* --- set-up --- */

/* More queues than vCPUs, or threads than queues, would have nothing to do. */
static void set_queues(struct blk *blk)
{
	const struct block_info *info = blk->info;
	struct virtio_dev *dev = blk->dev;
	unsigned int vcpus = dev->vm->vcpu_num;

	dev->queues = info->queues;
	if (vcpus != 0 && dev->queues > vcpus) {
		log_notice("%s: %u queues, one for each vCPU, not %u", dev->name, vcpus,
			   dev->queues);
		dev->queues = (uint16_t)vcpus;
	}
	blk->threads = info->threads;
	if (blk->threads.count > dev->queues) {
		log_notice("%s: %u threads, one for each queue, not %u", dev->name, dev->queues,
			   blk->threads.count);
		blk->threads.count = dev->queues;
	}
	if (blk->threads.count != 0)
		dev->threads = &blk->threads;
	for (unsigned int i = 0; i < dev->queues; i++)
		blk->queue[i].ring = &dev->queue[i];
	blk->config.num_queues = dev->queues;
}

static int blk_create(struct virtio_dev *dev, const char *config)
{
	const struct block_info *info;
	struct block *block;
	struct blk *blk;
	int ret = block_open(&block, dev->name, config);

	if (ret < 0)
		return ret;
	info = block_info(block);
	blk = calloc(1, sizeof(*blk) + info->queues * sizeof(blk->queue[0]));
	if (blk == NULL) {
		block_close(block);
		return -ENOMEM;
	}
	blk->block = block;
	blk->dev = dev;
	blk->info = info;
	set_queues(blk);

	blk->config.capacity = info->size / BLOCK_SECTOR;
	blk->config.seg_max = SEG_MAX;
	blk->config.blk_size = info->logical;
	blk->config.physical_block_exp = (uint8_t)__builtin_ctz(info->physical / info->logical);
	blk->config.wce = info->writeback ? 1 : 0;

	dev->priv = blk;
	dev->config = &blk->config;
	/* Up to the fields of features that are not offered. */
	dev->config_len = dev->queues > 1 ? offsetof(struct virtio_blk_config, max_discard_sectors)
					  : offsetof(struct virtio_blk_config, num_queues);
	dev->offered = VIRTIO_FEATURE(VIRTIO_BLK_F_SEG_MAX) |
		       VIRTIO_FEATURE(VIRTIO_BLK_F_BLK_SIZE) |
		       VIRTIO_FEATURE(VIRTIO_BLK_F_TOPOLOGY) | VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH);
	if (dev->queues > 1)
		dev->offered |= VIRTIO_FEATURE(VIRTIO_BLK_F_MQ);
	if (info->discard_segments != 0 && !info->read_only) {
		blk->config.max_discard_sectors = info->discard_sectors;
		blk->config.max_discard_seg = info->discard_segments;
		blk->config.discard_sector_alignment = info->discard_align != 0
							       ? info->discard_align
							       : info->physical / BLOCK_SECTOR;
		dev->config_len = offsetof(struct virtio_blk_config, max_write_zeroes_sectors);
		dev->offered |= VIRTIO_FEATURE(VIRTIO_BLK_F_DISCARD);
	}
	dev->offered |= info->read_only ? VIRTIO_FEATURE(VIRTIO_BLK_F_RO)
					: VIRTIO_FEATURE(VIRTIO_BLK_F_CONFIG_WCE);
	return 0;
}

static void blk_destroy(struct virtio_dev *dev)
{
	struct blk *blk = dev->priv;

	block_close(blk->block);
	free(blk);
}

static const struct virtio_ops virtio_blk = {
	.id = VIRTIO_ID_BLOCK,
	.class_code = CLASS_CODE,
	.queues = BLOCK_QUEUES_MAX,
	.queue_max = RING_SIZE,
	.any_thread = true,
	.create = blk_create,
	.destroy = blk_destroy,
	.kick = blk_kick,
	.stop = blk_stop,
	.config_write = blk_config_write,
	.rescan = blk_rescan,
};

VIRTIO_DEVICE("virtio-blk", virtio_blk);
