/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VAPIC_MACHINE_H
#define VAPIC_MACHINE_H

/*
 * VMs with virtual interrupt controllers over the fake processor: the real files of vapic/,
 * vioapic.c, vintr.c and unit.c, and around them a core that writes down what it was asked for.
 * vCPU n of a VM is bound to pCPU n; test_cpu() says on which CPU the code now runs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "asm/apic.h"
#include "asm/cpuregs.h"
#include "asm/msr.h"
#include "asm/vmx_insn.h"
#include "lib/errno.h"
#include "hv/caps.h"
#include "hv/irq.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/timer.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vintr.h"
#include "hv/vio.h"
#include "hv/vioapic.h"
#include "hv/vlapic.h"
#include "hv/vm.h"
#include "fake_machine.h"

#define TEST_VMS   2U
#define TEST_VCPUS 3U
#define TEST_PINS  24U /* of the physical IOAPIC */

/* The machine has exactly these APICv features when the VMs are made. */
void machine_start(const enum cpu_cap *caps, uint32_t count, enum vm_load_order first);
void machine_stop(void);

/* Most tests: no APICv at all, VM 0 a User VM. cmocka set-up and tear-down. */
int machine_setup(void **state);
int machine_teardown(void **state);

extern struct vm test_vms[TEST_VMS];
struct vcpu *test_vcpu(uint32_t vm, uint32_t id);
void test_cpu(uint32_t id);

/* What the core was asked for, per vCPU (VM * TEST_VCPUS + id). */
struct vcpu_log {
	uint32_t requests, nmis, inits, sipis, gps, uds, wakes;
	uint8_t sipi_vector;
};
struct vcpu_log *vcpu_log(const struct vcpu *vcpu);
extern uint32_t test_ipis;	/* lapic_send_ipi() */
extern uint32_t test_last_ipi;	/* its APIC id */
extern uint32_t test_triple_faults;

/* Guest accesses. Writes return 0 or -EINVAL (#GP), MMIO goes by the registered regions. */
int rdmsr(struct vcpu *vcpu, uint32_t msr, uint64_t *val);
int wrmsr(struct vcpu *vcpu, uint32_t msr, uint64_t val);
uint64_t mmio_get(struct vcpu *vcpu, uint64_t addr, uint8_t width);
void mmio_put(struct vcpu *vcpu, uint64_t addr, uint8_t width, uint64_t val);
uint32_t port_get(struct vcpu *vcpu, uint16_t port);
void port_put(struct vcpu *vcpu, uint16_t port, uint8_t val);
/* An xAPIC register. */
uint32_t apic_get(struct vcpu *vcpu, uint32_t offset);
void apic_put(struct vcpu *vcpu, uint32_t offset, uint32_t val);
/* An x2APIC register that must not fault. */
uint64_t x2_get(struct vcpu *vcpu, uint32_t offset);
void x2_put(struct vcpu *vcpu, uint32_t offset, uint64_t val);
void x2apic_on(struct vcpu *vcpu);

/* A VM exit with this reason and qualification. */
void vm_exit(struct vcpu *vcpu, uint32_t reason, uint64_t qualification);

/*
 * Go through VM entry: requests are served, and the vector the entry injects is returned, -1 if
 * none. With RFLAGS.IF and no blocking unless the test says otherwise in the VMCS. An interrupt
 * window that is wanted and open exits first.
 */
int vm_enter(struct vcpu *vcpu);

/* Let time pass up to `tsc`: due timers of all CPUs fire. */
void time_to(uint64_t tsc);

/* The physical IOAPIC and host vectors. */
extern uint64_t phys_rte[TEST_PINS];
extern uint32_t phys_rte_writes;
void phys_interrupt(uint8_t vector); /* calls the registered handler, on the CPU set */
uint32_t host_vectors_used(void);

/* What vmsr_intercept() said last for an MSR of a VM; true at first. */
bool msr_exits(uint32_t vm, uint32_t msr, bool write);

/* EPT of a VM at the APIC's page: where it maps to, 0: nowhere. */
extern uint64_t ept_apic_page[TEST_VMS];
extern uint32_t test_emulated; /* calls of inst_emulate() */

#endif
