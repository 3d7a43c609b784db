// SPDX-License-Identifier: BSD-3-Clause
/*
 * Exceptions and NMIs for guests.  A handler asks for an exception with vcpu_inject*(); what meets
 * becomes a double fault or the end of the VM as in a processor (SDM 3A table 6-5).  An event whose
 * delivery an exit cut short is delivered again.  The VMCS is written right before VM entry, by the
 * vCPU's own thread; only vcpu_inject_nmi() may be called elsewhere.  No lock.
 */
#include "asm/cpuregs.h"
#include "asm/insn.h"
#include "hv/cpu.h"
#include "hv/log.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vevent.h"
#include "hv/vm.h"
#include "hv/vmcs.h"
#include "hv/vmexit.h"

/* Vectors that push an error code, and those that count as contributory; #PF is its own class. */
#define HAS_ERROR                                                                                  \
	(BIT32(EXC_DF) | BIT32(EXC_TS) | BIT32(EXC_NP) | BIT32(EXC_SS) | BIT32(EXC_GP) |           \
	 BIT32(EXC_PF) | BIT32(EXC_AC))
#define CONTRIBUTORY                                                                               \
	(BIT32(EXC_DE) | BIT32(EXC_TS) | BIT32(EXC_NP) | BIT32(EXC_SS) | BIT32(EXC_GP))

/* Traps and aborts, and #DB, whose RF the exit has set as it should be. */
#define NOT_FAULTS (BIT32(EXC_DB) | BIT32(EXC_BP) | BIT32(EXC_OF) | BIT32(EXC_DF) | BIT32(EXC_MC))

#define DR7_GD BIT(13)

static bool is_contributory(uint8_t vector)
{
	return vector < 32U && (BIT32(vector) & CONTRIBUTORY) != 0U;
}

/* `second` arises while `first` is being delivered: the fault is in delivering the first. */
static bool is_double_fault(uint8_t first, uint8_t second)
{
	if (is_contributory(first)) {
		return is_contributory(second);
	}
	return first == EXC_PF && (second == EXC_PF || is_contributory(second));
}

/* The exception in progress, if one is: asked for already, or cut in its delivery. */
static bool pending_exception(const struct vcpu *vcpu, uint8_t *vector)
{
	uint32_t info = vcpu->event.reinject_info;

	if ((vcpu->requests & REQ_EXCEPTION) != 0U) {
		*vector = vcpu->event.exception;
		return true;
	}
	*vector = (uint8_t)INTR_INFO_VECTOR(info);
	return (vcpu->requests & REQ_REINJECT) != 0U && INTR_INFO_TYPE(info) == INTR_TYPE_HW_EXC;
}

void vcpu_inject(struct vcpu *vcpu, uint8_t vector, uint32_t error)
{
	uint8_t first;

	if (pending_exception(vcpu, &first)) {
		if (first == EXC_DF &&
		    (is_contributory(vector) || vector == EXC_PF || vector == EXC_DF)) {
			vcpu->vm->on_triple_fault(vcpu);
			return;
		}
		if (is_double_fault(first, vector)) {
			vector = EXC_DF;
			error = 0;
		}
	}
	/*
	 * The exception takes the place of what was being delivered: a fault comes again with its
	 * instruction, and an interrupt would be lost in a processor as well.
	 */
	(void)atomic_and64(&vcpu->requests, ~REQ_REINJECT);
	vcpu->event.exception = vector;
	vcpu->event.has_error = (BIT32(vector & 31U) & HAS_ERROR) != 0U;
	vcpu->event.error = error;
	vcpu_request_self(vcpu, REQ_EXCEPTION);
}

void vcpu_inject_gp(struct vcpu *vcpu)
{
	vcpu_inject(vcpu, EXC_GP, 0);
}

void vcpu_inject_ud(struct vcpu *vcpu)
{
	vcpu_inject(vcpu, EXC_UD, 0);
}

