// SPDX-License-Identifier: BSD-3-Clause
/*
 * Emulation of instructions on device memory: effects on registers, flags, memory and the device;
 * fetching over page ends; progress of repeated strings; what is refused.
 */
/* links: @machine @guest */
#include <string.h>

#include "guest_machine.h"
#include "hv/inst.h"

#define CODE   0x8000UL
#define DEVICE 0xFE000000UL

static uint8_t device[64];
static uint32_t device_reads, device_writes;
static uint8_t device_width;

static void device_io(struct vcpu *vcpu, void *arg, struct io_access *io)
{
	uint8_t *at = &device[io->addr - DEVICE];

	(void)vcpu;
	assert_ptr_equal(arg, device);
	device_width = io->width;
	if (io->write) {
		device_writes++;
		memcpy(at, &io->value, io->width);
	} else {
		device_reads++;
		io->value = 0xDEADDEADDEADDEADUL; /* a handler may leave rubbish above the width */
		memcpy(&io->value, at, io->width);
	}
}

static int setup(void **state)
{
	(void)guest_setup(state);
	device_reads = device_writes = 0;
	memset(device, 0, sizeof(device));
	return vio_add_mmio(test_vm(1), GPA(DEVICE), sizeof(device), device_io, device);
}

static uint64_t device_get(void)
{
	uint64_t v;

	memcpy(&v, device, sizeof(v));
	return v;
}

static void device_put(uint64_t v)
{
	memcpy(device, &v, sizeof(v));
}

/* Put the instruction at CODE and let its access to the device's first byte exit. */
static void run(const char *bytes, size_t len, bool write)
{
	struct vcpu *c = test_vcpu(1, 0);

	memcpy(test_ram(test_vm(1), CODE), bytes, len);
	fake_vmcs[VMCS_GUEST_RIP] = CODE;
	fake_vmcs[VMCS_EXIT_QUALIFICATION] =
		(write ? EPTV_WRITE : EPTV_READ) | EPTV_LINEAR | EPTV_FINAL;
	fake_vmcs[VMCS_GUEST_PHYS_ADDR] = DEVICE;
	test_exit(c, EXIT_EPT_VIOLATION);
}

#define F(x) (RFLAGS_FIXED | (x))

