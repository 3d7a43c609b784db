// SPDX-License-Identifier: BSD-3-Clause
/*
 * IPIs of every kind from the first processor to all, in xAPIC and x2APIC mode: who gets which
 * vector how often is compared with what the manual says (SDM 3A 11.6, 11.12.10); and starts of
 * processors by INIT and SIPI in every order (SDM 3A 9.4.4). Prints a line for each thing that is
 * wrong and one for each part. On the bare machine Bochs is spared what it does not do: see where
 * in_vm() is asked.
 */
#include <stddef.h>

#include "smp.h"

#define VECTOR	     0x51U
#define VECTOR_TIMER 0x55U
#define VECTOR_STORM 0x60U /* plus the sender */
#define STORM_ROUNDS 20U
#define MAX_LINES    40U
#define SEND_ILLEGAL 0x20U
#define NOBODY	     0U
#define ALL	     ((1U << cpu_count) - 1U)
#define BIT(n)	     (1U << (n))

static uint32_t wrong, sent;
/*
 * The guest began in x2APIC mode, which it cannot leave: the APICs are its own, with what Bochs's do
 * not do. A hypervisor does not know their TPRs and takes any for a lowest-priority interrupt.
 */
static bool owned;

static void fail(const char *what, uint32_t dest, uint32_t low, uint32_t cpu, uint32_t got)
{
	if (wrong++ < MAX_LINES)
		print("smp: wrong: %s, to %x, ICR %x: CPU %u, %u\n", what, dest, low, cpu, got);
}

static void check(const char *what, const struct cpu *c, bool good)
{
	if (!good)
		fail(what, 0U, 0U, c->index, 0U);
}

static void part(const char *name)
{
	print("smp: %s: %u sent\n", name, sent);
	sent = 0U;
}

/* Only there the manual is the measure, whatever the processor below does. */
static bool in_vm(void)
{
	uint32_t r[4];

	cpuid(1U, 0U, r);
	return (r[2] & BIT(31)) != 0U;
}

/* Sends one IPI; `min` to `max` processors out of `mask` have taken it, once, and nothing else. */
static void expect_some(const char *what, uint32_t dest, uint32_t low, uint32_t mask, uint32_t min,
			uint32_t max)
{
	uint32_t index = (low & 0x700U) == ICR_NMI ? 2U : low & 0xffU, n = 0U;
	uint32_t got[MAX_CPUS], total[MAX_CPUS];

	for (uint32_t i = 0U; i < cpu_count; i++) {
		got[i] = cpus[i].got[index];
		total[i] = cpus[i].total;
	}
	icr_send(dest, low | ICR_ASSERT);
	sent++;
	if (!cpus_barrier(ALL))
		fail("a barrier is lost", dest, low, 0U, 0U);
	for (uint32_t i = 0U; i < cpu_count; i++) {
		uint32_t more = cpus[i].got[index] - got[i];

		if (more > (mask >> i & 1U) || cpus[i].total - total[i] != more + 1U)
			fail(what, dest, low, i, more);
		n += more;
	}
	if (n < min || n > max)
		fail(what, dest, low, cpu_count, n);
}

static uint32_t count_bits(uint32_t mask)
{
	uint32_t n = 0U;

	for (; mask != 0U; mask &= mask - 1U)
		n++;
	return n;
}

static void expect(const char *what, uint32_t dest, uint32_t low, uint32_t mask)
{
	expect_some(what, dest, low, mask, count_bits(mask), count_bits(mask));
}

/*
 * Fixed and NMI to all of them, lowest priority to one, and modes in which nobody gets anything.
 * Bochs knows lowest priority for logical destinations only, and its BIOS no SMI.
 */
