// SPDX-License-Identifier: BSD-3-Clause
/*
 * In the host's own tables: is all memory there 1:1, nothing both writable and executable, and
 * nothing executable but code; with whatever page sizes and bits the processor has?
 */
// links: hypervisor/arch/x86/mm/hostmm.c hypervisor/arch/x86/mm/pgtable.c tests/fake/fake_log.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "asm/cpuregs.h"
#include "asm/insn.h"
#include "asm/msr.h"
#include "hv/caps.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "fake_machine.h"

uint32_t fake_log_lines;
char fake_log_last[256];

/* The image: code 12 KB, constants 8 KB, data 20 KB, at 16 MB of the fake machine. */
__asm__(".bss\n.balign 4096\n"
	".globl hv_start, hv_text_end, hv_rodata_end, hv_end\n"
	"hv_start: .skip 0x3000\nhv_text_end: .skip 0x2000\nhv_rodata_end: .skip 0x5000\nhv_end:\n.text");
extern uint8_t hv_start[], hv_end[];
#define IMAGE 0x1000000UL

#define P  (1UL << 0)
#define W  (1UL << 1)
#define U  (1UL << 2)
#define CD (3UL << 3)
#define PS (1UL << 7)
#define NX (1UL << 63)

static bool caps[CAP_COUNT];
static uint64_t top, trampoline, cr0, cr3, cr4, efer;
static uint32_t invlpgs, efer_writes;
struct e820 host_e820;

static uint8_t arena[256][4096] __aligned(4096);
static uint32_t pages;

void *boot_alloc(size_t size, size_t align)
{
	assert_int_equal(size, 4096);
	assert_int_equal(align, 4096);
	assert_true(pages < 256);
	return memset(arena[pages++], 0, 4096);
}

bool cap_has(enum cpu_cap cap)
{
	return caps[cap];
}

uint64_t e820_top(const struct e820 *map)
{
	(void)map;
	return top;
}

hpa_t pcpu_trampoline(void)
{
	return HPA(trampoline);
}

void *hpa_ptr(hpa_t hpa)
{
	return (void *)hpa.v;
}

hpa_t ptr_hpa(const volatile void *p)
{
	const volatile uint8_t *b = p;

	return b >= hv_start && b <= hv_end ? HPA(IMAGE + (uint64_t)(b - hv_start)) : HPA(p);
}

void cpu_invlpg(const void *va)
{
	(void)va;
	invlpgs++;
}

uint64_t msr_read(uint32_t msr)
{
	assert_int_equal(msr, MSR_EFER);
	return efer;
}

void msr_write(uint32_t msr, uint64_t v)
{
	assert_int_equal(msr, MSR_EFER);
	efer = v;
	efer_writes++;
}

uint64_t read_cr0(void)
{
	return cr0;
}

uint64_t read_cr4(void)
{
	return cr4;
}

void write_cr0(uint64_t v)
{
	cr0 = v;
}

void write_cr3(uint64_t v)
{
	cr3 = v;
}

void write_cr4(uint64_t v)
{
	cr4 = v;
}

/* As the processor walks: the leaf for va and its page's size, or 0. */
static uint64_t walk(uint64_t va, uint64_t *size)
{
	const uint64_t *table = (const uint64_t *)hostmm_root();

	for (int level = 3;; level--) {
		uint64_t e = table[(va >> (12 + 9 * level)) & 511];

		*size = 1UL << (12 + 9 * level);
		if ((e & P) == 0)
			return 0;
		assert_int_equal(e & U, 0); /* nothing is the user's: SMEP and SMAP guard guests' memory */
		if (level == 0 || (e & PS) != 0)
			return e;
		assert_true((e & W) != 0);
		assert_int_equal(e & NX, 0);
		table = (const uint64_t *)(e & 0xFFFFFFFFFF000);
	}
}

static void expect(uint64_t va, bool writable, bool executable)
{
	uint64_t size, e = walk(va, &size);

	assert_true(e != 0);
	assert_int_equal((e & 0xFFFFFFFFFF000 & ~(size - 1)) + (va & (size - 1)), va);
	assert_int_equal((e & W) != 0, writable);
	if (caps[CAP_NX])
		assert_int_equal((e & NX) == 0, executable);
	else
		assert_int_equal(e & NX, 0);
}

