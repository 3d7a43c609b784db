// SPDX-License-Identifier: BSD-3-Clause
/*
 * Hypercalls for the life of a User VM: create, start, pause, reset, destroy, and the registers it
 * starts with. On the CPU of the calling vCPU; the target is locked, CREATE_VM locks the slot it
 * takes. What the caller passes is copied once, checked, and only then acted upon.
 */
#include "asm/cpuregs.h"
#include "hv/gmem.h"
#include "hv/log.h"
#include "hv/pcpu.h"
#include "hv/vcpu.h"
#include "lib/errno.h"
#include "lib/kconfig.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "config.h"
#include "hypercall.h"

/* Flags a device model may set, of those that this build can keep. */
#define FLAGS_SUPPORTED                                                                            \
	(GUEST_FLAG_RT | GUEST_FLAG_IO_COMPLETION_POLLING |                                        \
	 ((IS_ENABLED(CONFIG_LAPIC_PT) != 0) ? GUEST_FLAG_LAPIC_PASSTHROUGH : 0UL))

#define CR0_DEFINED                                                                                \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
	 CR0_PG)
#define CR4_ALLOWED                                                                                \
	(CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE |  \
	 CR4_OSFXSR | CR4_OSXMMEXCPT)
#define EFER_ALLOWED (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)
#define RFLAGS_ALLOWED 0x3F7FD7UL /* bits 3, 5, 15 and 22 on are reserved */
#define AR_RESERVED    0xFFFE0F00U

#define AR_DATA16 0x0093U
#define AR_DATA32 0xC093U
#define AR_LDT	  0x0082U
#define AR_TSS	  0x008BU

/* What the creator called each VM: any 16 bytes. Protected by the slot's lock. */
static uint8_t names[CONFIG_MAX_VM_NUM][ACRN_NAME_LEN];

/* A name to print: as it is if it is text, else its first bytes in hexadecimal. */
static void printable(char out[ACRN_NAME_LEN], const uint8_t raw[ACRN_NAME_LEN])
{
	bool text = raw[0] != 0U;

	for (uint32_t i = 0U; i < ACRN_NAME_LEN - 1U && raw[i] != 0U; i++) {
		text = text && raw[i] > 0x20U && raw[i] < 0x7FU;
	}
	if (text) {
		(void)memcpy(out, raw, ACRN_NAME_LEN - 1U);
		out[ACRN_NAME_LEN - 1U] = '\0';
	} else {
		(void)snprintf(out, ACRN_NAME_LEN, "%02x%02x%02x%02x-%02x%02x", raw[0], raw[1],
			       raw[2], raw[3], raw[4], raw[5]);
	}
}

static int find_static(const uint8_t name[ACRN_NAME_LEN])
{
	for (uint16_t i = 0U; i < vm_config_count; i++) {
		if (vm_configs[i].load_order == POST_LAUNCHED_VM &&
		    strncmp(vm_configs[i].name, (const char *)name, ACRN_NAME_LEN) == 0) {
			return i;
		}
	}
	return -ENOENT;
}

/* A free slot, locked, for a VM of that name; or -EBUSY, -EEXIST, -ENOSPC. */
static int take_slot(const uint8_t name[ACRN_NAME_LEN])
{
	int id = find_static(name), free = -ENOSPC;

	if (id >= 0) {
		spin_lock_serving(&vm_by_id((uint16_t)id)->lock);
		if (!vm_is_live(vm_by_id((uint16_t)id))) {
			return id;
		}
		spin_unlock(&vm_by_id((uint16_t)id)->lock);
		return -EBUSY;
	}
	for (uint16_t i = vm_config_count; i < CONFIG_MAX_VM_NUM; i++) {
		struct vm *vm = vm_by_id(i);

		spin_lock_serving(&vm->lock);
		if (vm_is_live(vm) && memcmp(names[i], name, ACRN_NAME_LEN) == 0) {
			spin_unlock(&vm->lock);
			if (free >= 0) {
				spin_unlock(&vm_by_id((uint16_t)free)->lock);
			}
			return -EEXIST;
		}
		if (!vm_is_live(vm) && free < 0) {
			free = i;
		} else {
			spin_unlock(&vm->lock);
		}
	}
	return free;
}

