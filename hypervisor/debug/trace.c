// SPDX-License-Identifier: BSD-3-Clause
/*
 * What trace points of a debug build write: one entry each into the ring of the CPU they are on,
 * with the vCPU whose thread runs there. Any context of root mode, any lock held; takes none, and
 * changes nothing but the ring.
 */
#include "hv/trace.h"
#include "asm/insn.h"
#include "hv/pcpu.h"
#include "hv/rings.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "hv/vmcs.h"

static uint16_t name_of(const struct thread *t)
{
	const struct vcpu *vcpu;

	if (t == &this_pcpu()->idle) {
		return (uint16_t)((uint32_t)TRACE_NO_VM << 8);
	}
	vcpu = container_of(t, struct vcpu, thread);
	return (uint16_t)(((uint32_t)vcpu->vm->id << 8) | (uint8_t)vcpu->id);
}

void trace_write(uint32_t id, uint64_t a, uint64_t b)
{
	const struct pcpu *p = this_pcpu();
	uint16_t who = name_of(p->rq.current);
	const struct trace_entry e = {
		.tsc = rdtsc(),
		.id = id,
		.vm = (uint8_t)(who >> 8),
		.vcpu = (uint8_t)who,
		.n_data = 2U,
		.cpu = (uint8_t)p->id,
		.data = {a, b},
	};

	rings_put(ACRN_SBUF_TRACE, &e);
}

void trace_switch(const struct thread *prev, const struct thread *next)
{
	trace_write(TRACE_SCHED, name_of(prev), name_of(next));
}

/* SDM 3C 28.2: what the VMCS and the registers tell of an exit beside its reason. */
void trace_exit(const struct vcpu *vcpu, uint32_t reason)
{
	uint64_t a, b = 0U;

	trace_write(TRACE_VM_EXIT, reason, vmcs_read(VMCS_GUEST_RIP));
	switch (reason) {
	case EXIT_EXCEPTION_NMI:
	case EXIT_EXTERNAL_INTR:
		a = vmcs_read32(VMCS_EXIT_INTR_INFO);
		break;
	case EXIT_CPUID:
		a = vcpu->gpr[GPR_RAX];
		b = vcpu->gpr[GPR_RCX];
		break;
	case EXIT_VMCALL:
		a = vcpu->gpr[GPR_R8];
		b = vcpu->gpr[GPR_RDI];
		break;
	case EXIT_RDMSR:
	case EXIT_WRMSR:
		a = vcpu->gpr[GPR_RCX];
		b = (vcpu->gpr[GPR_RDX] << 32) | (uint32_t)vcpu->gpr[GPR_RAX];
		break;
	case EXIT_CR_ACCESS:
	case EXIT_APIC_ACCESS:
		a = vmcs_read(VMCS_EXIT_QUALIFICATION);
		break;
	case EXIT_IO:
		a = vmcs_read(VMCS_EXIT_QUALIFICATION);
		b = vcpu->gpr[GPR_RAX];
		break;
	case EXIT_EPT_VIOLATION:
	case EXIT_EPT_MISCONFIG:
		a = vmcs_read(VMCS_EXIT_QUALIFICATION);
		b = vmcs_read(VMCS_GUEST_PHYS_ADDR);
		break;
	default:
		return;
	}
	trace_write(TRACE_EXIT_DETAIL + reason, a, b);
}
