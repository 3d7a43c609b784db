// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does the physical local APIC get the same orders through MSRs and through memory, and does its
 * timer fire no later than it should in both of its modes?
 */
// links: hypervisor/arch/x86/irq/lapic.c @machine
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "asm/apic.h"
#include "asm/msr.h"
#include "hv/caps.h"
#include "hv/irq.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "fake_machine.h"

static bool x2, deadline;
static uint32_t regs[0x400 / 16], order[16], writes, busy, mapped;
static uint64_t apic_hz_shift; /* the counter runs at TSC >> shift */
static uint64_t count_start;
static uint32_t nmi_after; /* a register behind whose write an NMI comes, 0: none */
static uint32_t sent_to;   /* APIC ids, the last one lowest */

bool cap_has(enum cpu_cap cap)
{
	return (cap == CAP_X2APIC && x2) || (cap == CAP_TSC_DEADLINE && deadline);
}

void hostmm_map_uc(hpa_t base, size_t size)
{
	assert_int_equal(base.v, APIC_DEFAULT_BASE);
	assert_int_equal(size, PAGE_SIZE);
	mapped++;
}

static uint32_t mmio(uint64_t addr, bool write, uint32_t val)
{
	uint32_t reg = (uint32_t)(addr - APIC_DEFAULT_BASE);

	assert_in_range(addr, APIC_DEFAULT_BASE, APIC_DEFAULT_BASE + 0x3F0);
	if (!write && reg == APIC_ICR_LO && busy) {
		busy--;
		return APIC_ICR_BUSY;
	}
	if (!write && reg == APIC_TMCCT)
		return regs[APIC_TMICT / 16] - (uint32_t)((fake_tsc - count_start) >> apic_hz_shift);
	if (write) {
		assert_false(reg == APIC_ICR_LO && busy);
		regs[reg / 16] = val;
		if (writes < ARRAY_SIZE(order))
			order[writes] = reg;
		writes++;
		if (reg == APIC_TMICT)
			count_start = fake_tsc;
		if (reg == APIC_ICR_LO)
			sent_to = sent_to << 8 | regs[APIC_ICR_HI / 16] >> 24;
		if (reg == nmi_after) {
			nmi_after = 0;
			lapic_send_ipi(7, 0xE1);
		}
	}
	return regs[reg / 16];
}

static int setup(void **state)
{
	(void)state;
	fake_machine_reset();
	fake_mmio = mmio;
	memset(regs, 0, sizeof(regs));
	writes = busy = mapped = 0;
	apic_hz_shift = 4;
	x2 = deadline = true;
	fake_msr_set(MSR_APIC_BASE, APIC_DEFAULT_BASE | APIC_BASE_BSP | APIC_BASE_ENABLE);
	fake_msr_set(MSR_TSC_DEADLINE, 0);
	for (uint32_t m = 0x800; m < 0x840; m++)
		fake_msr_set(m, 0);
	return 0;
}

static uint32_t reg(uint32_t offset)
{
	return x2 ? (uint32_t)fake_msr_get(MSR_X2APIC_FIRST + offset / 16) : regs[offset / 16];
}

/* Is the APIC ready after a start, by both ways in, on the first CPU and the others? */
static void test_init(void **state)
{
	for (int way = 0; way < 4; way++) {
		(void)setup(state);
		x2 = (way & 1) != 0;
		deadline = (way & 2) != 0;
		lapic_init_pcpu();
		assert_int_equal(fake_msr_get(MSR_APIC_BASE) & APIC_BASE_X2APIC, x2 ? APIC_BASE_X2APIC : 0);
		assert_int_equal(mapped, x2 ? 0 : 1);
		assert_int_equal(reg(APIC_SVR), APIC_SVR_ENABLE | VECTOR_SPURIOUS);
		assert_int_equal(reg(APIC_TPR), 0);
		assert_int_equal(reg(APIC_LVT_LINT0), APIC_LVT_MASKED);
		assert_int_equal(reg(APIC_LVT_LINT1), APIC_DM_NMI << 8);
		assert_int_equal(reg(APIC_LVT_TIMER),
				 VECTOR_TIMER | (deadline ? APIC_TIMER_DEADLINE : APIC_TIMER_ONESHOT));
		assert_int_equal(fake_msr_gp, 0);
		fake_cpu = 1;
		lapic_init_pcpu();
		assert_int_equal(mapped, x2 ? 0 : 1);
	}
}

