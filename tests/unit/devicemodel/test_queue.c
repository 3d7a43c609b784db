// SPDX-License-Identifier: BSD-3-Clause
/*
 * Can a guest make the ring code hand out memory that is not its own, loop, or lose a request?
 * The real queue.c, chain.c and virtio.c over a fake guest; the test is the driver.
 */
// links: devicemodel/virtio/queue.c devicemodel/virtio/chain.c devicemodel/virtio/virtio.c
// links: devicemodel/core/log.c tests/unit/devicemodel/fake_guest.c
// links: tests/unit/devicemodel/driver_ring.c
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "fake_guest.h"
#include "log.h"
#include "queue.h"
#include "virtio.h"

#define N    VRING_DESC_F_NEXT
#define W    VRING_DESC_F_WRITE
#define I    VRING_DESC_F_INDIRECT
#define SIZE 8U
#define MAX  16U

#define RING  0x1000ULL
#define TABLE 0x8000ULL
#define BUF   0x20000ULL

static struct virtio_dev dev;
static struct queue *q;
static struct ring ring;
static struct iovec iov[MAX];
static unsigned int queue_irqs, config_irqs;

static void count_interrupt(struct virtio_dev *d, uint16_t vector, uint8_t isr)
{
	(void)d;
	(void)vector;
	if (isr == VIRTIO_ISR_QUEUE)
		queue_irqs++;
	else
		config_irqs++;
}

static int no_create(struct virtio_dev *d, const char *config)
{
	(void)config;
	d->offered = 0;
	return 0;
}

static void no_op(struct virtio_dev *d)
{
	(void)d;
}

static void no_kick(struct virtio_dev *d, struct queue *queue)
{
	(void)d;
	(void)queue;
}

static const struct virtio_ops ops = {
	.queues = 1,
	.queue_max = 64,
	.create = no_create,
	.destroy = no_op,
	.stop = no_op,
	.kick = no_kick,
};

static void aim(struct queue *queue, const struct ring *r)
{
	queue->size = r->size;
	queue->desc_gpa = r->desc;
	queue->avail_gpa = r->avail;
	queue->used_gpa = r->used;
}

static void restart(bool event_idx, bool indirect)
{
	queue_irqs = 0;
	config_irqs = 0;
	virtio_reset(&dev);
	ring_init(&ring, RING, SIZE);
	aim(q, &ring);
	assert_int_equal(queue_enable(q, event_idx, indirect), 0);
	atomic_store(&dev.status, VIRTIO_CONFIG_S_DRIVER_OK);
}

static int set_up(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	guest_create();
	memset(&dev, 0, sizeof(dev));
	dev.ops = &ops;
	dev.name = "test";
	dev.interrupt = count_interrupt;
	assert_int_equal(virtio_create(&dev, NULL), 0);
	q = &dev.queue[0];
	restart(false, true);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	virtio_destroy(&dev);
	guest_destroy();
	return 0;
}

/* What if a driver does everything right? */
static void test_round_trip(void **state)
{
	struct chain c;
	uint32_t id, len;
	char text[8] = "";

	(void)state;
	memcpy(guest_at(BUF, 6), "header", 6);
	ring_desc(&ring, 5, BUF, 6, N, 2);
	ring_desc(&ring, 2, GUEST_HIGH_BASE, 100, N | W, 7);
	ring_desc(&ring, 7, BUF + 0x100, 1, W, 0);

	assert_int_equal(queue_pop(q, &c, iov, MAX), 0);
	ring_offer(&ring, 5);
	assert_int_equal(queue_pop(q, &c, iov, MAX), 1);
	assert_int_equal(c.head, 5);
	assert_int_equal(c.readable, 1);
	assert_int_equal(c.writable, 2);
	assert_int_equal(c.read_len, 6);
	assert_int_equal(c.write_len, 101);
	assert_true(chain_read(&c, text, 6));
	assert_string_equal(text, "header");
	assert_false(chain_read(&c, text, 1));
	assert_ptr_equal(chain_cut_last(&c), guest_at(BUF + 0x100, 1));
	assert_int_equal(c.writable, 1);
	assert_int_equal(chain_write(&c, "answer", 6), 6);
	assert_memory_equal(guest_at(GUEST_HIGH_BASE, 6), "answer", 6);

	assert_false(ring_take(&ring, &id, &len));
	queue_push(q, c.head, 101);
	queue_notify(q);
	assert_true(ring_take(&ring, &id, &len));
	assert_int_equal(id, 5);
	assert_int_equal(len, 101);
	assert_int_equal(queue_irqs, 1);
	queue_notify(q);
	assert_int_equal(queue_irqs, 1); /* nothing new */
}

