// SPDX-License-Identifier: BSD-3-Clause
/*
 * What Bochs (2.7, 3.0) does wrong below a hypervisor, and the ways round it. Nothing of this runs
 * on another machine, and `quirks=off` on the command line switches it off in Bochs.
 * 1. With several CPUs a guest's fault is lost when an exit comes before its handler's first
 *    instruction: RIP is the faulting instruction's, the rest is the handler's. mend() puts the
 *    state of before the fault back from the frame on the stack (64-bit guests only).
 * 2. A virtual interrupt is delivered into a guest with interrupts off when a physical one waits:
 *    no virtual-interrupt delivery. A posted-interrupt notification that finds no request left
 *    becomes vector 0xFF: no posted interrupts.
 * 3. An INIT is no VM exit that one could rely on: a CPU whose APIC a guest owns is kicked by NMI.
 * Own CPU of the vCPU, no lock.
 */
#include "asm/cpuregs.h"
#include "asm/insn.h"
#include "hv/acpi.h"
#include "hv/boot.h"
#include "hv/caps.h"
#include "hv/gmem.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/unit.h"
#include "hv/vm.h"
#include "hv/vmcs.h"
#include "hv/vmexit.h"
#include "lib/string.h"

#define RFLAGS_KNOWN  0x3F7FD7UL /* bits 3, 5, 15 and 22 on are reserved */
#define SEL_TABLE_LDT BIT(2)
#define AR_LONG	      BIT32(13)
#define AR_UNUSABLE   BIT32(16)
#define PORT_E9	      0xE9U

struct frame {
	uint64_t rip, cs, rflags, rsp, ss;
};

/* Segment `index` (ES CS SS ...) as a load from the guest's GDT makes it. */
static bool reload_segment(struct vcpu *vcpu, uint32_t index, uint64_t sel)
{
	struct gmem_fault fault;
	uint64_t desc, limit, gdt = vmcs_read(VMCS_GUEST_GDTR_BASE);

	vmcs_write(VMCS_GUEST_ES_SEL + 2U * index, sel);
	if ((sel & 0xFFFCU) == 0U) { /* SS of a 64-bit kernel */
		vmcs_write(VMCS_GUEST_ES_AR + 2U * index, AR_UNUSABLE | ((sel & 3U) << 5));
		return true;
	}
	if ((sel & SEL_TABLE_LDT) != 0U || gmem_read_gva(vcpu, GVA(gdt + (sel & 0xFFF8U)), &desc,
							 sizeof(desc), GMEM_SYSTEM, &fault) != 0) {
		return false;
	}
	limit = (desc & 0xFFFFU) | ((desc >> 32) & 0xF0000U);
	if ((desc & BIT(55)) != 0U) {
		limit = (limit << 12) | 0xFFFU;
	}
	vmcs_write(VMCS_GUEST_ES_BASE + 2U * index,
		   ((desc >> 16) & 0xFFFFFFU) | ((desc >> 32) & 0xFF000000U));
	vmcs_write(VMCS_GUEST_ES_LIMIT + 2U * index, limit);
	vmcs_write(VMCS_GUEST_ES_AR + 2U * index, ((desc >> 40) & 0xF0FFU) | 1U);
	return true;
}

/*
 * What lies at the stack pointer may be a return address to this very RIP, left by an earlier call.
 * A fault pushes flags with RF, on a stack that it aligns to 16 bytes, right below the interrupted
 * code's stack pointer unless it came from user mode. `end` is the address behind the frame.
 */
static bool is_frame(const struct frame *f, uint64_t rip, uint64_t end)
{
	return f->rip == rip && f->cs <= UINT16_MAX && f->ss <= UINT16_MAX && (end & 15U) == 0U &&
	       (f->rflags & ~RFLAGS_KNOWN) == 0U && (f->rflags & RFLAGS_FIXED) != 0U &&
	       (f->rflags & RFLAGS_RF) != 0U && ((f->cs & 3U) != 0U || (f->rsp & ~15UL) == end);
}

static void mend(struct vcpu *vcpu)
{
	uint64_t words[6], rip = vmcs_read(VMCS_GUEST_RIP), rsp = vmcs_read(VMCS_GUEST_RSP);
	const struct frame *f = (const struct frame *)&words[1]; /* behind an error code */
	struct gmem_fault fault;

	if ((vmcs_read32(VMCS_GUEST_CS_AR) & AR_LONG) == 0U ||
	    gmem_read_gva(vcpu, GVA(rsp), words, sizeof(words), 0U, &fault) != 0) {
		return;
	}
	if (!is_frame(f, rip, rsp + sizeof(words))) {
		f = (const struct frame *)words;
		if (!is_frame(f, rip, rsp + sizeof(*f))) {
			return;
		}
	}
	if (!reload_segment(vcpu, 1U, f->cs) || !reload_segment(vcpu, 2U, f->ss)) {
		return;
	}
	vmcs_write(VMCS_GUEST_RSP, f->rsp);
	vmcs_write(VMCS_GUEST_RFLAGS, f->rflags & ~RFLAGS_RF);
}

static vmexit_fn next_interrupt, next_exception, next_timer;

static void interrupt_exit(struct vcpu *vcpu)
{
	mend(vcpu);
	next_interrupt(vcpu);
}

static void exception_exit(struct vcpu *vcpu)
{
	if (INTR_INFO_TYPE(vmcs_read32(VMCS_EXIT_INTR_INFO)) == INTR_TYPE_NMI) {
		mend(vcpu);
	}
	next_exception(vcpu);
}

static void timer_exit(struct vcpu *vcpu)
{
	mend(vcpu);
	next_timer(vcpu);
}

/* Bochs's BIOS signs its tables, and its debug port reads as its own number. */
static bool in_bochs(void)
{
	const char *rsdp = hpa_ptr(HPA(acpi_facts.rsdp_hpa));

	return acpi_facts.rsdp_hpa != 0U && memcmp(&rsdp[9], "BOCHS ", 6U) == 0 &&
	       pio_read8(PORT_E9) == PORT_E9;
}

static int bochs_boot(void)
{
	char opt[8];

	if (!in_bochs()) {
		return 0;
	}
	if (boot_option("quirks", opt, sizeof(opt))) {
		if (strcmp(opt, "off") == 0) {
			return 0;
		}
		report("boot: quirks=%s is not understood; write quirks=off", opt);
	}
	report("boot: Bochs: virtual-interrupt delivery and posted interrupts are not used");
	pcpu_kick_owned_by_nmi = true;
	cap_drop(CAP_VINTR_DELIVERY);
	cap_drop(CAP_POSTED_INTR);
	if (pcpu_count > 1U) {
		next_interrupt = vmexit_replace(EXIT_EXTERNAL_INTR, interrupt_exit);
		next_exception = vmexit_replace(EXIT_EXCEPTION_NMI, exception_exit);
		next_timer = vmexit_replace(EXIT_PREEMPTION_TIMER, timer_exit);
	}
	return 0;
}

UNIT(bochs) = {.name = "bochs", .level = UNIT_CORE, .boot = bochs_boot};