/* What if the firmware left the APIC switched off? */
static void test_enable(void **state)
{
	for (int way = 0; way < 2; way++) {
		(void)setup(state);
		x2 = way != 0;
		fake_msr_set(MSR_APIC_BASE, APIC_DEFAULT_BASE);
		lapic_init_pcpu();
		assert_true((fake_msr_get(MSR_APIC_BASE) & APIC_BASE_ENABLE) != 0);
	}
}

/*
 * What if the firmware has switched to x2APIC mode and hide=x2apic asks for the other? There is no
 * way back but through a reset of the APIC: the registers are where the firmware put them.
 */
static void test_firmware_x2apic(void **state)
{
	(void)state;
	x2 = false;
	fake_msr_set(MSR_APIC_BASE, APIC_DEFAULT_BASE | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
	lapic_init_pcpu();
	assert_int_equal(fake_msr_get(0x80F), APIC_SVR_ENABLE | VECTOR_SPURIOUS);
	assert_int_equal(writes, 0);
}

/* What does each message look like on the bus? */
static void test_messages(void **state)
{
	for (int way = 0; way < 2; way++) {
		uint32_t id = way ? 0x12345 : 0x45, sent[5];

		(void)setup(state);
		x2 = way != 0;
		lapic_init_pcpu();
		lapic_send_ipi(id, 0xE1);
		sent[0] = reg(APIC_ICR_LO);
		lapic_send_nmi(id);
		sent[1] = reg(APIC_ICR_LO);
		lapic_send_init(id);
		sent[2] = reg(APIC_ICR_LO);
		lapic_send_sipi(id, 0x9A);
		sent[3] = reg(APIC_ICR_LO);
		assert_int_equal(sent[0], 0x40E1);
		assert_int_equal(sent[1], 0x4400);
		assert_int_equal(sent[2], 0xC500);
		assert_int_equal(sent[3], 0x469A);
		if (way)
			assert_int_equal(fake_msr_get(0x830) >> 32, id);
		else
			assert_int_equal(sent_to, id << 24 | id << 16 | id << 8 | id);
		lapic_eoi();
		assert_int_equal(reg(APIC_EOI), 0);
	}
}

/* The memory form is two writes: does the destination come first, and after the last is gone? */
static void test_busy(void **state)
{
	(void)state;
	x2 = false;
	lapic_init_pcpu();
	busy = 3;
	writes = 0;
	lapic_send_ipi(1, 0xE1);
	assert_int_equal(busy, 0);
	assert_int_equal(order[0], APIC_ICR_HI);
	assert_int_equal(order[1], APIC_ICR_LO);
}

/* What if an NMI comes between the two, whose handler sends one itself? Each reaches its own. */
static void test_nmi_between(void **state)
{
	(void)state;
	x2 = false;
	lapic_init_pcpu();
	nmi_after = APIC_ICR_HI;
	sent_to = 0;
	lapic_send_ipi(1, 0xE1);
	assert_int_equal(nmi_after, 0);
	assert_int_equal(sent_to, 0x701); /* first the handler's, to 7 */
}

/* Is a deadline written as it is, and 0 to disarm? */
static void test_deadline(void **state)
{
	(void)state;
	lapic_init_pcpu();
	lapic_timer_calibrate();
	lapic_timer_set(123456789);
	assert_int_equal(fake_msr_get(MSR_TSC_DEADLINE), 123456789);
	lapic_timer_set(0);
	assert_int_equal(fake_msr_get(MSR_TSC_DEADLINE), 0);
}

/* With a counter: when does it reach 0, for a deadline near, far, over, and too far to count? */
static void test_countdown(void **state)
{
	static const uint64_t ahead[] = {1, 100, 5000, 1000000, 1UL << 31, 1UL << 40, UINT64_MAX / 2};

	(void)state;
	x2 = deadline = false;
	fake_tsc_step = 0;
	for (apic_hz_shift = 0; apic_hz_shift <= 6; apic_hz_shift += 2) {
		lapic_init_pcpu();
		lapic_timer_calibrate();
		assert_int_equal(regs[APIC_LVT_TIMER / 16], VECTOR_TIMER | APIC_TIMER_ONESHOT);
		assert_int_equal(regs[APIC_TMICT / 16], 0);
		for (size_t i = 0; i < ARRAY_SIZE(ahead); i++) {
			uint64_t ticks, count;

			lapic_timer_set(fake_tsc + ahead[i]);
			count = regs[APIC_TMICT / 16];
			assert_true(count != 0);
			ticks = count << apic_hz_shift;
			/* never later than one count and the error of the measurement */
			assert_true(ticks <= ahead[i] + ahead[i] / 1000 + (2UL << apic_hz_shift));
			if (ahead[i] < 1UL << 31)
				assert_true(ticks + ticks / 1000 + 1 >= ahead[i]);
		}
		lapic_timer_set(fake_tsc);
		assert_in_range(regs[APIC_TMICT / 16], 1, 2);
		lapic_timer_set(1);
		assert_in_range(regs[APIC_TMICT / 16], 1, 2);
		lapic_timer_set(0);
		assert_int_equal(regs[APIC_TMICT / 16], 0);
	}
}

/* What if the counter stands still? There is no time without it, and the boot says so. */
static void test_dead_counter(void **state)
{
	(void)state;
	x2 = deadline = false;
	lapic_init_pcpu();
	apic_hz_shift = 63;
	expect_assert_failure(lapic_timer_calibrate());
	assert_true(strstr(fake_log_last, "does not count") != NULL);
}

static uint32_t eois;

/* Two interrupts in service, one of which each EOI ends. */
static uint32_t used(uint64_t addr, bool write, uint32_t val)
{
	if (write && addr == APIC_DEFAULT_BASE + APIC_EOI) {
		eois++;
		regs[(APIC_ISR + 0x10) / 16] &= regs[(APIC_ISR + 0x10) / 16] - 1;
	}
	return mmio(addr, write, val);
}

/* Is the APIC a guest gets clean, and the one that comes back the hypervisor's again? */
static void test_lent(void **state)
{
	(void)state;
	x2 = deadline = false;
	lapic_init_pcpu();
	assert_false(lapic_is_x2apic());
	fake_mmio = used;
	eois = 0;
	for (int back = 0; back < 2; back++) {
		regs[APIC_VERSION / 16] = 6U << 16;
		regs[APIC_LVT_TIMER / 16] = APIC_TIMER_PERIODIC | 0x30;
		regs[APIC_LVT_CMCI / 16] = 0x31;
		regs[APIC_TMICT / 16] = 77;
		regs[APIC_TPR / 16] = 0xFF;
		regs[APIC_SVR / 16] = 0x40;
		regs[(APIC_ISR + 0x10) / 16] = 0x5;
		if (back != 0) {
			lapic_take_back();
			break;
		}
		lapic_give();
		assert_int_equal(this_pcpu()->lapic_owned, 1);
		assert_int_equal(eois, 2);
		assert_int_equal(reg(APIC_LVT_TIMER), APIC_LVT_MASKED);
		assert_int_equal(reg(APIC_LVT_CMCI), APIC_LVT_MASKED);
		assert_int_equal(reg(APIC_LVT_LINT1), APIC_LVT_MASKED);
		assert_int_equal(reg(APIC_TPR) | reg(APIC_TMICT), 0);
		assert_int_equal(reg(APIC_SVR), 0xFF);
		regs[APIC_IRR / 16] = 1; /* this one never goes: that is no reason to hang */
		writes = 0;
		lapic_timer_set(fake_tsc + 5000);
		assert_int_equal(writes, 0);
	}
	assert_int_equal(eois, 4);
	assert_int_equal(this_pcpu()->lapic_owned, 0);
	assert_int_equal(reg(APIC_SVR), APIC_SVR_ENABLE | VECTOR_SPURIOUS);
	assert_int_equal(reg(APIC_LVT_TIMER), VECTOR_TIMER | APIC_TIMER_ONESHOT);
	assert_int_equal(reg(APIC_LVT_LINT1), APIC_DM_NMI << 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_init, setup),
		cmocka_unit_test_setup(test_enable, setup),
		cmocka_unit_test_setup(test_firmware_x2apic, setup),
		cmocka_unit_test_setup(test_messages, setup),
		cmocka_unit_test_setup(test_busy, setup),
		cmocka_unit_test_setup(test_nmi_between, setup),
		cmocka_unit_test_setup(test_deadline, setup),
		cmocka_unit_test_setup(test_countdown, setup),
		cmocka_unit_test_setup(test_dead_counter, setup),
		cmocka_unit_test_setup(test_lent, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
