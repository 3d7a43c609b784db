// SPDX-License-Identifier: BSD-3-Clause
/* See fake_clock.h. */
#include "clock.h"
#include "fake_clock.h"

uint64_t fake_monotonic, fake_realtime;

uint64_t clock_monotonic(void)
{
	return fake_monotonic;
}

uint64_t clock_realtime(void)
{
	return fake_realtime;
}
