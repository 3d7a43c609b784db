// SPDX-License-Identifier: BSD-3-Clause
/*
 * Guest memory: copies by physical address, the walk of the guest's tables in every paging mode,
 * rights, reserved bits, accessed and dirty bits, and what is not memory.
 */
/* links: @machine @guest */
#include <string.h>

#include "guest_machine.h"

#define USER_CPL()  (fake_vmcs[VMCS_GUEST_SS_AR] |= 3U << 5)
#define SUPER_CPL() (fake_vmcs[VMCS_GUEST_SS_AR] &= ~(uint64_t)(3U << 5))

#define P  1UL
#define W  2UL
#define U  4UL
#define A  0x20UL
#define D  0x40UL
#define PS 0x80UL
#define NX (1UL << 63)

static struct vm *vm;
static struct vcpu *cpu;
static struct gmem_fault fault;

static int setup(void **state)
{
	(void)guest_setup(state);
	vm = test_vm(1);
	cpu = test_vcpu(1, 0);
	memset(&fault, 0, sizeof(fault));
	return 0;
}

static void put(uint64_t gpa, uint64_t val)
{
	memcpy(test_ram(vm, gpa), &val, sizeof(val));
}

static uint64_t get(uint64_t gpa)
{
	uint64_t v;

	memcpy(&v, test_ram(vm, gpa), sizeof(v));
	return v;
}

static int walk(uint64_t gva, uint32_t access, uint64_t *gpa)
{
	gpa_t g = GPA(0);
	int ret = gmem_translate(cpu, GVA(gva), access, &g, &fault);

	*gpa = g.v;
	return ret;
}

static void expect_pf(uint64_t gva, uint32_t access, uint32_t error)
{
	uint64_t gpa;

	assert_int_equal(walk(gva, access, &gpa), -EFAULT);
	assert_int_equal(fault.vector, EXC_PF);
	assert_int_equal(fault.error, error);
	assert_int_equal(fault.addr.v, gva);
}

static void expect_at(uint64_t gva, uint32_t access, uint64_t want)
{
	uint64_t gpa;

	if (walk(gva, access, &gpa) != 0)
		fail_msg("%lx: fault %u, error %x", gva, fault.vector, fault.error);
	assert_int_equal(gpa, want);
}

/* A 4 KB page at GVA 4 GB + 0x5000: PML4 0x1000, PDPT 0x2000, PD 0x6000, PT 0x7000. */
#define PAGE_GVA 0x100005000UL

static void map_4k(uint64_t pml4e, uint64_t pdpte, uint64_t pde, uint64_t pte)
{
	put(0x1000, 0x2000 | pml4e);
	put(0x2020, 0x6000 | pdpte);
	put(0x6000, 0x7000 | pde);
	put(0x7028, 0x9000 | pte);
}

/* Copies over page ends, to unmapped and read-only pages, and to what is no memory. */
static void test_copies(void **state)
{
	uint8_t out[0x3000], in[0x3000];

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 7U);
	assert_int_equal(gmem_write(vm, GPA(0x20FFF), in, sizeof(in)), 0);
	assert_int_equal(gmem_read(vm, GPA(0x20FFF), out, sizeof(out)), 0);
	assert_memory_equal(in, out, sizeof(in));
	test_ept_attr(vm, 0x22000, EPT_READ | EPT_MT_WB);
	assert_int_equal(gmem_read(vm, GPA(0x21000), out, 0x2000), 0);
	assert_int_equal(gmem_write(vm, GPA(0x21000), in, 0x2000), -EFAULT);
	assert_memory_equal(test_ram(vm, 0x21000), in, 0x1000); /* what came before is there */
	test_ept_attr(vm, 0x22000, 0);
	assert_int_equal(gmem_read(vm, GPA(0x21FFF), out, 1), 0);
	assert_int_equal(gmem_read(vm, GPA(0x21FFF), out, 2), -EFAULT);
	test_ept_attr(vm, 0x23000, EPT_RWX | EPT_MT_UC); /* a device passed through */
	assert_int_equal(gmem_read(vm, GPA(0x23000), out, 4), -EFAULT);
	assert_int_equal(gmem_write(vm, GPA(0x23000), in, 4), -EFAULT);
	assert_int_equal(gmem_read(vm, GPA(UINT64_MAX), out, 2), -EFAULT);
	assert_int_equal(gmem_read(vm, GPA(TEST_RAM), out, 0), 0);
}

