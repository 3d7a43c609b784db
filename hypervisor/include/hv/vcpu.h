/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_VCPU_H
#define HV_VCPU_H

#include "lib/types.h"
#include "lib/atomic.h"
#include "asm/vmx.h"
#include "hv/schedule.h"

struct vm;
struct pcpu;
struct vlapic;
struct vcpu_msrs;
struct inst_cache;

/* Saved by entry.S in this order; the index is the register number of instruction encodings. */
enum guest_gpr {
	GPR_RAX, GPR_RCX, GPR_RDX, GPR_RBX, GPR_RSP, GPR_RBP, GPR_RSI, GPR_RDI,
	GPR_R8, GPR_R9, GPR_R10, GPR_R11, GPR_R12, GPR_R13, GPR_R14, GPR_R15,
	GPR_COUNT,
};

/* Requests: bits another CPU or a handler sets; looked at before every VM entry. */
#define REQ_EVENT     BIT(0) /* a virtual interrupt may be waiting: ask vintr->inject */
#define REQ_EXCEPTION BIT(1) /* vcpu->event has an exception to inject */
#define REQ_NMI	      BIT(2)
#define REQ_RESCHED   BIT(3) /* another thread should run, or the VM is being stopped */
#define REQ_EOI_MAP   BIT(4) /* level-triggered vectors changed: write the EOI exit bitmap */
#define REQ_RESET     BIT(5) /* INIT arrived: become WAIT_SIPI */
#define REQ_TLB_FLUSH BIT(6) /* guest changed paging state: INVVPID */
#define REQ_REINJECT  BIT(7) /* an event whose delivery exited must be delivered again */
#define REQ_EXTINT    BIT(8) /* the virtual PIC's output is high */

enum vcpu_state {
	VCPU_OFFLINE,	/* created, or removed by the guest's owner */
	VCPU_WAIT_SIPI, /* INIT received: waits for a start-up IPI */
	VCPU_RUNNING,
};

/* The event to be injected at the next VM entry, see vevent.c. */
struct vcpu_event {
	uint8_t exception; /* vector, valid with REQ_EXCEPTION */
	bool has_error;
	uint32_t error;
	uint32_t reinject_info; /* interruption info, valid with REQ_REINJECT */
	uint32_t reinject_error;
	uint32_t reinject_len; /* instruction length of a software interrupt */
};

/* Register values for the first entry: power-on, SIPI, or HC_SET_VCPU_REGS. */
struct vcpu_start {
	uint64_t gpr[GPR_COUNT]; /* RSP too */
	uint64_t rip, rflags;
	uint64_t cr0, cr3, cr4, efer;
	struct {
		uint64_t base;
		uint32_t limit;
		uint32_t ar; /* VMCS access-rights format */
		uint16_t sel;
	} seg[8]; /* ES CS SS DS FS GS LDTR TR */
	uint64_t gdt_base, idt_base;
	uint16_t gdt_limit, idt_limit;
};

/*
 * One virtual CPU, bound to a pCPU for life. entry.S pushes the guest's registers into `gpr`, and
 * the same pointer is the stack of the exit handler: the stack lies right below this struct.
 * Fields without a word on it are written by the vCPU's own pCPU only.
 */
struct vcpu {
	uint64_t gpr[GPR_COUNT]; /* at 0; the RSP slot is not used: RSP lives in the VMCS */
	volatile uint64_t requests; /* REQ_x; any CPU, atomically */
	struct vm *vm;
	struct pcpu *pcpu;
	struct vlapic *vlapic;
	struct vcpu_event event;
	uint32_t proc_ctrl; /* what VMCS_PROC_CTRL holds: written only when it changes */
	uint16_t id;
	uint16_t vpid;
	uint32_t apic_id; /* virtual; equals the physical one in the Service VM */
	volatile enum vcpu_state state;
	volatile uint32_t halted; /* waits for requests: they wake its thread */
	uint8_t sipi_vector; /* written by the sender before it wakes us */
	bool from_sipi;	     /* registers as a start-up IPI sets them, else as in `start` */
	bool started;	     /* VMCS has been launched since it was cleared */
	struct thread thread;
	struct vcpu_msrs *msrs; /* vmsr.c */
	struct inst_cache *insts; /* inst_cache.c */
	uint64_t tsc_offset;
	uint64_t cr2, dr[4], dr6; /* while another vCPU runs */
	bool dr_used;		  /* the debug registers are in the processor while the vCPU is */
	void *fpu;		  /* XSAVE area, while another vCPU runs */
	uint64_t xcr0, xss;
	hpa_t vmcs_hpa;
	struct vcpu_start start;
	uint64_t exits[EXIT_REASONS]; /* statistics */
};

