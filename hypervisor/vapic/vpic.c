// SPDX-License-Identifier: BSD-3-Clause
/*
 * The virtual pair of 8259 interrupt controllers at ports 0x20, 0xA0, edge/level registers at
 * 0x4D0: initialisation, masks, priorities and their rotation, special mask and special fully
 * nested modes, poll, automatic EOI (Intel 8259A data sheet).  Driven by lines from any CPU, by the
 * guest's ports, and by inject.c, which acknowledges.  One lock per VM; the vCPU that gets the
 * output is told after it is dropped.
 */
#include "lib/errno.h"
#include "lib/kconfig.h"
#include "lib/string.h"
#include "hv/mm.h"
#include "hv/vio.h"
#include "hv/vioapic.h"
#include "vapic.h"

#define ICW1_INIT     BIT32(4)
#define ICW1_LEVEL    BIT32(3) /* all pins level-triggered: the chip set has ELCR instead */
#define ICW1_SINGLE   BIT32(1)
#define ICW1_ICW4     BIT32(0)
#define ICW4_AEOI     BIT32(1)
#define ICW4_SFNM     BIT32(4)
#define OCW3	      BIT32(3)
#define OCW3_ESMM     BIT32(6)
#define OCW3_SMM      BIT32(5)
#define OCW3_POLL     BIT32(2)
#define OCW3_RR	      BIT32(1)
#define OCW3_RIS      BIT32(0)
#define OCW2_ROTATE   BIT32(7)
#define OCW2_SPECIFIC BIT32(6)
#define OCW2_EOI      BIT32(5)

#define CASCADE	 2U
#define SPURIOUS 7U
#define MASTER	 0U
#define SLAVE	 1U
/* Timer, keyboard, cascade; RTC and coprocessor: always edge. */
static const uint8_t elcr_fixed[2] = {0x07U, 0x21U};

/* Priority rank of a pin, 0 the highest. */
static uint32_t rank(const struct vpic_chip *c, uint32_t pin)
{
	return (pin - c->lowest - 1U) & 7U;
}

/* Pin of highest priority in a set of pins, or -1. */
static int highest(const struct vpic_chip *c, uint8_t set)
{
	uint32_t turned, by;

	if (set == 0U) {
		return -1;
	}
	by = (c->lowest + 1U) & 7U;
	turned = (((uint32_t)set >> by) | ((uint32_t)set << (8U - by))) & 0xFFU;
	return (int)(((uint32_t)__builtin_ctz(turned) + by) & 7U);
}

/* The pin whose interrupt the chip asks for now, or -1. */
static int chip_request(const struct vpic_chip *c, bool is_master)
{
	int req = highest(c, c->irr & (uint8_t)~c->imr);
	uint8_t serving = c->isr;
	int isr;

	if (req < 0) {
		return -1;
	}
	/* Special mask mode: what is masked does not hold back others, though it is in service. */
	if (c->special_mask) {
		serving &= (uint8_t)~c->imr;
	}
	/* Special fully nested: further requests of a slave in service pass. */
	if (is_master && c->special_nested && req == (int)CASCADE) {
		serving &= (uint8_t)~BIT32(CASCADE);
	}
	isr = highest(c, serving);
	if (isr >= 0 && rank(c, (uint32_t)isr) <= rank(c, (uint32_t)req)) {
		return -1;
	}
	return req;
}

/* An edge stays latched when its line falls again, so that a pulse is enough. */
static void set_line(struct vpic_chip *c, uint32_t pin, bool high)
{
	uint8_t bit = (uint8_t)BIT32(pin);

	if ((c->elcr & bit) != 0U) {
		c->irr = high ? c->irr | bit : c->irr & (uint8_t)~bit;
	} else if (high && (c->lines & bit) == 0U) {
		c->irr |= bit;
	}
	c->lines = high ? c->lines | bit : c->lines & (uint8_t)~bit;
}

/* Slave output to the master's pin 2, master output to the processor. Lock held. */
static void update(struct vpic *pic)
{
	struct vpic_chip *m = &pic->chip[MASTER];

	if (chip_request(&pic->chip[SLAVE], false) >= 0) {
		m->irr |= (uint8_t)BIT32(CASCADE);
	} else {
		m->irr &= (uint8_t)~BIT32(CASCADE);
	}
	pic->output = chip_request(m, true) >= 0;
}

/* Tell who may take the interrupt, and the pass-through code; nobody holds the lock. */
static void announce(struct vm *vm, bool was_high, uint16_t ended, uint16_t masks)
{
	struct vpic *pic = vm->vpic;

	for (; masks != 0U && pic->hooks; masks &= (uint16_t)(masks - 1U)) {
		pic->hooks->changed(vm, (uint32_t)__builtin_ctz(masks));
	}
	for (; ended != 0U && pic->hooks; ended &= (uint16_t)(ended - 1U)) {
		pic->hooks->eoi(vm, (uint32_t)__builtin_ctz(ended));
	}
	if (was_high || !pic->output) {
		return;
	}
	vcpu_request(vm->vcpus[0], REQ_EVENT);
	/* The output is wired to pin 0 of the IOAPIC too. */
	if (((vioapic_rte(vm, 0U) >> IOAPIC_RTE_DM_SHIFT) & 7U) == APIC_DM_EXTINT) {
		(void)vioapic_set_gsi(vm, 0U, GSI_RISING_PULSE);
	}
}

