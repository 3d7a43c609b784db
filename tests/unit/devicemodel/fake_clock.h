// SPDX-License-Identifier: BSD-3-Clause
/* The clocks of platform/clock.h, standing still until a test moves them. */
#ifndef FAKE_CLOCK_H
#define FAKE_CLOCK_H

#include <stdint.h>

extern uint64_t fake_monotonic, fake_realtime;

#endif
