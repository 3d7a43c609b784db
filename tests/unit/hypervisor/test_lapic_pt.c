// SPDX-License-Identifier: BSD-3-Clause
/* VMs that own their local APICs: can one of them reach anybody but itself? */
// links: hypervisor/guest/lapic_pt.c @machine
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "asm/apic.h"
#include "asm/msr.h"
#include "fake_machine.h"
#include "hv/irq.h"
#include "hv/pcpu.h"
#include "hv/timer.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vintr.h"
#include "hv/vm.h"
#include "hv/vmcs.h"
#include "hv/vmsr.h"
#include "lib/errno.h"

#define VCPUS	 2U
#define FIRST_ID 0x21U /* physical; the virtual ones are 0 and 1 */
#define ICR	 0x830U

extern const struct unit __start_hv_units[];

static struct vm vm;
static struct vcpu vcpus[VCPUS];
static uint32_t fixed[VCPUS], nmis[VCPUS], inits[VCPUS], sipis[VCPUS], others, illegal;
static uint32_t given, taken_back, passed, caught;
static bool x2;

void lapic_send_ipi(uint32_t apic_id, uint8_t vector)
{
	if (vector < 16U)
		illegal++;
	else if (apic_id - FIRST_ID < VCPUS)
		fixed[apic_id - FIRST_ID]++;
	else
		others++;
}

bool lapic_is_x2apic(void)
{
	return x2;
}

void lapic_give(void)
{
	this_pcpu()->lapic_owned = 1;
	given++;
}

void lapic_take_back(void)
{
	this_pcpu()->lapic_owned = 0;
	taken_back++;
}

void timer_run(void)
{
}

void smp_call_serve(void)
{
}

void vmsr_intercept(struct vm *v, uint32_t msr, bool read, bool write)
{
	assert_ptr_equal(v, &vm);
	if (msr == MSR_TSC_DEADLINE)
		caught = read && write;
	passed += !read && !write;
}

void vcpu_inject_nmi(struct vcpu *v)
{
	nmis[v->id]++;
}

void vcpu_init_signal(struct vcpu *v)
{
	inits[v->id]++;
}

void vcpu_sipi(struct vcpu *v, uint8_t vector)
{
	assert_int_equal(vector, 0x55);
	sipis[v->id]++;
}

static void forget(void)
{
	memset(fixed, 0, sizeof(fixed));
	memset(nmis, 0, sizeof(nmis));
	memset(inits, 0, sizeof(inits));
	memset(sipis, 0, sizeof(sipis));
	others = illegal = 0;
}

static int setup(void **state)
{
	(void)state;
	fake_machine_reset();
	forget();
	given = taken_back = passed = caught = 0;
	x2 = true;
	vm = (struct vm){.flags = GUEST_FLAG_LAPIC_PASSTHROUGH, .vcpu_count = VCPUS};
	for (uint16_t i = 0; i < VCPUS; i++) {
		vm.vcpus[i] = &vcpus[i];
		vcpus[i] = (struct vcpu){.vm = &vm, .id = i, .apic_id = i, .pcpu = &pcpus[i + 1],
					 .state = VCPU_RUNNING};
		pcpus[i + 1].apic_id = FIRST_ID + i;
		pcpus[i + 1].lapic_owned = 1;
	}
	return __start_hv_units->vm_init(&vm);
}

static int wrmsr(uint32_t msr, uint64_t val)
{
	return vm.vintr->write_msr(&vcpus[0], msr, val);
}

static uint64_t rdmsr(uint16_t id, uint32_t msr)
{
	uint64_t val = 0;

	assert_int_equal(vm.vintr->read_msr(&vcpus[id], msr, &val), 0);
	return val;
}

static uint32_t destinations(uint32_t dest, bool logical)
{
	if (dest == UINT32_MAX)
		return 3;
	if (logical)
		return dest >> 16 == 0 ? dest & 3 : 0;
	return dest < VCPUS ? 1U << dest : 0;
}

static uint32_t mask_of(const uint32_t *counts)
{
	assert_in_range(counts[0], 0, 1);
	assert_in_range(counts[1], 0, 1);
	return counts[0] | counts[1] << 1;
}

