// SPDX-License-Identifier: BSD-3-Clause
/*
 * Ports and MMIO regions: who gets an access, the I/O bitmap, RAX of IN and OUT, and string I/O
 * with its faults and progress.
 */
/* links: @machine @guest */
#include <string.h>

#include "guest_machine.h"

#define PORT 0x60U

static uint32_t calls, last_arg;
static struct io_access last;

static void port_io(struct vcpu *vcpu, void *arg, struct io_access *io)
{
	(void)vcpu;
	calls++;
	last_arg = (uint32_t)(uintptr_t)arg;
	last = *io;
	if (!io->write)
		io->value = 0xA1A2A3A4A5A6A7A8UL;
}

static int setup(void **state)
{
	(void)guest_setup(state);
	calls = 0;
	return vio_add_pio(test_vm(1), PORT, 4, port_io, (void *)7);
}

/* IN and OUT of `width` bytes at the port; the qualification as SDM 3C table 28-5 has it. */
static void port_exit(struct vcpu *c, uint16_t port, uint32_t width, bool in, uint32_t more)
{
	fake_vmcs[VMCS_EXIT_QUALIFICATION] =
		(uint64_t)port << 16 | (in ? 8U : 0U) | (width - 1U) | more;
	fake_vmcs[VMCS_EXIT_INSN_LEN] = 1;
	test_exit(c, EXIT_IO);
}

/* What does each width leave in RAX, and hand to the device? */
static void test_in_out(void **state)
{
	static const struct {
		uint32_t width;
		uint64_t in, out;
	} widths[] = {{1, 0x11223344556677A8UL, 0x88}, {2, 0x112233445566A7A8UL, 0x7788},
		      {4, 0xA5A6A7A8UL, 0x55667788}};
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		c->gpr[GPR_RAX] = 0x1122334455667788UL;
		port_exit(c, PORT, widths[i].width, false, 0);
		assert_true(last.write);
		assert_int_equal(last.value, widths[i].out);
		assert_int_equal(last.width, widths[i].width);
		assert_int_equal(last_arg, 7);
		assert_int_equal(c->gpr[GPR_RAX], 0x1122334455667788UL);
		port_exit(c, PORT, widths[i].width, true, 0);
		assert_int_equal(c->gpr[GPR_RAX], widths[i].in);
		expect_skip(1);
	}
}

/* An access belongs to the region it begins in; its neighbours are the fallback's. */
static void test_region_edges(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	port_exit(c, PORT - 1U, 4, true, 0); /* reaches in, but begins outside */
	assert_int_equal(calls, 0);
	assert_int_equal(test_fallbacks, 1);
	assert_int_equal(test_io[0].kind, IO_PIO);
	assert_int_equal(test_io[0].addr, PORT - 1U);
	assert_int_equal(c->gpr[GPR_RAX], 0xFFFFFFFF);
	port_exit(c, PORT + 3U, 4, true, 0);
	assert_int_equal(calls, 1);
	port_exit(c, PORT + 4U, 1, false, 0);
	assert_int_equal(calls, 1);
	port_exit(c, 0xFFFF, 1, false, 0);
	assert_int_equal(test_fallbacks, 3);
	port_exit(test_vcpu(0, 0), PORT, 1, true, 0); /* the other VM has no such region */
	assert_int_equal(calls, 1);
}

