/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a test guest has to work with. A guest prints lines to COM1 and is judged
 * by them; it runs alike on the bare machine and in a VM.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stdint.h>

#define MSR_APIC_BASE	 0x1bU
#define MSR_TSC_ADJUST	 0x3bU
#define MSR_TSC_DEADLINE 0x6e0U
#define X2APIC(reg)	 (0x800U + ((reg) >> 4))
#define APIC_EOI	 0xb0U
#define APIC_SVR	 0xf0U
#define APIC_ICR	 0x300U
#define APIC_LVT_TIMER	 0x320U
#define APIC_SELF_IPI	 0x3f0U

/* Implemented by each guest; its return powers off. `boot_params` is Linux's zero page. */
void guest_main(const void *boot_params);

/* Prints to COM1, waiting for the transmitter: %u %x %lx %s %c, and %0Nx widths. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Waits until what was printed is out. */
void print_flush(void);
/* Halts for good; who runs the guest ends the machine once it has seen what it waits for. */
__attribute__((noreturn)) void stop(void);
/* Ends the VM, or the machine, by ACPI: in a VM of acrn-dm's, as Service VM and in bare Bochs. */
__attribute__((noreturn)) void power_off(void);

/* The last exception that a fixed-up instruction raised; 0 if none since it was cleared. */
extern volatile uint32_t last_vector_plus_one;
/* Interrupts that arrived at interrupt_entry. */
extern volatile uint32_t interrupts;

/* Loads the IDT: exceptions are reported, vectors 32 to 255 counted and ended. */
void idt_init(void);
/* From now on NMIs and vectors 32 to 255 go to `handler`, which ends the latter. */
void idt_set_handler(void (*handler)(uint32_t vector));
/* One vector's own entry point. */
void idt_set_gate(uint32_t vector, const void *entry);
/* Switches the LAPIC to x2APIC mode, enabled; false if the CPU has none. */
bool x2apic_init(void);

/* False if the access raised an exception. */
bool rdmsr_safe(uint32_t msr, uint64_t *value);
bool wrmsr_safe(uint32_t msr, uint64_t value);

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static inline void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(regs[0]), "=b"(regs[1]), "=c"(regs[2]), "=d"(regs[3])
			 : "a"(leaf), "c"(subleaf));
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static inline void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out16(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint16_t in16(uint16_t port)
{
	uint16_t value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint32_t in32(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint32_t mmio_read32(uint64_t address)
{
	uint32_t value;

	__asm__ volatile("movl (%1), %0" : "=r"(value) : "r"(address) : "memory");
	return value;
}

static inline void mmio_write32(uint64_t address, uint32_t value)
{
	__asm__ volatile("movl %0, (%1)" : : "r"(value), "r"(address) : "memory");
}

#endif
