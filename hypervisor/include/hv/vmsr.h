/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_VMSR_H
#define HV_VMSR_H

#include "lib/types.h"

struct vm;
struct vcpu;

/*
 * A range of MSRs the guest may use; registered at the bottom of the file that implements it. read
 * and write return 0, or -EINVAL for #GP(0). NULL means #GP. `msr` is the number accessed.
 * What no range names, or whose `present` says no at boot, is #GP.
 */
struct msr_range {
	uint32_t first, last;
	int (*read)(struct vcpu *vcpu, uint32_t msr, uint64_t *val);
	int (*write)(struct vcpu *vcpu, uint32_t msr, uint64_t val);
	bool pass_read, pass_write; /* does not exit: the guest uses the register itself */
	bool (*present)(void);	    /* asked once at boot; NULL: always */
};

#define VMSR(name_) static const struct msr_range vmsr_##name_ __used __section("hv_vmsrs") __aligned(8)

/* Change what exits for this VM: used by vapic/ for the x2APIC registers APICv serves itself. */
void vmsr_intercept(struct vm *vm, uint32_t msr, bool read, bool write);

/* Registers of `from` leave the processor (NULL: nobody's), those of `to` come; on their CPU. */
void vmsr_switch(struct vcpu *from, const struct vcpu *to);

/* The guest sets EFER.SCE. Own CPU. */
void vmsr_syscall_on(struct vcpu *vcpu);

/* As RDMSR and WRMSR of the guest, for the emulated ones. -EINVAL: #GP(0). Own CPU. */
int vmsr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *val);
int vmsr_write(struct vcpu *vcpu, uint32_t msr, uint64_t val);

/*
 * Live in the processor while the vCPU does; the guest's writes exit, so they are known. Those of
 * SYSCALL are there only once the guest may use it: until then it reads them by an exit.
 */
struct quiet_msrs {
	uint64_t syscall[4]; /* STAR, LSTAR, CSTAR, FMASK: numbered one after the other */
	uint64_t tsc_aux;
	bool syscall_on; /* EFER.SCE is set, or was */
};

/*
 * What a vCPU's MSRs hold. The last group lives in the processor while the vCPU does, and is
 * right here only while another one runs.
 */
struct vcpu_msrs {
	uint64_t pat; /* the guest's; with CR0.CD the VMCS holds another */
	uint64_t tsc_adjust;
	uint64_t misc_enable;

	struct quiet_msrs quiet;

	uint64_t kernel_gs_base;
	uint64_t spec_ctrl;
};

#endif
