// SPDX-License-Identifier: BSD-3-Clause
/*
 * The exits of instructions that write control registers: MOV to CR0, CR4 and CR8, CLTS, LMSW,
 * XSETBV.  They decode what was asked and leave the rules to vcr.c.  On the vCPU's own pCPU with
 * its VMCS loaded; no lock.
 */
#include "lib/errno.h"
#include "asm/cpuregs.h"
#include "asm/insn.h"
#include "asm/vmx_insn.h"
#include "hv/log.h"
#include "hv/vcpu.h"
#include "hv/vcpuid.h"
#include "hv/vcr.h"
#include "hv/vintr.h"
#include "hv/vm.h"
#include "hv/vmexit.h"

/* Exit qualification of control-register accesses (SDM 3C table 28-3). */
#define ACCESS_MOV_TO	0U
#define ACCESS_MOV_FROM 1U
#define ACCESS_CLTS	2U
#define ACCESS_LMSW	3U

static int mov_to_cr(struct vcpu *vcpu, uint32_t cr, uint64_t val)
{
	switch (cr) {
	case 0:
		return vcr_set_cr0(vcpu, val);
	case 4:
		return vcr_set_cr4(vcpu, val);
	case 8:
		if (val > 15U) {
			return -EINVAL;
		}
		vcpu->vm->vintr->set_cr8(vcpu, val);
		return 0;
	default:
		panic("exit for a write of CR%u, which is not intercepted", cr);
		break;
	}
}

static void cr_access_exit(struct vcpu *vcpu)
{
	uint64_t qual = vmcs_read(VMCS_EXIT_QUALIFICATION);
	uint32_t cr = qual & 0xFU, type = (qual >> 4) & 3U, reg = (qual >> 8) & 0xFU;
	uint64_t cr0;
	int ret = 0;

	switch (type) {
	case ACCESS_MOV_TO:
		ret = mov_to_cr(vcpu, cr, vcpu_get_gpr(vcpu, reg));
		break;
	case ACCESS_MOV_FROM:
		ASSERT(cr == 8U);
		vcpu_set_gpr(vcpu, reg, vcpu->vm->vintr->cr8(vcpu));
		break;
	case ACCESS_CLTS:
		ret = vcr_set_cr0(vcpu, vcr_cr0() & ~CR0_TS);
		break;
	default: /* LMSW writes the low four bits and cannot clear PE */
		cr0 = vcr_cr0();
		ret = vcr_set_cr0(vcpu, (cr0 & ~0xEUL) | ((qual >> 16) & 0xFU));
		break;
	}
	if (ret != 0) {
		vcpu_inject_gp(vcpu);
	} else {
		vcpu_skip(vcpu);
	}
}

/* XSETBV (SDM 2D): x87 always; AVX needs SSE; the three parts of AVX-512 go together. */
static bool xcr0_valid(uint64_t val, uint64_t allowed)
{
	uint64_t avx512 = val & (7UL << 5);

	if ((val & XCR0_X87) == 0U || (val & ~allowed) != 0U) {
		return false;
	}
	if ((val & XCR0_AVX) != 0U && (val & XCR0_SSE) == 0U) {
		return false;
	}
	return avx512 == 0U || (avx512 == 7UL << 5 && (val & XCR0_AVX) != 0U);
}

static void xsetbv_exit(struct vcpu *vcpu)
{
	uint64_t val = (vcpu->gpr[GPR_RDX] << 32) | (uint32_t)vcpu->gpr[GPR_RAX];

	/* A user program's comes here as well, in Bochs at least. */
	if (((vmcs_read32(VMCS_GUEST_SS_AR) >> 5) & 3U) != 0U ||
	    (uint32_t)vcpu->gpr[GPR_RCX] != 0U || !xcr0_valid(val, vcpuid_xcr0_allowed(vcpu))) {
		vcpu_inject_gp(vcpu);
		return;
	}
	if (val != vcpu->xcr0) {
		vcpu->xcr0 = val;
		xcr0_write(val);
	}
	vcpu_skip(vcpu);
}

VMEXIT(EXIT_CR_ACCESS, cr_access_exit);
VMEXIT(EXIT_XSETBV, xsetbv_exit);
