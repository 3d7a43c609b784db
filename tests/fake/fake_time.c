/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The calibrated clock of the fake machine: fake_tsc_khz ticks a millisecond.  Tests of tsc.c link
 * that instead.
 */
#include "hv/timer.h"
#include "fake_machine.h"

uint32_t tsc_khz(void)
{
	return fake_tsc_khz;
}

uint64_t us_to_tsc(uint64_t us)
{
	return us * fake_tsc_khz / 1000U;
}

uint64_t tsc_to_us(uint64_t ticks)
{
	return ticks * 1000U / fake_tsc_khz;
}

void udelay(uint32_t us)
{
	fake_tsc += us_to_tsc(us);
}
