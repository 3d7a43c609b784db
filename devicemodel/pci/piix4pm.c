// SPDX-License-Identifier: BSD-3-Clause
/*
 * What firmware needs of the power management function of Intel's PIIX4 (its data sheet, chapter
 * 7): registers that say where its ports are, which cannot be moved; there, power-off, and a timer
 * of 24 bits and 3.58 MHz. What a kernel uses is in platform/pm.c. No state; I/O request thread.
 */
#include <errno.h>

#include "../platform/clock.h"
#include "firmware.h"
#include "pci.h"
#include "pio.h"
#include "pm.h"

#define CLASS_BRIDGE_OTHER 0x068000U
#define REG_BASE	   0x40U
#define REG_MISC	   0x80U
#define MISC_PORTS_ON	   1U
#define PORTS_AT	   4U /* behind the base */
#define PORTS		   8U
#define TIMER		   4U /* offset in these; control is at 0 */
#define TIMER_HZ	   3579545ULL
#define TIMER_MASK	   0xffffffU
#define CONTROL_SLEEP	   0x3c00U /* SLP_EN and its type */
#define CONTROL_SOFT_OFF   0x2000U

static uint64_t port_read(void *arg, uint64_t offset, unsigned int size)
{
	uint64_t ns = clock_monotonic();
	uint64_t ticks = ns / CLOCK_NS_PER_SEC * TIMER_HZ +
			 ns % CLOCK_NS_PER_SEC * TIMER_HZ / CLOCK_NS_PER_SEC;

	(void)arg;
	(void)size;
	return offset < TIMER ? 0 : (ticks & TIMER_MASK) >> (8 * (offset - TIMER));
}

static void port_write(void *arg, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pci_device *dev = arg;

	if (offset == 0 && size >= 2 && (value & CONTROL_SLEEP) == CONTROL_SOFT_OFF)
		pm_power_off(dev->vm);
}

static const struct io_ops port_ops = {.read = port_read, .write = port_write};

static int piix4pm_init(struct pci_device *dev, const char *config)
{
	if (pci_no_config(dev, config))
		return -EINVAL;
	pci_cfg_set_ids(dev, 0x8086, 0x7113, CLASS_BRIDGE_OTHER, 3);
	pci_cfg_set32(dev, REG_BASE, FIRMWARE_PM_PORT | 1);
	pci_cfg_set8(dev, REG_MISC, MISC_PORTS_ON);
	return pio_register(dev->vm, "piix4pm", FIRMWARE_PM_PORT + PORTS_AT, PORTS, &port_ops, dev);
}

static void piix4pm_deinit(struct pci_device *dev)
{
	pio_unregister(dev->vm, FIRMWARE_PM_PORT + PORTS_AT);
}

static const struct pci_ops piix4pm = {
	.name = "piix4pm",
	.init = piix4pm_init,
	.deinit = piix4pm_deinit,
};
PCI_DEVICE(piix4pm);
