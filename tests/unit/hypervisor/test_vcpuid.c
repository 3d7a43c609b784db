// SPDX-License-Identifier: BSD-3-Clause
/*
 * CPUID as guests see it: what is shown, hidden, emulated and synthesised; leaves that depend on
 * the vCPU; leaves that do not exist; features the command line hid.
 */
/* links: @machine @guest */
#include <string.h>

#include "guest_machine.h"

enum { EAX, EBX, ECX, EDX };

static uint32_t get(struct vcpu *c, uint32_t leaf, uint32_t sub, uint32_t reg)
{
	uint32_t r[4];

	vcpuid_get(c, leaf, sub, r);
	return r[reg];
}

/* Does the exit put the four registers in place, clear their upper halves, and skip? */
static void test_exit_writes_registers(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	c->gpr[GPR_RAX] = 0xFFFFFFFF00000000UL;
	c->gpr[GPR_RBX] = c->gpr[GPR_RDX] = UINT64_MAX;
	c->gpr[GPR_RCX] = 0xFFFFFFFF00000000UL;
	fake_vmcs[VMCS_EXIT_INSN_LEN] = 2;
	test_exit(c, EXIT_CPUID);
	assert_int_equal(c->gpr[GPR_RAX], 0x16);
	assert_int_equal(c->gpr[GPR_RBX], 0x756E6547);
	assert_int_equal(c->gpr[GPR_RCX], 0x6C65746E);
	assert_int_equal(c->gpr[GPR_RDX], 0x49656E69);
	expect_skip(2);
}

static const struct {
	const char *name;
	uint32_t leaf, sub, reg, bits;
	bool shown;
} features[] = {
	{"VMX", 1, 0, ECX, BIT32(5), false},
	{"SMX", 1, 0, ECX, BIT32(6), false},
	{"MONITOR", 1, 0, ECX, BIT32(3), false},
	{"EST", 1, 0, ECX, BIT32(7), false},
	{"debug store", 1, 0, ECX, BIT32(2) | BIT32(4), false},
	{"SDBG", 1, 0, ECX, BIT32(11), false},
	{"PDCM", 1, 0, ECX, BIT32(15), false},
	{"SSE3, SSSE3, SSE4", 1, 0, ECX, BIT32(0) | BIT32(9) | BIT32(19) | BIT32(20), true},
	{"FMA, AVX, F16C, XSAVE", 1, 0, ECX, BIT32(12) | BIT32(28) | BIT32(29) | BIT32(26), true},
	{"PCID", 1, 0, ECX, BIT32(17), true},
	{"x2APIC, TSC-deadline", 1, 0, ECX, BIT32(21) | BIT32(24), true},
	{"hypervisor", 1, 0, ECX, BIT32(31), true},
	{"FPU, TSC, MSR, APIC, MTRR, PAT", 1, 0, EDX,
	 BIT32(0) | BIT32(4) | BIT32(5) | BIT32(9) | BIT32(12) | BIT32(16), true},
	{"DS, ACPI, TM, PBE", 1, 0, EDX, BIT32(21) | BIT32(22) | BIT32(29) | BIT32(31), false},
	{"ARAT", 6, 0, EAX, BIT32(2), true},
	{"other power", 6, 0, EAX, ~BIT32(2), false},
	{"APERF, EPB", 6, 0, ECX, UINT32_MAX, false},
	{"FSGSBASE, TSC_ADJUST", 7, 0, EBX, BIT32(0) | BIT32(1), true},
	{"SMEP, SMAP, INVPCID", 7, 0, EBX, BIT32(7) | BIT32(20) | BIT32(10), true},
	{"SGX, PQM, MPX, PQE, PT", 7, 0, EBX,
	 BIT32(2) | BIT32(12) | BIT32(14) | BIT32(15) | BIT32(25), false},
	{"AVX2, AVX-512F", 7, 0, EBX, BIT32(5) | BIT32(16), true},
	{"UMIP, PKU", 7, 0, ECX, BIT32(2) | BIT32(3), true},
	{"WAITPKG, CET, LA57, KL, PKS", 7, 0, ECX,
	 BIT32(5) | BIT32(7) | BIT32(16) | BIT32(23) | BIT32(31), false},
	{"IBRS, STIBP, ARCH_CAP, SSBD", 7, 0, EDX,
	 BIT32(26) | BIT32(27) | BIT32(29) | BIT32(31), true},
	{"hybrid, AMX, IBT, CORE_CAP", 7, 0, EDX,
	 BIT32(15) | BIT32(22) | BIT32(24) | BIT32(25) | BIT32(20) | BIT32(30), false},
	{"XSAVES", 0xD, 1, EAX, BIT32(3), true},
	{"supervisor states", 0xD, 1, ECX, UINT32_MAX, false},
	{"SYSCALL, NX, 1 GB, RDTSCP, 64 bit", 0x80000001, 0, EDX,
	 BIT32(11) | BIT32(20) | BIT32(26) | BIT32(27) | BIT32(29), true},
	{"invariant TSC", 0x80000007, 0, EDX, BIT32(8), true},
	{"PMU", 0xA, 0, EAX, UINT32_MAX, false},
	{"PT", 0x14, 0, EAX, UINT32_MAX, false},
	{"SGX", 0x12, 0, EAX, UINT32_MAX, false},
	{"RDT", 0x10, 0, EBX, UINT32_MAX, false},
	{"MWAIT", 5, 0, EAX, UINT32_MAX, false},
};

