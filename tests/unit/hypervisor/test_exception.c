// SPDX-License-Identifier: BSD-3-Clause
/*
 * Whose is an NMI, what becomes of an interrupt that woke the idle loop, and what of a fault of
 * the hypervisor's own?
 */
// links: hypervisor/arch/x86/cpu/exception.c @machine tests/fake/fake_report.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "asm/cpuregs.h"
#include "hv/cpu.h"
#include "hv/irq.h"
#include "hv/log.h"
#include "hv/pcpu.h"
#include "hv/vcpu.h"
#include "fake_machine.h"
#include "fake_report.h"

static struct vcpu vcpu;
static uint32_t guest_nmis, served, ipis;
static int dispatched;
static bool panicking;
static jmp_buf halted;

void vcpu_inject_nmi(struct vcpu *v)
{
	assert_ptr_equal(v, &vcpu);
	guest_nmis++;
}

void smp_call_serve(void)
{
	served++;
}

void lapic_send_ipi(uint32_t apic_id, uint8_t vector)
{
	assert_int_equal(apic_id, this_pcpu()->apic_id);
	assert_int_equal(vector, VECTOR_KICK);
	ipis++;
}

void irq_dispatch(uint8_t vector)
{
	dispatched = vector;
}

bool panic_in_progress(void)
{
	return panicking;
}

void cpu_halt_forever(void)
{
	longjmp(halted, 1);
}

void (*sched_arm_guard)(uint64_t ticks);
static uint64_t guard;

static void guard_armed(uint64_t ticks)
{
	guard = ticks;
}

static int setup(void **state)
{
	(void)state;
	fake_machine_reset();
	fake_report_reset();
	guest_nmis = served = ipis = 0;
	dispatched = -1;
	panicking = false;
	return 0;
}

/* An NMI in a guest: another CPU's kick, or the machine's own? */
static void test_nmi_exit(void **state)
{
	(void)state;
	this_pcpu()->loaded = &vcpu;
	this_pcpu()->kicked_at = 5;
	this_pcpu()->nmi_kick = 1;
	nmi_exit();
	assert_int_equal(guest_nmis, 0);
	assert_int_equal(this_pcpu()->kicked_at, 0);
	assert_int_equal(this_pcpu()->nmi_kick, 0);
	assert_int_equal(served, 1);
	this_pcpu()->nmi_kick = 1; /* the kick itself was noticed meanwhile, its NMI is still ours */
	nmi_exit();
	assert_int_equal(guest_nmis, 0);
	this_pcpu()->kicked_at = 5; /* only kicked by an IPI, and the machine's NMI comes */
	nmi_exit();
	assert_int_equal(guest_nmis, 1);
	this_pcpu()->loaded = NULL; /* nobody to give it to */
	nmi_exit();
	assert_int_equal(guest_nmis, 1);
}

/* An NMI in root mode serves nothing where it hits, but the coming VM entry will exit again. */
static void test_nmi_in_root(void **state)
{
	struct intr_frame f = {.vector = EXC_NMI};

	(void)state;
	this_pcpu()->loaded = &vcpu;
	this_pcpu()->nmi_kick = 1;
	exception_entry(&f);
	assert_int_equal(served, 0);
	assert_int_equal(ipis, 1);
	assert_int_equal(guest_nmis, 0);
	exception_entry(&f);
	assert_int_equal(guest_nmis, 1);
	assert_int_equal(fake_report_lines, 0);
	/* Where a guest owns the APIC an IPI would be the guest's. */
	this_pcpu()->lapic_owned = 1;
	exception_entry(&f);
	sched_arm_guard = guard_armed;
	exception_entry(&f);
	assert_int_equal(guard, 1);
	assert_int_equal(ipis, 2);
}

/* What if another CPU panics? This one stops, in a guest or not. */
static void test_panicking(void **state)
{
	struct intr_frame f = {.vector = EXC_NMI};
	volatile int stops = 0;

	(void)state;
	panicking = true;
	if (setjmp(halted) == 0)
		nmi_exit();
	else
		stops++;
	if (setjmp(halted) == 0)
		exception_entry(&f);
	else
		stops++;
	assert_int_equal(stops, 2);
	assert_int_equal(guest_nmis + served + ipis, 0);
}

/* An instruction as asm/insn.h has those that may fault, and where it goes on. */
__asm__(".pushsection .text\n"
	"may_fault: nop\n"
	"goes_on: nop\n"
	".popsection\n"
	".pushsection hv_fixups, \"a\"\n"
	".long may_fault - ., goes_on - .\n"
	".popsection");
extern const char may_fault[] __attribute__((visibility("hidden")));
extern const char goes_on[] __attribute__((visibility("hidden")));

static bool extension_asked;

static bool extension(struct intr_frame *f)
{
	(void)f;
	extension_asked = true;
	return true;
}

/* What if an instruction faults that may, or an extension knows the fault? */
static void test_expected(void **state)
{
	struct intr_frame f = {.vector = EXC_GP, .rip = (uintptr_t)may_fault};

	(void)state;
	exception_expected = extension;
	exception_entry(&f);
	assert_int_equal(f.rip, (uintptr_t)goes_on);
	assert_false(extension_asked);
	f.vector = EXC_MC;
	exception_entry(&f);
	assert_true(extension_asked);
	assert_int_equal(fake_report_lines, 0);
	exception_expected = NULL;
}

/* Which vectors are interrupts? */
static void test_interrupts(void **state)
{
	struct intr_frame f = {0};

	(void)state;
	for (f.vector = VECTOR_DYN_FIRST; f.vector < 256; f.vector++) {
		exception_entry(&f);
		assert_int_equal(dispatched, f.vector);
	}
}

/* A fault of the hypervisor's own: which one, where, and with what registers? */
static void test_faults(void **state)
{
	struct intr_frame f = {.error = 2, .rip = 0x1234567, .rax = 0xABCDEF, .r15 = 0xF15};

	for (f.vector = 0; f.vector < 32; f.vector++) {
		if (f.vector == EXC_NMI)
			continue;
		(void)setup(state);
		fake_cr[2] = 0xBADADD;
		expect_assert_failure(exception_entry(&f));
		assert_int_equal(dispatched, -1);
		assert_true(fake_reported("at 0x1234567"));
		assert_true(fake_reported("cr2 0xbadadd"));
		assert_true(fake_reported("rax 0000000000abcdef"));
		assert_true(fake_reported("r15 0000000000000f15"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nmi_exit, setup),
		cmocka_unit_test_setup(test_nmi_in_root, setup),
		cmocka_unit_test_setup(test_panicking, setup),
		cmocka_unit_test_setup(test_expected, setup),
		cmocka_unit_test_setup(test_interrupts, setup),
		cmocka_unit_test_setup(test_faults, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