/* What may be claimed: no overlap, nothing empty, nothing past the last port, a limit. */
static void test_claims(void **state)
{
	struct vm *vm = test_vm(1);

	(void)state;
	assert_int_equal(vio_add_pio(vm, PORT + 3U, 1, port_io, NULL), -EEXIST);
	assert_int_equal(vio_add_pio(vm, PORT - 2U, 3, port_io, NULL), -EEXIST);
	assert_int_equal(vio_add_pio(vm, PORT - 2U, 100, port_io, NULL), -EEXIST);
	assert_int_equal(vio_add_pio(vm, PORT - 2U, 2, port_io, NULL), 0);
	assert_int_equal(vio_add_pio(vm, 0x100, 0, port_io, NULL), -EINVAL);
	assert_int_equal(vio_add_pio(vm, 0xFFFF, 2, port_io, NULL), -EINVAL);
	assert_int_equal(vio_add_pio(vm, 0xFFFF, 1, port_io, NULL), 0);
	assert_int_equal(vio_add_mmio(vm, GPA(UINT64_MAX - 1U), 4, port_io, NULL), -EINVAL);
	assert_int_equal(vio_add_mmio(vm, GPA(0x1000), 0, port_io, NULL), -EINVAL);
	for (uint64_t i = 0; i < 48U; i++)
		assert_int_equal(vio_add_mmio(vm, GPA(0x100000U + i * 0x1000U), 0x1000, port_io, NULL), 0);
	assert_int_equal(vio_add_mmio(vm, GPA(0x900000), 1, port_io, NULL), -ENOSPC);
}

/* Regions that go: the last one hit must not answer any more, others stay. */
static void test_remove(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);
	struct vm *vm = test_vm(1);
	struct io_access io = {.kind = IO_MMIO, .width = 4};

	(void)state;
	for (uint64_t i = 0; i < 10U; i++)
		assert_int_equal(vio_add_mmio(vm, GPA(0xF0000000U + (9U - i) * 0x1000U), 0x1000,
					      port_io, (void *)(9U - i)), 0);
	for (uint64_t i = 0; i < 10U; i++) {
		io.addr = 0xF0000000U + i * 0x1000U + 0xFFCU;
		vio_dispatch(c, &io);
		assert_int_equal(last_arg, i);
	}
	vio_remove_mmio(vm, GPA(0xF0009000U));
	vio_remove_mmio(vm, GPA(0xF0004001U)); /* not where one begins */
	assert_int_equal(test_fallbacks, 0);
	vio_dispatch(c, &io);
	assert_int_equal(test_fallbacks, 1);
	vio_remove_mmio(vm, GPA(0xF0003000U));
	io.addr = 0xF0004000U;
	vio_dispatch(c, &io);
	assert_int_equal(last_arg, 4);
	io.addr = 0xF0003000U;
	vio_dispatch(c, &io);
	assert_int_equal(test_fallbacks, 2);
}

/* Ports that nobody claims, asked for again and again: where do they end, and when a claim comes? */
static void test_unclaimed(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);
	struct vm *vm = test_vm(1);
	struct io_access io = {.kind = IO_PIO, .width = 1};
	static const uint64_t around[] = {PORT - 1U, PORT + 4U, 0xFFFF, 0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(around); i++) {
		uint32_t before = calls;

		io.addr = around[i];
		vio_dispatch(c, &io);
		vio_dispatch(c, &io);
		assert_int_equal(calls, before);
		io.addr = PORT;
		vio_dispatch(c, &io);
		io.addr = PORT + 3U;
		vio_dispatch(c, &io);
		assert_int_equal(calls, before + 2U);
	}
	io.addr = 0x700;
	vio_dispatch(c, &io);
	assert_int_equal(vio_add_pio(vm, 0x700, 1, port_io, (void *)9UL), 0);
	vio_dispatch(c, &io);
	assert_int_equal(last_arg, 9);
	io.addr = 0x701;
	last_arg = 0;
	vio_dispatch(c, &io);
	assert_int_equal(last_arg, 0);
}

