// SPDX-License-Identifier: BSD-3-Clause
// links: @service hypervisor/debug/trace.c
/*
 * Rings in the Service VM's memory: what arrives there, which are refused, and when they end.
 */
#include <string.h>

#include "acrn/trace.h"
#include "hv/rings.h"
#include "hv/trace.h"
#include "hv/vmexit.h"
#include "service_machine.h"

#define PARAM 0x1000U
#define RING  0x2FC0U /* a header before a page, entries behind */
#define NUM   64U

static struct sbuf_header *ring(uint64_t gpa, uint32_t size)
{
	struct sbuf_header *h = service_ram(gpa);

	*h = (struct sbuf_header){
		.magic = SBUF_MAGIC, .ele_num = NUM, .ele_size = size, .size = NUM * size};
	return h;
}

static int64_t share(uint16_t cpu, uint32_t id, uint64_t gpa)
{
	const struct acrn_sbuf_param p = {.cpu_id = cpu, .sbuf_id = id, .gpa = gpa};

	memcpy(service_ram(PARAM), &p, sizeof(p));
	return hypercall(service(), HC_SETUP_SBUF, 0, PARAM);
}

/* Nothing but the result tells that it was asked for. */
static void refused(uint16_t cpu, uint32_t id, uint64_t gpa, int64_t error)
{
	const struct acrn_sbuf_param p = {.cpu_id = cpu, .sbuf_id = id, .gpa = gpa};
	struct service_state *before;

	memcpy(service_ram(PARAM), &p, sizeof(p));
	before = service_state();
	assert_int_equal(hypercall(service(), HC_SETUP_SBUF, 0, PARAM), error);
	assert_true(service_state_same(before));
	assert_false(trace_on);
}

static int setup(void **state)
{
	(void)service_setup(state);
	for (uint16_t cpu = 0; cpu < pcpu_count; cpu++) {
		pcpus[cpu].idle.pcpu = &pcpus[cpu];
		pcpus[cpu].rq.current = &service()->vcpus[cpu % service()->vcpu_count]->thread;
	}
	return 0;
}

/* Do trace entries of one CPU come to its ring, with the vCPU that runs there? */
static void test_trace(void **state)
{
	const struct sbuf_header *h = ring(RING, sizeof(struct trace_entry));
	const struct trace_entry *e = (const void *)(h + 1);

	(void)state;
	assert_false(trace_on);
	assert_int_equal(share(1, ACRN_SBUF_TRACE, RING), 0);
	assert_true(trace_on);
	trace(TRACE_IRQ, 0x20, 0);
	assert_int_equal(h->tail, 0);
	fake_cpu = 1;
	trace(TRACE_IRQ, 0x21, 7);
	pcpus[1].rq.current = &pcpus[1].idle;
	trace_switch(&service()->vcpus[1]->thread, &pcpus[1].idle);
	fake_cpu = 0;
	assert_int_equal(h->tail, 2 * sizeof(*e));
	assert_int_equal(e[0].id, TRACE_IRQ);
	assert_int_equal(e[0].cpu, 1);
	assert_int_equal(e[0].vm, TEST_SERVICE_ID);
	assert_int_equal(e[0].vcpu, 1);
	assert_int_equal(e[0].data[0], 0x21);
	assert_int_equal(e[0].data[1], 7);
	assert_true(e[1].tsc > e[0].tsc);
	assert_int_equal(e[1].vm, TRACE_NO_VM);
	assert_int_equal(e[1].data[0], TEST_SERVICE_ID << 8 | 1);
	assert_int_equal(e[1].data[1], TRACE_NO_VM << 8);
	/* and no more when it is taken away */
	assert_int_equal(share(1, ACRN_SBUF_TRACE, 0), 0);
	assert_false(trace_on);
	fake_cpu = 1;
	trace_write(TRACE_IRQ, 0x22, 0);
	fake_cpu = 0;
	assert_int_equal(h->tail, 2 * sizeof(*e));
}

/* Does an exit say what its handler will look at? */
static void test_exits(void **state)
{
	struct vcpu *vcpu = service()->vcpus[0];
	const struct trace_entry *e;

	(void)state;
	e = (const void *)(ring(RING, sizeof(*e)) + 1);
	assert_int_equal(share(0, ACRN_SBUF_TRACE, RING), 0);
	/* the first of all is the hypercall that shared the ring */
	assert_int_equal(e->id, TRACE_HYPERCALL);
	assert_int_equal(e->data[0] & 0xFFFFFF, HC_SETUP_SBUF);
	assert_int_equal(e->data[1], 0);
	e++;
	fake_vmcs[VMCS_GUEST_RIP] = 0x1234;
	fake_vmcs[VMCS_EXIT_QUALIFICATION] = 0x99;
	fake_vmcs[VMCS_GUEST_PHYS_ADDR] = 0xFEED000;
	vcpu->gpr[GPR_RCX] = 0x10;
	vcpu->gpr[GPR_RDX] = 0x5;
	vcpu->gpr[GPR_RAX] = 0xFFFFFFFF00000006UL;
	trace_exit(vcpu, EXIT_HLT);
	trace_exit(vcpu, EXIT_EPT_VIOLATION);
	trace_exit(vcpu, EXIT_WRMSR);
	assert_int_equal(e[0].id, TRACE_VM_EXIT);
	assert_int_equal(e[0].data[0], EXIT_HLT);
	assert_int_equal(e[0].data[1], 0x1234);
	assert_int_equal(e[1].data[0], EXIT_EPT_VIOLATION);
	assert_int_equal(e[2].id, TRACE_EXIT_DETAIL + EXIT_EPT_VIOLATION);
	assert_int_equal(e[2].data[0], 0x99);
	assert_int_equal(e[2].data[1], 0xFEED000);
	assert_int_equal(e[4].id, TRACE_EXIT_DETAIL + EXIT_WRMSR);
	assert_int_equal(e[4].data[0], 0x10);
	assert_int_equal(e[4].data[1], 0x500000006UL);
}

