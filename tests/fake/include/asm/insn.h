/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ASM_INSN_H
#define ASM_INSN_H

/* The same names as hypervisor/include/asm/insn.h, served by the fake machine of tests/fake. */
#include "lib/types.h"

void cpuid_count(uint32_t leaf, uint32_t sub, uint32_t r[4]);
uint64_t msr_read(uint32_t msr);
void msr_write(uint32_t msr, uint64_t v);
struct insn_fixup {
	int32_t insn, next;
};
bool msr_read_safe(uint32_t msr, uint64_t *val);
bool msr_write_safe(uint32_t msr, uint64_t v);
uint64_t rdtsc(void);

uint8_t pio_read8(uint16_t port);
uint16_t pio_read16(uint16_t port);
uint32_t pio_read32(uint16_t port);
void pio_write8(uint16_t port, uint8_t v);
void pio_write16(uint16_t port, uint16_t v);
void pio_write32(uint16_t port, uint32_t v);

uint8_t mmio_read8(const volatile void *addr);
void mmio_write8(volatile void *addr, uint8_t v);
uint16_t mmio_read16(const volatile void *addr);
void mmio_write16(volatile void *addr, uint16_t v);
uint32_t mmio_read32(const volatile void *addr);
void mmio_write32(volatile void *addr, uint32_t v);

uint64_t read_cr0(void);
uint64_t read_cr2(void);
uint64_t read_cr3(void);
uint64_t read_cr4(void);
void write_cr0(uint64_t v);
void write_cr2(uint64_t v);
void write_cr3(uint64_t v);
void write_cr4(uint64_t v);
uint64_t dr_read(uint32_t n);
void dr_write(uint32_t n, uint64_t v);

void xcr0_write(uint64_t v);
void fpu_xsave(void *area, uint64_t mask);
void fpu_xrstor(const void *area, uint64_t mask);
void fpu_fxsave(void *area);
void fpu_fxrstor(const void *area);

void cpu_invlpg(const void *va);
void cpu_wbinvd(void);
void cpu_clflush(const void *line);
void irq_disable(void);
void irq_enable(void);
void cpu_wait_irq(void);
void cpu_halt(void);

#endif
