// SPDX-License-Identifier: BSD-3-Clause
/*
 * Is every feature found where the manual has it, is its absence told, and does a machine that
 * cannot run guests get one clear refusal?
 */
// links: hypervisor/arch/x86/cpu/caps.c @machine tests/fake/fake_report.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "asm/msr.h"
#include "asm/vmx.h"
#include "hv/caps.h"
#include "lib/errno.h"
#include "fake_machine.h"
#include "fake_report.h"

#define ALL 0xFFFFFFFFU
#define ALLOW_ALL 0xFFFFFFFF00000000UL

/* A machine that has everything. */
static int setup(void **state)
{
	(void)state;
	fake_machine_reset();
	fake_report_reset();
	fake_cpuid_set(0, 0, 0x16, 0, 0, 0);
	fake_cpuid_set(1, 0, 0, 0, ALL, ALL);
	fake_cpuid_set(7, 0, 0, ALL, ALL, ALL);
	fake_cpuid_set(0xD, 1, ALL, 0, 0, 0);
	fake_cpuid_set(0x80000000, 0, 0x80000008, 0, 0, 0);
	fake_cpuid_set(0x80000001, 0, 0, 0, ALL, ALL);
	fake_cpuid_set(0x80000007, 0, 0, 0, 0, ALL);
	fake_msr_set(MSR_FEATURE_CONTROL, FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_NO_SMX);
	fake_msr_set(MSR_VMX_BASIC, BIT(55));
	fake_msr_set(MSR_VMX_TRUE_PINBASED, ALLOW_ALL);
	fake_msr_set(MSR_VMX_TRUE_PROCBASED, ALLOW_ALL);
	fake_msr_set(MSR_VMX_PROCBASED2, ALLOW_ALL);
	fake_msr_set(MSR_VMX_EPT_VPID_CAP, UINT64_MAX);
	return 0;
}

static uint32_t missing(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < CAP_COUNT; i++)
		n += !cap_has((enum cpu_cap)i);
	return n;
}

/* What does a machine with everything lack? And what does it read that might not exist? */
static void test_all(void **state)
{
	(void)state;
	assert_int_equal(caps_init(NULL), 0);
	assert_int_equal(missing(), 0);
	caps_report();
	assert_int_equal(fake_report_lines, 0);
	assert_int_equal(fake_msr_gp, 0);
	assert_int_equal(fake_msr_writes, 0);
}

struct bit {
	enum cpu_cap cap;
	uint32_t leaf, sub, reg; /* or reg ALL: bit of the MSR `leaf` */
	uint32_t bit;
};

/* Where the manual announces each: SDM 2A CPUID, SDM 3D appendix A. */
static const struct bit bits[] = {
	{CAP_NX, 0x80000001, 0, 3, 20},
	{CAP_SMEP, 7, 0, 1, 7},
	{CAP_SMAP, 7, 0, 1, 20},
	{CAP_1G_PAGES, 0x80000001, 0, 3, 26},
	{CAP_X2APIC, 1, 0, 2, 21},
	{CAP_TSC_DEADLINE, 1, 0, 2, 24},
	{CAP_INVARIANT_TSC, 0x80000007, 0, 3, 8},
	{CAP_XSAVES, 0xD, 1, 0, 3},
	{CAP_PCID, 1, 0, 2, 17},
	{CAP_EPT_1G, MSR_VMX_EPT_VPID_CAP, 0, ALL, 17},
	{CAP_RDTSCP, MSR_VMX_PROCBASED2, 0, ALL, 32 + 3},
	{CAP_INVPCID, MSR_VMX_PROCBASED2, 0, ALL, 32 + 12},
	{CAP_TSC_SCALING, MSR_VMX_PROCBASED2, 0, ALL, 32 + 25},
	{CAP_APIC_ACCESS, MSR_VMX_PROCBASED2, 0, ALL, 32 + 0},
	{CAP_PAUSE_EXIT, MSR_VMX_TRUE_PROCBASED, 0, ALL, 32 + 30},
	{CAP_POSTED_INTR, MSR_VMX_TRUE_PINBASED, 0, ALL, 32 + 7},
	{CAP_PREEMPTION_TIMER, MSR_VMX_TRUE_PINBASED, 0, ALL, 32 + 6},
};

