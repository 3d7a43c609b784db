// SPDX-License-Identifier: BSD-3-Clause
/*
 * Computes a VM's CPUID leaves once, when it is created: what the processor has, less what the
 * hypervisor does not virtualise, plus what it emulates.  Features are shown by lists of bits, so
 * that one a future processor adds stays hidden until somebody has thought about it.
 */
#include "acrn/version.h"
#include "lib/kconfig.h"
#include "lib/string.h"
#include "asm/cpuregs.h"
#include "asm/insn.h"
#include "hv/caps.h"
#include "hv/log.h"
#include "hv/timer.h"
#include "hv/vcpuid.h"
#include "hv/vm.h"

enum { EAX, EBX, ECX, EDX };

/* Leaf 1 ECX without: DTES64, MONITOR, DS-CPL, VMX, SMX, EST, TM2, CNXT-ID, SDBG, xTPR, PDCM, DCA. */
#define LEAF1_ECX_SHOWN 0x76FA3203U
#define LEAF1_ECX_SET	(BIT32(21) | BIT32(24) | BIT32(31)) /* x2APIC, TSC-deadline, hypervisor */
/* EDX without: PSN, DS, ACPI thermal, HTT (per vCPU), TM, IA64, PBE. */
#define LEAF1_EDX_SHOWN 0x0F8BFBFFU
#define LEAF1_EDX_MTRR	BIT32(12)
#define LEAF1_EDX_SET	(BIT32(9) | BIT32(16)) /* APIC, PAT */
#define LEAF6_ARAT	BIT32(2)
/* Leaf 7 without: SGX, PQM, MPX, PQE, PT; WAITPKG, CET, TME, LA57, KL, bus lock, ENQCMD, PKS, ... */
#define LEAF7_EBX_SHOWN	   0xFDBF2FF9U
#define LEAF7_EBX_ADJUST   BIT32(1)
#define LEAF7_ECX_SHOWN	   0x1A405F4FU
#define LEAF7_EDX_SHOWN	   0xBC814D1CU
#define LEAF7_1_EAX_SHOWN  0x00801C30U /* AVX-VNNI, BF16, fast strings, AVX-IFMA */
#define XCR0_SHOWN	   0x2E7UL /* x87, SSE, AVX, AVX-512, PKRU */
#define LEAF81_ECX_SHOWN   0x00000121U /* LAHF, LZCNT, PREFETCHW */
#define LEAF81_EDX_SHOWN   0x2C100800U /* SYSCALL, NX, 1 GB pages, RDTSCP, long mode */

/* Features that depend on something the hypervisor found, or was told to hide. */
static const struct {
	enum cpu_cap cap;
	uint32_t leaf, sub, reg, bits;
} needed[] = {
	{CAP_PCID, 1, 0, ECX, BIT32(17)},
	{CAP_XSAVE, 1, 0, ECX, BIT32(12) | BIT32(26) | BIT32(28) | BIT32(29)},
	{CAP_XSAVE, 7, 0, EBX, BIT32(5) | 0xDC230000U}, /* AVX2, AVX-512 */
	{CAP_XSAVE, 7, 0, ECX, 0x00005E4AU},		/* more AVX-512, PKU, VAES, VPCLMUL */
	{CAP_XSAVE, 7, 0, EDX, 0x0080010CU},
	{CAP_XSAVE, 7, 1, EAX, 0x00800030U},
	{CAP_SMEP, 7, 0, EBX, BIT32(7)},
	{CAP_SMAP, 7, 0, EBX, BIT32(20)},
	{CAP_INVPCID, 7, 0, EBX, BIT32(10)},
	{CAP_RDTSCP, 7, 0, ECX, BIT32(22)}, /* RDPID */
	{CAP_XSAVES, 0xD, 1, EAX, BIT32(3)},
	{CAP_NX, 0x80000001U, 0, EDX, BIT32(20)},
	{CAP_1G_PAGES, 0x80000001U, 0, EDX, BIT32(26)},
	{CAP_RDTSCP, 0x80000001U, 0, EDX, BIT32(27)},
	{CAP_INVARIANT_TSC, 0x80000007U, 0, EDX, BIT32(8)},
};

/* CR4 bits that come with a feature. */
static const struct {
	uint64_t cr4;
	uint32_t leaf, reg, bit;
} cr4_needs[] = {
	{CR4_UMIP, 7, ECX, BIT32(2)},	  {CR4_FSGSBASE, 7, EBX, BIT32(0)},
	{CR4_PCIDE, 1, ECX, BIT32(17)},	  {CR4_OSXSAVE, 1, ECX, BIT32(26)},
	{CR4_SMEP, 7, EBX, BIT32(7)},	  {CR4_SMAP, 7, EBX, BIT32(20)},
	{CR4_PKE, 7, ECX, BIT32(3)},
};

