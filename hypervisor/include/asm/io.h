/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ASM_IO_H
#define ASM_IO_H

/*
 * Ports and registers of devices by a width that is known only when it is done: 1 or 2 bytes, else 4.
 */
#include "asm/insn.h"

static inline uint32_t pio_read(uint16_t port, uint8_t width)
{
	if (width == 1U) {
		return pio_read8(port);
	}
	return width == 2U ? pio_read16(port) : pio_read32(port);
}

static inline void pio_write(uint16_t port, uint8_t width, uint32_t val)
{
	if (width == 1U) {
		pio_write8(port, (uint8_t)val);
	} else if (width == 2U) {
		pio_write16(port, (uint16_t)val);
	} else {
		pio_write32(port, val);
	}
}

static inline uint32_t mmio_read(const volatile void *p, uint8_t width)
{
	if (width == 1U) {
		return mmio_read8(p);
	}
	return width == 2U ? mmio_read16(p) : mmio_read32(p);
}

static inline void mmio_write(volatile void *p, uint8_t width, uint32_t val)
{
	if (width == 1U) {
		mmio_write8(p, (uint8_t)val);
	} else if (width == 2U) {
		mmio_write16(p, (uint16_t)val);
	} else {
		mmio_write32(p, val);
	}
}

#endif
