// SPDX-License-Identifier: BSD-3-Clause
// links: @service
/*
 * The life of a User VM by hypercalls, with good and with bad arguments.
 */
#include <string.h>

#include "service_machine.h"
#include "config.h"

static struct acrn_vm_creation *creation(void)
{
	return service_ram(0x1000);
}

static int64_t create(const char *name, uint64_t flags, uint64_t affinity)
{
	memset(creation(), 0, sizeof(*creation()));
	strncpy((char *)creation()->name, name, ACRN_NAME_LEN);
	creation()->vm_flag = flags;
	creation()->cpu_affinity = affinity;
	return hypercall(service(), HC_CREATE_VM, 0x1000, 0);
}

/* A name of the scenario selects its slot and its CPUs; what comes back? */
static void test_create_static(void **state)
{
	(void)state;
	assert_int_equal(create("static", 0, 0), 0);
	assert_int_equal(creation()->vmid, 1);
	assert_int_equal(creation()->vcpu_num, 2);
	assert_ptr_equal(user_vm(1)->config, &vm_configs[1]);
	assert_true((user_vm(1)->flags & GUEST_FLAG_STATIC_VM) != 0U);
	assert_ptr_equal(user_vm(1)->owner, service());
	/* twice */
	assert_int_equal(create("static", 0, 0), -EBUSY);
	assert_int_equal(hypercall(service(), HC_DESTROY_VM, 1, 0), 0);
	/* a subset of its CPUs, and one it may not have */
	assert_int_equal(create("static", 0, 4), 0);
	assert_int_equal(creation()->vcpu_num, 1);
	assert_ptr_equal(user_vm(1)->vcpus[0]->pcpu, &pcpus[2]);
	assert_int_equal(hypercall(service(), HC_DESTROY_VM, 1, 0), 0);
	assert_int_equal(create("static", 0, 1), -EINVAL);
	assert_int_equal(user_vm(1)->state, VM_POWERED_OFF);
}

/* An unknown name takes a free slot until there is none; the Service VM's name is no way in. */
static void test_create_dynamic(void **state)
{
	char name[] = "a";
	uint32_t n = 0;

	(void)state;
	assert_int_equal(create("Service", 0, 0), 0);
	assert_int_equal(creation()->vmid, vm_config_count);
	assert_int_equal(user_vm(vm_config_count)->severity, SEVERITY_STANDARD_VM);
	assert_int_equal(create("Service", 0, 0), -EEXIST);
	for (; create(name, 0, 1) == 0; name[0]++)
		n++;
	assert_int_equal(n, CONFIG_MAX_VM_NUM - vm_config_count - 1U);
	assert_int_equal(create(name, 0, 1), -ENOSPC);
	assert_int_equal(hypercall(service(), HC_DESTROY_VM, 5, 0), 0);
	assert_int_equal(create(name, 0, 1), 0);
	assert_int_equal(creation()->vmid, 5);
}

/* Names are any 16 bytes: are they told apart, and is what is printed text? */
static void test_binary_names(void **state)
{
	static const uint8_t uuid[ACRN_NAME_LEN] = {0xd2, 0x79, 0x54, 0x38, 0x25, 0xd6, 0x11, 0xe8,
						    0x86, 0x4e, 0xcb, 0x7a, 0x18, 0xb3, 0x46, 0x43};

	(void)state;
	memset(creation(), 0, sizeof(*creation()));
	memcpy(creation()->name, uuid, ACRN_NAME_LEN);
	assert_int_equal(hypercall(service(), HC_CREATE_VM, 0x1000, 0), 0);
	assert_string_equal(user_vm(creation()->vmid)->name, "d2795438-25d6");
	assert_int_equal(hypercall(service(), HC_CREATE_VM, 0x1000, 0), -EEXIST);
	creation()->name[15] ^= 1U;
	assert_int_equal(hypercall(service(), HC_CREATE_VM, 0x1000, 0), 0);
	/* sixteen characters without an end */
	assert_int_equal(create("0123456789abcdef", 0, 0), 0);
	assert_string_equal(user_vm(creation()->vmid)->name, "0123456789abcde");
}

/* Flags: kept, dropped, refused? CPUs that the machine does not have? */
static void test_create_flags(void **state)
{
	(void)state;
	assert_int_equal(create("a", GUEST_FLAG_IO_COMPLETION_POLLING | GUEST_FLAG_RT, 0), 0);
	assert_int_equal(user_vm(creation()->vmid)->flags,
			 GUEST_FLAG_IO_COMPLETION_POLLING | GUEST_FLAG_RT);
	assert_int_equal(create("b", GUEST_FLAG_STATIC_VM | GUEST_FLAG_NVMX_ENABLED, 0), 0);
	assert_int_equal(user_vm(creation()->vmid)->flags, 0);
	assert_int_equal(create("c", GUEST_FLAG_LAPIC_PASSTHROUGH, 0), -EINVAL);
	assert_int_equal(create("c", GUEST_FLAG_SECURE_WORLD_ENABLED, 0), -EINVAL);
	assert_int_equal(create("c", 0, BIT(FAKE_PCPUS)), -EINVAL);
	/* and that of a VM which the hypervisor starts */
	assert_int_equal(create("c", 0, 8), -EINVAL);
	assert_int_equal(create("c", 0, 0xF), -EINVAL);
	assert_int_equal(create("safety", 0, 8), -EINVAL);
	assert_int_equal(create("c", 0, 7), 0);
}

