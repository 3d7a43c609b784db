/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_VINTR_H
#define HV_VINTR_H

#include "lib/types.h"

struct vm;
struct vcpu;

#define VINTR_DEST_ALL 0xFFFFFFFFU

/* A message to local APICs: what IOAPIC pins, MSIs and IPIs have in common. */
struct vintr_msg {
	uint32_t dest; /* the sender has widened an 8-bit physical broadcast to VINTR_DEST_ALL */
	bool logical;
	bool level;    /* trigger mode */
	bool redirect; /* lowest priority or redirection hint: one of the destinations */
	uint8_t mode;  /* APIC_DM_x */
	uint8_t vector;
};

/*
 * How a VM's vCPUs get interrupts, chosen once when the VM is created: virtual LAPICs (vapic/) or
 * its own physical ones (guest/lapic_pt.c).
 */
struct vintr_ops {
	/* On the vCPU's CPU before VM entry, when REQ_EVENT was set: make the best one arrive. */
	void (*inject)(struct vcpu *vcpu);
	/* It is on its CPU again, where another one was; may be NULL. */
	void (*switched_in)(struct vcpu *vcpu);
	/* A HLT would end: an interrupt the guest would take is waiting (RFLAGS.IF not looked at).
	 */
	bool (*pending)(struct vcpu *vcpu);
	/* Deliver to all who match; any CPU. Reserved modes and nobody there are dropped. */
	void (*deliver)(struct vm *vm, const struct vintr_msg *msg);
	/* A fixed edge-triggered interrupt, vector 16 or above, for one vCPU; any CPU. */
	void (*post)(struct vcpu *vcpu, uint8_t vector);
	/* A legacy line (8259 numbering, 0-15) changed; any CPU. */
	void (*pic_line)(struct vm *vm, uint32_t pin, bool high);
	/* MOV from and to CR8 where they exit (no TPR shadow): bits 7:4 of the TPR. Own CPU. */
	uint64_t (*cr8)(struct vcpu *vcpu);
	void (*set_cr8)(struct vcpu *vcpu, uint64_t val);
	/* IA32_APIC_BASE, IA32_TSC_DEADLINE and the x2APIC registers, as struct msr_range has it. */
	int (*read_msr)(struct vcpu *vcpu, uint32_t msr, uint64_t *val);
	int (*write_msr)(struct vcpu *vcpu, uint32_t msr, uint64_t val);
	/* vcpu->tsc_offset has changed: a TSC deadline is nearer or farther now. Own CPU; may be
	 * NULL. */
	void (*tsc_moved)(struct vcpu *vcpu);
};

/* Messages of a VM's physical devices (vm->msi_ops). */
struct msi_ops {
	/*
	 * The guest wrote message `index` of its device: what the physical device must send for the
	 * VM to get (addr, data). Again for the same message: it changed. -EINVAL, -ENOSPC.
	 */
	int (*remap)(struct vm *vm, uint16_t bdf, uint16_t index, uint64_t addr, uint32_t data,
		     uint64_t *out_addr, uint32_t *out_data);
	void (*release)(struct vm *vm, uint16_t bdf); /* the device's messages are switched off */
};

/* MSI address and data (SDM 3A 11.11) of this VM; -EINVAL when it is not an interrupt message. */
int vintr_msi(struct vm *vm, uint64_t addr, uint32_t data);

/*
 * Drive a GSI of the VM: its IOAPIC pin and, below 16, the PIC pin (GSI 2 is PIC line 0).
 * op as HC_SET_IRQLINE: 0 high, 1 low, 2 rising pulse, 3 falling pulse. High means asserted,
 * whatever polarity the guest chose for the pin: a virtual line has no voltage. -EINVAL.
 */
#define GSI_SET_HIGH	  0U
#define GSI_SET_LOW	  1U
#define GSI_RISING_PULSE  2U
#define GSI_FALLING_PULSE 3U
int vintr_set_gsi(struct vm *vm, uint32_t gsi, uint32_t op);

#endif
