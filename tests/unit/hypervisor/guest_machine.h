/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef GUEST_MACHINE_H
#define GUEST_MACHINE_H

/*
 * VMs for the tests of guest/ and vpci/: the real units over the fake processor, with memory, an
 * EPT of single pages, and exits that a test stages by filling the VMCS and calling test_exit().
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "asm/cpuregs.h"
#include "asm/insn.h"
#include "asm/msr.h"
#include "asm/vmx.h"
#include "asm/vmx_insn.h"
#include "fake_machine.h"
#include "hv/caps.h"
#include "hv/gmem.h"
#include "hv/pcpu.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vcpuid.h"
#include "hv/vcr.h"
#include "hv/vevent.h"
#include "hv/vintr.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "hv/vmsr.h"
#include "lib/errno.h"

#define TEST_VMS   2U
#define TEST_VCPUS 2U
#define TEST_RAM   0x200000UL /* bytes of RAM of a VM, at GPA 0 */

/* A VM's EPT maps this page of its RAM with these attributes; 0 unmaps it. */
void test_ept_attr(struct vm *vm, uint64_t gpa, uint64_t attr);
uint8_t *test_ram(struct vm *vm, uint64_t gpa);
extern uint32_t test_ept_flushes;
/* Elements of repeated string instructions that were announced as done, but the last. */
extern uint32_t test_elements;
/* Pages taken out of and put into the EPT above RAM by the code under test. */
extern uint32_t test_ept_unmaps, test_ept_maps;
extern uint64_t test_ept_last;
/* These pages from test_device on are a device's, mapped 1:1 and uncached in VM 0; 0: none. */
#define TEST_DEVICE_PAGES 2U
extern uint64_t test_device;

/*
 * Start: CPUID leaves of a Skylake-like processor, the MSRs it has, every capability but those in
 * `without` (terminated by CAP_COUNT; NULL: none). VM 0 is a Service VM, VM 1 a User VM.
 */
void guest_start(const enum cpu_cap *without);
void guest_stop(void);
int guest_setup(void **state); /* guest_start(NULL), for cmocka */
int guest_teardown(void **state);

struct vm *test_vm(uint32_t n);
struct vcpu *test_vcpu(uint32_t vm, uint32_t id);

/* The handler registered for this exit reason runs; fails the test when there is none. */
void test_exit(struct vcpu *vcpu, uint32_t reason);

/* Since the last look: an exception (cleared), no exception and RIP moved by len, neither. */
void expect_exception(struct vcpu *vcpu, uint8_t vector, uint32_t error);
void expect_skip(uint64_t len);
void expect_stay(struct vcpu *vcpu);

/* What vm->io_fallback and vm->on_triple_fault were called with. */
extern uint32_t test_fallbacks, test_triple_faults;
extern uint64_t test_fallback_value; /* what reads get */
#define TEST_IO_LOG 32U
struct test_io {
	int kind;
	bool write;
	uint8_t width;
	uint64_t addr, value;
};
extern struct test_io test_io[TEST_IO_LOG]; /* by test_fallbacks */

/* Modes of the guest: VMCS fields set as a guest in that mode has them, paging off or on. */
void mode_real(void);
void mode_protected32(void);
void mode_long64(void);

/* What MSR bitmap and I/O bitmap of the VM say. */
bool msr_exits(const struct vm *vm, uint32_t msr, bool write);
bool port_exits(const struct vm *vm, uint16_t port);

#endif
