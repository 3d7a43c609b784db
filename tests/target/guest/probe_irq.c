// SPDX-License-Identifier: BSD-3-Clause
/*
 * Which pin does an interrupt source drive? All pins of the IOAPIC are opened, each
 * with a vector of its own, then one source after the other is made to interrupt: the
 * vectors that arrive tell. The same again with the 8259 pair open in place of the
 * IOAPIC. Waits end by the LAPIC's deadline timer; the LAPIC is in xAPIC mode, as
 * loaders leave it.
 */
#include <stddef.h>

#include "guest.h"
#include "probe.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define LAPIC	       0xfee00000UL
#define IOAPIC	       0xfec00000UL
#define HPET	       0xfed00000UL
#define LAPIC_ID       0x20U
#define LAPIC_LINT0    0x350U
#define DEADLINE_MODE  (2U << 17)
#define MASKED	       0x10000U
#define EXTINT	       0x700U
#define RTE_LEVEL      0x8000U
#define RTE_REMOTE_IRR 0x4000U
#define RTE0	       0x10U

#define PIN_VECTOR   0x30U /* of pin 0; there are at most 64 */
#define PIC_VECTOR   0x70U /* of line 0 */
#define TIMER_VECTOR 0xe0U

/* TSC ticks, at the 20 MHz of the machine that runs this. */
#define LONG_ENOUGH 4000000UL  /* for a source that is told to interrupt */
#define PM_OVERFLOW 60000000UL /* bit 23 of 3.58 MHz changes every 2.3 s */

#define PIC_MASTER 0x20U
#define PIC_SLAVE  0xa0U
#define PIC_EOI	   0x20U

#define UART_IER      1U
#define UART_IIR      2U
#define UART_MCR      4U
#define UART_LSR      5U
#define IER_THRE      0x02U
#define MCR_OUT2      0x08U
#define LSR_IDLE      0x40U
#define RTC_A	      0x0aU
#define RTC_B	      0x0bU
#define RTC_C	      0x0cU
#define RTC_1KHZ      0x26U
#define RTC_PERIODIC  0x42U
#define RTC_SILENT    0x02U
#define I8042_CONFIG  0x03U /* both interrupts on */
#define FADT_PM1A_EVT 56U
#define FADT_PM_TMR   76U
#define PM_TIMER      0x0001U
#define HPET_ENABLE   1U
#define HPET_PIN      20U
#define IDE	      0x170U
#define IDE_CONTROL   0x376U
#define IDE_IDENTIFY  0xa1U /* of a CD drive */

/* What can be made to interrupt. */
struct source {
	const char *name;
	bool (*start)(uint16_t port); /* false: it is not there */
	void (*quiet)(uint16_t port); /* the request is taken back */
	uint16_t port;
	bool level;
};

static const struct source *volatile active;
static volatile bool timed_out;
static volatile uint64_t pins_seen, levels_seen; /* of the latter Remote IRR was set */
static volatile uint32_t lines_seen;
static uint32_t pin_count;
static uint16_t pm1_event;

static uint32_t ioapic_read(uint32_t reg)
{
	mmio_write32(IOAPIC, reg);
	return mmio_read32(IOAPIC + 0x10U);
}

static void ioapic_write(uint32_t reg, uint32_t value)
{
	mmio_write32(IOAPIC, reg);
	mmio_write32(IOAPIC + 0x10U, value);
}

static void rte_write(uint32_t pin, uint32_t high, uint32_t low)
{
	ioapic_write(RTE0 + 2U * pin, MASKED);
	ioapic_write(RTE0 + 2U * pin + 1U, high);
	ioapic_write(RTE0 + 2U * pin, low);
}

static uint64_t rte_read(uint32_t pin)
{
	return (uint64_t)ioapic_read(RTE0 + 2U * pin + 1U) << 32 | ioapic_read(RTE0 + 2U * pin);
}

/* A source goes quiet before the end of its interrupt: a level would interrupt again. */
static void on_interrupt(uint32_t vector)
{
	if (vector == TIMER_VECTOR) {
		timed_out = true;
	} else if (vector - PIN_VECTOR < pin_count) {
		pins_seen |= 1UL << (vector - PIN_VECTOR);
		if ((rte_read(vector - PIN_VECTOR) & RTE_REMOTE_IRR) != 0U)
			levels_seen |= 1UL << (vector - PIN_VECTOR);
		active->quiet(active->port);
	} else if (vector - PIC_VECTOR < 16U) {
		lines_seen |= 1U << (vector - PIC_VECTOR);
		active->quiet(active->port);
		if (vector - PIC_VECTOR >= 8U)
			out8(PIC_SLAVE, PIC_EOI);
		out8(PIC_MASTER, PIC_EOI);
		return;
	} else {
		print("irq stray vector: %02x\n", vector);
	}
	mmio_write32(LAPIC + APIC_EOI, 0U);
}

