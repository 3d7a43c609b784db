// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does a vCPU move past an instruction as a processor does, notice what others ask of it, obey
 * INIT and start-up IPIs, and leave nothing behind when it is gone?
 */
// links: hypervisor/guest/vcpu.c hypervisor/guest/unit.c tests/unit/hypervisor/vm_machine.c @machine
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "asm/cpuregs.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vintr.h"
#include "hv/vm.h"
#include "lib/errno.h"
#include "fake_machine.h"
#include "vm_machine.h"

static struct vm vm;
static struct vcpu *vcpu;
static int init_result;
static int32_t inits;
static uint32_t told;

static int test_vcpu_init(struct vcpu *v)
{
	assert_int_equal(v->start.rip, 0xFFF0);
	inits += init_result == 0;
	return init_result;
}

static void test_vcpu_deinit(struct vcpu *v)
{
	assert_int_equal(fake_cpu, v->pcpu->id);
	inits--;
}

static void note_switched_in(struct vcpu *v)
{
	assert_ptr_equal(v, vm_switched_in);
	told++;
}

static const struct vintr_ops vintr = {.switched_in = note_switched_in};

UNIT(test) = {.name = "test",
	      .level = UNIT_CPU,
	      .vcpu_init = test_vcpu_init,
	      .vcpu_deinit = test_vcpu_deinit};

static int setup(void **state)
{
	(void)state;
	vm_machine_reset();
	memset(&vm, 0, sizeof(vm));
	vm.id = 2;
	vm.load_order = POST_LAUNCHED_VM;
	vm.vintr = &vintr;
	told = 0;
	init_result = 0;
	assert_int_equal(unit_boot(), 0);
	assert_int_equal(vcpu_create(&vm, 0, &pcpus[0]), 0);
	assert_int_equal(vcpu_create(&vm, 1, &pcpus[1]), 0);
	vcpu = vm.vcpus[1];
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (uint16_t i = vm.vcpu_count; i-- > 0;)
		vcpu_destroy(vm.vcpus[i]);
	assert_int_equal(page_pool.used, 0);
	assert_int_equal(vm_threads, 0);
	assert_int_equal(inits, 0);
	return 0;
}

