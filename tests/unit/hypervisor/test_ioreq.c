// SPDX-License-Identifier: BSD-3-Clause
// links: @service
/*
 * I/O requests: the slot protocol with a Service VM that behaves, and with one that does not.
 */
#include <string.h>

#include "hv/trace.h"
#include "service_machine.h"

#define IOREQ_PAGE 0x3000UL

static struct vm *user;
static uint32_t blocks;

static struct acrn_io_request *slot(uint32_t i)
{
	return (struct acrn_io_request *)service_ram(IOREQ_PAGE) + i;
}

static int setup(void **state)
{
	(void)service_setup(state);
	user = start_vm("a", IOREQ_PAGE);
	blocks = 0;
	return 0;
}

static uint64_t answer;
static struct acrn_io_request seen;

/* The HSM and the device model, in the order of their writes. */
static void device_model(void)
{
	blocks++;
	assert_int_equal(slot(0)->processed, ACRN_IOREQ_PENDING);
	slot(0)->processed = ACRN_IOREQ_PROCESSING;
	seen = *slot(0);
	slot(0)->mmio_value = answer;
	slot(0)->processed = ACRN_IOREQ_COMPLETE;
	assert_int_equal(hypercall(service(), HC_NOTIFY_REQUEST_FINISH, user->id, 0), 0);
	assert_ptr_equal(test_woken, &user->vcpus[0]->thread);
}

static struct io_access access(enum io_kind kind, bool write, uint8_t width, uint64_t addr)
{
	struct io_access io = {.kind = kind, .write = write, .width = width, .addr = addr,
			       .value = write ? 0x1122334455667788UL : 0};

	user->io_fallback(user->vcpus[0], &io);
	return io;
}

/* Is every state FREE when the page is set? And what if it cannot be one? */
static void test_buffer(void **state)
{
	uint64_t page = 0x5000, id;

	(void)state;
	for (uint32_t i = 0; i < ACRN_IOREQ_SLOTS; i++)
		assert_int_equal(slot(i)->processed, ACRN_IOREQ_FREE);
	id = (uint64_t)create_vm("b");
	memcpy(service_ram(0x1000), &page, sizeof(page));
	assert_int_equal(hypercall(service(), HC_SET_IOREQ_BUFFER, id, TEST_RAM), -EFAULT);
	page = 0x5008;
	memcpy(service_ram(0x1000), &page, sizeof(page));
	assert_int_equal(hypercall(service(), HC_SET_IOREQ_BUFFER, id, 0x1000), -EINVAL);
	page = TEST_DEVICE;
	memcpy(service_ram(0x1000), &page, sizeof(page));
	assert_int_equal(hypercall(service(), HC_SET_IOREQ_BUFFER, id, 0x1000), -EFAULT);
	page = TEST_RAM;
	memcpy(service_ram(0x1000), &page, sizeof(page));
	assert_int_equal(hypercall(service(), HC_SET_IOREQ_BUFFER, id, 0x1000), -EFAULT);
	assert_int_equal(hypercall(service(), HC_START_VM, id, 0), -EINVAL);
}

/* A port read: what does the device model see, what does the guest get? */
static void test_pio_read(void **state)
{
	struct io_access io;

	(void)state;
	test_on_block = device_model;
	answer = 0xAAAAAAAA12345678UL;
	io = access(IO_PIO, false, 2, 0x3F8);
	assert_int_equal(seen.type, ACRN_IOREQ_PIO);
	assert_int_equal(seen.direction, ACRN_IOREQ_READ);
	assert_int_equal(seen.address, 0x3F8);
	assert_int_equal(seen.size, 2);
	assert_int_equal(seen.completion_polling, 0);
	assert_int_equal(io.value, 0x12345678);
	assert_int_equal(slot(0)->processed, ACRN_IOREQ_FREE);
	assert_int_equal(blocks, 1);
	/* the upcall: one interrupt for the Service VM's boot CPU */
	assert_int_equal(test_msgs, 1);
	assert_ptr_equal(test_posted_to, service()->vcpus[0]);
	assert_int_equal(test_posted, 0xF3);
}

