// SPDX-License-Identifier: BSD-3-Clause
/*
 * Hypercalls that move devices. A PCI device does DMA, so it goes to a User VM only where an IOMMU
 * confines it; this hypervisor drives none yet, and says so. A device that only has registers (a
 * TPM) needs none: its pages leave the Service VM's EPT for the User VM's, and come back when it is
 * deassigned or the User VM is destroyed. The target is locked; the table of moved devices belongs
 * to the target and is under its lock.
 */
#include "asm/vmx.h"
#include "hv/gmem.h"
#include "hv/log.h"
#include "hv/unit.h"
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

static int64_t hc_assign_mmiodev(const struct hc_call *c)
{
	struct acrn_mmiodev d;
	int err = gmem_read(c->caller, GPA(c->arg2), &d, sizeof(d));

	if (err != 0) {
		return err;
	}
	if (c->target->state != VM_CREATED || !resources_ok(c->caller, &d)) {
		return -EINVAL;
	}
	for (uint32_t i = 0U; i < MMIODEVS_PER_VM; i++) {
		if (moved[c->target->id][i].res[0].size == 0U) {
			return move(c->caller, c->target, &moved[c->target->id][i], &d);
		}
	}
	return -ENOSPC;
}

static int64_t hc_deassign_mmiodev(const struct hc_call *c)
{
	struct acrn_mmiodev d;
	int err = gmem_read(c->caller, GPA(c->arg2), &d, sizeof(d));

	if (err != 0) {
		return err;
	}
	if (c->target->state == VM_RUNNING) {
		return -EINVAL;
	}
	for (uint32_t i = 0U; i < MMIODEVS_PER_VM; i++) {
		struct acrn_mmiodev *slot = &moved[c->target->id][i];

		if (slot->res[0].size != 0U &&
		    slot->res[0].service_vm_pa == d.res[0].service_vm_pa) {
			give_back(c->caller, c->target, slot);
			return 0;
		}
	}
	return -ENODEV;
}

/* The physical device would need an IOMMU; nothing is assigned, so nothing can be given back. */
static int64_t hc_pcidev(const struct hc_call *c)
{
	struct acrn_pcidev d;
	int err = gmem_read(c->caller, GPA(c->arg2), &d, sizeof(d));

	if (err != 0) {
		return err;
	}
	pr_err("%s: PCI device %02x:%02x.%x is not assigned: there is no IOMMU to confine its DMA",
	       c->target->name, d.phys_bdf >> 8, (d.phys_bdf >> 3) & 0x1FU, d.phys_bdf & 7U);
	return -ENODEV;
}

/* Set or reset the interrupt pin of an assigned PCI device, of which there is none. */
static int64_t hc_ptdev_intr(const struct hc_call *c)
{
	struct acrn_ptdev_irq irq;
	int err = gmem_read(c->caller, GPA(c->arg2), &irq, sizeof(irq));

	if (err != 0) {
		return err;
	}
	if (irq.type != ACRN_PTDEV_IRQ_INTX) {
		return -EINVAL;
	}
	pr_err("%s: interrupt pin of PCI device %02x:%02x.%x, which it does not have",
	       c->target->name, irq.phys_bdf >> 8, (irq.phys_bdf >> 3) & 0x1FU, irq.phys_bdf & 7U);
	return -ENODEV;
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
HYPERCALL_VM(HC_ASSIGN_MMIODEV, hc_assign_mmiodev);
HYPERCALL_VM(HC_DEASSIGN_MMIODEV, hc_deassign_mmiodev);
HYPERCALL_VM(HC_ASSIGN_PCIDEV, hc_pcidev);
HYPERCALL_VM(HC_DEASSIGN_PCIDEV, hc_pcidev);
HYPERCALL_VM(HC_SET_PTDEV_INTR, hc_ptdev_intr);
HYPERCALL_VM(HC_RESET_PTDEV_INTR, hc_ptdev_intr);
