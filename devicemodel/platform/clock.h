// SPDX-License-Identifier: BSD-3-Clause
/*
 * Time of the Service VM, in nanoseconds, behind two functions so that tests can
 * stand still or jump.
 */
#ifndef DM_CLOCK_H
#define DM_CLOCK_H

#include <stdint.h>

#define CLOCK_NS_PER_SEC 1000000000ULL

uint64_t clock_monotonic(void);
/* Since 1970-01-01 UTC. */
uint64_t clock_realtime(void);

#endif
