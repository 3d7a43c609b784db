// SPDX-License-Identifier: BSD-3-Clause
/*
 * Guest CR0, CR4, EFER and PAT. The hypervisor owns the few bits whose change it must follow or
 * forbid (masks and shadows, SDM 3C 25.6.6); the guest changes the others without an exit. CR3 is
 * the guest's own. The exits that lead here are in vcr_exit.c. All on the vCPU's pCPU with its VMCS
 * loaded; no lock.
 */
#include "lib/errno.h"
#include "asm/cpuregs.h"
#include "asm/insn.h"
#include "asm/msr.h"
#include "hv/caps.h"
#include "hv/gmem.h"
#include "hv/log.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vcpuid.h"
#include "hv/vcr.h"
#include "hv/vm.h"
#include "hv/vmcs.h"
#include "hv/vmsr.h"

#define CR0_DEFINED                                                                                \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
	 CR0_PG)
/* NE is fixed in VMX operation; PG moves EFER.LMA; CD and NW act on the real caches. */
#define CR0_OWNED (CR0_NE | CR0_NW | CR0_CD | CR0_PG)
/* Set in the real CR4 whatever the guest says: VMXE must be, MCE keeps the machine alive. */
#define CR4_OWNED_SET (CR4_VMXE | CR4_MCE)
#define CR4_PAE_RELOAD (CR4_PAE | CR4_PSE | CR4_PGE | CR4_SMEP)
#define CR4_FLUSHING   (CR4_PAE | CR4_PSE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP)

#define PAT_ALL_UC	  0UL
#define PDPTE_RESERVED	  0x1E6UL /* bits 2:1 and 8:5 (SDM 3A table 4-8) */
#define CS_AR_L		  BIT32(13)
#define TR_AR_32BIT	  BIT32(3) /* of the descriptor's type */

uint64_t vcr_cr0(void)
{
	return (vmcs_read(VMCS_GUEST_CR0) & ~CR0_OWNED) | (vmcs_read(VMCS_CR0_SHADOW) & CR0_OWNED);
}

/* VMXE is hidden from every guest, so its shadow is never set. */
uint64_t vcr_cr4(void)
{
	return (vmcs_read(VMCS_GUEST_CR4) & ~CR4_OWNED_SET) | (vmcs_read(VMCS_CR4_SHADOW) & CR4_MCE);
}

uint64_t vcr_efer(void)
{
	return vmcs_read(VMCS_GUEST_EFER);
}

bool vcr_is_64bit(void)
{
	return (vcr_efer() & EFER_LMA) != 0U && (vmcs_read32(VMCS_GUEST_CS_AR) & CS_AR_L) != 0U;
}

/* Entering a guest with PAE paging loads the four entries from the VMCS, not from its memory. */
static int load_pdptes(struct vcpu *vcpu, uint64_t cr3)
{
	uint64_t pdpte[4];
	uint32_t r[4];

	if (gmem_read(vcpu->vm, GPA(cr3 & 0xFFFFFFE0U), pdpte, sizeof(pdpte)) != 0) {
		return -EINVAL;
	}
	vcpuid_get(vcpu, 0x80000008U, 0, r);
	for (uint32_t i = 0; i < 4U; i++) {
		if ((pdpte[i] & 1U) != 0U &&
		    (pdpte[i] & (PDPTE_RESERVED | ~(BIT(r[0] & 0xFFU) - 1U))) != 0U) {
			return -EINVAL;
		}
	}
	for (uint32_t i = 0; i < 4U; i++) {
		vmcs_write(VMCS_GUEST_PDPTE0 + 2U * i, pdpte[i]);
	}
	return 0;
}

static bool pae_paging(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
	return (cr0 & CR0_PG) != 0U && (cr4 & CR4_PAE) != 0U && (efer & EFER_LME) == 0U;
}

