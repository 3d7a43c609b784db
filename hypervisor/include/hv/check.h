/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_CHECK_H
#define HV_CHECK_H

#include "lib/types.h"

/*
 * debug/check.c: how many of the hypervisor's own invariants do not hold: no EPT maps its memory,
 * nothing of the host's is writable and executable, run queues and the page pool are consistent.
 * Each is a line "invariant broken"; none is "invariants hold". Any CPU, no lock held.
 */
uint32_t check_invariants(void);

#endif
