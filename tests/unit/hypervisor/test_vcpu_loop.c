// SPDX-License-Identifier: BSD-3-Clause
/*
 * Between an exit and the next entry: is everything done that others asked for, in the right
 * order, is nothing lost that comes meanwhile, and when does a HLT end?
 */
// links: hypervisor/guest/vcpu_loop.c hypervisor/guest/vcpu.c @machine
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "asm/cpuregs.h"
#include "hv/pcpu.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vcpu_loop.h"
#include "hv/vevent.h"
#include "hv/vintr.h"
#include "hv/vm.h"
#include "hv/vmcs.h"
#include "hv/vmsr.h"
#include "hv/vmexit.h"
#include "fake_machine.h"

/* What happened, a letter each. */
static char seen[64];
/* What comes from elsewhere at the next block, schedule or injection, and is then spent. */
static void (*meanwhile)(void);
static uint64_t prepared;
static uint32_t halting;
static bool pending_intr, resched;
static struct vcpu_start entered_with;
static struct vm vm;
static struct vcpu vcpu;

static void start_bsp(void)
{
	vcpu.state = VCPU_RUNNING;
}

static void note(char c)
{
	size_t n = strlen(seen);

	assert_true(n + 1 < sizeof(seen));
	seen[n] = c;
	seen[n + 1] = '\0';
	if (meanwhile) {
		void (*fn)(void) = meanwhile;

		meanwhile = NULL;
		fn();
	}
}

void sched_block(void)
{
	note('B');
	assert_int_equal(vcpu.halted, halting); /* requests wake it only then */
	assert_true(strlen(seen) < 20); /* nobody wakes it */
}

void schedule(void)
{
	note('S');
}

void sched_wake(struct thread *t)
{
	(void)t;
}

void sched_guard_ended(void)
{
}

bool sched_need_resched(const struct pcpu *p)
{
	(void)p;
	return resched;
}

void pcpu_kick(struct pcpu *p)
{
	(void)p;
}

void vmx_invvpid(uint16_t vpid)
{
	assert_int_equal(vpid, 9);
	note('T');
}

void vevent_prepare(struct vcpu *v, uint64_t reqs)
{
	(void)v;
	prepared = reqs;
	note('P');
}

void vmcs_init(struct vcpu *v)
{
	(void)v;
	note('V');
	if (v->state == VCPU_OFFLINE)
		meanwhile = start_bsp;
}

void vmcs_guest_reset(struct vcpu *v, const struct vcpu_start *start)
{
	(void)v;
	entered_with = *start;
	note('R');
}

void unit_vcpu_reset(struct vcpu *v)
{
	(void)v;
	note('U');
}

static jmp_buf entry;

void vmx_enter(struct vcpu *v, bool started)
{
	note(started ? 'r' : 'l');
	assert_true(v->started);
	longjmp(entry, 1);
}

static void inject(struct vcpu *v)
{
	(void)v;
	note('I');
}

static bool pending(struct vcpu *v)
{
	(void)v;
	return pending_intr;
}

static const struct vintr_ops ops = {.inject = inject, .pending = pending};

/* A thread that is switched in needs these; none is here. */
void vcpu_fpu_switch(struct vcpu *from, const struct vcpu *to)
{
	(void)from;
	(void)to;
}

void vmsr_switch(struct vcpu *from, const struct vcpu *to)
{
	(void)from;
	(void)to;
}

void vmcs_load(struct vcpu *v)
{
	(void)v;
}

static int setup(void **state)
{
	(void)state;
	fake_machine_reset();
	memset(seen, 0, sizeof(seen));
	meanwhile = NULL;
	prepared = 0;
	pending_intr = resched = false;
	vm = (struct vm){.vintr = &ops};
	memset(&vcpu, 0, sizeof(vcpu));
	vcpu.vm = &vm;
	vcpu.vpid = 9;
	vcpu.pcpu = this_pcpu();
	vcpu.state = VCPU_RUNNING;
	vcpu_start_power_on(&vcpu.start);
	return 0;
}

