// SPDX-License-Identifier: BSD-3-Clause
// links: @service
/*
 * Rings of a User VM in the Service VM's memory: doorbells and events, with a Service VM that
 * behaves and with one that does not. The device model of these tests answers every request.
 */
#include <string.h>

#include "service_machine.h"
#include "acrn/sbuf.h"

#define STRUCT	   0x1000U
#define IOREQ_PAGE 0x3000U
#define RING	   0x8000U
#define PORT	   0x2000U
#define MMIO	   0xC0003000UL
#define ENTRIES	   5U

static struct vm *user;
static uint32_t requests;

static struct acrn_io_request *slot(void)
{
	return service_ram(IOREQ_PAGE);
}

static void device_model(void)
{
	assert_int_equal(slot()->processed, ACRN_IOREQ_PENDING);
	requests++;
	slot()->mmio_value = 0x55;
	slot()->processed = ACRN_IOREQ_COMPLETE;
}

static int setup(void **state)
{
	(void)service_setup(state);
	user = start_vm("a", IOREQ_PAGE);
	requests = 0;
	test_on_block = device_model;
	return 0;
}

static struct sbuf_header *ring(void)
{
	return service_ram(RING);
}

static void header(uint32_t ele_num, uint32_t ele_size)
{
	memset(service_ram(RING), 0xEE, 2 * PAGE_SIZE);
	*ring() = (struct sbuf_header){.magic = SBUF_MAGIC,
				       .ele_num = ele_num,
				       .ele_size = ele_size,
				       .size = ele_num * ele_size};
}

static int64_t share(uint32_t id, uint64_t gpa)
{
	struct acrn_sbuf_param p = {.sbuf_id = id, .gpa = gpa};

	memcpy(service_ram(STRUCT), &p, sizeof(p));
	return hypercall(service(), HC_SETUP_SBUF, user->id, STRUCT);
}

static void make_ring(uint32_t id, uint32_t ele_size)
{
	header(ENTRIES, ele_size);
	assert_int_equal(share(id, RING), 0);
	test_msgs = 0;
}

static int64_t call(uint32_t nr, uint32_t type, uint64_t addr, uint64_t fd, int64_t data)
{
	struct acrn_asyncio_info info = {.type = type,
					 .match_data = data >= 0,
					 .addr = addr,
					 .fd = fd,
					 .data = data >= 0 ? (uint64_t)data : 0};

	memcpy(service_ram(STRUCT), &info, sizeof(info));
	return hypercall(service(), nr, user->id, STRUCT);
}

static int64_t assign(uint32_t type, uint64_t addr, uint64_t fd, int64_t data)
{
	return call(HC_ASYNCIO_ASSIGN, type, addr, fd, data);
}

static struct io_access access(enum io_kind kind, bool write, uint64_t addr, uint64_t value)
{
	struct io_access io = {
		.kind = kind, .write = write, .width = 2, .addr = addr, .value = value};

	user->io_fallback(user->vcpus[0], &io);
	return io;
}

/* The reader of Linux's HSM: the next word, or -1. */
static int64_t take(void)
{
	struct sbuf_header *h = ring();
	uint64_t word;

	if (h->head == h->tail)
		return -1;
	assert_in_range(h->head, 0, h->size - 8U);
	memcpy(&word, (uint8_t *)(h + 1) + h->head, sizeof(word));
	h->head = (h->head + 8U) % h->size;
	return (int64_t)word;
}

/* A doorbell: does the guest go on, with the word in the ring and the Service VM told? */
static void test_doorbell(void **state)
{
	(void)state;
	make_ring(ACRN_SBUF_ASYNCIO, 8);
	assert_int_equal(assign(ACRN_ASYNCIO_PIO, PORT, 0x1234567890ABCDEF, -1), 0);
	assert_int_equal(assign(ACRN_ASYNCIO_MMIO, MMIO, 77, -1), 0);
	(void)access(IO_PIO, true, PORT, 0);
	assert_int_equal(test_msgs, 1);
	assert_ptr_equal(test_posted_to, service()->vcpus[0]);
	assert_int_equal(test_posted, 0xF3);
	(void)access(IO_MMIO, true, MMIO, 3);
	assert_int_equal(requests, 0);
	assert_int_equal(slot()->processed, ACRN_IOREQ_FREE);
	assert_int_equal(take(), 0x1234567890ABCDEF);
	assert_int_equal(take(), 77);
	assert_int_equal(take(), -1);
}