static uint64_t cpus_of(const struct vm *vm)
{
	uint64_t cpus = 0U;

	for (uint16_t i = 0U; i < vm->vcpu_count; i++) {
		cpus |= BIT(vm->vcpus[i]->pcpu->id);
	}
	return cpus;
}

/* pCPUs that VMs of the hypervisor's own have to themselves. */
static uint64_t reserved_cpus(void)
{
	uint64_t cpus = 0U;

	for (uint16_t i = 0U; i < vm_config_count; i++) {
		if (vm_configs[i].load_order == PRE_LAUNCHED_VM) {
			cpus |= vm_configs[i].cpu_affinity;
		}
	}
	return cpus;
}

/* The pCPUs it may use: asked for, of those it is configured for; 0: none. */
static uint64_t affinity(const struct vm *caller, const struct vm_config *config, uint64_t asked)
{
	uint64_t online = UINT64_MAX >> (64U - MIN(pcpu_count, 64U));
	uint64_t allowed = ((config != NULL) ? config->cpu_affinity : ~reserved_cpus()) & online;

	if (asked == 0U) {
		return (config != NULL) ? allowed : cpus_of(caller);
	}
	return ((asked & ~allowed) == 0U) ? asked : 0U;
}

static int check_flags(uint64_t flags)
{
	if ((flags & GUEST_FLAGS_DM_MAY_SET & ~FLAGS_SUPPORTED) == 0U) {
		return 0;
	}
	pr_err("CREATE_VM: flags 0x%lx: this hypervisor is without the secure world or the owned "
	       "local APICs that they ask for",
	       flags);
	return -EINVAL;
}

/* pCPUs that a VM has vCPUs on, without those which the Service VM gave up. */
static uint64_t used_cpus(const struct vm *vm)
{
	uint64_t cpus = vm->ept.cpus;

	for (uint16_t i = 0U; vm->owner == NULL && i < vm->vcpu_count; i++) {
		if (vm->vcpus[i]->state == VCPU_OFFLINE) {
			cpus &= ~BIT(vm->vcpus[i]->pcpu->id);
		}
	}
	return cpus;
}

/*
 * Who owns local APICs shares no CPU. Each VM is seen before it looks at the others, whose slots
 * are not locked: of two that are made at once, both may be refused, but none is overlooked.
 */
static int check_shared(const struct vm *vm)
{
	for (uint16_t i = 0U; i < CONFIG_MAX_VM_NUM; i++) {
		const struct vm *other = vm_by_id(i);

		if (other != vm && (used_cpus(other) & vm->ept.cpus) != 0U &&
		    ((vm->flags | other->flags) & GUEST_FLAG_LAPIC_PASSTHROUGH) != 0U) {
			pr_err("CREATE_VM: %s and %s cannot share processors 0x%lx, whose local "
			       "APICs one of them owns",
			       vm->name, other->name, used_cpus(other) & vm->ept.cpus);
			return -EBUSY;
		}
	}
	return 0;
}

