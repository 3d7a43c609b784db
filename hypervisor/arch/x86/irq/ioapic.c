// SPDX-License-Identifier: BSD-3-Clause
/*
 * The physical IOAPICs and the silencing of the 8259s. At boot every pin is masked: from then on a
 * pin fires only after ptirq passed it to a VM or the console took it. Any CPU; one lock, because
 * a register access is two (select, then window).
 */
#include "asm/apic.h"
#include "asm/insn.h"
#include "hv/irq.h"
#include "hv/mm.h"
#include "lib/errno.h"
#include "lib/kconfig.h"
#include "lib/spinlock.h"

#define PIC1_DATA 0x21U
#define PIC2_DATA 0xA1U

struct ioapic_info ioapics[CONFIG_MAX_IOAPIC_NUM];
uint16_t ioapic_count;
static spinlock_t lock;

static uint8_t *unit_base(const struct ioapic_info *io)
{
	return hpa_ptr(io->base);
}

static uint32_t reg_read(const struct ioapic_info *io, uint32_t reg)
{
	mmio_write32(unit_base(io) + IOAPIC_REGSEL, reg);
	return mmio_read32(unit_base(io) + IOAPIC_WINDOW);
}

static void reg_write(const struct ioapic_info *io, uint32_t reg, uint32_t v)
{
	mmio_write32(unit_base(io) + IOAPIC_REGSEL, reg);
	mmio_write32(unit_base(io) + IOAPIC_WINDOW, v);
}

static const struct ioapic_info *unit_of(uint32_t gsi)
{
	for (uint16_t i = 0U; i < ioapic_count; i++) {
		if (gsi >= ioapics[i].gsi_base && gsi - ioapics[i].gsi_base < ioapics[i].pins) {
			return &ioapics[i];
		}
	}
	return NULL;
}

void ioapic_init(void)
{
	if (ioapic_count == 0U) { /* no MADT: where every PC has its first one */
		ioapics[ioapic_count++] = (struct ioapic_info){.base = HPA(IOAPIC_DEFAULT_BASE)};
	}
	for (uint16_t i = 0U; i < ioapic_count; i++) {
		struct ioapic_info *io = &ioapics[i];

		hostmm_map_uc(io->base, PAGE_SIZE);
		io->pins = ((reg_read(io, IOAPIC_REG_VER) >> 16) & 0xFFU) + 1U;
		if (io->pins > 240U) {
			io->pins = 0U; /* nobody there: all-ones */
		}
		for (uint32_t pin = 0U; pin < io->pins; pin++) {
			reg_write(io, IOAPIC_REG_RTE0 + 2U * pin, (uint32_t)IOAPIC_RTE_MASKED);
		}
	}
	pio_write8(PIC1_DATA, 0xFFU);
	pio_write8(PIC2_DATA, 0xFFU);
}

/* The mask bit is in the low word: it goes up first and comes down last. */
int ioapic_write_rte(uint32_t gsi, uint64_t rte)
{
	const struct ioapic_info *io = unit_of(gsi);
	uint32_t reg;

	if (io == NULL) {
		return -EINVAL;
	}
	reg = IOAPIC_REG_RTE0 + 2U * (gsi - io->gsi_base);
	spin_lock(&lock);
	reg_write(io, reg, (uint32_t)IOAPIC_RTE_MASKED);
	reg_write(io, reg + 1U, (uint32_t)(rte >> 32));
	reg_write(io, reg, (uint32_t)rte);
	spin_unlock(&lock);
	return 0;
}

uint64_t ioapic_read_rte(uint32_t gsi)
{
	const struct ioapic_info *io = unit_of(gsi);
	uint64_t rte;
	uint32_t reg;

	if (io == NULL) {
		return IOAPIC_RTE_MASKED;
	}
	reg = IOAPIC_REG_RTE0 + 2U * (gsi - io->gsi_base);
	spin_lock(&lock);
	rte = reg_read(io, reg) | ((uint64_t)reg_read(io, reg + 1U) << 32);
	spin_unlock(&lock);
	return rte;
}

void ioapic_mask(uint32_t gsi)
{
	const struct ioapic_info *io = unit_of(gsi);
	uint32_t reg;

	if (io == NULL) {
		return;
	}
	reg = IOAPIC_REG_RTE0 + 2U * (gsi - io->gsi_base);
	spin_lock(&lock);
	reg_write(io, reg, reg_read(io, reg) | (uint32_t)IOAPIC_RTE_MASKED);
	spin_unlock(&lock);
}

uint32_t ioapic_gsi_count(void)
{
	uint32_t n = 0U;

	for (uint16_t i = 0U; i < ioapic_count; i++) {
		n = MAX(n, ioapics[i].gsi_base + ioapics[i].pins);
	}
	return n;
}