/* What if the 16-bit indices wrap, more than once? */
static void test_wrap(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 150000; i++) {
		struct chain c;
		uint32_t id, len;

		ring_desc(&ring, i % SIZE, BUF + i % 4096, 1 + i % 100, i % 2 ? W : 0, 0);
		ring_offer(&ring, (uint16_t)(i % SIZE));
		assert_int_equal(queue_pop(q, &c, iov, MAX), 1);
		assert_int_equal(c.head, i % SIZE);
		assert_int_equal(c.read_len + c.write_len, 1 + i % 100);
		queue_push(q, c.head, i);
		assert_true(ring_take(&ring, &id, &len));
		assert_int_equal(len, i);
	}
	assert_false(virtio_broken(&dev));
}

struct bad {
	const char *what;
	uint16_t head;
	struct {
		uint64_t table; /* 0: the ring's own */
		uint32_t i;
		uint64_t addr;
		uint32_t len;
		uint16_t flags, next;
	} d[4];
};

static const struct bad bad_chains[] = {
	{"head out of range", SIZE, {{0}}},
	{"head far out of range", 0xFFFF, {{0}}},
	{"next out of range", 0, {{0, 0, BUF, 1, N, SIZE}}},
	{"loop to itself", 0, {{0, 0, BUF, 1, N, 0}}},
	{"loop of two", 0, {{0, 0, BUF, 1, N, 1}, {0, 1, BUF, 1, N, 0}}},
	{"no length", 0, {{0, 0, BUF, 0, 0, 0}}},
	{"no length in the middle", 0, {{0, 0, BUF, 1, N, 1}, {0, 1, BUF, 0, N | W, 2}}},
	{"outside memory", 0, {{0, 0, GUEST_LOW, 1, 0, 0}}},
	{"over the end of low memory", 0, {{0, 0, GUEST_LOW - 1, 2, 0, 0}}},
	{"over the end of high memory", 0, {{0, 0, GUEST_HIGH_BASE, GUEST_HIGH + 1, 0, 0}}},
	{"from low to high memory", 0, {{0, 0, GUEST_LOW - 16, 0xFFFFFFFF, 0, 0}}},
	{"address wraps", 0, {{0, 0, UINT64_MAX - 7, 16, 0, 0}}},
	{"address wraps into memory", 0, {{0, 0, UINT64_MAX, 0xFFFFFFFF, W, 0}}},
	{"writable, then readable", 0, {{0, 0, BUF, 1, N | W, 1}, {0, 1, BUF, 1, 0, 0}}},
	{"indirect, with a next one", 0, {{0, 0, TABLE, 16, N | I, 1}, {TABLE, 0, BUF, 1, 0, 0}}},
	{"indirect in indirect", 0, {{0, 0, TABLE, 32, I, 0}, {TABLE, 0, TABLE, 16, I, 0}}},
	{"indirect table empty", 0, {{0, 0, TABLE, 0, I, 0}}},
	{"indirect table of half a descriptor", 0, {{0, 0, TABLE, 24, I, 0}}},
	{"indirect table outside memory", 0, {{0, 0, GUEST_LOW, 16, I, 0}}},
	{"indirect table over the end", 0, {{0, 0, GUEST_LOW - 16, 32, I, 0}}},
	{"indirect table of 4 GB", 0, {{0, 0, TABLE, 0xFFFFFFF0, I, 0}}},
	{"indirect table at a wrapping address", 0, {{0, 0, UINT64_MAX - 15, 32, I, 0}}},
	{"indirect next outside its table",
	 0,
	 {{0, 0, TABLE, 32, I, 0}, {TABLE, 0, BUF, 1, N, 2}, {TABLE, 2, BUF, 1, 0, 0}}},
	{"loop in the indirect table", 0, {{0, 0, TABLE, 32, I, 0}, {TABLE, 0, BUF, 1, N, 0}}},
	{"writable ahead of a readable indirect one",
	 0,
	 {{0, 0, BUF, 1, N | W, 1}, {0, 1, TABLE, 16, I, 0}, {TABLE, 0, BUF, 1, 0, 0}}},
};