static void test_mmio(void **state)
{
	struct io_access io;

	(void)state;
	test_on_block = device_model;
	answer = 0x8877665544332211UL;
	io = access(IO_MMIO, false, 8, 0xC0000010);
	assert_int_equal(seen.type, ACRN_IOREQ_MMIO);
	assert_int_equal(io.value, 0x8877665544332211UL);
	io = access(IO_MMIO, true, 4, 0xC0000014);
	assert_int_equal(seen.direction, ACRN_IOREQ_WRITE);
	assert_int_equal(seen.mmio_value, 0x1122334455667788UL);
	assert_int_equal(io.value, 0x1122334455667788UL);
}

/* A configuration access is one request with its parts taken apart. */
static void test_pcicfg(void **state)
{
	struct io_access io;

	(void)state;
	test_on_block = device_model;
	answer = 0x80861237;
	io = access(IO_PCICFG, false, 4, (2U << 16) | (31U << 11) | (5U << 8) | 0xFC);
	assert_int_equal(seen.type, ACRN_IOREQ_PCICFG);
	assert_int_equal(seen.bus, 2);
	assert_int_equal(seen.dev, 31);
	assert_int_equal(seen.func, 5);
	assert_int_equal(seen.reg, 0xFC);
	assert_int_equal(io.value, 0x80861237);
}

/* Woken for another reason, as by an interrupt: the request must not be cut short. */
static void spurious(void)
{
	if (++blocks < 3)
		return;
	blocks = 0;
	device_model();
}

static void test_spurious_wake(void **state)
{
	(void)state;
	test_on_block = spurious;
	answer = 7;
	assert_int_equal(access(IO_PIO, false, 1, 0x60).value, 7);
}

/* A Service VM that writes every state and type in turn harms only this access. */
static uint32_t step;

static void hostile(void)
{
	static const uint32_t states[] = {ACRN_IOREQ_PENDING, ACRN_IOREQ_FREE, 4, 0xFFFFFFFF,
					  ACRN_IOREQ_PROCESSING, ACRN_IOREQ_COMPLETE};

	memset(slot(0), 0xFF, sizeof(*slot(0)) - 120);
	slot(0)->processed = states[step++];
}

static void test_hostile_states(void **state)
{
	(void)state;
	step = 0;
	test_on_block = hostile;
	assert_int_equal(access(IO_PIO, false, 4, 0x3F8).value, 0xFFFFFFFF);
	assert_int_equal(step, 6);
	assert_int_equal(slot(0)->processed, ACRN_IOREQ_FREE);
	/* the next one starts clean */
	test_on_block = device_model;
	answer = 1;
	assert_int_equal(access(IO_PIO, false, 4, 0x3F8).value, 1);
	assert_int_equal(seen.completion_polling, 0);
}

/* Notifications for vCPUs that are not there, and one nobody waits for. */
static void test_notify(void **state)
{
	(void)state;
	assert_int_equal(hypercall(service(), HC_NOTIFY_REQUEST_FINISH, user->id,
				   user->vcpu_count), -EINVAL);
	assert_int_equal(hypercall(service(), HC_NOTIFY_REQUEST_FINISH, user->id, UINT64_MAX),
			 -EINVAL);
	assert_null(test_woken);
	assert_int_equal(hypercall(service(), HC_NOTIFY_REQUEST_FINISH, user->id, 1), 0);
	assert_ptr_equal(test_woken, &user->vcpus[1]->thread);
}

static void polled(void)
{
	if (++blocks == 3)
		slot(0)->processed = ACRN_IOREQ_COMPLETE;
}

/* With the polling flag nobody notifies: does the vCPU look by itself, giving others the CPU? */
static void test_polling(void **state)
{
	struct acrn_vm_creation *c;
	uint64_t page = IOREQ_PAGE;

	(void)state;
	c = service_ram(0x1000);
	memset(c, 0, sizeof(*c));
	c->name[0] = 'p';
	c->vm_flag = GUEST_FLAG_IO_COMPLETION_POLLING;
	assert_int_equal(hypercall(service(), HC_CREATE_VM, 0x1000, 0), 0);
	user = user_vm(c->vmid);
	memcpy(service_ram(0x1000), &page, sizeof(page));
	assert_int_equal(hypercall(service(), HC_SET_IOREQ_BUFFER, user->id, 0x1000), 0);
	test_on_block = polled;
	(void)access(IO_PIO, true, 1, 0x80);
	assert_int_equal(test_yields, 3);
	assert_int_equal(slot(0)->completion_polling, 1);
	assert_int_equal(hypercall(service(), HC_NOTIFY_REQUEST_FINISH, user->id, 0), 0);
	assert_null(test_woken);
}