/* One effect: the instruction, RAX, RCX and device before; all of them and the flags after. */
static const struct {
	const char *name, *bytes;
	uint8_t len;
	bool write;
	uint64_t rax, rcx, dev;
	uint64_t rax_after, rcx_after, dev_after, flags_after;
	uint8_t width;
} effects[] = {
	{"mov eax, [m]", "\x8b\x03", 2, 0, -1UL, 0, 0x1122334455667788, 0x55667788, 0,
	 0x1122334455667788, F(0), 4},
	{"mov rax, [m]", "\x48\x8b\x03", 3, 0, 0, 0, 0x1122334455667788, 0x1122334455667788, 0,
	 0x1122334455667788, F(0), 8},
	{"mov ax, [m]", "\x66\x8b\x03", 3, 0, -1UL, 0, 0x7788, 0xFFFFFFFFFFFF7788, 0, 0x7788, F(0), 2},
	{"mov al, [m]", "\x8a\x03", 2, 0, -1UL, 0, 0x88, 0xFFFFFFFFFFFFFF88, 0, 0x88, F(0), 1},
	{"mov ah, [m]", "\x8a\x23", 2, 0, -1UL, 0, 0x88, 0xFFFFFFFFFFFF88FF, 0, 0x88, F(0), 1},
	{"mov [m], ah", "\x88\x23", 2, 1, 0x1234, 0, 0, 0x1234, 0, 0x12, F(0), 1},
	{"mov [m], eax", "\x89\x03", 2, 1, -1UL, 0, 0, -1UL, 0, 0xFFFFFFFF, F(0), 4},
	{"mov qword [m], -2", "\x48\xc7\x03\xfe\xff\xff\xff", 7, 1, 0, 0, 0, 0, 0, -2UL, F(0), 8},
	{"movzx eax, byte [m]", "\x0f\xb6\x03", 3, 0, -1UL, 0, 0x80, 0x80, 0, 0x80, F(0), 1},
	{"movsx eax, byte [m]", "\x0f\xbe\x03", 3, 0, 0, 0, 0x80, 0xFFFFFF80, 0, 0x80, F(0), 1},
	{"movsx rax, word [m]", "\x48\x0f\xbf\x03", 4, 0, 0, 0, 0x8000, -0x8000UL, 0, 0x8000, F(0), 2},
	{"movsxd rax, [m]", "\x48\x63\x03", 3, 0, 0, 0, 0x80000000, -0x80000000UL, 0, 0x80000000,
	 F(0), 4},
	{"add [m], eax", "\x01\x03", 2, 1, 1, 0, 0xFFFFFFFF, 1, 0, 0,
	 F(RFLAGS_CF | RFLAGS_ZF | RFLAGS_PF | RFLAGS_AF), 4},
	{"add eax, [m]", "\x03\x03", 2, 0, 1, 0, 0x7FFFFFFF, 0x80000000, 0, 0x7FFFFFFF,
	 F(RFLAGS_OF | RFLAGS_SF | RFLAGS_PF | RFLAGS_AF), 4},
	{"and dword [m], 0x7f", "\x83\x23\x7f", 3, 1, 0, 0, 0x1FF, 0, 0, 0x7F, F(0), 4},
	{"or al, [m]", "\x0a\x03", 2, 0, 0x100, 0, 0x80, 0x180, 0, 0x80, F(RFLAGS_SF), 1},
	{"xor byte [m], 1", "\x80\x33\x01", 3, 1, 0, 0, 1, 0, 0, 0, F(RFLAGS_ZF | RFLAGS_PF), 1},
	{"cmp dword [m], -1", "\x83\x3b\xff", 3, 0, 0, 0, 0xFFFFFFFF, 0, 0, 0xFFFFFFFF,
	 F(RFLAGS_ZF | RFLAGS_PF), 4},
	{"test dword [m], 0x100", "\xf7\x03\x00\x01\x00\x00", 6, 0, 0, 0, 0x100, 0, 0, 0x100,
	 F(RFLAGS_PF), 4},
	{"not dword [m]", "\xf7\x13", 2, 1, 0, 0, 0xF0F0F0F0, 0, 0, 0x0F0F0F0F, F(0), 4},
	{"inc dword [m]", "\xff\x03", 2, 1, 0, 0, 0xF, 0, 0, 0x10, F(RFLAGS_AF), 4},
	{"xchg [m], ecx", "\x87\x0b", 2, 1, 0, 5, 7, 0, 7, 5, F(0), 4},
	{"xadd [m], ecx", "\xf0\x0f\xc1\x0b", 4, 1, 0, 5, 7, 0, 7, 12, F(RFLAGS_PF), 4},
	{"cmpxchg [m], ecx, equal", "\xf0\x0f\xb1\x0b", 4, 1, 7, 5, 7, 7, 5, 5,
	 F(RFLAGS_ZF | RFLAGS_PF), 4},
	{"cmpxchg [m], ecx, other", "\xf0\x0f\xb1\x0b", 4, 1, 0xFF00000008, 5, 7, 7, 5, 7, F(0), 4},
	{"bts dword [m], 31", "\x0f\xba\x2b\x1f", 4, 1, 0, 0, 0, 0, 0, 0x80000000, F(0), 4},
	{"bt dword [m], 5", "\x0f\xba\x23\x05", 4, 0, 0, 0, 0x20, 0, 0, 0x20, F(RFLAGS_CF), 4},
};

