// SPDX-License-Identifier: BSD-3-Clause
/*
 * VM exit dispatch: the reason indexes a table of handlers that the implementing files registered
 * (`grep -rn '^VMEXIT('` prints it). Runs on the vCPU's own CPU and stack, interrupts off, no lock
 * and nothing global but the table, which is read-only after boot. Counting is one increment.
 */
#include "hv/vmexit.h"
#include "asm/insn.h"
#include "hv/irq.h"
#include "hv/log.h"
#include "hv/trace.h"
#include "hv/vcpu_loop.h"
#include "hv/vevent.h"
#include "hv/vm.h"
#include "hv/vmcs.h"
#include "lib/kconfig.h"

extern const struct vmexit_entry __start_hv_vmexits[] __attribute__((visibility("hidden")));
extern const struct vmexit_entry __stop_hv_vmexits[] __attribute__((visibility("hidden")));

void (*vmexit_account)(struct vcpu *vcpu, uint32_t reason, uint64_t start);

static vmexit_fn handlers[EXIT_REASONS];
static vmexit_fn table[EXIT_REASONS]; /* what an exit calls: the handler, or what comes before it */

/* Reasons that can end the delivery of an event to the guest, which must then be given again. */
#define MAY_CUT_DELIVERY                                                                           \
	(BIT(EXIT_EXCEPTION_NMI) | BIT(EXIT_TASK_SWITCH) | BIT(EXIT_APIC_ACCESS) |                 \
	 BIT(EXIT_EPT_VIOLATION) | BIT(EXIT_EPT_MISCONFIG) | BIT(EXIT_PML_FULL))

static void unexpected(struct vcpu *vcpu)
{
	pr_err("VM %u vCPU %u: exit 0x%x not handled: rip 0x%lx qualification 0x%lx", vcpu->vm->id,
	       vcpu->id, vmcs_read32(VMCS_EXIT_REASON), vmcs_read(VMCS_GUEST_RIP),
	       vmcs_read(VMCS_EXIT_QUALIFICATION));
	vcpu_inject_ud(vcpu);
}

/* VM entry refused the guest's state (bit 31 of the reason): as fatal to it as a triple fault. */
static void entry_refused(struct vcpu *vcpu)
{
	pr_err("VM %u vCPU %u: VM entry refused: reason 0x%x qualification %lu rip 0x%lx",
	       vcpu->vm->id, vcpu->id, vmcs_read32(VMCS_EXIT_REASON),
	       vmcs_read(VMCS_EXIT_QUALIFICATION), vmcs_read(VMCS_GUEST_RIP));
	vcpu->vm->on_triple_fault(vcpu);
}

/* In place of the handler for those reasons, so that the others need not be asked. */
static void may_cut_delivery(struct vcpu *vcpu)
{
	vevent_idt_vectoring(vcpu);
	handlers[vmcs_read32(VMCS_EXIT_REASON)](vcpu);
}

static void set_handler(uint32_t reason, vmexit_fn fn)
{
	bool cuts = reason < 64U && (BIT(reason) & MAY_CUT_DELIVERY) != 0U;

	handlers[reason] = fn;
	table[reason] = cuts ? may_cut_delivery : fn;
}

void vmexit_init(void)
{
	for (uint32_t i = 0U; i < EXIT_REASONS; i++) {
		set_handler(i, unexpected);
	}
	for (const struct vmexit_entry *e = __start_hv_vmexits; e < __stop_hv_vmexits; e++) {
		if (e->reason >= EXIT_REASONS || handlers[e->reason] != unexpected) {
			panic("two handlers for VM exit %u", e->reason);
		}
		set_handler(e->reason, e->fn);
	}
}

vmexit_fn vmexit_replace(uint32_t reason, vmexit_fn fn)
{
	vmexit_fn old = handlers[reason];

	set_handler(reason, fn);
	return old;
}

void vmexit_handle(struct vcpu *vcpu)
{
	uint64_t start = IS_ENABLED(CONFIG_DEBUG) ? rdtsc() : 0U;
	uint32_t reason = vmcs_read32(VMCS_EXIT_REASON);

	if (trace_wanted()) {
		trace_exit(vcpu, reason);
	}
	if (likely(reason < EXIT_REASONS)) {
		vcpu->exits[reason]++;
		table[reason](vcpu);
	} else {
		entry_refused(vcpu);
	}
	if (unlikely(vcpu->requests != 0U)) {
		vcpu_loop_serve(vcpu);
	}
	if (IS_ENABLED(CONFIG_DEBUG) && vmexit_account != NULL) {
		vmexit_account(vcpu, reason, start);
	}
	trace(TRACE_VM_ENTER, 0U, 0U);
}

static void external_interrupt(struct vcpu *vcpu)
{
	(void)vcpu;
	irq_dispatch((uint8_t)INTR_INFO_VECTOR(vmcs_read32(VMCS_EXIT_INTR_INFO)));
}
VMEXIT(EXIT_EXTERNAL_INTR, external_interrupt);