/* CR2 is the guest's while the vCPU is loaded: root mode takes no page faults of its own. */
void vcpu_inject_pf(struct vcpu *vcpu, gva_t addr, uint32_t error)
{
	write_cr2(addr.v);
	vcpu_inject(vcpu, EXC_PF, error);
}

void vcpu_inject_nmi(struct vcpu *vcpu)
{
	vcpu_request(vcpu, REQ_NMI);
}

static bool is_software(uint32_t info)
{
	return INTR_INFO_TYPE(info) == INTR_TYPE_SW_INTR ||
	       INTR_INFO_TYPE(info) == INTR_TYPE_PRIV_SW_EXC ||
	       INTR_INFO_TYPE(info) == INTR_TYPE_SW_EXC;
}

void vevent_idt_vectoring(struct vcpu *vcpu)
{
	uint32_t info = vmcs_read32(VMCS_IDT_VECTORING_INFO);

	if (likely((info & INTR_INFO_VALID) == 0U)) {
		return;
	}
	/* Bit 12 tells of NMI unblocking in the exit's field and is reserved in the entry's. */
	vcpu->event.reinject_info = info & (INTR_INFO_VALID | 0xFFFU);
	vcpu->event.reinject_error = 0;
	vcpu->event.reinject_len = 0;
	if ((info & INTR_INFO_ERROR_CODE) != 0U) {
		vcpu->event.reinject_error = vmcs_read32(VMCS_IDT_VECTORING_ERROR);
	}
	if (is_software(info)) {
		vcpu->event.reinject_len = vmcs_read32(VMCS_EXIT_INSN_LEN);
	}
	/* The NMI has not begun: its blocking, set when delivery did, would keep it out. */
	if (INTR_INFO_TYPE(info) == INTR_TYPE_NMI) {
		vmcs_write(VMCS_GUEST_INTERRUPTIBILITY,
			   vmcs_read(VMCS_GUEST_INTERRUPTIBILITY) & ~(uint64_t)BLOCK_BY_NMI);
	}
	vcpu_request_self(vcpu, REQ_REINJECT);
}

static void entry_event(uint32_t info, uint32_t error, uint32_t len)
{
	if ((info & INTR_INFO_ERROR_CODE) != 0U) {
		vmcs_write(VMCS_ENTRY_ERROR_CODE, error);
	}
	if (is_software(info)) {
		vmcs_write(VMCS_ENTRY_INSN_LEN, len);
	}
	vmcs_write(VMCS_ENTRY_INTR_INFO, info);
}

static void prepare_exception(const struct vcpu_event *e)
{
	uint32_t info = INTR_INFO_VALID | INTR_TYPE(HW_EXC) | e->exception;
	uint32_t blocking = vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY);

	/* The delivery ends these; with them and TF set, VM entry asks for a pending trap besides. */
	if (unlikely((blocking & (BLOCK_BY_STI | BLOCK_BY_MOV_SS)) != 0U)) {
		vmcs_write(VMCS_GUEST_INTERRUPTIBILITY,
			   blocking & ~(BLOCK_BY_STI | BLOCK_BY_MOV_SS));
	}
	/* So that the handler's IRET does not meet a breakpoint on the instruction once more. */
	if ((BIT32(e->exception) & NOT_FAULTS) == 0U) {
		vmcs_write(VMCS_GUEST_RFLAGS, vmcs_read(VMCS_GUEST_RFLAGS) | RFLAGS_RF);
	}

	/* Real mode pushes no error codes, and VM entry insists (SDM 3C 27.2.1.3). */
	if (e->has_error && (vmcs_read(VMCS_GUEST_CR0) & CR0_PE) != 0U) {
		info |= INTR_INFO_ERROR_CODE;
	}
	entry_event(info, e->error, 0);
}