static void clear_bit(const struct bit *b)
{
	uint32_t r[4];

	if (b->reg == ALL) {
		fake_msr_set(b->leaf, fake_msr_get(b->leaf) & ~BIT(b->bit));
		return;
	}
	for (uint32_t i = 0; i < 4; i++)
		r[i] = ALL;
	r[b->reg] &= ~BIT32(b->bit);
	fake_cpuid_set(b->leaf, b->sub, r[0], r[1], r[2], r[3]);
}

/* What if one bit is missing? Its feature is, no other; one line says so. */
static void test_each_bit(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
		(void)setup(state);
		clear_bit(&bits[i]);
		assert_int_equal(caps_init(NULL), 0);
		assert_false(cap_has(bits[i].cap));
		assert_int_equal(missing(), 1);
		caps_report();
		assert_int_equal(fake_report_lines, 1);
		assert_true(fake_reported("boot: no "));
	}
}

/* What goes with a feature that is missing or hidden, because it needs it? */
static void test_dependencies(void **state)
{
	static const struct {
		const char *hide;
		uint32_t lost;
		enum cpu_cap one;
	} cases[] = {
		{"tprshadow", 6, CAP_POSTED_INTR}, {"vid", 2, CAP_POSTED_INTR},
		{"apicregs", 3, CAP_VINTR_DELIVERY}, {"x2apicvirt", 3, CAP_POSTED_INTR},
		{"posted", 1, CAP_POSTED_INTR},	   {"xsave", 2, CAP_XSAVES},
		{"vpid", 2, CAP_PCID},		   {"apicaccess", 1, CAP_APIC_ACCESS},
		{"ept2m", 2, CAP_EPT_1G},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		(void)setup(state);
		assert_int_equal(caps_init(cases[i].hide), 0);
		assert_false(cap_has(cases[i].one));
		assert_int_equal(missing(), cases[i].lost);
	}
	(void)setup(state);
	fake_msr_set(MSR_VMX_TRUE_PROCBASED, ALLOW_ALL & ~((uint64_t)PROC_TPR_SHADOW << 32));
	assert_int_equal(caps_init(NULL), 0);
	assert_int_equal(missing(), 6);
	(void)setup(state);
	fake_msr_set(MSR_VMX_EPT_VPID_CAP, UINT64_MAX & ~BIT(16));
	assert_int_equal(caps_init(NULL), 0);
	assert_false(cap_has(CAP_EPT_2M) || cap_has(CAP_EPT_1G));
	assert_int_equal(missing(), 2);
}

/* What does hide= hide: one, several, with empty parts, and names that only begin alike? */
static void test_hide(void **state)
{
	static const struct {
		const char *hide;
		uint32_t lost, lines;
	} cases[] = {
		{"", 0, 0},	    {",,", 0, 0},	{"nx", 1, 0},	    {"nx,smep,1gpage", 3, 0},
		{",nx,,smap,", 2, 0}, {"smep,smep", 1, 0}, {"n", 0, 1},	    {"nxx", 0, 1},
		{"x2apic", 1, 0},   {"NX", 0, 1},	{"nx smep", 0, 1}, {"foo,nx,bar", 1, 2},
		{"x2apicv,nx", 1, 1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		(void)setup(state);
		assert_int_equal(caps_init(cases[i].hide), 0);
		assert_int_equal(missing(), cases[i].lost);
		assert_int_equal(fake_report_lines, cases[i].lines);
	}
	assert_true(fake_reported("hide=x2apicv: there is no such feature"));
}

/* What if a guest could not start: the refusal names the feature, hidden or not there. */
static void test_fatal(void **state)
{
	(void)state;
	assert_int_equal(caps_init("unrestricted"), -ENODEV);
	assert_true(fake_reported("no unrestricted: guests cannot start in real mode"));
	(void)setup(state);
	fake_msr_set(MSR_VMX_PROCBASED2, ALLOW_ALL & ~((uint64_t)PROC2_UNRESTRICTED << 32));
	assert_int_equal(caps_init(NULL), -ENODEV);
	assert_int_equal(fake_report_lines, 1);
}

/* What if there is no VMX, or the firmware locked it off? No VMX register is touched then. */
static void test_no_vmx(void **state)
{
	static const struct {
		uint64_t control;
		int ret;
	} cases[] = {{0, 0}, {1, -ENODEV}, {2, 0}, {3, -ENODEV}, {4, 0}, {5, 0}};

	fake_machine_reset();
	fake_cpuid_set(0, 0, 1, 0, 0, 0);
	fake_cpuid_set(1, 0, 0, 0, ALL & ~(1U << 5), ALL);
	assert_int_equal(caps_init(NULL), -ENODEV);
	assert_int_equal(fake_msr_gp, 0);
	assert_true(fake_reported("no VMX"));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		(void)setup(state);
		fake_msr_set(MSR_FEATURE_CONTROL, cases[i].control);
		assert_int_equal(caps_init(NULL), cases[i].ret);
		assert_int_equal(fake_reported("locked off by the firmware"), cases[i].ret != 0);
	}
}

