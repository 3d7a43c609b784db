// SPDX-License-Identifier: BSD-3-Clause
/*
 * Bus 0: which device sits where ("-s"), their life, and the way of a
 * configuration access to its function, from 0xCF8/0xCFC (the hypervisor or the
 * HSM decodes the pair) and from ECAM. Devices are made before the VM runs and
 * freed after, so lookups take no lock.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aml.h"
#include "log.h"
#include "mmio.h"
#include "options.h"
#include "pci.h"
#include "pci_priv.h"
#include "vm.h"

#define LIST_COLUMNS 79

SECTION_DECLARE(dm_pci_devices, struct pci_ops);

static const struct pci_ops *find_ops(const char *name)
{
	SECTION_FOREACH(dm_pci_devices, struct pci_ops, it)
	{
		if (strcmp((*it)->name, name) == 0)
			return *it;
	}
	return NULL;
}

void pci_bus_list_kinds(void)
{
	int column = printf("Devices:");

	SECTION_FOREACH(dm_pci_devices, struct pci_ops, it)
	{
		if (column + (int)strlen((*it)->name) + 1 > LIST_COLUMNS)
			column = printf("\n        ") - 1;
		column += printf(" %s", (*it)->name);
	}
	printf("\n");
}

/* "3" or "0:3" or "0:3:1" into numbers[3], right-aligned as slot[:func] unless bus is given. */
static bool parse_place(const char *text, size_t len, struct pci_slot *out)
{
	unsigned int number[3];
	unsigned int count = 0;
	const char *end = text + len;

	while (text < end) {
		char *stop;
		unsigned long value;

		if (count == 3 || *text < '0' || *text > '9')
			return false;
		value = strtoul(text, &stop, 10);
		if (value > 255 || (stop != end && (*stop != ':' || stop + 1 == end)))
			return false;
		number[count++] = (unsigned int)value;
		text = stop == end ? end : stop + 1;
	}
	if (count == 0)
		return false;
	out->bus = count == 3 ? number[0] : 0;
	out->slot = number[count == 3 ? 1 : 0];
	out->func = count == 1 ? 0 : number[count - 1];
	return true;
}

int pci_slot_parse(struct vm_config *cfg, const char *arg)
{
	static const char form[] = "[bus:]slot[:func],device[,config]";
	const char *comma = strchr(arg, ',');
	struct pci_slot *slot = &cfg->slots[cfg->slot_count];
	size_t len;

	if (cfg->slot_count == VM_MAX_SLOTS) {
		log_err("-s %s: at most %d devices", arg, VM_MAX_SLOTS);
		return -ENOSPC;
	}
	if (!comma || !parse_place(arg, (size_t)(comma - arg), slot)) {
		log_err("-s %s: the form is %s", arg, form);
		return -EINVAL;
	}
	if (slot->bus != 0 || slot->slot >= PCI_SLOTS || slot->func >= PCI_FUNCS) {
		log_err("-s %s: bus is 0, slot 0 to 31, func 0 to 7", arg);
		return -EINVAL;
	}
	len = strcspn(comma + 1, ",");
	if (len == 0 || len >= sizeof(slot->name)) {
		log_err("-s %s: the form is %s", arg, form);
		return -EINVAL;
	}
	memcpy(slot->name, comma + 1, len);
	slot->name[len] = '\0';
	slot->config = comma[1 + len] ? comma + 2 + len : NULL;
	if (!find_ops(slot->name)) {
		log_err("-s %s: there is no device \"%s\"", arg, slot->name);
		return -ENODEV;
	}
	for (unsigned int i = 0; i < cfg->slot_count; i++) {
		if (cfg->slots[i].slot == slot->slot && cfg->slots[i].func == slot->func) {
			log_err("-s %s: %s is in that place already", arg, cfg->slots[i].name);
			return -EBUSY;
		}
	}
	cfg->slot_count++;
	return 0;
}

static const struct option_def slot_option = {
	.level = 60,
	.short_name = 's',
	.long_name = "pci_slot",
	.arg = "[bus:]slot[:func],device[,config]",
	.help = "put a PCI device into a slot",
	.parse = pci_slot_parse,
};
OPTION(slot_option);

static struct pci_device *find_device(const struct vm *vm, unsigned int bus, unsigned int slot,
				      unsigned int func)
{
	if (bus != 0 || slot >= PCI_SLOTS || func >= PCI_FUNCS)
		return NULL;
	return vm->pci->dev[slot][func];
}