/* What if a chain is malformed? The device stops, tells the driver once, and serves after reset. */
static void test_bad_chains(void **state)
{
	struct chain c;

	(void)state;
	for (size_t n = 0; n < sizeof(bad_chains) / sizeof(bad_chains[0]); n++) {
		const struct bad *b = &bad_chains[n];

		restart(false, true);
		for (unsigned int i = 0; i < 4; i++)
			if (b->d[i].addr != 0)
				ring_desc_at(b->d[i].table != 0 ? b->d[i].table : ring.desc,
					     b->d[i].i, b->d[i].addr, b->d[i].len, b->d[i].flags,
					     b->d[i].next);
		ring_offer(&ring, b->head);
		if (queue_pop(q, &c, iov, MAX) != -EIO)
			fail_msg("accepted: %s", b->what);
		assert_true(virtio_broken(&dev));
		assert_int_equal(config_irqs, 1);
		/* From here on: nothing, whatever the ring says. */
		ring_offer(&ring, b->head);
		assert_int_equal(queue_pop(q, &c, iov, MAX), -EIO);
		queue_push(q, 0, 1);
		queue_notify(q);
		assert_int_equal(queue_irqs, 0);
		assert_int_equal(config_irqs, 1);
	}
	restart(false, true);
	test_round_trip(state);
}

/* What if an indirect descriptor comes although the feature was not negotiated? */
static void test_indirect_not_negotiated(void **state)
{
	struct chain c;

	(void)state;
	restart(false, false);
	ring_desc(&ring, 0, TABLE, 16, I, 0);
	ring_desc_at(TABLE, 0, BUF, 1, 0, 0);
	ring_offer(&ring, 0);
	assert_int_equal(queue_pop(q, &c, iov, MAX), -EIO);
}

/* What is legal but unusual: an unaligned table, an indirect one after direct ones, odd order. */
static void test_indirect(void **state)
{
	uint64_t table = TABLE + 3;
	struct chain c;

	(void)state;
	ring_desc(&ring, 3, BUF, 4, N, 1);
	ring_desc(&ring, 1, table, 48, I, 0xFFFF);
	ring_desc_at(table, 0, BUF + 8, 4, N, 2);
	ring_desc_at(table, 2, BUF + 16, 4, N | W, 1);
	ring_desc_at(table, 1, BUF + 24, 4, W, 0xFFFF);
	ring_offer(&ring, 3);
	assert_int_equal(queue_pop(q, &c, iov, MAX), 1);
	assert_int_equal(c.readable, 2);
	assert_int_equal(c.writable, 2);
	assert_ptr_equal(iov[2].iov_base, guest_at(BUF + 16, 4));
	assert_ptr_equal(iov[3].iov_base, guest_at(BUF + 24, 4));
}

/* What if a chain has exactly as many buffers as the device offered, or one more? */
static void test_chain_limit(void **state)
{
	struct chain c;

	(void)state;
	for (uint16_t n = MAX; n <= MAX + 1; n++) {
		restart(false, true);
		for (uint16_t i = 0; i < n; i++)
			ring_desc_at(TABLE, i, BUF, 1, i + 1 < n ? N : 0, (uint16_t)(i + 1));
		ring_desc(&ring, 0, TABLE, n * 16U, I, 0);
		ring_offer(&ring, 0);
		assert_int_equal(queue_pop(q, &c, iov, MAX), n == MAX ? 1 : -EIO);
	}
}

/* What if the lengths add up to more than 32 bits? 4,097 buffers of 1 MB each do. */
static void test_total_length(void **state)
{
	static struct iovec many[4200];
	uint64_t table = 0x40000;
	struct chain c;

	(void)state;
	for (uint16_t n = 4095; n <= 4097; n++) {
		restart(false, true);
		for (uint16_t i = 0; i < n; i++)
			ring_desc_at(table, i, 0, GUEST_LOW, i + 1 < n ? N | W : W,
				     (uint16_t)(i + 1));
		ring_desc(&ring, 0, table, n * 16U, I, 0);
		ring_offer(&ring, 0);
		assert_int_equal(queue_pop(q, &c, many, 4200), n == 4095 ? 1 : -EIO);
	}
}

/* What if the available index jumps ahead, or back? */
static void test_avail_jump(void **state)
{
	static const uint16_t bad[] = {SIZE + 1, 0x7FFF, 0x8000, 0xFFFF};
	struct chain c;

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		restart(false, true);
		ring_desc(&ring, 0, BUF, 1, 0, 0);
		ring_set_avail_idx(&ring, bad[i]);
		assert_int_equal(queue_pop(q, &c, iov, MAX), -EIO);
	}
	/* A full ring is all right. */
	restart(false, true);
	ring_desc(&ring, 0, BUF, 1, 0, 0);
	ring_set_avail_idx(&ring, SIZE);
	for (unsigned int i = 0; i < SIZE; i++)
		assert_int_equal(queue_pop(q, &c, iov, MAX), 1);
	assert_int_equal(queue_pop(q, &c, iov, MAX), 0);
	assert_false(virtio_broken(&dev));
}