/* Where does RIP end: in each mode, at the end of 4 GB, at the end of everything? */
static void test_skip_rip(void **state)
{
	static const struct {
		uint64_t rip, len, next;
		bool l;
	} cases[] = {
		{0x1000, 3, 0x1003, true},
		{0x1000, 15, 0x100F, false},
		{0xFFFFFFFF, 1, 0x100000000, true},
		{0xFFFFFFFF, 1, 0, false},
		{0xFFFFFFFE, 2, 0, false},
		{0xFFFFFFFE, 4, 2, false},
		{0xFFFFFFFFFFFFFFFE, 2, 0, true},
		{0xFFFFFFFF81000000, 2, 0xFFFFFFFF81000002, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_vmcs[VMCS_GUEST_RIP] = cases[i].rip;
		fake_vmcs[VMCS_EXIT_INSN_LEN] = cases[i].len;
		fake_vmcs[VMCS_GUEST_CS_AR] = cases[i].l ? 0xA09B : 0xC09B;
		vcpu_skip(vcpu);
		assert_int_equal(fake_vmcs[VMCS_GUEST_RIP], cases[i].next);
		fake_vmcs[VMCS_GUEST_RIP] = cases[i].rip;
		fake_vmcs[VMCS_EXIT_INSN_LEN] = 77; /* not to be used */
		vcpu_skip_by(vcpu, (uint32_t)cases[i].len);
		assert_int_equal(fake_vmcs[VMCS_GUEST_RIP], cases[i].next);
	}
}

/*
 * What if the last instruction of the lower half exits? VM entry takes no RIP that is not canonical:
 * the guest gets the #GP of its next fetch.
 */
static void test_skip_to_noncanonical(void **state)
{
	(void)state;
	fake_vmcs[VMCS_GUEST_CS_AR] = 0xA09B;
	fake_vmcs[VMCS_GUEST_RIP] = 0x7FFFFFFFFFFE;
	vcpu_skip_by(vcpu, 2);
	assert_int_equal(fake_vmcs[VMCS_GUEST_RIP], 0xFFFF800000000000);
	assert_int_equal(vm_gps, 1);
	fake_vmcs[VMCS_GUEST_RIP] = 0xFFFFFFFFFFFFFFFE; /* from the top to 0 is canonical */
	vcpu_skip_by(vcpu, 2);
	assert_int_equal(fake_vmcs[VMCS_GUEST_RIP], 0);
	assert_int_equal(vm_gps, 1);
}

/* What ends with the instruction: the shadows of STI and MOV SS, and no other blocking. */
static void test_skip_blocking(void **state)
{
	(void)state;
	for (uint64_t b = 0; b < 16; b++) {
		uint32_t writes;

		fake_vmcs[VMCS_GUEST_INTERRUPTIBILITY] = b;
		writes = fake_vmcs_writes;
		vcpu_skip_by(vcpu, 2);
		assert_int_equal(fake_vmcs[VMCS_GUEST_INTERRUPTIBILITY], b & (BLOCK_BY_SMI | BLOCK_BY_NMI));
		assert_int_equal(fake_vmcs_writes - writes, (b & 3) ? 2 : 1);
	}
}

/* What if the guest single-steps? The trap after the instruction becomes pending, others stay. */
static void test_skip_trap_flag(void **state)
{
	(void)state;
	fake_vmcs[VMCS_GUEST_PENDING_DEBUG] = 5;
	vcpu_skip_by(vcpu, 2);
	assert_int_equal(fake_vmcs[VMCS_GUEST_PENDING_DEBUG], 5);
	fake_vmcs[VMCS_GUEST_RFLAGS] = RFLAGS_TF | RFLAGS_FIXED;
	vcpu_skip_by(vcpu, 2);
	assert_int_equal(fake_vmcs[VMCS_GUEST_PENDING_DEBUG], BIT(14) | 5);
	fake_vmcs[VMCS_GUEST_PENDING_DEBUG] = 0;
	fake_vmcs[VMCS_GUEST_DEBUGCTL] = DEBUGCTL_BTF; /* traps after branches only */
	vcpu_skip_by(vcpu, 2);
	assert_int_equal(fake_vmcs[VMCS_GUEST_PENDING_DEBUG], 0);
}

/* For how long does RF hold breakpoints back? For the instruction, all its elements if repeated. */
static void test_skip_resume_flag(void **state)
{
	(void)state;
	fake_vmcs[VMCS_GUEST_RFLAGS] = RFLAGS_RF | RFLAGS_FIXED;
	vcpu_skip_by(vcpu, 0);
	assert_int_equal(fake_vmcs[VMCS_GUEST_RFLAGS], RFLAGS_RF | RFLAGS_FIXED);
	vcpu_skip_by(vcpu, 2);
	assert_int_equal(fake_vmcs[VMCS_GUEST_RFLAGS], RFLAGS_FIXED);
	fake_vmcs[VMCS_GUEST_RFLAGS] = RFLAGS_TF | RFLAGS_FIXED; /* the trap between two elements */
	vcpu_skip_by(vcpu, 0);
	assert_int_equal(fake_vmcs[VMCS_GUEST_RFLAGS], RFLAGS_TF | RFLAGS_RF | RFLAGS_FIXED);
}

/* Where does each register live? */
static void test_gpr(void **state)
{
	(void)state;
	for (uint32_t r = 0; r < GPR_COUNT; r++)
		vcpu_set_gpr(vcpu, r, 0x100 + r);
	assert_int_equal(fake_vmcs[VMCS_GUEST_RSP], 0x100 + GPR_RSP);
	assert_int_equal(vcpu->gpr[GPR_RSP], 0);
	for (uint32_t r = 0; r < GPR_COUNT; r++)
		assert_int_equal(vcpu_get_gpr(vcpu, r), 0x100 + r);
}

/* Who is woken or kicked: asleep, in the guest on another CPU, on this CPU, asked already? */
static void test_request(void **state)
{
	(void)state;
	vcpu->thread.state = THREAD_BLOCKED;
	vcpu_request(vcpu, REQ_EOI_MAP); /* it waits for the device model: nothing else wakes it */
	assert_int_equal(vm_wakes, 0);
	assert_int_equal(vcpu->thread.state, THREAD_BLOCKED);
	vcpu->requests = 0;
	vcpu->halted = 1;
	vcpu_request(vcpu, REQ_EVENT);
	assert_int_equal(vcpu->requests, REQ_EVENT);
	assert_int_equal(vcpu->thread.state, THREAD_RUNNABLE);
	assert_int_equal(vm_kicks[1], 0);
	vcpu_request(vcpu, REQ_EVENT); /* not seen yet: nothing to add */
	assert_int_equal(vm_wakes, 1);
	vcpu->halted = 0;
	vcpu->thread.state = THREAD_RUNNING;
	pcpus[1].rq.current = &vcpu->thread;
	vcpu_request(vcpu, REQ_EVENT | REQ_NMI);
	assert_int_equal(vcpu->requests, REQ_EVENT | REQ_NMI);
	assert_int_equal(vm_kicks[1], 1);
	fake_cpu = 1; /* its own handlers ask */
	vm_wakes = 0;
	vcpu_request(vcpu, REQ_RESCHED);
	assert_int_equal(vm_kicks[1], 1);
	assert_int_equal(vm_wakes, 0);
	pcpus[1].rq.current = NULL; /* another thread of this CPU asks */
	vcpu->thread.state = THREAD_BLOCKED;
	vcpu->halted = 1;
	vcpu_request(vcpu, REQ_EOI_MAP);
	assert_int_equal(vm_wakes, 1);
	assert_int_equal(vm_kicks[1], 1);
}

/* INIT, start-up IPI, and another one: what does each do to a processor? */
static void test_init_and_sipi(void **state)
{
	(void)state;
	assert_int_equal(vm.vcpus[0]->state, VCPU_OFFLINE);
	assert_int_equal(vcpu->state, VCPU_WAIT_SIPI);
	vcpu_sipi(vcpu, 0x9A);
	assert_int_equal(vcpu->state, VCPU_RUNNING);
	assert_int_equal(vcpu->sipi_vector, 0x9A);
	assert_true(vcpu->from_sipi);
	assert_int_equal(vcpu->thread.state, THREAD_RUNNABLE);
	vcpu_sipi(vcpu, 0x10); /* it runs: ignored */
	assert_int_equal(vcpu->sipi_vector, 0x9A);
	vcpu_init_signal(vcpu);
	assert_int_equal(vcpu->state, VCPU_WAIT_SIPI);
	assert_true((vcpu->requests & REQ_RESET) != 0);
	vcpu_sipi(vcpu, 0x10);
	assert_int_equal(vcpu->sipi_vector, 0x10);
	vcpu_sipi(vm.vcpus[0], 0x20); /* not started yet: it does not wait for this */
	assert_int_equal(vm.vcpus[0]->state, VCPU_OFFLINE);
}

/* What does a processor hold when it is switched on (SDM 3A table 9-1)? */
static void test_power_on(void **state)
{
	struct vcpu_start s;

	(void)state;
	memset(&s, 0xFF, sizeof(s));
	vcpu_start_power_on(&s);
	assert_int_equal(s.rip, 0xFFF0);
	assert_int_equal(s.rflags, 2);
	assert_int_equal(s.cr0, 0x60000010);
	assert_int_equal(s.cr3 | s.cr4 | s.efer, 0);
	assert_int_equal(s.seg[1].sel, 0xF000);
	assert_int_equal(s.seg[1].base, 0xFFFF0000);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(s.seg[i].limit, 0xFFFF);
		if (i != 1)
			assert_int_equal(s.seg[i].sel | s.seg[i].base, 0);
	}
	assert_int_equal(s.gdt_base | s.idt_base, 0);
	assert_int_equal(s.gdt_limit, 0xFFFF);
	assert_int_equal(s.idt_limit, 0xFFFF);
	assert_int_equal(s.gpr[GPR_RAX] | s.gpr[GPR_RSP], 0);
}

