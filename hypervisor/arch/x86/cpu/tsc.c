// SPDX-License-Identifier: BSD-3-Clause
/*
 * The TSC's rate: measured once at boot against the PIT's channel 2, because CPUID 0x16 names the
 * rate of the box and not of an emulator's clock. Boot CPU, no lock; constant afterwards. CPUID is
 * the way out for machines without a PIT.
 */
#include "asm/cpuid.h"
#include "asm/msr.h"
#include "hv/boot.h"
#include "hv/irq.h"
#include "hv/log.h"
#include "hv/timer.h"

#define PIT_HZ	     1193182U
#define PIT_CH2	     0x42U
#define PIT_MODE     0x43U
#define PORT_B	     0x61U
#define PORT_B_GATE2 0x01U
#define PORT_B_SPKR  0x02U
#define PORT_B_OUT2  0x20U
#define MEASURE_MS   10U
#define POLLS_MAX    10000000U

#define CPUID7_EBX_TSC_ADJUST BIT32(1)

static uint32_t khz;

/* Channel 2 counts down once (mode 0) and raises its output; TSC ticks it took, 0: never ended. */
static uint64_t measure_pit(uint32_t count)
{
	uint8_t gate = (uint8_t)(pio_read8(PORT_B) & ~(PORT_B_SPKR | PORT_B_GATE2));
	uint64_t start;

	pio_write8(PORT_B, gate | PORT_B_GATE2);
	pio_write8(PIT_MODE, 0xB0U);
	pio_write8(PIT_CH2, (uint8_t)count);
	pio_write8(PIT_CH2, (uint8_t)(count >> 8));
	start = rdtsc();
	for (uint32_t i = 0U; i < POLLS_MAX; i++) {
		if ((pio_read8(PORT_B) & PORT_B_OUT2) != 0U) {
			return rdtsc() - start;
		}
	}
	return 0U;
}

static uint32_t khz_from_cpuid(void)
{
	uint32_t divisor = cpuid_reg(0x15U, 0U, CPUID_EAX);
	uint64_t factor = cpuid_reg(0x15U, 0U, CPUID_EBX);
	uint32_t crystal_hz = cpuid_reg(0x15U, 0U, CPUID_ECX);

	if (divisor != 0U && factor != 0U && crystal_hz != 0U) {
		return (uint32_t)(crystal_hz * factor / divisor / 1000U);
	}
	return (cpuid_reg(0x16U, 0U, CPUID_EAX) & 0xFFFFU) * 1000U;
}

/*
 * An offset that firmware left, or a reset: in Bochs the APIC compares its deadline with the time
 * since power-on, so that a TSC that a reset put back to 0 makes every deadline one of the past.
 */
void tsc_init_pcpu(void)
{
	if ((cpuid_reg(7U, 0U, CPUID_EBX) & CPUID7_EBX_TSC_ADJUST) != 0U &&
	    msr_read(MSR_TSC_ADJUST) != 0U) {
		msr_write(MSR_TSC_ADJUST, 0U);
	}
}

void tsc_calibrate(void)
{
	uint32_t count = PIT_HZ / 1000U * MEASURE_MS;
	uint64_t ticks = measure_pit(count);

	khz = (uint32_t)(ticks * PIT_HZ / (count * 1000U));
	if (khz == 0U) {
		khz = khz_from_cpuid();
	}
	if (khz == 0U) {
		panic("the TSC's rate cannot be measured (no PIT) and CPUID does not tell it");
	}
	lapic_timer_calibrate();
}

uint32_t tsc_khz(void)
{
	return khz;
}

/* In two steps: the product of a time of some months and the rate does not fit 64 bits. */
uint64_t us_to_tsc(uint64_t us)
{
	return us / 1000U * khz + us % 1000U * khz / 1000U;
}

uint64_t tsc_to_us(uint64_t ticks)
{
	return (khz == 0U) ? 0U : ticks / khz * 1000U + ticks % khz * 1000U / khz;
}

void udelay(uint32_t us)
{
	uint64_t end = rdtsc() + us_to_tsc(us);

	while (rdtsc() < end) {
		__asm__ volatile("pause");
	}
}