/* Does each kind of instruction leave registers, flags and device as the processor would? */
static void test_effects(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(effects); i++) {
		c->gpr[GPR_RAX] = effects[i].rax;
		c->gpr[GPR_RCX] = effects[i].rcx;
		device_put(effects[i].dev);
		fake_vmcs[VMCS_GUEST_RFLAGS] = RFLAGS_FIXED;
		run(effects[i].bytes, effects[i].len, effects[i].write);
		if (c->gpr[GPR_RAX] != effects[i].rax_after ||
		    c->gpr[GPR_RCX] != effects[i].rcx_after ||
		    device_get() != effects[i].dev_after ||
		    vmcs_read(VMCS_GUEST_RFLAGS) != effects[i].flags_after)
			fail_msg("%s: rax %lx, rcx %lx, device %lx, flags %lx", effects[i].name,
				 c->gpr[GPR_RAX], c->gpr[GPR_RCX], device_get(),
				 vmcs_read(VMCS_GUEST_RFLAGS));
		assert_int_equal(device_width, effects[i].width);
		assert_int_equal(c->requests, 0);
		expect_skip(effects[i].len);
	}
}

/* Is the device read exactly once, and not written by what only compares? */
static void test_accesses_once(void **state)
{
	(void)state;
	run("\x83\x3b\xff", 3, false); /* cmp */
	assert_int_equal(device_reads, 1);
	assert_int_equal(device_writes, 0);
	run("\x01\x03", 2, true); /* add */
	assert_int_equal(device_reads, 2);
	assert_int_equal(device_writes, 1);
	run("\x89\x03", 2, true); /* mov store */
	assert_int_equal(device_reads, 2);
	assert_int_equal(device_writes, 2);
}

/* What if nobody claims the address? The VM's fallback answers, at the right width. */
static void test_unclaimed(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	memcpy(test_ram(test_vm(1), CODE), "\x8b\x03", 2);
	fake_vmcs[VMCS_GUEST_RIP] = CODE;
	fake_vmcs[VMCS_EXIT_QUALIFICATION] = EPTV_READ | EPTV_LINEAR | EPTV_FINAL;
	fake_vmcs[VMCS_GUEST_PHYS_ADDR] = DEVICE + 0x1000;
	test_fallback_value = 0x123456789ABCDEF0UL;
	test_exit(c, EXIT_EPT_VIOLATION);
	assert_int_equal(test_fallbacks, 1);
	assert_int_equal(test_io[0].kind, IO_MMIO);
	assert_int_equal(test_io[0].width, 4);
	assert_int_equal(test_io[0].addr, DEVICE + 0x1000);
	assert_int_equal(c->gpr[GPR_RAX], 0x9ABCDEF0);
	expect_skip(2);
}

/* What if another CPU mapped the page between the exit and its handling? The guest tries again. */
static void test_mapped_meanwhile(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	fake_vmcs[VMCS_EXIT_QUALIFICATION] = EPTV_WRITE | EPTV_LINEAR | EPTV_FINAL;
	fake_vmcs[VMCS_GUEST_PHYS_ADDR] = 0x10000;
	test_exit(c, EXIT_EPT_VIOLATION);
	expect_stay(c);
	assert_int_equal(test_fallbacks, 0);
	test_ept_attr(test_vm(1), 0x10000, EPT_READ | EPT_EXEC | EPT_MT_WB);
	memcpy(test_ram(test_vm(1), CODE), "\x89\x03", 2);
	fake_vmcs[VMCS_GUEST_RIP] = CODE;
	test_exit(c, EXIT_EPT_VIOLATION); /* read-only memory: the write is the fallback's */
	assert_int_equal(test_fallbacks, 1);
	assert_true(test_io[0].write);
	expect_skip(2);
}

