// SPDX-License-Identifier: BSD-3-Clause
/*
 * Registers that neither the VMCS nor the exit path keeps: x87, SSE and AVX state, XCR0, CR2, the
 * debug registers.  They stay in the processor until another vCPU is loaded there, so an exit
 * costs nothing; root mode uses none of them.  Debug registers get there only once the guest uses
 * them; until then MOV to and from them exits.  Hooks run on the vCPU's own pCPU; no lock.
 */
#include "lib/errno.h"
#include "lib/kconfig.h"
#include "lib/string.h"
#include "asm/cpuregs.h"
#include "asm/insn.h"
#include "hv/caps.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "hv/vmcs.h"
#include "hv/vmexit.h"

#define FXSAVE_SIZE	576U /* with the XSAVE header */
#define AREA_MXCSR	24U
#define MXCSR_POWER_ON	0x1F80U
#define FCW_POWER_ON	0x37FU
#define DR6_POWER_ON	0xFFFF0FF0UL
#define DR6_MATCHES	0xFUL
#define DR7_FIXED	0x400UL
#define XCR0_GUEST_MASK 0x2E7UL /* x87, SSE, AVX, AVX-512, PKRU: what a guest may enable */

static struct pool fpu_pool;
/*
 * All components any guest may enable. Saving and loading use them all, whatever the guest's XCR0:
 * one that a guest has switched off could otherwise carry another guest's data to it.
 */
static uint64_t xcr0_full;
static size_t area_size;

static void dr_load(const struct vcpu *vcpu)
{
	dr_write(0, vcpu->dr[0]);
	dr_write(1, vcpu->dr[1]);
	dr_write(2, vcpu->dr[2]);
	dr_write(3, vcpu->dr[3]);
	dr_write(6, vcpu->dr6);
}

static void dr_save(struct vcpu *vcpu)
{
	vcpu->dr[0] = dr_read(0);
	vcpu->dr[1] = dr_read(1);
	vcpu->dr[2] = dr_read(2);
	vcpu->dr[3] = dr_read(3);
	vcpu->dr6 = dr_read(6);
}

/* XCR0 holds them all. */
static void fpu_load(const struct vcpu *vcpu)
{
	if (xcr0_full == 0U) {
		fpu_fxrstor(vcpu->fpu);
	} else {
		fpu_xrstor(vcpu->fpu, xcr0_full);
		if (vcpu->xcr0 != xcr0_full) {
			xcr0_write(vcpu->xcr0);
		}
	}
	write_cr2(vcpu->cr2);
	if (unlikely(vcpu->dr_used)) {
		dr_load(vcpu);
	}
}

static void fpu_save(struct vcpu *vcpu)
{
	if (xcr0_full == 0U) {
		fpu_fxsave(vcpu->fpu);
	} else {
		if (vcpu->xcr0 != xcr0_full) {
			xcr0_write(xcr0_full);
		}
		fpu_xsave(vcpu->fpu, xcr0_full);
	}
	vcpu->cr2 = read_cr2();
	if (unlikely(vcpu->dr_used)) {
		dr_save(vcpu);
	}
}

void vcpu_fpu_switch(struct vcpu *from, const struct vcpu *to)
{
	if (likely(from != NULL)) {
		fpu_save(from);
	} else if (xcr0_full != 0U) {
		xcr0_write(xcr0_full);
	}
	fpu_load(to);
}

uint64_t vcpu_dr6(const struct vcpu *vcpu)
{
	return vcpu->dr_used ? dr_read(6) : vcpu->dr6;
}

void vcpu_set_dr6(struct vcpu *vcpu, uint64_t val)
{
	if (vcpu->dr_used) {
		dr_write(6, val);
	} else {
		vcpu->dr6 = val & ~DR6_MATCHES; /* with another vCPU's breakpoints, if any */
	}
}

/* Kernels clear the registers as they start, which changes nothing: that is not use. */
static bool dr_keeps(const struct vcpu *vcpu, uint32_t reg, uint64_t val)
{
	if (reg < ARRAY_SIZE(vcpu->dr)) {
		return val == vcpu->dr[reg];
	}
	if (reg == 6U) {
		return val <= UINT32_MAX && ((val ^ vcpu->dr6) & DR6_WRITABLE) == 0U;
	}
	return reg == 7U && (val | DR7_FIXED) == vmcs_read(VMCS_GUEST_DR7);
}