/* An NMI goes in unless blocked, or another event does: then the NMI window exit brings us back. */
static void prepare_nmi(struct vcpu *vcpu)
{
	uint32_t blocking = vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY);
	bool taken = (vmcs_read32(VMCS_ENTRY_INTR_INFO) & INTR_INFO_VALID) != 0U;

	if (taken || (blocking & (BLOCK_BY_NMI | BLOCK_BY_MOV_SS | BLOCK_BY_STI)) != 0U) {
		vmcs_proc_ctrl(vcpu, PROC_NMI_WINDOW, 0);
	} else {
		entry_event(INTR_INFO_VALID | INTR_TYPE(NMI) | EXC_NMI, 0, 0);
	}
}

void vevent_prepare(struct vcpu *vcpu, uint64_t reqs)
{
	const struct vcpu_event *e = &vcpu->event;

	if ((reqs & REQ_EXCEPTION) != 0U) {
		prepare_exception(e);
	} else if ((reqs & REQ_REINJECT) != 0U) {
		entry_event(e->reinject_info, e->reinject_error, e->reinject_len);
	}
	if ((reqs & REQ_NMI) != 0U) {
		prepare_nmi(vcpu);
	}
}

static void nmi_window_exit(struct vcpu *vcpu)
{
	vmcs_proc_ctrl(vcpu, 0, PROC_NMI_WINDOW);
	vcpu_request_self(vcpu, REQ_NMI);
}

/*
 * #DB and #AC are intercepted because a guest can make their delivery fault for ever inside one
 * instruction, which no interrupt ends; the guest gets them as it would have.
 */
static void forward_exception(struct vcpu *vcpu, uint32_t info)
{
	uint8_t vector = (uint8_t)INTR_INFO_VECTOR(info);
	uint32_t error = 0;

	if ((info & INTR_INFO_ERROR_CODE) != 0U) {
		error = vmcs_read32(VMCS_EXIT_ERROR_CODE);
	}
	if (INTR_INFO_TYPE(info) == INTR_TYPE_PRIV_SW_EXC) {
		/* INT1 is a trap: the guest goes on behind it. */
		vmcs_write(VMCS_GUEST_RIP,
			   vmcs_read(VMCS_GUEST_RIP) + vmcs_read32(VMCS_EXIT_INSN_LEN));
	} else if (vector == EXC_DB) {
		vcpu_set_dr6(vcpu, (vcpu_dr6(vcpu) & ~0xFUL) |
					   (vmcs_read(VMCS_EXIT_QUALIFICATION) & DR6_WRITABLE));
		vmcs_write(VMCS_GUEST_DR7, vmcs_read(VMCS_GUEST_DR7) & ~DR7_GD);
	}
	vcpu_inject(vcpu, vector, error);
}

static void exception_nmi_exit(struct vcpu *vcpu)
{
	uint32_t info = vmcs_read32(VMCS_EXIT_INTR_INFO);

	if (INTR_INFO_TYPE(info) == INTR_TYPE_NMI) {
		nmi_exit();
		return;
	}
	if (INTR_INFO_VECTOR(info) == EXC_MC) {
		panic("machine check while VM%u vCPU%u ran at %lx", vcpu->vm->id, vcpu->id,
		      vmcs_read(VMCS_GUEST_RIP));
	}
	forward_exception(vcpu, info);
}

static void triple_fault_exit(struct vcpu *vcpu)
{
	pr_warn("VM%u vCPU%u: triple fault at %lx", vcpu->vm->id, vcpu->id,
		vmcs_read(VMCS_GUEST_RIP));
	vcpu->vm->on_triple_fault(vcpu);
}

static void vevent_vcpu_reset(struct vcpu *vcpu)
{
	(void)vcpu;
	vmcs_write(VMCS_EXCEPTION_BITMAP, BIT32(EXC_DB) | BIT32(EXC_AC) | BIT32(EXC_MC));
}

UNIT(vevent) = {.name = "vevent", .level = UNIT_CPU, .vcpu_reset = vevent_vcpu_reset};
VMEXIT(EXIT_EXCEPTION_NMI, exception_nmi_exit);
VMEXIT(EXIT_NMI_WINDOW, nmi_window_exit);
VMEXIT(EXIT_TRIPLE_FAULT, triple_fault_exit);
