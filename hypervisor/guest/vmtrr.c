// SPDX-License-Identifier: BSD-3-Clause
/*
 * Virtual MTRRs: default type and the fixed ranges, no variable ones (SDM 3A 11.11).  They are
 * enabled and write-back from the start, as firmware leaves them: kernels that find them off give
 * up the PAT as well.  What the guest writes is kept for it to read; the memory types that count
 * are those of the EPT and the guest's PAT.  Per vCPU, own CPU, no lock.
 */
#include "lib/errno.h"
#include "lib/kconfig.h"
#include "lib/string.h"
#include "asm/msr.h"
#include "hv/mm.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "hv/vmsr.h"

#define MTRRCAP_FIXED BIT(8)
#define MTRRCAP_WC    BIT(10)
#define DEF_TYPE_E    BIT(11)
#define DEF_TYPE_FE   BIT(10)
#define TYPE_WB	      6UL
#define ALL_WB	      0x0606060606060606UL
#define ALL_UC	      0UL

#define FIXED_COUNT 11U
#define FIXED_VGA   2U /* 16 KB ranges from 0xA0000 */

struct vm_vmtrr {
	struct vmtrr_regs {
		uint64_t def_type;
		uint64_t fixed[FIXED_COUNT]; /* 64K, 2 of 16K, 8 of 4K, in MSR order */
	} vcpu[VM_MAX_VCPUS];
};

static uint64_t *reg_of(const struct vcpu *vcpu, uint32_t msr)
{
	struct vmtrr_regs *r = &vcpu->vm->vmtrr->vcpu[vcpu->id];

	if (msr == MSR_MTRR_DEF_TYPE) {
		return &r->def_type;
	}
	if (msr == MSR_MTRR_FIX64K_00000) {
		return &r->fixed[0];
	}
	return &r->fixed[msr < MSR_MTRR_FIX4K_C0000 ? 1U + msr - MSR_MTRR_FIX16K_80000
						    : 3U + msr - MSR_MTRR_FIX4K_C0000];
}

static bool type_valid(uint64_t type)
{
	return type == 0U || type == 1U || (type >= 4U && type <= 6U);
}

static bool value_valid(uint32_t msr, uint64_t val)
{
	if (msr == MSR_MTRR_DEF_TYPE) {
		return (val & ~(DEF_TYPE_E | DEF_TYPE_FE | 0xFFUL)) == 0U && type_valid(val & 0xFFU);
	}
	for (uint32_t i = 0; i < 64U; i += 8U) {
		if (!type_valid((val >> i) & 0xFFU)) {
			return false;
		}
	}
	return true;
}

static int mtrr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *val)
{
	if ((vcpu->vm->flags & GUEST_FLAG_HIDE_MTRR) != 0U) {
		return -EINVAL;
	}
	*val = (msr == MSR_MTRRCAP) ? MTRRCAP_FIXED | MTRRCAP_WC : *reg_of(vcpu, msr);
	return 0;
}

static int mtrr_write(struct vcpu *vcpu, uint32_t msr, uint64_t val)
{
	if ((vcpu->vm->flags & GUEST_FLAG_HIDE_MTRR) != 0U || !value_valid(msr, val)) {
		return -EINVAL;
	}
	*reg_of(vcpu, msr) = val;
	return 0;
}

/* Kernels expect the same values on every CPU; an INIT leaves them alone (SDM 3A table 9-1). */
static void vmtrr_vm_reset(struct vm *vm)
{
	for (uint32_t i = 0; i < VM_MAX_VCPUS; i++) {
		vm->vmtrr->vcpu[i].def_type = DEF_TYPE_E | DEF_TYPE_FE | TYPE_WB;
		for (uint32_t n = 0; n < FIXED_COUNT; n++) {
			vm->vmtrr->vcpu[i].fixed[n] = n == FIXED_VGA ? ALL_UC : ALL_WB;
		}
	}
}

static int vmtrr_vm_init(struct vm *vm)
{
	vmtrr_vm_reset(vm);
	return 0;
}

UNIT(vmtrr) = {
	.name = "vmtrr",
	.level = UNIT_CPU,
	.vm_state = VM_STATE("MTRRs", struct vm_vmtrr, vmtrr),
	.vm_init = vmtrr_vm_init,
	.vm_reset = vmtrr_vm_reset,
};
VMSR(mtrrcap) = {.first = MSR_MTRRCAP, .last = MSR_MTRRCAP, .read = mtrr_read};
VMSR(mtrr_def_type) = {.first = MSR_MTRR_DEF_TYPE, .last = MSR_MTRR_DEF_TYPE,
		       .read = mtrr_read, .write = mtrr_write};
VMSR(mtrr_fix64k) = {.first = MSR_MTRR_FIX64K_00000, .last = MSR_MTRR_FIX64K_00000,
		     .read = mtrr_read, .write = mtrr_write};
VMSR(mtrr_fix16k) = {.first = MSR_MTRR_FIX16K_80000, .last = MSR_MTRR_FIX16K_A0000,
		     .read = mtrr_read, .write = mtrr_write};
VMSR(mtrr_fix4k) = {.first = MSR_MTRR_FIX4K_C0000, .last = MSR_MTRR_FIX4K_F8000,
		    .read = mtrr_read, .write = mtrr_write};
