// SPDX-License-Identifier: BSD-3-Clause
/*
 * The split virtqueue: the only file that reads or writes guest rings.
 *
 * Devices (virtio/<device>.c) call it from the I/O request thread to take requests and from any
 * thread to give them back; virtio.c enables and resets it. Everything in the ring may change
 * under our eyes, so each field is loaded once into a local and checked there. Nothing here
 * allocates, blocks, or trusts a length. queue_push() and queue_notify() take q->lock, which
 * is innermost; the taking side needs no lock, as only one thread takes from a queue.
 */
#include <errno.h>
#include <string.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "gmem.h"
#include "power.h"
#include "queue.h"
#include "virtio.h"

struct ring_avail {
	_Atomic uint16_t flags;
	_Atomic uint16_t idx;
	_Atomic uint16_t ring[]; /* then used_event */
};

struct used_elem {
	uint32_t id;
	uint32_t len;
};

struct ring_used {
	_Atomic uint16_t flags;
	_Atomic uint16_t idx;
	struct used_elem ring[]; /* then avail_event */
};

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

/* Where the walk stands: the queue's own table, or one indirect table. */
struct walk {
	const uint8_t *table;
	uint32_t entries;
	bool indirect;
};

void queue_init(struct queue *q, struct virtio_dev *dev, struct vm *vm, uint16_t index,
		uint16_t max)
{
	memset(q, 0, sizeof(*q));
	q->dev = dev;
	q->vm = vm;
	q->index = index;
	q->max = max;
	pthread_mutex_init(&q->lock, NULL);
	queue_reset(q);
}

void queue_fini(struct queue *q)
{
	pthread_mutex_destroy(&q->lock);
}

void queue_stop(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	atomic_store(&q->live, false);
	pthread_mutex_unlock(&q->lock);
}

void queue_reset(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	atomic_store(&q->live, false);
	q->size = q->max;
	atomic_store(&q->vector, VIRTIO_MSI_NO_VECTOR);
	q->desc_gpa = 0;
	q->avail_gpa = 0;
	q->used_gpa = 0;
	q->desc = NULL;
	q->avail = NULL;
	q->used = NULL;
	q->next_avail = 0;
	q->seen_avail = 0;
	atomic_store(&q->next_used, 0);
	q->told_used = 0;
	pthread_mutex_unlock(&q->lock);
}

int queue_enable(struct queue *q, bool event_idx, bool indirect)
{
	uint64_t n = q->size;

	if (atomic_load(&q->live))
		return -EBUSY;
	if (n == 0 || n > q->max || (n & (n - 1)) != 0)
		return -EINVAL;
	if (q->desc_gpa % VRING_DESC_ALIGN_SIZE != 0 ||
	    q->avail_gpa % VRING_AVAIL_ALIGN_SIZE != 0 || q->used_gpa % VRING_USED_ALIGN_SIZE != 0)
		return -EINVAL;

	/* The event fields at the end are part of the ring's size even if never used (2.7.2). */
	q->desc = gmem_ptr(q->vm, q->desc_gpa, n * sizeof(struct desc));
	q->avail = gmem_ptr(q->vm, q->avail_gpa, sizeof(struct ring_avail) + (n + 1) * 2);
	q->used = gmem_ptr(q->vm, q->used_gpa,
			   sizeof(struct ring_used) + n * sizeof(struct used_elem) + 2);
	if (q->desc == NULL || q->avail == NULL || q->used == NULL)
		return -EFAULT;

	q->event_idx = event_idx;
	q->indirect = indirect;
	atomic_store(&q->live, true);
	return 0;
}

void queue_break(struct queue *q, const char *why)
{
	virtio_needs_reset(q->dev, q->index, why);
}

static bool usable(struct queue *q)
{
	return atomic_load_explicit(&q->live, memory_order_relaxed) && !virtio_broken(q->dev);
}

/*
 * A driver that makes requests on one vCPU as fast as they are served for another would keep the
 * device in its loop for good, deaf to a power-off. What is left over then is nobody's business:
 * the VM goes, or its rings are reset.
 */
