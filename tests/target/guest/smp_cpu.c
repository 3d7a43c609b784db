// SPDX-License-Identifier: BSD-3-Clause
/*
 * The processors of the SMP guest: start, APIC access in both modes, counting of interrupts, calls.
 * A processor halts with interrupts on whenever nothing is asked of it, so that each interrupt
 * also has to wake it. GS holds its struct cpu.
 */
#include <stddef.h>

#include "smp.h"

#define STACK_SIZE  4096U
#define MSR_GS_BASE 0xc0000101U
#define BASE_X2	    0x400U
#define PATIENCE    20000000UL /* ticks of the TSC */
#define QUIET	    3000000UL

struct idt_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

extern const uint8_t smp_page[], smp_page_cr3[], smp_page_gdt[], smp_page_end[];
void smp_cpu_main(uint32_t id, uint32_t segment);

uint8_t smp_stacks[MAX_CPUS * STACK_SIZE] __attribute__((aligned(16)));
struct idt_pointer smp_idt;
struct cpu cpus[MAX_CPUS];
uint32_t cpu_count;
void (*volatile cpu_first_task)(struct cpu *c);

static struct cpu *this_cpu(void)
{
	struct cpu *c;

	__asm__ volatile("movq %%gs:0, %0" : "=r"(c));
	return c;
}

bool apic_is_x2(void)
{
	return (rdmsr(MSR_APIC_BASE) & BASE_X2) != 0U;
}

uint32_t apic_read(uint32_t reg)
{
	return apic_is_x2() ? (uint32_t)rdmsr(X2APIC(reg)) : mmio_read32(XAPIC + reg);
}

void apic_write(uint32_t reg, uint32_t value)
{
	if (apic_is_x2())
		wrmsr(X2APIC(reg), value);
	else
		mmio_write32(XAPIC + reg, value);
}

/* An IPI out of a handler must not come between the halves of another one. */
void icr_send(uint32_t dest, uint32_t low)
{
	uint64_t flags;

	if (apic_is_x2()) {
		wrmsr(X2APIC(APIC_ICR), (uint64_t)dest << 32 | low);
		return;
	}
	__asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
	mmio_write32(XAPIC + APIC_ICR_HI, dest << 24);
	mmio_write32(XAPIC + APIC_ICR, low);
	__asm__ volatile("pushq %0; popfq" : : "r"(flags) : "memory", "cc");
}

void x2apic_enter(struct cpu *c, uint32_t arg)
{
	(void)c;
	(void)arg;
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | BASE_X2);
}

static void taken(uint32_t vector)
{
	struct cpu *c = this_cpu();

	c->got[vector]++;
	if (vector != VECTOR_STRAY)
		c->order[c->total++ % ORDER] = (uint8_t)vector;
	if (vector == VECTOR_CALL)
		c->fn(c, c->arg);
	if (vector >= 32U && vector != VECTOR_STRAY)
		apic_write(APIC_EOI, 0U);
	/* Who called may look at our priority: in service it would be that of the call. */
	if (vector == VECTOR_CALL)
		c->calls++;
}

static void cpu_init(uint32_t id)
{
	struct cpu *c = &cpus[id];

	c->id = id;
	c->self = c;
	wrmsr(MSR_GS_BASE, (uint64_t)c);
}

void smp_cpu_main(uint32_t id, uint32_t segment)
{
	struct cpu *c = &cpus[id];

	cpu_init(id);
	c->base = rdmsr(MSR_APIC_BASE);
	c->svr = apic_read(APIC_SVR);
	c->tpr = apic_read(APIC_TPR);
	c->ldr = apic_read(APIC_LDR);
	c->isr = apic_read(APIC_ISR + VECTOR_CALL / 32U * 16U);
	c->page = segment << 4;
	apic_write(APIC_SVR, 0x100U | VECTOR_STRAY);
	c->starts++;
	if (cpu_first_task != NULL)
		cpu_first_task(c);
	for (;;) {
		void (*task)(struct cpu *cpu);

		__asm__ volatile("cli" : : : "memory");
		task = c->task;
		if (task == NULL) {
			__asm__ volatile("sti; hlt" : : : "memory");
			continue;
		}
		c->task = NULL;
		__asm__ volatile("sti");
		task(c);
		c->tasks++;
	}
}

bool wait_for(const volatile uint32_t *value, uint32_t wanted)
{
	uint64_t end = rdtsc() + PATIENCE;

	while (*value != wanted && rdtsc() < end)
		__asm__ volatile("pause");
	return *value == wanted;
}

static void put_page(uint32_t at)
{
	uint8_t *page = (uint8_t *)(uint64_t)at;
	uint64_t cr3;

	for (uint32_t i = 0U; i < (uint32_t)(smp_page_end - smp_page); i++)
		page[i] = smp_page[i];
	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	*(volatile uint32_t *)(page + (smp_page_cr3 - smp_page)) = (uint32_t)cr3;
	/* The base is below 4 GB: what sgdt stores beyond it does not matter. */
	__asm__ volatile("sgdt %0" : "=m"(*(uint8_t(*)[10])(page + (smp_page_gdt - smp_page))));
}

static uint32_t found(void)
{
	uint32_t n = 1U;

	while (n < MAX_CPUS && cpus[n].starts != 0U)
		n++;
	return n;
}

void cpus_start(void)
{
	uint64_t end;

	idt_init();
	idt_set_handler(taken);
	__asm__ volatile("sidt %0" : "=m"(smp_idt));
	put_page(PAGE_A);
	put_page(PAGE_B);
	for (uint32_t i = 0U; i < MAX_CPUS; i++)
		cpus[i].index = i;
	cpu_init(0U);
	cpus[0].starts = 1U;
	apic_write(APIC_SVR, 0x100U | VECTOR_STRAY);
	icr_send(0U, ICR_OTHERS | ICR_INIT | ICR_ASSERT);
	icr_send(0U, ICR_OTHERS | ICR_STARTUP | ICR_ASSERT | PAGE_A >> 12);
	for (end = rdtsc() + QUIET; rdtsc() < end;) {
		if (cpu_count != found()) {
			cpu_count = found();
			end = rdtsc() + QUIET;
		}
	}
	__asm__ volatile("sti");
}

void cpu_call_no_return(struct cpu *c, void (*fn)(struct cpu *c, uint32_t arg), uint32_t arg)
{
	c->fn = fn;
	c->arg = arg;
	icr_send(c->id, ICR_ASSERT | VECTOR_CALL);
}

bool cpu_call(struct cpu *c, void (*fn)(struct cpu *c, uint32_t arg), uint32_t arg)
{
	uint32_t calls = c->calls + 1U;

	if (c == this_cpu()) {
		fn(c, arg);
		return true;
	}
	cpu_call_no_return(c, fn, arg);
	return wait_for(&c->calls, calls);
}

bool cpus_barrier(uint32_t mask)
{
	uint32_t before[MAX_CPUS];
	bool all = true;

	for (uint32_t i = 0U; i < cpu_count; i++) {
		before[i] = cpus[i].got[VECTOR_BARRIER];
		if ((mask & 1U << i) != 0U)
			icr_send(cpus[i].id, ICR_ASSERT | VECTOR_BARRIER);
	}
	for (uint32_t i = 0U; i < cpu_count; i++) {
		if ((mask & 1U << i) != 0U)
			all &= wait_for(&cpus[i].got[VECTOR_BARRIER], before[i] + 1U);
	}
	return all;
}
