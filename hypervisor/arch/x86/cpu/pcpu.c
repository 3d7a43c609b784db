// SPDX-License-Identifier: BSD-3-Clause
/*
 * The physical CPUs: found in the MADT, started one after the other, then each in its idle thread.
 * Also how one CPU reaches another: a kick, and a function call that the other runs (smp_call).
 * Called by boot/main.c, the scheduler, EPT flushes and VM teardown. Takes no lock; smp_call
 * callers hold none, because a CPU that spins for a lock serves no calls.
 */
#include "hv/pcpu.h"
#include "asm/insn.h"
#include "asm/msr.h"
#include "hv/acpi.h"
#include "hv/boot.h"
#include "hv/cpu.h"
#include "hv/irq.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/vmcs.h"
#include "lib/kconfig.h"
#include "lib/string.h"

#define PCPU_STACK	8192U
#define KICK_PATIENCE_US 50U   /* then the kick becomes an NMI */
#define START_WAIT_US	100000U
#define SPINS_TO_KICK	0x4000U

struct pcpu *pcpus;
uint16_t pcpu_count;
bool pcpu_kick_owned_by_nmi;
static hpa_t trampoline;
static struct pcpu *volatile starting;

extern uint8_t trampoline_start[] __attribute__((visibility("hidden")));
extern uint8_t trampoline_end[] __attribute__((visibility("hidden")));
extern uint8_t trampoline_cr3[] __attribute__((visibility("hidden")));
extern uint8_t trampoline_target[] __attribute__((visibility("hidden")));
extern uint8_t trampoline_stack[] __attribute__((visibility("hidden")));

static uint32_t apic_id_of_this_cpu(void)
{
	uint32_t r[4];

	cpuid_count(0U, 0U, r);
	if (r[0] >= 0xBU) {
		cpuid_count(0xBU, 0U, r);
		if (r[1] != 0U) {
			return r[3];
		}
	}
	cpuid_count(1U, 0U, r);
	return r[1] >> 24;
}

void pcpu_discover(void)
{
	pcpu_count = acpi_facts.cpu_count;
	if (pcpu_count == 0U) {
		pcpu_count = 1U;
	}
	if (pcpu_count > CONFIG_MAX_PCPU_NUM) {
		report("boot: %u of %u processors used: MAX_PCPU_NUM", CONFIG_MAX_PCPU_NUM,
		       pcpu_count);
		pcpu_count = CONFIG_MAX_PCPU_NUM;
	}
	if (pcpu_count > 1U) {
		uint64_t page = e820_find_top(PAGE_SIZE, PAGE_SIZE, 0xA0000UL);

		if (page == UINT64_MAX || page == 0U || e820_reserve(page, PAGE_SIZE) != 0) {
			report("boot: no page below 1 MB to start the other processors from");
			pcpu_count = 1U;
		} else {
			trampoline = HPA(page);
		}
	}
}

hpa_t pcpu_trampoline(void)
{
	return trampoline;
}

static void trampoline_word(const uint8_t *label, uint64_t v)
{
	(void)memcpy((uint8_t *)hpa_ptr(trampoline) + (label - trampoline_start), &v, sizeof(v));
}

static void pcpu_init(struct pcpu *p, uint16_t id, uint32_t apic_id)
{
	p->self = p;
	p->id = id;
	p->apic_id = apic_id;
	p->stack_top = (uint8_t *)boot_alloc(PCPU_STACK, 16U) + PCPU_STACK;
	p->vmxon_hpa = ptr_hpa(boot_alloc(PAGE_SIZE, PAGE_SIZE));
	cpu_alloc_tables(p);
}

void pcpu_alloc(void)
{
	uint32_t bsp = apic_id_of_this_cpu();
	uint16_t n = 1U;

	pcpus = boot_alloc(sizeof(*pcpus) * pcpu_count, 64U);
	pcpu_init(&pcpus[0], 0U, bsp);
	for (uint16_t i = 0U; i < acpi_facts.cpu_count && n < pcpu_count; i++) {
		if (acpi_facts.cpu_apic_ids[i] != bsp) {
			pcpu_init(&pcpus[n], n, acpi_facts.cpu_apic_ids[i]), n++;
		}
	}
	pcpu_count = n;
	cpu_init_tables(&pcpus[0]);
	if (trampoline.v != 0U) {
		(void)memcpy(hpa_ptr(trampoline), trampoline_start,
			     (size_t)(trampoline_end - trampoline_start));
	}
}

struct pcpu *pcpu_by_apic_id(uint32_t apic_id)
{
	for (uint16_t i = 0U; i < pcpu_count; i++) {
		if (pcpus[i].apic_id == apic_id) {
			return &pcpus[i];
		}
	}
	return NULL;
}

static void go_online(struct pcpu *p)
{
	if (vmx_enable_pcpu() != 0) {
		atomic_set32(&p->online, PCPU_REFUSED);
		cpu_halt_forever();
	}
	sched_init_pcpu(p, &p->idle);
	atomic_set32(&p->online, PCPU_ONLINE);
}

/* First C code of an application processor, on its own stack and the host's page table. */
static void ap_entry(void)
{
	struct pcpu *p = starting;

	cpu_init_tables(p);
	hostmm_enable();
	tsc_init_pcpu();
	lapic_init_pcpu();
	timer_init_pcpu();
	go_online(p);
	pcpu_run();
}

