// SPDX-License-Identifier: BSD-3-Clause
/*
 * Are the machine's processors found, numbered and started, and is one that does not come left out
 * without harm to the rest?
 */
// links: hypervisor/arch/x86/cpu/pcpu.c tests/fake/fake_log.c tests/fake/fake_report.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "asm/insn.h"
#include "hv/acpi.h"
#include "hv/boot.h"
#include "hv/cpu.h"
#include "hv/irq.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/vmcs.h"
#include "lib/errno.h"
#include "lib/kconfig.h"
#include "fake_machine.h"
#include "fake_report.h"

uint32_t fake_log_lines;
char fake_log_last[256];

/* What trampoline.S gives: code, and three words to be filled in. */
__asm__(".data\n.globl trampoline_start, trampoline_end, trampoline_cr3, trampoline_target, "
	"trampoline_stack\n"
	"trampoline_start: .fill 64, 1, 0x90\ntrampoline_cr3: .quad 0\ntrampoline_target: .quad 0\n"
	"trampoline_stack: .quad 0\ntrampoline_end:\n.text");
extern uint8_t trampoline_start[], trampoline_end[];

struct acpi_facts acpi_facts;
static uint8_t page[4096] __aligned(4096);
static uint64_t found_page, reserved_page;
static int reserve_result;
static uint32_t bsp_apic_id, leaf_b;
static uint64_t tsc, cr0;
static bool wp_off_seen;
static uint32_t locked_off;
static uint32_t inits[300], sipis[300], coming[300]; /* comes at its n-th start-up IPI, 0: never */
static void *allocated[64];
static uint32_t allocations, vmx_on, scheds;

struct pcpu *this_pcpu(void)
{
	return &pcpus[0];
}

void cpuid_count(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	assert_int_equal(sub, 0);
	memset(r, 0, 16);
	if (leaf == 0)
		r[0] = leaf_b ? 0xB : 5;
	else if (leaf == 1)
		r[1] = bsp_apic_id << 24;
	else if (leaf == 0xB && leaf_b == 2)
		r[1] = 1, r[3] = bsp_apic_id;
}

uint64_t rdtsc(void)
{
	return tsc += 1000;
}

uint64_t us_to_tsc(uint64_t us)
{
	return us * 1000;
}

void udelay(uint32_t us)
{
	tsc += us_to_tsc(us);
}

uint64_t read_cr0(void)
{
	return cr0;
}

void write_cr0(uint64_t v)
{
	wp_off_seen |= (v & 0x10000) == 0;
	cr0 = v;
}

uint64_t hostmm_root(void)
{
	return 0x123000;
}

void *hpa_ptr(hpa_t hpa)
{
	assert_int_equal(hpa.v, found_page);
	return page;
}

hpa_t ptr_hpa(const volatile void *p)
{
	return HPA(p);
}

uint64_t e820_find_top(uint64_t size, uint64_t align, uint64_t limit)
{
	assert_int_equal(size, PAGE_SIZE);
	assert_int_equal(align, PAGE_SIZE);
	assert_true(limit <= 0xA0000);
	return found_page;
}

int e820_reserve(uint64_t base, uint64_t size)
{
	assert_int_equal(size, PAGE_SIZE);
	reserved_page = base;
	return reserve_result;
}

void *boot_alloc(size_t size, size_t align)
{
	void *p = aligned_alloc(MAX(align, 8), ALIGN_UP(size, MAX(align, 8)));

	assert_true(allocations < ARRAY_SIZE(allocated));
	allocated[allocations++] = p;
	return memset(p, 0, size);
}

void cpu_alloc_tables(struct pcpu *p)
{
	(void)p;
}

void cpu_init_tables(struct pcpu *p)
{
	assert_ptr_equal(p, &pcpus[0]);
}

int vmx_enable_pcpu(void)
{
	vmx_on++;
	return 0;
}

void sched_init_pcpu(struct pcpu *p, struct thread *idle)
{
	assert_ptr_equal(idle, &p->idle);
	scheds++;
}

void sched_kicked(void)
{
}

void lapic_send_init(uint32_t apic_id)
{
	inits[apic_id]++;
}