/* Each VM reads its own memory. */
static void test_two_vms(void **state)
{
	uint8_t v = 0;

	(void)state;
	*test_ram(test_vm(0), 0x20000) = 1;
	*test_ram(test_vm(1), 0x20000) = 2;
	assert_int_equal(gmem_read(test_vm(0), GPA(0x20000), &v, 1), 0);
	assert_int_equal(v, 1);
	assert_int_equal(gmem_read(test_vm(1), GPA(0x20000), &v, 1), 0);
	assert_int_equal(v, 2);
}

/* Without paging the linear address is the physical one, 32 bits of it. */
static void test_no_paging(void **state)
{
	(void)state;
	mode_real();
	expect_at(0x12345, GMEM_WRITE, 0x12345);
	expect_at(0x100012345, 0, 0x12345);
}

/* 4-level paging: 4 KB, 2 MB, 1 GB pages; accessed and dirty bits are set where they should. */
static void test_long_sizes(void **state)
{
	(void)state;
	map_4k(P | W | U, P | W | U, P | W | U, P | W | U);
	expect_at(PAGE_GVA + 0x123, 0, 0x9123);
	assert_int_equal(get(0x1000), 0x2000 | P | W | U | A);
	assert_int_equal(get(0x7028), 0x9000 | P | W | U | A);
	expect_at(PAGE_GVA, GMEM_WRITE, 0x9000);
	assert_int_equal(get(0x7028), 0x9000 | P | W | U | A | D);
	assert_int_equal(get(0x6000), 0x7000 | P | W | U | A); /* no dirty bit in tables */
	put(0x6000, 0x200000 | PS | P | W | U);
	expect_at(PAGE_GVA + 1, GMEM_WRITE, 0x205001);
	assert_int_equal(get(0x6000), 0x200000 | PS | P | W | U | A | D);
	put(0x2020, 0x40000000 | PS | P | W | U);
	expect_at(PAGE_GVA + 1, 0, 0x40005001);
	assert_int_equal(get(0x2020), 0x40000000 | PS | P | W | U | A);
}

/* Not present at each level: error code 0 and no accessed bit lost or gained below. */
static void test_not_present(void **state)
{
	(void)state;
	for (uint32_t level = 0; level < 4U; level++) {
		map_4k(level == 0U ? W : P | W, level == 1U ? W : P | W, level == 2U ? W : P | W,
		       level == 3U ? W : P | W);
		expect_pf(PAGE_GVA, 0, 0);
		expect_pf(PAGE_GVA, GMEM_WRITE, PFEC_W);
		expect_pf(PAGE_GVA, GMEM_FETCH, PFEC_I);
		USER_CPL();
		expect_pf(PAGE_GVA, 0, PFEC_U);
		SUPER_CPL();
	}
	assert_int_equal(get(0x7028) & A, 0);
}

/* Rights: what one level lacks is lacking, for user and supervisor, WP on and off. */
static void test_rights(void **state)
{
	(void)state;
	for (uint32_t level = 0; level < 4U; level++) {
		uint64_t ro[4] = {P | W | U, P | W | U, P | W | U, P | W | U};

		ro[level] = P | U;
		map_4k(ro[0], ro[1], ro[2], ro[3]);
		expect_at(PAGE_GVA, 0, 0x9000);
		expect_pf(PAGE_GVA, GMEM_WRITE, PFEC_P | PFEC_W);
		fake_vmcs[VMCS_GUEST_CR0] &= ~CR0_WP;
		expect_at(PAGE_GVA, GMEM_WRITE, 0x9000);
		USER_CPL();
		expect_pf(PAGE_GVA, GMEM_WRITE, PFEC_P | PFEC_W | PFEC_U);
		SUPER_CPL();
		fake_vmcs[VMCS_GUEST_CR0] |= CR0_WP;
		ro[level] = P | W;
		map_4k(ro[0], ro[1], ro[2], ro[3]);
		expect_at(PAGE_GVA, GMEM_WRITE, 0x9000);
		USER_CPL();
		expect_pf(PAGE_GVA, 0, PFEC_P | PFEC_U);
		expect_at(PAGE_GVA, GMEM_SYSTEM, 0x9000); /* descriptor tables: as supervisor */
		SUPER_CPL();
		ro[level] = P | W | U | NX;
		map_4k(ro[0], ro[1], ro[2], ro[3]);
		expect_at(PAGE_GVA, 0, 0x9000);
		expect_pf(PAGE_GVA, GMEM_FETCH, PFEC_P | PFEC_I);
	}
}