/* On a processor that has everything: is each feature shown or hidden as it should be? */
static void test_features(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		uint32_t v = get(c, features[i].leaf, features[i].sub, features[i].reg);

		if ((v & features[i].bits) != (features[i].shown ? features[i].bits : 0U))
			fail_msg("%s: %08x", features[i].name, v);
	}
}

/* Do APIC ids, OSXSAVE, OSPKE and XSAVE sizes follow the vCPU that asks? */
static void test_per_vcpu(void **state)
{
	struct vcpu *a = test_vcpu(0, 0), *b = test_vcpu(0, 1);

	(void)state;
	assert_int_equal(get(a, 1, 0, EBX) >> 24, 0);
	assert_int_equal(get(b, 1, 0, EBX) >> 24, 2);
	assert_int_equal(get(b, 0xB, 0, EDX), 2);
	assert_int_equal(get(b, 0xB, 5, EDX), 2);
	fake_vmcs[VMCS_GUEST_CR4] &= ~(CR4_OSXSAVE | CR4_PKE);
	assert_int_equal(get(a, 1, 0, ECX) & BIT32(27), 0);
	assert_int_equal(get(a, 7, 0, ECX) & BIT32(4), 0);
	fake_vmcs[VMCS_GUEST_CR4] |= CR4_OSXSAVE | CR4_PKE;
	assert_int_equal(get(a, 1, 0, ECX) & BIT32(27), BIT32(27));
	assert_int_equal(get(a, 7, 0, ECX) & BIT32(4), BIT32(4));
	a->xcr0 = 1;
	assert_int_equal(get(a, 0xD, 0, EBX), 576);
	a->xcr0 = 7;
	assert_int_equal(get(a, 0xD, 0, EBX), 0x340);
	a->xcr0 = 0x2E7;
	assert_int_equal(get(a, 0xD, 0, EBX), 0xA88);
	assert_int_equal(get(a, 0xD, 1, EBX), 576 + 0x100 + 0x40 + 0x200 + 0x400 + 8);
	assert_int_equal(get(b, 0xD, 0, EBX), 576); /* the other one's is its own */
}

/* Is the topology one package of single-thread cores, whose ids have enough bits? */
static void test_topology(void **state)
{
	struct vcpu *c = test_vcpu(0, 1); /* APIC ids 0 and 2: two bits */

	(void)state;
	assert_int_equal(get(c, 1, 0, EDX) & BIT32(28), BIT32(28));
	assert_int_equal((get(c, 1, 0, EBX) >> 16) & 0xFF, 4);
	assert_int_equal(get(c, 0xB, 0, EAX), 0);
	assert_int_equal(get(c, 0xB, 0, EBX), 1);
	assert_int_equal(get(c, 0xB, 0, ECX), 0x100);
	assert_int_equal(get(c, 0xB, 1, EAX), 2);
	assert_int_equal(get(c, 0xB, 1, EBX), 2);
	assert_int_equal(get(c, 0xB, 1, ECX), 0x201);
	assert_int_equal(get(c, 0xB, 2, ECX), 2);
	assert_int_equal(get(c, 0xB, 2, EBX), 0);
	assert_int_equal(get(c, 4, 0, EAX), 0x121 | 3U << 26);
	assert_int_equal(get(c, 4, 2, EAX), 0x163 | 3U << 26 | 3U << 14);
	assert_int_equal(get(c, 4, 3, EAX), 0);
	assert_int_equal(get(c, 4, 99, EAX), 0);
}

/* Does a kernel find the TSC's clock without measuring: 0x15, 0x16, ACRN's leaf? */
static void test_clock(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	assert_int_equal(get(c, 0x15, 0, EAX), 1);
	assert_int_equal(get(c, 0x15, 0, EBX), 1);
	assert_int_equal(get(c, 0x15, 0, ECX), 1000000000);
	assert_int_equal(get(c, 0x16, 0, EAX), 1000);
	assert_int_equal(get(c, 0x40000010, 0, EAX), 1000000);
}

