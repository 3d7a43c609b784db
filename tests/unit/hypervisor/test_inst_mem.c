// SPDX-License-Identifier: BSD-3-Clause
/*
 * Operands across the end of a page: each half goes to what is there, whichever half made the
 * access exit, in each form of address.
 */
/* links: @machine @guest */
#include <string.h>

#include "guest_machine.h"
#include "hv/inst.h"

#define CODE   0x8000UL
#define DEVICE 0x30000UL /* one page where no memory is, between two with */
#define END    (DEVICE + 0x1000UL)

static struct vcpu *vcpu;

static int setup(void **state)
{
	(void)guest_setup(state);
	vcpu = test_vcpu(1, 0);
	test_ept_attr(test_vm(1), DEVICE, 0);
	return 0;
}

/* The instruction at CODE; its access to `gpa` exits. */
static void run(const char *bytes, size_t len, bool write, uint64_t gpa)
{
	memcpy(test_ram(test_vm(1), CODE), bytes, len);
	fake_vmcs[VMCS_GUEST_RIP] = CODE - vmcs_read(VMCS_GUEST_CS_BASE);
	fake_vmcs[VMCS_EXIT_QUALIFICATION] =
		(write ? EPTV_WRITE : EPTV_READ) | EPTV_LINEAR | EPTV_FINAL;
	fake_vmcs[VMCS_GUEST_PHYS_ADDR] = gpa;
	test_fallbacks = 0;
	test_exit(vcpu, EXIT_EPT_VIOLATION);
}

static uint64_t ram(uint64_t gpa, size_t len)
{
	uint64_t v = 0;

	memcpy(&v, test_ram(test_vm(1), gpa), len);
	return v;
}

static void expect_io(uint32_t n, bool write, uint8_t width, uint64_t addr, uint64_t value)
{
	assert_true(n < test_fallbacks);
	assert_int_equal(test_io[n].write, write);
	assert_int_equal(test_io[n].width, width);
	assert_int_equal(test_io[n].addr, addr);
	if (write)
		assert_int_equal(test_io[n].value, value);
}

/* What if memory comes first, or the device does? Each gets its bytes and no others. */
static void test_write(void **state)
{
	(void)state;
	vcpu->gpr[GPR_RAX] = 0x8877665544332211;
	vcpu->gpr[GPR_RBX] = DEVICE - 2U;
	run("\x89\x03", 2, true, DEVICE);
	assert_int_equal(ram(DEVICE - 4U, 4), 0x22110000);
	assert_int_equal(test_fallbacks, 1);
	expect_io(0, true, 2, DEVICE, 0x4433);
	expect_skip(2);
	vcpu->gpr[GPR_RBX] = END - 3U; /* accesses of a device are aligned */
	run("\x48\x89\x03", 3, true, END - 3U);
	assert_int_equal(test_fallbacks, 2);
	expect_io(0, true, 1, END - 3U, 0x11);
	expect_io(1, true, 2, END - 2U, 0x3322);
	assert_int_equal(ram(END, 6), 0x8877665544);
	expect_skip(3);
	vcpu->gpr[GPR_RBX] = DEVICE - 1U;
	run("\x48\x89\x03", 3, true, DEVICE);
	assert_int_equal(test_fallbacks, 3);
	expect_io(0, true, 4, DEVICE, 0x55443322);
	expect_io(1, true, 2, DEVICE + 4U, 0x7766);
	expect_io(2, true, 1, DEVICE + 6U, 0x88);
}

static void test_read(void **state)
{
	(void)state;
	memset(test_ram(test_vm(1), DEVICE - 8U), 0x11, 8);
	memset(test_ram(test_vm(1), END), 0x22, 8);
	test_fallback_value = 0xEEDDCCBBAA;
	vcpu->gpr[GPR_RBX] = DEVICE - 3U;
	run("\x8b\x03", 2, false, DEVICE);
	assert_int_equal(vcpu->gpr[GPR_RAX], 0xAA111111);
	assert_int_equal(test_fallbacks, 1);
	expect_io(0, false, 1, DEVICE, 0);
	vcpu->gpr[GPR_RBX] = END - 2U;
	run("\x48\x8b\x03", 3, false, END - 2U);
	assert_int_equal(vcpu->gpr[GPR_RAX], 0x222222222222BBAA);
	expect_skip(3);
	/* read, change, write */
	vcpu->gpr[GPR_RBX] = DEVICE - 2U;
	run("\x83\x03\x01", 3, true, DEVICE); /* add dword [rbx], 1 */
	assert_int_equal(test_fallbacks, 2);
	expect_io(0, false, 2, DEVICE, 0);
	expect_io(1, true, 2, DEVICE, 0xBBAA);
	assert_int_equal(ram(DEVICE - 2U, 2), 0x1112);
	expect_skip(3);
}