/* Which request leads to what, alone and all together? */
static void test_requests(void **state)
{
	static const struct {
		uint64_t reqs;
		const char *seen;
	} cases[] = {
		{0, ""},
		{REQ_TLB_FLUSH, "T"},
		{REQ_EXCEPTION, "P"},
		{REQ_NMI, "P"},
		{REQ_REINJECT, "P"},
		{REQ_EVENT, "I"},
		{REQ_EXTINT, "I"},
		{REQ_EOI_MAP, "I"},
		{REQ_RESCHED, "S"},
		{REQ_EVENT | REQ_NMI | REQ_TLB_FLUSH, "TPI"}, /* what is prepared is seen by inject */
		{REQ_RESCHED | REQ_EVENT | REQ_NMI, "SPI"},	/* nothing is lost while away */
		{REQ_RESET, "RU"},
		{REQ_RESET | REQ_EXCEPTION | REQ_EVENT | REQ_TLB_FLUSH, "RU"}, /* events of the past */
		{REQ_RESET | REQ_RESCHED, "RUS"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		(void)setup(state);
		vcpu.requests = cases[i].reqs;
		vcpu_loop_serve(&vcpu);
		assert_string_equal(seen, cases[i].seen);
		assert_int_equal(vcpu.requests, 0);
		if (strchr(seen, 'P'))
			assert_int_equal(prepared, cases[i].reqs & (REQ_NMI | REQ_EXCEPTION | REQ_REINJECT));
	}
}

static void more_events(void)
{
	(void)atomic_or64(&vcpu.requests, REQ_EVENT);
}

/* What if something comes while others are served? It is served before the entry as well. */
static void test_meanwhile(void **state)
{
	(void)state;
	meanwhile = more_events;
	vcpu.requests = REQ_RESCHED;
	vcpu_loop_serve(&vcpu);
	assert_string_equal(seen, "SI");
	(void)setup(state);
	meanwhile = more_events;
	vcpu.requests = REQ_EVENT;
	vcpu_loop_serve(&vcpu);
	assert_string_equal(seen, "II");
}

static void sipi(void)
{
	vcpu_sipi(&vcpu, 0x9A);
}

/* INIT, then a start-up IPI: where does the processor begin? */
static void test_sipi(void **state)
{
	(void)state;
	vcpu.start.rip = 0x12345;
	vcpu.start.cr0 = 0x80000011;
	vcpu.event.exception = 14;
	memset(vcpu.gpr, 0x77, sizeof(vcpu.gpr));
	vcpu_init_signal(&vcpu);
	meanwhile = sipi;
	vcpu_loop_serve(&vcpu);
	assert_string_equal(seen, "BRU");
	assert_int_equal(entered_with.rip, 0);
	assert_int_equal(entered_with.cr0, 0x60000010);
	assert_int_equal(entered_with.seg[1].sel, 0x9A00);
	assert_int_equal(entered_with.seg[1].base, 0x9A000);
	assert_int_equal(vcpu.gpr[GPR_RAX], 0);
	assert_int_equal(vcpu.gpr[GPR_RDX], 0x600);
	assert_int_equal(vcpu.event.exception, 0);
	assert_int_equal(vcpu.requests, 0);
}

/* INIT and start-up IPI before it has looked even once: it does not sleep over it. */
static void test_fast_sipi(void **state)
{
	(void)state;
	vcpu_init_signal(&vcpu);
	sipi();
	vcpu_loop_serve(&vcpu);
	assert_string_equal(seen, "RU");
	assert_int_equal(entered_with.seg[1].sel, 0x9A00);
}

static void init_and_sipi(void)
{
	vcpu_init_signal(&vcpu);
	vcpu_sipi(&vcpu, 0x42);
	vcpu_sipi(&vcpu, 0x43);
}

/* What if another INIT and start-up IPIs come while it waits for the first? The last INIT counts. */
static void test_init_while_waiting(void **state)
{
	(void)state;
	vcpu_init_signal(&vcpu);
	meanwhile = init_and_sipi;
	vcpu_loop_serve(&vcpu);
	assert_string_equal(seen, "BRURU");
	assert_int_equal(entered_with.seg[1].sel, 0x4200);
	assert_int_equal(vcpu.requests, 0);
}

static void sipi_in_sleep(void)
{
	meanwhile = sipi;
}

static void init_in_start(void)
{
	vcpu_init_signal(&vcpu);
	meanwhile = sipi_in_sleep; /* at the end of this start */
}

/* And if an INIT comes while its registers are being filled? It does not enter the guest. */
static void test_init_while_starting(void **state)
{
	(void)state;
	vcpu_init_signal(&vcpu);
	vcpu_sipi(&vcpu, 0x42);
	meanwhile = init_in_start;
	vcpu_loop_serve(&vcpu);
	assert_string_equal(seen, "RUBRU");
	assert_int_equal(entered_with.seg[1].sel, 0x9A00);
}

static void run_thread(void)
{
	if (setjmp(entry) == 0)
		vcpu_loop_start(&vcpu);
}

/* The first thread of the boot processor and of others: from where to where? */
static void test_start(void **state)
{
	(void)state;
	vcpu.state = VCPU_OFFLINE;
	vcpu.start.rip = 0x100000;
	vcpu.start.gpr[GPR_RSI] = 0x90000;
	vcpu.requests = REQ_EVENT;
	run_thread();
	assert_string_equal(seen, "VBRUIl");
	assert_int_equal(entered_with.rip, 0x100000);
	assert_int_equal(vcpu.gpr[GPR_RSI], 0x90000);
	/* After a reset its VMCS has been launched already. */
	seen[0] = '\0';
	run_thread();
	assert_string_equal(seen, "VRUr");

	(void)setup(state);
	vcpu.state = VCPU_WAIT_SIPI;
	vcpu.from_sipi = false;
	sipi();
	run_thread();
	assert_string_equal(seen, "VRUl");
	assert_int_equal(entered_with.rip, 0);
}

static void nmi(void)
{
	(void)atomic_or64(&vcpu.requests, REQ_NMI);
}

static void interrupt(void)
{
	pending_intr = true;
	(void)atomic_or64(&vcpu.requests, REQ_EVENT);
}

static void eoi_map(void)
{
	(void)atomic_or64(&vcpu.requests, REQ_EOI_MAP);
	meanwhile = interrupt;
}

static void spurious(void)
{
	meanwhile = interrupt;
}

static void masked_interrupt(void)
{
	pending_intr = true;
	(void)atomic_or64(&vcpu.requests, REQ_EVENT);
	meanwhile = nmi;
}

/* What ends a HLT, with interrupts on and off? And what does not? */
static void test_halt(void **state)
{
	static const struct {
		bool interruptible, before;
		void (*meanwhile)(void);
		const char *seen;
		uint64_t left;
	} cases[] = {
		{true, true, NULL, "", REQ_EVENT},	      /* it is there already */
		{true, false, interrupt, "B", REQ_EVENT},
		{true, false, spurious, "BB", REQ_EVENT},     /* woken for nothing */
		{true, false, eoi_map, "BB", REQ_EVENT | REQ_EOI_MAP}, /* the guest sees no event */
		{true, false, nmi, "B", REQ_EVENT | REQ_NMI},
		{false, false, nmi, "B", REQ_EVENT | REQ_NMI},
		{false, false, masked_interrupt, "BB", REQ_EVENT | REQ_NMI},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		(void)setup(state);
		fake_vmcs[VMCS_GUEST_RFLAGS] = cases[i].interruptible ? RFLAGS_IF : 0;
		pending_intr = cases[i].before;
		meanwhile = cases[i].meanwhile;
		halting = 1;
		vcpu_halt(&vcpu);
		halting = 0;
		assert_int_equal(vcpu.halted, 0);
		assert_string_equal(seen, cases[i].seen);
		assert_int_equal(vcpu.requests, cases[i].left);
	}
}

/* Does a HLT that is single-stepped sleep? No: the trap after it ends it. */
static void test_halt_stepped(void **state)
{
	(void)state;
	fake_vmcs[VMCS_GUEST_RFLAGS] = RFLAGS_TF;
	fake_vmcs[VMCS_GUEST_PENDING_DEBUG] = BIT(14);
	vcpu_halt(&vcpu);
	assert_string_equal(seen, "");
	assert_int_equal(vcpu.requests, 0);
}

/* What if another thread waits for the CPU when the HLT ends? It is not forgotten. */
static void test_halt_resched(void **state)
{
	(void)state;
	fake_vmcs[VMCS_GUEST_RFLAGS] = RFLAGS_IF;
	vcpu.requests = REQ_RESCHED;
	pending_intr = true;
	resched = true;
	vcpu_halt(&vcpu);
	assert_int_equal(vcpu.requests, REQ_EVENT | REQ_RESCHED);
	(void)setup(state);
	fake_vmcs[VMCS_GUEST_RFLAGS] = RFLAGS_IF;
	vcpu.requests = REQ_RESCHED; /* blocking is giving the CPU away, too */
	meanwhile = interrupt;
	halting = 1;
	vcpu_halt(&vcpu);
	halting = 0;
	assert_int_equal(vcpu.requests, REQ_EVENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_requests, setup),
		cmocka_unit_test_setup(test_meanwhile, setup),
		cmocka_unit_test_setup(test_sipi, setup),
		cmocka_unit_test_setup(test_fast_sipi, setup),
		cmocka_unit_test_setup(test_init_while_waiting, setup),
		cmocka_unit_test_setup(test_init_while_starting, setup),
		cmocka_unit_test_setup(test_start, setup),
		cmocka_unit_test_setup(test_halt, setup),
		cmocka_unit_test_setup(test_halt_stepped, setup),
		cmocka_unit_test_setup(test_halt_resched, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