void vpic_line(struct vm *vm, uint32_t pin, bool high)
{
	struct vpic *pic = vm->vpic;
	bool was_high;

	if (!pic || pin >= 16U || pin == CASCADE) {
		return;
	}
	spin_lock(&pic->lock);
	was_high = pic->output;
	set_line(&pic->chip[pin / 8U], pin % 8U, high);
	update(pic);
	spin_unlock(&pic->lock);
	announce(vm, was_high, 0U, 0U);
}

/* The processor, or a poll, takes a request: in service unless that ends at once. */
static void take(struct vpic_chip *c, uint32_t pin)
{
	uint8_t bit = (uint8_t)BIT32(pin);

	if ((c->elcr & bit) == 0U) {
		c->irr &= (uint8_t)~bit;
	}
	if (!c->auto_eoi) {
		c->isr |= bit;
	} else if (c->rotate_aeoi) {
		c->lowest = (uint8_t)pin;
	}
}

/* With nothing there any more the answer is pin 7, which is not in service then. */
uint8_t vpic_ack(struct vm *vm)
{
	struct vpic *pic = vm->vpic;
	struct vpic_chip *c = &pic->chip[MASTER];
	uint16_t ended = 0U;
	uint8_t vector;
	int pin;

	spin_lock(&pic->lock);
	pin = chip_request(c, true);
	if (pin >= 0) {
		take(c, (uint32_t)pin);
	}
	if (pin == (int)CASCADE) {
		c = &pic->chip[SLAVE];
		pin = chip_request(c, false);
		if (pin >= 0) {
			take(c, (uint32_t)pin);
		}
	}
	vector = (uint8_t)(c->base + (pin < 0 ? SPURIOUS : (uint32_t)pin));
	if (pin >= 0 && c->auto_eoi) {
		ended = (uint16_t)(BIT32((uint32_t)pin) << (c == &pic->chip[SLAVE] ? 8U : 0U));
	}
	update(pic);
	spin_unlock(&pic->lock);
	announce(vm, true, ended, 0U); /* the caller looks at the output again */
	return vector;
}

/* OCW2: ends of interrupt and rotation. Return the pins whose interrupt ended. */
static uint8_t write_ocw2(struct vpic_chip *c, uint8_t val)
{
	int pin = val & 7;
	uint8_t serving = c->isr;

	if ((val & OCW2_EOI) == 0U) {
		if ((val & (OCW2_ROTATE | OCW2_SPECIFIC)) == (OCW2_ROTATE | OCW2_SPECIFIC)) {
			c->lowest = (uint8_t)pin;
		} else if ((val & OCW2_SPECIFIC) == 0U) {
			c->rotate_aeoi = (val & OCW2_ROTATE) != 0U;
		}
		return 0U;
	}
	if ((val & OCW2_SPECIFIC) == 0U) {
		if (c->special_mask) {
			serving &= (uint8_t)~c->imr;
		}
		pin = highest(c, serving);
		if (pin < 0) {
			return 0U;
		}
	}
	if ((val & OCW2_ROTATE) != 0U) {
		c->lowest = (uint8_t)pin;
	}
	serving = c->isr & (uint8_t)BIT32((uint32_t)pin);
	c->isr &= (uint8_t)~serving;
	return serving;
}

static void write_ocw3(struct vpic_chip *c, uint8_t val)
{
	if ((val & OCW3_ESMM) != 0U) {
		c->special_mask = (val & OCW3_SMM) != 0U;
	}
	if ((val & OCW3_RR) != 0U) {
		c->read_isr = (val & OCW3_RIS) != 0U;
	}
	c->poll = (val & OCW3_POLL) != 0U;
}

static void write_icw1(struct vpic_chip *c, uint8_t val)
{
	c->icw_step = 2U;
	c->icw4 = (val & ICW1_ICW4) != 0U;
	c->single = (val & ICW1_SINGLE) != 0U;
	c->imr = 0U;
	c->isr = 0U;
	c->irr &= c->elcr; /* edges are forgotten, levels are still there */
	c->lowest = 7U;
	c->special_mask = false;
	c->special_nested = false;
	c->auto_eoi = false;
	c->rotate_aeoi = false;
	c->read_isr = false;
	c->poll = false;
}

