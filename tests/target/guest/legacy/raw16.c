// SPDX-License-Identifier: BSD-3-Clause
/*
 * A raw image of 16-bit code: segments, interrupts and string instructions of real mode, its BIOS
 * vectors its own, the PIC where a BIOS puts it. At its end it waits, halted, for a key on the UART;
 * says what time its clock shows, and ends by a hardware task switch. No stack data is addressed
 * beyond 64 KB, where all of it is.
 */
#include "legacy.h"

#define PIC_VECTOR 8U
#define CR0_PE	   1U
#define HIGH	   0x100000U

extern uint32_t first_cr0;
extern volatile uint32_t uart_count;
extern volatile uint8_t uart_byte;
extern const char uart_entry[], fault_entry[], call_entry[];
void raw_main(void);
uint32_t divide_by_zero(void);
uint32_t beyond_segment(void);
uint32_t software_interrupt(uint32_t ax);
void copy_words(uint32_t to, uint32_t from, uint32_t words);
uint32_t peek(uint32_t segment, uint32_t offset);
void poke(uint32_t segment, uint32_t offset, uint32_t value);
void string_out(const char *text, uint32_t bytes);
uint32_t big_peek(uint32_t address);
void task_switch(void);

static void set_vector(uint32_t vector, const char *entry)
{
	poke(0U, vector * 4U, (uint32_t)entry);
}

static uint32_t cr0(void)
{
	uint32_t value;

	__asm__ volatile("movl %%cr0, %0" : "=r"(value));
	return value;
}

/* Whatever another VM owns, here is none. */
static void check_pci(void)
{
	bool none = true;

	for (uint32_t device = 0U; device < 32U; device++) {
		out32(0xCF8U, 0x80000000U | device << 11);
		none = none && in32(0xCFCU) == UINT32_MAX;
	}
	check("no PCI device", none);
}

static void check_memory(void)
{
	poke(0x3000U, 0x1234U, 0xCAFEF00DU);
	check("segments overlap", peek(0x3123U, 4U) == 0xCAFEF00DU);
	for (uint32_t i = 0U; i < 0x10000U; i += 4U)
		poke(0x3000U, i, i * 2654435761U);
	copy_words(0x4000U, 0x3000U, 0x8000U);
	check("64 KB copied", peek(0x4000U, 0xFFFCU) == 0xFFFCU * 2654435761U &&
				      peek(0x4000U, 0U) == 0U && peek(0x4000U, 0x8000U) != 0U);
	poke(0xFFFFU, 0x20U, 0x12345678U);
	check("above 1 MB by segment FFFF", big_peek(HIGH + 0x10U) == 0x12345678U);
	check("fault beyond 64 KB", beyond_segment() == 1U);
}

/* Halted until a key comes: the line of the UART is the one that is not masked. */
static void wait_for_key(void)
{
	out8(PIC1 + 1U, (uint8_t) ~(1U << COM1_IRQ));
	while ((in8(UART_LSR) & LSR_READY) != 0U)
		(void)in8(COM1);
	out8(UART_MCR, MCR_OUT2);
	out8(UART_IER, IER_RX);
	while (uart_count == 0U)
		__asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
	out8(UART_IER, 0U);
}

void raw_main(void)
{
	struct rtc_time t;

	check("entered in protected mode", (first_cr0 & CR0_PE) != 0U);
	check("real mode", (cr0() & CR0_PE) == 0U);
	set_vector(0U, fault_entry);
	set_vector(13U, fault_entry);
	set_vector(0x42U, call_entry);
	set_vector(PIC_VECTOR + COM1_IRQ, uart_entry);
	check("software interrupt", software_interrupt(0x2345U) == 0x3456U);
	check("divide error", divide_by_zero() == 1U);
	check_memory();
	check_pci();
	print_flush();
	out8(COM1 + 2U, 1U);
	string_out("string I/O\r\n", 12U);
	pic_init(PIC_VECTOR, 0x70U);
	print("raw16: %u wrong, waits\n", wrong);
	wait_for_key();
	print("raw16: key %c\n", (char)uart_byte);
	check("one interrupt", uart_count == 1U);
	rtc_get(&t);
	print("raw16: year %u, %u wrong\n", t.year, wrong);
	print_flush();
	task_switch();
}
