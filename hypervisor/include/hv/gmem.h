/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_GMEM_H
#define HV_GMEM_H

#include "lib/types.h"

struct vm;
struct vcpu;

/*
 * Copies between the hypervisor and guest memory. They copy, once; nobody keeps a pointer into
 * guest memory. -EFAULT when a byte is not mapped in the VM's EPT or a right is missing (what came
 * before it has been copied), or when it is not RAM of the guest.
 */
int gmem_read(struct vm *vm, gpa_t gpa, void *buf, size_t len);
int gmem_write(struct vm *vm, gpa_t gpa, const void *buf, size_t len);

#define GMEM_WRITE BIT32(0)
#define GMEM_FETCH BIT32(1)
#define GMEM_SYSTEM BIT32(2) /* implicit supervisor access (descriptor tables) */

/* What to inject when a guest-virtual access fails: #PF with error and address, or #GP/#SS. */
struct gmem_fault {
	uint8_t vector;
	uint32_t error;
	gva_t addr;
};

/*
 * Translate a linear address through the guest's own tables as its CPL, CR0.WP, SMEP, SMAP, NX
 * demand (SDM 3A 4.6); sets accessed and dirty bits as the CPU would. -EFAULT fills *fault.
 */
int gmem_translate(struct vcpu *vcpu, gva_t gva, uint32_t access, gpa_t *gpa,
		   struct gmem_fault *fault);
int gmem_read_gva(struct vcpu *vcpu, gva_t gva, void *buf, size_t len, uint32_t access,
		  struct gmem_fault *fault);
int gmem_write_gva(struct vcpu *vcpu, gva_t gva, const void *buf, size_t len,
		   struct gmem_fault *fault);

#endif
