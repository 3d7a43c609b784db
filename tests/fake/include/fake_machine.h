/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FAKE_MACHINE_H
#define FAKE_MACHINE_H

/*
 * A processor made of arrays, so that the hypervisor's real files run under cmocka. Everything is
 * public: a test sets it, runs the code, and looks. fake_machine_reset() empties all of it.
 */
#include "lib/types.h"

struct pcpu;

void fake_machine_reset(void);

/* CPUID: leaves not set read as zero. FAKE_ANY_SUB answers every subleaf not set by itself. */
#define FAKE_ANY_SUB 0xFFFFFFFFU
void fake_cpuid_set(uint32_t leaf, uint32_t sub, uint32_t a, uint32_t b, uint32_t c, uint32_t d);

/* MSRs: one that was never set does not exist, and touching it counts as a #GP of root mode. */
void fake_msr_set(uint32_t msr, uint64_t val);
bool fake_msr_exists(uint32_t msr);
uint64_t fake_msr_get(uint32_t msr);
extern uint32_t fake_msr_gp;	  /* accesses to MSRs that do not exist */
extern uint32_t fake_msr_last_gp; /* the number of the last such */
extern uint32_t fake_msr_writes;

/* Ports: an access that no hook claims reads all-ones. `val` is written; the return is read. */
typedef uint32_t (*fake_pio_fn)(uint16_t port, uint32_t width, bool write, uint32_t val);
void fake_pio_hook(uint16_t base, uint16_t count, fake_pio_fn fn);
extern uint32_t fake_pio_accesses;

/* MMIO by address: fn NULL (the start) reads and writes memory at the pointer. */
typedef uint32_t (*fake_mmio_fn)(uint64_t addr, bool write, uint32_t val);
extern fake_mmio_fn fake_mmio;

/* The clock moves by fake_tsc_step at each RDTSC. */
extern uint64_t fake_tsc;
extern uint64_t fake_tsc_step;
extern uint32_t fake_tsc_khz;

extern uint64_t fake_cr[5], fake_dr[8], fake_xcr0;
extern uint32_t fake_wbinvds, fake_halts, fake_invlpgs, fake_clflushes;
extern const void *fake_clflush_last;
/* What the last FXSAVE, FXRSTOR, XSAVE, XRSTOR was given, and how often they ran. */
extern uint64_t fake_xsave_mask, fake_xrstor_mask;
extern uint32_t fake_fpu_saves, fake_fpu_restores;

/* VMCS: index by field encoding. */
#define FAKE_VMCS_FIELDS 0x8000U
extern uint64_t fake_vmcs[FAKE_VMCS_FIELDS];
extern uint32_t fake_vmcs_writes;

/* this_pcpu(): entry fake_cpu of fake_pcpus. pcpus and pcpu_count are the hypervisor's names. */
#define FAKE_PCPUS 4U
extern uint16_t fake_cpu;

/* The log: lines at or below LOG_WARN are counted, the last one kept; panic() fails an assertion. */
extern uint32_t fake_log_lines;
extern char fake_log_last[256];

/* Give all boot memory back: for a fuzzer, which boots anew for each input. */
void fake_boot_free(void);

/* What the hypervisor's pools give: real allocations, so that the sanitizer sees misuse. */
extern bool fake_pool_empty; /* every pool_get() fails */
extern uint32_t fake_pool_fail_at; /* the n-th pool_get() from now on fails, 0: none */

#endif