/* What if there is no second-level paging, or not what we need of it? */
static void test_no_ept(void **state)
{
	static const uint64_t needed[] = {EPT_CAP_WALK4, EPT_CAP_INVEPT};

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		(void)setup(state);
		fake_msr_set(MSR_VMX_EPT_VPID_CAP, ~needed[i]);
		assert_int_equal(caps_init(NULL), -ENODEV);
		assert_true(fake_reported("no EPT"));
	}
	(void)setup(state);
	fake_msr_set(MSR_VMX_PROCBASED2, ALLOW_ALL & ~((uint64_t)PROC2_EPT << 32));
	assert_int_equal(caps_init(NULL), -ENODEV);
	/* a CPU without secondary controls does not have their registers either */
	(void)setup(state);
	fake_machine_reset();
	fake_cpuid_set(0, 0, 1, 0, 0, 0);
	fake_cpuid_set(1, 0, 0, 0, ALL, ALL);
	fake_msr_set(MSR_FEATURE_CONTROL, 5);
	fake_msr_set(MSR_VMX_BASIC, 0);
	fake_msr_set(MSR_VMX_PINBASED, ALLOW_ALL);
	fake_msr_set(MSR_VMX_PROCBASED, ALLOW_ALL & ~((uint64_t)PROC_SECONDARY << 32));
	assert_int_equal(caps_init(NULL), -ENODEV);
	assert_int_equal(fake_msr_gp, 0);
}

/* What if CPUID has few leaves? Absent ones answer with another leaf's bits: they do not count. */
static void test_few_leaves(void **state)
{
	(void)state;
	fake_cpuid_set(0, 0, 6, 0, 0, 0);
	fake_cpuid_set(0x80000000, 0, 0x80000000, 0, 0, 0);
	assert_int_equal(caps_init(NULL), 0);
	assert_false(cap_has(CAP_SMEP));
	assert_false(cap_has(CAP_SMAP));
	assert_false(cap_has(CAP_XSAVES));
	assert_false(cap_has(CAP_NX));
	assert_false(cap_has(CAP_1G_PAGES));
	assert_false(cap_has(CAP_INVARIANT_TSC));
	assert_true(cap_has(CAP_X2APIC));
	/* a CPU without extended leaves answers their first with its highest basic one */
	(void)setup(state);
	fake_cpuid_set(0x80000000, 0, 0x16, 0, 0, 0);
	assert_int_equal(caps_init(NULL), 0);
	assert_false(cap_has(CAP_NX));
}

/* What if the CPU has no "true" capability registers? The old ones count. */
static void test_old_controls(void **state)
{
	(void)state;
	fake_msr_set(MSR_VMX_BASIC, 0);
	fake_msr_set(MSR_VMX_TRUE_PINBASED, 0);
	fake_msr_set(MSR_VMX_TRUE_PROCBASED, 0);
	fake_msr_set(MSR_VMX_PINBASED, ALLOW_ALL);
	fake_msr_set(MSR_VMX_PROCBASED, ALLOW_ALL);
	assert_int_equal(caps_init(NULL), 0);
	assert_int_equal(missing(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_all, setup),
		cmocka_unit_test_setup(test_each_bit, setup),
		cmocka_unit_test_setup(test_dependencies, setup),
		cmocka_unit_test_setup(test_hide, setup),
		cmocka_unit_test_setup(test_fatal, setup),
		cmocka_unit_test_setup(test_no_vmx, setup),
		cmocka_unit_test_setup(test_no_ept, setup),
		cmocka_unit_test_setup(test_few_leaves, setup),
		cmocka_unit_test_setup(test_old_controls, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