/* Does a line of the log arrive whole, also when it fills its entries to the last byte? */
static void test_log(void **state)
{
	const struct sbuf_header *h = ring(RING, HVLOG_ENTRY);
	const char *text = (const char *)(h + 1);
	char line[321];

	(void)state;
	assert_int_equal(share(0, ACRN_SBUF_HVLOG, RING), 0);
	assert_false(trace_on);
	test_log_sink->write(LOG_INFO, "[1us] short", 11);
	assert_int_equal(h->tail, HVLOG_ENTRY);
	assert_string_equal(text, "[1us] short\n");
	for (uint32_t len = 79; len <= 320; len++) {
		uint32_t at = h->tail;

		((struct sbuf_header *)(uintptr_t)h)->head = h->tail;
		memset(line, 'x', len);
		line[len] = '\0';
		test_log_sink->write(LOG_INFO, line, len);
		for (uint32_t i = 0; i <= len; i++, at = at % h->size) {
			assert_int_equal(text[at], i < len ? 'x' : '\n');
			at++;
		}
		if (at % HVLOG_ENTRY != 0)
			assert_int_equal(text[at], 0);
		assert_int_equal(h->tail, (at + HVLOG_ENTRY - 1) / HVLOG_ENTRY * HVLOG_ENTRY %
						  h->size);
	}
}

/* What if the ring, its header or the call is not what it should be? Nothing changes. */
static void test_refused(void **state)
{
	static const struct {
		size_t at;
		uint32_t value;
	} headers[] = {
		{offsetof(struct sbuf_header, magic), 1},
		{offsetof(struct sbuf_header, ele_num), 0},
		{offsetof(struct sbuf_header, ele_num), 1},
		{offsetof(struct sbuf_header, ele_num), NUM + 1},
		{offsetof(struct sbuf_header, ele_num), UINT32_MAX},
		{offsetof(struct sbuf_header, ele_size), 31},
		{offsetof(struct sbuf_header, ele_size), HVLOG_ENTRY},
		{offsetof(struct sbuf_header, size), 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		uint8_t *h = (uint8_t *)ring(RING, sizeof(struct trace_entry));

		memcpy(&h[headers[i].at], &headers[i].value, 4);
		refused(0, ACRN_SBUF_TRACE, RING, -EINVAL);
	}
	(void)ring(RING, sizeof(struct trace_entry));
	refused(pcpu_count, ACRN_SBUF_TRACE, RING, -EINVAL);
	refused(UINT16_MAX, ACRN_SBUF_TRACE, 0, -EINVAL);
	for (uint32_t id = 2; id < 70; id++)
		refused(0, id, RING, -EINVAL);
	refused(0, ACRN_SBUF_TRACE, RING + 4, -EINVAL);
	refused(0, ACRN_SBUF_TRACE, UINT64_MAX - 15, -EFAULT);
	refused(0, ACRN_SBUF_TRACE, TEST_DEVICE, -EFAULT);
	assert_int_equal(hypercall(service(), HC_SETUP_SBUF, 0, TEST_RAM - 8), -EFAULT);
	/* its last entry lies beyond the RAM */
	(void)ring(TEST_RAM - 64 - NUM * 32 + 32, sizeof(struct trace_entry));
	refused(0, ACRN_SBUF_TRACE, TEST_RAM - 64 - NUM * 32 + 32, -EFAULT);
	/* and one page of it is a device's */
	(void)ring(RING, sizeof(struct trace_entry));
	(void)ept_unmap(&service()->ept, GPA(0x3000), PAGE_SIZE);
	refused(0, ACRN_SBUF_TRACE, RING, -EFAULT);
	assert_false(trace_on);
}

/* When the Service VM starts anew, is its memory left alone? */
static void test_reset(void **state)
{
	const struct sbuf_header *h = ring(RING, sizeof(struct trace_entry));
	uint32_t tail;

	(void)state;
	assert_int_equal(share(0, ACRN_SBUF_TRACE, RING), 0);
	assert_int_equal(share(2, ACRN_SBUF_TRACE, RING), 0);
	tail = h->tail;
	unit_vm_reset(service());
	assert_false(trace_on);
	trace_write(TRACE_IRQ, 1, 2);
	assert_int_equal(h->tail, tail);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_trace, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_exits, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_log, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_reset, setup, service_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