/* The processor takes its words from the page and goes online. */
void lapic_send_sipi(uint32_t apic_id, uint8_t vector)
{
	struct pcpu *p = &pcpus[pcpu_count]; /* the next that comes */
	uint64_t words[3];

	assert_int_equal(p->apic_id, apic_id);
	assert_int_equal(vector, found_page >> 12);
	assert_true(inits[apic_id] != 0);
	memcpy(words, &page[64], sizeof(words));
	assert_int_equal(words[0], 0x123000);
	assert_true(words[1] != 0);
	assert_int_equal(words[2], (uintptr_t)p->stack_top);
	assert_int_equal(page[0], 0x90);
	sipis[apic_id]++;
	if (sipis[apic_id] == coming[apic_id])
		p->online = apic_id == locked_off ? PCPU_REFUSED : PCPU_ONLINE;
}

/* An application processor's own way: not run here. */
void hostmm_enable(void)
{
	fail();
}

void tsc_init_pcpu(void)
{
	fail();
}

void lapic_init_pcpu(void)
{
	fail();
}

void timer_init_pcpu(void)
{
	fail();
}

void schedule(void)
{
	fail();
}

void cpu_wait_irq(void)
{
	fail();
}

void cpu_halt_forever(void)
{
	fail();
	abort();
}

static int setup(void **state)
{
	(void)state;
	fake_report_reset();
	memset(&acpi_facts, 0, sizeof(acpi_facts));
	memset(page, 0, sizeof(page));
	memset(inits, 0, sizeof(inits));
	memset(sipis, 0, sizeof(sipis));
	for (uint32_t i = 0; i < 300; i++)
		coming[i] = 1;
	found_page = 0x9E000;
	reserved_page = 0;
	reserve_result = 0;
	bsp_apic_id = 0;
	locked_off = UINT32_MAX;
	leaf_b = 2;
	tsc = 0;
	cr0 = 0x80010011;
	wp_off_seen = false;
	allocations = vmx_on = scheds = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < allocations; i++)
		free(allocated[i]);
	allocations = 0;
	return 0;
}

static void madt(uint16_t n, ...)
{
	va_list ap;

	va_start(ap, n);
	for (uint16_t i = 0; i < n; i++)
		acpi_facts.cpu_apic_ids[i] = va_arg(ap, uint32_t);
	va_end(ap);
	acpi_facts.cpu_count = n;
}

/* What are the ids? The boot processor is 0 wherever it stands, the others follow the MADT. */
static void test_ids(void **state)
{
	(void)state;
	madt(4, 0U, 2U, 4U, 6U);
	bsp_apic_id = 4;
	pcpu_discover();
	assert_int_equal(pcpu_trampoline().v, 0x9E000);
	assert_int_equal(reserved_page, 0x9E000);
	pcpu_alloc();
	assert_int_equal(pcpu_count, 4);
	assert_int_equal(pcpus[0].apic_id, 4);
	assert_int_equal(pcpus[1].apic_id, 0);
	assert_int_equal(pcpus[2].apic_id, 2);
	assert_int_equal(pcpus[3].apic_id, 6);
	for (uint16_t i = 0; i < 4; i++) {
		assert_int_equal(pcpus[i].id, i);
		assert_ptr_equal(pcpus[i].self, &pcpus[i]);
		assert_int_equal((uintptr_t)pcpus[i].stack_top % 16, 0);
		assert_int_equal(pcpus[i].vmxon_hpa.v % 4096, 0);
	}
	assert_memory_equal(page, trampoline_start, (size_t)(trampoline_end - trampoline_start));
}

/* What if there is no MADT, it lists this CPU alone, or not even this one? */
static void test_few(void **state)
{
	(void)state;
	pcpu_discover();
	assert_int_equal(pcpu_count, 1);
	pcpu_alloc();
	assert_int_equal(pcpu_count, 1);
	(void)teardown(state);
	(void)setup(state);
	madt(2, 0U, 2U);
	bsp_apic_id = 9;
	pcpu_discover();
	pcpu_alloc();
	assert_int_equal(pcpu_count, 2);
	assert_int_equal(pcpus[0].apic_id, 9);
	assert_int_equal(pcpus[1].apic_id, 0);
}