/* Split [rbx]-style mov over the end of a page of code: is the second page read when needed only? */
static void test_fetch_over_page_end(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);
	struct vm *vm = test_vm(1);
	static const char store[] = "\xc7\x03\x78\x56\x34\x12";

	(void)state;
	fake_vmcs[VMCS_EXIT_QUALIFICATION] = EPTV_WRITE | EPTV_LINEAR | EPTV_FINAL;
	fake_vmcs[VMCS_GUEST_PHYS_ADDR] = DEVICE;
	for (uint64_t in_first = 1; in_first <= 6U; in_first++) {
		uint64_t rip = CODE + PAGE_SIZE - in_first;

		memcpy(test_ram(vm, rip), store, 6);
		fake_vmcs[VMCS_GUEST_RIP] = rip;
		device_put(0);
		test_exit(c, EXIT_EPT_VIOLATION);
		assert_int_equal(device_get(), 0x12345678);
		expect_skip(6);
	}
	/* it ends with the page, and behind it is nothing */
	test_ept_attr(vm, CODE + PAGE_SIZE, 0);
	fake_vmcs[VMCS_GUEST_RIP] = CODE + PAGE_SIZE - 6U;
	device_put(0);
	test_exit(c, EXIT_EPT_VIOLATION);
	assert_int_equal(device_get(), 0x12345678);
	expect_skip(6);
	/* it goes on where nothing is */
	memcpy(test_ram(vm, CODE + PAGE_SIZE - 3U), store, 3);
	fake_vmcs[VMCS_GUEST_RIP] = CODE + PAGE_SIZE - 3U;
	device_put(0);
	test_exit(c, EXIT_EPT_VIOLATION);
	expect_exception(c, EXC_GP, 0);
	assert_int_equal(device_get(), 0);
}

/* Does REP STOS move one element an exit, count down, and skip when the last is done? */
static void test_rep_stos(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	c->gpr[GPR_RAX] = 0x55AA55AA;
	c->gpr[GPR_RCX] = 2;
	c->gpr[GPR_RDI] = DEVICE;
	run("\xf3\xab", 2, true);
	expect_stay(c);
	assert_int_equal(test_elements, 1);
	assert_int_equal(c->gpr[GPR_RCX], 1);
	assert_int_equal(c->gpr[GPR_RDI], DEVICE + 4U);
	run("\xf3\xab", 2, true);
	expect_skip(2);
	assert_int_equal(c->gpr[GPR_RCX], 0);
	run("\xf3\xab", 2, true); /* nothing to do */
	expect_skip(2);
	assert_int_equal(device_writes, 2);
	fake_vmcs[VMCS_GUEST_RFLAGS] |= RFLAGS_DF;
	c->gpr[GPR_RDI] = DEVICE;
	run("\xab", 1, true);
	assert_int_equal(c->gpr[GPR_RDI], DEVICE - 4U);
	expect_skip(1);
}

/* MOVS from memory to the device, and from the device to memory: both pointers move. */
static void test_movs(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);
	uint32_t v = 0xCAFEF00D;

	(void)state;
	memcpy(test_ram(test_vm(1), 0x20000), &v, 4);
	c->gpr[GPR_RSI] = 0x20000;
	c->gpr[GPR_RDI] = DEVICE;
	run("\xa5", 1, true);
	assert_int_equal(device_get(), v);
	assert_int_equal(c->gpr[GPR_RSI], 0x20004);
	assert_int_equal(c->gpr[GPR_RDI], DEVICE + 4U);
	expect_skip(1);
	device_put(0x11223344);
	c->gpr[GPR_RSI] = DEVICE;
	c->gpr[GPR_RDI] = 0x21000;
	run("\xa5", 1, false);
	memcpy(&v, test_ram(test_vm(1), 0x21000), 4);
	assert_int_equal(v, 0x11223344);
	expect_skip(1);
}

