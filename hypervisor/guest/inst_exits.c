// SPDX-License-Identifier: BSD-3-Clause
/*
 * Instructions that exit and need little: cache write-back, and those of features that CPUID hides
 * from every guest, which fault as on a processor without them.  Own CPU, no lock.
 */
#include "asm/insn.h"
#include "hv/log.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "hv/vmcs.h"
#include "hv/vmexit.h"

/*
 * The guest may have memory a device reads past the caches, so they are really written back. INVD
 * would throw away other guests' data: it writes back too, as it may at any moment before anyway.
 */
static void cache_exit(struct vcpu *vcpu)
{
	cpu_wbinvd();
	vcpu_skip(vcpu);
}

static void hidden_exit(struct vcpu *vcpu)
{
	vcpu_inject_ud(vcpu);
}

/*
 * Hardware task switches are not emulated. A guest that asks for one has put its kernel's life on
 * it, so the VM ends, with a line that says why: a fault would only send it astray.
 */
static void task_switch_exit(struct vcpu *vcpu)
{
	static const char *const by[] = {"CALL", "IRET", "JMP", "a task gate"};
	uint64_t what = vmcs_read(VMCS_EXIT_QUALIFICATION); /* SDM 3C table 28-2 */

	pr_err("%s: vCPU %u: a hardware task switch by %s to selector 0x%lx at 0x%lx: there are "
	       "none in VMs, so this one ends",
	       vcpu->vm->name, vcpu->id, by[(what >> 30) & 3U], what & UINT16_MAX,
	       vmcs_read(VMCS_GUEST_RIP));
	vcpu->vm->on_triple_fault(vcpu);
}

/* The instruction is older than CPUID; there is no counter that it could name. */
static void rdpmc_exit(struct vcpu *vcpu)
{
	vcpu_inject_gp(vcpu);
}

VMEXIT(EXIT_INVD, cache_exit);
VMEXIT(EXIT_WBINVD, cache_exit);
VMEXIT(EXIT_TASK_SWITCH, task_switch_exit);
VMEXIT(EXIT_RDPMC, rdpmc_exit);
VMEXIT(EXIT_GETSEC, hidden_exit);
VMEXIT(EXIT_MONITOR, hidden_exit);
VMEXIT(EXIT_MWAIT, hidden_exit);
VMEXIT(EXIT_VMCLEAR, hidden_exit);
VMEXIT(EXIT_VMLAUNCH, hidden_exit);
VMEXIT(EXIT_VMPTRLD, hidden_exit);
VMEXIT(EXIT_VMPTRST, hidden_exit);
VMEXIT(EXIT_VMREAD, hidden_exit);
VMEXIT(EXIT_VMRESUME, hidden_exit);
VMEXIT(EXIT_VMWRITE, hidden_exit);
VMEXIT(EXIT_VMXOFF, hidden_exit);
VMEXIT(EXIT_VMXON, hidden_exit);
VMEXIT(EXIT_INVEPT, hidden_exit);
VMEXIT(EXIT_INVVPID, hidden_exit);