/* What if the machine has more than the build is made for? They are left out, with a line. */
static void test_many(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 200; i++)
		acpi_facts.cpu_apic_ids[i] = i;
	acpi_facts.cpu_count = 200;
	bsp_apic_id = 150;
	pcpu_discover();
	assert_int_equal(pcpu_count, CONFIG_MAX_PCPU_NUM);
	assert_true(fake_reported("of 200 processors used"));
	pcpu_alloc();
	assert_int_equal(pcpu_count, CONFIG_MAX_PCPU_NUM);
	assert_int_equal(pcpus[0].apic_id, 150);
}

/* What if there is no page below 1 MB to start others from? This CPU works alone. */
static void test_no_page(void **state)
{
	static const struct {
		uint64_t page;
		int reserve;
	} cases[] = {{UINT64_MAX, 0}, {0, 0}, {0x9E000, -ENOSPC}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		(void)setup(state);
		madt(2, 0U, 1U);
		found_page = cases[i].page;
		reserve_result = cases[i].reserve;
		pcpu_discover();
		assert_int_equal(pcpu_count, 1);
		assert_int_equal(fake_report_lines, 1);
	}
}

/* Where does this CPU's id come from, without leaf 0xB or with one that says nothing? */
static void test_own_id(void **state)
{
	for (leaf_b = 0; leaf_b <= 2; leaf_b++) {
		bsp_apic_id = leaf_b == 2 ? 0x123 : 0x23;
		pcpu_discover();
		pcpu_alloc();
		assert_int_equal(pcpus[0].apic_id, bsp_apic_id);
		(void)teardown(state);
	}
}

/* Does each start, the slow one at its second IPI; and is write protection back afterwards? */
static void test_start(void **state)
{
	(void)state;
	madt(3, 0U, 2U, 4U);
	coming[4] = 2;
	pcpu_discover();
	pcpu_alloc();
	pcpu_start_all();
	assert_int_equal(pcpu_count, 3);
	assert_int_equal(inits[2], 1);
	assert_int_equal(sipis[2], 1);
	assert_int_equal(sipis[4], 2);
	assert_int_equal(inits[0] + sipis[0], 0);
	assert_int_equal(vmx_on, 1); /* this one; the others do it themselves */
	assert_int_equal(scheds, 1);
	assert_int_equal(pcpus[0].online, 1);
	assert_true(wp_off_seen);
	assert_int_equal(cr0, 0x80010011);
	assert_int_equal(fake_report_lines, 0);
}

/* What if one does not come? It is left out, in bounded time, and those behind it are used. */
static void test_dead_cpu(void **state)
{
	(void)state;
	madt(4, 0U, 2U, 4U, 6U);
	coming[4] = 0;
	pcpu_discover();
	pcpu_alloc();
	pcpu_start_all();
	assert_int_equal(pcpu_count, 3);
	assert_int_equal(pcpus[1].apic_id, 2);
	assert_int_equal(pcpus[2].apic_id, 6);
	assert_int_equal(pcpus[2].online, PCPU_ONLINE);
	assert_null(pcpu_by_apic_id(4));
	assert_int_equal(sipis[4], 2);
	assert_int_equal(inits[4], 2); /* the second one keeps a late comer off the stack of id 2 */
	assert_int_equal(sipis[6], 1);
	assert_int_equal(fake_report_lines, 1);
	assert_true(fake_reported("APIC id 4 does not start"));
	assert_true(tsc < us_to_tsc(1000000));
}

/* What if the firmware locked VMX off on one of them, and the last does not come? */
static void test_locked_cpu(void **state)
{
	(void)state;
	madt(4, 0U, 2U, 4U, 6U);
	locked_off = 2;
	coming[6] = 0;
	pcpu_discover();
	pcpu_alloc();
	pcpu_start_all();
	assert_int_equal(pcpu_count, 2);
	assert_int_equal(pcpus[1].apic_id, 4);
	assert_int_equal(sipis[2], 1);
	assert_int_equal(inits[2], 2);
	assert_true(fake_reported("APIC id 2 has VMX locked off"));
	assert_true(fake_reported("APIC id 6 does not start"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ids, setup, teardown),
		cmocka_unit_test_setup_teardown(test_few, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_page, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own_id, setup, teardown),
		cmocka_unit_test_setup_teardown(test_start, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dead_cpu, setup, teardown),
		cmocka_unit_test_setup_teardown(test_locked_cpu, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
