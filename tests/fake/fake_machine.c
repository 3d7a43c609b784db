/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fake processor: instructions of asm/insn.h and asm/vmx_insn.h over arrays, this_pcpu(), and
 * identity-mapped memory (an HPA is a pointer of the test program).  Linked by every test of a
 * hypervisor file; owns no behaviour of a guest.  One thread, no lock.
 */
#include <stdlib.h>
#include <string.h>

#include "asm/insn.h"
#include "asm/vmx_insn.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/trace.h"
#include "fake_machine.h"

#define MAX_CPUID 128U
#define MAX_MSR	  512U
#define MAX_HOOKS 16U

static struct {
	uint32_t leaf, sub, r[4];
} cpuids[MAX_CPUID];
static uint32_t cpuid_count_set;

static struct {
	uint32_t msr;
	uint64_t val;
} msrs[MAX_MSR];
static uint32_t msr_count;
uint32_t fake_msr_gp, fake_msr_last_gp, fake_msr_writes;

static struct {
	uint16_t base, count;
	fake_pio_fn fn;
} hooks[MAX_HOOKS];
static uint32_t hook_count;
uint32_t fake_pio_accesses;

fake_mmio_fn fake_mmio;
uint64_t fake_tsc, fake_tsc_step;
uint32_t fake_tsc_khz;
uint64_t fake_cr[5], fake_dr[8], fake_xcr0;
uint32_t fake_wbinvds, fake_halts, fake_invlpgs, fake_clflushes;
const void *fake_clflush_last;
uint64_t fake_xsave_mask, fake_xrstor_mask;
uint32_t fake_fpu_saves, fake_fpu_restores;
uint64_t fake_vmcs[FAKE_VMCS_FIELDS];
uint32_t fake_vmcs_writes;
uint16_t fake_cpu;
uint32_t fake_log_lines;
char fake_log_last[256];
bool fake_pool_empty;
uint32_t fake_pool_fail_at;
static struct pcpu fake_pcpus[FAKE_PCPUS];
struct pcpu *pcpus = fake_pcpus;
uint16_t pcpu_count = FAKE_PCPUS;

void fake_machine_reset(void)
{
	cpuid_count_set = 0;
	msr_count = 0;
	hook_count = 0;
	fake_msr_gp = fake_msr_last_gp = fake_msr_writes = 0;
	fake_pio_accesses = 0;
	fake_mmio = NULL;
	fake_tsc = 1000;
	fake_tsc_step = 1;
	fake_tsc_khz = 1000000;
	memset(fake_cr, 0, sizeof(fake_cr));
	memset(fake_dr, 0, sizeof(fake_dr));
	fake_xcr0 = 1;
	fake_wbinvds = fake_halts = fake_invlpgs = fake_clflushes = 0;
	fake_clflush_last = NULL;
	fake_xsave_mask = fake_xrstor_mask = 0;
	fake_fpu_saves = fake_fpu_restores = 0;
	memset(fake_vmcs, 0, sizeof(fake_vmcs));
	fake_vmcs_writes = 0;
	fake_cpu = 0;
	memset(fake_pcpus, 0, sizeof(fake_pcpus));
	for (uint16_t i = 0; i < FAKE_PCPUS; i++) {
		fake_pcpus[i].self = &fake_pcpus[i];
		fake_pcpus[i].id = i;
		fake_pcpus[i].apic_id = i;
		fake_pcpus[i].online = 1;
		list_init(&fake_pcpus[i].timers.head);
		list_init(&fake_pcpus[i].rq.runnable);
	}
	fake_log_lines = 0;
	fake_log_last[0] = '\0';
	fake_pool_empty = false;
	fake_pool_fail_at = 0;
}

struct pcpu *this_pcpu(void)
{
	return &fake_pcpus[fake_cpu];
}

void *hpa_ptr(hpa_t hpa)
{
	return (void *)hpa.v;
}

hpa_t ptr_hpa(const volatile void *p)
{
	return HPA((uintptr_t)p);
}