static int create(struct vm *caller, uint16_t id, struct acrn_vm_creation *c)
{
	const struct vm_config *config = (id < vm_config_count) ? &vm_configs[id] : NULL;
	char name[ACRN_NAME_LEN];
	struct vm_create_args args = {
		.name = name,
		.load_order = POST_LAUNCHED_VM,
		.severity = (config != NULL) ? config->severity : SEVERITY_STANDARD_VM,
		.flags = (c->vm_flag & FLAGS_SUPPORTED) |
			 ((config != NULL) ? config->guest_flags | GUEST_FLAG_STATIC_VM : 0U),
		.cpu_affinity = affinity(caller, config, c->cpu_affinity),
		.config = config,
		.owner = caller,
	};
	int err;

	printable(name, c->name);
	if (args.cpu_affinity == 0U) {
		pr_err("CREATE_VM: %s may not run on processors 0x%lx", name, c->cpu_affinity);
		return -EINVAL;
	}
	if ((args.flags & GUEST_FLAG_RT) != 0U) {
		args.severity = MAX(args.severity, SEVERITY_RTVM);
	} else if ((args.flags & GUEST_FLAG_LAPIC_PASSTHROUGH) != 0U) {
		pr_err("CREATE_VM: %s would own its local APICs, but is no RTVM", name);
		return -EINVAL;
	}
	(void)memcpy(names[id], c->name, ACRN_NAME_LEN);
	err = vm_create(id, &args);
	if (err == 0) {
		err = check_shared(vm_by_id(id));
		if (err != 0) {
			vm_destroy(vm_by_id(id));
		}
	}
	return err;
}

static int64_t hc_create_vm(const struct hc_call *c)
{
	struct acrn_vm_creation v;
	struct vm *vm;
	int err, id;

	err = gmem_read(c->caller, GPA(c->arg1), &v, sizeof(v));
	if (err == 0) {
		err = check_flags(v.vm_flag);
	}
	if (err != 0) {
		return err;
	}
	id = take_slot(v.name);
	if (id < 0) {
		return id;
	}
	vm = vm_by_id((uint16_t)id);
	err = create(c->caller, (uint16_t)id, &v);
	if (err == 0) {
		v.vmid = (uint16_t)(vm->id - c->caller->id);
		v.vcpu_num = vm->vcpu_count;
		err = gmem_write(c->caller, GPA(c->arg1), &v, sizeof(v));
		if (err != 0) {
			vm_destroy(vm);
		}
	}
	spin_unlock(&vm->lock);
	return err;
}

/* It runs, and only it may end that. */
static bool ends_itself(const struct vm *vm)
{
	return vm->state == VM_RUNNING && own_end(vm);
}

static int64_t hc_destroy_vm(const struct hc_call *c)
{
	if (ends_itself(c->target)) {
		pr_err("DESTROY_VM: %s runs on, it can only power itself off", c->target->name);
		return -EPERM;
	}
	vm_destroy(c->target);
	if (vm_check != NULL) {
		vm_check(c->target);
	}
	return 0;
}

static int64_t hc_start_vm(const struct hc_call *c)
{
	if (!ioreq_ready(c->target)) {
		return -EINVAL;
	}
	return vm_start(c->target);
}

/* The caller is not told that the VM goes on. */
static int64_t hc_pause_vm(const struct hc_call *c)
{
	return ends_itself(c->target) ? 0 : vm_pause(c->target);
}

static int64_t hc_reset_vm(const struct hc_call *c)
{
	return vm_reset(c->target);
}

/* What VM entry would refuse (SDM 3C 27.3.1), or what would give the guest more than its CPUID. */
static bool regs_ok(const struct acrn_regs *r)
{
	bool long_mode = (r->ia32_efer & EFER_LMA) != 0U;
	bool paging = (r->cr0 & CR0_PG) != 0U;
	bool big = (r->cs_ar & 0x8000U) != 0U;

	if ((r->cr0 & ~CR0_DEFINED) != 0U || (r->cr4 & ~CR4_ALLOWED) != 0U ||
	    (r->ia32_efer & ~EFER_ALLOWED) != 0U || (r->rflags & ~RFLAGS_ALLOWED) != 0U ||
	    (r->cs_ar & AR_RESERVED) != 0U) {
		return false;
	}
	if (paging && (r->cr0 & CR0_PE) == 0U) {
		return false;
	}
	if (long_mode != (paging && (r->ia32_efer & EFER_LME) != 0U)) {
		return false;
	}
	if (long_mode && (r->cr4 & CR4_PAE) == 0U) {
		return false;
	}
	if ((r->cr0 & CR0_NW) != 0U && (r->cr0 & CR0_CD) == 0U) {
		return false;
	}
	/* A limit counts bytes or pages: its low bits, or its high ones, must fit. */
	if ((big && (r->cs_limit & 0xFFFU) != 0xFFFU) || (!big && (r->cs_limit >> 20) != 0U)) {
		return false;
	}
	return true;
}