/* The bitmap: all ports of a VM exit, until some are opened; the machine's owner has the reverse. */
static void test_bitmap(void **state)
{
	struct vm *user = test_vm(1), *service = test_vm(0);

	(void)state;
	for (uint32_t port = 0; port < 0x10000U; port++)
		assert_true(port_exits(user, (uint16_t)port));
	vio_allow_pio(user, 0x3F8, 8, true);
	vio_allow_pio(user, 0xFFFE, 100, true);
	assert_false(port_exits(user, 0x3F8));
	assert_false(port_exits(user, 0x3FF));
	assert_true(port_exits(user, 0x3F7));
	assert_true(port_exits(user, 0x400));
	assert_false(port_exits(user, 0xFFFF));
	assert_true(port_exits(user, 0xFFFD));
	vio_service_defaults(service);
	assert_false(port_exits(service, 0x1F0));
	assert_true(port_exits(service, 0xCF8)); /* claimed before */
	assert_true(port_exits(service, 0xCFF));
	assert_false(port_exits(service, 0xCF9));
	assert_int_equal(vio_add_pio(service, 0x20, 2, port_io, NULL), 0);
	assert_true(port_exits(service, 0x20)); /* claimed afterwards */
	assert_true(port_exits(service, 0x21));
	assert_false(port_exits(service, 0x22));
	assert_true(port_exits(user, 0x20));
}

/* Reads of nothing are all-ones. */
static void test_all_ones(void **state)
{
	struct io_access io = {.write = true, .value = 5};

	(void)state;
	vio_all_ones(test_vcpu(1, 0), &io);
	assert_int_equal(io.value, 5);
	io.write = false;
	vio_all_ones(test_vcpu(1, 0), &io);
	assert_int_equal(io.value, UINT64_MAX);
}

#define STRING	     BIT32(4)
#define REP	     BIT32(5)
#define INFO_ADDR16  0U
#define INFO_ADDR32  (1U << 7)
#define INFO_ADDR64  (2U << 7)
#define INFO_SEG(s)  ((uint32_t)(s) << 15)

/* OUTS and INS one element an exit: pointers, count, RIP at the end only. */
static void test_string(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	memcpy(test_ram(test_vm(1), 0x20000), "\x11\x22\x33\x44", 4);
	fake_vmcs[VMCS_EXIT_INSN_INFO] = INFO_ADDR64 | INFO_SEG(GMEM_SEG_DS);
	c->gpr[GPR_RSI] = 0x20000;
	c->gpr[GPR_RCX] = 2;
	port_exit(c, PORT, 2, false, STRING | REP);
	expect_stay(c);
	assert_int_equal(test_elements, 1); /* a single-stepping guest gets its trap */
	assert_int_equal(last.value, 0x2211);
	assert_int_equal(c->gpr[GPR_RSI], 0x20002);
	assert_int_equal(c->gpr[GPR_RCX], 1);
	port_exit(c, PORT, 2, false, STRING | REP);
	expect_skip(1);
	assert_int_equal(last.value, 0x4433);
	port_exit(c, PORT, 2, false, STRING | REP); /* RCX is 0 */
	expect_skip(1);
	assert_int_equal(calls, 2);
	c->gpr[GPR_RDI] = 0x21000;
	fake_vmcs[VMCS_GUEST_RFLAGS] |= RFLAGS_DF;
	port_exit(c, PORT, 4, true, STRING);
	expect_skip(1);
	assert_memory_equal(test_ram(test_vm(1), 0x21000), "\xa8\xa7\xa6\xa5\0", 5);
	assert_int_equal(c->gpr[GPR_RDI], 0x20FFC);
	assert_int_equal(c->gpr[GPR_RCX], 0); /* without REP it is not touched */
}

