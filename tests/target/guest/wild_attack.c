// SPDX-License-Identifier: BSD-3-Clause
/*
 * What only a VM has to stand: registers, memory and interrupt controllers filled with rubbish, and
 * code that nobody wrote. The seed is fixed. A guest that can go on afterwards says so; who else
 * lives on the machine is watched from outside.
 */
#include "wild.h"

#define CMD_LINE_PTR 0x228U
#define APIC	     0xfee00000UL
#define BASE_ENABLE  BIT(11)
#define ICR_INIT     (5U << 8)
#define ICR_MODE     (7U << 8)
#define ICR_OTHERS   (3U << 18)
#define ESCAPE	     0x60U /* vector of the timer that ends code that does not end */
#define IPI	     0x70U
#define DEADLINE_LVT (2U << 17)
#define PERIODIC     (1U << 17)

static uint64_t seed = 0x9e3779b97f4a7c15UL;
static bool service; /* the Service VM: its devices are the machine's */
static uint32_t port_step = 1U;
static uint32_t tries; /* of the attack under way: shows that it went to its end */

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint32_t below(uint32_t n)
{
	return (uint32_t)(rnd() >> 33) % n;
}

/* Switched off and on, an APIC forgets what the attack asked it for. */
static void apic_anew(void)
{
	(void)wrmsr_safe(MSR_APIC_BASE, APIC);
	(void)wrmsr_safe(MSR_APIC_BASE, APIC | BASE_ENABLE);
	(void)x2apic_init();
}

/* Is there still a processor that takes its own interrupt? */
static void alive(const char *after)
{
	uint32_t before = interrupts;

	apic_anew();
	__asm__ volatile("sti");
	wrmsr(X2APIC(APIC_SELF_IPI), IPI);
	while (interrupts == before) {
	}
	__asm__ volatile("cli");
	print("alive after %s: %u tries\n", after, tries);
	tries = 0U;
}

static uint32_t readable, writable;

/* An MSR read, and written with rubbish if it is not our own mode's. */
static void attack_msr(uint32_t msr)
{
	uint64_t value;

	tries++;
	readable += rdmsr_safe(msr, &value) ? 1U : 0U;
	/* EFER is this mode's; the APIC has its own attack. */
	if (msr != 0xc0000080U && msr != MSR_APIC_BASE && (msr >> 8) != 8U) {
		writable += wrmsr_safe(msr, rnd()) ? 1U : 0U;
		writable += wrmsr_safe(msr, rnd() >> below(64U)) ? 1U : 0U;
	}
}

/* Every MSR of the ranges that processors and hypervisors have some in, and some of all others. */
static void attack_msrs(void)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {{0U, 0x1fffU},
		      {0xc0000000U, 0xc0001fffU},
		      {0x40000000U, 0x400000ffU},
		      {0x4b564d00U, 0x4b564d07U},
		      {0xc0010000U, 0xc00100ffU},
		      {0xfffffff0U, 0xfffffffeU}};

	for (size_t i = 0U; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		for (uint32_t msr = ranges[i].first; msr <= ranges[i].last; msr++) {
			attack_msr(msr);
		}
	}
	for (uint32_t i = 0U; i < 20000U; i++) {
		attack_msr((uint32_t)rnd());
	}
	wrmsr(0x277U, 0x0007040600070406UL);
	wrmsr(0x1d9U, 0U);
	print("msrs: %u read, %u written\n", readable != 0U ? 1U : 0U, writable != 0U ? 1U : 0U);
}

static void attack_cpuid(void)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {{0U, 0x3fU}, {0x40000000U, 0x400000ffU}, {0x80000000U, 0x8000003fU}};
	uint32_t r[4];

	for (size_t i = 0U; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		for (uint32_t leaf = ranges[i].first; leaf <= ranges[i].last; leaf++) {
			for (uint32_t sub = 0U; sub < 64U; sub++) {
				cpuid(leaf, sub, r);
				tries++;
			}
		}
	}
	for (uint32_t i = 0U; i < 20000U; i++) {
		uint32_t leaf = (uint32_t)rnd() & (i % 2U == 0U ? 0xc000003fU : 0xffffffffU);

		cpuid(leaf, below(i % 3U == 0U ? 0xffffffffU : 64U), r);
		tries++;
	}
}