static bool may_take(struct queue *q)
{
	return usable(q) && power_pending(q->vm) == POWER_NONE;
}

static _Atomic uint16_t *used_event(struct queue *q)
{
	return &q->avail->ring[q->size];
}

static _Atomic uint16_t *avail_event(struct queue *q)
{
	return (_Atomic uint16_t *)(void *)&q->used->ring[q->size];
}

static struct desc load_desc(const uint8_t *table, uint32_t i)
{
	/* An indirect table may sit at any address; volatile loads each word exactly once. */
	typedef const volatile uint64_t word __attribute__((aligned(1), may_alias));
	word *w = (word *)(const void *)(table + (size_t)i * sizeof(struct desc));
	uint64_t addr = w[0], rest = w[1];

	return (struct desc) {
		.addr = addr,
		.len = (uint32_t)rest,
		.flags = (uint16_t)(rest >> 32),
		.next = (uint16_t)(rest >> 48),
	};
}

/* NULL, or what is wrong with the descriptor. */
static const char *enter_indirect(struct queue *q, struct walk *w, const struct desc *d)
{
	if (!q->indirect)
		return "indirect descriptor, but the feature was not negotiated";
	if (w->indirect)
		return "indirect descriptor inside an indirect table";
	if (d->flags & VRING_DESC_F_NEXT)
		return "indirect descriptor with a next one";
	if (d->len == 0 || d->len % sizeof(struct desc) != 0)
		return "indirect table of a bad length";
	w->table = gmem_ptr(q->vm, d->addr, d->len);
	if (w->table == NULL)
		return "indirect table outside guest memory";
	w->entries = (uint32_t)(d->len / sizeof(struct desc));
	w->indirect = true;
	return NULL;
}

static const char *add_buffer(struct queue *q, struct chain *c, const struct desc *d, uint16_t max)
{
	bool write = (d->flags & VRING_DESC_F_WRITE) != 0;
	uint32_t *total = write ? &c->write_len : &c->read_len;
	struct iovec *iov;
	void *buf;

	if (c->readable + c->writable >= max)
		return "chain loops or has more buffers than the device offered";
	if (d->len == 0)
		return "buffer of no length";
	if (!write && c->writable != 0)
		return "readable buffer after a writable one";
	if (d->len > UINT32_MAX - c->write_len - c->read_len)
		return "chain of more than 4 GB";
	buf = gmem_ptr(q->vm, d->addr, d->len);
	if (buf == NULL)
		return "buffer outside guest memory";

	iov = &c->iov[c->readable + c->writable];
	iov->iov_base = buf;
	iov->iov_len = d->len;
	*total += d->len;
	if (write)
		c->writable++;
	else
		c->readable++;
	return NULL;
}

/* Ends after @max buffers at the latest: every step but one adds a buffer. */
static const char *walk_chain(struct queue *q, struct chain *c, uint16_t max)
{
	struct walk w = {.table = q->desc, .entries = q->size};
	uint32_t i = c->head;
	const char *why;

	for (;;) {
		struct desc d;

		if (i >= w.entries)
			return "descriptor index out of range";
		d = load_desc(w.table, i);
		if (d.flags & VRING_DESC_F_INDIRECT) {
			why = enter_indirect(q, &w, &d);
			i = 0;
		} else {
			why = add_buffer(q, c, &d, max);
			i = d.next;
		}
		if (why != NULL)
			return why;
		if ((d.flags & (VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT)) == 0)
			return NULL;
	}
}

/* True when there is something to take. Pairs with the driver's barrier before its idx store. */
static bool look(struct queue *q)
{
	if (q->next_avail != q->seen_avail)
		return true;
	q->seen_avail = atomic_load_explicit(&q->avail->idx, memory_order_acquire);
	return q->next_avail != q->seen_avail;
}