/* Odd port: the ICWs that are due, else the mask. */
static void write_odd(struct vpic_chip *c, uint8_t val)
{
	switch (c->icw_step) {
	case 2U:
		c->base = val & 0xF8U;
		c->icw_step = c->single ? (c->icw4 ? 4U : 0U) : 3U;
		break;
	case 3U: /* who is where in the cascade: the board decides that */
		c->icw_step = c->icw4 ? 4U : 0U;
		break;
	case 4U:
		c->auto_eoi = (val & ICW4_AEOI) != 0U;
		c->special_nested = (val & ICW4_SFNM) != 0U;
		c->icw_step = 0U;
		break;
	default:
		c->imr = val;
		break;
	}
}

/* Poll: the read itself acknowledges. Return the value; *ended as for write_ocw2(). */
static uint8_t read_poll(struct vpic_chip *c, bool is_master, uint8_t *ended)
{
	int pin = chip_request(c, is_master);

	c->poll = false;
	if (pin < 0) { /* or another vCPU's poll was first */
		return 0U;
	}
	take(c, (uint32_t)pin);
	if (c->auto_eoi) {
		*ended = (uint8_t)BIT32((uint32_t)pin);
	}
	return (uint8_t)(0x80U | (uint32_t)pin);
}

static void vpic_port(struct vcpu *vcpu, void *arg, struct io_access *io)
{
	struct vm *vm = vcpu->vm;
	struct vpic *pic = vm->vpic;
	uint32_t n = (io->addr & 0x80U) != 0U ? SLAVE : MASTER;
	struct vpic_chip *c = &pic->chip[n];
	bool odd = (io->addr & 1U) != 0U, was_high;
	uint8_t val = (uint8_t)io->value, ended = 0U, imr;

	(void)arg;
	if (!io->write && !c->poll) { /* changes nothing: a byte as it is at this moment */
		io->value = odd ? c->imr : c->read_isr ? c->isr : c->irr;
		return;
	}
	spin_lock(&pic->lock);
	was_high = pic->output;
	imr = c->imr;
	if (!io->write) {
		io->value = read_poll(c, n == MASTER, &ended);
	} else if (odd) {
		write_odd(c, val);
	} else if ((val & ICW1_INIT) != 0U) {
		write_icw1(c, val);
	} else if ((val & OCW3) != 0U) {
		write_ocw3(c, val);
	} else {
		ended = write_ocw2(c, val);
	}
	imr ^= c->imr;
	update(pic);
	spin_unlock(&pic->lock);
	announce(vm, was_high, (uint16_t)((uint32_t)ended << (n * 8U)),
		 (uint16_t)((uint32_t)imr << (n * 8U)));
}

static void vpic_elcr(struct vcpu *vcpu, void *arg, struct io_access *io)
{
	struct vm *vm = vcpu->vm;
	struct vpic *pic = vm->vpic;
	uint32_t n = (uint32_t)io->addr & 1U;
	struct vpic_chip *c = &pic->chip[n];
	uint8_t elcr = c->elcr;
	bool was_high;

	(void)arg;
	if (!io->write) {
		io->value = elcr;
		return;
	}
	spin_lock(&pic->lock);
	was_high = pic->output;
	c->elcr = (uint8_t)io->value & (uint8_t)~elcr_fixed[n];
	elcr ^= c->elcr;
	c->irr = (uint8_t)((c->irr & ~elcr) | (c->lines & c->elcr));
	update(pic);
	spin_unlock(&pic->lock);
	announce(vm, was_high, 0U, (uint16_t)((uint32_t)elcr << (n * 8U)));
}

uint16_t vpic_unmasked(const struct vm *vm)
{
	const struct vpic *pic = vm->vpic;

	return (uint16_t) ~(pic->chip[MASTER].imr | ((uint32_t)pic->chip[SLAVE].imr << 8));
}

bool vpic_is_level(const struct vm *vm, uint32_t pin)
{
	return (vm->vpic->chip[pin / 8U].elcr & BIT32(pin % 8U)) != 0U;
}

/* As firmware leaves them: initialised, every pin masked but the cascade. */
void vpic_reset(struct vm *vm)
{
	struct vpic *pic = vm->vpic;

	spin_lock(&pic->lock);
	(void)memset(pic->chip, 0, sizeof(pic->chip));
	pic->chip[MASTER].base = 0x08U;
	pic->chip[SLAVE].base = 0x70U;
	pic->chip[MASTER].imr = (uint8_t)~BIT32(CASCADE);
	pic->chip[SLAVE].imr = 0xFFU;
	pic->chip[MASTER].lowest = 7U;
	pic->chip[SLAVE].lowest = 7U;
	pic->output = false;
	spin_unlock(&pic->lock);
}

int vpic_create(struct vm *vm)
{
	static const uint16_t ports[] = {0x20U, 0xA0U};
	int ret = 0;

	vpic_reset(vm);
	for (uint32_t i = 0; i < ARRAY_SIZE(ports) && ret == 0; i++) {
		ret = vio_add_pio(vm, ports[i], 2U, vpic_port, NULL);
	}
	return ret != 0 ? ret : vio_add_pio(vm, 0x4D0U, 2U, vpic_elcr, NULL);
}