/* EFER and the entry control must agree on IA-32e mode, or VM entry fails. */
static void store_efer(uint64_t efer)
{
	uint32_t ctrl = vmcs_read32(VMCS_ENTRY_CTRL);
	uint32_t want = (efer & EFER_LMA) != 0U ? ctrl | VMENTRY_IA32E : ctrl & ~VMENTRY_IA32E;

	vmcs_write(VMCS_GUEST_EFER, efer);
	if (want != ctrl) {
		vmcs_write(VMCS_ENTRY_CTRL, want);
	}
}

/* With caches disabled every access is uncached, whatever the guest's PAT says. */
static void store_pat(const struct vcpu *vcpu, uint64_t cr0)
{
	vmcs_write(VMCS_GUEST_PAT, (cr0 & CR0_CD) != 0U ? PAT_ALL_UC : vcpu->msrs->pat);
}

static void store_cr0(uint64_t val)
{
	vmcs_write(VMCS_GUEST_CR0, (val & ~(CR0_CD | CR0_NW)) | CR0_NE);
	vmcs_write(VMCS_CR0_SHADOW, val);
}

static void store_cr4(uint64_t val)
{
	vmcs_write(VMCS_GUEST_CR4, val | CR4_VMXE | (read_cr4() & CR4_MCE));
	vmcs_write(VMCS_CR4_SHADOW, val);
}

static bool cr0_valid(uint64_t val)
{
	return (val >> 32) == 0U && !((val & CR0_PG) != 0U && (val & CR0_PE) == 0U) &&
	       !((val & CR0_NW) != 0U && (val & CR0_CD) == 0U);
}

/* A task register that IA-32e mode does not take, so that VM entry refuses it too. */
static bool tr_is_16bit(void)
{
	return (vmcs_read32(VMCS_GUEST_TR_AR) & TR_AR_32BIT) == 0U;
}

/* Turning paging on or off, as SDM 3A 4.1.2 and 10.8.5 allow it. */
static int switch_paging(struct vcpu *vcpu, uint64_t val)
{
	uint64_t efer = vcr_efer(), cr4 = vcr_cr4();
	bool cs_l = (vmcs_read32(VMCS_GUEST_CS_AR) & CS_AR_L) != 0U;

	if ((val & CR0_PG) != 0U) {
		if ((efer & EFER_LME) != 0U) {
			if ((cr4 & CR4_PAE) == 0U || cs_l || tr_is_16bit()) {
				return -EINVAL;
			}
			store_efer(efer | EFER_LMA);
		} else if (pae_paging(val, cr4, efer) &&
			   load_pdptes(vcpu, vmcs_read(VMCS_GUEST_CR3)) != 0) {
			return -EINVAL;
		}
	} else {
		if ((cr4 & CR4_PCIDE) != 0U || ((efer & EFER_LMA) != 0U && cs_l)) {
			return -EINVAL;
		}
		store_efer(efer & ~EFER_LMA);
	}
	vcpu_request_self(vcpu, REQ_TLB_FLUSH);
	return 0;
}

int vcr_set_cr0(struct vcpu *vcpu, uint64_t val)
{
	uint64_t old = vcr_cr0();

	if (!cr0_valid(val)) {
		return -EINVAL;
	}
	val = (val & CR0_DEFINED) | CR0_ET;
	if (((val ^ old) & CR0_PG) != 0U && switch_paging(vcpu, val) != 0) {
		return -EINVAL;
	}
	if (((val ^ old) & CR0_CD) != 0U) {
		store_pat(vcpu, val);
	}
	store_cr0(val);
	return 0;
}

int vcr_set_cr4(struct vcpu *vcpu, uint64_t val)
{
	uint64_t old = vcr_cr4(), efer = vcr_efer();

	if ((val & ~vcpuid_cr4_allowed(vcpu)) != 0U) {
		return -EINVAL;
	}
	if ((efer & EFER_LMA) != 0U && (val & CR4_PAE) == 0U) {
		return -EINVAL;
	}
	if ((val & ~old & CR4_PCIDE) != 0U &&
	    ((efer & EFER_LMA) == 0U || (vmcs_read(VMCS_GUEST_CR3) & 0xFFFU) != 0U)) {
		return -EINVAL;
	}
	if (pae_paging(vcr_cr0(), val, efer) && ((val ^ old) & CR4_PAE_RELOAD) != 0U &&
	    load_pdptes(vcpu, vmcs_read(VMCS_GUEST_CR3)) != 0) {
		return -EINVAL;
	}
	if (((val ^ old) & CR4_FLUSHING) != 0U) {
		vcpu_request_self(vcpu, REQ_TLB_FLUSH);
	}
	store_cr4(val);
	return 0;
}

