// SPDX-License-Identifier: BSD-3-Clause
/*
 * Host bridges: "hostbridge" and "amd_hostbridge" differ in their ids only. They
 * do nothing but be there, at slot 0, where guests look first.
 */
#include "firmware.h"
#include "pci.h"

#define CLASS_BRIDGE_HOST 0x060000U

static int hostbridge_init(struct pci_device *dev, const char *config)
{
	if (firmware_given(dev->vm)) /* which knows an i440FX */
		pci_cfg_set_ids(dev, 0x8086, 0x1237, CLASS_BRIDGE_HOST, 0);
	else
		pci_cfg_set_ids(dev, 0x1275, 0x1275, CLASS_BRIDGE_HOST, 0);
	return pci_no_config(dev, config);
}

static int amd_hostbridge_init(struct pci_device *dev, const char *config)
{
	pci_cfg_set_ids(dev, 0x1022, 0x7432, CLASS_BRIDGE_HOST, 0);
	return pci_no_config(dev, config);
}

static const struct pci_ops hostbridge = {.name = "hostbridge", .init = hostbridge_init};
PCI_DEVICE(hostbridge);

static const struct pci_ops amd_hostbridge = {.name = "amd_hostbridge",
					      .init = amd_hostbridge_init};
PCI_DEVICE(amd_hostbridge);
