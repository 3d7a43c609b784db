// SPDX-License-Identifier: BSD-3-Clause
/*
 * The virtual IOAPICs of a VM (82093AA, with the EOI register of version 0x20): redirection
 * entries, pin levels, Remote IRR.  A User VM has one of 48 pins; the Service VM has those of the
 * machine.  Pins are driven from any CPU, registers by the guest's MMIO.  One lock per VM guards
 * the pins; messages and hooks go out after it is dropped.  Polarity bits are kept and read back,
 * but a virtual line is asserted or not whatever they say.
 */
#include "lib/errno.h"
#include "lib/kconfig.h"
#include "lib/string.h"
#include "asm/apic.h"
#include "hv/irq.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vintr.h"
#include "hv/vio.h"
#include "hv/vioapic.h"
#include "hv/vm.h"

#define VERSION	     0x20U
#define USER_PINS    48U
#define PIN_WORDS    7U
#define MAX_PINS     (PIN_WORDS * 64U)
#define MAX_UNITS    8U
#define RTE_WRITABLE 0xFF0000000001AFFFUL /* all but delivery status and Remote IRR */

/* One IOAPIC: its pins are [first, first + pins) of the VM's. */
struct unit_regs {
	uint64_t base; /* GPA */
	uint32_t id;
	uint32_t gsi_base;
	uint16_t first;
	uint16_t pins;
	volatile uint32_t select;
};

struct vioapic {
	spinlock_t lock;
	uint32_t units;
	uint32_t pins;
	const struct vioapic_hooks *hooks;
	struct vm *vm;
	bool eoi_unseen; /* it owns its LAPICs: a line that falls has been served */
	struct unit_regs unit[MAX_UNITS];
	uint64_t level[PIN_WORDS];	/* lines that are high */
	uint64_t remote_irr[PIN_WORDS]; /* pins whose level interrupt is not yet ended */
	uint64_t rte[MAX_PINS];
};

static bool bit_test(const uint64_t *map, uint32_t n)
{
	return (map[n / 64U] >> (n % 64U)) & 1U;
}

static void bit_assign(uint64_t *map, uint32_t n, bool on)
{
	map[n / 64U] = (map[n / 64U] & ~BIT(n % 64U)) | ((uint64_t)on << (n % 64U));
}

static int pin_of_gsi(const struct vioapic *io, uint32_t gsi)
{
	for (uint32_t i = 0; i < io->units; i++) {
		const struct unit_regs *u = &io->unit[i];

		if (gsi >= u->gsi_base && gsi - u->gsi_base < u->pins) {
			return (int)(u->first + gsi - u->gsi_base);
		}
	}
	return -EINVAL;
}

static uint32_t gsi_of_pin(const struct vioapic *io, uint32_t pin)
{
	const struct unit_regs *u = io->unit;

	while (pin - u->first >= u->pins) {
		u++;
	}
	return u->gsi_base + pin - u->first;
}

/* Remote IRR is kept apart, so that an EOI finds its pin without looking at each. */
static uint64_t rte_get(const struct vioapic *io, uint32_t pin)
{
	return io->rte[pin] | (bit_test(io->remote_irr, pin) ? IOAPIC_RTE_REMOTE_IRR : 0U);
}

static void send(struct vm *vm, uint64_t rte)
{
	struct vintr_msg msg = {
		.dest = (uint32_t)(rte >> IOAPIC_RTE_DEST_SHIFT),
		.logical = (rte & IOAPIC_RTE_LOGICAL) != 0U,
		.level = (rte & IOAPIC_RTE_LEVEL) != 0U,
		.mode = (uint8_t)((rte >> IOAPIC_RTE_DM_SHIFT) & 7U),
		.vector = IOAPIC_RTE_VECTOR(rte),
	};

	if (msg.dest == 0xFFU && !msg.logical) {
		msg.dest = VINTR_DEST_ALL;
	}
	vm->vintr->deliver(vm, &msg);
}

/*
 * A level pin that is high, unmasked and not in service at a LAPIC: mark it in service; the caller
 * sends. Lock held.
 */
static bool level_fires(struct vioapic *io, uint32_t pin)
{
	uint64_t rte = io->rte[pin];

	if ((rte & (IOAPIC_RTE_MASKED | IOAPIC_RTE_LEVEL)) != IOAPIC_RTE_LEVEL) {
		return false;
	}
	if (!bit_test(io->level, pin) || bit_test(io->remote_irr, pin)) {
		return false;
	}
	bit_assign(io->remote_irr, pin, true);
	return true;
}

