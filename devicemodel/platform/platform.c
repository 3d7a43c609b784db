// SPDX-License-Identifier: BSD-3-Clause
/*
 * The fixed devices of every VM, as they registered themselves, in the order of
 * their levels. Main thread.
 */
#include "platform.h"

#include <errno.h>
#include <stdlib.h>

#include "log.h"
#include "vm.h"

SECTION_DECLARE(dm_platform_devices, struct platform_ops);

struct platform_device {
	const struct platform_ops *ops;
	void *priv;
};

struct platform {
	size_t count;
	struct platform_device dev[];
};

static int compare_levels(const void *a, const void *b)
{
	const struct platform_device *x = a;
	const struct platform_device *y = b;

	return x->ops->level - y->ops->level;
}

static struct platform *collect(void)
{
	struct platform *platform;
	size_t count = 0;

	SECTION_FOREACH(dm_platform_devices, struct platform_ops, it)
	{
		count += *it != NULL;
	}
	platform = calloc(1, sizeof(*platform) + count * sizeof(platform->dev[0]));
	if (!platform)
		return NULL;
	SECTION_FOREACH(dm_platform_devices, struct platform_ops, it)
	{
		platform->dev[platform->count++].ops = *it;
	}
	qsort(platform->dev, platform->count, sizeof(platform->dev[0]), compare_levels);
	return platform;
}

int platform_create(struct vm *vm)
{
	struct platform *platform = collect();

	if (!platform)
		return -ENOMEM;
	vm->platform = platform;
	for (size_t i = 0; i < platform->count; i++) {
		struct platform_device *dev = &platform->dev[i];
		int err = dev->ops->init(vm, &dev->priv);

		if (err) {
			log_err("cannot make the device %s", dev->ops->name);
			platform->count = i;
			platform_destroy(vm);
			return err;
		}
	}
	return 0;
}

void platform_destroy(struct vm *vm)
{
	struct platform *platform = vm->platform;

	if (!platform)
		return;
	for (size_t i = platform->count; i-- > 0;) {
		if (platform->dev[i].ops->deinit)
			platform->dev[i].ops->deinit(vm, platform->dev[i].priv);
	}
	free(platform);
	vm->platform = NULL;
}

void platform_reset(struct vm *vm)
{
	struct platform *platform = vm->platform;

	for (size_t i = 0; i < platform->count; i++) {
		if (platform->dev[i].ops->reset)
			platform->dev[i].ops->reset(vm, platform->dev[i].priv);
	}
}

void platform_dsdt(struct vm *vm, struct aml *aml)
{
	struct platform *platform = vm->platform;

	for (size_t i = 0; i < platform->count; i++) {
		if (platform->dev[i].ops->dsdt)
			platform->dev[i].ops->dsdt(vm, platform->dev[i].priv, aml);
	}
}