static void expect_modes(uint32_t dest, uint32_t low, uint32_t mask)
{
	expect("fixed", dest, low | VECTOR, mask);
	expect("NMI", dest, low | ICR_NMI, mask);
	if (in_vm() || (low & ICR_LOGICAL) != 0U)
		expect_some("lowest priority", dest, low | ICR_LOWEST | VECTOR, mask, mask != 0U,
			    mask != 0U);
	if (in_vm()) {
		expect("SMI", dest, low | ICR_SMI, NOBODY);
		expect("reserved", dest, low | ICR_RESERVED | VECTOR, NOBODY);
		expect("ExtINT", dest, low | 0x700U | VECTOR, NOBODY);
	}
}

static void set_tpr(struct cpu *c, uint32_t tpr)
{
	(void)c;
	apic_write(APIC_TPR, tpr);
}

static void set_all(void (*fn)(struct cpu *c, uint32_t arg), uint32_t arg)
{
	for (uint32_t i = 0U; i < cpu_count; i++)
		check("a call is lost", &cpus[i], cpu_call(&cpus[i], fn, arg));
}

/* The one whose priority is lowest gets it; the others' is that of their TPR. */
static void arbitrate(uint32_t dest, uint32_t mask)
{
	for (uint32_t i = 0U; i < cpu_count; i++) {
		uint32_t before = cpus[i].got[VECTOR];

		if (owned || (mask & BIT(i)) == 0U)
			continue;
		set_all(set_tpr, 0x80U);
		cpu_call(&cpus[i], set_tpr, 0x20U);
		icr_send(dest, ICR_LOGICAL | ICR_LOWEST | ICR_ASSERT | VECTOR);
		sent++;
		if (!wait_for(&cpus[i].got[VECTOR], before + 1U))
			fail("arbitration", dest, ICR_LOWEST, i, 0U);
	}
	set_all(set_tpr, 0U);
	if (!cpus_barrier(ALL))
		fail("a barrier is lost", dest, ICR_LOWEST, 0U, 0U);
}

static void shorthands(void)
{
	expect("self", 0U, ICR_SELF | VECTOR, BIT(0));
	expect("self, whatever the destination", 2U, ICR_SELF | ICR_LOGICAL | VECTOR, BIT(0));
	expect("all", 0U, ICR_ALL | VECTOR, ALL);
	expect("others", 0U, ICR_OTHERS | VECTOR, ALL & ~BIT(0));
	expect("NMI to others", 0U, ICR_OTHERS | ICR_NMI, ALL & ~BIT(0));
	if (in_vm()) /* Bochs takes it for all */
		expect_some("lowest of others", 0U, ICR_OTHERS | ICR_LOWEST | VECTOR, ALL & ~BIT(0),
			    cpu_count > 1U, cpu_count > 1U);
}

static uint32_t error_status(void)
{
	apic_write(APIC_ESR, 0U);
	return apic_read(APIC_ESR);
}

/* Vectors below 16 are an error of the sender's; Bochs sends nothing and notes nothing. */
static void illegal(void)
{
	(void)error_status();
	check("an error from nowhere", &cpus[0], error_status() == 0U);
	expect("vector 5", cpus[0].id, 5U, NOBODY);
	if (in_vm() && !owned)
		check("the error status", &cpus[0], (error_status() & SEND_ILLEGAL) != 0U);
}

static void physical(void)
{
	uint32_t all = apic_is_x2() ? UINT32_MAX : 0xffU;

	for (uint32_t i = 0U; i < cpu_count; i++)
		expect_modes(cpus[i].id, 0U, BIT(i));
	expect_modes(cpu_count, 0U, NOBODY);
	expect_modes(0xfeU, 0U, NOBODY);
	expect_modes(all, 0U, ALL);
	if (apic_is_x2()) {
		if (in_vm()) /* Bochs takes it for all */
			expect_modes(0xffU, 0U, NOBODY);
		expect_modes(0x100U, 0U, NOBODY);
		expect_modes(0x80000000U, 0U, NOBODY);
	}
}

