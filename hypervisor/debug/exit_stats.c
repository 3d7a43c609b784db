// SPDX-License-Identifier: BSD-3-Clause
/*
 * The VM exits of a vCPU in a debug build: how many for each reason (SDM 3D appendix C), and what
 * they cost, in ticks of the TSC from the exit to the coming entry. In the log when a vCPU is taken
 * down, on its own CPU, and for all vCPUs before the machine is reset, when those of other CPUs may
 * still run; in the shell at any time. Counting is each vCPU's own CPU's, others read what is there;
 * no lock but that of the VM whose vCPUs the shell shows.
 */
#include "asm/insn.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/shell.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "hv/vmexit.h"
#include "lib/errno.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "config.h"

#define TEXT_MAX  224U /* what a line of the log holds beside its head */
#define ENTRY_MAX 25U  /* " 69:" and 20 digits, and the end */

/* Of the exits of one reason that were done without giving the CPU away meanwhile. */
struct cost {
	uint64_t sum; /* TSC ticks */
	uint32_t timed;
	uint32_t min, max;
};

static struct cost *costs; /* [VM][vCPU][reason] */
static uint32_t vcpus_per_vm;
static void (*next_check)(struct vm *held);

static struct cost *costs_of(const struct vcpu *vcpu)
{
	return &costs[((uint32_t)vcpu->vm->id * vcpus_per_vm + vcpu->id) * EXIT_REASONS];
}

static void account(struct vcpu *vcpu, uint32_t reason, uint64_t start)
{
	uint32_t ticks = (uint32_t)MIN(rdtsc() - start, (uint64_t)UINT32_MAX);
	struct cost *c;

	/* Waiting is not a cost: others ran. */
	if (reason >= EXIT_REASONS || vcpu->thread.run_start > start) {
		return;
	}
	c = &costs_of(vcpu)[reason];
	c->min = (c->timed == 0U) ? ticks : MIN(c->min, ticks);
	c->max = MAX(c->max, ticks);
	c->sum += ticks;
	c->timed++;
}

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

static int exit_stats_vcpu_init(struct vcpu *vcpu)
{
	(void)memset(costs_of(vcpu), 0, EXIT_REASONS * sizeof(struct cost));
	return 0;
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
	vcpus_per_vm = MIN((uint32_t)pcpu_count, VM_MAX_VCPUS);
	costs = boot_alloc((size_t)CONFIG_MAX_VM_NUM * vcpus_per_vm * EXIT_REASONS *
				   sizeof(struct cost),
			   64U);
	vmexit_account = account;
	return 0;
}

UNIT(exit_stats) = {
	.name = "exit statistics",
	.level = UNIT_CORE + 1U, /* after the checker, which this goes before */
	.boot = exit_stats_boot,
	.vcpu_init = exit_stats_vcpu_init,
	.vcpu_deinit = exit_stats_vcpu_deinit,
};

static const char *const reason_names[EXIT_REASONS] = {
	[EXIT_EXCEPTION_NMI] = "exception or NMI",
	[EXIT_EXTERNAL_INTR] = "interrupt",
	[EXIT_INTR_WINDOW] = "interrupt window",
	[EXIT_CPUID] = "CPUID",
	[EXIT_HLT] = "HLT",
	[EXIT_VMCALL] = "VMCALL",
	[EXIT_CR_ACCESS] = "CR access",
	[EXIT_DR_ACCESS] = "DR access",
	[EXIT_IO] = "port I/O",
	[EXIT_RDMSR] = "RDMSR",
	[EXIT_WRMSR] = "WRMSR",
	[EXIT_PAUSE] = "PAUSE",
	[EXIT_TPR_THRESHOLD] = "TPR below threshold",
	[EXIT_APIC_ACCESS] = "APIC access",
	[EXIT_VIRTUAL_EOI] = "virtual EOI",
	[EXIT_EPT_VIOLATION] = "EPT violation",
	[EXIT_EPT_MISCONFIG] = "EPT misconfiguration",
	[EXIT_PREEMPTION_TIMER] = "preemption timer",
	[EXIT_WBINVD] = "WBINVD",
	[EXIT_XSETBV] = "XSETBV",
	[EXIT_APIC_WRITE] = "APIC write",
};

static uint16_t stats_first, stats_last; /* VMs the command asked for */

static void print_reason(const struct vcpu *vcpu, uint32_t reason)
{
	const struct cost *c = &costs_of(vcpu)[reason];
	const char *name = (reason_names[reason] != NULL) ? reason_names[reason] : "";

	shell_print("%5u %4u %6u %-20s %10lu %10u %8u %8lu %10u %12lu", vcpu->vm->id, vcpu->id,
		    reason, name, vcpu->exits[reason], c->timed, c->min,
		    (c->timed != 0U) ? c->sum / c->timed : 0U, c->max, c->sum);
}

/* A row is a vCPU. */
static bool stats_row(uint32_t i)
{
	struct vm *vm = vm_by_id((uint16_t)(stats_first + i / vcpus_per_vm));
	uint32_t id = i % vcpus_per_vm;

	if (i == 0U) {
		shell_print("VM_ID VCPU REASON                           COUNT      TIMED      MIN     "
			    "MEAN        MAX        TOTAL");
	}
	if (vm == NULL || vm->id > stats_last) {
		return false;
	}
	if (!vm_is_live(vm)) {
		return true;
	}
	if (!spin_trylock(&vm->lock)) {
		if (id == 0U) {
			shell_print("%5u busy, ask again", vm->id);
		}
		return true;
	}
	for (uint32_t r = 0U; vm_is_live(vm) && id < vm->vcpu_count && r < EXIT_REASONS; r++) {
		if (vm->vcpus[id]->exits[r] != 0U) {
			print_reason(vm->vcpus[id], r);
		}
	}
	spin_unlock(&vm->lock);
	return true;
}

static int vm_stats(uint32_t argc, char **argv)
{
	uint64_t id = 0U;

	if (argc > 2U || (argc == 2U && !shell_number(argv[1], CONFIG_MAX_VM_NUM - 1U, &id))) {
		return -EINVAL;
	}
	stats_first = (uint16_t)id;
	stats_last = (argc == 2U) ? stats_first : (uint16_t)(CONFIG_MAX_VM_NUM - 1U);
	shell_rows(stats_row);
	return 0;
}
SHELL_CMD("vm_stats", "[vm id]", "VM exits and what they cost, in TSC ticks", vm_stats);