/* What if the other page is not there? The fault is that page's, and nobody is accessed. */
static void test_fault(void **state)
{
	(void)state;
	test_ept_attr(test_vm(1), TEST_RAM - 0x1000U, 0); /* the last page that the guest maps */
	vcpu->gpr[GPR_RBX] = TEST_RAM - 2U;
	run("\x89\x03", 2, true, TEST_RAM - 2U);
	expect_exception(vcpu, EXC_PF, PFEC_W);
	assert_int_equal(fake_cr[2], TEST_RAM);
	assert_int_equal(test_fallbacks, 0);
}

/* A register at the beginning of a page, and one that ends with it, are one access. */
static void test_whole(void **state)
{
	(void)state;
	vcpu->gpr[GPR_RAX] = 0x44332211;
	vcpu->gpr[GPR_RBX] = DEVICE;
	run("\x89\x03", 2, true, DEVICE);
	assert_int_equal(test_fallbacks, 1);
	expect_io(0, true, 4, DEVICE, 0x44332211);
	vcpu->gpr[GPR_RBX] = END - 4U;
	run("\x89\x03", 2, true, END - 4U);
	assert_int_equal(test_fallbacks, 1);
	expect_io(0, true, 4, END - 4U, 0x44332211);
	/* another vCPU has put other code there since the exit: what it says is not believed */
	vcpu->gpr[GPR_RBX] = 0x12345;
	run("\x89\x03", 2, true, DEVICE);
	expect_io(0, true, 4, DEVICE, 0x44332211);
}

static const struct {
	const char *bytes;
	uint8_t len;
} long_forms[] = {
	{"\x89\x03", 2},			/* [rbx] */
	{"\x41\x89\x04\x24", 4},		/* [r12] */
	{"\x89\x43\x00", 3},			/* [rbx + 0] */
	{"\x89\x83\x00\x00\x00\x00", 6},	/* [rbx + 0], 32 bits */
	{"\x89\x45\xf0", 3},			/* [rbp - 16] */
	{"\x89\x44\x8e\x10", 4},		/* [rsi + rcx*4 + 16] */
	{"\x42\x89\x04\xd1", 4},		/* [rcx + r10*8] */
	{"\x89\x04\x8d\xee\xff\x01\x00", 7},	/* [rcx*4 + 0x1ffee] */
	{"\x89\x04\x25\xfe\xff\x02\x00", 7},	/* [0x2fffe] */
	{"\x89\x05\xf8\x7f\x02\x00", 6},	/* [rip + 0x27ff8] */
	{"\xa3\xfe\xff\x02\x00\x00\x00\x00\x00", 9},
	{"\x67\x89\x43\x00", 4},		/* [ebx + 0] */
	{"\xab", 1},				/* stosd */
	{"\xa5", 1},				/* movsd to RDI */
};

/* Is the operand's address found whatever its form? RAM's half says so. */
static void test_long_forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(long_forms); i++) {
		memset(test_ram(test_vm(1), DEVICE - 16U), 0, 16);
		memset(vcpu->gpr, 0, sizeof(vcpu->gpr));
		vcpu->gpr[GPR_RAX] = 0x44332211;
		vcpu->gpr[GPR_RBX] = DEVICE - 2U;
		if ((long_forms[i].bytes[0] & 0xFF) == 0x67)
			vcpu->gpr[GPR_RBX] |= 0xFFFFFFFF00000000;
		vcpu->gpr[GPR_R12] = vcpu->gpr[GPR_RDI] = DEVICE - 2U;
		vcpu->gpr[GPR_RBP] = DEVICE + 14U;
		vcpu->gpr[GPR_RCX] = 0x4004;
		vcpu->gpr[GPR_R10] = (DEVICE - 2U - 0x4004U) / 8U;
		vcpu->gpr[GPR_RCX] = DEVICE - 2U - vcpu->gpr[GPR_R10] * 8U;
		vcpu->gpr[GPR_RSI] = DEVICE - 2U - 16U - vcpu->gpr[GPR_RCX] * 4U;
		if (long_forms[i].bytes[1] == 0x04 && (long_forms[i].bytes[2] & 0xFF) == 0x8d)
			vcpu->gpr[GPR_RCX] = 0x10010 / 4;
		if ((long_forms[i].bytes[0] & 0xFF) == 0xa5) {
			vcpu->gpr[GPR_RSI] = 0x20000;
			memcpy(test_ram(test_vm(1), 0x20000), "\x11\x22\x33\x44", 4);
		}
		run(long_forms[i].bytes, long_forms[i].len, true, DEVICE);
		if (ram(DEVICE - 2U, 2) != 0x2211 || test_fallbacks != 1)
			fail_msg("form %zu: memory %lx, %u accesses", i, ram(DEVICE - 2U, 2), test_fallbacks);
		expect_io(0, true, 2, DEVICE, 0x4433);
		expect_skip(long_forms[i].len);
	}
}

