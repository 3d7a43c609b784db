// SPDX-License-Identifier: BSD-3-Clause
// links: @service
/*
 * Priority inheritance: what rank have the Service VM's threads while it serves a User VM?
 */
#include <string.h>

#include "service_machine.h"

#define OWN  10U
#define HIGH 30U

static struct vm *a, *b;
static uint32_t during;

static struct acrn_io_request *slot(uint64_t page)
{
	return (struct acrn_io_request *)service_ram(page);
}

static int setup(void **state)
{
	(void)service_setup(state);
	a = start_vm("a", 0x3000);
	b = start_vm("b", 0x4000);
	service()->rank = OWN;
	for (uint16_t i = 0; i < service()->vcpu_count; i++)
		service()->vcpus[i]->thread.rank = OWN;
	a->rank = HIGH;
	b->rank = HIGH - 5U;
	test_ranks = 0;
	return 0;
}

/* Of all the Service VM's threads. */
static uint32_t rank(void)
{
	uint32_t r = service()->vcpus[0]->thread.rank;

	for (uint16_t i = 0; i < service()->vcpu_count; i++)
		assert_int_equal(service()->vcpus[i]->thread.rank, r);
	return r;
}

static void ask(struct vm *vm)
{
	struct io_access io = {.kind = IO_PIO, .width = 1, .addr = 0x84};

	vm->io_fallback(vm->vcpus[0], &io);
}

static void serve_a(void)
{
	during = rank();
	slot(0x3000)->processed = ACRN_IOREQ_COMPLETE;
	assert_int_equal(hypercall(service(), HC_NOTIFY_REQUEST_FINISH, a->id, 0), 0);
	assert_int_equal(rank(), OWN);
}

/* From the request to its end, and not a moment longer? */
static void test_request(void **state)
{
	(void)state;
	test_on_block = serve_a;
	ask(a);
	assert_int_equal(during, HIGH);
	assert_int_equal(rank(), OWN);
	assert_int_equal(test_ranks, 2U * service()->vcpu_count);
}

/* A VM that is not above its owner: is nothing done? */
static void test_not_higher(void **state)
{
	(void)state;
	a->rank = OWN;
	test_on_block = serve_a;
	ask(a);
	assert_int_equal(during, OWN);
	assert_int_equal(test_ranks, 0);
}

static void serve_b(void)
{
	assert_int_equal(rank(), HIGH);
	slot(0x4000)->processed = ACRN_IOREQ_COMPLETE;
	assert_int_equal(hypercall(service(), HC_NOTIFY_REQUEST_FINISH, b->id, 0), 0);
	assert_int_equal(rank(), HIGH);
}

static void serve_both(void)
{
	test_on_block = serve_b;
	ask(b);
	serve_a();
}

/* Two VMs wait at once: the higher rank counts as long as its VM waits. */
static void test_two(void **state)
{
	(void)state;
	test_on_block = serve_both;
	ask(a);
	assert_int_equal(rank(), OWN);
}

static uint32_t lowered;

static void end_a_while_b_waits(void)
{
	slot(0x3000)->processed = ACRN_IOREQ_COMPLETE;
	assert_int_equal(hypercall(service(), HC_NOTIFY_REQUEST_FINISH, a->id, 0), 0);
	lowered = rank();
	slot(0x4000)->processed = ACRN_IOREQ_COMPLETE;
	assert_int_equal(hypercall(service(), HC_NOTIFY_REQUEST_FINISH, b->id, 0), 0);
}

static void b_asks_too(void)
{
	test_on_block = end_a_while_b_waits;
	ask(b);
}

/* The higher is served first: the lower one's rank is left. */
static void test_lower_remains(void **state)
{
	(void)state;
	test_on_block = b_asks_too;
	ask(a);
	assert_int_equal(lowered, HIGH - 5U);
	assert_int_equal(rank(), OWN);
}

static void poll_complete(void)
{
	during = rank();
	slot(0x3000)->processed = ACRN_IOREQ_COMPLETE;
}

/* A VM that looks for the end by itself gets no hypercall. */
static void test_polling(void **state)
{
	(void)state;
	test_on_block = poll_complete;
	ask(a);
	assert_int_equal(during, HIGH);
	assert_int_equal(rank(), OWN);
}

static void (*killer)(void);

/* acrn-dm has died: the VM is reset or destroyed, and the request never ends. */
static void kill_vm(void)
{
	assert_int_equal(rank(), HIGH);
	assert_int_equal(hypercall(service(), HC_PAUSE_VM, a->id, 0), 0);
	killer();
	assert_int_equal(rank(), OWN);
	slot(0x3000)->processed = ACRN_IOREQ_COMPLETE; /* so that the test comes back */
}

static void reset_a(void)
{
	assert_int_equal(hypercall(service(), HC_RESET_VM, a->id, 0), 0);
}

static void test_reset(void **state)
{
	(void)state;
	killer = reset_a;
	test_on_block = kill_vm;
	ask(a);
	assert_int_equal(rank(), OWN);
}

static void deinit_a(void)
{
	struct vm_ioreq *kept = a->ioreq;

	a->ioreq = NULL; /* the request goes on with it below */
	unit_vm_deinit(a);
	a->ioreq = kept;
}

static void test_destroy(void **state)
{
	(void)state;
	killer = deinit_a;
	test_on_block = kill_vm;
	ask(a);
	assert_int_equal(rank(), OWN);
}

/* inherit=off on the command line, to see what it is good for. */
static void test_off(void **state)
{
	(void)state;
	(void)service_teardown(state);
	test_inherit = "off";
	(void)setup(state);
	test_inherit = NULL;
	test_on_block = serve_a;
	ask(a);
	assert_int_equal(during, OWN);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, service_teardown)
	const struct CMUnitTest tests[] = {
		T(test_request), T(test_not_higher),	T(test_two),	 T(test_lower_remains),
		T(test_polling), T(test_reset),		T(test_destroy), T(test_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
