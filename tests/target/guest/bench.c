// SPDX-License-Identifier: BSD-3-Clause
/*
 * What do the operations that the hypervisor serves cost a VM? The same guest runs on the bare
 * machine, whose figures are the operations' own instructions.
 */
#include <stddef.h>

#include "guest.h"
#include "measure.h"

#define ROUNDS	     ROUNDS_MAX
#define SLOW_ROUNDS  200U
#define IPI_VECTOR   0x40U
#define TIMER_VECTOR 0x41U
#define DEADLINE_MODE (2U << 17)
#define DEADLINE     5000U /* ticks */
#define IOAPIC	     0xfec00000UL
#define PIC_MASK     0x21U
#define UNKNOWN_CALL 0x12345UL

static uint64_t tsc_adjust;

static void op_cpuid(void)
{
	uint32_t regs[4];

	cpuid(0x80000000U, 0U, regs);
}

static void op_vmcall(void)
{
	uint64_t result = 0U;

	__asm__ volatile("vmcall" : "+a"(result) : "r"(UNKNOWN_CALL) : "r8", "memory");
}

static void op_pio(void)
{
	(void)in8(PIC_MASK);
}

static void op_pci(void)
{
	(void)in32(0xcfcU);
}

static void op_rdmsr(void)
{
	(void)rdmsr(MSR_TSC_ADJUST);
}

static void op_wrmsr(void)
{
	wrmsr(MSR_TSC_ADJUST, tsc_adjust);
}

static void op_deadline(void)
{
	wrmsr(MSR_TSC_DEADLINE, UINT64_MAX);
}

static void op_eoi(void)
{
	wrmsr(X2APIC(APIC_EOI), 0U);
}

static void op_mmio(void)
{
	(void)mmio_read32(IOAPIC);
}

/* From the write to behind the handler's IRET, with interrupts on. */
static void op_self_ipi(void)
{
	uint32_t before = interrupts;

	wrmsr(X2APIC(APIC_SELF_IPI), IPI_VECTOR);
	while (interrupts == before)
		;
}

static void op_icr_self_ipi(void)
{
	uint32_t before = interrupts;

	wrmsr(X2APIC(APIC_ICR), (1UL << 18) | IPI_VECTOR);
	while (interrupts == before)
		;
}

static void op_hlt_wake(void)
{
	uint32_t before = interrupts;

	__asm__ volatile("cli");
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + DEADLINE);
	while (interrupts == before)
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	__asm__ volatile("sti");
}

static const struct operation operations[] = {
	{"cpuid", op_cpuid, ROUNDS},
	{"pio_hv", op_pio, ROUNDS},
	{"pci_cfg_hv", op_pci, ROUNDS},
	{"rdmsr", op_rdmsr, ROUNDS},
	{"wrmsr", op_wrmsr, ROUNDS},
	{"tsc_deadline", op_deadline, ROUNDS},
	{"x2apic_eoi", op_eoi, ROUNDS},
	{"mmio_hv", op_mmio, ROUNDS},
	{"self_ipi", op_self_ipi, ROUNDS},
	{"icr_self_ipi", op_icr_self_ipi, ROUNDS},
	{"hlt_wake", op_hlt_wake, SLOW_ROUNDS},
	/* the last: an invalid opcode on the bare machine */
	{"vmcall", op_vmcall, ROUNDS},
};

#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

/* Bit 31 of CPUID.1:ECX. */
static bool hypervisor_present(void)
{
	uint32_t regs[4];

	cpuid(1U, 0U, regs);
	return (regs[2] >> 31) != 0U;
}

void guest_main(const void *boot_params)
{
	(void)boot_params;
	idt_init();
	if (!x2apic_init()) {
		print("bench needs an x2APIC\n");
		stop();
	}
	out8(PIC_MASK, 0xffU);
	out8(0xa1U, 0xffU);
	wrmsr(X2APIC(APIC_LVT_TIMER), DEADLINE_MODE | TIMER_VECTOR);
	tsc_adjust = rdmsr(MSR_TSC_ADJUST);
	out32(0xcf8U, 0x80000000U);
	__asm__ volatile("sti");
	measure(operations, hypervisor_present() ? OPERATIONS : OPERATIONS - 1U);
	print("bench done\n");
}