/* Control registers by snippets that a fault ends; what breaks our own code is left out. */
static void attack_control(void)
{
	static const uint8_t mov[] = {0x0f, 0x22, 0xc0}; /* mov cr0, rax */
	static const uint8_t mov4[] = {0x0f, 0x22, 0xe0};
	static const uint8_t xset[] = {0x0f, 0x01, 0xd1};
	uint64_t cr0, cr4;

	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	for (uint32_t i = 0U; i < 3000U; i++) {
		uint64_t bits = BIT(below(64U)) | (i % 4U == 0U ? BIT(below(64U)) : 0U);

		mode_in[0] = cr0 ^ (bits & ~(BIT(0) | BIT(31)));
		run_code(0U, mov, sizeof(mov), 0U);
		__asm__ volatile("mov %0, %%cr0" : : "r"(cr0));
		mode_in[0] = cr4 ^ (bits & ~(BIT(20) | BIT(21) | BIT(5)));
		run_code(0U, mov4, sizeof(mov4), 0U);
		__asm__ volatile("mov %0, %%cr4" : : "r"(cr4));
		mode_in[0] = rnd() & 0xffU;
		mode_in[1] = below(8U) == 0U ? rnd() : 0U;
		mode_in[2] = below(8U) == 0U ? rnd() : 0U;
		run_code(0U, xset, sizeof(xset), 0U);
		tries++;
	}
}

/* A page that is not ours: read, written, run. */
static void touch(uint64_t address)
{
	static const uint8_t use[] = {0x8b, 0x03, 0x89, 0x03}; /* mov eax, [rbx]; mov [rbx], eax */
	static const uint8_t jump[] = {0xff, 0xe3};	       /* jmp rbx */

	mode_in[3] = address;
	run_code(0U, use, sizeof(use), 0U);
	run_code(below(2U), jump, sizeof(jump), 0U);
	tries++;
}

static void attack_memory(const uint8_t *boot_params)
{
	struct entry {
		uint64_t base, size;
		uint32_t type;
	} __attribute__((packed));
	const struct entry *e = (const void *)(boot_params + 0x2d0);
	uint32_t rounds = service ? 2000U : 100U;

	/* Reserved memory above 1 MB: the hypervisor's is among it. */
	for (uint32_t i = 0U; i < boot_params[0x1e8] && service; i++) {
		for (uint64_t at = 0U;
		     e[i].type == 2U && e[i].base >= 0x100000U && at < e[i].size &&
		     at < 0x2000000U && e[i].base < 0xf0000000UL;
		     at += 0x1000U) {
			touch(e[i].base + at + below(0xffdU));
		}
	}
	for (uint32_t i = 0U; i < rounds; i++) {
		touch(0xfd000000UL + below(0x2f00000U));
	}
	/* All that a User VM could see of others, if it could; beyond its 64 MB. */
	for (uint64_t at = 0x4000000UL; at < 0xfe000000UL && !service; at += 0x200000UL) {
		touch(at + below(0x1ffffdU));
	}
	/* Above 4 GB, and above what the processor can address. */
	for (uint32_t bit = 32U; bit < 52U; bit++) {
		for (uint32_t i = 0U; i < 16U; i++) {
			touch(high_window(BIT(bit) | (rnd() & (BIT(bit) - 1U))));
		}
	}
}

/* An IPI that would reset this processor goes to the others. */
static uint32_t icr(void)
{
	uint32_t value = (uint32_t)rnd() & 0xccfffU;

	return (value & ICR_MODE) == ICR_INIT ? value | ICR_OTHERS : value;
}