/* What if memory faults? The device is not read, and what was moved before stays moved. */
static void test_string_fault(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	fake_vmcs[VMCS_EXIT_INSN_INFO] = INFO_ADDR64;
	c->gpr[GPR_RDI] = 0x1FFFFE; /* the second element is in a page the guest has not mapped */
	c->gpr[GPR_RCX] = 5;
	port_exit(c, PORT, 2, true, STRING | REP);
	expect_stay(c);
	assert_int_equal(c->gpr[GPR_RCX], 4);
	port_exit(c, PORT, 2, true, STRING | REP);
	expect_exception(c, EXC_PF, PFEC_W);
	assert_int_equal(fake_cr[2], 0x200000);
	assert_int_equal(c->gpr[GPR_RCX], 4);
	assert_int_equal(c->gpr[GPR_RDI], 0x200000);
	assert_int_equal(calls, 1);
	c->gpr[GPR_RDI] = 0x1FFFFE; /* half of the element is; the address is where the fault is */
	port_exit(c, PORT, 4, true, STRING | REP);
	expect_exception(c, EXC_PF, PFEC_W);
	assert_int_equal(fake_cr[2], 0x200000);
	assert_int_equal(calls, 1);
	c->gpr[GPR_RSI] = 0x200000;
	fake_vmcs[VMCS_EXIT_INSN_INFO] = INFO_ADDR64 | INFO_SEG(GMEM_SEG_DS);
	port_exit(c, PORT, 1, false, STRING);
	expect_exception(c, EXC_PF, 0);
	assert_int_equal(calls, 1);
}

/* 16 and 32-bit addresses wrap within themselves; 16-bit ones keep the registers' upper halves. */
static void test_string_address_sizes(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	mode_real();
	*test_ram(test_vm(1), 0x2FFFF) = 0x5A;
	fake_vmcs[VMCS_GUEST_ES_BASE + 2U * GMEM_SEG_GS] = 0x20000;
	fake_vmcs[VMCS_EXIT_INSN_INFO] = INFO_ADDR16 | INFO_SEG(GMEM_SEG_GS);
	c->gpr[GPR_RSI] = 0xABCDFFFF;
	c->gpr[GPR_RCX] = 0xFFFF0001;
	port_exit(c, PORT, 1, false, STRING | REP);
	assert_int_equal(last.value, 0x5A);
	assert_int_equal(c->gpr[GPR_RSI], 0xABCD0000);
	assert_int_equal(c->gpr[GPR_RCX], 0xFFFF0000);
	expect_skip(1);
	mode_long64();
	fake_vmcs[VMCS_EXIT_INSN_INFO] = INFO_ADDR32 | INFO_SEG(GMEM_SEG_DS);
	c->gpr[GPR_RSI] = 0xFFFFFFFF00020000UL;
	port_exit(c, PORT, 1, false, STRING);
	assert_int_equal(c->gpr[GPR_RSI], 0x20001);
}

/* A segment that ends too early: #GP, and the device sees nothing. */
static void test_string_segment(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	mode_real();
	fake_vmcs[VMCS_EXIT_INSN_INFO] = INFO_ADDR16;
	c->gpr[GPR_RDI] = 0xFFFF;
	port_exit(c, PORT, 2, true, STRING);
	expect_exception(c, EXC_GP, 0);
	fake_vmcs[VMCS_EXIT_INSN_INFO] = INFO_ADDR16 | INFO_SEG(GMEM_SEG_SS);
	c->gpr[GPR_RSI] = 0xFFFF;
	port_exit(c, PORT, 2, false, STRING);
	expect_exception(c, EXC_SS, 0);
	assert_int_equal(calls, 0);
}

/* No pool left: creation fails and leaves nothing. */
static void test_no_memory(void **state)
{
	struct vm vm = {.id = 3};

	(void)state;
	fake_pool_empty = true;
	assert_int_equal(unit_vm_init(&vm), -ENOMEM);
	fake_pool_empty = false;
	assert_null(vm.vio);
	assert_null(vm.io_bitmap);
	assert_null(vm.msr_bitmap);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, guest_teardown)
	const struct CMUnitTest tests[] = {
		T(test_in_out),	 T(test_region_edges), T(test_claims),	       T(test_remove),
		T(test_unclaimed),
		T(test_bitmap),	 T(test_all_ones),     T(test_string),	       T(test_string_fault),
		T(test_string_address_sizes),	       T(test_string_segment), T(test_no_memory),
	};

	return cmocka_run_group_tests_name("vio", tests, NULL, NULL);
}
