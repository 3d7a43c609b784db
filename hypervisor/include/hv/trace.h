/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_TRACE_H
#define HV_TRACE_H

#include "acrn/trace.h"
#include "lib/kconfig.h"
#include "lib/types.h"

struct thread;
struct vcpu;

/*
 * Trace points. In a debug build each is a test of one flag while nobody traces; a release has
 * none. Root mode, interrupts off, any lock held. debug/trace.c writes the entries.
 */
extern volatile bool trace_on;

void trace_write(uint32_t id, uint64_t a, uint64_t b);
/* The exit of this vCPU, and what more there is to know of it. */
void trace_exit(const struct vcpu *vcpu, uint32_t reason);
void trace_switch(const struct thread *prev, const struct thread *next);

static inline bool trace_wanted(void)
{
	return IS_ENABLED(CONFIG_DEBUG) && unlikely(trace_on);
}

static inline void trace(uint32_t id, uint64_t a, uint64_t b)
{
	if (trace_wanted()) {
		trace_write(id, a, b);
	}
}

#endif