/* What if the memory end of a MOVS faults? The device is not read, the guest gets the fault. */
static void test_movs_fault(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	c->gpr[GPR_RCX] = 3;
	c->gpr[GPR_RSI] = DEVICE;
	c->gpr[GPR_RDI] = 0x40000000; /* not mapped by the guest */
	run("\xf3\xa5", 2, false);
	expect_exception(c, EXC_PF, PFEC_W);
	assert_int_equal(fake_cr[2], 0x40000000);
	assert_int_equal(device_reads, 0);
	assert_int_equal(c->gpr[GPR_RCX], 3);
	c->gpr[GPR_RDI] = 0x8000000000000000; /* not canonical */
	run("\xf3\xa5", 2, false);
	expect_exception(c, EXC_GP, 0);
	assert_int_equal(device_reads, 0);
}

/* What if both ends are devices? */
static void test_movs_device_to_device(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	test_ept_attr(test_vm(1), 0x30000, 0); /* mapped by the guest, but no memory there */
	device_put(0x77);
	c->gpr[GPR_RSI] = DEVICE;
	c->gpr[GPR_RDI] = 0x30000;
	run("\xa4", 1, false);
	expect_skip(1);
	assert_int_equal(test_fallbacks, 1);
	assert_true(test_io[0].write);
	assert_int_equal(test_io[0].addr, 0x30000);
	assert_int_equal(test_io[0].value, 0x77);
}

/* PUSH reads the device and POP writes it; a stack in a device is refused. */
static void test_push_pop(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);
	uint64_t v;

	(void)state;
	device_put(0x1122334455667788);
	fake_vmcs[VMCS_GUEST_RSP] = 0x50000;
	run("\xff\x33", 2, false);
	memcpy(&v, test_ram(test_vm(1), 0x4FFF8), 8);
	assert_int_equal(v, 0x1122334455667788);
	assert_int_equal(vmcs_read(VMCS_GUEST_RSP), 0x4FFF8);
	expect_skip(2);
	device_put(0);
	run("\x8f\x03", 2, true);
	assert_int_equal(device_get(), 0x1122334455667788);
	assert_int_equal(vmcs_read(VMCS_GUEST_RSP), 0x50000);
	expect_skip(2);
	run("\xff\x33", 2, true); /* the write that exited was to the stack */
	expect_exception(c, EXC_UD, 0);
	assert_int_equal(fake_log_lines, 1);
	assert_int_equal(vmcs_read(VMCS_GUEST_RSP), 0x50000);
}

/* What it does not know: #UD, one line that shows the bytes, and RIP where it was. */
static void test_unknown(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	run("\x0f\x10\x03", 3, false);
	expect_exception(c, EXC_UD, 0);
	assert_int_equal(fake_log_lines, 1);
	assert_non_null(strstr(fake_log_last, "0f 10 03"));
	assert_int_equal(device_reads, 0);
}

/* Real mode: bases and 16-bit operands; SP wraps within its 16 bits. */
static void test_real_mode(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	mode_real();
	fake_vmcs[VMCS_GUEST_CS_BASE] = CODE;
	memcpy(test_ram(test_vm(1), CODE + 0x100), "\x8b\x07", 2);
	device_put(0xBEEF);
	c->gpr[GPR_RAX] = -1UL;
	fake_vmcs[VMCS_GUEST_RIP] = 0x100;
	fake_vmcs[VMCS_EXIT_QUALIFICATION] = EPTV_READ | EPTV_LINEAR | EPTV_FINAL;
	fake_vmcs[VMCS_GUEST_PHYS_ADDR] = DEVICE;
	test_exit(c, EXIT_EPT_VIOLATION);
	assert_int_equal(c->gpr[GPR_RAX], 0xFFFFFFFFFFFFBEEF);
	expect_skip(2);
	memcpy(test_ram(test_vm(1), CODE + 0x100), "\xff\x37", 2); /* push word [bx] */
	fake_vmcs[VMCS_GUEST_ES_BASE + 2U * GMEM_SEG_SS] = 0x50000;
	fake_vmcs[VMCS_GUEST_RSP] = 0x10000; /* SP 0 */
	fake_vmcs[VMCS_GUEST_RIP] = 0x100;
	test_exit(c, EXIT_EPT_VIOLATION);
	assert_int_equal(vmcs_read(VMCS_GUEST_RSP), 0x1FFFE);
	assert_int_equal(*test_ram(test_vm(1), 0x5FFFE), 0xEF);
	expect_skip(2);
}