static int setup(void **state)
{
	(void)state;
	memset(caps, 1, sizeof(caps));
	pages = 0;
	top = GB(6);
	trampoline = 0x9E000;
	invlpgs = efer_writes = 0;
	efer = EFER_LME | EFER_LMA;
	cr0 = CR0_PE | CR0_PG | CR0_CD | CR0_NW | CR0_TS | CR0_EM;
	cr4 = CR4_PAE;
	return 0;
}

/* Every place, with and without 1 GB pages and NX. */
static void test_map(void **state)
{
	for (uint32_t kind = 0; kind < 4; kind++) {
		uint64_t size;

		(void)setup(state);
		caps[CAP_NX] = (kind & 1) != 0;
		caps[CAP_1G_PAGES] = (kind & 2) != 0;
		hostmm_init();
		for (uint64_t off = 0; off < 0xA000; off += 0x1000)
			expect(IMAGE + off, off >= 0x5000, off < 0x3000);
		expect(IMAGE - 1, true, false);
		expect(IMAGE + 0xA000, true, false);
		expect(trampoline, false, true);
		expect(trampoline - 1, true, false);
		expect(trampoline + 0x1000, true, false);
		expect(0, true, false);
		expect(0xB8000, true, false);
		expect(GB(4) - 1, true, false);
		expect(GB(6) - 1, true, false);
		assert_int_equal(walk(GB(6), &size), 0);
		assert_true(walk(GB(5), &size) != 0);
		assert_int_equal(size, caps[CAP_1G_PAGES] ? PAGE_SIZE_1G : PAGE_SIZE_2M);
		assert_true(pages < 20);
	}
}

/* No page of the whole map is writable and executable. */
static void test_w_xor_x(void **state)
{
	uint64_t size, executable = 0;

	(void)state;
	hostmm_init();
	for (uint64_t va = 0; va < top; va += size) {
		uint64_t e = walk(va, &size);

		assert_false((e & W) != 0 && (e & NX) == 0);
		executable += (e & NX) == 0 ? size : 0;
	}
	assert_int_equal(executable, 0x3000 + 0x1000);
}

/* What if the machine has less than 4 GB, or memory that ends inside a gigabyte, or one CPU? */
static void test_tops(void **state)
{
	uint64_t size;

	(void)state;
	top = MB(64);
	trampoline = 0;
	hostmm_init();
	expect(0xFEE00000, true, false);
	expect(0, true, false);
	assert_int_equal(walk(GB(4), &size), 0);
	(void)setup(state);
	top = GB(5) + 0x123000;
	hostmm_init();
	expect(GB(5) + 0x122000, true, false);
}

/* Device registers are uncached; their neighbours stay as they were. */
static void test_uncached(void **state)
{
	uint64_t size;

	(void)state;
	hostmm_init();
	hostmm_map_uc(HPA(0xFEC00010), 0x20);
	assert_int_equal(walk(0xFEC00000, &size) & CD, CD);
	assert_int_equal(size, PAGE_SIZE);
	assert_int_equal(walk(0xFEC01000, &size) & CD, 0);
	assert_int_equal(walk(0xFEBFF000, &size) & CD, 0);
	expect(0xFEC00000, true, false);
	assert_int_equal(invlpgs, 1);
	hostmm_map_uc(HPA(0xFED00FFF), 2);
	assert_int_equal(walk(0xFED00000, &size) & CD, CD);
	assert_int_equal(walk(0xFED01000, &size) & CD, CD);
}

/* What does a CPU switch on, of what it has? And caches and FPU, whatever the firmware left. */
static void test_enable(void **state)
{
	(void)state;
	hostmm_init();
	hostmm_enable();
	assert_int_equal(cr3, hostmm_root());
	assert_int_equal(cr4, CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP | CR4_OSXSAVE | CR4_OSFXSR |
				      CR4_OSXMMEXCPT);
	assert_int_equal(cr0, CR0_PE | CR0_PG | CR0_WP | CR0_NE | CR0_MP);
	assert_int_equal(efer, EFER_LME | EFER_LMA | EFER_NXE);
	(void)setup(state);
	memset(caps, 0, sizeof(caps));
	hostmm_init();
	hostmm_enable();
	assert_int_equal(cr4, CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT);
	assert_int_equal(efer_writes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_map, setup),      cmocka_unit_test_setup(test_w_xor_x, setup),
		cmocka_unit_test_setup(test_tops, setup),     cmocka_unit_test_setup(test_uncached, setup),
		cmocka_unit_test_setup(test_enable, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