/* Which ids do vCPUs get: to the guest, and to the TLB? No two of any VMs share the latter. */
static void test_ids(void **state)
{
	struct vm service = {.id = 0, .load_order = SERVICE_VM};

	(void)state;
	assert_int_equal(vcpu_create(&service, 0, &pcpus[3]), 0);
	assert_int_equal(service.vcpus[0]->apic_id, 6); /* the physical one */
	assert_int_equal(vcpu->apic_id, 1);
	assert_ptr_equal(vcpu_by_apic_id(&vm, 1), vcpu);
	assert_null(vcpu_by_apic_id(&vm, 6));
	assert_ptr_equal(vcpu_by_apic_id(&service, 6), service.vcpus[0]);
	assert_true(vcpu->vpid != 0 && vm.vcpus[0]->vpid != 0 && service.vcpus[0]->vpid != 0);
	assert_true(vcpu->vpid != vm.vcpus[0]->vpid && vcpu->vpid != service.vcpus[0]->vpid);
	vcpu_destroy(service.vcpus[0]);
	assert_null(service.vcpus[0]);
}

/* What if each allocation, or a unit, fails? Nothing is left of the vCPU. */
static void test_create_fails(void **state)
{
	uint32_t pages = page_pool.used, threads = vm_threads;

	(void)state;
	for (uint32_t n = 1; n <= 2; n++) {
		fake_pool_fail_at = n;
		assert_int_equal(vcpu_create(&vm, 2, &pcpus[2]), -ENOMEM);
		fake_pool_fail_at = 0;
		assert_int_equal(page_pool.used, pages);
		assert_int_equal(vm_threads, threads);
		assert_int_equal(vm.vcpu_count, 2);
		assert_null(vm.vcpus[2]);
	}
	init_result = -ENODEV;
	assert_int_equal(vcpu_create(&vm, 2, &pcpus[2]), -ENODEV);
	assert_int_equal(page_pool.used, pages);
	assert_int_equal(vm_threads, threads);
	assert_null(vm.vcpus[2]);
}