static void set_flat(struct cpu *c, uint32_t arg)
{
	(void)arg;
	apic_write(APIC_DFR, UINT32_MAX);
	apic_write(APIC_LDR, BIT(c->index % 8U) << 24);
}

static void flat(void)
{
	set_all(set_flat, 0U);
	for (uint32_t dest = 0U; dest < 0x100U; dest++) {
		if (dest < 4U || dest > 0xfdU)
			expect_modes(dest, ICR_LOGICAL, dest & ALL);
		else
			expect("flat", dest, ICR_LOGICAL | VECTOR, dest & ALL);
	}
	arbitrate(0xffU, ALL);
	arbitrate(0xaU, 0xaU & ALL);
}

/* Three processors a cluster. */
static void set_cluster(struct cpu *c, uint32_t arg)
{
	(void)arg;
	apic_write(APIC_DFR, 0x0fffffffU);
	apic_write(APIC_LDR, (c->index / 3U << 4 | BIT(c->index % 3U)) << 24);
}

static uint32_t in_cluster(uint32_t dest)
{
	uint32_t mask = 0U;

	for (uint32_t i = 0U; i < cpu_count; i++)
		mask |= i / 3U == dest >> 4 && (dest & BIT(i % 3U)) != 0U ? BIT(i) : 0U;
	return dest == 0xffU ? ALL : mask;
}

static void cluster(void)
{
	set_all(set_cluster, 0U);
	for (uint32_t dest = 0U; dest < 0x100U; dest++)
		expect("cluster", dest, ICR_LOGICAL | VECTOR, in_cluster(dest));
	expect_modes(0x05U, ICR_LOGICAL, in_cluster(0x05U));
	expect_modes(0x17U, ICR_LOGICAL, in_cluster(0x17U));
	expect_modes(0xffU, ICR_LOGICAL, ALL);
	arbitrate(0x07U, in_cluster(0x07U));
}

/* All are in the first cluster of 16. */
static void x2apic_logical(void)
{
	set_all(x2apic_enter, 0U); /* after starts in Bochs */
	for (uint32_t dest = 0U; dest < 0x100U; dest++)
		expect("x2APIC cluster", dest, ICR_LOGICAL | VECTOR, dest & ALL);
	expect_modes(3U, ICR_LOGICAL, 3U & ALL);
	expect_modes(0xff00U, ICR_LOGICAL, NOBODY);
	expect_modes(0x10001U, ICR_LOGICAL, NOBODY);
	expect_modes(0xff000001U, ICR_LOGICAL, NOBODY);
	expect_modes(UINT32_MAX, ICR_LOGICAL, ALL);
	arbitrate(0xffffU, ALL);
	arbitrate(6U, 6U & ALL);
}

static void self_ipi(struct cpu *c, uint32_t vector)
{
	(void)c;
	wrmsr(X2APIC(APIC_SELF_IPI), vector);
}

/* Those that waited come in the order of their priority. */
static void self_ipis(void)
{
	static const uint8_t order[] = {0x81U, 0x61U, 0x41U};
	struct cpu *self = &cpus[0];
	uint32_t total = self->total;

	__asm__ volatile("cli");
	self_ipi(self, 0x61U);
	self_ipi(self, 0x41U);
	self_ipi(self, 0x81U);
	self_ipi(self, 0x61U);
	__asm__ volatile("sti; nop; nop");
	(void)wait_for(&self->total, total + 3U);
	for (uint32_t i = 0U; i < sizeof(order); i++)
		check("the order of self-IPIs", self, self->order[(total + i) % ORDER] == order[i]);
	for (uint32_t i = 0U; i < cpu_count; i++) {
		struct cpu *c = &cpus[i];
		uint32_t got = c->got[VECTOR];

		check("a call is lost", c, cpu_call(c, self_ipi, VECTOR));
		check("a self-IPI", c, wait_for(&c->got[VECTOR], got + 1U));
		sent++;
	}
	(void)error_status();
	self_ipi(self, 5U);
	check("the error of a self-IPI", self, (error_status() & SEND_ILLEGAL) != 0U);
}

