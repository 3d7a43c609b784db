// SPDX-License-Identifier: BSD-3-Clause
/*
 * The Service VM's clocks, for devices that count time (RTC, PIT). Any thread,
 * no state. Nothing else of the device model looks at a clock.
 */
#include "clock.h"

#include <time.h>

static uint64_t now(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * CLOCK_NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t clock_monotonic(void)
{
	return now(CLOCK_MONOTONIC);
}

uint64_t clock_realtime(void)
{
	return now(CLOCK_REALTIME);
}