/* What if the driver never waits for used entries? */
static void test_too_many_in_flight(void **state)
{
	struct chain c;

	(void)state;
	ring_desc(&ring, 0, BUF, 1, 0, 0);
	for (unsigned int i = 0; i < SIZE; i++) {
		ring_offer(&ring, 0);
		assert_true(queue_ready(q));
		assert_int_equal(queue_pop(q, &c, iov, MAX), 1);
	}
	queue_push(q, 0, 0);
	ring_offer(&ring, 0);
	assert_int_equal(queue_pop(q, &c, iov, MAX), 1);
	ring_offer(&ring, 0);
	assert_false(queue_ready(q));
	assert_true(virtio_broken(&dev));
}

/* What if the ring's own size, alignment or place is wrong? */
static void test_enable(void **state)
{
	static const struct {
		uint16_t size;
		uint64_t desc, avail, used;
		int ret;
	} cases[] = {
		{0, RING, RING + 0x400, RING + 0x800, -EINVAL},
		{3, RING, RING + 0x400, RING + 0x800, -EINVAL},
		{65, RING, RING + 0x400, RING + 0x800, -EINVAL},
		{128, RING, RING + 0x800, RING + 0xA00, -EINVAL}, /* more than was offered */
		{0x8000, RING, RING + 0x400, RING + 0x800, -EINVAL},
		{64, RING + 8, RING + 0x400, RING + 0x800, -EINVAL},
		{64, RING, RING + 0x401, RING + 0x800, -EINVAL},
		{64, RING, RING + 0x400, RING + 0x802, -EINVAL},
		{64, GUEST_LOW, RING + 0x400, RING + 0x800, -EFAULT},
		{64, GUEST_LOW - 64 * 16 + 16, RING + 0x400, RING + 0x800, -EFAULT},
		{64, RING, GUEST_LOW - 132, RING + 0x800, -EFAULT}, /* used_event outside */
		{64, RING, RING + 0x400, GUEST_LOW - 516, -EFAULT}, /* avail_event outside */
		{64, UINT64_MAX - 15, RING + 0x400, RING + 0x800, -EFAULT},
		{64, RING, UINT64_MAX - 1, RING + 0x800, -EFAULT},
		{64, RING, RING + 0x400, UINT64_MAX - 3, -EFAULT},
		{64, GUEST_LOW - 64 * 16, GUEST_HIGH_BASE, GUEST_HIGH_BASE + 0x400, 0},
		{64, RING, GUEST_LOW - 134, GUEST_HIGH_BASE + GUEST_HIGH - 520, 0},
		{1, RING, RING + 16, RING + 32, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		queue_reset(q);
		q->size = cases[i].size;
		q->desc_gpa = cases[i].desc;
		q->avail_gpa = cases[i].avail;
		q->used_gpa = cases[i].used;
		if (queue_enable(q, false, true) != cases[i].ret)
			fail_msg("case %zu", i);
		assert_int_equal(atomic_load(&q->live), cases[i].ret == 0);
	}
	assert_int_equal(queue_enable(q, false, true), -EBUSY);
}

/* What if a request finishes after its ring was reset, even when a new ring is in place? */
static void test_push_after_reset(void **state)
{
	struct chain c;
	uint32_t id, len;

	(void)state;
	ring_desc(&ring, 0, BUF, 1, 0, 0);
	ring_offer(&ring, 0);
	assert_int_equal(queue_pop(q, &c, iov, MAX), 1);
	queue_reset(q);
	queue_push(q, c.head, 1);
	queue_notify(q);
	assert_false(ring_take(&ring, &id, &len));
	assert_int_equal(queue_irqs, 0);
	assert_int_equal(queue_pop(q, &c, iov, MAX), 0);
	assert_int_equal(q->vector, VIRTIO_MSI_NO_VECTOR);
}

/* When is the driver interrupted without the event index? Unless it says no. */
static void test_interrupt_flags(void **state)
{
	(void)state;
	queue_push(q, 0, 0);
	queue_push(q, 1, 0);
	queue_notify(q);
	assert_int_equal(queue_irqs, 1);
	ring_set_avail_flags(&ring, VRING_AVAIL_F_NO_INTERRUPT);
	queue_push(q, 0, 0);
	queue_notify(q);
	assert_int_equal(queue_irqs, 1);
}

/* When is it with the event index? When used_event was passed, not before and not again. */
static void test_interrupt_event(void **state)
{
	(void)state;
	restart(true, true);
	ring_set_avail_flags(&ring, VRING_AVAIL_F_NO_INTERRUPT); /* means nothing now */
	ring_set_used_event(&ring, 2);
	queue_push(q, 0, 0);
	queue_notify(q);
	queue_push(q, 0, 0);
	queue_notify(q);
	assert_int_equal(queue_irqs, 0);
	queue_push(q, 0, 0);
	queue_notify(q);
	assert_int_equal(queue_irqs, 1);
	queue_push(q, 0, 0);
	queue_notify(q);
	assert_int_equal(queue_irqs, 1);
	/* Passed in the middle of a batch. */
	ring_set_used_event(&ring, 5);
	for (unsigned int i = 0; i < 4; i++)
		queue_push(q, 0, 0);
	queue_notify(q);
	assert_int_equal(queue_irqs, 2);
}

/* Is the driver told whether to ring, and is a request seen that slipped in before? */
static void test_rearm(void **state)
{
	struct chain c;

	(void)state;
	queue_quiet(q);
	assert_int_equal(ring_used_flags(&ring), VRING_USED_F_NO_NOTIFY);
	ring_desc(&ring, 0, BUF, 1, 0, 0);
	ring_offer(&ring, 0);
	assert_true(queue_rearm(q));
	assert_int_equal(ring_used_flags(&ring), 0);
	assert_int_equal(queue_pop(q, &c, iov, MAX), 1);
	assert_false(queue_rearm(q));

	restart(true, true);
	queue_quiet(q);
	assert_int_equal(ring_used_flags(&ring), 0);
	ring_desc(&ring, 0, BUF, 1, 0, 0);
	ring_offer(&ring, 0);
	assert_true(queue_rearm(q));
	assert_int_equal(queue_pop(q, &c, iov, MAX), 1);
	assert_false(queue_rearm(q));
	assert_int_equal(ring_avail_event(&ring), 1);
}

/* What if header and status are cut into single bytes across buffers? */
static void test_chain_pieces(void **state)
{
	struct chain c;
	char text[6] = "";

	(void)state;
	memcpy(guest_at(BUF, 5), "abcde", 5);
	for (uint16_t i = 0; i < 5; i++)
		ring_desc(&ring, i, BUF + i, 1, N, (uint16_t)(i + 1));
	ring_desc(&ring, 5, BUF + 0x100, 2, N | W, 6);
	ring_desc(&ring, 6, BUF + 0x200, 1, W, 0);
	ring_offer(&ring, 0);
	assert_int_equal(queue_pop(q, &c, iov, MAX), 1);
	assert_true(chain_read(&c, text, 3));
	assert_int_equal(c.readable, 2);
	assert_true(chain_read(&c, text + 3, 2));
	assert_string_equal(text, "abcde");
	assert_int_equal(c.readable, 0);
	assert_ptr_equal(chain_cut_last(&c), guest_at(BUF + 0x200, 1));
	assert_int_equal(c.writable, 1);
	assert_int_equal(chain_write(&c, "xyz", 3), 2);
	assert_ptr_equal(chain_cut_last(&c), guest_at(BUF + 0x101, 1));
	assert_ptr_equal(chain_cut_last(&c), guest_at(BUF + 0x100, 1));
	assert_null(chain_cut_last(&c));
	assert_int_equal(c.write_len, 0);
}

static _Atomic bool stop_flipping;

static void *flip(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; !atomic_load(&stop_flipping); i++) {
		ring_desc(&ring, 0, i % 3 ? BUF : GUEST_LOW - 4, i % 2 ? 4 : 0x80000000,
			  i % 5 ? 0 : N, i % 7 ? 0 : 0xFFF0);
	}
	return NULL;
}

/* What if another vCPU rewrites a descriptor while it is read? Only checked values may be used. */
static void test_race(void **state)
{
	unsigned int good = 0, bad = 0;
	pthread_t thread;
	struct chain c;

	(void)state;
	atomic_store(&stop_flipping, false);
	assert_int_equal(pthread_create(&thread, NULL, flip, NULL), 0);
	while (good < 1000 || bad < 1000) {
		uint8_t bytes[4];

		restart(false, true);
		ring_offer(&ring, 0);
		if (queue_pop(q, &c, iov, MAX) != 1) {
			bad++;
			continue;
		}
		good++;
		for (unsigned int b = 0; b < c.readable; b++)
			assert_true(iov[b].iov_len == 4);
		assert_true(chain_read(&c, bytes, 4));
	}
	atomic_store(&stop_flipping, true);
	pthread_join(thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_wrap, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_chains, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_indirect_not_negotiated, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_indirect, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_chain_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_total_length, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_avail_jump, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_many_in_flight, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_enable, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_push_after_reset, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_interrupt_flags, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_interrupt_event, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rearm, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_chain_pieces, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_race, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
