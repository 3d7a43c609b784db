// SPDX-License-Identifier: BSD-3-Clause
/*
 * Exceptions of root mode, from idt.S: an interrupt that woke the idle loop goes to irq_dispatch(),
 * an NMI is noted; anything else is the hypervisor's own mistake and a panic with the registers. No
 * lock: what it touches is this CPU's.
 */
#include "asm/cpuregs.h"
#include "asm/insn.h"
#include "hv/cpu.h"
#include "hv/irq.h"
#include "hv/log.h"
#include "hv/pcpu.h"
#include "hv/boot.h"
#include "hv/vcpu.h"
#include "lib/atomic.h"

extern const struct insn_fixup __start_hv_fixups[] __attribute__((visibility("hidden"), weak));
extern const struct insn_fixup __stop_hv_fixups[] __attribute__((visibility("hidden"), weak));

bool (*exception_expected)(struct intr_frame *f);

/* An instruction that may fault says where it goes on then. */
static bool fix_up(struct intr_frame *f)
{
	for (const struct insn_fixup *x = __start_hv_fixups; x < __stop_hv_fixups; x++) {
		if (f->rip == (uint64_t)((intptr_t)&x->insn + x->insn)) {
			f->rip = (uint64_t)((intptr_t)&x->next + x->next);
			return true;
		}
	}
	return false;
}

static __noreturn void die(const struct intr_frame *f)
{
	report("exception %lu error 0x%lx at 0x%lx rsp 0x%lx cr2 0x%lx", f->vector,
	       f->error, f->rip, f->rsp, read_cr2());
	report(" rax %016lx rbx %016lx rcx %016lx rdx %016lx", f->rax, f->rbx, f->rcx, f->rdx);
	report(" rsi %016lx rdi %016lx rbp %016lx r8  %016lx", f->rsi, f->rdi, f->rbp, f->r8);
	report(" r9  %016lx r10 %016lx r11 %016lx r12 %016lx", f->r9, f->r10, f->r11, f->r12);
	report(" r13 %016lx r14 %016lx r15 %016lx", f->r13, f->r14, f->r15);
	panic("exception %lu in the hypervisor", f->vector);
}

/*
 * Two senders of NMIs: another CPU's hard kick, recognised by its mark, and the machine, whose NMI
 * goes to the guest this CPU runs, as on a machine of its own.
 */
static void take_nmi(struct pcpu *p)
{
	if (panic_in_progress()) {
		cpu_halt_forever();
	}
	if (!atomic_cmpxchg32(&p->nmi_kick, 1U, 0U) && p->loaded != NULL) {
		vcpu_inject_nmi(p->loaded);
	}
	p->kicked_at = 0U;
}

void nmi_exit(void)
{
	take_nmi(this_pcpu());
	smp_call_serve();
}

void exception_entry(struct intr_frame *f)
{
	if (f->vector >= VECTOR_DYN_FIRST) {
		irq_dispatch((uint8_t)f->vector);
	} else if (f->vector == EXC_NMI) {
		/*
		 * Root code was interrupted anywhere: serve nothing here. The IPI, or the preemption
		 * timer, makes a VM entry that is already past its look at the requests exit again.
		 */
		struct pcpu *p = this_pcpu();

		take_nmi(p);
		if (p->lapic_owned == 0U) {
			lapic_send_ipi(p->apic_id, VECTOR_KICK);
		} else if (p->loaded != NULL && sched_arm_guard != NULL) {
			sched_arm_guard(1U); /* an IPI would be the guest's */
		}
	} else if (!fix_up(f) && (exception_expected == NULL || !exception_expected(f))) {
		die(f);
	}
}