static void (*switch_after)(struct thread *t);
static uint32_t switches;

static void switch_before(struct thread *t)
{
	switches++;
	switch_after(t);
}

/* What if an extension wants to know which vCPU comes to run: does it, and the vCPU as before? */
static void test_switch_replaced(void **state)
{
	struct vcpu *late;

	(void)state;
	assert_int_equal(vcpu_create(&vm, 2, &pcpus[1]), 0);
	late = vm.vcpus[2];
	fake_cpu = 1;
	switch_after = vcpu_switch_replace(switch_before);
	vcpu_prepare_thread(late);
	late->thread.switch_in(&late->thread);
	assert_int_equal(switches, 1);
	assert_ptr_equal(late->pcpu->loaded, late);
	assert_ptr_equal(vcpu_switch_replace(switch_after), switch_before);
}

/* When does a CPU's state change hands? Only when another vCPU comes, not when it was idle. */
static void test_switch(void **state)
{
	struct vcpu *other;

	(void)state;
	assert_int_equal(vcpu_create(&vm, 2, &pcpus[1]), 0);
	other = vm.vcpus[2];
	fake_cpu = 1;
	vcpu->thread.switch_in(&vcpu->thread);
	assert_ptr_equal(pcpus[1].loaded, vcpu);
	assert_ptr_equal(vm_switched_in, vcpu);
	assert_null(vm_switched_out);
	assert_int_equal(vm.ept.cpus, BIT(0) | BIT(1)); /* where vCPUs of it are */
	vcpu->thread.switch_in(&vcpu->thread);
	assert_int_equal(vm_loads, 1);
	assert_int_equal(told, 1);
	other->thread.switch_in(&other->thread);
	assert_ptr_equal(vm_switched_out, vcpu);
	assert_ptr_equal(vm_switched_in, other);
	assert_int_equal(vm_loads, 2);
	fake_cpu = 0;
	vcpu_destroy(other); /* its CPU still holds its state */
	assert_null(pcpus[1].loaded);
	assert_int_equal(vm_clears, 1);
	assert_int_equal(vm_invvpids, 1); /* its number may be used again */
	vm.vcpu_count = 2;
}

/* A vCPU begins anew: what of its past is left? Its identity alone. */
static void test_prepare(void **state)
{
	(void)state;
	vcpu_sipi(vcpu, 0x10);
	vcpu_request(vcpu, REQ_NMI | REQ_EVENT);
	vcpu->thread.frozen = true;
	vcpu_prepare_thread(vcpu);
	assert_int_equal(vcpu->requests, 0);
	assert_int_equal(vcpu->state, VCPU_WAIT_SIPI);
	assert_false(vcpu->from_sipi);
	assert_false(vcpu->thread.frozen);
	assert_int_equal(vm_threads, 2);
	vcpu_prepare_thread(vm.vcpus[0]);
	assert_int_equal(vm.vcpus[0]->state, VCPU_OFFLINE);
	vcpu->thread.preempt(&vcpu->thread);
	assert_int_equal(vcpu->requests, REQ_RESCHED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_skip_rip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_skip_to_noncanonical, setup, teardown),
		cmocka_unit_test_setup_teardown(test_skip_resume_flag, setup, teardown),
		cmocka_unit_test_setup_teardown(test_skip_blocking, setup, teardown),
		cmocka_unit_test_setup_teardown(test_skip_trap_flag, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gpr, setup, teardown),
		cmocka_unit_test_setup_teardown(test_request, setup, teardown),
		cmocka_unit_test_setup_teardown(test_init_and_sipi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_power_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ids, setup, teardown),
		cmocka_unit_test_setup_teardown(test_create_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_switch_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(test_switch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_prepare, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
