// SPDX-License-Identifier: BSD-3-Clause
/*
 * A virtual CPU: its creation from the pool, its registers, how others make it look (requests,
 * INIT, start-up IPI) and how it moves past an instruction. The struct lies at the top of its own
 * stack. Others touch only what vcpu.h says, by atomics and the scheduler's wake; no lock here.
 */
#include "hv/vcpu.h"
#include "asm/cpuregs.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/unit.h"
#include "hv/vcpu_loop.h"
#include "hv/vintr.h"
#include "hv/vm.h"
#include "hv/vmsr.h"
#include "hv/vmcs.h"
#include "lib/errno.h"
#include "lib/kconfig.h"
#include "lib/string.h"

#define STACK_SIZE	    8192UL
#define PENDING_DEBUG_BS    BIT(14)

static struct pool vcpu_pool;

static int vcpu_boot(void)
{
	pool_init(&vcpu_pool, "vCPUs", STACK_SIZE + sizeof(struct vcpu), PAGE_SIZE,
		  (uint32_t)CONFIG_MAX_VM_NUM * MIN(pcpu_count, VM_MAX_VCPUS));
	vmcs_ctrl_boot();
	return 0;
}

/* The vCPU whose state a CPU holds changes only when another one comes to run there. */
static void switch_in(struct thread *t)
{
	struct vcpu *vcpu = container_of(t, struct vcpu, thread);
	struct pcpu *p = vcpu->pcpu;

	if (p->loaded == vcpu) {
		return;
	}
	vcpu_fpu_switch(p->loaded, vcpu);
	vmsr_switch(p->loaded, vcpu);
	vmcs_load(vcpu);
	p->loaded = vcpu;
	if (vcpu->vm->vintr->switched_in != NULL) {
		vcpu->vm->vintr->switched_in(vcpu);
	}
}

static void (*vcpu_switch_in)(struct thread *t) = switch_in;

void (*vcpu_switch_replace(void (*fn)(struct thread *t)))(struct thread *t)
{
	void (*old)(struct thread *t) = vcpu_switch_in;

	vcpu_switch_in = fn;
	return old;
}

static void preempt(struct thread *t)
{
	vcpu_request_self(container_of(t, struct vcpu, thread), REQ_RESCHED);
}

void vcpu_prepare_thread(struct vcpu *vcpu)
{
	vcpu->requests = 0U;
	vcpu->halted = 0U;
	vcpu->state = (vcpu->id == 0U) ? VCPU_OFFLINE : VCPU_WAIT_SIPI;
	vcpu->from_sipi = false;
	vcpu->thread.switch_in = vcpu_switch_in;
	vcpu->thread.preempt = preempt;
	thread_init(&vcpu->thread, vcpu->pcpu, vcpu, vcpu_loop_start, vcpu);
}

int vcpu_create(struct vm *vm, uint16_t id, struct pcpu *pcpu)
{
	uint8_t *area = pool_get(&vcpu_pool);
	struct vcpu *vcpu;
	void *vmcs = pool_get(&page_pool);
	int ret = -ENOMEM;

	if (area == NULL || vmcs == NULL) {
		goto out_free;
	}
	vcpu = (struct vcpu *)(void *)(area + STACK_SIZE);
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->pcpu = pcpu;
	vcpu->apic_id = (vm->load_order == SERVICE_VM) ? pcpu->apic_id : id;
	vcpu->vpid = (uint16_t)(1U + vm->id * VM_MAX_VCPUS + id);
	vcpu->vmcs_hpa = ptr_hpa(vmcs);
	vmcs_prepare(vcpu);
	vcpu->thread.rank = vm->rank;
	vcpu_start_power_on(&vcpu->start);
	ret = unit_vcpu_init(vcpu);
	if (ret != 0) {
		goto out_free;
	}
	vcpu_prepare_thread(vcpu);
	(void)atomic_set_bit(&vm->ept.cpus, pcpu->id); /* for good: a vCPU never moves */
	vm->vcpus[id] = vcpu;
	vm->vcpu_count = (uint16_t)(id + 1U);
	return 0;
out_free:
	if (vmcs != NULL) {
		pool_put(&page_pool, vmcs);
	}
	if (area != NULL) {
		pool_put(&vcpu_pool, area);
	}
	return ret;
}

/* On the vCPU's CPU: that CPU may hold its VMCS and register state. */
static void unload(void *arg)
{
	struct vcpu *vcpu = arg;
	struct pcpu *p = this_pcpu();

	unit_vcpu_deinit(vcpu);
	if (p->loaded == vcpu) {
		p->loaded = NULL;
	}
	vmcs_clear(vcpu);
	vmx_invvpid(vcpu->vpid);
}

void vcpu_destroy(struct vcpu *vcpu)
{
	smp_call(vcpu->pcpu, unload, vcpu);
	thread_deinit(&vcpu->thread);
	vcpu->vm->vcpus[vcpu->id] = NULL;
	pool_put(&page_pool, hpa_ptr(vcpu->vmcs_hpa));
	pool_put(&vcpu_pool, (uint8_t *)vcpu - STACK_SIZE);
}

void vcpu_request(struct vcpu *vcpu, uint64_t reqs)
{
	struct pcpu *p = vcpu->pcpu;

	if ((atomic_or64(&vcpu->requests, reqs) & reqs) == reqs) {
		return; /* asked already, not yet seen */
	}
	if (p == this_pcpu() && p->rq.current == &vcpu->thread) {
		return; /* looks before its next entry */
	}
	/* Blocked for another reason, as for the device model's answer, it looks when it goes on. */
	if (atomic_read32(&vcpu->halted) != 0U) {
		sched_wake(&vcpu->thread);
	}
	if (p != this_pcpu() && vcpu->thread.state == THREAD_RUNNING) {
		pcpu_kick(p);
	}
}