/* Reads, neighbours, the other space and configuration accesses stay requests. */
static void test_not_a_doorbell(void **state)
{
	(void)state;
	make_ring(ACRN_SBUF_ASYNCIO, 8);
	assert_int_equal(assign(ACRN_ASYNCIO_PIO, PORT, 1, -1), 0);
	assert_int_equal(access(IO_PIO, false, PORT, 0).value, 0x55);
	(void)access(IO_PIO, true, PORT + 1, 0);
	(void)access(IO_MMIO, true, PORT, 0);
	assert_int_equal(assign(ACRN_ASYNCIO_MMIO, MMIO, 1, -1), 0);
	(void)access(IO_PCICFG, true, MMIO, 0);
	assert_int_equal(requests, 4);
	assert_int_equal(take(), -1);
}

/* With match_data only the value named counts, and another may have the next one. */
static void test_match_data(void **state)
{
	(void)state;
	make_ring(ACRN_SBUF_ASYNCIO, 8);
	assert_int_equal(assign(ACRN_ASYNCIO_PIO, PORT, 10, 0), 0);
	assert_int_equal(assign(ACRN_ASYNCIO_PIO, PORT, 11, 1), 0);
	assert_int_equal(assign(ACRN_ASYNCIO_PIO, PORT, 12, 1), -EEXIST);
	assert_int_equal(assign(ACRN_ASYNCIO_PIO, PORT, 12, -1), -EEXIST);
	(void)access(IO_PIO, true, PORT, 1);
	(void)access(IO_PIO, true, PORT, 0);
	(void)access(IO_PIO, true, PORT, 2);
	assert_int_equal(take(), 11);
	assert_int_equal(take(), 10);
	assert_int_equal(take(), -1);
	assert_int_equal(requests, 1);
}

/* What if the reader is slow? Beyond the ring's four each write is a request; none is lost. */
static void test_full(void **state)
{
	(void)state;
	make_ring(ACRN_SBUF_ASYNCIO, 8);
	assert_int_equal(assign(ACRN_ASYNCIO_PIO, PORT, 9, -1), 0);
	for (uint32_t i = 0; i < 7; i++)
		(void)access(IO_PIO, true, PORT, 0);
	assert_int_equal(requests, 3);
	for (uint32_t round = 0; round < 3 * ENTRIES; round++) {
		assert_int_equal(take(), 9);
		(void)access(IO_PIO, true, PORT, 0);
	}
	assert_int_equal(requests, 3);
	for (uint32_t i = 0; i < ENTRIES - 1; i++)
		assert_int_equal(take(), 9);
	assert_int_equal(take(), -1);
}

/* A caller that asks for a ring that loses its oldest entry gets one that does not. */
static void test_no_overwrite(void **state)
{
	(void)state;
	header(ENTRIES, 8);
	ring()->flags = SBUF_OVERWRITE | SBUF_COUNT_OVERRUNS;
	assert_int_equal(share(ACRN_SBUF_ASYNCIO, RING), 0);
	assert_int_equal(assign(ACRN_ASYNCIO_PIO, PORT, 9, -1), 0);
	for (uint32_t i = 0; i < ENTRIES; i++)
		(void)access(IO_PIO, true, PORT, 0);
	assert_int_equal(requests, 1);
	assert_int_equal(ring()->head, 0);
	assert_int_equal(ring()->overrun_cnt, 1);
}

/* Without a ring, or after it was taken away, a doorbell is a request. */
static void test_no_ring(void **state)
{
	(void)state;
	assert_int_equal(assign(ACRN_ASYNCIO_PIO, PORT, 1, -1), 0);
	(void)access(IO_PIO, true, PORT, 0);
	assert_int_equal(requests, 1);
	make_ring(ACRN_SBUF_ASYNCIO, 8);
	(void)access(IO_PIO, true, PORT, 0);
	assert_int_equal(requests, 1);
	assert_int_equal(share(ACRN_SBUF_ASYNCIO, 0), 0);
	memset(service_ram(RING), 0xEE, PAGE_SIZE);
	(void)access(IO_PIO, true, PORT, 0);
	assert_int_equal(requests, 2);
	assert_int_equal(ring()->tail, 0xEEEEEEEE);
}

/* A VM without doorbells pays nothing: its accesses do not even come by. */
static void test_no_cost(void **state)
{
	(void)state;
	assert_ptr_equal(user->io_fallback, user_vm(create_vm("b"))->io_fallback);
	assert_int_equal(assign(ACRN_ASYNCIO_PIO, PORT, 1, -1), 0);
	assert_ptr_not_equal(user->io_fallback, user_vm(2 + user->id - 1)->io_fallback);
}