static jmp_buf out;

static void power_button(void)
{
	if (blocks++ != 0)
		longjmp(out, 1);
	seen = *slot(0);
	slot(0)->processed = ACRN_IOREQ_COMPLETE;
}

/* A triple fault is a power-off for the device model, and the vCPU never comes back. */
static void test_triple_fault(void **state)
{
	(void)state;
	test_on_block = power_button;
	if (setjmp(out) == 0)
		user->on_triple_fault(user->vcpus[0]);
	assert_int_equal(seen.type, ACRN_IOREQ_PIO);
	assert_int_equal(seen.direction, ACRN_IOREQ_WRITE);
	assert_int_equal(seen.address, 0x404);
	assert_int_equal(seen.size, 2);
	assert_int_equal(seen.value, 0x3400);
	assert_int_equal(blocks, 2);
}

/* After a reset no slot keeps the state of what was under way. */
static void test_reset(void **state)
{
	(void)state;
	slot(3)->processed = ACRN_IOREQ_PROCESSING;
	assert_int_equal(hypercall(service(), HC_PAUSE_VM, user->id, 0), 0);
	assert_int_equal(hypercall(service(), HC_RESET_VM, user->id, 0), 0);
	assert_int_equal(slot(3)->processed, ACRN_IOREQ_FREE);
}

static struct {
	uint32_t id;
	uint64_t a, b;
} traced[2];
static uint32_t traced_count;

void trace_write(uint32_t id, uint64_t a, uint64_t b)
{
	if (id != TRACE_IOREQ && id != TRACE_IOREQ_DONE)
		return;
	assert_true(traced_count < 2);
	traced[traced_count].id = id;
	traced[traced_count].a = a;
	traced[traced_count].b = b;
	traced_count++;
}

/* Is a request traced with what was asked and what came back, also of a VM that was reset? */
static void test_trace(void **state)
{
	(void)state;
	assert_int_equal(hypercall(service(), HC_PAUSE_VM, user->id, 0), 0);
	assert_int_equal(hypercall(service(), HC_RESET_VM, user->id, 0), 0);
	test_on_block = device_model;
	answer = 0x42;
	traced_count = 0;
	trace_on = true;
	(void)access(IO_MMIO, false, 4, 0xD0000010);
	trace_on = false;
	assert_int_equal(traced_count, 2);
	assert_int_equal(traced[0].id, TRACE_IOREQ);
	assert_int_equal(traced[0].a, IO_MMIO | 4 << 8);
	assert_int_equal(traced[0].b, 0xD0000010);
	assert_int_equal(traced[1].id, TRACE_IOREQ_DONE);
	assert_int_equal(traced[1].a, 0x42);
	assert_int_equal(traced[1].b, 0xD0000010);
}

/* Two vCPUs use two slots; the Service VM itself has none. */
static void second_slot(void)
{
	assert_int_equal(slot(0)->processed, ACRN_IOREQ_FREE);
	assert_int_equal(slot(1)->processed, ACRN_IOREQ_PENDING);
	slot(1)->value = 0x55;
	slot(1)->processed = ACRN_IOREQ_COMPLETE;
}

static void test_slots(void **state)
{
	struct io_access io = {.kind = IO_PIO, .width = 1, .addr = 1};

	(void)state;
	test_on_block = second_slot;
	user->io_fallback(user->vcpus[1], &io);
	assert_int_equal(io.value, 0x55);
	assert_null(service()->ioreq);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_buffer, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_pio_read, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_mmio, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_pcicfg, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_spurious_wake, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_hostile_states, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_notify, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_polling, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_triple_fault, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_reset, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_trace, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_slots, setup, service_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
