// SPDX-License-Identifier: BSD-3-Clause
/* See linux_abi.h: the list of abi_facts.h over Linux's header. */
#include <stddef.h>
#include <linux/acrn.h>

#include "linux_abi.h"

#define NAME_FIELD    uuid
#define PIO(f)	      reqs.pio_request.f
#define MMIO(f)	      reqs.mmio_request.f
#define PCI(f)	      reqs.pci_request.f
#define SIZE(s)	      {"sizeof " #s, sizeof(struct s)},
#define OFFSET(s, f)  {#s "." #f, offsetof(struct s, f)},
#define OFFSET_AS(s, f, as) {#s "." #as, offsetof(struct s, f)},
#define SIZE_OF_PAGE(s) {"page", sizeof(struct acrn_io_request_buffer)},
#define NUMBER(name, linux_name, own_name) {#name, linux_name},

const struct abi_fact linux_abi[] = {
#include "abi_facts.h"
	{NULL, 0},
};
