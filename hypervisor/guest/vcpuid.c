// SPDX-License-Identifier: BSD-3-Clause
/*
 * CPUID exits.  The leaves were computed when the VM was created (vcpuid_table.c): most are copied
 * out of the table as they are; those that tell the vCPU's own APIC id, CR4 or XCR0 are completed
 * here.  Own CPU, no lock, the processor's CPUID is not asked.
 */
#include "lib/errno.h"
#include "lib/kconfig.h"
#include "lib/string.h"
#include "asm/cpuregs.h"
#include "asm/vmx_insn.h"
#include "hv/mm.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vcpuid.h"
#include "hv/vcr.h"
#include "hv/vm.h"
#include "hv/vmexit.h"

enum { EAX, EBX, ECX, EDX };

#define LEAF1_ECX_OSXSAVE BIT32(27)
#define LEAF1_EDX_HTT	  BIT32(28)
#define LEAF7_ECX_OSPKE	  BIT32(4)
#define XSAVE_LEGACY_SIZE 576U /* FXSAVE area and XSAVE header */

typedef void (*complete_fn)(struct vcpu *vcpu, uint32_t sub, uint32_t r[4]);

static void copy_sub(const struct vm_vcpuid *t, uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	(void)memset(r, 0, 4U * sizeof(r[0]));
	for (uint32_t i = 0; i < t->sub_count; i++) {
		if (t->subs[i].leaf == leaf && t->subs[i].sub == sub) {
			(void)memcpy(r, t->subs[i].r, sizeof(t->subs[i].r));
			return;
		}
	}
}

static void complete_leaf1(struct vcpu *vcpu, uint32_t sub, uint32_t r[4])
{
	(void)sub;
	r[EBX] |= (vcpu->apic_id & 0xFFU) << 24;
	r[EBX] |= MIN(BIT32(vcpu->vm->vcpuid->id_bits), 255U) << 16;
	if (vcpu->vm->vcpu_count > 1U) {
		r[EDX] |= LEAF1_EDX_HTT;
	}
	if ((vcr_cr4() & CR4_OSXSAVE) != 0U) {
		r[ECX] |= LEAF1_ECX_OSXSAVE;
	}
}

/* Deterministic cache parameters: the last level is shared by all vCPUs, the others by none. */
static void complete_cache(struct vcpu *vcpu, uint32_t sub, uint32_t r[4])
{
	uint32_t ids = MIN(BIT32(vcpu->vm->vcpuid->id_bits), 64U) - 1U;

	copy_sub(vcpu->vm->vcpuid, 4, sub, r);
	if ((r[EAX] & 0x1FU) == 0U) {
		return;
	}
	r[EAX] = (r[EAX] & 0x3FFFU) | (ids << 26);
	if (((r[EAX] >> 5) & 7U) >= 3U) {
		r[EAX] |= ids << 14;
	}
}

static void complete_leaf7(struct vcpu *vcpu, uint32_t sub, uint32_t r[4])
{
	copy_sub(vcpu->vm->vcpuid, 7, sub, r);
	if (sub == 0U && (vcr_cr4() & CR4_PKE) != 0U) {
		r[ECX] |= LEAF7_ECX_OSPKE;
	}
}

/* Leaf 0xB: every vCPU is a core of one package, with no second thread. */
static void complete_topology(struct vcpu *vcpu, uint32_t sub, uint32_t r[4])
{
	r[EAX] = 0;
	r[EBX] = 0;
	r[ECX] = sub & 0xFFU;
	r[EDX] = vcpu->apic_id;
	if (sub == 0U) {
		r[EBX] = 1;
		r[ECX] |= 0x100U;
	} else if (sub == 1U) {
		r[EAX] = vcpu->vm->vcpuid->id_bits;
		r[EBX] = vcpu->vm->vcpu_count;
		r[ECX] |= 0x200U;
	}
}

/*
 * Bytes of an XSAVE area with the components of `mask`; in the compacted form they follow each
 * other, aligned to 64 where bit 1 of ECX says so (SDM 1 13.4.3).
 */
static uint32_t xsave_size(const struct vm_vcpuid *t, uint64_t mask, bool compact)
{
	uint32_t size = XSAVE_LEGACY_SIZE, r[4];

	for (mask &= ~3UL; mask != 0U; mask &= mask - 1U) {
		copy_sub(t, 0xD, (uint32_t)__builtin_ctzl(mask), r);
		if (!compact) {
			size = MAX(size, r[EBX] + r[EAX]);
		} else {
			size = ((r[ECX] & 2U) != 0U ? ALIGN_UP(size, 64U) : size) + r[EAX];
		}
	}
	return size;
}

