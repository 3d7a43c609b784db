/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ACRN_TRACE_H
#define ACRN_TRACE_H

#include "lib/types.h"

/*
 * Entries of the trace rings. Numbers up to 0x20 and those of exits are ACRN's. ACRN's id has 48
 * bits, of which it uses 20: VM and vCPU are in the rest.
 */
struct trace_entry {
	uint64_t tsc;
	uint32_t id;
	uint8_t vm; /* whose thread runs, TRACE_NO_VM: none */
	uint8_t vcpu;
	uint8_t n_data; /* words of `data` in use */
	uint8_t cpu;	/* physical */
	uint64_t data[2];
};

#define TRACE_NO_VM 0xFFU

/* A timer of the CPU: deadline (TSC) */
#define TRACE_TIMER_ADDED   0x1U
#define TRACE_TIMER_PICKED  0x2U
#define TRACE_TIMER_UPDATED 0x3U
#define TRACE_TIMER_IRQ	    0x4U

#define TRACE_VM_EXIT  0x10U /* reason, RIP */
#define TRACE_VM_ENTER 0x11U

#define TRACE_SCHED 0x20U /* who ran, who runs: VM << 8 | vCPU */

#define TRACE_IRQ	 0x30U /* physical: host vector */
#define TRACE_INJECT	 0x31U /* virtual: vector the vCPU takes with its next entry */
#define TRACE_IOREQ	 0x32U /* to the device model: type | size << 8 | write << 16, address */
#define TRACE_IOREQ_DONE 0x33U /* value, address */
#define TRACE_HYPERCALL	 0x34U /* number, result */

/* + basic exit reason, right behind the TRACE_VM_EXIT it tells more of */
#define TRACE_EXIT_DETAIL 0x10000U

_Static_assert(sizeof(struct trace_entry) == 32, "ABI");

#endif
