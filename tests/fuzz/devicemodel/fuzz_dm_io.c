// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: devicemodel/core/io_space.c devicemodel/core/pio.c devicemodel/core/mmio.c
// fuzzes: devicemodel/core/power.c devicemodel/pci/hostbridge.c
// fuzzes: devicemodel/pci/lpc.c devicemodel/pci/pci_bar.c devicemodel/pci/pci_bus.c
// fuzzes: devicemodel/pci/pci_cfg.c devicemodel/pci/pci_intx.c
// fuzzes: devicemodel/platform/debugexit.c devicemodel/platform/pit.c devicemodel/platform/pm.c
// fuzzes: devicemodel/platform/post.c
// fuzzes: devicemodel/pci/wdt_i6300esb.c
// fuzzes: devicemodel/platform/platform.c devicemodel/platform/rtc.c devicemodel/platform/uart.c
// links: @machine
/*
 * Can a guest harm the device model by ports, memory-mapped I/O and configuration space? An input
 * is a sequence of accesses; the devices are the real ones, over the fake HSM driver.
 */
#include <stdlib.h>
#include <string.h>

#include "fake_hsm.h"
#include "fuzz.h"
#include "io_space.h"
#include "iothread.h"
#include "log.h"
#include "pci.h"
#include "platform.h"
#include "power.h"
#include "vm.h"

/* One access, as the request page carries it. */
struct __attribute__((packed)) access {
	uint8_t type;  /* bits 0-1: port, memory, configuration; bit 2: write; 3-4: log2 of size */
	uint8_t place; /* which of the places below memory and ports are near to */
	uint16_t offset;
	uint64_t value;
};

static struct vm vm;

/* A guest finds these by looking; a fuzzer should not have to. */
static const uint64_t memory[] = {VM_ECAM_BASE,	  VM_ECAM_BASE + 0x8000,    VM_MMIO32_BASE,
				  VM_MMIO64_BASE, VM_MMIO64_LIMIT - 0x8000, UINT64_MAX - 0x7fff};
static const uint16_t ports[] = {0x40,	0x61,  0x70,  0x80,  0xb2,	0xf4,
				 0x2f8, 0x3f8, 0x400, 0xcf8, VM_IO_BASE};

static void setup(void)
{
	static const struct pci_slot slots[] = {
		{.slot = 0, .name = "hostbridge"},
		{.slot = 1, .name = "lpc"},
		{.slot = 2, .name = "hostbridge"},
		{.slot = 3, .name = "wdt-i6300esb"}, /* at VM_MMIO32_BASE */
	};
	struct iothread *events;

	fake_hsm_reset();
	log_set_level(LOG_LEVEL_ERROR);
	vm.cfg.name = "vm";
	vm.cfg.mem_size = 2 << 20;
	vm.cfg.debugexit = true;
	vm.cfg.com[0] = "pty";
	vm.cfg.com[1] = "pty";
	memcpy(vm.cfg.slots, slots, sizeof(slots));
	vm.cfg.slot_count = sizeof(slots) / sizeof(slots[0]);
	events = iothread_create("loop");
	if (!events || iothread_start(events))
		abort();
	vm.loop = iothread_loop(events);
	if (vm_create(&vm))
		abort();
}

static void play(const struct access *a)
{
	unsigned int size = 1U << (a->type >> 3 & 3);
	struct io_space *space = NULL;
	uint64_t addr = a->offset;

	switch (a->type & 3) {
	case 0:
		space = vm.pio;
		addr = (uint16_t)(ports[a->place % (sizeof(ports) / sizeof(ports[0]))] + addr % 16);
		size = size > 4 ? 4 : size;
		break;
	case 1:
		space = vm.mmio;
		addr += memory[a->place % (sizeof(memory) / sizeof(memory[0]))];
		break;
	default:
		size = size > 4 ? 4 : size;
		if (a->type & 4)
			pci_bus_write(&vm, 0, a->place % 4, 0, a->offset & 0xfff, size,
				      (uint32_t)a->value);
		else
			pci_bus_read(&vm, 0, a->place % 4, 0, a->offset & 0xfff, size);
		return;
	}
	if (a->type & 4)
		io_space_write(space, addr, size, a->value);
	else
		io_space_read(space, addr, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct access access;

	if (!vm.loop)
		setup();
	for (; size >= sizeof(access); data += sizeof(access), size -= sizeof(access)) {
		memcpy(&access, data, sizeof(access));
		play(&access);
	}
	pci_bus_reset(&vm);
	platform_reset(&vm);
	power_reset_done(&vm);
	return 0;
}