/* POP computes its address after RSP has moved. */
static void test_pop(void **state)
{
	(void)state;
	memcpy(test_ram(test_vm(1), 0x20000), "\x66\x77", 2);
	fake_vmcs[VMCS_GUEST_RSP] = 0x20000;
	run("\x66\x8f\x84\x24\xfd\xff\x00\x00", 8, true, DEVICE); /* [rsp + 0xfffd] */
	assert_int_equal(ram(DEVICE - 1U, 1), 0x66);
	assert_int_equal(test_fallbacks, 1);
	expect_io(0, true, 1, DEVICE, 0x77);
	expect_skip(8);
}

/* 16-bit addresses, with a segment's base. */
static void test_short_forms(void **state)
{
	static const struct {
		const char *bytes;
		uint8_t len;
	} forms[] = {
		{"\x89\x07", 2},	 /* [bx] */
		{"\x89\x42\x10", 3},	 /* [bp + si + 16] */
		{"\x89\x41\x01", 3},	 /* [bx + di + 1] */
		{"\x89\x06\xff\x7f", 4}, /* [0x7fff] */
		{"\x89\x46\xff", 3},	 /* [bp - 1] */
	};
	static const uint16_t bx[] = {0x7FFF, 0, 0x7FFD, 0, 0};

	(void)state;
	mode_real();
	for (uint32_t seg = 0; seg < 6U; seg++)
		fake_vmcs[VMCS_GUEST_ES_BASE + 2U * seg] = DEVICE - 0x8000U;
	fake_vmcs[VMCS_GUEST_CS_BASE] = 0;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		memset(test_ram(test_vm(1), DEVICE - 16U), 0, 16);
		memset(vcpu->gpr, 0, sizeof(vcpu->gpr));
		vcpu->gpr[GPR_RAX] = 0x2211;
		vcpu->gpr[GPR_RBX] = 0xABCD0000U | bx[i];
		vcpu->gpr[GPR_RSI] = 0x7FEF - 0x10;
		vcpu->gpr[GPR_RDI] = 1;
		vcpu->gpr[GPR_RBP] = i == 1U ? 0x10 : 0x8000;
		run(forms[i].bytes, forms[i].len, true, DEVICE);
		if (ram(DEVICE - 1U, 1) != 0x11 || test_fallbacks != 1)
			fail_msg("form %zu: memory %lx, %u accesses", i, ram(DEVICE - 1U, 1),
				 test_fallbacks);
		expect_io(0, true, 1, DEVICE, 0x22);
		expect_skip(forms[i].len);
	}
}

/* MOVS across two ends: from a device's end to another one's beginning. */
static void test_movs(void **state)
{
	(void)state;
	test_ept_attr(test_vm(1), 0x40000, 0);
	memset(test_ram(test_vm(1), END), 0x22, 8);
	test_fallback_value = 0xBBAA;
	vcpu->gpr[GPR_RSI] = END - 2U;
	vcpu->gpr[GPR_RDI] = 0x40000 - 3U;
	run("\xa5", 1, false, END - 2U);
	assert_int_equal(test_fallbacks, 2);
	expect_io(0, false, 2, END - 2U, 0);
	expect_io(1, true, 1, 0x40000, 0x22);
	assert_int_equal(ram(0x40000 - 3U, 3), 0x22BBAA);
	expect_skip(1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, guest_teardown)
	const struct CMUnitTest tests[] = {
		T(test_write),	    T(test_read),	 T(test_fault), T(test_whole),
		T(test_long_forms), T(test_short_forms), T(test_movs),
		T(test_pop),
	};

	return cmocka_run_group_tests_name("inst_mem", tests, NULL, NULL);
}
