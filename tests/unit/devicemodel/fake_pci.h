// SPDX-License-Identifier: BSD-3-Clause
/* The PCI core as a device sees it, without a bus; counts interrupts. Any number of devices. */
#ifndef FAKE_PCI_H
#define FAKE_PCI_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pci.h"

#define FAKE_VECTORS 16U

struct fake_pci {
	struct pci_device pci; /* first */
	bool msix;	       /* what pci_msix_enabled() says */
	unsigned int vectors;  /* as the device asked for */
	atomic_uint msix_count[FAKE_VECTORS];
	atomic_uint msi_count;
	_Atomic bool intx;
	int add_error; /* what the functions that add something return, if not 0 */
};

/* A device of the type that registered as @name, or the error of its init. */
int fake_pci_create(struct fake_pci *f, const char *name, const char *config);
void fake_pci_destroy(struct fake_pci *f);

#endif