/* 32-bit protected mode: segment limits and types of the memory end are checked. */
static void test_segment_checks(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	mode_protected32();
	fake_vmcs[VMCS_GUEST_ES_LIMIT] = 0x20FFF;
	c->gpr[GPR_RSI] = DEVICE;
	c->gpr[GPR_RDI] = 0x20FFC;
	run("\xa5", 1, false);
	expect_skip(1);
	c->gpr[GPR_RDI] = 0x20FFD; /* the last byte is outside */
	run("\xa5", 1, false);
	expect_exception(c, EXC_GP, 0);
	c->gpr[GPR_RDI] = 0x20000;
	fake_vmcs[VMCS_GUEST_ES_AR] = 0xC091; /* read-only data */
	run("\xa5", 1, false);
	expect_exception(c, EXC_GP, 0);
	fake_vmcs[VMCS_GUEST_SS_AR] = 0x1C093; /* unusable */
	fake_vmcs[VMCS_GUEST_RSP] = 0x50000;
	run("\xff\x33", 2, false);
	expect_exception(c, EXC_SS, 0);
	assert_int_equal(device_reads, 1);
}

/* Two VMs with a region at the same address: each reaches its own. */
static void test_two_vms(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	device_put(0x1234);
	memcpy(test_ram(test_vm(0), CODE), "\x8b\x03", 2);
	fake_vmcs[VMCS_GUEST_RIP] = CODE;
	fake_vmcs[VMCS_EXIT_QUALIFICATION] = EPTV_READ | EPTV_LINEAR | EPTV_FINAL;
	fake_vmcs[VMCS_GUEST_PHYS_ADDR] = DEVICE;
	test_fallback_value = 0x99;
	test_exit(c, EXIT_EPT_VIOLATION);
	assert_int_equal(c->gpr[GPR_RAX], 0x99);
	assert_int_equal(device_reads, 0);
	run("\x8b\x03", 2, false);
	assert_int_equal(test_vcpu(1, 0)->gpr[GPR_RAX], 0x1234);
}

/* What if guest code or page tables lie where no memory is? A fault, and nothing is touched. */
static void test_no_memory(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	fake_vmcs[VMCS_EXIT_QUALIFICATION] = EPTV_FETCH | EPTV_LINEAR | EPTV_FINAL;
	fake_vmcs[VMCS_GUEST_PHYS_ADDR] = DEVICE;
	test_exit(c, EXIT_EPT_VIOLATION);
	expect_exception(c, EXC_GP, 0);
	fake_vmcs[VMCS_EXIT_QUALIFICATION] = EPTV_READ | EPTV_LINEAR;
	fake_vmcs[VMCS_GUEST_LINEAR] = 0x1234000;
	test_exit(c, EXIT_EPT_VIOLATION);
	expect_exception(c, EXC_PF, PFEC_P | PFEC_RSVD);
	assert_int_equal(fake_cr[2], 0x1234000);
	assert_int_equal(device_reads + device_writes, 0);
}

/*
 * What if an event cannot be delivered because its IDT or stack is a device's? The instruction at
 * RIP has nothing to do with it, and is not emulated; there is no way on.
 */
static void test_event_in_device(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	vcpu_request_self(c, REQ_REINJECT);
	run("\x89\x03", 2, true); /* mov [rbx], eax */
	assert_int_equal(test_triple_faults, 1);
	assert_int_equal(device_reads + device_writes, 0);
	assert_int_equal(vmcs_read(VMCS_GUEST_RIP), CODE);
}