/*
 * Past the end of the 4 GB, which wrap around outside 64-bit mode, or of the lower half of the
 * canonical addresses: the next fetch is a #GP there, and VM entry refuses such a RIP even where it
 * injects that, so that the guest sees the address sign-extended.
 */
static uint64_t beyond_end(struct vcpu *vcpu, uint64_t next)
{
	uint64_t canonical = (uint64_t)((int64_t)(next << 16) >> 16);

	if ((vmcs_read32(VMCS_GUEST_CS_AR) & BIT32(13)) == 0U) {
		return next & UINT32_MAX;
	}
	if (canonical != next) {
		vcpu_inject_gp(vcpu);
	}
	return canonical;
}

/* What RFLAGS say about the instruction that is done: the debug exceptions after it, and in it. */
static void debug_flags(uint32_t len, uint64_t rflags)
{
	/* RF lasts for one instruction, all elements of a repeated one included. */
	if ((rflags & RFLAGS_RF) != 0U && len != 0U) {
		vmcs_write(VMCS_GUEST_RFLAGS, rflags & ~RFLAGS_RF);
	}
	if ((rflags & RFLAGS_TF) != 0U && (vmcs_read(VMCS_GUEST_DEBUGCTL) & DEBUGCTL_BTF) == 0U) {
		if (len == 0U) {
			vmcs_write(VMCS_GUEST_RFLAGS, rflags | RFLAGS_RF);
		}
		vmcs_write(VMCS_GUEST_PENDING_DEBUG,
			   vmcs_read(VMCS_GUEST_PENDING_DEBUG) | PENDING_DEBUG_BS);
	}
}

/* Apart, so that the common case is without a stack frame and calls nothing. */
static __noinline void skip_rare(struct vcpu *vcpu, uint32_t len, uint64_t next, uint32_t blocking)
{
	if ((uint32_t)next < len) {
		next = beyond_end(vcpu, next);
	}
	vmcs_write(VMCS_GUEST_RIP, next);
	if ((blocking & (BLOCK_BY_STI | BLOCK_BY_MOV_SS)) != 0U) {
		vmcs_write(VMCS_GUEST_INTERRUPTIBILITY,
			   blocking & ~(BLOCK_BY_STI | BLOCK_BY_MOV_SS));
	}
	debug_flags(len, vmcs_read(VMCS_GUEST_RFLAGS));
}

void vcpu_skip_by(struct vcpu *vcpu, uint32_t len)
{
	uint64_t next = vmcs_read(VMCS_GUEST_RIP) + len;
	uint32_t blocking = vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY);

	if (unlikely((uint32_t)next < len ||
		     (blocking & (BLOCK_BY_STI | BLOCK_BY_MOV_SS)) != 0U ||
		     (vmcs_read(VMCS_GUEST_RFLAGS) & (RFLAGS_TF | RFLAGS_RF)) != 0U)) {
		skip_rare(vcpu, len, next, blocking);
		return;
	}
	vmcs_write(VMCS_GUEST_RIP, next);
}

void vcpu_skip(struct vcpu *vcpu)
{
	vcpu_skip_by(vcpu, vmcs_read32(VMCS_EXIT_INSN_LEN));
}

uint64_t vcpu_get_gpr(const struct vcpu *vcpu, uint32_t reg)
{
	return (reg == GPR_RSP) ? vmcs_read(VMCS_GUEST_RSP) : vcpu->gpr[reg];
}

void vcpu_set_gpr(struct vcpu *vcpu, uint32_t reg, uint64_t val)
{
	if (reg == GPR_RSP) {
		vmcs_write(VMCS_GUEST_RSP, val);
	} else {
		vcpu->gpr[reg] = val;
	}
}

void vcpu_init_signal(struct vcpu *vcpu)
{
	vcpu->state = VCPU_WAIT_SIPI;
	vcpu_request(vcpu, REQ_RESET);
}

/* Ignored by a vCPU that is not waiting for it, as by a processor. */
void vcpu_sipi(struct vcpu *vcpu, uint8_t vector)
{
	if (vcpu->state != VCPU_WAIT_SIPI) {
		return;
	}
	vcpu->sipi_vector = vector;
	vcpu->from_sipi = true;
	__atomic_store_n(&vcpu->state, VCPU_RUNNING, __ATOMIC_SEQ_CST);
	sched_wake(&vcpu->thread);
}

struct vcpu *vcpu_by_apic_id(struct vm *vm, uint32_t apic_id)
{
	for (uint16_t i = 0U; i < vm->vcpu_count; i++) {
		if (vm->vcpus[i]->apic_id == apic_id) {
			return vm->vcpus[i];
		}
	}
	return NULL;
}

void vcpu_start_power_on(struct vcpu_start *s)
{
	*s = (struct vcpu_start){.rip = 0xFFF0U,
				 .rflags = RFLAGS_FIXED,
				 .cr0 = CR0_ET | CR0_NW | CR0_CD,
				 .gdt_limit = 0xFFFFU,
				 .idt_limit = 0xFFFFU};
	s->gpr[GPR_RDX] = 0x600U;
	for (uint32_t i = 0U; i < ARRAY_SIZE(s->seg); i++) {
		s->seg[i].limit = 0xFFFFU;
		s->seg[i].ar = 0x93U; /* data, read-write, accessed */
	}
	s->seg[1].sel = 0xF000U;
	s->seg[1].base = 0xFFFF0000UL;
	s->seg[1].ar = 0x9BU; /* code */
	s->seg[6].ar = 0x82U; /* LDT */
	s->seg[7].ar = 0x8BU; /* busy TSS */
}

UNIT(vcpu) = {.name = "vcpu", .level = UNIT_CORE, .boot = vcpu_boot};
