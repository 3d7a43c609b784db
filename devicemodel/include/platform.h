// SPDX-License-Identifier: BSD-3-Clause
/*
 * Devices every User VM has, at fixed addresses (RTC, PIT, power management,
 * reset ...). One file each, which ends in PLATFORM_DEVICE(ops).
 */
#ifndef DM_PLATFORM_H
#define DM_PLATFORM_H

#include "section.h"

struct aml;
struct vm;

struct platform_ops {
	const char *name;
	int level; /* order of init, reset and dsdt; unique */
	/* *priv is the device's own; leave it NULL where it does not exist in this VM. */
	int (*init)(struct vm *vm, void **priv);
	void (*deinit)(struct vm *vm, void *priv);		  /* or NULL */
	void (*reset)(struct vm *vm, void *priv);		  /* or NULL */
	void (*dsdt)(struct vm *vm, void *priv, struct aml *aml); /* in \_SB, or NULL */
};

#define PLATFORM_DEVICE(object) SECTION_ADD(dm_platform_devices, struct platform_ops, object)

int platform_create(struct vm *vm);
void platform_destroy(struct vm *vm);
void platform_reset(struct vm *vm);
void platform_dsdt(struct vm *vm, struct aml *aml);

#endif
