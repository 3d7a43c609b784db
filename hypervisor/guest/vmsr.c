// SPDX-License-Identifier: BSD-3-Clause
/*
 * RDMSR and WRMSR: units register ranges with VMSR(), from which come, once at boot, an index that
 * finds a range in two loads and the MSR bitmap every VM starts with.  Everything not registered
 * is #GP, so that no register of the machine is open by oversight.  Takes no lock: a bitmap is
 * changed while its VM is created or by its own vCPUs, a byte at a time.
 */
#include "lib/errno.h"
#include "lib/string.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "hv/vmexit.h"
#include "hv/vmsr.h"

extern const struct msr_range __start_hv_vmsrs[] __attribute__((visibility("hidden")));
extern const struct msr_range __stop_hv_vmsrs[] __attribute__((visibility("hidden")));

/* The two windows in which registered MSRs lie. */
#define LOW_COUNT  0x1000U
#define HIGH_BASE  0xC0000000U
#define HIGH_COUNT 0x200U

/* Bitmap quarters (SDM 3C 25.6.9): read low, read high, write low, write high; 1 KB each. */
#define BITMAP_READ_LOW	  0U
#define BITMAP_READ_HIGH  1024U
#define BITMAP_WRITE	  2048U /* added to the offset for reads */
#define BITMAP_MSR_COUNT  0x2000U

/* Range number plus one; 0: nobody's. */
static uint8_t index_low[LOW_COUNT];
static uint8_t index_high[HIGH_COUNT];
static uint8_t *boot_bitmap; /* what a VM's bitmap starts as */

static uint8_t *index_slot(uint32_t msr)
{
	if (likely(msr < LOW_COUNT)) {
		return &index_low[msr];
	}
	if (msr - HIGH_BASE < HIGH_COUNT) {
		return &index_high[msr - HIGH_BASE];
	}
	return NULL;
}

static const struct msr_range *range_find(uint32_t msr)
{
	const uint8_t *slot = index_slot(msr);

	return slot && *slot != 0U ? &__start_hv_vmsrs[*slot - 1U] : NULL;
}

int vmsr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *val)
{
	const struct msr_range *r = range_find(msr);

	return r && r->read ? r->read(vcpu, msr, val) : -EINVAL;
}

int vmsr_write(struct vcpu *vcpu, uint32_t msr, uint64_t val)
{
	const struct msr_range *r = range_find(msr);

	return r && r->write ? r->write(vcpu, msr, val) : -EINVAL;
}

static void rdmsr_exit(struct vcpu *vcpu)
{
	uint32_t msr = (uint32_t)vcpu->gpr[GPR_RCX];
	uint64_t val;

	if (unlikely(vmsr_read(vcpu, msr, &val) != 0)) {
		pr_dbg("VM%u vCPU%u: RDMSR %x: #GP", vcpu->vm->id, vcpu->id, msr);
		vcpu_inject_gp(vcpu);
		return;
	}
	vcpu->gpr[GPR_RAX] = (uint32_t)val;
	vcpu->gpr[GPR_RDX] = val >> 32;
	vcpu_skip(vcpu);
}

static void wrmsr_exit(struct vcpu *vcpu)
{
	uint32_t msr = (uint32_t)vcpu->gpr[GPR_RCX];
	uint64_t val = (vcpu->gpr[GPR_RDX] << 32) | (uint32_t)vcpu->gpr[GPR_RAX];

	if (unlikely(vmsr_write(vcpu, msr, val) != 0)) {
		pr_dbg("VM%u vCPU%u: WRMSR %x, %lx: #GP", vcpu->vm->id, vcpu->id, msr, val);
		vcpu_inject_gp(vcpu);
		return;
	}
	vcpu_skip(vcpu);
}

static void bitmap_set(uint8_t *map, uint32_t msr, bool read, bool write)
{
	uint32_t n = msr & (BITMAP_MSR_COUNT - 1U);
	uint32_t byte = (msr >= HIGH_BASE ? BITMAP_READ_HIGH : BITMAP_READ_LOW) + n / 8U;
	uint8_t bit = (uint8_t)(1U << (n % 8U));

	map[byte] = (uint8_t)((map[byte] & ~bit) | (read ? bit : 0U));
	byte += BITMAP_WRITE;
	map[byte] = (uint8_t)((map[byte] & ~bit) | (write ? bit : 0U));
}

void vmsr_intercept(struct vm *vm, uint32_t msr, bool read, bool write)
{
	ASSERT(msr < BITMAP_MSR_COUNT || msr - HIGH_BASE < BITMAP_MSR_COUNT);
	bitmap_set(vm->msr_bitmap, msr, read, write);
}

static void index_range(const struct msr_range *r, uint8_t number)
{
	for (uint32_t msr = r->first; msr <= r->last; msr++) {
		uint8_t *slot = index_slot(msr);

		if (!slot || *slot != 0U) {
			panic("MSR %x is registered twice, or out of the windows", msr);
		}
		*slot = number;
		bitmap_set(boot_bitmap, msr, !r->pass_read, !r->pass_write);
	}
}

static int vmsr_boot(void)
{
	ptrdiff_t count = __stop_hv_vmsrs - __start_hv_vmsrs;

	ASSERT(count < 255);
	boot_bitmap = boot_alloc(PAGE_SIZE, PAGE_SIZE);
	(void)memset(boot_bitmap, 0xFF, PAGE_SIZE);
	(void)memset(index_low, 0, sizeof(index_low));
	(void)memset(index_high, 0, sizeof(index_high));
	for (ptrdiff_t i = 0; i < count; i++) {
		const struct msr_range *r = &__start_hv_vmsrs[i];

		if (!r->present || r->present()) {
			index_range(r, (uint8_t)(i + 1));
		}
	}
	return 0;
}

static int vmsr_vm_init(struct vm *vm)
{
	vm->msr_bitmap = pool_get(&page_pool);
	if (!vm->msr_bitmap) {
		return -ENOMEM;
	}
	(void)memcpy(vm->msr_bitmap, boot_bitmap, PAGE_SIZE);
	return 0;
}

static void vmsr_vm_deinit(struct vm *vm)
{
	pool_put(&page_pool, vm->msr_bitmap);
	vm->msr_bitmap = NULL;
}

UNIT(vmsr) = {
	.name = "vmsr",
	.level = UNIT_CORE,
	.boot = vmsr_boot,
	.vm_init = vmsr_vm_init,
	.vm_deinit = vmsr_vm_deinit,
};
VMEXIT(EXIT_RDMSR, rdmsr_exit);
VMEXIT(EXIT_WRMSR, wrmsr_exit);
