// SPDX-License-Identifier: BSD-3-Clause
/*
 * --dry-run: a VM is made as always, its disks opened and its kernel loaded, only that hsm.c asks
 * nobody; then it is described and taken down. So what is printed is what a guest would find, and
 * what is wrong with a command line is found by the code that finds it at a launch. Main thread;
 * the text is printed after the end, when a terminal in raw mode is one again.
 */
#include "dry_run.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "gmem.h"
#include "log.h"
#include "options.h"
#include "pci.h"
#include "vm.h"

static void print_range(FILE *out, const char *what, uint64_t base, uint64_t size)
{
	if (size != 0)
		fprintf(out, "  %-10s 0x%010llx-0x%010llx  %llu MB\n", what,
			(unsigned long long)base, (unsigned long long)(base + size - 1),
			(unsigned long long)(size >> 20));
}

static void print_software(FILE *out, const struct vm_config *cfg)
{
	if (cfg->ovmf.code)
		fprintf(out, "  %-10s %s\n", "firmware", cfg->ovmf.code);
	if (cfg->ovmf.vars)
		fprintf(out, "  %-10s %s%s\n", cfg->ovmf.code ? "variables" : "firmware",
			cfg->ovmf.vars, cfg->ovmf.write ? ", written" : "");
	if (cfg->kernel)
		fprintf(out, "  %-10s %s\n", cfg->is_elf ? "ELF kernel" : "kernel", cfg->kernel);
	if (cfg->ramdisk)
		fprintf(out, "  %-10s %s\n", "ramdisk", cfg->ramdisk);
	if (cfg->bootargs)
		fprintf(out, "  %-10s %s\n", "bootargs", cfg->bootargs);
}

static void print_bar(FILE *out, const struct pci_device *dev, unsigned int i)
{
	static const char *const kinds[] = {
		[PCI_BAR_IO] = "ports", [PCI_BAR_MEM32] = "memory", [PCI_BAR_MEM64] = "memory"};
	const struct pci_bar *bar = &dev->bar[i];
	unsigned int reg = PCI_BASE_ADDRESS_0 + 4 * i;
	uint64_t at = pci_cfg_get32(dev, reg);

	if (bar->type == PCI_BAR_NONE || bar->type == PCI_BAR_MEM64_HIGH)
		return;
	if (bar->type == PCI_BAR_MEM64)
		at |= (uint64_t)pci_cfg_get32(dev, reg + 4) << 32;
	at &= bar->type == PCI_BAR_IO ? ~3ULL : ~15ULL;
	fprintf(out, "           BAR %u: %s 0x%llx-0x%llx\n", i, kinds[bar->type],
		(unsigned long long)at, (unsigned long long)(at + bar->size - 1));
}

static void print_device(FILE *out, const struct pci_device *dev, const char *config)
{
	fprintf(out, "  00:%02x.%u  %s%s%s\n", dev->slot, dev->func, dev->ops->name,
		config ? "," : "", config ? config : "");
	fprintf(out, "           %04x:%04x class %06x", pci_cfg_get16(dev, PCI_VENDOR_ID),
		pci_cfg_get16(dev, PCI_DEVICE_ID), pci_cfg_get32(dev, PCI_CLASS_REVISION) >> 8);
	if (dev->cfg[PCI_INTERRUPT_PIN] != 0)
		fprintf(out, ", line %u", pci_intx_gsi(dev->slot, dev->cfg[PCI_INTERRUPT_PIN]));
	fprintf(out, "%s%s\n", dev->msi_cap ? ", MSI" : "", dev->msix_cap ? ", MSI-X" : "");
	for (unsigned int i = 0; i < PCI_BARS; i++)
		print_bar(out, dev, i);
}

static void describe(FILE *out, const struct vm *vm)
{
	const struct vm_config *cfg = &vm->cfg;

	fprintf(out, "VM %s%s\n", cfg->name, cfg->rtvm ? ", real-time" : "");
	if (cfg->cpu_affinity)
		fprintf(out, "  %-10s %u, on CPUs 0x%llx\n", "vCPUs", vm->vcpu_num,
			(unsigned long long)cfg->cpu_affinity);
	else
		fprintf(out, "  %-10s on the CPUs that the scenario gives it\n", "vCPUs");
	print_range(out, "memory", 0, gmem_low_size(vm));
	print_range(out, "", VM_HIGHMEM_BASE, gmem_high_size(vm));
	print_software(out, cfg);
	for (unsigned int i = 0; i < VM_COM_PORTS; i++) {
		if (cfg->com[i])
			fprintf(out, "  com%-7u %s\n", i + 1, cfg->com[i]);
	}
	if (cfg->cmd_monitor)
		fprintf(out, "  %-10s %s\n", "commands", cfg->cmd_monitor);
	for (unsigned int i = 0; i < cfg->slot_count; i++) {
		const struct pci_slot *slot = &cfg->slots[i];

		print_device(out, pci_bus_device(vm, slot->slot, slot->func), slot->config);
	}
}

int dry_run(struct vm *vm)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	int err = vm_boot(vm);

	if (out && !err)
		describe(out, vm);
	vm_destroy(vm);
	if (!out || fclose(out) != 0) {
		log_err("no memory");
		err = 1;
	}
	if (!err)
		fputs(text, stdout);
	free(text);
	return err ? 1 : 0;
}

static int parse_dry_run(struct vm_config *cfg, const char *arg)
{
	(void)arg;
	cfg->dry_run = true;
	return 0;
}

static const struct option_def dry_run_option = {
	.level = 4,
	.long_name = "dry-run",
	.help = "check all, print the machine, and end",
	.parse = parse_dry_run,
};
OPTION(dry_run_option);