void fake_cpuid_set(uint32_t leaf, uint32_t sub, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	uint32_t i;

	for (i = 0; i < cpuid_count_set; i++) {
		if (cpuids[i].leaf == leaf && cpuids[i].sub == sub)
			break;
	}
	if (i == cpuid_count_set && cpuid_count_set++ == MAX_CPUID)
		abort();
	cpuids[i].leaf = leaf;
	cpuids[i].sub = sub;
	cpuids[i].r[0] = a;
	cpuids[i].r[1] = b;
	cpuids[i].r[2] = c;
	cpuids[i].r[3] = d;
}

void cpuid_count(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	memset(r, 0, 4 * sizeof(*r));
	for (uint32_t i = 0; i < cpuid_count_set; i++) {
		if (cpuids[i].leaf != leaf)
			continue;
		if (cpuids[i].sub == FAKE_ANY_SUB || cpuids[i].sub == sub)
			memcpy(r, cpuids[i].r, sizeof(cpuids[i].r));
		if (cpuids[i].sub == sub)
			return;
	}
}

static uint32_t msr_find(uint32_t msr)
{
	uint32_t i;

	for (i = 0; i < msr_count && msrs[i].msr != msr; i++)
		;
	return i;
}

void fake_msr_set(uint32_t msr, uint64_t val)
{
	uint32_t i = msr_find(msr);

	if (i == msr_count && msr_count++ == MAX_MSR)
		abort();
	msrs[i].msr = msr;
	msrs[i].val = val;
}

bool fake_msr_exists(uint32_t msr)
{
	return msr_find(msr) < msr_count;
}

uint64_t fake_msr_get(uint32_t msr)
{
	uint32_t i = msr_find(msr);

	return i < msr_count ? msrs[i].val : 0;
}

uint64_t msr_read(uint32_t msr)
{
	if (!fake_msr_exists(msr)) {
		fake_msr_gp++;
		fake_msr_last_gp = msr;
	}
	return fake_msr_get(msr);
}

void msr_write(uint32_t msr, uint64_t v)
{
	fake_msr_writes++;
	if (fake_msr_exists(msr)) {
		fake_msr_set(msr, v);
	} else {
		fake_msr_gp++;
		fake_msr_last_gp = msr;
	}
}

bool msr_read_safe(uint32_t msr, uint64_t *val)
{
	*val = fake_msr_exists(msr) ? fake_msr_get(msr) : 0;
	return fake_msr_exists(msr);
}

bool msr_write_safe(uint32_t msr, uint64_t v)
{
	if (fake_msr_exists(msr))
		msr_write(msr, v);
	return fake_msr_exists(msr);
}

uint64_t rdtsc(void)
{
	fake_tsc += fake_tsc_step;
	return fake_tsc;
}

void fake_pio_hook(uint16_t base, uint16_t count, fake_pio_fn fn)
{
	if (hook_count == MAX_HOOKS)
		abort();
	hooks[hook_count].base = base;
	hooks[hook_count].count = count;
	hooks[hook_count++].fn = fn;
}

static uint32_t port_access(uint16_t port, uint32_t width, bool write, uint32_t val)
{
	fake_pio_accesses++;
	for (uint32_t i = 0; i < hook_count; i++) {
		if (port >= hooks[i].base && port - hooks[i].base < hooks[i].count)
			return hooks[i].fn(port, width, write, val);
	}
	return 0xFFFFFFFFU;
}

uint8_t pio_read8(uint16_t port)
{
	return (uint8_t)port_access(port, 1, false, 0);
}

uint16_t pio_read16(uint16_t port)
{
	return (uint16_t)port_access(port, 2, false, 0);
}

uint32_t pio_read32(uint16_t port)
{
	return port_access(port, 4, false, 0);
}

void pio_write8(uint16_t port, uint8_t v)
{
	(void)port_access(port, 1, true, v);
}

void pio_write16(uint16_t port, uint16_t v)
{
	(void)port_access(port, 2, true, v);
}