/*
 * The first use: from now on the registers are the guest's own, and the instruction runs again. So
 * it does at a lower privilege, whose #GP comes before the exit but in Bochs.
 */
static void dr_exit(struct vcpu *vcpu)
{
	uint64_t qual = vmcs_read(VMCS_EXIT_QUALIFICATION);
	bool write = (qual & BIT(4)) == 0U;
	bool user = ((vmcs_read32(VMCS_GUEST_SS_AR) >> 5) & 3U) != 0U;

	if (write && !user && dr_keeps(vcpu, (uint32_t)qual & 7U,
			      vcpu_get_gpr(vcpu, (uint32_t)(qual >> 8) & 0xFU))) {
		vcpu_skip(vcpu);
		return;
	}
	vcpu->dr_used = true;
	dr_load(vcpu);
	vmcs_proc_ctrl(vcpu, 0U, PROC_DR_EXIT);
}

static void fpu_vcpu_reset(struct vcpu *vcpu)
{
	static const uint32_t mxcsr = MXCSR_POWER_ON;
	static const uint16_t fcw = FCW_POWER_ON;
	uint8_t *area = vcpu->fpu;

	(void)memset(area, 0, area_size); /* an XSAVE header of zero: every component is initial */
	(void)memcpy(area, &fcw, sizeof(fcw));
	(void)memcpy(area + AREA_MXCSR, &mxcsr, sizeof(mxcsr));
	vcpu->xcr0 = XCR0_X87;
	vcpu->cr2 = 0;
	(void)memset(vcpu->dr, 0, sizeof(vcpu->dr));
	vcpu->dr6 = DR6_POWER_ON;
	vcpu->dr_used = false;
	vmcs_proc_ctrl(vcpu, PROC_DR_EXIT, 0U);
	vcpu_fpu_switch(NULL, vcpu);
}

static int fpu_boot(void)
{
	uint32_t r[4];

	xcr0_full = 0;
	area_size = FXSAVE_SIZE;
	if (cap_has(CAP_XSAVE)) {
		cpuid_count(0xD, 0, r);
		xcr0_full = r[0] & XCR0_GUEST_MASK;
		for (uint64_t m = xcr0_full & ~3UL; m != 0U; m &= m - 1U) {
			cpuid_count(0xD, (uint32_t)__builtin_ctzl(m), r);
			area_size = MAX(area_size, (size_t)r[0] + r[1]);
		}
	}
	pool_init(&fpu_pool, "FPU areas", area_size, 64U,
		  CONFIG_MAX_VM_NUM * MIN((uint32_t)pcpu_count, VM_MAX_VCPUS));
	return 0;
}

/* The first switch to it comes before its reset, so the area must be loadable at once. */
static int fpu_vcpu_init(struct vcpu *vcpu)
{
	static const uint32_t mxcsr = MXCSR_POWER_ON;

	vcpu->fpu = pool_get(&fpu_pool);
	if (!vcpu->fpu) {
		return -ENOMEM;
	}
	(void)memcpy((uint8_t *)vcpu->fpu + AREA_MXCSR, &mxcsr, sizeof(mxcsr));
	vcpu->xcr0 = XCR0_X87;
	vcpu->dr6 = DR6_POWER_ON;
	return 0;
}

static void fpu_vcpu_deinit(struct vcpu *vcpu)
{
	pool_put(&fpu_pool, vcpu->fpu);
	vcpu->fpu = NULL;
}

UNIT(vcpu_fpu) = {
	.name = "vcpu_fpu",
	.level = UNIT_CPU,
	.boot = fpu_boot,
	.vcpu_init = fpu_vcpu_init,
	.vcpu_reset = fpu_vcpu_reset,
	.vcpu_deinit = fpu_vcpu_deinit,
};
VMEXIT(EXIT_DR_ACCESS, dr_exit);