/* Everybody to everybody at once, each waiting for all others to have taken its last. */
static void storm(struct cpu *c)
{
	uint32_t vector = VECTOR_STORM + c->index, before[MAX_CPUS];

	for (uint32_t i = 0U; i < cpu_count; i++)
		before[i] = cpus[i].got[vector];
	for (uint32_t round = 1U; round <= STORM_ROUNDS; round++) {
		for (uint32_t i = 0U; i < cpu_count; i++)
			icr_send(cpus[i].id, ICR_ASSERT | vector);
		for (uint32_t i = 0U; i < cpu_count; i++) {
			if (!wait_for(&cpus[i].got[vector], before[i] + round))
				fail("lost in a storm", cpus[i].id, vector, c->index, round);
		}
	}
}

static void storms(void)
{
	uint32_t before[MAX_CPUS];

	for (uint32_t i = 1U; i < cpu_count; i++) {
		before[i] = cpus[i].tasks;
		cpus[i].task = storm;
		icr_send(cpus[i].id, ICR_ASSERT | VECTOR_BARRIER);
	}
	storm(&cpus[0]);
	for (uint32_t i = 1U; i < cpu_count; i++) {
		check("a storm does not end", &cpus[i], wait_for(&cpus[i].tasks, before[i] + 1U));
		check("an interrupt is missing", &cpus[i],
		      cpus[i].got[VECTOR_STORM] == cpus[0].got[VECTOR_STORM]);
	}
	sent += STORM_ROUNDS * cpu_count * cpu_count;
}

static void init(const struct cpu *c)
{
	icr_send(c->id, ICR_INIT | ICR_ASSERT);
	sent++;
}

static void sipi(const struct cpu *c, uint32_t page)
{
	icr_send(c->id, ICR_STARTUP | ICR_ASSERT | page >> 12);
	sent++;
}

/* It has started once more since `starts`, at that page, with the APIC an INIT leaves behind. */
static void started(const char *what, struct cpu *c, uint32_t starts, uint32_t page)
{
	uint32_t ldr = apic_is_x2() ? (c->id & ~15U) << 12 | BIT(c->id & 15U) : 0U;

	check(what, c, wait_for(&c->starts, starts + 1U));
	check("a barrier after it", c, cpus_barrier(BIT(c->index)));
	check("its start page", c, c->page == page);
	check("started once", c, c->starts == starts + 1U);
	check("its APIC is off", c, c->svr == 0xffU);
	check("its TPR", c, c->tpr == 0U);
	if (in_vm() || !apic_is_x2()) { /* Bochs goes back to xAPIC mode */
		check("its APIC's mode", c, c->base == (rdmsr(MSR_APIC_BASE) & ~0x100UL));
		check("its LDR", c, c->ldr == ldr);
	}
	check("its ISR", c, c->isr == 0U);
}

static void spin(struct cpu *c, uint32_t arg)
{
	(void)arg;
	c->calls++;
	for (;;)
		__asm__ volatile("pause");
}

/* What comes after the INIT is for the processor to decide; it must not come back here. */
static void init_self(struct cpu *c, uint32_t arg)
{
	init(c);
	spin(c, arg);
}

static void sipi_self(struct cpu *c, uint32_t page)
{
	sipi(c, page);
}

static void set_timer(struct cpu *c, uint32_t ticks)
{
	(void)c;
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
	apic_write(APIC_TIMER_COUNT, ticks);
}