static void wait(uint64_t ticks)
{
	timed_out = false;
	mmio_write32(LAPIC + APIC_LVT_TIMER, DEADLINE_MODE | TIMER_VECTOR);
	__asm__ volatile("mfence" : : : "memory");
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + ticks);
	while (!timed_out)
		__asm__ volatile("sti; hlt; cli" : : : "memory");
}

static void nothing(uint16_t port)
{
	(void)port;
}

/* Mode 0: the output rises once, when the count ends. */
static bool pit_start(uint16_t port)
{
	out8(port + 3U, 0x30U);
	out8(port, 0U);
	out8(port, 4U);
	return true;
}

static void rtc_write(uint8_t reg, uint8_t value)
{
	out8(0x70U, reg);
	out8(0x71U, value);
}

static void rtc_quiet(uint16_t port)
{
	(void)port;
	rtc_write(RTC_B, RTC_SILENT);
	out8(0x70U, RTC_C);
	(void)in8(0x71U);
}

static bool rtc_start(uint16_t port)
{
	rtc_quiet(port);
	rtc_write(RTC_A, RTC_1KHZ);
	rtc_write(RTC_B, RTC_PERIODIC);
	return true;
}

static void i8042_wait(void)
{
	while ((in8(0x64U) & 2U) != 0U)
		;
}

/* `command` makes the controller present the next byte as the keyboard's or the mouse's. */
static bool i8042_start(uint16_t command)
{
	if (in8(0x64U) == 0xffU)
		return false;
	while ((in8(0x64U) & 1U) != 0U)
		(void)in8(0x60U);
	out8(0x64U, 0x60U);
	i8042_wait();
	out8(0x60U, I8042_CONFIG);
	i8042_wait();
	out8(0x64U, (uint8_t)command);
	i8042_wait();
	out8(0x60U, 0x1cU);
	return true;
}

static void i8042_quiet(uint16_t command)
{
	(void)command;
	(void)in8(0x60U);
}

static bool uart_start(uint16_t port)
{
	if (in8(port + UART_LSR) == 0xffU)
		return false;
	while ((in8(port + UART_LSR) & LSR_IDLE) == 0U)
		;
	out8(port + UART_MCR, MCR_OUT2);
	out8(port + UART_IER, IER_THRE);
	return true;
}

static void uart_quiet(uint16_t port)
{
	(void)in8(port + UART_IIR);
	out8(port + UART_IER, 0U);
}

static void sci_quiet(uint16_t port)
{
	(void)port;
	out16(pm1_event + 2U, 0U);
}

/*
 * The only event that needs no hand on a button: the PM timer, where there is one. Bochs notices
 * its overflow when the status register is read, and tells by the next read.
 */
static bool sci_start(uint16_t port)
{
	(void)port;
	if (pm1_event == 0U)
		return false;
	if ((in16(pm1_event) & PM_TIMER) == 0U)
		wait(PM_OVERFLOW);
	(void)in16(pm1_event);
	out16(pm1_event + 2U, PM_TIMER);
	return true;
}

static bool ide_start(uint16_t port)
{
	if (in8(port + 7U) == 0xffU)
		return false;
	out8(IDE_CONTROL, 0U);
	out8(port + 6U, 0xa0U);
	out8(port + 7U, IDE_IDENTIFY);
	return true;
}

static void ide_quiet(uint16_t port)
{
	(void)in8(port + 7U);
}

static bool hpet_start(uint16_t port)
{
	(void)port;
	if (mmio_read32(HPET) == UINT32_MAX)
		return false;
	mmio_write32(HPET + 0x100U, HPET_PIN << 9 | 4U);
	mmio_write32(HPET + 0x108U, mmio_read32(HPET + 0xf0U) + 0x10000U);
	mmio_write32(HPET + 0x10cU, 0U);
	mmio_write32(HPET + 0x10U, HPET_ENABLE);
	return true;
}

static void hpet_quiet(uint16_t port)
{
	(void)port;
	mmio_write32(HPET + 0x100U, 0U);
	mmio_write32(HPET + 0x10U, 0U);
}

