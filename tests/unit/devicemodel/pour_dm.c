// SPDX-License-Identifier: BSD-3-Clause
/* See pour_dm.h. On the thread that would be the I/O request loop. */
#include <stdlib.h>
#include <unistd.h>

#include "gmem.h"
#include "io_space.h"
#include "pci.h"
#include "pour_dm.h"
#include "power.h"

struct vm *pour_vm;

uint32_t pour_in(uint16_t port, uint32_t size)
{
	return (uint32_t)io_space_read(pour_vm->pio, port, size);
}

void pour_out(uint16_t port, uint32_t size, uint32_t value)
{
	io_space_write(pour_vm->pio, port, size, value);
	if (power_pending(pour_vm) != POWER_NONE)
		pour_stay_on();
}

uint64_t pour_load(uint64_t gpa, uint32_t size)
{
	return io_space_read(pour_vm->mmio, gpa, size);
}

void pour_store(uint64_t gpa, uint32_t size, uint64_t value)
{
	io_space_write(pour_vm->mmio, gpa, size, value);
}

uint32_t pour_cfg_read(uint32_t slot, uint32_t reg, uint32_t size)
{
	return pci_bus_read(pour_vm, 0, slot, 0, reg, size);
}

void pour_cfg_write(uint32_t slot, uint32_t reg, uint32_t size, uint32_t value)
{
	pci_bus_write(pour_vm, 0, slot, 0, reg, size, value);
}

volatile void *pour_ram(uint64_t gpa)
{
	void *p = gmem_ptr(pour_vm, gpa, 8);

	if (p == NULL)
		abort();
	return p;
}

void pour_pause(void)
{
	usleep(20);
}

void pour_stay_on(void)
{
	power_destroy(pour_vm);
	if (power_create(pour_vm) < 0)
		abort();
}