#define CR4_BASE                                                                                   \
	(CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE |  \
	 CR4_OSFXSR | CR4_OSXMMEXCPT)

/* The processor's own answer, zero above its highest leaf. */
static void native(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	cpuid_count(leaf & 0x80000000U, 0, r);
	if (r[EAX] < leaf) {
		(void)memset(r, 0, 4U * sizeof(r[0]));
	} else {
		cpuid_count(leaf, sub, r);
	}
}

static void drop_unavailable(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		if (needed[i].leaf == leaf && needed[i].sub == sub && !cap_has(needed[i].cap)) {
			r[needed[i].reg] &= ~needed[i].bits;
		}
	}
}

static uint32_t *set_leaf(struct vm_vcpuid *t, uint32_t leaf, enum vcpuid_kind kind)
{
	t->kind[vcpuid_index(leaf)] = (uint8_t)kind;
	return vcpuid_leaf(t, leaf);
}

static uint32_t *add_sub(struct vm_vcpuid *t, uint32_t leaf, uint32_t sub)
{
	struct vcpuid_sub *s = &t->subs[t->sub_count++];

	ASSERT(t->sub_count <= VCPUID_SUBS);
	s->leaf = leaf;
	s->sub = sub;
	native(leaf, sub, s->r);
	return s->r;
}

static void build_leaf1(const struct vm *vm, struct vm_vcpuid *t)
{
	uint32_t *r = set_leaf(t, 1, VCPUID_LEAF1);

	native(1, 0, r);
	r[EBX] &= 0xFFFFU; /* brand and CLFLUSH size */
	r[ECX] = (r[ECX] & LEAF1_ECX_SHOWN) | LEAF1_ECX_SET;
	r[EDX] = (r[EDX] & LEAF1_EDX_SHOWN) | LEAF1_EDX_SET;
	if ((vm->flags & GUEST_FLAG_HIDE_MTRR) == 0U) {
		r[EDX] |= LEAF1_EDX_MTRR;
	} else {
		r[EDX] &= ~LEAF1_EDX_MTRR;
	}
	drop_unavailable(1, 0, r);
}

static void build_leaf7(struct vm_vcpuid *t)
{
	uint32_t *r = add_sub(t, 7, 0);

	(void)set_leaf(t, 7, VCPUID_LEAF7);
	r[EAX] = MIN(r[EAX], 1U);
	r[EBX] = (r[EBX] & LEAF7_EBX_SHOWN) | LEAF7_EBX_ADJUST;
	r[ECX] &= LEAF7_ECX_SHOWN;
	r[EDX] &= LEAF7_EDX_SHOWN;
	drop_unavailable(7, 0, r);
	if (r[EAX] == 0U) {
		return;
	}
	r = add_sub(t, 7, 1);
	r[EAX] &= LEAF7_1_EAX_SHOWN;
	r[EBX] = r[ECX] = r[EDX] = 0;
	drop_unavailable(7, 1, r);
}

static void build_cache(struct vm_vcpuid *t)
{
	(void)set_leaf(t, 4, VCPUID_CACHE);
	for (uint32_t sub = 0; sub < 8U; sub++) {
		if ((add_sub(t, 4, sub)[EAX] & 0x1FU) == 0U) {
			return;
		}
	}
}

static void build_xsave(struct vm_vcpuid *t)
{
	uint32_t *r, size = 576;

	(void)set_leaf(t, 0xD, VCPUID_XSAVE);
	if (!cap_has(CAP_XSAVE)) {
		return;
	}
	r = add_sub(t, 0xD, 0);
	r[EAX] &= (uint32_t)XCR0_SHOWN;
	r[EDX] = 0;
	t->xcr0_allowed = r[EAX];
	r = add_sub(t, 0xD, 1);
	r[EAX] &= 0xFU; /* XSAVEOPT, XSAVEC, XGETBV 1, XSAVES */
	r[ECX] = r[EDX] = 0;
	drop_unavailable(0xD, 1, r);
	for (uint32_t n = 2; n < 32U; n++) {
		if ((t->xcr0_allowed & BIT(n)) != 0U) {
			r = add_sub(t, 0xD, n);
			size = MAX(size, r[EAX] + r[EBX]);
		}
	}
	for (uint32_t i = 0; i < t->sub_count; i++) {
		if (t->subs[i].leaf == 0xDU && t->subs[i].sub == 0U) {
			t->subs[i].r[ECX] = size;
		}
	}
}

/*
 * The TSC's clock, so that a kernel need not measure it: 0x15, 0x16 and ACRN's 0x40000010. Kernels
 * take the crystal of 0x15 for the clock of the LAPIC timer too, and the virtual one counts TSC
 * ticks: so the crystal is the TSC itself. One above 4.29 GHz does not fit and is left unsaid.
 */