/* May a VM that owns its local APICs share a CPU, whoever of the two comes first? */
static void test_owned_lapic(void **state)
{
	const uint64_t owner = GUEST_FLAG_LAPIC_PASSTHROUGH | GUEST_FLAG_RT;
	uint16_t id;

	(void)state;
	assert_int_equal(create("rtvm", owner, 2), -EBUSY); /* the Service VM is there */
	assert_int_equal(create("rtvm", owner, 0), -EBUSY);
	assert_int_equal(hypercall(service(), HC_REMOVE_CPU, pcpus[1].apic_id, 0), 0);
	assert_int_equal(create("rtvm", owner, 3), -EBUSY);
	assert_int_equal(create("a", 0, 6), 0);
	id = creation()->vmid;
	assert_int_equal(create("rtvm", owner, 2), -EBUSY);
	assert_int_equal(hypercall(service(), HC_DESTROY_VM, id, 0), 0);
	assert_int_equal(create("rtvm", owner, 2), 0);
	id = creation()->vmid;
	assert_int_equal(user_vm(id)->flags, owner);
	assert_int_equal(user_vm(id)->severity, SEVERITY_RTVM);
	assert_int_equal(create("a", 0, 6), -EBUSY);
	assert_int_equal(create("b", owner, 6), -EBUSY);
	assert_int_equal(create("b", owner, 4), 0);
	assert_int_equal(create("a", 0, 1), 0);
	assert_int_equal(hypercall(service(), HC_DESTROY_VM, id, 0), 0);
	assert_int_equal(create("c", 0, 2), 0);
}

/* What if the answer cannot be written back? Then there must be no VM. */
static void test_create_unwritable(void **state)
{
	(void)state;
	assert_int_equal(hypercall(service(), HC_CREATE_VM, TEST_DEVICE, 0), -EFAULT);
	assert_int_equal(hypercall(service(), HC_CREATE_VM, TEST_RAM - 40, 0), -EFAULT);
	assert_int_equal(hypercall(service(), HC_CREATE_VM, UINT64_MAX, 0), -EFAULT);
	for (uint16_t i = 1; i < CONFIG_MAX_VM_NUM; i++)
		assert_int_equal(vm_by_id(i)->state, VM_POWERED_OFF);
}

/* Which transitions are allowed? */
static void test_states(void **state)
{
	uint64_t buffer = 0x3000, id;

	(void)state;
	id = (uint64_t)create_vm("a");
	assert_int_equal(hypercall(service(), HC_START_VM, id, 0), -EINVAL); /* no I/O page */
	assert_int_equal(hypercall(service(), HC_RESET_VM, id, 0), -EINVAL);
	memcpy(service_ram(0x1000), &buffer, sizeof(buffer));
	assert_int_equal(hypercall(service(), HC_SET_IOREQ_BUFFER, id, 0x1000), 0);
	assert_int_equal(hypercall(service(), HC_START_VM, id, 0), 0);
	assert_int_equal(hypercall(service(), HC_START_VM, id, 0), -EINVAL);
	assert_int_equal(hypercall(service(), HC_SET_IOREQ_BUFFER, id, 0x1000), -EINVAL);
	assert_int_equal(hypercall(service(), HC_RESET_VM, id, 0), -EINVAL);
	assert_int_equal(hypercall(service(), HC_PAUSE_VM, id, 0), 0);
	assert_int_equal(hypercall(service(), HC_PAUSE_VM, id, 0), 0);
	assert_int_equal(hypercall(service(), HC_RESET_VM, id, 0), 0);
	assert_int_equal(hypercall(service(), HC_START_VM, id, 0), 0);
	/* from running, as the HSM does when its user is killed */
	assert_int_equal(hypercall(service(), HC_DESTROY_VM, id, 0), 0);
	assert_int_equal(user_vm((int64_t)id)->state, VM_POWERED_OFF);
	assert_int_equal(hypercall(service(), HC_DESTROY_VM, id, 0), -EINVAL);
}