/* SMEP and SMAP keep the supervisor from user pages; RFLAGS.AC opens them to explicit data. */
static void test_smep_smap(void **state)
{
	(void)state;
	map_4k(P | W | U, P | W | U, P | W | U, P | W | U);
	expect_at(PAGE_GVA, GMEM_FETCH, 0x9000);
	fake_vmcs[VMCS_GUEST_CR4] |= CR4_SMEP | CR4_SMAP;
	expect_pf(PAGE_GVA, GMEM_FETCH, PFEC_P | PFEC_I);
	expect_pf(PAGE_GVA, 0, PFEC_P);
	expect_pf(PAGE_GVA, GMEM_WRITE, PFEC_P | PFEC_W);
	fake_vmcs[VMCS_GUEST_RFLAGS] |= RFLAGS_AC;
	expect_at(PAGE_GVA, GMEM_WRITE, 0x9000);
	expect_pf(PAGE_GVA, GMEM_SYSTEM, PFEC_P);
	expect_pf(PAGE_GVA, GMEM_FETCH, PFEC_P | PFEC_I);
	USER_CPL();
	expect_at(PAGE_GVA, GMEM_FETCH, 0x9000);
	map_4k(P | W | U, P | W | U, P | W | U, P | W); /* a supervisor page */
	SUPER_CPL();
	fake_vmcs[VMCS_GUEST_RFLAGS] &= ~RFLAGS_AC;
	expect_at(PAGE_GVA, GMEM_WRITE, 0x9000);
}

/* Reserved bits: above the guest's 39 address bits, NX without EFER.NXE, and in large pages. */
static void test_reserved(void **state)
{
	(void)state;
	for (uint32_t level = 0; level < 4U; level++) {
		uint64_t e[4] = {P | W, P | W, P | W, P | W};

		e[level] |= 1UL << 39;
		map_4k(e[0], e[1], e[2], e[3]);
		expect_pf(PAGE_GVA, 0, PFEC_P | PFEC_RSVD);
		e[level] = P | W | 1UL << 52; /* ignored */
		map_4k(e[0], e[1], e[2], e[3]);
		expect_at(PAGE_GVA, 0, 0x9000);
	}
	map_4k(P | W | PS, P | W, P | W, P | W);
	expect_pf(PAGE_GVA, GMEM_WRITE, PFEC_P | PFEC_RSVD | PFEC_W);
	map_4k(P | W, P | W, P | W, P | W);
	put(0x6000, 0x202000 | PS | P | W); /* bits 20:13 of a 2 MB page */
	expect_pf(PAGE_GVA, 0, PFEC_P | PFEC_RSVD);
	put(0x2020, 0x40200000 | PS | P | W);
	expect_pf(PAGE_GVA, 0, PFEC_P | PFEC_RSVD);
	put(0x2020, 0x6000 | P | W);
	put(0x6000, 0x7000 | P | W);
	put(0x7028, 0x9000 | P | W | NX);
	fake_vmcs[VMCS_GUEST_EFER] &= ~EFER_NXE;
	expect_pf(PAGE_GVA, 0, PFEC_P | PFEC_RSVD);
}

/* A linear address that is not canonical is #GP, not #PF. */
static void test_canonical(void **state)
{
	uint64_t gpa;

	(void)state;
	assert_int_equal(walk(0x800000000000UL, 0, &gpa), -EFAULT);
	assert_int_equal(fault.vector, EXC_GP);
	assert_int_equal(walk(0xFFFF7FFFFFFFFFFFUL, 0, &gpa), -EFAULT);
	assert_int_equal(fault.vector, EXC_GP);
	expect_pf(0xFFFF800000000000UL, 0, 0);
}