static void fire(uint32_t dest, uint32_t mode, bool logical, uint32_t sh)
{
	uint32_t mask = sh == 0 ? destinations(dest, logical) : (uint32_t[]){0, 1, 3, 2}[sh];
	bool self = sh == 1 || sh == 2;

	forget();
	assert_int_equal(wrmsr(ICR, (uint64_t)dest << 32 | sh << 18 | (logical ? 0x800U : 0) |
					    APIC_ICR_ASSERT | mode << 8 | 0x55),
			 0);
	if (self && mode != APIC_DM_FIXED)
		mask = 0;
	if (mode == APIC_DM_LOWEST)
		mask &= mask == 3 ? 1 : 3; /* one of them */
	assert_int_equal(mask_of(fixed), mode <= APIC_DM_LOWEST ? mask : 0);
	assert_int_equal(mask_of(nmis), mode == APIC_DM_NMI ? mask : 0);
	assert_int_equal(mask_of(inits), mode == APIC_DM_INIT ? mask : 0);
	assert_int_equal(mask_of(sipis), mode == APIC_DM_SIPI ? mask : 0);
	assert_int_equal(others + illegal, 0);
}

/* What if it fires every mode and shorthand at every destination there can be? */
static void test_every_destination(void **state)
{
	static const uint32_t far[] = {0x100,	   0x1FF,      0x10001,	   0x20003,  0xFFFF,
				       0x7FFFFFFF, 0x80000001, 0xFFFF0003, UINT32_MAX};

	(void)state;
	for (uint32_t mode = 0; mode < 8; mode++) {
		for (uint32_t sh = 0; sh < 8; sh++) {
			bool logical = (sh & 4) != 0;

			for (uint32_t dest = 0; dest < 0x100; dest++)
				fire(dest, mode, logical, sh & 3);
			for (size_t i = 0; i < ARRAY_SIZE(far); i++)
				fire(far[i], mode, logical, sh & 3);
		}
	}
}

/* And while the other processor is not the VM's yet, or waits for its start-up IPI? */
static void test_not_there(void **state)
{
	(void)state;
	pcpus[2].lapic_owned = 0;
	fire(0, APIC_DM_FIXED, false, 0);
	assert_int_equal(wrmsr(ICR, 1UL << 32 | APIC_ICR_ASSERT | 0x55), 0);
	pcpus[2].lapic_owned = 1;
	vcpus[1].state = VCPU_WAIT_SIPI;
	assert_int_equal(wrmsr(ICR, 1UL << 32 | APIC_ICR_ASSERT | 0x55), 0);
	vm.vintr->post(&vcpus[1], 0x60);
	assert_int_equal(fixed[1] + others, 0);
}

/* Reserved bits, vectors that are none, an INIT that is taken back. */
static void test_odd_commands(void **state)
{
	(void)state;
	assert_int_equal(wrmsr(ICR, BIT(12) | 0x55), -EINVAL);
	assert_int_equal(wrmsr(ICR, BIT(20) | 0x55), -EINVAL);
	assert_int_equal(wrmsr(ICR, 1UL << 32 | 5), 0);
	assert_int_equal(illegal, 1);
	assert_int_equal(wrmsr(ICR, 1UL << 32 | APIC_ICR_LEVEL | APIC_DM(INIT)), 0);
	assert_int_equal(mask_of(fixed) | mask_of(inits) | others, 0);
	assert_int_equal(rdmsr(0, ICR), 1UL << 32 | APIC_ICR_LEVEL | APIC_DM(INIT));
}

/* What it reads of itself are virtual numbers, and it stays in x2APIC mode. */
static void test_identity(void **state)
{
	uint64_t base = rdmsr(0, MSR_APIC_BASE), val;

	(void)state;
	assert_int_equal(base, APIC_DEFAULT_BASE | APIC_BASE_ENABLE | APIC_BASE_X2APIC | APIC_BASE_BSP);
	assert_int_equal(rdmsr(1, MSR_APIC_BASE), base & ~APIC_BASE_BSP);
	assert_int_equal(rdmsr(1, 0x802), 1);
	assert_int_equal(rdmsr(1, 0x80D), 2);
	vcpus[1].apic_id = 0x25;
	assert_int_equal(rdmsr(1, 0x80D), 0x20020);
	assert_int_equal(wrmsr(MSR_APIC_BASE, base), 0);
	assert_int_equal(wrmsr(MSR_APIC_BASE, base & ~APIC_BASE_X2APIC), -EINVAL);
	assert_int_equal(wrmsr(MSR_APIC_BASE, 0), -EINVAL);
	assert_int_equal(wrmsr(0x802, 1), -EINVAL);
	assert_int_equal(wrmsr(0x80D, 1), -EINVAL);
	assert_int_equal(vm.vintr->read_msr(&vcpus[0], 0x840, &val), -EINVAL);
	assert_int_equal(wrmsr(0x8FF, 0), -EINVAL);
}

