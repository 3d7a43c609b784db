/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ACRN_IOREQ_H
#define ACRN_IOREQ_H

#include "lib/types.h"

/*
 * The page through which the hypervisor asks the device model to serve an access of a User VM's
 * vCPU: a slot for each vCPU. A contract with Linux's HSM driver and its users (<linux/acrn.h>,
 * struct acrn_io_request). The hypervisor writes a FREE slot, PENDING last; the HSM makes it
 * PROCESSING, the device model COMPLETE; the hypervisor takes the value and makes it FREE.
 */

#define ACRN_IOREQ_SLOTS 16U

#define ACRN_IOREQ_PENDING    0U
#define ACRN_IOREQ_COMPLETE   1U
#define ACRN_IOREQ_PROCESSING 2U
#define ACRN_IOREQ_FREE	      3U

#define ACRN_IOREQ_PIO	  0U
#define ACRN_IOREQ_MMIO	  1U
#define ACRN_IOREQ_PCICFG 2U

#define ACRN_IOREQ_READ	 0U
#define ACRN_IOREQ_WRITE 1U

struct acrn_io_request {
	uint32_t type;
	uint32_t completion_polling;
	uint32_t reserved0[14];
	uint32_t direction;
	uint32_t reserved1;
	uint64_t address; /* of port or MMIO; 0 for PCICFG */
	uint64_t size;	  /* bytes */
	union {
		uint64_t mmio_value;
		struct {
			uint32_t value; /* of port or PCICFG */
			uint32_t bus, dev, func, reg;
		};
	};
	uint32_t reserved2[4];
	uint32_t reserved3;
	uint32_t kernel_handled; /* the HSM's */
	uint32_t processed;	 /* state */
	uint8_t pad[116];
};

_Static_assert(offsetof(struct acrn_io_request, direction) == 64, "ABI");
_Static_assert(offsetof(struct acrn_io_request, address) == 72, "ABI");
_Static_assert(offsetof(struct acrn_io_request, size) == 80, "ABI");
_Static_assert(offsetof(struct acrn_io_request, value) == 88, "ABI");
_Static_assert(offsetof(struct acrn_io_request, reg) == 104, "ABI");
_Static_assert(offsetof(struct acrn_io_request, kernel_handled) == 132, "ABI");
_Static_assert(offsetof(struct acrn_io_request, processed) == 136, "ABI");
_Static_assert(sizeof(struct acrn_io_request) == 256, "ABI");

#endif
