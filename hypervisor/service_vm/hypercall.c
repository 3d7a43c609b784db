// SPDX-License-Identifier: BSD-3-Clause
/*
 * VMCALL: who may, which hypercall, and the lock of the VM it aims at. On the calling vCPU's CPU.
 * Handlers (hc_*.c, ioreq.c) copy and check their arguments; nothing here looks at guest memory.
 * Takes the target's vm->lock around a handler.
 */
#include "asm/vmx_insn.h"
#include "hv/pcpu.h"
#include "hv/trace.h"
#include "hv/vcpu.h"
#include "hv/vmexit.h"
#include "lib/errno.h"
#include "hypercall.h"

struct hypercall {
	hc_fn fn;
	bool target; /* the first argument is the id of one of the caller's VMs */
};

static const struct hypercall table[] = {
	[HC_GET_API_VERSION] = {hc_get_api_version, false},
	[HC_REMOVE_CPU] = {hc_remove_cpu, false},
	[HC_SET_CALLBACK_VECTOR] = {hc_set_callback_vector, false},
	[HC_CREATE_VM] = {hc_create_vm, false},
	[HC_DESTROY_VM] = {hc_destroy_vm, true},
	[HC_START_VM] = {hc_start_vm, true},
	[HC_PAUSE_VM] = {hc_pause_vm, true},
	[HC_RESET_VM] = {hc_reset_vm, true},
	[HC_SET_VCPU_REGS] = {hc_set_vcpu_regs, true},
	[HC_INJECT_MSI] = {hc_inject_msi, true},
	[HC_VM_INTR_MONITOR] = {hc_vm_intr_monitor, true},
	[HC_SET_IRQLINE] = {hc_set_irqline, true},
	[HC_SET_IOREQ_BUFFER] = {hc_set_ioreq_buffer, true},
	[HC_NOTIFY_REQUEST_FINISH] = {hc_notify_request_finish, true},
	[HC_ASYNCIO_ASSIGN] = {hc_asyncio_assign, true},
	[HC_ASYNCIO_DEASSIGN] = {hc_asyncio_deassign, true},
	[HC_SET_MEMORY_REGIONS] = {hc_set_memory_regions, false}, /* the id is in the structure */
	[HC_SETUP_SBUF] = {hc_setup_sbuf, false}, /* the first argument counts for VMs' rings */
	[HC_SET_PTDEV_INTR] = {hc_set_ptdev_intr, true},
	[HC_RESET_PTDEV_INTR] = {hc_reset_ptdev_intr, true},
	[HC_ASSIGN_PCIDEV] = {hc_assign_pcidev, true},
	[HC_DEASSIGN_PCIDEV] = {hc_deassign_pcidev, true},
	[HC_ASSIGN_MMIODEV] = {hc_assign_mmiodev, true},
	[HC_DEASSIGN_MMIODEV] = {hc_deassign_mmiodev, true},
	[HC_CREATE_VDEV] = {hc_create_vdev, true},
	[HC_DESTROY_VDEV] = {hc_destroy_vdev, true},
	[HC_PM_GET_CPU_STATE] = {hc_pm_get_cpu_state, false}, /* the id is in the command */
};

struct vm *hc_target(struct vm *caller, uint64_t vmid)
{
	struct vm *vm;

	if (vmid > UINT16_MAX) {
		return NULL;
	}
	vm = vm_by_id((uint16_t)(vmid + caller->id));
	if (vm == NULL || vm == caller) {
		return NULL;
	}
	spin_lock_serving(&vm->lock);
	if (vm_is_live(vm) && vm->owner == caller) {
		return vm;
	}
	spin_unlock(&vm->lock);
	return NULL;
}

static int64_t call_target(hc_fn fn, struct vm *caller, uint64_t arg1, uint64_t arg2)
{
	struct vm *target = hc_target(caller, arg1);
	int64_t ret;

	if (target == NULL) {
		return -EINVAL;
	}
	ret = fn(caller, target, arg1, arg2);
	spin_unlock(&target->lock);
	return ret;
}

static void vmcall_exit(struct vcpu *vcpu)
{
	uint64_t nr = vcpu->gpr[GPR_R8] - HC_CLASS;
	uint64_t arg1 = vcpu->gpr[GPR_RDI], arg2 = vcpu->gpr[GPR_RSI];
	int64_t ret = -ENOTTY;

	if (unlikely(!vcpu->vm->hypercalls)) {
		vcpu_inject_ud(vcpu);
		return;
	}
	if (unlikely(((vmcs_read32(VMCS_GUEST_SS_AR) >> 5) & 3U) != 0U)) {
		vcpu_inject_gp(vcpu);
		return;
	}
	if (nr < ARRAY_SIZE(table) && table[nr].fn != NULL) {
		if (table[nr].target) {
			ret = call_target(table[nr].fn, vcpu->vm, arg1, arg2);
		} else {
			ret = table[nr].fn(vcpu->vm, NULL, arg1, arg2);
		}
	}
	vcpu->gpr[GPR_RAX] = (uint64_t)ret;
	trace(TRACE_HYPERCALL, nr + HC_CLASS, (uint64_t)ret);
	vcpu_skip(vcpu);
}

VMEXIT(EXIT_VMCALL, vmcall_exit);