const struct pci_device *pci_bus_device(const struct vm *vm, unsigned int slot, unsigned int func)
{
	return find_device(vm, 0, slot, func);
}

static bool aligned(unsigned int reg, unsigned int size)
{
	return reg < PCI_CFG_SIZE && (reg & (size - 1)) == 0;
}

uint32_t pci_bus_read(struct vm *vm, unsigned int bus, unsigned int slot, unsigned int func,
		      unsigned int reg, unsigned int size)
{
	struct pci_device *dev = find_device(vm, bus, slot, func);

	if (!dev || !aligned(reg, size))
		return UINT32_MAX >> (32 - 8 * size);
	return pci_cfg_read(dev, reg, size);
}

void pci_bus_write(struct vm *vm, unsigned int bus, unsigned int slot, unsigned int func,
		   unsigned int reg, unsigned int size, uint32_t value)
{
	struct pci_device *dev = find_device(vm, bus, slot, func);

	if (dev && aligned(reg, size))
		pci_cfg_write(dev, reg, size, value);
}

/* ECAM: bus 27:20, device 19:15, function 14:12, register 11:0. */
static uint64_t ecam_read(void *arg, uint64_t offset, unsigned int size)
{
	if (size > 4)
		return UINT64_MAX;
	return pci_bus_read(arg, (unsigned int)(offset >> 20), (offset >> 15) & 31U,
			    (offset >> 12) & 7U, offset & 0xfffU, size);
}

static void ecam_write(void *arg, uint64_t offset, unsigned int size, uint64_t value)
{
	if (size > 4)
		return;
	pci_bus_write(arg, (unsigned int)(offset >> 20), (offset >> 15) & 31U, (offset >> 12) & 7U,
		      offset & 0xfffU, size, (uint32_t)value);
}

static const struct io_ops ecam_ops = {.read = ecam_read, .write = ecam_write};

int pci_no_config(const struct pci_device *dev, const char *config)
{
	if (!config)
		return 0;
	log_err("%s: \"%s\": this device takes no configuration", dev->name, config);
	return -EINVAL;
}

static void free_device(struct pci_device *dev)
{
	pci_msix_free(dev);
	pthread_mutex_destroy(&dev->irq_lock);
	free(dev);
}

static int add_device(struct vm *vm, const struct pci_slot *slot)
{
	struct pci_device *dev = calloc(1, sizeof(*dev));
	int err;

	if (!dev)
		return -ENOMEM;
	dev->vm = vm;
	dev->ops = find_ops(slot->name);
	dev->slot = slot->slot;
	dev->func = slot->func;
	snprintf(dev->name, sizeof(dev->name), "%s@0:%u.%u", slot->name, slot->slot, slot->func);
	pthread_mutex_init(&dev->irq_lock, NULL);
	pci_cfg_init(dev);
	err = dev->ops->init(dev, slot->config);
	if (err) {
		vm->misused = err == -EINVAL;
		free_device(dev);
		return err;
	}
	vm->pci->dev[slot->slot][slot->func] = dev;
	return 0;
}

/* What the guest sees first: a slot with more functions says so in function 0. */
static void finish_slot(struct pci_bus *bus, unsigned int slot)
{
	unsigned int functions = 0;

	for (unsigned int func = 0; func < PCI_FUNCS; func++)
		functions += bus->dev[slot][func] != NULL;
	if (functions > 0 && !bus->dev[slot][0])
		log_warn("slot %u has no function 0: the guest will not look for the others", slot);
	else if (functions > 1)
		bus->dev[slot][0]->cfg[PCI_HEADER_TYPE] |= 0x80;

	for (unsigned int func = 0; func < PCI_FUNCS; func++) {
		struct pci_device *dev = bus->dev[slot][func];

		if (dev)
			memcpy(dev->reset_cfg, dev->cfg, PCI_CFG_SIZE);
	}
}

int pci_bus_create(struct vm *vm)
{
	struct pci_bus *bus = calloc(1, sizeof(*bus));
	int err;

	if (!bus)
		return -ENOMEM;
	bus->next = (struct pci_windows) {VM_IO_BASE, VM_MMIO32_BASE, VM_MMIO64_BASE};
	pthread_mutex_init(&bus->intx_lock, NULL);
	vm->pci = bus;
	err = mmio_register(vm, "ecam", VM_ECAM_BASE, VM_ECAM_SIZE, &ecam_ops, vm);
	for (unsigned int i = 0; !err && i < vm->cfg.slot_count; i++)
		err = add_device(vm, &vm->cfg.slots[i]);
	for (unsigned int slot = 0; !err && slot < PCI_SLOTS; slot++)
		finish_slot(bus, slot);
	if (err)
		pci_bus_destroy(vm);
	return err;
}

