// SPDX-License-Identifier: BSD-3-Clause
/*
 * The registered units (hv/unit.h): sorted once by level at boot, then their hooks are run for VMs
 * and vCPUs as these are made, reset, switched and destroyed. Called by vm.c and vcpu.c; takes no
 * lock: the sorted table does not change after boot.
 */
#include "hv/unit.h"
#include "hv/log.h"
#include "hv/vcpu.h"
#include "hv/vm.h"

#define MAX_UNITS 32U

extern const struct unit __start_hv_units[] __attribute__((visibility("hidden")));
extern const struct unit __stop_hv_units[] __attribute__((visibility("hidden")));

static const struct unit *sorted[MAX_UNITS];
static uint32_t unit_count;

/*
 * The hooks of the switch between vCPUs, which is part of every trip to the device model: only
 * those there are, in the order they run, NULL at the end.
 */
static void (*outs[MAX_UNITS + 1U])(struct vcpu *vcpu);
static void (*ins[MAX_UNITS + 1U])(struct vcpu *vcpu);

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

static void collect_switch_hooks(void)
{
	uint32_t in = 0U, out = 0U;

	for (uint32_t i = 0U; i < unit_count; i++) {
		if (sorted[i]->switch_in != NULL) {
			ins[in++] = sorted[i]->switch_in;
		}
		if (sorted[unit_count - 1U - i]->switch_out != NULL) {
			outs[out++] = sorted[unit_count - 1U - i]->switch_out;
		}
	}
	ins[in] = NULL;
	outs[out] = NULL;
}

int unit_boot(void)
{
	sort_units();
	collect_switch_hooks();
	for (uint32_t i = 0U; i < unit_count; i++) {
		int ret = (sorted[i]->boot != NULL) ? sorted[i]->boot() : 0;

		if (ret != 0) {
			pr_fatal("%s: start failed: %d", sorted[i]->name, ret);
			return ret;
		}
	}
	return 0;
}

/* The hooks below differ only in which member runs, on what, and in which direction. */
#define RUN_INIT(hook, undo, obj)                                                                  \
	do {                                                                                       \
		for (uint32_t i_ = 0U; i_ < unit_count; i_++) {                                    \
			int ret_ = (sorted[i_]->hook != NULL) ? sorted[i_]->hook(obj) : 0;         \
			if (ret_ == 0)                                                             \
				continue;                                                          \
			while (i_-- > 0U) {                                                        \
				if (sorted[i_]->undo != NULL)                                      \
					sorted[i_]->undo(obj);                                     \
			}                                                                          \
			return ret_;                                                               \
		}                                                                                  \
		return 0;                                                                          \
	} while (0)

#define RUN_UP(hook, obj)                                                                          \
	do {                                                                                       \
		for (uint32_t i_ = 0U; i_ < unit_count; i_++) {                                    \
			if (sorted[i_]->hook != NULL)                                              \
				sorted[i_]->hook(obj);                                             \
		}                                                                                  \
	} while (0)

#define RUN_DOWN(hook, obj)                                                                        \
	do {                                                                                       \
		for (uint32_t i_ = unit_count; i_-- > 0U;) {                                       \
			if (sorted[i_]->hook != NULL)                                              \
				sorted[i_]->hook(obj);                                             \
		}                                                                                  \
	} while (0)

int unit_vm_init(struct vm *vm)
{
	RUN_INIT(vm_init, vm_deinit, vm);
}

void unit_vm_reset(struct vm *vm)
{
	RUN_UP(vm_reset, vm);
}

void unit_vm_deinit(struct vm *vm)
{
	RUN_DOWN(vm_deinit, vm);
}

int unit_vcpu_init(struct vcpu *vcpu)
{
	RUN_INIT(vcpu_init, vcpu_deinit, vcpu);
}

void unit_vcpu_reset(struct vcpu *vcpu)
{
	RUN_UP(vcpu_reset, vcpu);
}

void unit_vcpu_deinit(struct vcpu *vcpu)
{
	RUN_DOWN(vcpu_deinit, vcpu);
}

void unit_switch_out(struct vcpu *vcpu)
{
	for (uint32_t i = 0U; outs[i] != NULL; i++) {
		outs[i](vcpu);
	}
}

void unit_switch_in(struct vcpu *vcpu)
{
	for (uint32_t i = 0U; ins[i] != NULL; i++) {
		ins[i](vcpu);
	}
}