static void start_one(struct cpu *c)
{
	uint32_t starts = c->starts, calls, got = c->got[VECTOR], late = c->got[VECTOR_TIMER];

	sipi(c, PAGE_B);
	check("a SIPI to a running processor", c, cpus_barrier(BIT(c->index)));
	check("a call is lost", c, cpu_call(c, sipi_self, PAGE_B));
	icr_send(c->id, ICR_INIT | ICR_LEVEL); /* de-assert */
	check("an INIT de-assert", c, cpus_barrier(BIT(c->index)));
	check("a start without INIT", c, c->starts == starts);

	check("a call is lost", c, cpu_call(c, set_tpr, 0x20U));
	init(c);
	icr_send(c->id, ICR_ASSERT | VECTOR);
	sipi(c, PAGE_B);
	started("INIT and SIPI", c, starts++, PAGE_B);
	if (in_vm()) /* Bochs leaves the APIC on */
		check("an interrupt before the SIPI", c, c->got[VECTOR] == got);

	init(c);
	sipi(c, PAGE_A);
	sipi(c, PAGE_B);
	started("two SIPIs", c, starts++, PAGE_A);

	check("a call is lost", c, cpu_call(c, set_timer, 0x10000U));
	init(c);
	init(c);
	sipi(c, PAGE_B);
	started("two INITs", c, starts++, PAGE_B);

	calls = c->calls;
	cpu_call_no_return(c, spin, 0U);
	(void)wait_for(&c->calls, calls + 1U);
	init(c);
	sipi(c, PAGE_A);
	started("INIT to one with interrupts off", c, starts++, PAGE_A);

	calls = c->calls;
	cpu_call_no_return(c, init_self, 0U);
	(void)wait_for(&c->calls, calls + 1U);
	sipi(c, PAGE_B);
	started("INIT to itself", c, starts++, PAGE_B);
	check("a timer outlived its INIT", c, c->got[VECTOR_TIMER] == late);
}

static void starts(void)
{
	uint32_t before[MAX_CPUS];

	for (uint32_t i = 1U; i < cpu_count; i++)
		start_one(&cpus[i]);
	for (uint32_t i = 1U; i < cpu_count; i++)
		before[i] = cpus[i].starts;
	icr_send(0U, ICR_OTHERS | ICR_INIT | ICR_ASSERT);
	icr_send(0U, ICR_OTHERS | ICR_STARTUP | ICR_ASSERT | PAGE_A >> 12);
	for (uint32_t i = 1U; i < cpu_count; i++)
		started("INIT and SIPI to others", &cpus[i], before[i], PAGE_A);
	sent += 2U;
}

static void both_modes(void)
{
	physical();
	part("physical");
	shorthands();
	illegal();
	part("shorthands");
	storms();
	part("storms");
	starts();
	part("starts");
}

void guest_main(const void *boot_params)
{
	uint32_t r[4];

	out8(0x21U, 0xffU); /* no PIC */
	out8(0xa1U, 0xffU);
	cpus_start();
	print("smp: %u CPUs\n", cpu_count);
	if (smp_asked(boot_params, "smp=race"))
		smp_race();
	if (smp_asked(boot_params, "smp=fault"))
		smp_fault();
	if (smp_asked(boot_params, "smp=rt"))
		smp_rt(smp_asked(boot_params, "loops=long"));
	owned = apic_is_x2();
	if (!owned)
		both_modes();
	if (in_vm()) /* Bochs panics: no register is at the end of the IOAPIC's page */
		check("an access across a page's end", &cpus[0], smp_across());
	if (cpu_count > 1U)
		check("code rewritten by another", &cpus[1], smp_rewrite());
	sent++;
	part("rewritten");
	if (!owned) {
		flat();
		part("flat");
		cluster();
		part("cluster");
	}
	cpuid(1U, 0U, r);
	if ((r[2] & BIT(21)) != 0U) {
		set_all(x2apic_enter, 0U);
		both_modes();
		x2apic_logical();
		part("logical");
		if (in_vm() && !owned) { /* Bochs: #GP */
			self_ipis();
			part("self-IPIs");
		}
	}
	print("smp done, %u wrong\n", wrong);
}