static void build_clock(struct vm_vcpuid *t)
{
	uint64_t hz = (uint64_t)tsc_khz() * 1000U;
	uint32_t mhz = tsc_khz() / 1000U;
	uint32_t *r = set_leaf(t, 0x15, VCPUID_PLAIN);

	r[EAX] = 1;
	r[EBX] = 1;
	r[ECX] = hz <= UINT32_MAX ? (uint32_t)hz : 0U;
	r = set_leaf(t, 0x16, VCPUID_PLAIN);
	r[EAX] = mhz;
	r[EBX] = mhz;
	r[ECX] = 100;
	set_leaf(t, 0x40000010U, VCPUID_PLAIN)[EAX] = tsc_khz();
}

/* 0x40000002 to 0x40000004, for the VM that may make hypercalls: ACRN has zeros there. */
static void build_version(struct vm_vcpuid *t)
{
	uint32_t *r = vcpuid_leaf(t, 0x40000002U);

	r[EAX] = ((uint32_t)ACRN_API_MAJOR << 16) | ACRN_API_MINOR;
	r[EBX] = IS_ENABLED(CONFIG_DEBUG) ? 1U : 0U;
	(void)memcpy(vcpuid_leaf(t, 0x40000003U), &board_config.version[0], 16);
	(void)memcpy(vcpuid_leaf(t, 0x40000004U), &board_config.version[16], 16);
}

static void build_acrn(const struct vm *vm, struct vm_vcpuid *t)
{
	uint32_t *r;

	for (uint32_t leaf = 0x40000000U; leaf <= VCPUID_MAX_ACRN; leaf++) {
		(void)set_leaf(t, leaf, VCPUID_PLAIN);
	}
	r = set_leaf(t, 0x40000000U, VCPUID_PLAIN);
	r[EAX] = VCPUID_MAX_ACRN;
	(void)memcpy(&r[EBX], "ACRNACRNACRN", 12);
	(void)set_leaf(t, 0x40000001U, VCPUID_ACRN);
	if (vm->hypercalls) {
		build_version(t);
	}
}

static void build_extended(struct vm_vcpuid *t)
{
	uint32_t *r = set_leaf(t, 0x80000000U, VCPUID_PLAIN);
	uint32_t max;

	native(0x80000000U, 0, r);
	max = MIN(r[EAX], VCPUID_MAX_EXTENDED);
	r[EAX] = max;
	for (uint32_t leaf = 0x80000001U; leaf <= max; leaf++) {
		native(leaf, 0, set_leaf(t, leaf, VCPUID_PLAIN));
	}
	r = vcpuid_leaf(t, 0x80000001U);
	r[ECX] &= LEAF81_ECX_SHOWN;
	r[EDX] &= LEAF81_EDX_SHOWN;
	drop_unavailable(0x80000001U, 0, r);
	r = vcpuid_leaf(t, 0x80000007U);
	r[EAX] = r[EBX] = r[ECX] = 0;
	r[EDX] &= BIT32(8);
	drop_unavailable(0x80000007U, 0, r);
	vcpuid_leaf(t, 0x80000008U)[EBX] = 0;
}

static const uint32_t *shown(struct vm_vcpuid *t, uint32_t leaf)
{
	for (uint32_t i = 0; i < t->sub_count; i++) {
		if (t->subs[i].leaf == leaf && t->subs[i].sub == 0U) {
			return t->subs[i].r;
		}
	}
	return vcpuid_leaf(t, leaf);
}

void vcpuid_table_build(const struct vm *vm, struct vm_vcpuid *t)
{
	uint32_t *r;

	(void)memset(t, 0, sizeof(*t));
	for (uint32_t leaf = 0; leaf <= VCPUID_MAX_BASIC; leaf++) {
		(void)set_leaf(t, leaf, VCPUID_PLAIN); /* zero: PMU, PT, SGX, RDT ... */
	}
	r = vcpuid_leaf(t, 0);
	native(0, 0, r);
	r[EAX] = VCPUID_MAX_BASIC;
	build_leaf1(vm, t);
	native(2, 0, vcpuid_leaf(t, 2));
	build_cache(t);
	vcpuid_leaf(t, 6)[EAX] = LEAF6_ARAT;
	build_leaf7(t);
	(void)set_leaf(t, 0xB, VCPUID_TOPOLOGY);
	build_xsave(t);
	build_clock(t);
	build_acrn(vm, t);
	build_extended(t);

	t->cr4_allowed = CR4_BASE;
	for (size_t i = 0; i < ARRAY_SIZE(cr4_needs); i++) {
		if ((shown(t, cr4_needs[i].leaf)[cr4_needs[i].reg] & cr4_needs[i].bit) != 0U) {
			t->cr4_allowed |= cr4_needs[i].cr4;
		}
	}
	t->efer_allowed = EFER_SCE | EFER_LME | EFER_LMA;
	if ((vcpuid_leaf(t, 0x80000001U)[EDX] & BIT32(20)) != 0U) {
		t->efer_allowed |= EFER_NXE;
	}
}
