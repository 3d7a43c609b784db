// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: devicemodel/pci/pci_bar.c devicemodel/pci/pci_bus.c devicemodel/pci/pci_cfg.c
// fuzzes: devicemodel/pci/pci_intx.c devicemodel/pci/pci_msi.c devicemodel/pci/pci_msix.c
// links: @machine
/*
 * Configuration writes, MSI-X tables and BARs of two functions that have one of each: do ranges
 * stay apart and off RAM, is every message an interrupt, and does a reset undo it all? Input: a
 * sequence of accesses, and of interrupts that the functions raise.
 */
#include <assert.h>
#include <stdlib.h>

#include "dm_machine.h"
#include "fake_hsm.h"
#include "fuzz.h"
#include "io_space.h"
#include "log.h"
#include "pci.h"

#define FUNCTIONS 2U
#define VECTORS	  70U

static struct pci_device *devs[FUNCTIONS];

static uint64_t everything_read(struct pci_device *dev, unsigned int bar, uint64_t offset,
				unsigned int size)
{
	assert(offset + size <= dev->bar[bar].size);
	return offset;
}

static void everything_write(struct pci_device *dev, unsigned int bar, uint64_t offset,
			     unsigned int size, uint64_t value)
{
	(void)value;
	assert(offset + size <= dev->bar[bar].size);
}

static int everything_init(struct pci_device *dev, const char *config)
{
	(void)config;
	devs[dev->func] = dev;
	pci_cfg_set_ids(dev, 0x1234, 0x5678, 0x020000, 3);
	pci_intx_add(dev);
	if (pci_bar_add(dev, 0, PCI_BAR_MEM32, 5000, false) < 0 ||
	    pci_bar_add(dev, 1, PCI_BAR_IO, 20, false) < 0 ||
	    pci_bar_add(dev, 2, PCI_BAR_MEM64, 0x4000, true) < 0 ||
	    pci_msix_add(dev, 2, 0x1000, VECTORS) < 0 || pci_msi_add(dev, 4) < 0)
		abort();
	return pci_cap_add_pcie(dev) < 0 ? -1 : 0;
}

static const struct pci_ops everything = {
	.name = "everything",
	.init = everything_init,
	.bar_read = everything_read,
	.bar_write = everything_write,
};
PCI_DEVICE(everything);

static bool apart(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a + a_size <= b || b + b_size <= a;
}

static void check_bars(void)
{
	for (unsigned int i = 0; i < FUNCTIONS * PCI_BARS; i++) {
		const struct pci_bar *x = &devs[i / PCI_BARS]->bar[i % PCI_BARS];
		bool io = x->type == PCI_BAR_IO;

		if (!x->mapped)
			continue;
		assert((x->mapped_at & (x->size - 1)) == 0);
		assert(pci_cfg_get16(x->dev, PCI_COMMAND) &
		       (io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY));
		assert(io || (x->mapped_at >= machine.cfg.mem_size &&
			      apart(x->mapped_at, x->size, VM_ECAM_BASE, VM_ECAM_SIZE)));
		for (unsigned int j = 0; j < i; j++) {
			const struct pci_bar *y = &devs[j / PCI_BARS]->bar[j % PCI_BARS];

			assert(!y->mapped || io != (y->type == PCI_BAR_IO) ||
			       apart(x->mapped_at, x->size, y->mapped_at, y->size));
		}
	}
}

static void check_messages(void)
{
	for (unsigned int i = 0; i < FAKE_HSM_MSIS && i < fake_hsm.msis; i++)
		assert(fake_hsm.msi[i].msi_addr >> 20 == 0xFEE);
	fake_hsm.msis = 0;
}

static void config(struct fuzz *in, struct pci_device *dev, unsigned int size, bool write)
{
	static const uint16_t often[] = {PCI_COMMAND, PCI_BASE_ADDRESS_0, PCI_BASE_ADDRESS_1,
					 PCI_BASE_ADDRESS_2, PCI_BASE_ADDRESS_3};
	uint8_t where = (uint8_t)fuzz_take(in, 1);
	unsigned int reg = where < 5   ? often[where]
			   : where < 8 ? dev->msix_cap + 2
			   : where < 9 ? dev->msi_cap + 2
				       : (unsigned int)fuzz_take(in, 2) & (PCI_CFG_SIZE - 1);

	if (write)
		pci_bus_write(&machine, 0, 3, dev->func, reg, size, (uint32_t)fuzz_take(in, size));
	else
		(void)pci_bus_read(&machine, 0, 3, dev->func, reg, size);
}

static void access(struct fuzz *in, struct pci_device *dev, unsigned int size, bool write)
{
	unsigned int i = (unsigned int)fuzz_take(in, 1) % PCI_BARS;
	const struct pci_bar *bar = &dev->bar[i];
	uint64_t addr = bar->mapped_at + (fuzz_take(in, 2) & 0x3FFF);
	struct io_space *space = bar->type == PCI_BAR_IO ? machine.pio : machine.mmio;

	if (write)
		io_space_write(space, addr, size, fuzz_take(in, size));
	else
		(void)io_space_read(space, addr, size);
}

/* The function itself, as another thread would. */
static void raise(struct fuzz *in, struct pci_device *dev)
{
	uint8_t what = (uint8_t)fuzz_take(in, 1);
	uint64_t addr;
	uint32_t data;

	if (what < 128)
		pci_msix_notify(dev, what);
	else if (what < 192)
		pci_msi_notify(dev, what & 63);
	else if (what < 250)
		pci_intx_set(dev, what & 1);
	else
		(void)pci_msix_message(dev, what, &addr, &data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t first[FUNCTIONS][PCI_CFG_SIZE];
	struct fuzz in = {data, size};

	if (devs[0] == NULL) {
		log_set_level(0);
		fake_hsm_reset();
		machine_create("-s 0,hostbridge -s 3:0,everything -s 3:1,everything");
		for (unsigned int i = 0; i < FUNCTIONS; i++)
			memcpy(first[i], devs[i]->cfg, PCI_CFG_SIZE);
	}
	while (in.left != 0) {
		uint8_t what = (uint8_t)fuzz_take(&in, 1);
		struct pci_device *dev = devs[what >> 7];
		unsigned int width = 1U << (what >> 2 & 3);
		bool write = (what & 0x40) != 0;

		if ((what & 3) == 0)
			config(&in, dev, width & 7 ? width : 4, write);
		else if ((what & 3) == 1)
			access(&in, dev, width, write);
		else
			raise(&in, dev);
		check_bars();
		check_messages();
	}
	pci_bus_reset(&machine);
	for (unsigned int i = 0; i < FUNCTIONS; i++)
		assert(memcmp(first[i], devs[i]->cfg, PCI_CFG_SIZE) == 0);
	for (unsigned int i = 0; i < FAKE_HSM_GSIS; i++)
		assert(!fake_hsm.line[i]);
	return 0;
}