/* ACRN's leaves: signature, range, and who may issue hypercalls. */
static void test_acrn_leaves(void **state)
{
	uint32_t r[4];

	(void)state;
	vcpuid_get(test_vcpu(1, 0), 0x40000000, 0, r);
	assert_int_equal(r[EAX], 0x40000010);
	assert_memory_equal(&r[EBX], "ACRNACRNACRN", 12);
	assert_int_equal(get(test_vcpu(0, 0), 0x40000001, 0, EAX), 1);
	assert_int_equal(get(test_vcpu(1, 0), 0x40000001, 0, EAX), 0);
	/* and which hypervisor this is, for nobody else */
	vcpuid_get(test_vcpu(0, 0), 0x40000002, 0, r);
	assert_int_equal(r[EAX], 0x10000);
	assert_int_equal(r[EBX], 1);
	vcpuid_get(test_vcpu(0, 0), 0x40000003, 0, r);
	assert_memory_equal(r, "0123456789abcdef", 16);
	vcpuid_get(test_vcpu(0, 0), 0x40000004, 0, r);
	assert_memory_equal(r, "-dirty\0\0\0\0\0\0\0\0\0\0", 16);
	for (uint32_t leaf = 0x40000002; leaf < 0x40000010; leaf++) {
		vcpuid_get(test_vcpu(1, 0), leaf, 0, r);
		assert_int_equal(r[EAX] | r[EBX] | r[ECX] | r[EDX], 0);
	}
}

/* Leaves that do not exist read as the highest basic one, as on Intel's processors. */
static void test_out_of_range(void **state)
{
	static const uint32_t leaves[] = {0x17, 0x1F, 0x20, 0x3FFFFFFF, 0x40000011, 0x7FFFFFFF,
					  0x80000009, 0x8000001F, 0xC0000000, UINT32_MAX};
	struct vcpu *c = test_vcpu(1, 0);
	uint32_t top[4], r[4];

	(void)state;
	assert_int_equal(get(c, 0x80000000, 0, EAX), 0x80000008);
	vcpuid_get(c, 0x16, 0, top);
	for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
		vcpuid_get(c, leaves[i], 3, r);
		assert_memory_equal(r, top, sizeof(r));
	}
}

/* Is what hide= took away gone from guests, and from what they may set? */
static void test_hidden_capabilities(void **state)
{
	static const enum cpu_cap without[] = {CAP_XSAVE, CAP_XSAVES, CAP_PCID, CAP_SMAP, CAP_RDTSCP,
					       CAP_NX, CAP_INVPCID, CAP_INVARIANT_TSC, CAP_COUNT};
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	guest_start(without);
	assert_int_equal(get(c, 1, 0, ECX) & (BIT32(26) | BIT32(28) | BIT32(17)), 0);
	assert_int_equal(get(c, 7, 0, EBX) & (BIT32(5) | BIT32(16) | BIT32(20) | BIT32(10)), 0);
	assert_int_equal(get(c, 7, 0, ECX) & (BIT32(22) | BIT32(3)), 0);
	assert_int_equal(get(c, 0xD, 0, EAX), 0);
	assert_int_equal(get(c, 0x80000001, 0, EDX) & (BIT32(20) | BIT32(27)), 0);
	assert_int_equal(get(c, 0x80000007, 0, EDX), 0);
	assert_int_equal(vcpuid_cr4_allowed(c) & (CR4_OSXSAVE | CR4_PCIDE | CR4_SMAP | CR4_PKE), 0);
	assert_int_equal(vcpuid_cr4_allowed(c) & CR4_SMEP, CR4_SMEP);
	assert_int_equal(vcpuid_efer_allowed(c) & EFER_NXE, 0);
	assert_int_equal(vcpuid_xcr0_allowed(c), 0);
	guest_stop();
}

/* What a guest may set never includes VMX, and what it may is what CPUID shows. */
static void test_allowed(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	assert_int_equal(vcpuid_cr4_allowed(c) & (CR4_VMXE | CR4_SMXE | CR4_LA57 | CR4_CET | CR4_PKS |
						  CR4_KL), 0);
	assert_int_equal(vcpuid_xcr0_allowed(c), 0x2E7);
	assert_int_equal(get(c, 0xD, 0, EAX), 0x2E7);
	assert_int_equal(get(c, 0xD, 0, ECX), 0xA88);
	assert_int_equal(get(c, 0xD, 3, EAX), 0); /* MPX */
}

/* Is the MTRR feature hidden from the VM whose flag asks for it, and from no other? */
static void test_hide_mtrr(void **state)
{
	struct vm_vcpuid *t = test_vm(1)->vcpuid;

	(void)state;
	test_vm(1)->flags |= GUEST_FLAG_HIDE_MTRR;
	vcpuid_table_build(test_vm(1), t);
	assert_int_equal(get(test_vcpu(1, 0), 1, 0, EDX) & BIT32(12), 0);
	assert_int_equal(get(test_vcpu(0, 0), 1, 0, EDX) & BIT32(12), BIT32(12));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, guest_setup, guest_teardown)
	const struct CMUnitTest tests[] = {
		T(test_exit_writes_registers), T(test_features),    T(test_per_vcpu),
		T(test_topology),	       T(test_clock),	    T(test_acrn_leaves),
		T(test_out_of_range),	       T(test_allowed),	    T(test_hide_mtrr),
		cmocka_unit_test(test_hidden_capabilities),
	};

	return cmocka_run_group_tests_name("vcpuid", tests, NULL, NULL);
}
