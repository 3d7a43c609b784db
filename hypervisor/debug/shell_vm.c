// SPDX-License-Identifier: BSD-3-Clause
/*
 * Shell commands about VMs and their vCPUs. Each takes the lock of the VM it shows, so that the VM
 * stays what it is; registers are read on the vCPU's own CPU, which may have another VMCS loaded
 * and gets it back. Nothing here changes a guest. Called by shell.c.
 */
#include "hv/shell.h"
#include "asm/apic.h"
#include "asm/cpuregs.h"
#include "asm/insn.h"
#include "hv/console.h"
#include "hv/irq.h"
#include "hv/pcpu.h"
#include "hv/vcpu.h"
#include "hv/vcr.h"
#include "hv/vioapic.h"
#include "hv/vm.h"
#include "hv/vmcs.h"
#include "lib/errno.h"

static const char *const vm_states[] = {
	[VM_POWERED_OFF] = "Off",
	[VM_CREATED] = "Created",
	[VM_RUNNING] = "Running",
	[VM_READY_TO_POWEROFF] = "Ending",
	[VM_PAUSED] = "Paused",
};
static const char *const vcpu_states[] = {
	[VCPU_OFFLINE] = "Offline",
	[VCPU_WAIT_SIPI] = "Init",
	[VCPU_RUNNING] = "Running",
};
static const char *const thread_states[] = {
	[THREAD_BLOCKED] = "Blocked",
	[THREAD_RUNNABLE] = "Runnable",
	[THREAD_RUNNING] = "Running",
};
static const char *const load_orders[] = {
	[PRE_LAUNCHED_VM] = "PRE_LAUNCHED",
	[SERVICE_VM] = "SERVICE",
	[POST_LAUNCHED_VM] = "POST_LAUNCHED",
};

/* Slots keep their address, so that their own words may be read without the lock. */
static bool vm_list_row(uint32_t i)
{
	const struct vm *vm = vm_by_id((uint16_t)i);

	if (i == 0U) {
		shell_print("VM_ID VM_NAME          VM_STATE LOAD_ORDER    VCPUS");
	}
	if (vm != NULL && vm_is_live(vm)) {
		shell_print("%5u %-16s %-8s %-13s %5u", vm->id, vm->name, vm_states[vm->state],
			    load_orders[vm->load_order], vm->vcpu_count);
	}
	return vm != NULL;
}

static int vm_list(uint32_t argc, char **argv)
{
	(void)argv;
	shell_rows(vm_list_row);
	return (argc == 1U) ? 0 : -EINVAL;
}
SHELL_CMD("vm_list", "", "the VMs", vm_list);

static void vcpu_line(const struct vcpu *vcpu)
{
	shell_print("%5u %7u %7u %-9s %-8s %-8s", vcpu->vm->id, vcpu->pcpu->id, vcpu->id,
		    (vcpu->id == 0U) ? "PRIMARY" : "SECONDARY", vcpu_states[vcpu->state],
		    thread_states[vcpu->thread.state]);
}

static bool vcpu_list_row(uint32_t i)
{
	struct vm *vm = vm_by_id((uint16_t)i);

	if (i == 0U) {
		shell_print("VM_ID PCPU_ID VCPU_ID ROLE      STATE    THREAD");
	}
	if (vm == NULL) {
		return false;
	}
	if (!vm_is_live(vm)) {
		return true;
	}
	if (!spin_trylock(&vm->lock)) {
		shell_print("%5u is being changed", vm->id);
		return true;
	}
	for (uint16_t n = 0U; n < vm->vcpu_count; n++) {
		vcpu_line(vm->vcpus[n]);
	}
	spin_unlock(&vm->lock);
	return true;
}

static int vcpu_list(uint32_t argc, char **argv)
{
	(void)argv;
	shell_rows(vcpu_list_row);
	return (argc == 1U) ? 0 : -EINVAL;
}
SHELL_CMD("vcpu_list", "", "the vCPUs of all VMs", vcpu_list);

/* A copy of a vCPU's registers, made on its own CPU. */
struct regs {
	struct vcpu *vcpu;
	bool started;
	uint64_t gpr[GPR_COUNT];
	uint64_t rip, rsp, rflags, cr0, cr2, cr3, cr4, efer;
	uint64_t gdtr, idtr;
	uint32_t sel[8];
};

