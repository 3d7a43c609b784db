// SPDX-License-Identifier: BSD-3-Clause
/*
 * Is every pin of every physical IOAPIC silent after boot, and does a write to one change that one
 * and never let it fire half-written?
 */
// links: @machine
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "asm/apic.h"
#include "hv/irq.h"
#include "hv/mm.h"
#include "lib/errno.h"
#include "lib/kconfig.h"
#include "fake_machine.h"

/* Included, not linked: the scenario whose configuration the tests use has one IOAPIC. */
#undef CONFIG_MAX_IOAPIC_NUM
#define CONFIG_MAX_IOAPIC_NUM 2U
#include "../../../hypervisor/arch/x86/irq/ioapic.c"

#define UNITS 2
static struct {
	uint64_t base;
	uint32_t select, version;
	uint64_t rte[32];
} unit[UNITS];
static uint32_t mapped, pic_masks, half_written;

void hostmm_map_uc(hpa_t base, size_t size)
{
	assert_int_equal(size, PAGE_SIZE);
	mapped += base.v == unit[0].base || base.v == unit[1].base;
}

static uint32_t window(uint32_t u, bool write, uint32_t val)
{
	uint32_t reg = unit[u].select, pin = (reg - 0x10) / 2;

	if (reg == 1)
		return unit[u].version;
	if (reg < 0x10 || pin >= 32)
		return 0;
	if (write && reg % 2 == 0) {
		unit[u].rte[pin] = (unit[u].rte[pin] & ~0xFFFFFFFFUL) | val;
	} else if (write) {
		half_written += (unit[u].rte[pin] & IOAPIC_RTE_MASKED) == 0;
		unit[u].rte[pin] = (unit[u].rte[pin] & 0xFFFFFFFFUL) | ((uint64_t)val << 32);
	}
	return (uint32_t)(unit[u].rte[pin] >> (reg % 2 * 32));
}

static uint32_t mmio(uint64_t addr, bool write, uint32_t val)
{
	for (uint32_t u = 0; u < UNITS; u++) {
		if (addr == unit[u].base && write)
			unit[u].select = val;
		else if (addr == unit[u].base + 0x10)
			return window(u, write, val);
	}
	return 0xFFFFFFFF;
}

static uint32_t pic(uint16_t port, uint32_t width, bool write, uint32_t val)
{
	(void)port;
	(void)width;
	pic_masks += write && val == 0xFF;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	fake_machine_reset();
	fake_mmio = mmio;
	fake_pio_hook(0x21, 1, pic);
	fake_pio_hook(0xA1, 1, pic);
	memset(unit, 0, sizeof(unit));
	unit[0].base = 0xFEC00000;
	unit[1].base = 0xFEC01000;
	unit[0].version = 0x170020; /* 24 pins */
	unit[1].version = 0x070011; /* 8 pins */
	mapped = pic_masks = half_written = 0;
	ioapic_count = 2;
	ioapics[0] = (struct ioapic_info){.base = HPA(0xFEC00000)};
	ioapics[1] = (struct ioapic_info){.base = HPA(0xFEC01000), .gsi_base = 24};
	return 0;
}

/* What fires after boot? Nothing. */
static void test_init(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 32; i++)
		unit[0].rte[i] = unit[1].rte[i] = 0x30 + i;
	ioapic_init();
	for (uint32_t i = 0; i < 24; i++)
		assert_int_equal(unit[0].rte[i] & 0xFFFFFFFF, IOAPIC_RTE_MASKED);
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(unit[1].rte[i] & 0xFFFFFFFF, IOAPIC_RTE_MASKED);
	assert_int_equal(unit[0].rte[24], 0x30 + 24); /* not a pin */
	assert_int_equal(mapped, 2);
	assert_int_equal(pic_masks, 2);
	assert_int_equal(ioapic_gsi_count(), 32);
}

/* What if the MADT named none: is the usual one found? And what if nobody answers there? */
static void test_none(void **state)
{
	(void)state;
	ioapic_count = 0;
	ioapic_init();
	assert_int_equal(ioapic_count, 1);
	assert_int_equal(ioapics[0].base.v, IOAPIC_DEFAULT_BASE);
	assert_int_equal(ioapic_gsi_count(), 24);
	unit[0].version = 0xFFFFFFFF;
	ioapic_init();
	assert_int_equal(ioapic_gsi_count(), 0);
	assert_int_equal(ioapic_write_rte(0, 0x30), -EINVAL);
	assert_int_equal(ioapic_read_rte(0), IOAPIC_RTE_MASKED);
}

/* Does a GSI find its unit and pin; and one beyond all of them? */
static void test_write(void **state)
{
	uint64_t rte = (5UL << 56) | IOAPIC_RTE_LEVEL | IOAPIC_RTE_LOW_ACTIVE | 0x45;

	(void)state;
	ioapic_init();
	assert_int_equal(ioapic_write_rte(9, rte), 0);
	assert_int_equal(unit[0].rte[9], rte);
	assert_int_equal(ioapic_read_rte(9), rte);
	assert_int_equal(ioapic_write_rte(31, rte), 0);
	assert_int_equal(unit[1].rte[7], rte);
	assert_int_equal(unit[1].rte[6], IOAPIC_RTE_MASKED);
	assert_int_equal(ioapic_write_rte(32, rte), -EINVAL);
	assert_int_equal(ioapic_write_rte(UINT32_MAX, rte), -EINVAL);
	assert_int_equal(ioapic_read_rte(32), IOAPIC_RTE_MASKED);
	ioapic_mask(32);
	ioapic_mask(UINT32_MAX);
}

/* A live pin gets another destination: is it ever open with the old one's half? */
static void test_no_half_entry(void **state)
{
	(void)state;
	ioapic_init();
	assert_int_equal(ioapic_write_rte(3, (1UL << 56) | 0x31), 0);
	assert_int_equal(ioapic_write_rte(3, (2UL << 56) | 0x52), 0);
	assert_int_equal(unit[0].rte[3], (2UL << 56) | 0x52);
	assert_int_equal(half_written, 0);
}

/* Does masking change the mask alone? */
static void test_mask(void **state)
{
	uint64_t rte = (5UL << 56) | IOAPIC_RTE_LEVEL | 0x45;

	(void)state;
	ioapic_init();
	assert_int_equal(ioapic_write_rte(9, rte), 0);
	ioapic_mask(9);
	assert_int_equal(unit[0].rte[9], rte | IOAPIC_RTE_MASKED);
	ioapic_mask(9);
	assert_int_equal(unit[0].rte[9], rte | IOAPIC_RTE_MASKED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_init, setup), cmocka_unit_test_setup(test_none, setup),
		cmocka_unit_test_setup(test_write, setup),
		cmocka_unit_test_setup(test_no_half_entry, setup),
		cmocka_unit_test_setup(test_mask, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
