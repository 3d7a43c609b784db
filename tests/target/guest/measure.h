/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Measuring operations in a test guest: many times between two RDTSC, minimum and median printed.
 * In Bochs one instruction is one tick, and VM exits themselves cost nothing: what is seen is the
 * software's instructions. The console is quiet while something is measured.
 */
#ifndef MEASURE_H
#define MEASURE_H

#include <stddef.h>
#include <stdint.h>

#define ROUNDS_MAX    10000U
#define TRACED_ROUNDS 32U

struct operation {
	const char *name; /* key of bench.json */
	void (*run)(void);
	uint32_t rounds; /* at most ROUNDS_MAX */
};

/*
 * Prints "bench NAME MINIMUM MEDIAN" for each operation, "empty" first: what the pair of RDTSC and
 * the call cost. Then does each a few times more for a debugger: see trace_stop(), trace_mark().
 */
void measure(const struct operation *ops, size_t count);

/* Bochs's debugger stops here, if there is one: the traced rounds of an operation begin or end. */
static inline void trace_stop(void)
{
	__asm__ volatile("xchg %%bx, %%bx" : : : "memory");
}

/* A line in a trace: a round begins or ends. */
static inline void trace_mark(void)
{
	__asm__ volatile("xchg %%cx, %%cx" : : : "memory");
}

#endif
