// SPDX-License-Identifier: BSD-3-Clause
/*
 * The VM exits of a vCPU in the log of a debug build: how many for each reason (SDM 3D appendix C).
 * Called when a vCPU is taken down, on its own CPU, and for all vCPUs before the machine is reset,
 * when those of other CPUs may still run: theirs are as of then. Takes no lock, changes nothing.
 */
#include "hv/log.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "lib/printf.h"
#include "config.h"

#define TEXT_MAX  224U /* what a line of the log holds beside its head */
#define ENTRY_MAX 25U  /* " 69:" and 20 digits, and the end */

static void (*next_check)(struct vm *held);

static void log_exits(const struct vcpu *vcpu)
{
	char text[TEXT_MAX];
	size_t at = 0U;

	for (uint32_t reason = 0U; reason < EXIT_REASONS; reason++) {
		uint64_t count = vcpu->exits[reason];

		if (count != 0U) {
			at += (size_t)snprintf(&text[at], sizeof(text) - at, " %u:%lu", reason,
					       count);
		}
		if (at > sizeof(text) - ENTRY_MAX || (reason == EXIT_REASONS - 1U && at != 0U)) {
			pr_info("VM %u vCPU %u exits:%s", vcpu->vm->id, vcpu->id, text);
			at = 0U;
		}
	}
}

static void exit_stats_vcpu_deinit(struct vcpu *vcpu)
{
	log_exits(vcpu);
}

/* No VM is held before a reset only: elsewhere the vCPUs have spoken as they went. */
static void check(struct vm *held)
{
	for (uint16_t i = 0U; held == NULL && i < CONFIG_MAX_VM_NUM; i++) {
		const struct vm *vm = vm_by_id(i);

		for (uint16_t n = 0U; vm_is_live(vm) && n < vm->vcpu_count; n++) {
			const struct vcpu *vcpu = vm->vcpus[n];

			if (vcpu != NULL) {
				log_exits(vcpu);
			}
		}
	}
	if (next_check != NULL) {
		next_check(held);
	}
}

static int exit_stats_boot(void)
{
	next_check = vm_check;
	vm_check = check;
	return 0;
}

UNIT(exit_stats) = {
	.name = "exit statistics",
	.level = UNIT_CORE + 1U, /* after the checker, which this goes before */
	.boot = exit_stats_boot,
	.vcpu_deinit = exit_stats_vcpu_deinit,
};