/* The line takes its new level; true when the pin sends a message. Lock held. */
static bool line_changed(struct vioapic *io, uint32_t pin, bool high)
{
	bool rose = high && !bit_test(io->level, pin);

	bit_assign(io->level, pin, high);
	if (!high && io->eoi_unseen) {
		bit_assign(io->remote_irr, pin, false);
	}
	if ((io->rte[pin] & IOAPIC_RTE_LEVEL) != 0U) {
		return level_fires(io, pin);
	}
	return rose && (io->rte[pin] & IOAPIC_RTE_MASKED) == 0U;
}

int vioapic_set_gsi(struct vm *vm, uint32_t gsi, uint32_t op)
{
	struct vioapic *io = vm->vioapic;
	int pin = pin_of_gsi(io, gsi);
	uint64_t rte;
	bool fires;

	if (pin < 0 || op > GSI_FALLING_PULSE) {
		return -EINVAL;
	}
	spin_lock(&io->lock);
	if (op == GSI_FALLING_PULSE) {
		(void)line_changed(io, (uint32_t)pin, false);
	}
	fires = line_changed(io, (uint32_t)pin, op != GSI_SET_LOW);
	if (op == GSI_RISING_PULSE) {
		(void)line_changed(io, (uint32_t)pin, false);
	}
	rte = io->rte[pin];
	spin_unlock(&io->lock);
	if (fires) {
		send(vm, rte);
	}
	return 0;
}

/* Remote IRR of the pin has fallen; nobody holds the lock. */
static void service_ended(struct vm *vm, uint32_t pin)
{
	struct vioapic *io = vm->vioapic;
	uint64_t rte;
	bool fires;

	if (io->hooks && io->hooks->eoi) {
		io->hooks->eoi(vm, gsi_of_pin(io, pin));
	}
	spin_lock(&io->lock);
	fires = level_fires(io, pin);
	rte = io->rte[pin];
	spin_unlock(&io->lock);
	if (fires) {
		send(vm, rte);
	}
}

/* End the interrupts with this vector on pins [first, first + count). */
static void end_vector(struct vm *vm, uint8_t vector, uint32_t first, uint32_t count)
{
	struct vioapic *io = vm->vioapic;
	uint64_t ended[PIN_WORDS] = {0};

	spin_lock(&io->lock);
	for (uint32_t w = first / 64U; w * 64U < first + count; w++) {
		uint64_t busy = io->remote_irr[w];

		for (; busy != 0U; busy &= busy - 1U) {
			uint32_t pin = w * 64U + (uint32_t)__builtin_ctzll(busy);

			if (IOAPIC_RTE_VECTOR(io->rte[pin]) == vector && pin - first < count) {
				ended[w] |= BIT(pin % 64U);
			}
		}
		io->remote_irr[w] &= ~ended[w];
	}
	spin_unlock(&io->lock);
	for (uint32_t w = first / 64U; w * 64U < first + count; w++) {
		for (; ended[w] != 0U; ended[w] &= ended[w] - 1U) {
			service_ended(vm, w * 64U + (uint32_t)__builtin_ctzll(ended[w]));
		}
	}
}

void vioapic_eoi(struct vm *vm, uint8_t vector)
{
	end_vector(vm, vector, 0U, vm->vioapic->pins);
}

uint64_t vioapic_rte(struct vm *vm, uint32_t gsi)
{
	int pin = pin_of_gsi(vm->vioapic, gsi);

	return pin < 0 ? IOAPIC_RTE_MASKED : rte_get(vm->vioapic, (uint32_t)pin);
}

uint32_t vioapic_gsi_count(const struct vm *vm)
{
	const struct vioapic *io = vm->vioapic;
	const struct unit_regs *last = &io->unit[io->units - 1U];

	return last->gsi_base + last->pins;
}

void vioapic_set_hooks(struct vm *vm, const struct vioapic_hooks *hooks)
{
	vm->vioapic->hooks = hooks;
}

static void rte_write(struct vioapic *io, uint32_t pin, bool high_half, uint32_t val)
{
	uint64_t old, new;
	bool fires, ended;

	spin_lock(&io->lock);
	old = io->rte[pin];
	new = high_half ? (old & 0xFFFFFFFFUL) | ((uint64_t)val << 32)
			: (old & ~0xFFFFFFFFUL) | val;
	new &= RTE_WRITABLE;
	io->rte[pin] = new;
	/* An entry that becomes edge-triggered has no Remote IRR. */
	ended = (new &IOAPIC_RTE_LEVEL) == 0U && bit_test(io->remote_irr, pin);
	if (ended) {
		bit_assign(io->remote_irr, pin, false);
	}
	fires = level_fires(io, pin);
	spin_unlock(&io->lock);
	if (old != new && io->hooks && io->hooks->rte_changed) {
		io->hooks->rte_changed(io->vm, gsi_of_pin(io, pin), old, new);
	}
	if (ended) {
		service_ended(io->vm, pin);
	}
	if (fires) {
		send(io->vm, new);
	}
}