void pio_write32(uint16_t port, uint32_t v)
{
	(void)port_access(port, 4, true, v);
}

#define FAKE_MMIO(bits)                                                                            \
	uint##bits##_t mmio_read##bits(const volatile void *addr)                                  \
	{                                                                                          \
		if (fake_mmio)                                                                     \
			return (uint##bits##_t)fake_mmio((uintptr_t)addr, false, 0);               \
		return *(const volatile uint##bits##_t *)addr;                                     \
	}                                                                                          \
	void mmio_write##bits(volatile void *addr, uint##bits##_t v)                               \
	{                                                                                          \
		if (fake_mmio)                                                                     \
			(void)fake_mmio((uintptr_t)addr, true, v);                                 \
		else                                                                               \
			*(volatile uint##bits##_t *)addr = v;                                      \
	}
FAKE_MMIO(8)
FAKE_MMIO(16)
FAKE_MMIO(32)

#define FAKE_CR(n)                                                                                 \
	uint64_t read_cr##n(void)                                                                  \
	{                                                                                          \
		return fake_cr[n];                                                                 \
	}                                                                                          \
	void write_cr##n(uint64_t v)                                                               \
	{                                                                                          \
		fake_cr[n] = v;                                                                    \
	}
FAKE_CR(0)
FAKE_CR(2)
FAKE_CR(3)
FAKE_CR(4)

uint64_t dr_read(uint32_t n)
{
	return fake_dr[n];
}

void dr_write(uint32_t n, uint64_t v)
{
	fake_dr[n] = v;
}

void xcr0_write(uint64_t v)
{
	fake_xcr0 = v;
}

/* Saving stamps the area, so that a test sees which area a restore was given. */
void fpu_xsave(void *area, uint64_t mask)
{
	fake_xsave_mask = mask & fake_xcr0;
	fake_fpu_saves++;
	memcpy(area, &fake_fpu_saves, sizeof(fake_fpu_saves));
}

void fpu_xrstor(const void *area, uint64_t mask)
{
	(void)area;
	fake_xrstor_mask = mask & fake_xcr0;
	fake_fpu_restores++;
}

void fpu_fxsave(void *area)
{
	fake_fpu_saves++;
	memcpy(area, &fake_fpu_saves, sizeof(fake_fpu_saves));
}

void fpu_fxrstor(const void *area)
{
	(void)area;
	fake_fpu_restores++;
}

void cpu_invlpg(const void *va)
{
	(void)va;
	fake_invlpgs++;
}

void cpu_wbinvd(void)
{
	fake_wbinvds++;
}

void cpu_clflush(const void *line)
{
	fake_clflushes++;
	fake_clflush_last = line;
}

void irq_disable(void)
{
}

void irq_enable(void)
{
}

void cpu_wait_irq(void)
{
	fake_halts++;
}

void cpu_halt(void)
{
	fake_halts++;
}

uint64_t vmcs_read(uint32_t field)
{
	if (field >= FAKE_VMCS_FIELDS)
		abort();
	return fake_vmcs[field];
}

uint32_t vmcs_read32(uint32_t field)
{
	return (uint32_t)vmcs_read(field);
}

void vmcs_write(uint32_t field, uint64_t v)
{
	if (field >= FAKE_VMCS_FIELDS)
		abort();
	fake_vmcs[field] = v;
	fake_vmcs_writes++;
}

/* Nobody traces, unless a test brings its own. */
__attribute__((weak)) volatile bool trace_on;

__attribute__((weak)) void trace_write(uint32_t id, uint64_t a, uint64_t b)
{
	(void)id;
	(void)a;
	(void)b;
}

__attribute__((weak)) void trace_exit(const struct vcpu *vcpu, uint32_t reason)
{
	(void)vcpu;
	(void)reason;
}

__attribute__((weak)) void trace_switch(const struct thread *prev, const struct thread *next)
{
	(void)prev;
	(void)next;
}
