/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_VFUNC_H
#define HV_VFUNC_H

#include "lib/types.h"
#include "hv/vpci.h"

/*
 * PCI functions that the hypervisor itself emulates, on bus 0 of a VM.
 * A kind of function is one file that ends in VFUNC(); it gives its BARs in init and is told of
 * accesses to those that trap. Configuration space, BARs that move, and MSI-X are done here.
 *
 * A function of the Service VM or of a pre-launched VM is made in the vm_init of a unit above
 * UNIT_PCI + 3:
 *	bdf = vfunc_free_slot(vm);
 *	ret = bdf < 0 ? bdf : vfunc_create(vm, &type, (bdf_t)bdf, NULL);
 * and one of a User VM by HC_CREATE_VDEV, found by vendor and device.
 */

struct vm;
struct vfunc;
struct io_access;

#define VFUNC_BARS     6U
#define VFUNC_VECTORS  8U   /* MSI-X, at most */
#define VFUNC_ARGS_LEN 128U /* with the terminating NUL */

/* Where the creator wants it, and what it is to be; all of it unchecked. */
struct vfunc_args {
	uint32_t bar[VFUNC_BARS];  /* registers' initial values; 0: the guest places it */
	uint32_t size[VFUNC_BARS]; /* of the BARs, as the creator believes; 0: it does not care */
	char text[VFUNC_ARGS_LEN]; /* terminated */
};

struct vfunc_type {
	const char *name;
	uint16_t vendor, device;
	uint16_t sub_vendor, sub_device;
	uint32_t class_rev; /* class << 16 | subclass << 8 | interface, << 8 | revision */
	/*
	 * The VM and args are there (args NULL: none were given); gives the function its BARs and
	 * keeps what it needs in vfunc_set_priv(). A negative errno refuses, with a line in the log
	 * that says why. No lock is held.
	 */
	int (*init)(struct vfunc *f, const struct vfunc_args *args);
	void (*reset)(struct vfunc *f);	 /* all vCPUs of the VM are stopped; may be NULL */
	void (*deinit)(struct vfunc *f); /* the same; the last call; may be NULL */
	/*
	 * The guest accesses a BAR that traps, `offset` bytes into it, any width and alignment;
	 * io->value is all-ones for a read. Own CPU of the vCPU, no lock held; other vCPUs call at
	 * the same time.
	 */
	void (*access)(struct vfunc *f, uint32_t bar, uint64_t offset, struct io_access *io);
};

#define VFUNC(name_, ...)                                                                          \
	static const struct vfunc_type vfunc_##name_ __used __section("hv_vfuncs") __aligned(8) =  \
		{__VA_ARGS__}

/*
 * In init. Sizes are powers of two from 4 KB. A trapping BAR has 32 bits; one that shows memory of
 * the hypervisor has 64 and takes the next register as well: the guest reads and writes [hpa,
 * hpa + size) there, write-back, until the function is gone. The memory is page-aligned and stays
 * the hypervisor's: it must hold nothing else, and may not be used otherwise while the VM lives.
 */
void vfunc_bar_trap(struct vfunc *f, uint32_t bar, uint64_t size);
void vfunc_bar_memory(struct vfunc *f, uint32_t bar, uint64_t size, hpa_t hpa);
/* The same, but the guest can only read: its writes go nowhere. */
void vfunc_bar_show(struct vfunc *f, uint32_t bar, uint64_t size, hpa_t hpa);
/* `vectors` of MSI-X with their table in `bar`, which is 4 KB of its own. */
void vfunc_msix(struct vfunc *f, uint32_t bar, uint32_t vectors);

/* Send message `vector`: any CPU. Masked: it waits; MSI-X off, or no such vector: it is lost. */
void vfunc_raise(struct vfunc *f, uint32_t vector);
bool vfunc_msix_enabled(const struct vfunc *f);

struct vm *vfunc_vm(const struct vfunc *f);
void *vfunc_priv(const struct vfunc *f);
void vfunc_set_priv(struct vfunc *f, void *priv);

/* NULL: no such kind is linked. */
const struct vfunc_type *vfunc_type_find(uint16_t vendor, uint16_t device);

/*
 * Make a function of `vm`, which is being created or has not been started; args may be NULL.
 * -EINVAL (not on bus 0, device 1-31), -EEXIST, -ENOSPC, -ENOMEM, or what init says.
 */
int vfunc_create(struct vm *vm, const struct vfunc_type *type, bdf_t bdf,
		 const struct vfunc_args *args);
/* All vCPUs of the VM are stopped. -ENODEV: no such function there. */
int vfunc_destroy(struct vm *vm, const struct vfunc_type *type, bdf_t bdf);

/*
 * A device number of bus 0 where the VM has neither a function of the machine nor an emulated one,
 * as a BDF; not of post-launched VMs. -ENOSPC.
 */
int32_t vfunc_free_slot(const struct vm *vm);

/*
 * Make a function of such a VM at `bdf`, or elsewhere on bus 0 if that is 0 or taken. The VM can do
 * without: a failure is a line in the log.
 */
void vfunc_create_at(struct vm *vm, const struct vfunc_type *type, bdf_t bdf,
		     const struct vfunc_args *args);

#endif
