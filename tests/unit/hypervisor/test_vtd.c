// SPDX-License-Identifier: BSD-3-Clause
/*
 * Are the machine's remapping units found, switched off and kept from the Service VM, and what if
 * their table is nonsense or a unit does not answer?
 */
// links: hypervisor/service_vm/vtd.c hypervisor/guest/unit.c @machine tests/fake/fake_report.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "fake_machine.h"
#include "fake_report.h"
#include "hv/acpi.h"
#include "hv/boot.h"
#include "hv/ept.h"
#include "hv/irq.h"
#include "hv/unit.h"
#include "hv/vm.h"
#include "hv/vtd.h"
#include "lib/errno.h"

#define UNIT0 0xFED90000UL
#define UNIT1 0xFED91000UL
#define HV_AT 0xFED80000UL
#define RAM   0x80000000UL
#define TES   BIT32(31)
#define IRES  BIT32(25)
#define GCMD  (0x18U / 4U)
#define GSTS  (0x1CU / 4U)

struct acpi_facts acpi_facts;
struct e820 host_e820;
struct ioapic_info ioapics[1] = {{.base = {0xFEC00000UL}}};
uint16_t ioapic_count = 1;

static uint8_t dmar[256];
static uint32_t length;
static uint32_t regs[2][1024];
static bool obeys;
static uint32_t commands[8], command_count;
static uint64_t unmapped[4], mapped_uc[4];
static uint32_t unmap_count, uc_count;
static int unmap_error;

/* The units' registers: status follows the command, if the unit obeys. */
static uint32_t unit_io(uint64_t addr, bool write, uint32_t val)
{
	uint64_t i = (addr - UNIT0) / 0x1000U, reg = addr % 0x1000U / 4U;

	assert_true(addr >= UNIT0 && i < 2U);
	if (write) {
		assert_int_equal(reg, GCMD);
		commands[command_count++ % 8U] = val;
		regs[i][GSTS] = obeys ? val : regs[i][GSTS];
	}
	return reg == GSTS ? regs[i][GSTS] : 0U;
}

bool e820_is_ram(const struct e820 *map, uint64_t base, uint64_t size)
{
	(void)map;
	(void)size;
	return base < RAM;
}

bool hv_owns(hpa_t base, uint64_t size)
{
	(void)size;
	return base.v == HV_AT;
}

uint64_t hostmm_limit(void)
{
	return 1UL << 39;
}

void hostmm_map_uc(hpa_t base, size_t size)
{
	assert_int_equal(size, PAGE_SIZE);
	mapped_uc[uc_count++] = base.v;
}

int ept_unmap(struct ept *ept, gpa_t gpa, uint64_t size)
{
	(void)ept;
	assert_int_equal(size, PAGE_SIZE);
	unmapped[unmap_count++] = gpa.v;
	return unmap_error;
}

static void put(const void *p, uint32_t size)
{
	memcpy(&dmar[length], p, size);
	length += size;
}

static void drhd(uint64_t base)
{
	const uint16_t head[4] = {0, 16, 1, 0};

	put(head, sizeof(head));
	put(&base, sizeof(base));
}

static void finish(void)
{
	uint8_t sum = 0;

	memcpy(&dmar[4], &length, 4);
	dmar[9] = 0;
	for (uint32_t i = 0; i < length; i++)
		sum = (uint8_t)(sum + dmar[i]);
	dmar[9] = (uint8_t)(0U - sum);
}

static int setup(void **state)
{
	(void)state;
	memset(dmar, 0, sizeof(dmar));
	memcpy(dmar, "DMAR", 4);
	length = 48;
	memset(regs, 0, sizeof(regs));
	fake_machine_reset();
	fake_mmio = unit_io;
	obeys = true;
	command_count = unmap_count = uc_count = 0;
	unmap_error = 0;
	acpi_facts.dmar_hpa = ptr_hpa(dmar).v;
	fake_report_reset();
	return 0;
}

/* Are both units found, off as they were, and gone from the Service VM? */
static void test_hidden(void **state)
{
	struct vm service = {.load_order = SERVICE_VM}, other = {.load_order = PRE_LAUNCHED_VM};

	(void)state;
	drhd(UNIT0);
	drhd(UNIT1);
	finish();
	assert_int_equal(unit_boot(), 0);
	assert_int_equal(uc_count, 2);
	assert_int_equal(mapped_uc[1], UNIT1);
	assert_int_equal(command_count, 0);
	assert_int_equal(unit_vm_init(&other), 0);
	assert_int_equal(unmap_count, 0);
	assert_int_equal(unit_vm_init(&service), 0);
	assert_int_equal(unmap_count, 2);
	assert_int_equal(unmapped[0], UNIT0);
	assert_int_equal(unmapped[1], UNIT1);
	assert_int_equal(fake_report_lines, 0);
	unmap_error = -ENOMEM;
	assert_int_equal(unit_vm_init(&service), -ENOMEM);
}