static void test_assign_limits(void **state)
{
	(void)state;
	assert_int_equal(assign(0, PORT, 1, -1), -EINVAL);
	assert_int_equal(assign(3, PORT, 1, -1), -EINVAL);
	assert_int_equal(assign(ACRN_ASYNCIO_PIO, 0x10000, 1, -1), -EINVAL);
	for (uint32_t i = 0; i < ACRN_ASYNCIO_MAX; i++)
		assert_int_equal(assign(ACRN_ASYNCIO_MMIO, MMIO + 4 * i, i, -1), 0);
	assert_int_equal(assign(ACRN_ASYNCIO_MMIO, PORT, 1, -1), -ENOSPC);
	assert_int_equal(assign(ACRN_ASYNCIO_MMIO, MMIO, 1, -1), -EEXIST);
	make_ring(ACRN_SBUF_ASYNCIO, 8);
	(void)access(IO_MMIO, true, MMIO + 4 * 63, 0);
	assert_int_equal(take(), 63);
}

/* Does one that is taken away leave the others, and the last one the VM as it was? */
static void test_deassign(void **state)
{
	void (*fallback)(struct vcpu *vcpu, struct io_access *io) = user->io_fallback;

	(void)state;
	make_ring(ACRN_SBUF_ASYNCIO, 8);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(assign(ACRN_ASYNCIO_PIO, PORT + i, 20 + i, -1), 0);
	assert_int_equal(call(HC_ASYNCIO_DEASSIGN, ACRN_ASYNCIO_PIO, PORT, 99, -1), -ENOENT);
	assert_int_equal(call(HC_ASYNCIO_DEASSIGN, ACRN_ASYNCIO_MMIO, PORT, 20, -1), -ENOENT);
	assert_int_equal(call(HC_ASYNCIO_DEASSIGN, ACRN_ASYNCIO_PIO, PORT, 20, -1), 0);
	assert_int_equal(call(HC_ASYNCIO_DEASSIGN, ACRN_ASYNCIO_PIO, PORT, 20, -1), -ENOENT);
	(void)access(IO_PIO, true, PORT, 0);
	assert_int_equal(requests, 1);
	(void)access(IO_PIO, true, PORT + 1, 0);
	(void)access(IO_PIO, true, PORT + 2, 0);
	assert_int_equal(take(), 21);
	assert_int_equal(take(), 22);
	assert_int_equal(call(HC_ASYNCIO_DEASSIGN, ACRN_ASYNCIO_PIO, PORT + 1, 21, -1), 0);
	assert_int_equal(call(HC_ASYNCIO_DEASSIGN, ACRN_ASYNCIO_PIO, PORT + 2, 22, -1), 0);
	assert_ptr_equal(user->io_fallback, fallback);
}

/* A reset takes the doorbells, not the ring; the next VM in the slot has neither. */
static void test_reset(void **state)
{
	void (*fallback)(struct vcpu *vcpu, struct io_access *io) = user->io_fallback;
	uint16_t id = user->id;

	(void)state;
	make_ring(ACRN_SBUF_ASYNCIO, 8);
	assert_int_equal(assign(ACRN_ASYNCIO_PIO, PORT, 5, -1), 0);
	assert_int_equal(hypercall(service(), HC_PAUSE_VM, id, 0), 0);
	assert_int_equal(hypercall(service(), HC_RESET_VM, id, 0), 0);
	assert_ptr_equal(user->io_fallback, fallback);
	(void)access(IO_PIO, true, PORT, 0);
	assert_int_equal(requests, 1);
	assert_int_equal(assign(ACRN_ASYNCIO_PIO, PORT, 5, -1), 0);
	(void)access(IO_PIO, true, PORT, 0);
	assert_int_equal(take(), 5);
	assert_int_equal(hypercall(service(), HC_DESTROY_VM, id, 0), 0);
	user = start_vm("b", IOREQ_PAGE);
	assert_int_equal(user->id, id);
	(void)access(IO_PIO, true, PORT, 0);
	assert_int_equal(assign(ACRN_ASYNCIO_PIO, PORT, 5, -1), 0);
	(void)access(IO_PIO, true, PORT, 0);
	assert_int_equal(requests, 3);
	assert_int_equal(take(), -1);
}

