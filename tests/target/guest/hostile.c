// SPDX-License-Identifier: BSD-3-Clause
/*
 * A guest that pours garbage at the devices of acrn-dm (pour.h), then uses them as a driver does,
 * again and again, and powers off. What it pours is the same each time. It spares what would end
 * it before its time: com1, where it reports, and the ways to switch off. Interrupts stay off.
 */
#include <stddef.h>

#include "guest.h"
#include "pour.h"

#define ROUNDS	     10U
#define ACTS	     250U
#define COM1	     0x3f8U
#define PM1_CONTROL  0x404U
#define RESET_PORT   0xcf9U
#define POST_PORT    0x80U
#define CONFIG_ADDR  0xcf8U
#define CONFIG_DATA  0xcfcU
#define ECAM	     0xe0000000UL
#define LEGACY_SPACE 256U

static uint64_t seed = 0x9e3779b97f4a7c15UL;

uint64_t pour_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed >> 11;
}

static uint32_t port_read(uint32_t port, uint32_t size)
{
	uint16_t at = (uint16_t)port;

	return size == 1U ? in8(at) : size == 2U ? in16(at) : in32(at);
}

static void port_write(uint32_t port, uint32_t size, uint32_t value)
{
	uint16_t at = (uint16_t)port;

	if (size == 1U)
		out8(at, (uint8_t)value);
	else if (size == 2U)
		out16(at, (uint16_t)value);
	else
		out32(at, value);
}

static bool meets(uint32_t port, uint32_t size, uint32_t from, uint32_t ports)
{
	return port < from + ports && from < port + size;
}

uint32_t pour_in(uint16_t port, uint32_t size)
{
	return meets(port, size, COM1, 8U) ? 0U : port_read(port, size);
}

void pour_out(uint16_t port, uint32_t size, uint32_t value)
{
	if (!meets(port, size, COM1, 8U) && !meets(port, size, PM1_CONTROL, 2U) &&
	    !meets(port, size, RESET_PORT, 1U))
		port_write(port, size, value);
}

uint64_t pour_load(uint64_t gpa, uint32_t size)
{
	switch (size) {
	case 1U:
		return *(volatile uint8_t *)gpa;
	case 2U:
		return *(volatile uint16_t *)gpa;
	case 4U:
		return *(volatile uint32_t *)gpa;
	default:
		return *(volatile uint64_t *)gpa;
	}
}

void pour_store(uint64_t gpa, uint32_t size, uint64_t value)
{
	switch (size) {
	case 1U:
		*(volatile uint8_t *)gpa = (uint8_t)value;
		break;
	case 2U:
		*(volatile uint16_t *)gpa = (uint16_t)value;
		break;
	case 4U:
		*(volatile uint32_t *)gpa = (uint32_t)value;
		break;
	default:
		*(volatile uint64_t *)gpa = value;
		break;
	}
}

static void aim_config(uint32_t slot, uint32_t reg)
{
	out32(CONFIG_ADDR, 0x80000000U | slot << 11 | (reg & 0xfcU));
}

uint32_t pour_cfg_read(uint32_t slot, uint32_t reg, uint32_t size)
{
	if (reg >= LEGACY_SPACE)
		return (uint32_t)pour_load(ECAM + (slot << 15) + reg, size);
	aim_config(slot, reg);
	return port_read(CONFIG_DATA + (reg & 3U), size);
}

void pour_cfg_write(uint32_t slot, uint32_t reg, uint32_t size, uint32_t value)
{
	if (reg >= LEGACY_SPACE) {
		pour_store(ECAM + (slot << 15) + reg, size, value);
		return;
	}
	aim_config(slot, reg);
	port_write(CONFIG_DATA + (reg & 3U), size, value);
}

volatile void *pour_ram(uint64_t gpa)
{
	return (volatile void *)gpa;
}

void pour_pause(void)
{
	(void)in8(POST_PORT);
}

static void judge(uint32_t round)
{
	const char *broken;

	pour_restore();
	broken = pour_broken();
	if (broken != NULL) {
		print("round %u: %s is broken\n", round, broken);
		stop();
	}
	print("round %u: all devices work\n", round);
}

void guest_main(const void *boot_params)
{
	(void)boot_params;
	idt_init();
	judge(0U);
	for (uint32_t round = 1U; round <= ROUNDS; round++) {
		for (uint32_t i = 0U; i < ACTS; i++)
			pour_act();
		judge(round);
	}
	print("hostile guest done\n");
}
