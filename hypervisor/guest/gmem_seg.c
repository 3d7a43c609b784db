// SPDX-License-Identifier: BSD-3-Clause
/*
 * Logical to linear addresses: segment base, limit and type as the guest's mode asks for them
 * (SDM 3A 5.3-5.5).  For the memory operands of string I/O and of emulated instructions; paging
 * comes after, in gmem_walk.c.  Own CPU, VMCS loaded; no lock.
 */
#include "lib/errno.h"
#include "asm/cpuregs.h"
#include "asm/vmx.h"
#include "hv/gmem.h"
#include "hv/vcr.h"
#include "asm/vmx_insn.h"

#define AR_TYPE_CODE	   BIT32(3)
#define AR_TYPE_DOWN	   BIT32(2) /* of data */
#define AR_TYPE_WRITE_READ BIT32(1) /* data: writable; code: readable */
#define AR_BIG		   BIT32(14)
#define AR_UNUSABLE	   BIT32(16)

static bool canonical(uint64_t addr)
{
	return (uint64_t)(((int64_t)(addr << 16)) >> 16) == addr;
}

static bool type_allows(uint32_t ar, uint32_t access)
{
	bool code = (ar & AR_TYPE_CODE) != 0U;
	bool extra = (ar & AR_TYPE_WRITE_READ) != 0U;

	if ((ar & AR_UNUSABLE) != 0U) {
		return false;
	}
	if ((access & GMEM_WRITE) != 0U) {
		return !code && extra;
	}
	return (access & GMEM_FETCH) != 0U ? code : !code || extra;
}

static bool in_limit(uint32_t ar, uint64_t limit, uint64_t offset, uint32_t len)
{
	uint64_t last = offset + len - 1U;
	bool down = (ar & (AR_TYPE_CODE | AR_TYPE_DOWN)) == AR_TYPE_DOWN;

	if (!down) {
		return last <= limit;
	}
	return offset > limit && last <= ((ar & AR_BIG) != 0U ? UINT32_MAX : 0xFFFFU);
}

int gmem_seg_linear(uint32_t seg, uint64_t offset, uint32_t len, uint32_t access, gva_t *gva,
		    struct gmem_fault *fault)
{
	bool ok;

	if (vcr_is_64bit()) {
		gva->v = offset;
		if (seg == GMEM_SEG_FS || seg == GMEM_SEG_GS) {
			gva->v += vmcs_read(VMCS_GUEST_ES_BASE + 2U * seg);
		}
		ok = canonical(gva->v) && canonical(gva->v + len - 1U);
	} else {
		uint32_t ar = vmcs_read32(VMCS_GUEST_ES_AR + 2U * seg);
		bool protected_mode = (vmcs_read(VMCS_GUEST_CR0) & CR0_PE) != 0U &&
				      (vmcs_read(VMCS_GUEST_RFLAGS) & RFLAGS_VM) == 0U;

		gva->v = (vmcs_read(VMCS_GUEST_ES_BASE + 2U * seg) + offset) & UINT32_MAX;
		ok = (!protected_mode || type_allows(ar, access)) &&
		     in_limit(ar, vmcs_read32(VMCS_GUEST_ES_LIMIT + 2U * seg), offset, len);
	}
	if (ok) {
		return 0;
	}
	fault->vector = seg == GMEM_SEG_SS ? EXC_SS : EXC_GP;
	fault->error = 0;
	fault->addr = *gva;
	return -EFAULT;
}