bool queue_ready(struct queue *q)
{
	uint16_t in_flight;

	if (!may_take(q) || !look(q))
		return false;
	if ((uint16_t)(q->seen_avail - q->next_avail) > q->size) {
		queue_break(q, "available index jumps ahead");
		return false;
	}
	in_flight = (uint16_t)(q->next_avail -
			       atomic_load_explicit(&q->next_used, memory_order_acquire));
	if (in_flight >= q->size) {
		queue_break(q, "more requests in flight than the ring has entries");
		return false;
	}
	return true;
}

int queue_pop(struct queue *q, struct chain *c, struct iovec *iov, uint16_t max)
{
	const char *why;

	if (!queue_ready(q))
		return virtio_broken(q->dev) ? -EIO : 0;

	*c = (struct chain) {.iov = iov};
	c->head = atomic_load_explicit(&q->avail->ring[q->next_avail & (q->size - 1)],
				       memory_order_relaxed);
	q->next_avail++;
	why = walk_chain(q, c, max);
	if (why != NULL) {
		queue_break(q, why);
		return -EIO;
	}
	return 1;
}

void queue_quiet(struct queue *q)
{
	/* With the event index a stale avail_event is quiet enough. */
	if (usable(q) && !q->event_idx)
		atomic_store_explicit(&q->used->flags, VRING_USED_F_NO_NOTIFY,
				      memory_order_relaxed);
}

bool queue_rearm(struct queue *q)
{
	bool polled;

	if (!may_take(q))
		return false;
	/* Who polls keeps the driver quiet: by an index that has passed, or by the flag. */
	polled = atomic_load_explicit(&q->dev->polled, memory_order_relaxed);
	if (q->event_idx)
		atomic_store_explicit(avail_event(q), (uint16_t)(q->next_avail - polled),
				      memory_order_relaxed);
	else
		atomic_store_explicit(&q->used->flags, polled ? VRING_USED_F_NO_NOTIFY : 0,
				      memory_order_relaxed);
	/*
	 * A driver on another CPU stores idx and then reads our wish; without a full barrier
	 * both sides could read the old value, and its request would wait for the next one.
	 */
	atomic_thread_fence(memory_order_seq_cst);
	return look(q);
}

void queue_untake(struct queue *q, unsigned int n)
{
	q->next_avail = (uint16_t)(q->next_avail - n);
}

void queue_push_all(struct queue *q, const struct queue_used *used, unsigned int n)
{
	pthread_mutex_lock(&q->lock);
	if (usable(q)) {
		uint16_t idx = atomic_load_explicit(&q->next_used, memory_order_relaxed);

		for (unsigned int i = 0; i < n; i++, idx++)
			q->used->ring[idx & (q->size - 1)] =
				(struct used_elem) {.id = used[i].head, .len = used[i].len};
		atomic_store_explicit(&q->next_used, idx, memory_order_release);
		/* The driver that sees idx sees the elements and the data, too. */
		atomic_store_explicit(&q->used->idx, idx, memory_order_release);
	}
	pthread_mutex_unlock(&q->lock);
}

void queue_push(struct queue *q, uint16_t head, uint32_t len)
{
	const struct queue_used used = {.head = head, .len = len};

	queue_push_all(q, &used, 1);
}

/* Does the driver want an interrupt for what it was not told yet? q->lock held. */
static bool wants_interrupt(struct queue *q)
{
	uint16_t old = q->told_used, now = atomic_load(&q->next_used);

	if (!usable(q) || old == now)
		return false;
	q->told_used = now;
	/* used->idx must be out before the driver's wish is read, as in queue_rearm(). */
	atomic_thread_fence(memory_order_seq_cst);
	if (q->event_idx)
		return vring_need_event(atomic_load_explicit(used_event(q), memory_order_relaxed),
					now, old) != 0;
	return (atomic_load_explicit(&q->avail->flags, memory_order_relaxed) &
		VRING_AVAIL_F_NO_INTERRUPT) == 0;
}

void queue_notify(struct queue *q)
{
	bool wanted;

	pthread_mutex_lock(&q->lock);
	wanted = wants_interrupt(q);
	pthread_mutex_unlock(&q->lock);
	if (wanted)
		virtio_queue_interrupt(q->dev, q);
}
