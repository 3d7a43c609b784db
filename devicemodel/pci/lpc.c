// SPDX-License-Identifier: BSD-3-Clause
/*
 * The LPC (ISA) bridge and the serial ports behind it, as "-l com1,stdio" asks
 * for them. The bridge itself has no registers of interest; I/O request thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aml.h"
#include "chardev.h"
#include "log.h"
#include "options.h"
#include "pci.h"
#include "../platform/uart.h"
#include "vm.h"

#define CLASS_BRIDGE_ISA 0x060100U
#define COM_PORT_COUNT	 8U

static const struct com {
	const char *name;
	const char *aml_name;
	uint16_t port;
	uint8_t irq;
} coms[VM_COM_PORTS] = {
	{"com1", "COM1", 0x3f8, 4},
	{"com2", "COM2", 0x2f8, 3},
	{"com3", "COM3", 0x3e8, 6},
	{"com4", "COM4", 0x2e8, 7},
};

struct lpc {
	struct uart *uart[VM_COM_PORTS];
};

static int parse_lpc(struct vm_config *cfg, const char *arg)
{
	const char *comma = strchr(arg, ',');
	size_t len = comma ? (size_t)(comma - arg) : 0;
	unsigned int i;

	for (i = 0; i < VM_COM_PORTS; i++) {
		if (len == strlen(coms[i].name) && strncasecmp(arg, coms[i].name, len) == 0)
			break;
	}
	if (!comma || i == VM_COM_PORTS || !chardev_spec_valid(comma + 1)) {
		log_err("-l %s: the form is com1..com4,stdio or pty or /dev/... or tcp:port", arg);
		return -EINVAL;
	}
	for (unsigned int j = 0; j < VM_COM_PORTS; j++) {
		if (cfg->com[j] && strcmp(comma + 1, "stdio") == 0 &&
		    strcmp(cfg->com[j], "stdio") == 0) {
			log_err("-l %s: %s has stdio already", arg, coms[j].name);
			return -EINVAL;
		}
	}
	if (cfg->com[i]) {
		log_err("-l %s: %s is given twice", arg, coms[i].name);
		return -EINVAL;
	}
	cfg->com[i] = comma + 1;
	return 0;
}

static const struct option_def lpc_option = {
	.level = 70,
	.short_name = 'l',
	.long_name = "lpc",
	.arg = "com1..com4,backend",
	.help = "serial port: stdio, pty, /dev/..., tcp:port",
	.parse = parse_lpc,
};
OPTION(lpc_option);

static void lpc_deinit(struct pci_device *dev)
{
	struct lpc *lpc = dev->priv;

	for (unsigned int i = 0; i < VM_COM_PORTS; i++)
		uart_destroy(lpc->uart[i]);
	free(lpc);
}

static int lpc_init(struct pci_device *dev, const char *config)
{
	struct lpc *lpc;

	if (pci_no_config(dev, config))
		return -EINVAL;
	lpc = calloc(1, sizeof(*lpc));
	if (!lpc)
		return -ENOMEM;
	dev->priv = lpc;
	pci_cfg_set_ids(dev, 0x8086, 0x7000, CLASS_BRIDGE_ISA, 0);
	for (unsigned int i = 0; i < VM_COM_PORTS; i++) {
		const char *spec = dev->vm->cfg.com[i];

		if (!spec)
			continue;
		lpc->uart[i] = uart_create(dev->vm, coms[i].name, coms[i].port, coms[i].irq, spec);
		if (!lpc->uart[i]) {
			lpc_deinit(dev);
			return -EIO;
		}
	}
	return 0;
}

static void lpc_reset(struct pci_device *dev)
{
	struct lpc *lpc = dev->priv;

	for (unsigned int i = 0; i < VM_COM_PORTS; i++) {
		if (lpc->uart[i])
			uart_reset(lpc->uart[i]);
	}
}

static void lpc_dsdt(struct pci_device *dev, struct aml *aml)
{
	const struct lpc *lpc = dev->priv;

	aml_device_begin(aml, "LPC_");
	aml_name_integer(aml, "_ADR", dev->slot << 16 | dev->func);
	for (unsigned int i = 0; i < VM_COM_PORTS; i++) {
		if (!lpc->uart[i])
			continue;
		aml_device_begin(aml, coms[i].aml_name);
		aml_name_eisaid(aml, "_HID", "PNP0501");
		aml_name_integer(aml, "_UID", i + 1);
		aml_resources_begin(aml, "_CRS");
		aml_res_io(aml, coms[i].port, COM_PORT_COUNT);
		aml_res_irq(aml, coms[i].irq);
		aml_resources_end(aml);
		aml_end(aml);
	}
	aml_end(aml);
}

static const struct pci_ops lpc = {
	.name = "lpc",
	.init = lpc_init,
	.deinit = lpc_deinit,
	.reset = lpc_reset,
	.dsdt = lpc_dsdt,
};
PCI_DEVICE(lpc);
