/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_VCPUID_H
#define HV_VCPUID_H

#include "lib/types.h"

struct vm;
struct vcpu;

/* What the guest reads (EAX, EBX, ECX, EDX); also for other hypervisor code. Own CPU. */
void vcpuid_get(struct vcpu *vcpu, uint32_t leaf, uint32_t sub, uint32_t r[4]);

/* Bits the guest may set in CR4, EFER, XCR0 as its CPUID says. */
uint64_t vcpuid_cr4_allowed(struct vcpu *vcpu);
uint64_t vcpuid_efer_allowed(struct vcpu *vcpu);
uint64_t vcpuid_xcr0_allowed(struct vcpu *vcpu);

/* Leaves below the start of each CPUID range (0, 0x40000000, 0x80000000) kept in a table. */
#define VCPUID_RANGES 3U
#define VCPUID_LEAVES 32U
#define VCPUID_SUBS   32U

#define VCPUID_MAX_BASIC    0x16U
#define VCPUID_MAX_ACRN	    0x40000010U
#define VCPUID_MAX_EXTENDED 0x80000008U

/* How a leaf is answered. */
enum vcpuid_kind {
	VCPUID_OUT, /* above the range's highest leaf */
	VCPUID_PLAIN,
	VCPUID_SUBLEAVES,
	VCPUID_LEAF1, /* the rest are completed per vCPU, see vcpuid.c */
	VCPUID_CACHE,
	VCPUID_LEAF7,
	VCPUID_TOPOLOGY,
	VCPUID_XSAVE,
	VCPUID_ACRN,
	VCPUID_KINDS,
};

struct vcpuid_sub {
	uint32_t leaf, sub;
	uint32_t r[4];
};

/* One VM's leaves, computed when it is created. */
struct vm_vcpuid {
	uint32_t leaf[VCPUID_RANGES][VCPUID_LEAVES][4];
	uint8_t kind[VCPUID_RANGES][VCPUID_LEAVES];
	struct vcpuid_sub subs[VCPUID_SUBS];
	uint32_t sub_count;
	uint32_t id_bits; /* of an APIC id within the package */
	uint64_t cr4_allowed, efer_allowed, xcr0_allowed;
};

/* vcpuid_table.c: fill *t from the processor, the capability table and the VM's flags. */
void vcpuid_table_build(const struct vm *vm, struct vm_vcpuid *t);

#endif