static const struct source sources[] = {
	{"pit", pit_start, nothing, 0x40U, false},
	{"rtc", rtc_start, rtc_quiet, 0x70U, false},
	{"keyboard", i8042_start, i8042_quiet, 0xd2U, false},
	{"mouse", i8042_start, i8042_quiet, 0xd3U, false},
	{"com1", uart_start, uart_quiet, 0x3f8U, false},
	{"com2", uart_start, uart_quiet, 0x2f8U, false},
	{"com3", uart_start, uart_quiet, 0x3e8U, false},
	{"com4", uart_start, uart_quiet, 0x2e8U, false},
	{"ide1", ide_start, ide_quiet, IDE, false},
	{"hpet", hpet_start, hpet_quiet, 0U, false},
	{"sci", sci_start, sci_quiet, 0U, true},
};

static void open_pins(bool level)
{
	uint32_t id = mmio_read32(LAPIC + LAPIC_ID);

	for (uint32_t pin = 0U; pin < pin_count; pin++)
		rte_write(pin, id, (PIN_VECTOR + pin) | (level ? RTE_LEVEL : 0U));
}

static void mask_pins(void)
{
	for (uint32_t pin = 0U; pin < pin_count; pin++)
		rte_write(pin, 0U, MASKED);
}

static void pic_init(uint16_t port, uint8_t base, uint8_t cascade)
{
	out8(port, 0x11U);
	out8(port + 1U, base);
	out8(port + 1U, cascade);
	out8(port + 1U, 1U);
	out8(port + 1U, 0xffU);
}

static void pic_mask(uint8_t mask)
{
	out8(PIC_MASTER + 1U, mask);
	out8(PIC_SLAVE + 1U, mask);
}

static void print_seen(const char *what, uint64_t seen, uint64_t levels)
{
	for (uint32_t i = 0U; i < 64U; i++) {
		if ((seen >> i & 1U) != 0U)
			print(" %s %02u%s", what, i, (levels >> i & 1U) != 0U ? " level" : "");
	}
	print("%s\n", seen == 0U ? " none" : "");
}

static bool provoke(const struct source *s)
{
	active = s;
	pins_seen = 0U;
	lines_seen = 0U;
	levels_seen = 0U;
	if (!s->start(s->port))
		return false;
	wait(LONG_ENOUGH);
	s->quiet(s->port);
	return true;
}

static void probe_source(const struct source *s)
{
	open_pins(s->level);
	if (!provoke(s)) {
		mask_pins();
		print("irq %s ioapic: absent\nirq %s pic: absent\n", s->name, s->name);
		return;
	}
	mask_pins();
	print("irq %s ioapic:", s->name);
	print_seen("pin", pins_seen, levels_seen);

	pic_init(PIC_MASTER, PIC_VECTOR, 4U);
	pic_init(PIC_SLAVE, PIC_VECTOR + 8U, 2U);
	mmio_write32(LAPIC + LAPIC_LINT0, EXTINT);
	pic_mask(0U);
	(void)provoke(s);
	pic_mask(0xffU);
	mmio_write32(LAPIC + LAPIC_LINT0, MASKED);
	print("irq %s pic:", s->name);
	print_seen("line", lines_seen, 0U);
}

/* All ones and all zeros but the mask, and what reads back. */
static void probe_redirection_entries(void)
{
	uint64_t ones, zeros;

	for (uint32_t pin = 0U; pin < pin_count; pin++) {
		rte_write(pin, UINT32_MAX, UINT32_MAX);
		ones = rte_read(pin);
		rte_write(pin, 0U, MASKED);
		zeros = rte_read(pin);
		print("rte %02u: ones %016lx zeros %016lx\n", pin, ones, zeros);
	}
}

void probe_interrupts(const uint8_t *fadt)
{
	uint32_t regs[4];

	cpuid(1U, 0U, regs);
	if ((regs[2] & (1U << 24)) == 0U) {
		print("irq: no deadline timer\n");
		return;
	}
	if (fadt != NULL && mmio_read32((uint64_t)fadt + FADT_PM_TMR) != 0U)
		pm1_event = (uint16_t)mmio_read32((uint64_t)fadt + FADT_PM1A_EVT);
	pin_count = (ioapic_read(1U) >> 16 & 0xffU) + 1U;
	if (pin_count > 64U)
		pin_count = 64U;
	probe_redirection_entries();

	pic_mask(0xffU);
	mmio_write32(LAPIC + LAPIC_LINT0, MASKED);
	mmio_write32(LAPIC + APIC_SVR, 0x1ffU);
	out8(0x43U, 0x30U); /* firmware leaves the PIT running */
	idt_set_handler(on_interrupt);
	for (size_t i = 0U; i < ARRAY_SIZE(sources); i++)
		probe_source(&sources[i]);
}
