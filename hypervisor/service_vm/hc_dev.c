// SPDX-License-Identifier: BSD-3-Clause
/*
 * Hypercalls that move devices. A PCI device does DMA, so it goes to a User VM only where an IOMMU
 * confines it; this hypervisor drives none yet, and says so. A device that only has registers (a
 * TPM) needs none: its pages leave the Service VM's EPT for the User VM's, and come back when it is
 * deassigned or the User VM is destroyed. Functions that the hypervisor emulates are vpci/vfunc.c's;
 * here is only their call. The target is locked; the table of moved devices belongs
 * to the target and is under its lock.
 */
#include "asm/vmx.h"
#include "hv/gmem.h"
#include "hv/log.h"
#include "hv/unit.h"
#include "hv/vfunc.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "config.h"
#include "hypercall.h"

#define MMIODEVS_PER_VM 2U
#define EPT_MT_DEVICE	(EPT_READ | EPT_WRITE | EPT_MT_UC)

/* By VM id; an entry whose first resource has no size is free. */
static struct acrn_mmiodev moved[CONFIG_MAX_VM_NUM][MMIODEVS_PER_VM];

static bool resources_ok(struct vm *caller, const struct acrn_mmiodev *d)
{
	for (uint32_t i = 0U; i < ACRN_MMIODEV_RES_NUM; i++) {
		uint64_t all = d->res[i].user_vm_pa | d->res[i].service_vm_pa | d->res[i].size;

		if (d->res[i].size == 0U) {
			if (i == 0U) {
				return false;
			}
			continue;
		}
		if ((all % PAGE_SIZE) != 0U || all >= BIT(46) ||
		    !gmem_is_device(caller, GPA(d->res[i].service_vm_pa), d->res[i].size)) {
			return false;
		}
	}
	return true;
}

static void give_back(struct vm *owner, struct vm *vm, struct acrn_mmiodev *d)
{
	for (uint32_t i = 0U; i < ACRN_MMIODEV_RES_NUM; i++) {
		if (d->res[i].size != 0U) {
			(void)ept_unmap(&vm->ept, GPA(d->res[i].user_vm_pa), d->res[i].size);
		}
	}
	ept_flush(&vm->ept);
	for (uint32_t i = 0U; i < ACRN_MMIODEV_RES_NUM; i++) {
		if (d->res[i].size != 0U &&
		    ept_map(&owner->ept, GPA(d->res[i].service_vm_pa), HPA(d->res[i].service_vm_pa),
			    d->res[i].size, EPT_RWX | EPT_MT_UC) != 0) {
			pr_err("%s: no memory to map device %.8s again", owner->name, d->name);
		}
	}
	(void)memset(d, 0, sizeof(*d));
}

static int move(struct vm *caller, struct vm *target, struct acrn_mmiodev *slot,
		const struct acrn_mmiodev *d)
{
	int err = 0;

	*slot = *d;
	for (uint32_t i = 0U; i < ACRN_MMIODEV_RES_NUM; i++) {
		if (d->res[i].size != 0U) {
			(void)ept_unmap(&caller->ept, GPA(d->res[i].service_vm_pa), d->res[i].size);
		}
	}
	ept_flush(&caller->ept);
	for (uint32_t i = 0U; i < ACRN_MMIODEV_RES_NUM && err == 0; i++) {
		if (d->res[i].size != 0U) {
			err = ept_map(&target->ept, GPA(d->res[i].user_vm_pa),
				      HPA(d->res[i].service_vm_pa), d->res[i].size, EPT_MT_DEVICE);
		}
	}
	if (err != 0) {
		give_back(caller, target, slot);
	}
	return err;
}

int64_t hc_assign_mmiodev(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2)
{
	struct acrn_mmiodev d;
	int err = gmem_read(caller, GPA(arg2), &d, sizeof(d));

	(void)arg1;
	if (err != 0) {
		return err;
	}
	if (target->state != VM_CREATED || !resources_ok(caller, &d)) {
		return -EINVAL;
	}
	for (uint32_t i = 0U; i < MMIODEVS_PER_VM; i++) {
		if (moved[target->id][i].res[0].size == 0U) {
			return move(caller, target, &moved[target->id][i], &d);
		}
	}
	return -ENOSPC;
}

int64_t hc_deassign_mmiodev(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2)
{
	struct acrn_mmiodev d;
	int err = gmem_read(caller, GPA(arg2), &d, sizeof(d));

	(void)arg1;
	if (err != 0) {
		return err;
	}
	if (target->state == VM_RUNNING) {
		return -EINVAL;
	}
	for (uint32_t i = 0U; i < MMIODEVS_PER_VM; i++) {
		struct acrn_mmiodev *slot = &moved[target->id][i];

		if (slot->res[0].size != 0U &&
		    slot->res[0].service_vm_pa == d.res[0].service_vm_pa) {
			give_back(caller, target, slot);
			return 0;
		}
	}
	return -ENODEV;
}