/* Headers that cannot be, and pages that are not the caller's or not whole. */
static void test_bad_rings(void **state)
{
	static const struct {
		uint32_t ele_num, ele_size;
	} bad[] = {{0, 8}, {1, 8}, {5, 0}, {5, 4}, {5, 32}, {505, 8}, {UINT32_MAX, 8},
		   {0x20000001, 8}};

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(bad); i++) {
		header(bad[i].ele_num, bad[i].ele_size);
		assert_int_equal(share(ACRN_SBUF_ASYNCIO, RING), -EINVAL);
	}
	header(5, 8);
	ring()->magic--;
	assert_int_equal(share(ACRN_SBUF_ASYNCIO, RING), -EINVAL);
	header(5, 8);
	assert_int_equal(share(ACRN_SBUF_VM_EVENT, RING), -EINVAL);
	assert_int_equal(share(63, RING), -EINVAL);
	assert_int_equal(share(66, RING), -EINVAL);
	memmove(service_ram(RING + 8), service_ram(RING), sizeof(struct sbuf_header));
	assert_int_equal(share(ACRN_SBUF_ASYNCIO, RING + 8), -EINVAL);
	assert_int_equal(share(ACRN_SBUF_ASYNCIO, TEST_RAM), -EFAULT);
	assert_int_equal(share(ACRN_SBUF_ASYNCIO, TEST_DEVICE), -EFAULT);
	header(504, 8);
	assert_int_equal(share(ACRN_SBUF_ASYNCIO, RING), 0);
}

/* Whatever stands in the header afterwards: nothing is written outside the page. */
static void test_hostile_ring(void **state)
{
	static const uint32_t words[] = {0, 1, 7, 32, 40, 0x1000, 0x7FFFFFFF, 0xFFFFFFF8,
					 UINT32_MAX};
	const uint8_t *end = (uint8_t *)service_ram(RING) + sizeof(struct sbuf_header) + 8 * ENTRIES;

	(void)state;
	make_ring(ACRN_SBUF_ASYNCIO, 8);
	assert_int_equal(assign(ACRN_ASYNCIO_PIO, PORT, 5, -1), 0);
	for (uint32_t i = 0; i < ARRAY_SIZE(words); i++) {
		for (uint32_t n = 0; n < 3 * ENTRIES; n++) {
			*ring() = (struct sbuf_header){.magic = words[i],
						       .ele_num = words[i],
						       .ele_size = words[i],
						       .head = words[(i + n) % ARRAY_SIZE(words)],
						       .tail = words[i],
						       .flags = words[i],
						       .size = words[i]};
			(void)access(IO_PIO, true, PORT, 0);
		}
	}
	for (uint32_t n = 0; n < 2 * PAGE_SIZE - sizeof(struct sbuf_header) - 8 * ENTRIES; n++)
		assert_int_equal(end[n], 0xEE);
	assert_int_equal(((uint8_t *)service_ram(RING))[-1], 0xA5);
}

static jmp_buf out;

static void power_button(void)
{
	if (requests++ != 0)
		longjmp(out, 1);
	slot()->processed = ACRN_IOREQ_COMPLETE;
}

static void triple_fault(void)
{
	requests = 0;
	test_on_block = power_button;
	if (setjmp(out) == 0)
		user->on_triple_fault(user->vcpus[0]);
}

/* Is a triple fault told before the power-off that follows it, and by a VM without a ring not? */
static void test_triple_fault(void **state)
{
	struct acrn_vm_event event;

	(void)state;
	triple_fault();
	make_ring(ACRN_SBUF_VM_EVENT, 32);
	triple_fault();
	assert_int_equal(test_msgs, 2);
	assert_int_equal(ring()->tail, 32);
	memcpy(&event, ring() + 1, sizeof(event));
	assert_int_equal(event.type, ACRN_VM_EVENT_TRIPLE_FAULT);
	for (uint32_t i = 0; i < sizeof(event.data); i++)
		assert_int_equal(event.data[i], 0);
	/* a full ring costs the event, not the power-off */
	for (uint32_t i = 0; i < ENTRIES; i++)
		triple_fault();
	assert_int_equal(requests, 2);
	assert_int_equal(ring()->tail, 4 * 32);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, service_teardown)
	const struct CMUnitTest tests[] = {
		T(test_doorbell),
		T(test_not_a_doorbell),
		T(test_match_data),
		T(test_full),
		T(test_no_overwrite),
		T(test_no_ring),
		T(test_no_cost),
		T(test_assign_limits),
		T(test_deassign),
		T(test_reset),
		T(test_bad_rings),
		T(test_hostile_ring),
		T(test_triple_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
