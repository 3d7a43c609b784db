// SPDX-License-Identifier: BSD-3-Clause
/*
 * What firmware needs of the power management function of Intel's PIIX4 (its data sheet, chapter
 * 7): registers that say where its ports are, which cannot be moved, and there a timer of 24 bits
 * and 3.58 MHz. Sleeping and the power button are in platform/pm.c. I/O request thread.
 */
#include <errno.h>

#include "../platform/clock.h"
#include "firmware.h"
#include "pci.h"
#include "pio.h"

#define CLASS_BRIDGE_OTHER 0x068000U
#define REG_BASE	   0x40U
#define REG_MISC	   0x80U
#define MISC_PORTS_ON	   1U
#define TIMER_OFFSET	   8U
#define TIMER_HZ	   3579545ULL
#define TIMER_MASK	   0xffffffU

static uint64_t timer_read(void *arg, uint64_t offset, unsigned int size)
{
	uint64_t ns = clock_monotonic();
	uint64_t ticks = ns / CLOCK_NS_PER_SEC * TIMER_HZ +
			 ns % CLOCK_NS_PER_SEC * TIMER_HZ / CLOCK_NS_PER_SEC;

	(void)arg;
	(void)size;
	return (ticks & TIMER_MASK) >> (8 * offset);
}

static void timer_write(void *arg, uint64_t offset, unsigned int size, uint64_t value)
{
	(void)arg;
	(void)offset;
	(void)size;
	(void)value;
}

static const struct io_ops timer_ops = {.read = timer_read, .write = timer_write};

static int piix4pm_init(struct pci_device *dev, const char *config)
{
	if (pci_no_config(dev, config))
		return -EINVAL;
	pci_cfg_set_ids(dev, 0x8086, 0x7113, CLASS_BRIDGE_OTHER, 3);
	pci_cfg_set32(dev, REG_BASE, (FIRMWARE_TIMER_PORT - TIMER_OFFSET) | 1);
	pci_cfg_set8(dev, REG_MISC, MISC_PORTS_ON);
	return pio_register(dev->vm, "pm timer", FIRMWARE_TIMER_PORT, 4, &timer_ops, dev);
}

static void piix4pm_deinit(struct pci_device *dev)
{
	pio_unregister(dev->vm, FIRMWARE_TIMER_PORT);
}

static const struct pci_ops piix4pm = {
	.name = "piix4pm",
	.init = piix4pm_init,
	.deinit = piix4pm_deinit,
};
PCI_DEVICE(piix4pm);
