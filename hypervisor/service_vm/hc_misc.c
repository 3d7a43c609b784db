// SPDX-License-Identifier: BSD-3-Clause
/*
 * The smaller hypercalls: interrupts into a User VM, power-management facts, the Service VM's own
 * CPUs. On the CPU of the calling vCPU; a target is locked.
 */
#include "acrn/version.h"
#include "hv/gmem.h"
#include "hv/log.h"
#include "hv/pcpu.h"
#include "hv/vcpu.h"
#include "hv/vintr.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "hypercall.h"

int64_t hc_get_api_version(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2)
{
	struct acrn_api_version v = {.major = ACRN_API_MAJOR, .minor = ACRN_API_MINOR};

	(void)target;
	(void)arg2;
	return gmem_write(caller, GPA(arg1), &v, sizeof(v));
}

/*
 * The Service VM has taken the CPU offline and gives it up for good: its vCPU never runs again, so
 * that the pCPU belongs to the User VMs placed there.
 */
int64_t hc_remove_cpu(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2)
{
	struct vcpu *vcpu = (arg1 <= UINT32_MAX) ? vcpu_by_apic_id(caller, (uint32_t)arg1) : NULL;

	(void)target;
	(void)arg2;
	if (vcpu == NULL || vcpu->id == 0U || vcpu->pcpu == this_pcpu()) {
		return -EINVAL;
	}
	vcpu->state = VCPU_OFFLINE;
	sched_stop(&vcpu->thread); /* not waiting: it may be here to remove us */
	pr_acrn("%s: gave up its processor with APIC id %lu", caller->name, arg1);
	return 0;
}

int64_t hc_set_callback_vector(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2)
{
	(void)caller;
	(void)target;
	(void)arg2;
	if (arg1 < 0x20U || arg1 > 0xFFU) {
		return -EINVAL;
	}
	ioreq_set_upcall((uint8_t)arg1);
	return 0;
}

int64_t hc_inject_msi(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2)
{
	struct acrn_msi_entry msi;
	int err = gmem_read(caller, GPA(arg2), &msi, sizeof(msi));

	(void)arg1;
	if (err != 0) {
		return err;
	}
	return vintr_msi(target, msi.msi_addr, (uint32_t)msi.msi_data);
}

/*
 * Counters of the physical interrupts that belong to a VM, against interrupt storms. User VMs have
 * no physical interrupt in a build without device assignment, so the list is empty, and there is
 * nothing to delay.
 */
int64_t hc_vm_intr_monitor(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2)
{
	struct acrn_intr_monitor m;
	int err = gmem_read(caller, GPA(arg2), &m, offsetof(struct acrn_intr_monitor, buf));

	(void)target;
	(void)arg1;
	if (err != 0) {
		return err;
	}
	switch (m.cmd) {
	case ACRN_INTR_CMD_GET_DATA:
		m.buf_cnt = 0U;
		return gmem_write(caller, GPA(arg2), &m, offsetof(struct acrn_intr_monitor, buf));
	case ACRN_INTR_CMD_DELAY_INT:
		return 0;
	default:
		return -EINVAL;
	}
}

/* The argument is the operation itself: GSI low, what to do with the line high. */
int64_t hc_set_irqline(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2)
{
	(void)caller;
	(void)arg1;
	return vintr_set_gsi(target, (uint32_t)arg2, (uint32_t)(arg2 >> 32));
}

/* No User VM controls the frequency or the idle states of a physical processor: the lists are empty. */
int64_t hc_pm_get_cpu_state(struct vm *caller, struct vm *target, uint64_t arg1, uint64_t arg2)
{
	uint32_t type = ACRN_PMCMD_TYPE(arg1);
	uint8_t count = 0U;
	int64_t ret;

	target = hc_target(caller, ACRN_PMCMD_VMID(arg1));
	if (target == NULL) {
		return -EINVAL;
	}
	if (target->state == VM_RUNNING ||
	    (type != ACRN_PMCMD_GET_PX_CNT && type != ACRN_PMCMD_GET_CX_CNT)) {
		ret = -EINVAL;
	} else {
		ret = gmem_write(caller, GPA(arg2), &count, sizeof(count));
	}
	spin_unlock(&target->lock);
	return ret;
}