void pci_bus_destroy(struct vm *vm)
{
	if (!vm->pci)
		return;
	for (unsigned int i = 0; i < PCI_SLOTS * PCI_FUNCS; i++) {
		struct pci_device *dev = vm->pci->dev[i / PCI_FUNCS][i % PCI_FUNCS];

		if (!dev)
			continue;
		pci_bar_unmap_all(dev);
		if (dev->ops->deinit)
			dev->ops->deinit(dev);
		free_device(dev);
	}
	mmio_unregister(vm, VM_ECAM_BASE);
	pthread_mutex_destroy(&vm->pci->intx_lock);
	free(vm->pci);
	vm->pci = NULL;
}

void pci_bus_reset(struct vm *vm)
{
	for (unsigned int i = 0; i < PCI_SLOTS * PCI_FUNCS; i++) {
		struct pci_device *dev = vm->pci->dev[i / PCI_FUNCS][i % PCI_FUNCS];

		if (!dev)
			continue;
		pci_bar_unmap_all(dev);
		if (dev->ops->reset)
			dev->ops->reset(dev);
		pci_intx_set(dev, false);
		pthread_mutex_lock(&dev->irq_lock);
		memcpy(dev->cfg, dev->reset_cfg, PCI_CFG_SIZE);
		pci_msix_reset(dev);
		pthread_mutex_unlock(&dev->irq_lock);
	}
}

int pci_bus_rescan(struct vm *vm, const char *text)
{
	const char *comma = strchr(text, ',');
	struct pci_slot place;
	struct pci_device *dev;

	if (!comma || comma[1] == '\0' || !parse_place(text, (size_t)(comma - text), &place))
		return -EINVAL;
	dev = find_device(vm, place.bus, place.slot, place.func);
	if (!dev)
		return -ENODEV;
	return dev->ops->rescan ? dev->ops->rescan(dev, comma + 1) : -ENOTTY;
}

static void prt(struct aml *aml)
{
	aml_name(aml, "_PRT");
	aml_package_begin(aml, PCI_SLOTS * 4);
	for (unsigned int slot = 0; slot < PCI_SLOTS; slot++) {
		for (unsigned int pin = 1; pin <= 4; pin++) {
			aml_package_begin(aml, 4);
			aml_integer(aml, slot << 16 | 0xffffU);
			aml_integer(aml, pin - 1);
			aml_integer(aml, 0);
			aml_integer(aml, pci_intx_gsi(slot, pin));
			aml_end(aml);
		}
	}
	aml_end(aml);
}

static void root_resources(struct aml *aml)
{
	aml_resources_begin(aml, "_CRS");
	aml_res_bus(aml, 0, 0);
	aml_res_io(aml, 0xcf8, 8);
	aml_res_io_window(aml, 0, 0xcf7);
	aml_res_io_window(aml, 0xd00, 0xffff);
	aml_res_mem32_window(aml, VM_MMIO32_BASE, VM_MMIO32_LIMIT - 1);
	aml_res_mem64_window(aml, VM_MMIO64_BASE, VM_MMIO64_LIMIT - 1);
	aml_resources_end(aml);
}

void pci_bus_dsdt(struct vm *vm, struct aml *aml)
{
	aml_device_begin(aml, "PCI0");
	aml_name_eisaid(aml, "_HID", "PNP0A08");
	aml_name_eisaid(aml, "_CID", "PNP0A03");
	aml_name_integer(aml, "_UID", 0);
	aml_name_integer(aml, "_SEG", 0);
	aml_name_integer(aml, "_BBN", 0);
	root_resources(aml);
	prt(aml);
	for (unsigned int i = 0; i < PCI_SLOTS * PCI_FUNCS; i++) {
		struct pci_device *dev = vm->pci->dev[i / PCI_FUNCS][i % PCI_FUNCS];

		if (dev && dev->ops->dsdt)
			dev->ops->dsdt(dev, aml);
	}
	aml_end(aml);

	/* ECAM belongs to the board, not to the bridge's windows. */
	aml_device_begin(aml, "ECAM");
	aml_name_eisaid(aml, "_HID", "PNP0C02");
	aml_resources_begin(aml, "_CRS");
	aml_res_mem32_fixed(aml, VM_ECAM_BASE, VM_ECAM_SIZE);
	aml_resources_end(aml);
	aml_end(aml);
}
