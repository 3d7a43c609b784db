// SPDX-License-Identifier: BSD-3-Clause
/*
 * Hypercalls for the PCI functions that the hypervisor emulates for a User VM (vpci/func/vfunc.c).
 * On the CPU of the calling vCPU; the target is locked.
 */
#include "hv/gmem.h"
#include "hv/log.h"
#include "hv/vfunc.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "hypercall.h"

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

static int64_t hc_create_vdev(const struct hc_call *c)
{
	const struct vfunc_type *type;
	struct vfunc_args args;
	struct acrn_vdev d;
	int err = vdev_args(c->caller, c->target, c->arg2, &d, &type);

	if (err != 0) {
		return err;
	}
	if (c->target->state != VM_CREATED) {
		return -EINVAL;
	}
	(void)memcpy(args.bar, d.io_addr, sizeof(args.bar));
	(void)memcpy(args.size, d.io_size, sizeof(args.size));
	(void)memcpy(args.text, d.args, sizeof(args.text));
	args.text[VFUNC_ARGS_LEN - 1U] = '\0';
	return vfunc_create(c->target, type, (bdf_t)d.slot, &args);
}

static int64_t hc_destroy_vdev(const struct hc_call *c)
{
	const struct vfunc_type *type;
	struct acrn_vdev d;
	int err = vdev_args(c->caller, c->target, c->arg2, &d, &type);

	if (err != 0) {
		return err;
	}
	if (c->target->state == VM_RUNNING) {
		return -EINVAL;
	}
	return vfunc_destroy(c->target, type, (bdf_t)d.slot);
}

HYPERCALL_VM(HC_CREATE_VDEV, hc_create_vdev);
HYPERCALL_VM(HC_DESTROY_VDEV, hc_destroy_vdev);