static void window_write(struct vioapic *io, struct unit_regs *u, uint32_t val)
{
	uint32_t reg = u->select;

	if (reg == IOAPIC_REG_ID) {
		u->id = val & 0x0F000000U;
	} else if (reg >= IOAPIC_REG_RTE0 && (reg - IOAPIC_REG_RTE0) / 2U < u->pins) {
		rte_write(io, u->first + (reg - IOAPIC_REG_RTE0) / 2U, (reg & 1U) != 0U, val);
	}
}

static uint32_t window_read(const struct vioapic *io, const struct unit_regs *u)
{
	uint32_t reg = u->select;

	if (reg == IOAPIC_REG_ID || reg == IOAPIC_REG_ARB) {
		return u->id;
	}
	if (reg == IOAPIC_REG_VER) {
		return VERSION | ((u->pins - 1U) << 16);
	}
	if (reg >= IOAPIC_REG_RTE0 && (reg - IOAPIC_REG_RTE0) / 2U < u->pins) {
		return (uint32_t)(rte_get(io, u->first + (reg - IOAPIC_REG_RTE0) / 2U) >>
				  ((reg & 1U) * 32U));
	}
	return 0U;
}

/* Registers take aligned accesses of 4 bytes, and the select register of 1: others are lost. */
static void vioapic_mmio(struct vcpu *vcpu, void *arg, struct io_access *access)
{
	struct unit_regs *u = arg;
	struct vioapic *io = vcpu->vm->vioapic;
	uint32_t offset = (uint32_t)(access->addr - u->base);

	if (!access->write) {
		access->value = 0U;
		if (offset == IOAPIC_REGSEL) {
			access->value = u->select;
		} else if (offset == IOAPIC_WINDOW) {
			access->value = window_read(io, u);
		}
		return;
	}
	if (offset == IOAPIC_REGSEL) {
		u->select = (uint32_t)access->value & 0xFFU;
	} else if (access->width != 4U) {
		return;
	} else if (offset == IOAPIC_WINDOW) {
		window_write(io, u, (uint32_t)access->value);
	} else if (offset == IOAPIC_EOIR) {
		end_vector(io->vm, (uint8_t)access->value, u->first, u->pins);
	}
}

static void add_unit(struct vioapic *io, uint64_t base, uint32_t id, uint32_t gsi_base,
		     uint32_t pins)
{
	struct unit_regs *u = &io->unit[io->units];

	if (io->units == MAX_UNITS || pins == 0U || pins > MAX_PINS - io->pins) {
		pr_warn("VM%u: no room for an IOAPIC of %u pins at %lx", io->vm->id, pins, base);
		return;
	}
	u->base = base;
	u->id = id << 24;
	u->gsi_base = gsi_base;
	u->first = (uint16_t)io->pins;
	u->pins = (uint16_t)pins;
	io->pins += pins;
	io->units++;
}

static void vioapic_vm_reset(struct vm *vm)
{
	struct vioapic *io = vm->vioapic;

	spin_lock(&io->lock);
	(void)memset(io->level, 0, sizeof(io->level));
	(void)memset(io->remote_irr, 0, sizeof(io->remote_irr));
	for (uint32_t pin = 0; pin < io->pins; pin++) {
		io->rte[pin] = IOAPIC_RTE_MASKED;
	}
	for (uint32_t i = 0; i < io->units; i++) {
		io->unit[i].select = 0U;
	}
	spin_unlock(&io->lock);
}

static int vioapic_vm_init(struct vm *vm)
{
	struct vioapic *io = vm->vioapic;
	int ret = 0;

	io->vm = vm;
	io->eoi_unseen = (vm->flags & GUEST_FLAG_LAPIC_PASSTHROUGH) != 0U;
	if (vm->load_order == SERVICE_VM) {
		for (uint32_t i = 0; i < ioapic_count; i++) {
			add_unit(io, ioapics[i].base.v, ioapics[i].id, ioapics[i].gsi_base,
				 ioapics[i].pins);
		}
	}
	if (io->units == 0U) {
		add_unit(io, IOAPIC_DEFAULT_BASE, 0U, 0U, USER_PINS);
	}
	vioapic_vm_reset(vm);
	for (uint32_t i = 0; i < io->units && ret == 0; i++) {
		ret = vio_add_mmio(vm, GPA(io->unit[i].base), PAGE_SIZE, vioapic_mmio,
				   &io->unit[i]);
	}
	return ret;
}

UNIT(vioapic) = {
	.name = "vioapic",
	.level = UNIT_INTR,
	.vm_state = VM_STATE("vIOAPICs", struct vioapic, vioapic),
	.vm_init = vioapic_vm_init,
	.vm_reset = vioapic_vm_reset,
};
