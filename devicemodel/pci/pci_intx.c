// SPDX-License-Identifier: BSD-3-Clause
/*
 * INTx: eight lines at the IOAPIC's pins 16 to 23, fixed by slot and pin. A line
 * is high while any function on it drives it. irq_lock of the device first, then
 * the bus's intx_lock, which orders the changes of a line as the hypervisor sees
 * them.
 */
#include "hsm.h"
#include "log.h"
#include "pci.h"
#include "pci_priv.h"
#include "vm.h"

#define FIRST_GSI 16U

unsigned int pci_intx_gsi(unsigned int slot, unsigned int pin)
{
	return FIRST_GSI + (slot + pin - 1) % PCI_INTX_LINES;
}

void pci_intx_add(struct pci_device *dev)
{
	dev->cfg[PCI_INTERRUPT_PIN] = 1;
	dev->cfg[PCI_INTERRUPT_LINE] = (uint8_t)pci_intx_gsi(dev->slot, 1);
}

static void drive(struct pci_device *dev, bool level)
{
	struct pci_bus *bus = dev->vm->pci;
	unsigned int gsi = pci_intx_gsi(dev->slot, dev->cfg[PCI_INTERRUPT_PIN]);
	unsigned int *drivers = &bus->drivers[gsi - FIRST_GSI];
	bool changed;

	pthread_mutex_lock(&bus->intx_lock);
	if (level)
		changed = (*drivers)++ == 0;
	else
		changed = --(*drivers) == 0;
	if (changed && hsm_set_irqline(dev->vm->hsm, gsi, level ? HSM_IRQ_HIGH : HSM_IRQ_LOW))
		log_guest("%s: interrupt line %u cannot be set", dev->name, gsi);
	pthread_mutex_unlock(&bus->intx_lock);
}

/* irq_lock held. A function that sends messages leaves its pin alone (PCI 3.0, 6.8.1.3, 6.8.2.3).
 */
static void update(struct pci_device *dev)
{
	bool disabled = pci_cfg_get16(dev, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE;
	bool line = dev->intx_level && !disabled && !pci_msi_enabled(dev) && !pci_msix_enabled(dev);

	if (dev->intx_level)
		dev->cfg[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
	else
		dev->cfg[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTERRUPT;
	if (line == dev->intx_line)
		return;
	dev->intx_line = line;
	drive(dev, line);
}

void pci_intx_update(struct pci_device *dev)
{
	pthread_mutex_lock(&dev->irq_lock);
	update(dev);
	pthread_mutex_unlock(&dev->irq_lock);
}

void pci_intx_set(struct pci_device *dev, bool level)
{
	if (dev->cfg[PCI_INTERRUPT_PIN] == 0)
		return;
	pthread_mutex_lock(&dev->irq_lock);
	dev->intx_level = level;
	update(dev);
	pthread_mutex_unlock(&dev->irq_lock);
}