static void set_segment(struct vcpu_start *s, uint32_t i, uint16_t sel, bool protected_mode)
{
	s->seg[i].sel = sel;
	s->seg[i].base = protected_mode ? 0U : (uint64_t)sel << 4;
	s->seg[i].limit = protected_mode ? UINT32_MAX : 0xFFFFU;
	s->seg[i].ar = protected_mode ? AR_DATA32 : AR_DATA16;
}

static void set_start(struct vcpu_start *s, const struct acrn_regs *r)
{
	bool pe = (r->cr0 & CR0_PE) != 0U;

	(void)memset(s, 0, sizeof(*s));
	(void)memcpy(s->gpr, r->gprs, sizeof(s->gpr));
	s->rip = r->rip;
	s->rflags = r->rflags | RFLAGS_FIXED;
	s->cr0 = r->cr0;
	s->cr3 = r->cr3;
	s->cr4 = r->cr4;
	s->efer = r->ia32_efer;
	s->gdt_base = r->gdt.base;
	s->gdt_limit = r->gdt.limit;
	s->idt_base = r->idt.base;
	s->idt_limit = r->idt.limit;
	set_segment(s, 0U, r->es_sel, pe);
	set_segment(s, 2U, r->ss_sel, pe);
	set_segment(s, 3U, r->ds_sel, pe);
	set_segment(s, 4U, r->fs_sel, pe);
	set_segment(s, 5U, r->gs_sel, pe);
	s->seg[1].sel = r->cs_sel;
	s->seg[1].base = r->cs_base;
	s->seg[1].limit = r->cs_limit;
	s->seg[1].ar = r->cs_ar;
	s->seg[6].sel = r->ldt_sel;
	s->seg[6].limit = 0xFFFFU;
	s->seg[6].ar = AR_LDT;
	s->seg[7].sel = r->tr_sel;
	s->seg[7].limit = 0xFFFFU;
	s->seg[7].ar = AR_TSS;
}

static int64_t hc_set_vcpu_regs(const struct hc_call *c)
{
	struct acrn_vcpu_regs regs;
	int err;

	if (c->target->state == VM_RUNNING) {
		return -EINVAL;
	}
	err = gmem_read(c->caller, GPA(c->arg2), &regs, sizeof(regs));
	if (err != 0) {
		return err;
	}
	if (regs.vcpu_id >= c->target->vcpu_count) {
		return -EINVAL;
	}
	if (!regs_ok(&regs.vcpu_regs)) {
		pr_err("SET_VCPU_REGS: %s vCPU %u: cr0 0x%lx cr4 0x%lx efer 0x%lx cs_ar 0x%x cannot "
		       "be",
		       c->target->name, regs.vcpu_id, regs.vcpu_regs.cr0, regs.vcpu_regs.cr4,
		       regs.vcpu_regs.ia32_efer, regs.vcpu_regs.cs_ar);
		return -EINVAL;
	}
	set_start(&c->target->vcpus[regs.vcpu_id]->start, &regs.vcpu_regs);
	return 0;
}

HYPERCALL(HC_CREATE_VM, hc_create_vm);
HYPERCALL_VM(HC_DESTROY_VM, hc_destroy_vm);
HYPERCALL_VM(HC_START_VM, hc_start_vm);
HYPERCALL_VM(HC_PAUSE_VM, hc_pause_vm);
HYPERCALL_VM(HC_RESET_VM, hc_reset_vm);
HYPERCALL_VM(HC_SET_VCPU_REGS, hc_set_vcpu_regs);