/* A VM of higher severity is not paused, and its creator is not told. */
static void test_pause_severity(void **state)
{
	struct vm *rt;

	(void)state;
	rt = start_vm("rt", 0x3000);
	assert_int_equal(rt->severity, SEVERITY_RTVM);
	assert_int_equal(hypercall(service(), HC_PAUSE_VM, rt->id, 0), 0);
	assert_int_equal(rt->state, VM_RUNNING);
	assert_int_equal(hypercall(service(), HC_DESTROY_VM, rt->id, 0), -EPERM);
	assert_int_equal(rt->state, VM_RUNNING);
}

static uint64_t slots_gpa = 0x3000;

static void answer(void)
{
	struct acrn_io_request *slot = service_ram(slots_gpa);

	slot->processed = ACRN_IOREQ_COMPLETE;
}

static void write_port(struct vm *vm, io_handler_t fn, uint64_t port, uint8_t width, uint64_t value)
{
	struct io_access io = {.kind = IO_PIO, .write = true, .width = width, .addr = port,
			       .value = value};

	fn(vm->vcpus[0], NULL, &io);
}

/* Which writes of an RTVM are its own end: then, and not before, may it be paused and destroyed. */
static void test_own_end(void **state)
{
	static const struct {
		uint64_t port, value;
		uint8_t width;
		bool end;
	} writes[] = {
		{0x404, 1, 2, false},	   {0x404, 0x2000, 2, false}, {0x404, 0x1400, 2, false},
		{0x404, 0x3c00, 2, false}, {0xcf9, 2, 1, false},      {0x404, 0x34, 1, false},
		{0x404, 0x3400, 2, true},  {0x404, 0x3401, 4, true},  {0x405, 0x34, 1, true},
		{0xcf9, 0x0e, 1, true},
	};
	struct vm *vm;

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(writes); i++) {
		uint64_t id;

		assert_int_equal(create("soft", GUEST_FLAG_RT, 0), 0);
		id = creation()->vmid;
		vm = user_vm((int64_t)id);
		memcpy(service_ram(0x1000), &slots_gpa, sizeof(slots_gpa));
		assert_int_equal(hypercall(service(), HC_SET_IOREQ_BUFFER, id, 0x1000), 0);
		assert_int_equal(hypercall(service(), HC_START_VM, id, 0), 0);
		test_on_block = answer;
		test_ends = 0;
		write_port(vm, writes[i].port == 0xcf9 ? test_reset_port : test_pm1a,
			   writes[i].port, writes[i].width, writes[i].value);
		assert_int_equal(test_ends, writes[i].end);
		assert_int_equal(vm->state, writes[i].end ? VM_READY_TO_POWEROFF : VM_RUNNING);
		assert_int_equal(hypercall(service(), HC_START_VM, id, 0), -EINVAL);
		assert_int_equal(hypercall(service(), HC_PAUSE_VM, id, 0), 0);
		assert_int_equal(vm->state, writes[i].end ? VM_PAUSED : VM_RUNNING);
		if (writes[i].end)
			assert_int_equal(hypercall(service(), HC_RESET_VM, id, 0), 0);
		assert_int_equal(hypercall(service(), HC_DESTROY_VM, id, 0),
				 writes[i].end ? 0 : -EPERM);
		vm->state = VM_PAUSED;
		(void)hypercall(service(), HC_DESTROY_VM, id, 0);
	}
}

static struct acrn_vcpu_regs *regs(void)
{
	return service_ram(0x1000);
}

/* vm-sample's registers: real mode at address 0. */
static void sample_regs(void)
{
	memset(regs(), 0, sizeof(*regs()));
	regs()->vcpu_regs.cr0 = 0x30;
	regs()->vcpu_regs.cs_ar = 0x9F;
	regs()->vcpu_regs.cs_sel = 0xF000;
	regs()->vcpu_regs.cs_limit = 0xFFFF;
}

