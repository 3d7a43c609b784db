// SPDX-License-Identifier: BSD-3-Clause
/*
 * Functions that the hypervisor emulates: acrn-dm only gives them a slot and
 * addresses, and asks for them by CREATE_VDEV. No access to them arrives here
 * any more; they end with the VM. Main thread, before the VM runs.
 */
#include <errno.h>
#include <string.h>

#include "hsm.h"
#include "log.h"
#include "pci.h"
#include "vm.h"

#define UART_VENDOR   0x9710U
#define UART_DEVICE   0x9900U
#define UART_CLASS    0x070002U
#define UART_BAR_SIZE 4096U

int pci_hv_create(struct pci_device *dev, const char *args)
{
	struct acrn_vdev vdev = {.slot = dev->slot << 3};
	int err;

	if (dev->func != 0) {
		log_err("%s: it takes a slot of its own, function 0", dev->name);
		return -EINVAL;
	}
	vdev.id.fields.vendor = pci_cfg_get16(dev, PCI_VENDOR_ID);
	vdev.id.fields.device = pci_cfg_get16(dev, PCI_DEVICE_ID);
	for (unsigned int i = 0; i < PCI_BARS; i++) {
		vdev.io_addr[i] = pci_cfg_get32(dev, PCI_BASE_ADDRESS_0 + 4 * i);
		vdev.io_size[i] = (uint32_t)dev->bar[i].size;
	}
	strncpy((char *)vdev.args, args, sizeof(vdev.args) - 1);
	err = hsm_create_vdev(dev->vm->hsm, &vdev);
	if (err)
		log_err("%s: the hypervisor refuses \"%s\" to VM \"%s\": %s%s", dev->name, args,
			dev->vm->cfg.name, strerror(-err),
			err == -ENODEV ? " (it has none)" : "");
	return err;
}

/* "-s N,uart,vuart_idx:K": the K-th PCI line that the scenario gives this VM. */
static int uart_init(struct pci_device *dev, const char *config)
{
	int err;

	if (!config || strncmp(config, "vuart_idx:", 10) != 0 || config[10] < '1' ||
	    config[10] > '9' || config[11] != '\0') {
		log_err("%s: the form is uart,vuart_idx:K with K from 1 to 9", dev->name);
		return -EINVAL;
	}
	pci_cfg_set_ids(dev, UART_VENDOR, UART_DEVICE, UART_CLASS, 0);
	err = pci_bar_add(dev, 0, PCI_BAR_MEM32, UART_BAR_SIZE, false);
	if (!err)
		err = pci_bar_add(dev, 1, PCI_BAR_MEM32, UART_BAR_SIZE, false);
	return err ? err : pci_hv_create(dev, config);
}

static const struct pci_ops uart = {
	.name = "uart",
	.init = uart_init,
};
PCI_DEVICE(uart);