/* The physical device would need an IOMMU; nothing is assigned, so nothing can be given back. */
static int64_t pcidev(struct vm *caller, const struct vm *target, uint64_t gpa, const char *what)
{
	struct acrn_pcidev d;
	int err = gmem_read(caller, GPA(gpa), &d, sizeof(d));

	if (err != 0) {
		return err;
	}
	pr_err("%s: %s of PCI device %02x:%02x.%x: there is no IOMMU to confine its DMA",
	       target->name, what, d.phys_bdf >> 8, (d.phys_bdf >> 3) & 0x1FU, d.phys_bdf & 7U);
	return -ENODEV;
}

int64_t hc_assign_pcidev(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2)
{
	(void)arg1;
	return pcidev(caller, target, arg2, "assignment");
}

int64_t hc_deassign_pcidev(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2)
{
	(void)arg1;
	return pcidev(caller, target, arg2, "deassignment");
}

/* The interrupt pin of an assigned PCI device, of which there is none. */
static int64_t ptdev_intr(struct vm *caller, const struct vm *target, uint64_t gpa)
{
	struct acrn_ptdev_irq irq;
	int err = gmem_read(caller, GPA(gpa), &irq, sizeof(irq));

	if (err != 0) {
		return err;
	}
	if (irq.type != ACRN_PTDEV_IRQ_INTX) {
		return -EINVAL;
	}
	pr_err("%s: interrupt pin of PCI device %02x:%02x.%x, which it does not have", target->name,
	       irq.phys_bdf >> 8, (irq.phys_bdf >> 3) & 0x1FU, irq.phys_bdf & 7U);
	return -ENODEV;
}

int64_t hc_set_ptdev_intr(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2)
{
	(void)arg1;
	return ptdev_intr(caller, target, arg2);
}

int64_t hc_reset_ptdev_intr(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2)
{
	(void)arg1;
	return ptdev_intr(caller, target, arg2);
}

/* The kind of function the caller names, and what it says about it. */
static int vdev_args(struct vm *caller, const struct vm *target, uint64_t gpa, struct acrn_vdev *d,
		     const struct vfunc_type **type)
{
	int err = gmem_read(caller, GPA(gpa), d, sizeof(*d));

	if (err != 0) {
		return err;
	}
	*type = vfunc_type_find((uint16_t)d->id, (uint16_t)(d->id >> 16));
	if (*type == NULL) {
		pr_err("%s: the hypervisor emulates no device %04lx:%04lx", target->name,
		       d->id & 0xFFFFU, (d->id >> 16) & 0xFFFFU);
		return -ENODEV;
	}
	return (d->slot > UINT16_MAX) ? -EINVAL : 0;
}

int64_t hc_create_vdev(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2)
{
	const struct vfunc_type *type;
	struct vfunc_args args;
	struct acrn_vdev d;
	int err = vdev_args(caller, target, arg2, &d, &type);

	(void)arg1;
	if (err != 0) {
		return err;
	}
	if (target->state != VM_CREATED) {
		return -EINVAL;
	}
	(void)memcpy(args.bar, d.io_addr, sizeof(args.bar));
	(void)memcpy(args.size, d.io_size, sizeof(args.size));
	(void)memcpy(args.text, d.args, sizeof(args.text));
	args.text[VFUNC_ARGS_LEN - 1U] = '\0';
	return vfunc_create(target, type, (bdf_t)d.slot, &args);
}

int64_t hc_destroy_vdev(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2)
{
	const struct vfunc_type *type;
	struct acrn_vdev d;
	int err = vdev_args(caller, target, arg2, &d, &type);

	(void)arg1;
	if (err != 0) {
		return err;
	}
	if (target->state == VM_RUNNING) {
		return -EINVAL;
	}
	return vfunc_destroy(target, type, (bdf_t)d.slot);
}

static void mmiodev_vm_deinit(struct vm *vm)
{
	for (uint32_t i = 0U; i < MMIODEVS_PER_VM; i++) {
		if (moved[vm->id][i].res[0].size != 0U) {
			give_back(vm->owner, vm, &moved[vm->id][i]);
		}
	}
}

UNIT(mmiodev) = {
	.name = "mmiodev",
	.level = UNIT_SERVICE,
	.vm_deinit = mmiodev_vm_deinit,
};