/* Do registers arrive where the vCPU starts from, in real and in protected mode? */
static void test_regs(void **state)
{
	const struct vcpu_start *s;
	uint64_t id;

	(void)state;
	id = (uint64_t)create_vm("a");
	s = &user_vm((int64_t)id)->vcpus[0]->start;
	sample_regs();
	regs()->vcpu_regs.ss_sel = 0x1234;
	assert_int_equal(hypercall(service(), HC_SET_VCPU_REGS, id, 0x1000), 0);
	assert_int_equal(s->seg[1].sel, 0xF000);
	assert_int_equal(s->seg[1].base, 0);
	assert_int_equal(s->seg[1].ar, 0x9F);
	assert_int_equal(s->seg[2].base, 0x12340);
	assert_int_equal(s->seg[2].limit, 0xFFFF);
	assert_int_equal(s->rflags, RFLAGS_FIXED);

	memset(regs(), 0, sizeof(*regs()));
	for (uint32_t i = 0; i < 16; i++)
		regs()->vcpu_regs.gprs[i] = 100 + i;
	regs()->vcpu_regs.rip = 0x1000000;
	regs()->vcpu_regs.cr0 = CR0_PE | CR0_ET | CR0_NE;
	regs()->vcpu_regs.cs_ar = 0xC09B;
	regs()->vcpu_regs.cs_limit = 0xFFFFFFFF;
	regs()->vcpu_regs.cs_sel = 0x10;
	regs()->vcpu_regs.ds_sel = 0x18;
	regs()->vcpu_regs.gdt.base = 0x7000;
	regs()->vcpu_regs.gdt.limit = 31;
	assert_int_equal(hypercall(service(), HC_SET_VCPU_REGS, id, 0x1000), 0);
	assert_int_equal(s->rip, 0x1000000);
	assert_int_equal(s->gpr[GPR_RAX], 100);
	assert_int_equal(s->gpr[GPR_RSI], 106);
	assert_int_equal(s->gpr[GPR_R15], 115);
	assert_int_equal(s->seg[3].sel, 0x18);
	assert_int_equal(s->seg[3].base, 0);
	assert_int_equal(s->seg[3].limit, 0xFFFFFFFF);
	assert_int_equal(s->gdt_base, 0x7000);
	assert_int_equal(s->gdt_limit, 31);
}

static int64_t set_regs_with(void (*damage)(struct acrn_regs *r), uint64_t id)
{
	sample_regs();
	damage(&regs()->vcpu_regs);
	return hypercall(service(), HC_SET_VCPU_REGS, id, 0x1000);
}

#define DAMAGE(name, statement)                                                                    \
	static void name(struct acrn_regs *r)                                                      \
	{                                                                                          \
		statement;                                                                         \
	}
DAMAGE(cr0_high, r->cr0 |= BIT(32))
DAMAGE(cr0_reserved, r->cr0 |= BIT(6))
DAMAGE(paging_unprotected, r->cr0 |= CR0_PG)
DAMAGE(cr0_nw, r->cr0 |= CR0_NW)
DAMAGE(vmx_on, r->cr4 |= CR4_VMXE)
DAMAGE(cr4_reserved, r->cr4 |= BIT(63))
DAMAGE(efer_reserved, r->ia32_efer |= BIT(9))
DAMAGE(lma_alone, r->ia32_efer |= EFER_LMA)
DAMAGE(lme_active, r->cr0 |= CR0_PE | CR0_PG; r->ia32_efer |= EFER_LME)
DAMAGE(no_pae, r->cr0 |= CR0_PE | CR0_PG; r->ia32_efer |= EFER_LME | EFER_LMA)
DAMAGE(ar_reserved, r->cs_ar |= 0x100)
DAMAGE(ar_high, r->cs_ar |= BIT32(17))
DAMAGE(limit_low, r->cs_ar |= 0x8000; r->cs_limit = 0xFFFFF000)
DAMAGE(limit_high, r->cs_limit = 0x100000)
DAMAGE(rflags_reserved, r->rflags |= BIT(22))

/* What if the registers would make VM entry fail, or switch on what the guest may not have? */
static void test_bad_regs(void **state)
{
	static void (*const damages[])(struct acrn_regs *) = {
		cr0_high,   cr0_reserved, paging_unprotected, cr0_nw,	 vmx_on,
		cr4_reserved, efer_reserved, lma_alone,	      lme_active, no_pae,
		ar_reserved, ar_high,	  limit_low,	      limit_high, rflags_reserved,
	};
	uint64_t id;

	(void)state;
	id = (uint64_t)create_vm("a");
	for (uint32_t i = 0; i < ARRAY_SIZE(damages); i++) {
		user_vm((int64_t)id)->vcpus[0]->start.rip = 0x77;
		assert_int_equal(set_regs_with(damages[i], id), -EINVAL);
		assert_int_equal(user_vm((int64_t)id)->vcpus[0]->start.rip, 0x77);
	}
	sample_regs();
	regs()->vcpu_id = 2;
	assert_int_equal(hypercall(service(), HC_SET_VCPU_REGS, id, 0x1000), -EINVAL);
	assert_int_equal(hypercall(service(), HC_SET_VCPU_REGS, id, TEST_RAM), -EFAULT);
	user_vm((int64_t)id)->state = VM_RUNNING;
	sample_regs();
	assert_int_equal(hypercall(service(), HC_SET_VCPU_REGS, id, 0x1000), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_create_static, service_setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_create_dynamic, service_setup,
						service_teardown),
		cmocka_unit_test_setup_teardown(test_binary_names, service_setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_create_flags, service_setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_owned_lapic, service_setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_create_unwritable, service_setup,
						service_teardown),
		cmocka_unit_test_setup_teardown(test_states, service_setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_pause_severity, service_setup,
						service_teardown),
		cmocka_unit_test_setup_teardown(test_own_end, service_setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_regs, service_setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_bad_regs, service_setup, service_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