static void copy_regs(void *arg)
{
	static const uint32_t selectors[] = {VMCS_GUEST_ES_SEL, VMCS_GUEST_CS_SEL,
					     VMCS_GUEST_SS_SEL, VMCS_GUEST_DS_SEL,
					     VMCS_GUEST_FS_SEL, VMCS_GUEST_GS_SEL};
	struct regs *r = arg;
	struct vcpu *loaded = this_pcpu()->loaded;

	r->started = r->vcpu->started;
	if (!r->started) {
		return;
	}
	if (loaded != r->vcpu) {
		vmcs_load(r->vcpu);
	}
	for (uint32_t i = 0U; i < GPR_COUNT; i++) {
		r->gpr[i] = r->vcpu->gpr[i];
	}
	r->rip = vmcs_read(VMCS_GUEST_RIP);
	r->rsp = vmcs_read(VMCS_GUEST_RSP);
	r->rflags = vmcs_read(VMCS_GUEST_RFLAGS);
	r->cr0 = vcr_cr0();
	r->cr2 = (loaded == r->vcpu) ? read_cr2() : r->vcpu->cr2;
	r->cr3 = vmcs_read(VMCS_GUEST_CR3);
	r->cr4 = vcr_cr4();
	r->efer = vcr_efer();
	r->gdtr = vmcs_read(VMCS_GUEST_GDTR_BASE);
	r->idtr = vmcs_read(VMCS_GUEST_IDTR_BASE);
	for (uint32_t i = 0U; i < ARRAY_SIZE(selectors); i++) {
		r->sel[i] = vmcs_read32(selectors[i]);
	}
	if (loaded != r->vcpu && loaded != NULL) {
		vmcs_load(loaded);
	}
}

static void print_regs(const struct regs *r)
{
	const uint64_t *g = r->gpr;

	shell_print("VM %u vCPU %u on CPU %u, %s, %s", r->vcpu->vm->id, r->vcpu->id,
		    r->vcpu->pcpu->id, vcpu_states[r->vcpu->state],
		    thread_states[r->vcpu->thread.state]);
	if (!r->started) {
		shell_print("it has not run yet");
		return;
	}
	shell_print("RIP=0x%016lx RSP=0x%016lx RFLAGS=0x%lx", r->rip, r->rsp, r->rflags);
	shell_print("CR0=0x%lx CR2=0x%016lx CR3=0x%lx CR4=0x%lx EFER=0x%lx", r->cr0, r->cr2,
		    r->cr3, r->cr4, r->efer);
	shell_print("RAX=0x%016lx RBX=0x%016lx RCX=0x%016lx", g[GPR_RAX], g[GPR_RBX], g[GPR_RCX]);
	shell_print("RDX=0x%016lx RDI=0x%016lx RSI=0x%016lx", g[GPR_RDX], g[GPR_RDI], g[GPR_RSI]);
	shell_print("RBP=0x%016lx R8=0x%016lx  R9=0x%016lx", g[GPR_RBP], g[GPR_R8], g[GPR_R9]);
	shell_print("R10=0x%016lx R11=0x%016lx R12=0x%016lx", g[GPR_R10], g[GPR_R11], g[GPR_R12]);
	shell_print("R13=0x%016lx R14=0x%016lx R15=0x%016lx", g[GPR_R13], g[GPR_R14], g[GPR_R15]);
	shell_print("ES=0x%x CS=0x%x SS=0x%x DS=0x%x FS=0x%x GS=0x%x GDTR=0x%lx IDTR=0x%lx",
		    r->sel[0], r->sel[1], r->sel[2], r->sel[3], r->sel[4], r->sel[5], r->gdtr,
		    r->idtr);
}

/*
 * The lock is held over the call: who waits for a VM's lock serves calls meanwhile, and nobody spins
 * for it in another way (spin_lock_serving()).
 */
static int vcpu_dumpreg(uint32_t argc, char **argv)
{
	struct regs r = {0};
	struct vm *vm;
	uint64_t id;

	if (argc != 3U) {
		return -EINVAL;
	}
	vm = shell_vm_lock(argv[1]);
	if (vm == NULL) {
		return 0;
	}
	if (!shell_number(argv[2], UINT16_MAX, &id) || id >= vm->vcpu_count) {
		shell_print("VM %u has %u vCPUs", vm->id, vm->vcpu_count);
		goto out;
	}
	r.vcpu = vm->vcpus[id];
	smp_call(r.vcpu->pcpu, copy_regs, &r);
	print_regs(&r);
out:
	spin_unlock(&vm->lock);
	return 0;
}
SHELL_CMD("vcpu_dumpreg", "<vm id, vcpu id>", "registers of a vCPU", vcpu_dumpreg);

static int vm_console(uint32_t argc, char **argv)
{
	struct vm *vm = (argc == 2U) ? shell_vm_lock(argv[1]) : NULL;

	if (argc != 2U) {
		return -EINVAL;
	}
	if (vm == NULL) {
		return 0;
	}
	if (console_show(vm->id) == 0) {
		shell_leave();
		shell_print("\r\n----- Entering VM %u Console; Ctrl-Space, or BREAK and e, leaves it "
			    "-----",
			    vm->id);
	} else {
		shell_print("VM %u has no console vUART", vm->id);
	}
	spin_unlock(&vm->lock);
	return 0;
}
SHELL_CMD("vm_console", "<vm id>", "switch to the console of a VM", vm_console);
