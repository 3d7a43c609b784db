// SPDX-License-Identifier: BSD-3-Clause
/*
 * A guest that knows how often it left for the hypervisor: so many exits of each of five reasons,
 * all numbers different, then a line "exit REASON:COUNT" for each. Those of port I/O hold its
 * printing and the last write, which powers off; those of RDMSR the read of EFER at its start. Runs
 * as a User VM.
 */
#include "guest.h"

#define COM1	    0x3f8U
#define FCR_ENABLE  0x01U
#define LSR_THRE    0x20U
#define PIC_MASK    0x21U
#define PM1_CONTROL 0x404U
#define S5	    0x3400U /* sleep type 5, and go */
#define NO_MSR	    0x12345678U

#define EXIT_CPUID  10U
#define EXIT_INVD   13U
#define EXIT_VMCALL 18U
#define EXIT_IO	    30U
#define EXIT_RDMSR  31U

#define CPUIDS	17U
#define INVDS	3U
#define VMCALLS 5U
#define RDMSRS	29U
#define MASKS	101U

#define START_RDMSRS 1U /* head.S reads EFER */

static uint32_t ios;

static void count_out8(uint16_t port, uint8_t value)
{
	ios++;
	out8(port, value);
}

/* One line, no longer than the transmitter's FIFO: once that is empty its cost is known. */
static void tell(uint32_t reason, uint32_t count)
{
	char line[] = "exit rr:nnnnn\r\n";

	count_out8(COM1 + 2U, FCR_ENABLE);
	do {
		ios++;
	} while ((in8(COM1 + 5U) & LSR_THRE) == 0U);
	if (reason == EXIT_IO)
		count = ios + (uint32_t)sizeof(line) - 1U + 1U;
	line[5] = (char)('0' + reason / 10U);
	line[6] = (char)('0' + reason % 10U);
	for (uint32_t i = 12U; i >= 8U; i--, count /= 10U)
		line[i] = (char)('0' + count % 10U);
	for (const char *c = line; *c != '\0'; c++)
		count_out8(COM1, (uint8_t)*c);
}

/* A User VM may not: the exit ends in an invalid opcode. */
static void vmcall(void)
{
	__asm__ volatile("8: vmcall\n"
			 "9:\n"
			 ".pushsection .fixups, \"a\"\n"
			 ".quad 8b, 9b\n"
			 ".popsection"
			 :
			 :
			 : "memory");
}

void guest_main(const void *boot_params)
{
	uint32_t regs[4];
	uint64_t value;

	(void)boot_params;
	idt_init();
	for (uint32_t i = 0U; i < CPUIDS; i++)
		cpuid(0U, 0U, regs);
	for (uint32_t i = 0U; i < INVDS; i++)
		__asm__ volatile("invd" : : : "memory");
	for (uint32_t i = 0U; i < VMCALLS; i++)
		vmcall();
	for (uint32_t i = 0U; i < RDMSRS; i++)
		(void)rdmsr_safe(NO_MSR, &value);
	for (uint32_t i = 0U; i < MASKS; i++)
		count_out8(PIC_MASK, 0xffU);
	tell(EXIT_CPUID, CPUIDS);
	tell(EXIT_INVD, INVDS);
	tell(EXIT_VMCALL, VMCALLS);
	tell(EXIT_RDMSR, RDMSRS + START_RDMSRS);
	tell(EXIT_IO, 0U);
	out16(PM1_CONTROL, S5);
	for (;;) /* until the VM is gone: no exit more of those */
		__asm__ volatile("hlt");
}
