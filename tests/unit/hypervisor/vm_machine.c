// SPDX-License-Identifier: BSD-3-Clause
/* See vm_machine.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "hv/caps.h"
#include "hv/pcpu.h"
#include "hv/schedule.h"
#include "hv/vcpu.h"
#include "hv/vcpu_loop.h"
#include "hv/vm.h"
#include "hv/vmcs.h"
#include "hv/vmsr.h"
#include "fake_machine.h"
#include "vm_machine.h"

jmp_buf vm_switched;
uint32_t vm_kicks[VM_MACHINE_CPUS];
uint32_t vm_threads;
const struct vcpu *vm_switched_out, *vm_switched_in;
uint32_t vm_wakes, vm_invvpids, vm_loads, vm_clears, vm_gps;

void vm_machine_reset(void)
{
	fake_machine_reset();
	memset(vm_kicks, 0, sizeof(vm_kicks));
	vm_threads = vm_wakes = vm_invvpids = vm_loads = vm_clears = vm_gps = 0;
	vm_switched_out = vm_switched_in = NULL;
	for (uint32_t i = 0; i < VM_MACHINE_CPUS; i++)
		pcpus[i].apic_id = 2 * i;
}

void vcpu_inject_gp(struct vcpu *vcpu)
{
	(void)vcpu;
	vm_gps++;
}

void thread_init(struct thread *t, struct pcpu *p, void *stack_top, void (*entry)(void *arg), void *arg)
{
	assert_ptr_equal(entry, vcpu_loop_start);
	assert_ptr_equal(arg, container_of(t, struct vcpu, thread));
	assert_int_equal((uintptr_t)stack_top % 16, 0);
	memset((uint8_t *)stack_top - 4096, 0xAA, 4096); /* the stack is there */
	if (t->pcpu == NULL)
		vm_threads++;
	t->pcpu = p;
	t->state = THREAD_BLOCKED;
	t->wake_pending = false;
	t->frozen = false;
}

void thread_deinit(struct thread *t)
{
	assert_non_null(t->pcpu);
	t->pcpu = NULL;
	vm_threads--;
}

const struct sched_policy sched_policy = {.name = "none"};

void sched_wake(struct thread *t)
{
	vm_wakes++;
	if (t->state == THREAD_BLOCKED)
		t->state = THREAD_RUNNABLE;
	else
		t->wake_pending = true;
}

void sched_stop(struct thread *t)
{
	t->frozen = true;
}

void schedule(void)
{
	longjmp(vm_switched, 1);
}

void sched_freeze(struct thread *t)
{
	t->frozen = true;
	if (t->state == THREAD_RUNNING)
		t->state = THREAD_RUNNABLE;
}

void sched_thaw(struct thread *t)
{
	t->frozen = false;
}

void sched_block(void)
{
	fail();
}

void smp_call(struct pcpu *p, void (*fn)(void *arg), void *arg)
{
	uint16_t was = fake_cpu;

	fake_cpu = p->id;
	fn(arg);
	fake_cpu = was;
}

void pcpu_kick(struct pcpu *p)
{
	vm_kicks[p->id]++;
}

void vcpu_fpu_switch(struct vcpu *from, const struct vcpu *to)
{
	vm_switched_out = from;
	vm_switched_in = to;
}

void vmsr_switch(struct vcpu *from, const struct vcpu *to)
{
	assert_ptr_equal(from, vm_switched_out);
	assert_ptr_equal(to, vm_switched_in);
}

void vcpu_loop_start(void *arg)
{
	(void)arg;
	fail();
}

bool cap_has(enum cpu_cap cap)
{
	(void)cap;
	return true;
}

void vmcs_ctrl_boot(void)
{
}

void vmcs_prepare(struct vcpu *vcpu)
{
	*(uint32_t *)(uintptr_t)vcpu->vmcs_hpa.v = 0x1234; /* the page is there */
}

void vmcs_load(struct vcpu *vcpu)
{
	assert_int_equal(fake_cpu, vcpu->pcpu->id);
	vm_loads++;
}

void vmcs_clear(struct vcpu *vcpu)
{
	assert_int_equal(fake_cpu, vcpu->pcpu->id);
	vm_clears++;
}

void vmx_invvpid(uint16_t vpid)
{
	(void)vpid;
	vm_invvpids++;
}

void vmx_invept(uint64_t eptp)
{
	(void)eptp;
}