int vcr_set_efer(struct vcpu *vcpu, uint64_t val)
{
	uint64_t old = vcr_efer();

	if ((val & ~vcpuid_efer_allowed(vcpu)) != 0U) {
		return -EINVAL;
	}
	if (((val ^ old) & EFER_LME) != 0U && (vcr_cr0() & CR0_PG) != 0U) {
		return -EINVAL;
	}
	if ((val & ~old & EFER_SCE) != 0U) {
		vmsr_syscall_on(vcpu);
	}
	if (((val ^ old) & EFER_NXE) != 0U) {
		vcpu_request_self(vcpu, REQ_TLB_FLUSH);
	}
	store_efer((val & ~EFER_LMA) | (old & EFER_LMA)); /* writes to LMA are ignored */
	return 0;
}

int vcr_set_pat(struct vcpu *vcpu, uint64_t val)
{
	for (uint32_t i = 0; i < 64U; i += 8U) {
		uint64_t type = (val >> i) & 0xFFU;

		if (type > 7U || type == 2U || type == 3U) {
			return -EINVAL;
		}
	}
	vcpu->msrs->pat = val;
	store_pat(vcpu, vcr_cr0());
	return 0;
}

void vcr_reset(struct vcpu *vcpu, const struct vcpu_start *start)
{
	vmcs_write(VMCS_CR0_MASK, CR0_OWNED);
	vmcs_write(VMCS_CR4_MASK, ~vcpuid_cr4_allowed(vcpu) | CR4_OWNED_SET);
	store_efer(start->efer);
	vmcs_write(VMCS_GUEST_CR3, start->cr3);
	store_cr4(start->cr4);
	store_cr0((start->cr0 & CR0_DEFINED) | CR0_ET);
	/* Entries that are not right fault when the guest uses them: absent ones are loaded. */
	for (uint32_t i = 0; i < 4U; i++) {
		vmcs_write(VMCS_GUEST_PDPTE0 + 2U * i, 0);
	}
	if (pae_paging(start->cr0, start->cr4, start->efer) && load_pdptes(vcpu, start->cr3) != 0) {
		pr_warn("VM%u vCPU%u: starts with PAE paging but no page directories", vcpu->vm->id,
			vcpu->id);
	}
	vcpu_request_self(vcpu, REQ_TLB_FLUSH);
}

static int efer_read(struct vcpu *vcpu, uint32_t msr, uint64_t *val)
{
	(void)vcpu;
	(void)msr;
	*val = vcr_efer();
	return 0;
}

static int efer_write(struct vcpu *vcpu, uint32_t msr, uint64_t val)
{
	(void)msr;
	return vcr_set_efer(vcpu, val);
}

static int pat_read(struct vcpu *vcpu, uint32_t msr, uint64_t *val)
{
	(void)msr;
	*val = vcpu->msrs->pat;
	return 0;
}

static int pat_write(struct vcpu *vcpu, uint32_t msr, uint64_t val)
{
	(void)msr;
	return vcr_set_pat(vcpu, val);
}

static void vcr_vcpu_reset(struct vcpu *vcpu)
{
	store_pat(vcpu, vcr_cr0());
}

UNIT(vcr) = {.name = "vcr", .level = UNIT_CPU, .vcpu_reset = vcr_vcpu_reset};
VMSR(efer) = {.first = MSR_EFER, .last = MSR_EFER, .read = efer_read, .write = efer_write};
VMSR(pat) = {.first = MSR_PAT, .last = MSR_PAT, .read = pat_read, .write = pat_write};