static void attack_apic(void)
{
	for (uint32_t i = 0U; i < 30000U; i++) {
		uint32_t reg = below(0x40U) << 4;
		uint64_t value;

		tries++;
		switch (below(16U)) {
		case 0:
			(void)wrmsr_safe(MSR_APIC_BASE, rnd() >> below(64U));
			break;
		case 1:
			(void)wrmsr_safe(MSR_APIC_BASE, APIC | (rnd() & 0xd00U));
			break;
		case 2:
			(void)rdmsr_safe(X2APIC(reg), &value);
			break;
		case 3:
		case 4:
			(void)wrmsr_safe(X2APIC(APIC_ICR), rnd() << 32 | icr());
			break;
		case 5:
			(void)wrmsr_safe(MSR_TSC_DEADLINE, rnd() >> below(64U));
			break;
		case 6:
			(void)mmio_read32(APIC + below(0x1000U));
			break;
		case 7:
		case 8:
			mmio_write32(APIC + APIC_ICR, icr());
			break;
		case 9:
		case 10:
		case 11:
			if (reg != APIC_ICR) {
				mmio_write32(APIC + reg, (uint32_t)(rnd() >> below(64U)));
			}
			break;
		default:
			if (reg != APIC_ICR) {
				(void)wrmsr_safe(X2APIC(reg), rnd() >> below(64U));
			}
			break;
		}
	}
}

/* The fastest timer there is, although its handler may be all that the guest gets done. */
static void attack_timer(void)
{
	uint32_t before = interrupts;

	apic_anew();
	wrmsr(X2APIC(0x3e0U), 0xbU); /* divide by 1 */
	wrmsr(X2APIC(APIC_LVT_TIMER), PERIODIC | IPI);
	wrmsr(X2APIC(0x380U), 1U);
	__asm__ volatile("sti");
	while (interrupts - before < 2000U) {
	}
	__asm__ volatile("cli");
	tries = interrupts - before;
}

/* One instruction that could have been meant for a device, then what the dice say. */
static size_t invent(uint32_t mode, uint8_t code[16])
{
	static const uint8_t prefixes[] = {0x66, 0x67, 0xf0, 0xf2, 0xf3,
					   0x2e, 0x3e, 0x64, 0x65, 0x36};
	static const uint8_t opcodes[] = {
		0x00, 0x01, 0x03, 0x09, 0x0b, 0x11, 0x19, 0x21, 0x23, 0x29, 0x31, 0x33, 0x39, 0x3b,
		0x63, 0x80, 0x81, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8e, 0x8f,
		0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf,
		0xc6, 0xc7, 0xd0, 0xd1, 0xd8, 0xdf, 0xf6, 0xf7, 0xfe, 0xff, 0x6c, 0x6d, 0x6e, 0x6f};
	static const uint8_t two[] = {0x10, 0x11, 0x28, 0x29, 0x6f, 0x7f, 0xa3, 0xab,
				      0xaf, 0xb0, 0xb1, 0xb3, 0xb6, 0xb7, 0xba, 0xbb,
				      0xbe, 0xbf, 0xc0, 0xc1, 0xc3, 0xc7};
	size_t n = 0U;

	for (uint32_t i = below(4U); i > 0U; i--) {
		code[n] = prefixes[below(sizeof(prefixes))];
		/* Bochs panics over REP with 32-bit addresses in 64-bit mode. */
		n += code[n] != 0x67U || mode != 1U ? 1U : 0U;
	}
	if (below(3U) == 0U) {
		code[n++] = (uint8_t)(0x40U | below(16U));
	}
	if (below(3U) == 0U) {
		code[n++] = 0x0f;
		code[n++] = two[below(sizeof(two))];
	} else {
		code[n++] = opcodes[below(sizeof(opcodes))];
	}
	code[n] = (uint8_t)rnd();
	if (below(4U) != 0U) {
		code[n] = (uint8_t)((code[n] & 0x38U) | 3U); /* [rbx] */
	}
	for (n++; n < 16U; n++) {
		code[n] = (uint8_t)rnd();
		if (code[n] == 0x62U) { /* nor does it know EVEX outside 64-bit mode */
			code[n] = 0x90U;
		}
	}
	return n;
}

