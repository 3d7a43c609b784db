// SPDX-License-Identifier: BSD-3-Clause
/*
 * VMCALL: who may, which hypercall, and the lock of the VM it aims at. On the calling vCPU's CPU.
 * Handlers (hc_*.c, ioreq.c) copy and check their arguments; nothing here looks at guest memory.
 * Takes the target's vm->lock around a handler.
 */
#include "asm/vmx_insn.h"
#include "hv/log.h"
#include "hv/pcpu.h"
#include "hv/trace.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vmexit.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "hypercall.h"

extern const struct hypercall __start_hv_hypercalls[] __attribute__((visibility("hidden")));
extern const struct hypercall __stop_hv_hypercalls[] __attribute__((visibility("hidden")));

/* By number; NULL: there is none. */
static const struct hypercall *table[HC_PM_GET_CPU_STATE + 1U];

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

static int64_t call_target(const struct hypercall *h, struct hc_call *c)
{
	int64_t ret;

	c->target = hc_target(c->caller, c->arg1);
	if (c->target == NULL) {
		return -EINVAL;
	}
	ret = h->fn(c);
	spin_unlock(&c->target->lock);
	return ret;
}

static void vmcall_exit(struct vcpu *vcpu)
{
	uint64_t nr = vcpu->gpr[GPR_R8] - HC_CLASS;
	struct hc_call c;
	int64_t ret = -ENOTTY;

	if (unlikely(!vcpu->vm->hypercalls)) {
		vcpu_inject_ud(vcpu);
		return;
	}
	if (unlikely(((vmcs_read32(VMCS_GUEST_SS_AR) >> 5) & 3U) != 0U)) {
		vcpu_inject_gp(vcpu);
		return;
	}
	if (nr < ARRAY_SIZE(table) && table[nr] != NULL) {
		c.caller = vcpu->vm;
		c.target = NULL;
		c.arg1 = vcpu->gpr[GPR_RDI];
		c.arg2 = vcpu->gpr[GPR_RSI];
		ret = table[nr]->has_target ? call_target(table[nr], &c) : table[nr]->fn(&c);
	}
	vcpu->gpr[GPR_RAX] = (uint64_t)ret;
	trace(TRACE_HYPERCALL, nr + HC_CLASS, (uint64_t)ret);
	vcpu_skip(vcpu);
}

static int hypercall_boot(void)
{
	(void)memset(table, 0, sizeof(table));
	for (const struct hypercall *h = __start_hv_hypercalls; h < __stop_hv_hypercalls; h++) {
		ASSERT(h->nr < ARRAY_SIZE(table) && table[h->nr] == NULL);
		table[h->nr] = h;
	}
	return 0;
}

UNIT(hypercall) = {
	.name = "hypercall",
	.level = UNIT_SERVICE,
	.boot = hypercall_boot,
};
VMEXIT(EXIT_VMCALL, vmcall_exit);
