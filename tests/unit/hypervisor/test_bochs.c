// SPDX-License-Identifier: BSD-3-Clause
/*
 * The way round Bochs's lost faults: is the state of before the fault put back when there is a
 * frame, and left alone when there is only something like one?
 */
// links: @machine @guest hypervisor/ext/bochs/bochs.c tests/fake/fake_report.c
#include <string.h>

#include "guest_machine.h"
#include "hv/acpi.h"
#include "hv/boot.h"
#include "hv/vmexit.h"

#define RIP	 0x5000UL
#define STACK	 0x8000UL /* where the interrupted code's stack pointer is */
#define HANDLER	 0x10UL	  /* selectors of the GDT */
#define USER_CS	 0x2BUL
#define GDT	 0x6000UL
#define RF	 BIT(16)
#define FLAGS	 (RFLAGS_FIXED | RFLAGS_IF | RFLAGS_ZF)
#define IN_FLAGS RFLAGS_FIXED /* the handler's */

extern const struct unit __start_hv_units[], __stop_hv_units[];

bool pcpu_kick_owned_by_nmi;

static vmexit_fn interrupt_exit;
static uint32_t passed_on;
static struct vcpu *cpu;
static char rsdp[36] = "RSD PTR xBOCHS ";

static void next_handler(struct vcpu *vcpu)
{
	(void)vcpu;
	passed_on++;
}

vmexit_fn vmexit_replace(uint32_t reason, vmexit_fn fn)
{
	if (reason == EXIT_EXTERNAL_INTR)
		interrupt_exit = fn;
	return next_handler;
}

bool boot_option(const char *name, char *buf, size_t size)
{
	(void)name;
	(void)buf;
	(void)size;
	return false;
}

void cap_drop(enum cpu_cap cap)
{
	(void)cap;
}

static uint32_t debug_port(uint16_t port, uint32_t width, bool write, uint32_t val)
{
	(void)width;
	(void)write;
	(void)val;
	return port;
}

static int setup(void **state)
{
	(void)guest_setup(state);
	cpu = test_vcpu(0, 0);
	mode_long64();
	fake_pio_hook(0xE9, 1, debug_port);
	acpi_facts.rsdp_hpa = (uintptr_t)rsdp;
	for (const struct unit *u = __start_hv_units; u < __stop_hv_units; u++) {
		if (strcmp(u->name, "bochs") == 0)
			assert_int_equal(u->boot(), 0);
	}
	assert_non_null(interrupt_exit);
	passed_on = 0;
	return 0;
}

/* An interrupt exit at RIP, with `count` words on the stack at rsp; what RSP is afterwards. */
static uint64_t rsp_after_exit(uint64_t rsp, const uint64_t *words, size_t count)
{
	static const uint64_t gdt[] = {0, 0, 0x00AF9B000000FFFF, 0, 0x00CFF3000000FFFF,
				       0x00AFFB000000FFFF};

	memcpy(test_ram(cpu->vm, GDT), gdt, sizeof(gdt));
	memset(test_ram(cpu->vm, STACK - 0x100), 0, 0x200);
	memcpy(test_ram(cpu->vm, rsp), words, count * sizeof(words[0]));
	fake_vmcs[VMCS_GUEST_GDTR_BASE] = GDT;
	fake_vmcs[VMCS_GUEST_RIP] = RIP;
	fake_vmcs[VMCS_GUEST_RSP] = rsp;
	fake_vmcs[VMCS_GUEST_RFLAGS] = IN_FLAGS;
	interrupt_exit(cpu);
	assert_int_equal(passed_on, 1);
	passed_on = 0;
	assert_int_equal(fake_vmcs[VMCS_GUEST_RIP], RIP);
	return fake_vmcs[VMCS_GUEST_RSP];
}

/* What if the kernel's fault is lost, with and without an error code on the stack? */
static void test_kernel_fault(void **state)
{
	const uint64_t with_code[] = {2, RIP, HANDLER, FLAGS | RF, STACK + 8, 0};
	const uint64_t without[] = {RIP, HANDLER, FLAGS | RF, STACK + 8, 0};

	(void)state;
	assert_int_equal(rsp_after_exit(STACK - 48, with_code, 6), STACK + 8);
	assert_int_equal(fake_vmcs[VMCS_GUEST_RFLAGS], FLAGS);
	assert_int_equal(fake_vmcs[VMCS_GUEST_CS_SEL], HANDLER);
	assert_int_equal(rsp_after_exit(STACK - 40, without, 5), STACK + 8);
	assert_int_equal(fake_vmcs[VMCS_GUEST_RFLAGS], FLAGS);
}

/* What if a program's fault is lost: are its segments back too? */
static void test_user_fault(void **state)
{
	const uint64_t words[] = {4, RIP, USER_CS, FLAGS | RF, 0x7000, 0x23};

	(void)state;
	assert_int_equal(rsp_after_exit(STACK - 48, words, 6), 0x7000);
	assert_int_equal(fake_vmcs[VMCS_GUEST_CS_SEL], USER_CS);
	assert_int_equal(fake_vmcs[VMCS_GUEST_CS_AR], 0xA0FB);
	assert_int_equal(fake_vmcs[VMCS_GUEST_SS_SEL], 0x23);
}

/* What if RIP is on the stack, but as an old return address or in a frame of another time? */
static void test_no_frame(void **state)
{
	static const struct {
		uint64_t rsp, words[6];
	} cases[] = {
		/* what an earlier call left behind: bit 16 by accident, all else is data */
		{STACK - 48, {2, RIP, 0x8139F000, 0xFFFFC90000013D40, 0xFFFF88800139F000, 3}},
		{STACK - 40, {RIP, HANDLER, 0xFFFFC90000013D40, STACK + 8, 0}},
		{STACK - 48, {2, RIP, 0x123456789A, FLAGS | RF, STACK + 8, 0}},
		{STACK - 48, {2, RIP, HANDLER, RF, STACK + 8, 0}},
		{STACK - 48, {2, RIP, HANDLER, FLAGS | RF | BIT(40), STACK + 8, 0}},
		{STACK - 48, {2, RIP, HANDLER, FLAGS, STACK + 8, 0}},
		{STACK - 48, {2, RIP, HANDLER, FLAGS | RF, STACK + 0x40, 0}},
		{STACK - 40, {2, RIP, USER_CS, FLAGS | RF, 0x7000, 0x23}},
		{STACK - 48, {2, RIP + 1, HANDLER, FLAGS | RF, STACK + 8, 0}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(rsp_after_exit(cases[i].rsp, cases[i].words, 6), cases[i].rsp);
		assert_int_equal(fake_vmcs[VMCS_GUEST_RFLAGS], IN_FLAGS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kernel_fault, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(test_user_fault, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(test_no_frame, setup, guest_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
