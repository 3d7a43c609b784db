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

/*
 * Leaves 0-31 of each CPUID range (0, 0x40000000, 0x80000000) are kept in a table. Rotating the
 * number by two bits gives the index, and one comparison tells what lies outside.
 */
#define VCPUID_LEAVES 128U
#define VCPUID_SUBS   32U

static inline uint32_t vcpuid_index(uint32_t leaf)
{
	return (leaf << 2) | (leaf >> 30);
}

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

/* One VM's leaves, computed when it is created; `leaf` and `kind` by vcpuid_index(). */
struct vm_vcpuid {
	uint32_t leaf[VCPUID_LEAVES][4];
	uint8_t kind[VCPUID_LEAVES];
	struct vcpuid_sub subs[VCPUID_SUBS];
	uint32_t sub_count;
	uint32_t id_bits; /* of an APIC id within the package */
	uint64_t cr4_allowed, efer_allowed, xcr0_allowed;
};

/* EAX-EDX of a leaf in the table; the leaf must be one of those. */
static inline uint32_t *vcpuid_leaf(struct vm_vcpuid *t, uint32_t leaf)
{
	return t->leaf[vcpuid_index(leaf)];
}

/* vcpuid_table.c: fill *t from the processor, the capability table and the VM's flags. */
void vcpuid_table_build(const struct vm *vm, struct vm_vcpuid *t);

#endif