/* What if the firmware left a unit on? It is switched off, one thing after the other. */
static void test_on(void **state)
{
	(void)state;
	drhd(UNIT0);
	finish();
	regs[0][GSTS] =
		TES | IRES | BIT32(30) | BIT32(26); /* the last two: QI, and a pointer just set */
	assert_int_equal(unit_boot(), 0);
	assert_int_equal(command_count, 2);
	assert_int_equal(commands[0], IRES | BIT32(26));
	assert_int_equal(commands[1], BIT32(26));
	assert_true(fake_reported("the unit at 0xfed90000 was on, it is off now"));
	assert_int_equal(fake_report_lines, 1);
}

/* What if it does not obey? A line says so, and the machine starts. */
static void test_deaf(void **state)
{
	(void)state;
	drhd(UNIT0);
	drhd(UNIT1);
	finish();
	obeys = false;
	regs[1][GSTS] = TES;
	assert_int_equal(unit_boot(), 0);
	assert_true(fake_reported("0xfed91000 does not switch off"));
	assert_int_equal(fake_report_lines, 1);
}

/* What if there is no unit where the table says? It is told nothing. */
static void test_absent(void **state)
{
	(void)state;
	drhd(UNIT0);
	finish();
	regs[0][GSTS] = UINT32_MAX;
	assert_int_equal(unit_boot(), 0);
	assert_int_equal(command_count, 0);
	assert_true(fake_reported("nobody answers at 0xfed90000"));
	assert_int_equal(fake_report_lines, 1);
}

/* What if there is no table, or it names no unit? */
static void test_none(void **state)
{
	struct vm service = {.load_order = SERVICE_VM};

	(void)state;
	acpi_facts.dmar_hpa = 0;
	assert_int_equal(unit_boot(), 0);
	assert_int_equal(unit_vm_init(&service), 0);
	acpi_facts.dmar_hpa = ptr_hpa(dmar).v;
	finish();
	assert_int_equal(unit_boot(), 0);
	assert_int_equal(unit_vm_init(&service), 0);
	assert_int_equal(unmap_count, 0);
}

/* What if an address is no page of registers, or there are more units than places? */
static void test_wrong_units(void **state)
{
	static const uint64_t wrong[] = {0,	     UNIT0 + 4,	  0x1000,     0xB8000, HV_AT,
					 0xFEC00000, 0xFEE00000, 1UL << 39, UINT64_MAX};
	hpa_t found[VTD_UNITS];

	(void)state;
	for (uint32_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		drhd(wrong[i]);
	drhd(UNIT0);
	drhd(UNIT0);
	finish();
	assert_int_equal(vtd_find(found), 1);
	assert_int_equal(found[0].v, UNIT0);
	assert_int_equal(fake_report_lines, 10);
	assert_true(fake_reported("vtd: the unit at 0xfed80000 is left alone"));
	setup(state);
	for (uint64_t i = 0; i < VTD_UNITS + 1U; i++)
		drhd(0xFEA00000 + (i << 12));
	finish();
	assert_int_equal(vtd_find(found), VTD_UNITS);
	assert_int_equal(fake_report_lines, 1);
}

/* What if entries lie about their length, are too short, or of other kinds? */
static void test_wrong_entries(void **state)
{
	static const uint16_t short_drhd[] = {0, 12, 1, 0, 0, 0}, other[] = {1, 8, 0, 0};
	static const uint16_t lying[][2] = {{0, 0}, {0, 3}, {7, 5}, {0, UINT16_MAX}};
	hpa_t found[VTD_UNITS];

	(void)state;
	put(other, sizeof(other));
	put(short_drhd, sizeof(short_drhd));
	drhd(UNIT1);
	finish();
	assert_int_equal(vtd_find(found), 1);
	assert_int_equal(found[0].v, UNIT1);
	assert_true(fake_reported("the unit at 0x0 is left alone"));
	for (uint32_t i = 0; i < 4; i++) {
		setup(state);
		drhd(UNIT0);
		put(lying[i], 4);
		if (i < 2)
			drhd(UNIT1);
		finish();
		assert_int_equal(vtd_find(found), 1);
		assert_true(fake_reported("DMAR entry at 64 has length"));
		assert_int_equal(fake_report_lines, 1);
	}
	/* bytes that are no whole entry, and a table that ends in its head */
	setup(state);
	length += 3;
	finish();
	assert_int_equal(vtd_find(found), 0);
	setup(state);
	length = 36;
	finish();
	assert_int_equal(vtd_find(found), 0);
	assert_int_equal(fake_report_lines, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_hidden, setup),
		cmocka_unit_test_setup(test_on, setup),
		cmocka_unit_test_setup(test_deaf, setup),
		cmocka_unit_test_setup(test_absent, setup),
		cmocka_unit_test_setup(test_none, setup),
		cmocka_unit_test_setup(test_wrong_units, setup),
		cmocka_unit_test_setup(test_wrong_entries, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
