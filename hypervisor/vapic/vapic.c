// SPDX-License-Identifier: BSD-3-Clause
/*
 * Where virtual interrupt controllers hook into the hypervisor: the role of VMs that have them,
 * creation and reset of the per-VM and per-vCPU state, and the two ways the guest reaches its LAPIC
 * by instructions, MMIO and MSRs.  Hooks are called by unit.c, accesses by the exits of the vCPU.
 * Never asks what kind of VM it is: who has no other role gets this one.
 */
#include "lib/errno.h"
#include "lib/kconfig.h"
#include "asm/msr.h"
#include "hv/mm.h"
#include "hv/unit.h"
#include "hv/vio.h"
#include "vapic.h"

static struct vapic_vm vapic_vms[CONFIG_MAX_VM_NUM];

static uint64_t read_cr8(struct vcpu *vcpu)
{
	return (vlapic_reg(vcpu->vlapic, APIC_TPR) >> 4) & 0xFU;
}

static void write_cr8(struct vcpu *vcpu, uint64_t val)
{
	vlapic_set_reg(vcpu->vlapic, APIC_TPR, ((uint32_t)val & 0xFU) << 4);
	vcpu_request_self(vcpu, REQ_EVENT);
}

static void post(struct vcpu *vcpu, uint8_t vector)
{
	if (vcpu->vlapic->enabled) {
		vlapic_post(vcpu, vector, false);
	}
}

struct vapic_vm *vapic_vm(const struct vm *vm)
{
	return &vapic_vms[vm->id];
}

/* The page at 0xFEE00000: registers are 32 bits wide, 16 bytes apart; the rest reads 0. */
static void apic_page(struct vcpu *vcpu, void *arg, struct io_access *io)
{
	uint32_t offset = (uint32_t)io->addr & 0xFF0U;
	uint32_t byte = (uint32_t)io->addr & 0xFU;
	uint64_t val;

	(void)arg;
	if (vcpu->vlapic->mode != VLAPIC_XAPIC) {
		io->value = UINT64_MAX;
	} else if (io->write) {
		if (byte == 0U && io->width == 4U) {
			(void)vlapic_write(vcpu, offset, io->value);
		}
	} else {
		(void)vlapic_read(vcpu, offset, &val);
		io->value = byte < 4U ? val >> (byte * 8U) : 0U;
	}
}

static int read_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *val)
{
	if (likely(msr - MSR_X2APIC_FIRST <= MSR_X2APIC_LAST - MSR_X2APIC_FIRST)) {
		if (vcpu->vlapic->mode != VLAPIC_X2APIC) {
			return -EINVAL;
		}
		return vlapic_read(vcpu, (msr - MSR_X2APIC_FIRST) << 4, val);
	}
	*val = (msr == MSR_TSC_DEADLINE) ? vlapic_get_deadline(vcpu) : vlapic_get_base(vcpu);
	return 0;
}

static int write_msr(struct vcpu *vcpu, uint32_t msr, uint64_t val)
{
	if (msr == MSR_TSC_DEADLINE) {
		vlapic_set_deadline(vcpu, val);
		return 0;
	}
	if (msr == MSR_APIC_BASE) {
		return vlapic_set_base(vcpu, val);
	}
	if (vcpu->vlapic->mode != VLAPIC_X2APIC) {
		return -EINVAL;
	}
	return vlapic_write(vcpu, (msr - MSR_X2APIC_FIRST) << 4, val);
}

const struct vintr_ops vlapic_vintr_ops = {
	.inject = vapic_inject,
	.switched_in = apicv_switched_in,
	.pending = vapic_pending,
	.deliver = vlapic_icr_deliver,
	.post = post,
	.pic_line = vpic_line,
	.cr8 = read_cr8,
	.set_cr8 = write_cr8,
	.read_msr = read_msr,
	.write_msr = write_msr,
	.tsc_moved = vlapic_timer_tsc_moved,
};

static int vapic_boot(void)
{
	apicv_boot();
	return 0;
}

static bool is_ours(const struct vm *vm)
{
	return vm->vintr == &vlapic_vintr_ops;
}

static void vapic_vm_deinit(struct vm *vm)
{
	if (vm->apic_page) {
		pool_put(&page_pool, vm->apic_page);
	}
	vm->apic_page = NULL;
}

static int vapic_vm_init(struct vm *vm)
{
	struct vapic_vm *vv = vapic_vm(vm);
	int ret;

	if (!vm->vintr) {
		vm->vintr = &vlapic_vintr_ops;
	}
	if (!is_ours(vm)) {
		return 0;
	}
	vv->others = 0U;
	vv->open = false;
	if (apicv.apic_access) {
		vm->apic_page = pool_get(&page_pool);
		if (!vm->apic_page) {
			return -ENOMEM;
		}
	}
	ret = vpic_create(vm);
	if (ret == 0) {
		ret = vio_add_mmio(vm, GPA(APIC_DEFAULT_BASE), PAGE_SIZE, apic_page, NULL);
	}
	if (ret != 0) {
		vapic_vm_deinit(vm);
	}
	return ret;
}

static void vapic_vcpu_deinit(struct vcpu *vcpu)
{
	struct vlapic *v = vcpu->vlapic;

	if (!v) {
		return;
	}
	vlapic_timer_stop(v);
	vcpu->vlapic = NULL;
	pool_put(&page_pool, v->regs);
	pool_put(&page_pool, v);
}

static int vapic_vcpu_init(struct vcpu *vcpu)
{
	struct vlapic *v;

	_Static_assert(sizeof(*v) <= PAGE_SIZE, "a vLAPIC fits into a page");
	if (!is_ours(vcpu->vm)) {
		return 0;
	}
	v = pool_get(&page_pool);
	if (!v) {
		return -ENOMEM;
	}
	v->regs = pool_get(&page_pool);
	if (!v->regs) {
		pool_put(&page_pool, v);
		return -ENOMEM;
	}
	v->vcpu = vcpu;
	vlapic_timer_init(v);
	v->power_on = true;
	vlapic_reset(v);
	vcpu->vlapic = v;
	return 0;
}

/* The first start of a VM's vCPU, or one after an INIT. */
static void vapic_vcpu_reset(struct vcpu *vcpu)
{
	struct vlapic *v = vcpu->vlapic;

	if (!v) {
		return;
	}
	if (!v->power_on) {
		vlapic_timer_stop(v);
		vlapic_reset(v);
	}
	v->power_on = false;
	apicv_setup(v);
}

static void vapic_vm_reset(struct vm *vm)
{
	if (!is_ours(vm)) {
		return;
	}
	for (uint16_t i = 0; i < vm->vcpu_count; i++) {
		struct vlapic *v = vm->vcpus[i]->vlapic;

		vlapic_timer_stop(v);
		v->power_on = true;
		v->counted = false;
		vlapic_reset(v);
	}
	apicv_vm_reset(vm);
	vpic_reset(vm);
}

UNIT(vapic) = {
	.name = "vapic",
	.level = UNIT_INTR,
	.vm_state = VM_STATE("vPICs", struct vpic, vpic),
	.boot = vapic_boot,
	.vm_init = vapic_vm_init,
	.vm_reset = vapic_vm_reset,
	.vm_deinit = vapic_vm_deinit,
	.vcpu_init = vapic_vcpu_init,
	.vcpu_reset = vapic_vcpu_reset,
	.vcpu_deinit = vapic_vcpu_deinit,
};