static void complete_xsave(struct vcpu *vcpu, uint32_t sub, uint32_t r[4])
{
	const struct vm_vcpuid *t = vcpu->vm->vcpuid;

	copy_sub(t, 0xD, sub, r);
	if (r[EAX] == 0U) {
		return;
	}
	if (sub == 0U) {
		r[EBX] = xsave_size(t, vcpu->xcr0, false);
	} else if (sub == 1U) {
		r[EBX] = xsave_size(t, vcpu->xcr0, true);
	}
}

/* 0x40000001: bit 0 tells the HSM driver that it may issue hypercalls. */
static void complete_acrn(struct vcpu *vcpu, uint32_t sub, uint32_t r[4])
{
	(void)sub;
	r[EAX] = vcpu->vm->hypercalls ? 1U : 0U;
}

static const complete_fn completions[VCPUID_KINDS] = {
	[VCPUID_LEAF1] = complete_leaf1,	[VCPUID_CACHE] = complete_cache,
	[VCPUID_LEAF7] = complete_leaf7,	[VCPUID_TOPOLOGY] = complete_topology,
	[VCPUID_XSAVE] = complete_xsave, [VCPUID_ACRN] = complete_acrn,
};

static enum vcpuid_kind kind_of(const struct vm_vcpuid *t, uint32_t leaf)
{
	uint32_t i = vcpuid_index(leaf);

	return i < VCPUID_LEAVES ? (enum vcpuid_kind)t->kind[i] : VCPUID_OUT;
}

void vcpuid_get(struct vcpu *vcpu, uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	struct vm_vcpuid *t = vcpu->vm->vcpuid;
	enum vcpuid_kind kind = kind_of(t, leaf);

	/* Intel's answer above the highest leaf of a range is the highest basic leaf. */
	if (unlikely(kind == VCPUID_OUT)) {
		leaf = VCPUID_MAX_BASIC;
		kind = VCPUID_PLAIN;
	}
	(void)memcpy(r, vcpuid_leaf(t, leaf), 4U * sizeof(r[0]));
	if (kind == VCPUID_SUBLEAVES) {
		copy_sub(t, leaf, sub, r);
	} else if (completions[kind]) {
		completions[kind](vcpu, sub, r);
	}
}

static void set_registers(struct vcpu *vcpu, const uint32_t r[4])
{
	vcpu->gpr[GPR_RAX] = r[EAX];
	vcpu->gpr[GPR_RBX] = r[EBX];
	vcpu->gpr[GPR_RCX] = r[ECX];
	vcpu->gpr[GPR_RDX] = r[EDX];
}

/* Apart, so that the common way keeps nothing over a call. */
static __attribute__((noinline)) void cpuid_slow(struct vcpu *vcpu)
{
	uint32_t r[4];

	vcpuid_get(vcpu, (uint32_t)vcpu->gpr[GPR_RAX], (uint32_t)vcpu->gpr[GPR_RCX], r);
	set_registers(vcpu, r);
	vcpu_skip(vcpu);
}

static void cpuid_exit(struct vcpu *vcpu)
{
	const struct vm_vcpuid *t = vcpu->vm->vcpuid;
	uint32_t i = vcpuid_index((uint32_t)vcpu->gpr[GPR_RAX]);

	if (unlikely(i >= VCPUID_LEAVES || t->kind[i] != VCPUID_PLAIN)) {
		cpuid_slow(vcpu);
		return;
	}
	set_registers(vcpu, t->leaf[i]);
	vcpu_skip(vcpu);
}

uint64_t vcpuid_cr4_allowed(struct vcpu *vcpu)
{
	return vcpu->vm->vcpuid->cr4_allowed;
}

uint64_t vcpuid_efer_allowed(struct vcpu *vcpu)
{
	return vcpu->vm->vcpuid->efer_allowed;
}

uint64_t vcpuid_xcr0_allowed(struct vcpu *vcpu)
{
	return vcpu->vm->vcpuid->xcr0_allowed;
}

static int vcpuid_vm_init(struct vm *vm)
{
	vcpuid_table_build(vm, vm->vcpuid);
	return 0;
}

/* All vCPUs of the VM exist before one runs, so each finds the same number of bits. */
static void vcpuid_vcpu_reset(struct vcpu *vcpu)
{
	const struct vm *vm = vcpu->vm;
	uint32_t highest = 0, bits = 0;

	for (uint16_t i = 0; i < vm->vcpu_count; i++) {
		highest = MAX(highest, vm->vcpus[i]->apic_id);
	}
	while (bits < 31U && (highest >> bits) != 0U) {
		bits++;
	}
	vm->vcpuid->id_bits = bits;
}

UNIT(vcpuid) = {
	.name = "vcpuid",
	.level = UNIT_CPU,
	.vm_state = VM_STATE("CPUID tables", struct vm_vcpuid, vcpuid),
	.vm_init = vcpuid_vm_init,
	.vcpu_reset = vcpuid_vcpu_reset,
};
VMEXIT(EXIT_CPUID, cpuid_exit);
