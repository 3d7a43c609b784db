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

static int64_t hc_get_api_version(const struct hc_call *c)
{
	struct acrn_api_version v = {.major = ACRN_API_MAJOR, .minor = ACRN_API_MINOR};

	return gmem_write(c->caller, GPA(c->arg1), &v, sizeof(v));
}

/*
 * The Service VM has taken the CPU offline and gives it up for good: its vCPU never runs again, so
 * that the pCPU belongs to the User VMs placed there.
 */
static int64_t hc_remove_cpu(const struct hc_call *c)
{
	struct vcpu *vcpu = vcpu_by_apic_id(c->caller, (uint32_t)c->arg1);

	if (c->arg1 > UINT32_MAX || vcpu == NULL || vcpu->id == 0U ||
	    vcpu->pcpu == this_pcpu() || vcpu->state == VCPU_OFFLINE) {
		return -EINVAL;
	}
	vcpu->state = VCPU_OFFLINE;
	sched_retire(&vcpu->thread); /* not waiting: it may be here to remove us */
	pr_acrn("%s: gave up its processor with APIC id %lu", c->caller->name, c->arg1);
	return 0;
}

static int64_t hc_set_callback_vector(const struct hc_call *c)
{
	if (c->arg1 < 0x20U || c->arg1 > 0xFFU) {
		return -EINVAL;
	}
	ioreq_set_upcall((uint8_t)c->arg1);
	return 0;
}

static int64_t hc_inject_msi(const struct hc_call *c)
{
	struct acrn_msi_entry msi;
	int err = gmem_read(c->caller, GPA(c->arg2), &msi, sizeof(msi));

	if (err != 0) {
		return err;
	}
	return vintr_msi(c->target, msi.msi_addr, (uint32_t)msi.msi_data);
}

/*
 * Counters of the physical interrupts that belong to a VM, against interrupt storms. User VMs have
 * no physical interrupt in a build without device assignment, so the list is empty, and there is
 * nothing to delay.
 */
static int64_t hc_vm_intr_monitor(const struct hc_call *c)
{
	struct acrn_intr_monitor m;
	int err = gmem_read(c->caller, GPA(c->arg2), &m, offsetof(struct acrn_intr_monitor, buf));

	if (err != 0) {
		return err;
	}
	switch (m.cmd) {
	case ACRN_INTR_CMD_GET_DATA:
		m.buf_cnt = 0U;
		return gmem_write(c->caller, GPA(c->arg2), &m,
				  offsetof(struct acrn_intr_monitor, buf));
	case ACRN_INTR_CMD_DELAY_INT:
		return 0;
	default:
		return -EINVAL;
	}
}

/* The argument is the operation itself: GSI low, what to do with the line high. */
static int64_t hc_set_irqline(const struct hc_call *c)
{
	return vintr_set_gsi(c->target, (uint32_t)c->arg2, (uint32_t)(c->arg2 >> 32));
}

/* No User VM controls the frequency or the idle states of a physical processor: the lists are empty. */
static int64_t hc_pm_get_cpu_state(const struct hc_call *c)
{
	struct vm *target;
	uint32_t type = ACRN_PMCMD_TYPE(c->arg1);
	uint8_t count = 0U;
	int64_t ret;

	target = hc_target(c->caller, ACRN_PMCMD_VMID(c->arg1));
	if (target == NULL) {
		return -EINVAL;
	}
	if (target->state == VM_RUNNING ||
	    (type != ACRN_PMCMD_GET_PX_CNT && type != ACRN_PMCMD_GET_CX_CNT)) {
		ret = -EINVAL;
	} else {
		ret = gmem_write(c->caller, GPA(c->arg2), &count, sizeof(count));
	}
	spin_unlock(&target->lock);
	return ret;
}

HYPERCALL(HC_GET_API_VERSION, hc_get_api_version);
HYPERCALL(HC_REMOVE_CPU, hc_remove_cpu);
HYPERCALL(HC_SET_CALLBACK_VECTOR, hc_set_callback_vector);
HYPERCALL_VM(HC_INJECT_MSI, hc_inject_msi);
HYPERCALL_VM(HC_VM_INTR_MONITOR, hc_vm_intr_monitor);
HYPERCALL_VM(HC_SET_IRQLINE, hc_set_irqline);
HYPERCALL(HC_PM_GET_CPU_STATE, hc_pm_get_cpu_state); /* the id is in the command */
