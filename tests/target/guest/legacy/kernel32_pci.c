// SPDX-License-Identifier: BSD-3-Clause
/*
 * A network adapter (82540EM) as a driver of a PC finds it, if the machine has one: by the ports of
 * configuration space, its size by all ones, its registers in memory, its interrupt by the PIC. It
 * sends nothing: the interrupt is one that the driver asks the adapter for. Interrupts are off when
 * it begins and when it ends.
 */
#include "kernel32.h"

#define CFG_ADDR     0xCF8U
#define CFG_DATA     0xCFCU
#define CFG_ENABLE   0x80000000U
#define ADAPTER	     0x100E8086U
#define REG_COMMAND  0x04U
#define REG_HEADER   0x0CU
#define REG_BAR0     0x10U
#define REG_BAR1     0x14U
#define REG_ROM	     0x30U
#define REG_LINE     0x3CU
#define COMMAND_ALL  0x07U /* ports, memory, bus master */
#define BAR_SIZE     0x20000U
#define NIC_ICR	     0xC0U
#define NIC_ICS	     0xC8U
#define NIC_IMS	     0xD0U
#define NIC_IMC	     0xD8U
#define NIC_EERD     0x14U
#define EERD_START   0x01U
#define EERD_DONE    0x10U
#define NIC_RAL	     0x5400U
#define CAUSE	     0x04U
#define FIRST_VECTOR 0x20U
#define ELCR2	     0x4D1U
#define TIMES	     3U
#define PATIENCE     10000000U /* of the TSC */

static uint32_t bar, line;
static volatile uint32_t count;
static volatile bool other;

static uint32_t get(uint32_t device, uint32_t reg)
{
	out32(CFG_ADDR, CFG_ENABLE | device << 11 | reg);
	return in32(CFG_DATA);
}

static void set(uint32_t device, uint32_t reg, uint32_t value)
{
	out32(CFG_ADDR, CFG_ENABLE | device << 11 | reg);
	out32(CFG_DATA, value);
}

static volatile uint32_t *nic(uint32_t reg)
{
	return (volatile uint32_t *)(bar + reg);
}

/* A word of what the adapter keeps without power: its address is in the first three. */
static uint32_t eeprom(uint32_t word)
{
	uint32_t start = tsc(), value = 0U;

	*nic(NIC_EERD) = word << 8 | EERD_START;
	while ((value & EERD_DONE) == 0U && tsc() - start < PATIENCE)
		value = *nic(NIC_EERD);
	return value >> 16;
}

/* Its cause goes away when it is read, and with it the line. */
static struct frame *on_line(struct frame *frame)
{
	other = other || frame->vector != FIRST_VECTOR + line;
	if ((*nic(NIC_ICR) & CAUSE) != 0U)
		count++;
	out8(PIC2, PIC_EOI);
	out8(PIC1, PIC_EOI);
	return frame;
}

static void let_in(uint32_t until)
{
	uint32_t start = tsc();

	while (count < until && tsc() - start < PATIENCE)
		__asm__ volatile("sti\n\tnop\n\tcli");
}

static void check_line(void)
{
	bool each = true;

	on_interrupt = on_line;
	pic_init(FIRST_VECTOR, FIRST_VECTOR + 8U);
	out8(ELCR2, (uint8_t)(in8(ELCR2) | 1U << (line - 8U)));
	out8(PIC2 + 1U, (uint8_t) ~(1U << (line - 8U)));
	out8(PIC1 + 1U, 0xFBU);
	*nic(NIC_IMC) = UINT32_MAX;
	(void)*nic(NIC_ICR);
	*nic(NIC_IMS) = CAUSE;
	for (uint32_t i = 1U; i <= TIMES; i++) {
		*nic(NIC_ICS) = CAUSE;
		let_in(i);
		each = each && count == i;
	}
	check("PCI line", each && !other);
	*nic(NIC_IMC) = CAUSE;
	*nic(NIC_ICS) = CAUSE;
	let_in(TIMES + 1U);
	check("PCI line masked in the device", count == TIMES);
	out8(PIC2 + 1U, 0xFFU);
	out8(PIC1 + 1U, 0xFFU);
	on_interrupt = NULL;
}

static void check_bars(uint32_t device)
{
	uint32_t ports = get(device, REG_BAR1), size;

	set(device, REG_BAR0, UINT32_MAX);
	size = ~(get(device, REG_BAR0) & ~0xFU) + 1U;
	set(device, REG_BAR0, bar);
	check("PCI BAR", size == BAR_SIZE && get(device, REG_BAR0) == bar && bar != 0U);
	set(device, REG_BAR1, UINT32_MAX);
	size = get(device, REG_BAR1) & ~3U;
	size &= ~size + 1U;
	set(device, REG_BAR1, ports);
	check("PCI ports", size >= 8U && (ports & 1U) != 0U);
	/* The same register by the ports: an address, and its data. */
	*nic(NIC_RAL) = 0xA5A5F00DU;
	out32((uint16_t)(ports & ~3U), NIC_RAL);
	check("PCI register by ports", in32((uint16_t)((ports & ~3U) + 4U)) == 0xA5A5F00DU);
}

void check_pci(void)
{
	uint32_t device = 0U;

	while (device < 32U && get(device, 0U) != ADAPTER)
		device++;
	if (device == 32U) {
		print("PCI adapter none\n");
		return;
	}
	bar = get(device, REG_BAR0) & ~0xFU;
	line = get(device, REG_LINE) & 0xFFU;
	set(device, REG_COMMAND, COMMAND_ALL);
	print("PCI adapter 00:%02x.0, registers at %08x, line %u, command %x\n", device, bar, line,
	      get(device, REG_COMMAND) & 0xFFFFU);
	print("PCI adapter's address %04x %04x %04x\n", eeprom(0U), eeprom(1U), eeprom(2U));
	check_bars(device);
	if (line >= 8U && line < 16U)
		check_line();
	/* For whoever has it after a reset: it must not go on with this. */
	*nic(NIC_IMS) = CAUSE;
}
