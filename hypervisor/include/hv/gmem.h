/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_GMEM_H
#define HV_GMEM_H

#include "lib/types.h"

struct vm;
struct vcpu;

/*
 * Copies between the hypervisor and guest memory. They copy, once; nobody keeps a pointer into
 * guest memory. -EFAULT when a byte is not mapped in the VM's EPT or a right is missing (what came
 * before it has been copied), or when it is not memory: mapped other than write-back, and not RAM
 * of the machine's memory map. A device mapped 1:1 into the guest is never touched.
 */
int gmem_read(struct vm *vm, gpa_t gpa, void *buf, size_t len);
int gmem_write(struct vm *vm, gpa_t gpa, const void *buf, size_t len);

/*
 * Where a piece of guest memory is: the HPA of gpa, and in *len, at most what it was, the bytes that
 * follow there. `right` is EPT_READ or EPT_WRITE. -EFAULT as above. Good until the VM's EPT is
 * flushed, so for the exit at hand.
 */
int gmem_hpa(struct vm *vm, gpa_t gpa, uint64_t *len, uint64_t right, hpa_t *hpa);

/*
 * Is all of [gpa, gpa+size) mapped 1:1 and uncached in the VM's EPT: registers of a device that is
 * the VM's own, and that nobody emulates?
 */
bool gmem_is_device(struct vm *vm, gpa_t gpa, uint64_t size);

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

/*
 * The way a translation took: it is the same again while the same tables hold the same entries in
 * the same mode, which is cheaper to see than to walk. For 4-level paging; `used` is 0 elsewhere.
 */
#define GMEM_LEVELS 4U
struct gmem_trail {
	uint32_t used; /* entries */
	uint32_t ept_changes;
	uint64_t mode, cr3;
	hpa_t at[GMEM_LEVELS];
	uint64_t val[GMEM_LEVELS];
	hpa_t hpa; /* of the linear address */
};

/* As gmem_translate() for GMEM_FETCH, keeping the way, and whether it has not changed since. */
int gmem_fetch_trail(struct vcpu *vcpu, gva_t gva, struct gmem_trail *trail,
		     struct gmem_fault *fault);
bool gmem_trail_same(const struct vcpu *vcpu, const struct gmem_trail *trail);

/*
 * Copies by linear address, at most a page long; a write that would fault in its second page writes
 * nothing. `access` is GMEM_FETCH, GMEM_SYSTEM or 0. Where no memory is, the fault is #GP(0).
 */
int gmem_read_gva(struct vcpu *vcpu, gva_t gva, void *buf, size_t len, uint32_t access,
		  struct gmem_fault *fault);
int gmem_write_gva(struct vcpu *vcpu, gva_t gva, const void *buf, size_t len,
		   struct gmem_fault *fault);

/*
 * The linear address of [offset, offset+len) in segment `seg` (0-5: ES CS SS DS FS GS), with the
 * checks of its mode (SDM 3A 5.3-5.5, 1 3.3.7.1). -EFAULT fills *fault: #GP(0), or #SS(0) for SS.
 */
#define GMEM_SEG_ES 0U
#define GMEM_SEG_CS 1U
#define GMEM_SEG_SS 2U
#define GMEM_SEG_DS 3U
#define GMEM_SEG_FS 4U
#define GMEM_SEG_GS 5U
int gmem_seg_linear(uint32_t seg, uint64_t offset, uint32_t len, uint32_t access, gva_t *gva,
		    struct gmem_fault *fault);

/* Give the guest the fault. */
void gmem_inject(struct vcpu *vcpu, const struct gmem_fault *fault);

#endif