/*
 * The same place again: what is remembered of it must not outlive a change of the code, of the
 * tables that lead there, of CR3, of the EPT, or of the right to run it.
 */
static void test_same_place_again(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);
	struct vm *vm = test_vm(1);
	uint64_t entry;

	(void)state;
	device_put(0x11223344);
	for (int i = 0; i < 3; i++) { /* first decoded, then remembered */
		c->gpr[GPR_RAX] = c->gpr[GPR_RCX] = 0;
		run("\x8b\x03", 2, false); /* mov eax, [rbx] */
		assert_int_equal(c->gpr[GPR_RAX], 0x11223344);
	}
	run("\x8b\x0b", 2, false); /* other bytes: mov ecx, [rbx] */
	assert_int_equal(c->gpr[GPR_RCX], 0x11223344);
	/* another page behind the same address: 4 KB pages, first to CODE, then to 0x20000 */
	entry = 0x6000 | 0x27;
	memcpy(test_ram(vm, 0x3000), &entry, 8);
	entry = CODE | 0x23;
	memcpy(test_ram(vm, 0x6000 + CODE / 0x1000 * 8U), &entry, 8);
	run("\x8b\x0b", 2, false);
	run("\x8b\x0b", 2, false);
	memcpy(test_ram(vm, 0x20000), "\x8b\x13", 2); /* mov edx, [rbx] */
	entry = 0x20000 | 0x23;
	memcpy(test_ram(vm, 0x6000 + CODE / 0x1000 * 8U), &entry, 8);
	c->gpr[GPR_RDX] = 0;
	run("\x8b\x0b", 2, false);
	assert_int_equal(c->gpr[GPR_RDX], 0x11223344);
	/* the page may no longer be executed */
	entry |= 1UL << 63;
	memcpy(test_ram(vm, 0x6000 + CODE / 0x1000 * 8U), &entry, 8);
	run("\x8b\x0b", 2, false);
	expect_exception(c, EXC_PF, PFEC_P | PFEC_I);
	entry &= ~(1UL << 63);
	memcpy(test_ram(vm, 0x6000 + CODE / 0x1000 * 8U), &entry, 8);
	run("\x8b\x0b", 2, false);
	expect_skip(2);
	/* from user mode it is not the guest's to run: the tables say supervisor */
	fake_vmcs[VMCS_GUEST_SS_AR] |= 3U << 5;
	run("\x8b\x0b", 2, false);
	expect_exception(c, EXC_PF, PFEC_P | PFEC_U | PFEC_I);
	fake_vmcs[VMCS_GUEST_SS_AR] &= ~(uint64_t)(3U << 5);
	/* other tables */
	run("\x8b\x0b", 2, false);
	entry = 0x2000 | 0x27;
	memcpy(test_ram(vm, 0x1000), &entry, 8);
	fake_vmcs[VMCS_GUEST_CR3] = 0x9000;
	run("\x8b\x0b", 2, false);
	expect_exception(c, EXC_PF, PFEC_I);
	fake_vmcs[VMCS_GUEST_CR3] = 0x1000;
	/* the memory of the code is gone */
	run("\x8b\x0b", 2, false);
	expect_skip(2);
	test_ept_attr(vm, 0x20000, 0);
	run("\x8b\x0b", 2, false);
	expect_exception(c, EXC_GP, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, guest_teardown)
	const struct CMUnitTest tests[] = {
		T(test_effects),     T(test_accesses_once),	   T(test_unclaimed),
		T(test_mapped_meanwhile), T(test_fetch_over_page_end), T(test_rep_stos),
		T(test_movs),	     T(test_movs_fault),	   T(test_movs_device_to_device),
		T(test_push_pop),    T(test_unknown),		   T(test_real_mode),
		T(test_segment_checks), T(test_two_vms),	   T(test_no_memory), T(test_event_in_device),
		T(test_same_place_again),
	};

	return cmocka_run_group_tests_name("inst", tests, NULL, NULL);
}