/* 32-bit paging: 4 KB and 4 MB pages, PSE-36, PS ignored without CR4.PSE, no NX. */
static void test_32bit_paging(void **state)
{
	uint32_t pde = 0x6000 | P | W | U, pte = 0x9000 | P | W | U;

	(void)state;
	mode_protected32();
	fake_vmcs[VMCS_GUEST_CR0] |= CR0_PG | CR0_WP;
	fake_vmcs[VMCS_CR0_SHADOW] |= CR0_PG;
	fake_vmcs[VMCS_GUEST_CR3] = 0x5000;
	memcpy(test_ram(vm, 0x5004), &pde, 4); /* 4 MB */
	memcpy(test_ram(vm, 0x6014), &pte, 4); /* + 0x5000 */
	expect_at(0x405678, GMEM_WRITE, 0x9678);
	memcpy(&pte, test_ram(vm, 0x6014), 4);
	assert_int_equal(pte, 0x9000 | P | W | U | A | D);
	expect_at(0x405678, GMEM_FETCH, 0x9678);
	expect_pf(0x800000, GMEM_FETCH, 0); /* nothing tells of fetches without NX and SMEP */
	pde = 0x00C00000 | PS | P | W | 1U << 13; /* PSE-36: physical bit 32 */
	memcpy(test_ram(vm, 0x5004), &pde, 4);
	fake_vmcs[VMCS_GUEST_CR4] |= CR4_PSE;
	expect_at(0x5ABCDE, 0, 0x100DABCDE);
	pde |= 1U << 21;
	memcpy(test_ram(vm, 0x5004), &pde, 4);
	expect_pf(0x5ABCDE, 0, PFEC_P | PFEC_RSVD);
	fake_vmcs[VMCS_GUEST_CR4] &= ~CR4_PSE;
	pde = 0x6000 | PS | P | W; /* a table after all */
	memcpy(test_ram(vm, 0x5004), &pde, 4);
	expect_at(0x405678, 0, 0x9678);
}

/* PAE: the first level is what the VMCS holds; bits 62:52 are reserved there. */
static void test_pae(void **state)
{
	(void)state;
	mode_protected32();
	fake_vmcs[VMCS_GUEST_CR0] |= CR0_PG | CR0_WP;
	fake_vmcs[VMCS_CR0_SHADOW] |= CR0_PG;
	fake_vmcs[VMCS_GUEST_CR4] |= CR4_PAE;
	fake_vmcs[VMCS_GUEST_EFER] = EFER_NXE;
	fake_vmcs[VMCS_GUEST_PDPTE0 + 2U] = 0x6000 | P;
	put(0x6000, 0x7000 | P | W | U);
	put(0x7028, 0x9000 | P | W | U | NX);
	expect_at(0x40005004, GMEM_WRITE, 0x9004);
	expect_pf(0x40005004, GMEM_FETCH, PFEC_P | PFEC_I);
	put(0x7028, 0x9000 | P | W | 1UL << 52);
	expect_pf(0x40005004, 0, PFEC_P | PFEC_RSVD);
	expect_pf(0x80000000, 0, 0); /* that entry is not present */
	put(0x6000, 0x200000 | PS | P | W | U);
	expect_at(0x40005004, 0, 0x205004);
}

/* Tables where no memory is read as all-ones; tables in read-only memory keep their bits. */
static void test_tables_elsewhere(void **state)
{
	(void)state;
	map_4k(P | W, P | W, P | W, P | W);
	test_ept_attr(vm, 0x7000, EPT_READ | EPT_MT_WB);
	expect_at(PAGE_GVA, GMEM_WRITE, 0x9000);
	assert_int_equal(get(0x7028), 0x9000 | P | W);
	test_ept_attr(vm, 0x7000, 0);
	expect_pf(PAGE_GVA, 0, PFEC_P | PFEC_RSVD);
	fake_vmcs[VMCS_GUEST_CR3] = TEST_RAM;
	expect_pf(PAGE_GVA, GMEM_WRITE, PFEC_P | PFEC_RSVD | PFEC_W);
}