/* User code on device memory. It reaches its own pages, and those of devices. */
static void attack_decoder(void)
{
	static const uint16_t edges[] = {0U, 0x10U, 0xffcU, 0xffdU, 0xffeU, 0xfffU, 0x380U, 0x7fdU};
	static const uint64_t pages[] = {APIC, 0xfec00000UL, 0xfeb00000UL, 0xfebff000UL,
					 0xfed90000UL};
	uint32_t rounds = service ? 30000U : 1000U;
	uint8_t code[16];

	user_owns_devices();
	wrmsr(X2APIC(APIC_LVT_TIMER), DEADLINE_LVT | ESCAPE);
	for (uint32_t i = 0U; i < rounds; i++) {
		uint32_t mode = below(4U) == 0U ? 3U : 1U;
		uint64_t at = pages[below(5U)];

		mode_in[0] = rnd();
		mode_in[1] = below(9U);
		mode_in[2] = rnd();
		mode_in[3] = at + edges[below(8U)];
		mode_in[5] = mode_in[3];
		mode_in[6] = below(2U) == 0U ? mode_in[3] : 0x63000U;
		mode_in[7] = below(2U) == 0U ? mode_in[3] : 0x64ffdU;
		wrmsr(MSR_TSC_DEADLINE, rdtsc() + 100000U);
		run_code(mode, code, invent(mode, code), BIT(9) | (below(16U) == 0U ? BIT(8) : 0U));
		if (mode_vector >= 32U) {
			wrmsr(X2APIC(APIC_EOI), 0U);
		}
		tries++;
	}
	wrmsr(MSR_TSC_DEADLINE, 0U);
}

static void read_port(uint16_t port, uint32_t size)
{
	if (size == 0U) {
		(void)in8(port);
	} else if (size == 1U) {
		(void)in16(port);
	} else {
		(void)in32(port);
	}
}

/*
 * The hypervisor's own ports get rubbish, all others are read in every size. They are written as
 * well by a User VM alone: the Service VM's are the machine's. "quick" is every 17th.
 */
static void attack_ports(void)
{
	static const uint16_t own[] = {0x20U, 0x21U, 0xa0U, 0xa1U, 0x4d0U, 0x4d1U, 0xcf8U, 0xcfaU};

	for (uint32_t i = 0U; i < 20000U; i++) {
		uint16_t port = own[below(sizeof(own) / sizeof(own[0]))];

		if (below(2U) == 0U) {
			out8(port, (uint8_t)rnd());
		} else {
			(void)in16(port);
			out32(0xcf8U, 0x80000000U | ((uint32_t)rnd() & 0xffffU));
		}
		tries++;
	}
	for (uint32_t port = 0U; port < 0x10000U; port += port_step) {
		for (uint32_t size = 0U; size < 3U; size++) {
			read_port((uint16_t)port, size);
			tries++;
		}
		/* Our words go out by COM1. */
		if (!service && (port < 0x3f0U || port > 0x3ffU)) {
			out8((uint16_t)port, 0U);
			tries++;
		}
	}
	out8(0x21U, 0xffU);
	out8(0xa1U, 0xffU);
}

void attack(const void *boot_params)
{
	uint32_t at = *(const uint32_t *)((uintptr_t)boot_params + CMD_LINE_PTR), r[4];

	cpuid(0x40000001U, 0U, r);
	service = (r[0] & 1U) != 0U;
	if (((const char *)(uintptr_t)at)[0] == 'q') {
		port_step = 17U;
	}
	nmi_ignore();
	attack_cpuid();
	alive("cpuid");
	attack_msrs();
	alive("msrs");
	attack_control();
	alive("control registers");
	attack_memory(boot_params);
	alive("memory");
	attack_ports();
	alive("ports");
	attack_apic();
	alive("apic");
	attack_timer();
	alive("timer");
	attack_decoder();
	alive("decoder");
}
