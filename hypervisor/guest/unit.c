// SPDX-License-Identifier: BSD-3-Clause
/*
 * The registered units (hv/unit.h): sorted once by level at boot, then their hooks are run for VMs
 * and vCPUs as these are made, reset and destroyed. Called by vm.c and vcpu.c; takes no
 * lock: the sorted table does not change after boot.
 */
#include "hv/unit.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "lib/errno.h"
#include "lib/kconfig.h"

#define MAX_UNITS 64U

extern const struct unit __start_hv_units[] __attribute__((visibility("hidden")));
extern const struct unit __stop_hv_units[] __attribute__((visibility("hidden")));

static const struct unit *sorted[MAX_UNITS];
static struct pool *vm_pools[MAX_UNITS], *vcpu_pools[MAX_UNITS]; /* as sorted; NULL: no state */
static uint32_t unit_count;

static void sort_units(void)
{
	unit_count = 0U;
	for (const struct unit *u = __start_hv_units; u < __stop_hv_units; u++) {
		uint32_t i = unit_count++;

		ASSERT(unit_count <= MAX_UNITS);
		for (; i > 0U && sorted[i - 1U]->level > u->level; i--) {
			sorted[i] = sorted[i - 1U];
		}
		sorted[i] = u;
	}
}

static struct pool *state_pool(const struct unit_state *s, uint32_t count)
{
	struct pool *p = NULL;

	if (s->name != NULL) {
		p = boot_alloc(sizeof(*p), 64U);
		pool_init(p, s->name, s->size, MAX(s->align, 64U), count);
	}
	return p;
}

static int state_get(struct pool *p, const struct unit_state *s, void *owner)
{
	void **at = (void **)(void *)((uint8_t *)owner + s->at);

	if (p == NULL) {
		return 0;
	}
	*at = pool_get(p);
	return (*at != NULL) ? 0 : -ENOMEM;
}

static void state_put(struct pool *p, const struct unit_state *s, void *owner)
{
	void **at = (void **)(void *)((uint8_t *)owner + s->at);

	if (p != NULL) {
		pool_put(p, *at);
		*at = NULL;
	}
}

int unit_boot(void)
{
	uint32_t vcpus = CONFIG_MAX_VM_NUM * MIN((uint32_t)pcpu_count, VM_MAX_VCPUS);

	sort_units();
	for (uint32_t i = 0U; i < unit_count; i++) {
		int ret = (sorted[i]->boot != NULL) ? sorted[i]->boot() : 0;

		vm_pools[i] = state_pool(&sorted[i]->vm_state, CONFIG_MAX_VM_NUM);
		vcpu_pools[i] = state_pool(&sorted[i]->vcpu_state, vcpus);
		if (ret != 0) {
			pr_fatal("%s: start failed: %d", sorted[i]->name, ret);
			return ret;
		}
	}
	return 0;
}

/* In the order opposite to that of init; `count` units have been set up. */
static void vm_undo(struct vm *vm, uint32_t count)
{
	for (uint32_t i = count; i-- > 0U;) {
		if (sorted[i]->vm_deinit != NULL) {
			sorted[i]->vm_deinit(vm);
		}
		state_put(vm_pools[i], &sorted[i]->vm_state, vm);
	}
}

int unit_vm_init(struct vm *vm)
{
	for (uint32_t i = 0U; i < unit_count; i++) {
		const struct unit *u = sorted[i];
		int ret = state_get(vm_pools[i], &u->vm_state, vm);

		if (ret == 0 && u->vm_init != NULL) {
			ret = u->vm_init(vm);
			if (ret != 0) {
				state_put(vm_pools[i], &u->vm_state, vm);
			}
		}
		if (ret != 0) {
			vm_undo(vm, i);
			return ret;
		}
	}
	return 0;
}

void unit_vm_reset(struct vm *vm)
{
	for (uint32_t i = 0U; i < unit_count; i++) {
		if (sorted[i]->vm_reset != NULL) {
			sorted[i]->vm_reset(vm);
		}
	}
}

void unit_vm_deinit(struct vm *vm)
{
	vm_undo(vm, unit_count);
}

static void vcpu_undo(struct vcpu *vcpu, uint32_t count)
{
	for (uint32_t i = count; i-- > 0U;) {
		if (sorted[i]->vcpu_deinit != NULL) {
			sorted[i]->vcpu_deinit(vcpu);
		}
		state_put(vcpu_pools[i], &sorted[i]->vcpu_state, vcpu);
	}
}

int unit_vcpu_init(struct vcpu *vcpu)
{
	for (uint32_t i = 0U; i < unit_count; i++) {
		const struct unit *u = sorted[i];
		int ret = state_get(vcpu_pools[i], &u->vcpu_state, vcpu);

		if (ret == 0 && u->vcpu_init != NULL) {
			ret = u->vcpu_init(vcpu);
			if (ret != 0) {
				state_put(vcpu_pools[i], &u->vcpu_state, vcpu);
			}
		}
		if (ret != 0) {
			vcpu_undo(vcpu, i);
			return ret;
		}
	}
	return 0;
}

void unit_vcpu_reset(struct vcpu *vcpu)
{
	for (uint32_t i = 0U; i < unit_count; i++) {
		if (sorted[i]->vcpu_reset != NULL) {
			sorted[i]->vcpu_reset(vcpu);
		}
	}
}

void unit_vcpu_deinit(struct vcpu *vcpu)
{
	vcpu_undo(vcpu, unit_count);
}