/* A copy over two pages: a fault in the second writes nothing in the first. */
static void test_two_pages(void **state)
{
	uint8_t in[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8];

	(void)state;
	map_4k(P | W, P | W, P | W, P | W);
	put(0x7030, 0xB000 | P | W);
	assert_int_equal(gmem_write_gva(cpu, GVA(PAGE_GVA + 0xFFD), in, 8, &fault), 0);
	assert_memory_equal(test_ram(vm, 0x9FFD), in, 3);
	assert_memory_equal(test_ram(vm, 0xB000), in + 3, 5);
	assert_int_equal(gmem_read_gva(cpu, GVA(PAGE_GVA + 0xFFD), out, 8, 0, &fault), 0);
	assert_memory_equal(in, out, 8);
	memset(test_ram(vm, 0x9FF0), 0, 16);
	put(0x7030, 0xB000 | P); /* read-only */
	assert_int_equal(gmem_write_gva(cpu, GVA(PAGE_GVA + 0xFFD), in, 8, &fault), -EFAULT);
	assert_int_equal(fault.addr.v, PAGE_GVA + 0x1000);
	assert_int_equal(fault.error, PFEC_P | PFEC_W);
	assert_int_equal(*test_ram(vm, 0x9FFD), 0);
	test_ept_attr(vm, 0x9000, 0);
	assert_int_equal(gmem_read_gva(cpu, GVA(PAGE_GVA), out, 8, 0, &fault), -EFAULT);
	assert_int_equal(fault.vector, EXC_GP);
}

/* Expand-down segments, limits at their last byte, and 64-bit mode's lack of both. */
static void test_segments(void **state)
{
	gva_t gva;

	(void)state;
	assert_int_equal(gmem_seg_linear(GMEM_SEG_DS, 0x7FFFFFFFFFFF, 1, 0, &gva, &fault), 0);
	assert_int_equal(gmem_seg_linear(GMEM_SEG_DS, 0x7FFFFFFFFFFF, 2, 0, &gva, &fault), -EFAULT);
	fake_vmcs[VMCS_GUEST_ES_BASE + 2U * GMEM_SEG_FS] = 0x1000;
	assert_int_equal(gmem_seg_linear(GMEM_SEG_FS, 0x10, 4, 0, &gva, &fault), 0);
	assert_int_equal(gva.v, 0x1010);
	mode_protected32();
	fake_vmcs[VMCS_GUEST_ES_AR] = 0x4097; /* expand-down, writable, 32-bit */
	fake_vmcs[VMCS_GUEST_ES_LIMIT] = 0xFFF;
	fake_vmcs[VMCS_GUEST_ES_BASE] = 0x10000;
	assert_int_equal(gmem_seg_linear(GMEM_SEG_ES, 0x1000, 4, GMEM_WRITE, &gva, &fault), 0);
	assert_int_equal(gva.v, 0x11000);
	assert_int_equal(gmem_seg_linear(GMEM_SEG_ES, 0xFFF, 1, 0, &gva, &fault), -EFAULT);
	fake_vmcs[VMCS_GUEST_ES_AR] = 0x0097; /* 16-bit: up to 0xFFFF */
	assert_int_equal(gmem_seg_linear(GMEM_SEG_ES, 0xFFFD, 4, 0, &gva, &fault), -EFAULT);
	assert_int_equal(gmem_seg_linear(GMEM_SEG_ES, 0xFFFC, 4, 0, &gva, &fault), 0);
	/* code segments: execute-only cannot be read, none can be written */
	fake_vmcs[VMCS_GUEST_CS_AR] = 0xC099;
	assert_int_equal(gmem_seg_linear(GMEM_SEG_CS, 0, 1, 0, &gva, &fault), -EFAULT);
	fake_vmcs[VMCS_GUEST_CS_AR] = 0xC09B;
	assert_int_equal(gmem_seg_linear(GMEM_SEG_CS, 0, 1, 0, &gva, &fault), 0);
	assert_int_equal(gmem_seg_linear(GMEM_SEG_CS, 0, 1, GMEM_WRITE, &gva, &fault), -EFAULT);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, guest_teardown)
	const struct CMUnitTest tests[] = {
		T(test_copies),	   T(test_two_vms),	    T(test_no_paging), T(test_long_sizes),
		T(test_not_present), T(test_rights),	    T(test_smep_smap), T(test_reserved),
		T(test_canonical), T(test_32bit_paging),    T(test_pae),
		T(test_tables_elsewhere), T(test_two_pages), T(test_segments),
	};

	return cmocka_run_group_tests_name("gmem", tests, NULL, NULL);
}