static void wait_online(const struct pcpu *p)
{
	uint64_t end = rdtsc() + us_to_tsc(START_WAIT_US);

	while (atomic_read32(&p->online) == PCPU_OFF && rdtsc() < end) {
		cpu_relax();
	}
}

/* The trampoline is read-only in the host's tables, so the words are written with WP off. */
static void start_one(struct pcpu *p)
{
	uint64_t cr0 = read_cr0();

	write_cr0(cr0 & ~BIT(16));
	trampoline_word(trampoline_cr3, hostmm_root());
	trampoline_word(trampoline_target, (uintptr_t)ap_entry);
	trampoline_word(trampoline_stack, (uintptr_t)p->stack_top);
	write_cr0(cr0);
	starting = p;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	lapic_send_init(p->apic_id);
	udelay(10U);
	lapic_send_sipi(p->apic_id, (uint8_t)(trampoline.v >> PAGE_SHIFT));
	wait_online(p);
	if (p->online == PCPU_OFF) { /* as the manual has it: a second start-up IPI */
		lapic_send_sipi(p->apic_id, (uint8_t)(trampoline.v >> PAGE_SHIFT));
		wait_online(p);
	}
}

void pcpu_start_all(void)
{
	uint16_t listed = pcpu_count;

	go_online(&pcpus[0]);
	pcpu_count = 1U;
	for (uint16_t i = 1U; i < listed; i++) {
		struct pcpu *p = &pcpus[pcpu_count]; /* ids stay dense over those left out */

		p->apic_id = pcpus[i].apic_id;
		start_one(p);
		if (p->online == PCPU_ONLINE) {
			pcpu_count++;
			continue;
		}
		report("boot: processor with APIC id %u %s; it is left out", p->apic_id,
		       (p->online == PCPU_REFUSED) ? "has VMX locked off" : "does not start");
		lapic_send_init(p->apic_id); /* should it come late: it stays off p and its stack */
		p->online = PCPU_OFF;
	}
}

void pcpu_when_idle(struct pcpu *p, void (*fn)(void *arg), void *arg)
{
	p->idle_work = fn;
	p->idle_arg = arg;
}

void pcpu_run(void)
{
	struct pcpu *self = this_pcpu();

	for (;;) {
		smp_call_serve();
		schedule();
		if (self->idle_work != NULL) {
			void (*work)(void *arg) = self->idle_work;

			self->idle_work = NULL;
			work(self->idle_arg);
			continue;
		}
		if (self->lapic_owned != 0U) {
			cpu_relax();
			continue;
		}
		/*
		 * Interrupts are off: a kick that comes after schedule() found nothing stays
		 * pending and ends the halt at once.
		 */
		cpu_wait_irq();
	}
}

/* One at a time, so that it can be told from the machine's own. */
static void kick_by_nmi(struct pcpu *p)
{
	if (atomic_cmpxchg32(&p->nmi_kick, 0U, 1U)) {
		lapic_send_nmi(p->apic_id);
	}
}

void pcpu_kick(struct pcpu *p)
{
	uint64_t now, since;

	if (unlikely(p->lapic_owned != 0U)) {
		if (pcpu_kick_owned_by_nmi) {
			kick_by_nmi(p);
		} else {
			lapic_send_init(p->apic_id);
		}
		return;
	}
	now = rdtsc();
	since = p->kicked_at;
	if (since != 0U && now - since > us_to_tsc(KICK_PATIENCE_US)) {
		kick_by_nmi(p);
		return;
	}
	if (since == 0U) {
		p->kicked_at = now | 1U;
	}
	lapic_send_ipi(p->apic_id, VECTOR_KICK);
}

void smp_call_serve(void)
{
	struct pcpu *self = this_pcpu();

	self->kicked_at = 0U;
	sched_kicked();
	while (self->calls != 0U) {
		uint64_t callers = atomic_xchg64(&self->calls, 0U);

		for (; callers != 0U; callers &= callers - 1U) {
			struct pcpu *from = &pcpus[__builtin_ctzl(callers)];

			from->call_fn(from->call_arg);
			atomic_set32(&from->call_pending, 0U);
		}
	}
}

void pcpu_poll(void)
{
	if (this_pcpu()->lapic_owned != 0U) {
		smp_call_serve();
		cpu_relax();
		return;
	}
	irq_enable();
	cpu_relax();
	irq_disable();
}

void smp_call(struct pcpu *p, void (*fn)(void *arg), void *arg)
{
	struct pcpu *self = this_pcpu();
	uint32_t spins = 0U;

	if (p == self) {
		fn(arg);
		return;
	}
	self->call_fn = fn;
	self->call_arg = arg;
	atomic_set32(&self->call_pending, 1U);
	(void)atomic_or64(&p->calls, BIT(self->id));
	pcpu_kick(p);
	while (atomic_read32(&self->call_pending) != 0U) {
		if (++spins % SPINS_TO_KICK == 0U) {
			pcpu_kick(p);
		}
		if (self->calls != 0U) {
			smp_call_serve();
		}
		cpu_relax();
	}
}
