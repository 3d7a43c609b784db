// SPDX-License-Identifier: BSD-3-Clause
/*
 * WBINVD and INVD of a guest: is its own memory written back, all of it and nothing else, where a
 * device could miss it, and does whoever waits for the processor get it meanwhile?
 */
// links: @machine @guest hypervisor/ext/cache/cache.c tests/fake/fake_report.c
#include <string.h>

#include "fake_report.h"
#include "guest_machine.h"
#include "hv/vmexit.h"

#define LINE 64U

extern const struct unit __start_hv_units[], __stop_hv_units[];

static vmexit_fn wbinvd, invd;
static uint32_t scheduled, polled;

vmexit_fn vmexit_replace(uint32_t reason, vmexit_fn fn)
{
	if (reason == EXIT_WBINVD)
		wbinvd = fn;
	else if (reason == EXIT_INVD)
		invd = fn;
	return NULL;
}

void pcpu_poll(void)
{
	polled++;
}

void schedule(void)
{
	scheduled++;
}

static void boot(void)
{
	wbinvd = invd = NULL;
	fake_report_reset();
	for (const struct unit *u = __start_hv_units; u < __stop_hv_units; u++) {
		if (strcmp(u->name, "cache") == 0)
			assert_int_equal(u->boot(), 0);
	}
}

static int setup_without(const enum cpu_cap *without)
{
	guest_start(without);
	scheduled = polled = 0;
	test_vcpu(1, 0)->vm->ept.uncached = true;
	fake_cpuid_set(1, 0, 0x50654, (LINE / 8U) << 8, 0, BIT32(19));
	boot();
	fake_vmcs[VMCS_EXIT_INSN_LEN] = 2;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_without(NULL);
}

/* A page that is used by two types may be in two states there. */
static int setup_no_snoop(void **state)
{
	static const enum cpu_cap without[] = {CAP_SELF_SNOOP, CAP_COUNT};

	(void)state;
	return setup_without(without);
}

/* Does each flush every line of the VM's RAM once, and leave the rest of the cache alone? */
static void test_own_memory(void **state)
{
	struct vcpu *vcpu = test_vcpu(1, 0);
	uint64_t rip = fake_vmcs[VMCS_GUEST_RIP];

	(void)state;
	assert_non_null(invd);
	wbinvd(vcpu);
	assert_int_equal(fake_clflushes, TEST_RAM / LINE);
	assert_ptr_equal(fake_clflush_last, test_ram(vcpu->vm, TEST_RAM - LINE));
	assert_int_equal(fake_wbinvds, 0);
	assert_int_equal(fake_vmcs[VMCS_GUEST_RIP], rip + 2);
	invd(vcpu);
	assert_int_equal(fake_clflushes, 2 * TEST_RAM / LINE);
	assert_int_equal(scheduled, 0);
}

/* What if the VM has no device that could miss what is in a cache? */
static void test_no_device(void **state)
{
	struct vcpu *vcpu = test_vcpu(1, 0);
	uint64_t rip = fake_vmcs[VMCS_GUEST_RIP];

	(void)state;
	vcpu->vm->ept.uncached = false;
	wbinvd(vcpu);
	invd(vcpu);
	assert_int_equal(fake_clflushes, 0);
	assert_int_equal(fake_vmcs[VMCS_GUEST_RIP], rip + 4);
}

static void test_no_snoop(void **state)
{
	(void)state;
	test_vcpu(1, 0)->vm->ept.uncached = false;
	wbinvd(test_vcpu(1, 0));
	assert_int_equal(fake_clflushes, TEST_RAM / LINE);
}

/* What if there are holes, and pages that are not cached? */
static void test_holes(void **state)
{
	struct vcpu *vcpu = test_vcpu(1, 0);

	(void)state;
	test_ept_attr(vcpu->vm, 0x5000, 0);
	test_ept_attr(vcpu->vm, 0x6000, EPT_RWX | EPT_MT_UC);
	wbinvd(vcpu);
	assert_int_equal(fake_clflushes, (TEST_RAM - 2 * PAGE_SIZE) / LINE);
	test_ept_attr(vcpu->vm, 0x5000, EPT_RWX | EPT_MT_WB);
	test_ept_attr(vcpu->vm, 0x6000, EPT_RWX | EPT_MT_WB);
}

/* What if another thread waits, or something else is asked of the vCPU? */
static void test_lets_others(void **state)
{
	struct vcpu *vcpu = test_vcpu(1, 0);

	(void)state;
	vcpu->requests = REQ_RESCHED | REQ_NMI;
	wbinvd(vcpu);
	assert_int_equal(scheduled, 1);
	assert_int_equal(polled, TEST_RAM / PAGE_SIZE); /* its EPT has small pages */
	assert_int_equal(vcpu->requests, REQ_NMI); /* served at the entry that follows */
	vcpu->requests = 0;
}

/* What if the processor cannot flush a line? */
static void test_absent(void **state)
{
	(void)state;
	fake_cpuid_set(1, 0, 0x50654, (LINE / 8U) << 8, 0, 0);
	boot();
	assert_null(wbinvd);
	assert_true(fake_reported("no CLFLUSH"));
	fake_cpuid_set(1, 0, 0x50654, 0, 0, BIT32(19));
	boot();
	assert_null(wbinvd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_own_memory, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(test_no_device, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(test_no_snoop, setup_no_snoop, guest_teardown),
		cmocka_unit_test_setup_teardown(test_holes, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(test_lets_others, setup, guest_teardown),
		cmocka_unit_test_setup_teardown(test_absent, setup, guest_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