/* Does a deadline mean the guest's TSC when that is no longer the processor's? */
static void test_deadline(void **state)
{
	(void)state;
	assert_int_equal(passed, 0x40 - 3 + 1);
	assert_int_equal(caught, 0);
	fake_msr_set(MSR_TSC_DEADLINE, 0);
	vcpus[0].tsc_offset = (uint64_t)-1000;
	vm.vintr->tsc_moved(&vcpus[0]);
	assert_int_equal(caught, 1);
	assert_int_equal(rdmsr(0, MSR_TSC_DEADLINE), 0);
	assert_int_equal(wrmsr(MSR_TSC_DEADLINE, 5000), 0);
	assert_int_equal(fake_msr_get(MSR_TSC_DEADLINE), 6000);
	assert_int_equal(rdmsr(0, MSR_TSC_DEADLINE), 5000);
	assert_int_equal(wrmsr(MSR_TSC_DEADLINE, 0), 0);
	assert_int_equal(fake_msr_get(MSR_TSC_DEADLINE), 0);
	__start_hv_units->vm_reset(&vm);
	assert_int_equal(caught, 0);
}

/* Is the APIC the guest's from its first start to its end, and what exits then? */
static void test_life(void **state)
{
	(void)state;
	fake_cpu = 1;
	pcpus[1].lapic_owned = 0;
	vmcs_write(VMCS_PIN_CTRL, PIN_EXTINT_EXIT | PIN_NMI_EXIT | PIN_VIRTUAL_NMI);
	vmcs_write(VMCS_EXIT_CTRL, VMEXIT_ACK_INTR | VMEXIT_HOST_64);
	vcpus[0].proc_ctrl = PROC_HLT_EXIT | PROC_PAUSE_EXIT | PROC_CR8_LOAD_EXIT |
			     PROC_CR8_STORE_EXIT | PROC_IO_BITMAPS | PROC_MSR_BITMAPS;
	__start_hv_units->vcpu_reset(&vcpus[0]);
	assert_int_equal(given, 1);
	assert_int_equal(vmcs_read32(VMCS_PIN_CTRL), PIN_NMI_EXIT | PIN_VIRTUAL_NMI);
	assert_int_equal(vmcs_read32(VMCS_EXIT_CTRL), VMEXIT_HOST_64);
	assert_int_equal(vmcs_read32(VMCS_PROC_CTRL), PROC_IO_BITMAPS | PROC_MSR_BITMAPS);
	__start_hv_units->vcpu_deinit(&vcpus[0]);
	assert_int_equal(taken_back, 1);
	__start_hv_units->vcpu_deinit(&vcpus[0]); /* had never started */
	assert_int_equal(taken_back, 1);
}

/* Who is refused, and whom does this not concern? */
static void test_others(void **state)
{
	(void)state;
	vm.vintr = NULL;
	x2 = false;
	assert_int_equal(__start_hv_units->vm_init(&vm), -ENODEV);
	vm.flags = 0;
	assert_int_equal(__start_hv_units->vm_init(&vm), 0);
	assert_null(vm.vintr);
	__start_hv_units->vcpu_reset(&vcpus[0]);
	__start_hv_units->vcpu_deinit(&vcpus[0]);
	assert_int_equal(given + taken_back, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_every_destination, setup),
		cmocka_unit_test_setup(test_not_there, setup),
		cmocka_unit_test_setup(test_odd_commands, setup),
		cmocka_unit_test_setup(test_identity, setup),
		cmocka_unit_test_setup(test_deadline, setup),
		cmocka_unit_test_setup(test_life, setup),
		cmocka_unit_test_setup(test_others, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