/* Any CPU: set request bits; the vCPU looks at them soon even if it is in the guest or blocked. */
void vcpu_request(struct vcpu *vcpu, uint64_t reqs);

/* Own CPU, from an exit handler: set request bits for the coming entry, no kick. */
static inline void vcpu_request_self(struct vcpu *vcpu, uint64_t reqs)
{
	(void)atomic_or64(&vcpu->requests, reqs);
}

/*
 * The instruction that exited is done: RIP moves by its length, STI and MOV-SS blocking end, and
 * with RFLAGS.TF set the single-step trap becomes pending (SDM 3C 25.2, 27.3.4). Own CPU.
 */
void vcpu_skip(struct vcpu *vcpu);

/*
 * The same for exits that do not give the instruction's length: the decoder knows it. A length of 0
 * is one element of a repeated string instruction.
 */
void vcpu_skip_by(struct vcpu *vcpu, uint32_t len);

/* A fault or abort for the guest at the coming entry (vevent.c merges into #DF, triple fault). */
void vcpu_inject(struct vcpu *vcpu, uint8_t vector, uint32_t error);
void vcpu_inject_gp(struct vcpu *vcpu); /* #GP(0) */
void vcpu_inject_ud(struct vcpu *vcpu);
void vcpu_inject_pf(struct vcpu *vcpu, gva_t addr, uint32_t error); /* sets CR2 */
void vcpu_inject_nmi(struct vcpu *vcpu); /* any CPU */

/* INIT and start-up IPIs from another vCPU (SDM 3A 9.4.4). Any CPU. */
void vcpu_init_signal(struct vcpu *vcpu);
void vcpu_sipi(struct vcpu *vcpu, uint8_t vector);

/* HLT: sleep until an interrupt, NMI or INIT is there. Own CPU. */
void vcpu_halt(struct vcpu *vcpu);

/* vCPU of this VM by virtual APIC id, or NULL. */
struct vcpu *vcpu_by_apic_id(struct vm *vm, uint32_t apic_id);

/* General registers, RSP included (it lives in the VMCS). Own CPU. */
uint64_t vcpu_get_gpr(const struct vcpu *vcpu, uint32_t reg);
void vcpu_set_gpr(struct vcpu *vcpu, uint32_t reg, uint64_t val);

/* Register state for a start at power-on (real mode, SDM 3A table 9-1). */
void vcpu_start_power_on(struct vcpu_start *s);

/*
 * Put fn in front of what switches a vCPU in (struct thread), at boot only; returns the one it has
 * to call on.
 */
void (*vcpu_switch_replace(void (*fn)(struct thread *t)))(struct thread *t);

/* A stopped vCPU begins anew: thread, requests, state (vCPU 0 waits for vm_start). */
void vcpu_prepare_thread(struct vcpu *vcpu);

/* vcpu_fpu.c: registers of `from` leave the processor (NULL: nobody's), those of `to` come. */
void vcpu_fpu_switch(struct vcpu *from, const struct vcpu *to);

/* DR6, wherever it is: the exit qualification of a debug exception has its bits in place. Own CPU. */
#define DR6_WRITABLE 0xE00FUL /* B0-B3, BD, BS, BT */
uint64_t vcpu_dr6(const struct vcpu *vcpu);
void vcpu_set_dr6(struct vcpu *vcpu, uint64_t val);

int vcpu_create(struct vm *vm, uint16_t id, struct pcpu *pcpu);
void vcpu_destroy(struct vcpu *vcpu);

#endif
