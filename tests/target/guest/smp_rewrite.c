// SPDX-License-Identifier: BSD-3-Clause
/*
 * A processor of the SMP guest accesses a device in a loop while the first one rewrites the
 * instruction, the entry that maps its page and the entry that maps the operand's. Whatever it runs
 * into is one of these instructions as a whole, on the device or on memory, or a page fault.
 */
#include "smp.h"

#define VIRTUAL	 0x40000000UL /* two pages: code, operand */
#define ENTRY	 0x100U	      /* of the code; at most 8 bytes, then a jump back */
#define DEVICE	 0xfec00000UL /* IOREGSEL of the IOAPIC: keeps a byte */
#define PRESENT	 3U
#define UNCACHED 0x10U
#define ROUNDS	 3000U

#define PATTERN_EAX 0x33U
#define PATTERN_ECX 0x0cU

union insn {
	uint8_t byte[8];
	uint64_t word;
};

/*
 * All as long as one store, by prefixes without effect, so that nothing is left of one when another
 * comes in its place; RBX is the address.
 */
static const union insn insns[] = {
	{{0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x8b, 0x03}}, /* mov eax, [rbx] */
	{{0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x89, 0x0b}}, /* mov [rbx], ecx */
	{{0x3e, 0x3e, 0xc7, 0x03, 0x15, 0x00, 0x00, 0x00}}, /* mov dword [rbx], 0x15 */
	{{0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x87, 0x0b}}, /* xchg [rbx], ecx */
	{{0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x83, 0x23, 0x0e}}, /* and dword [rbx], 0xe */
};
#define INSNS (sizeof(insns) / sizeof(insns[0]))

static uint64_t table[512] __attribute__((aligned(4096)));
static uint8_t code[2][4096] __attribute__((aligned(4096)));
static volatile uint32_t ram[1024] __attribute__((aligned(4096)));
static uint32_t odd;

static void execute(uint32_t i, uint32_t *eax, uint32_t *ecx, uint32_t *mem, uint32_t mask)
{
	uint32_t old = *mem;

	switch (i) {
	case 0:
		*eax = old;
		break;
	case 1:
		*mem = *ecx & mask;
		break;
	case 2:
		*mem = 0x15U;
		break;
	case 3:
		*mem = *ecx & mask;
		*ecx = old;
		break;
	default:
		*mem = old & 0xeU;
		break;
	}
}

static bool same(const struct state *a, const struct state *b)
{
	return a->eax == b->eax && a->ecx == b->ecx && a->device == b->device && a->ram == b->ram;
}

/* One of the instructions on the device or on memory, or none. */
static bool possible(const struct state *before, const struct state *after)
{
	bool found = same(before, after);

	for (uint32_t i = 0U; i < INSNS; i++) {
		struct state on_device = *before, on_ram = *before;

		execute(i, &on_device.eax, &on_device.ecx, &on_device.device, 0xffU);
		execute(i, &on_ram.eax, &on_ram.ecx, &on_ram.ram, UINT32_MAX);
		found = found || same(&on_device, after) || same(&on_ram, after);
	}
	return found;
}

static void run(uint32_t *eax, uint32_t *ecx)
{
	__asm__ volatile("leaq 9f(%%rip), %%rsi\n"
			 "jmp *%%rdi\n"
			 "9:\n"
			 ".pushsection .fixups, \"a\"\n"
			 ".quad 0x40000100, 9b, 0x40000108, 9b\n" /* VIRTUAL + ENTRY */
			 ".popsection"
			 : "+a"(*eax), "+c"(*ecx)
			 : "b"(VIRTUAL + 0x1000U), "D"(VIRTUAL + ENTRY)
			 : "rsi", "memory", "cc");
}

static void access(struct cpu *c)
{
	for (uint32_t round = 0U; round < ROUNDS; round++) {
		struct state before, after;

		before = (struct state){PATTERN_EAX, PATTERN_ECX, mmio_read32(DEVICE), ram[0]};
		after = before;
		__asm__ volatile("invlpg (%0)" : : "r"(VIRTUAL) : "memory");
		__asm__ volatile("invlpg (%0)" : : "r"(VIRTUAL + 0x1000U) : "memory");
		run(&after.eax, &after.ecx);
		after.device = mmio_read32(DEVICE);
		after.ram = ram[0];
		if (!possible(&before, &after)) {
			odd++;
			c->odd = after;
		}
	}
}

static void put_code(uint8_t *page, const union insn *i)
{
	*(volatile uint64_t *)(page + ENTRY) = i->word;
}

static void map(uint64_t first, uint64_t second)
{
	uint64_t cr3, *pdpt, *pd;

	table[0] = first | PRESENT;
	table[1] = second | PRESENT;
	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	pdpt = (uint64_t *)(*(uint64_t *)cr3 & ~0xfffUL);
	pd = (uint64_t *)(pdpt[VIRTUAL >> 30] & ~0xfffUL);
	pd[0] = (uint64_t)table | PRESENT;
	__asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
}

bool smp_across(void)
{
	volatile uint64_t *across = (volatile uint64_t *)(VIRTUAL + 0xffcU);
	volatile uint32_t *page = ram;
	bool good;

	map((uint64_t)ram, DEVICE | UNCACHED);
	*across = 0x1511223344UL;
	good = page[1023] == 0x11223344U && mmio_read32(DEVICE) == 0x15U;
	page[1023] = 0x55667788U;
	good = good && *across == 0x1555667788UL;
	map(DEVICE | UNCACHED, (uint64_t)ram);
	*across = 0x99aabbccddeeff00UL;
	good = good && page[0] == 0x99aabbccU && *across >> 32 == 0x99aabbccU;
	return good && mmio_read32(DEVICE) == 0x15U;
}

bool smp_rewrite(void)
{
	uint64_t dice = 1U;
	struct cpu *c = &cpus[1];
	uint32_t tasks = c->tasks;
	uint64_t end;

	for (uint32_t i = 0U; i < 2U; i++) {
		code[i][ENTRY + 8U] = 0xff; /* jmp rsi */
		code[i][ENTRY + 9U] = 0xe6;
		put_code(code[i], &insns[i]);
	}
	map((uint64_t)code[0], DEVICE | UNCACHED);
	c->task = access;
	icr_send(c->id, ICR_ASSERT | VECTOR_BARRIER);
	for (end = rdtsc() + 200000000UL; c->tasks == tasks && rdtsc() < end;) {
		volatile uint64_t *entry = table;

		dice = dice * 6364136223846793005UL + 1442695040888963407UL;
		put_code(code[dice >> 40 & 1U], &insns[(dice >> 41) % INSNS]);
		entry[0] = (dice >> 50 & 7U) == 0U ?
				   0U :
				   ((uint64_t)code[dice >> 53 & 1U] | PRESENT);
		entry[1] = (dice >> 54 & 3U) == 0U ? 0U :
			   (dice >> 56 & 3U) == 0U ? ((uint64_t)ram | PRESENT) :
						     (DEVICE | PRESENT | UNCACHED);
	}
	if (odd != 0U)
		print("smp: wrong: %u rounds did what no instruction does: %x %x %x %x\n", odd,
		      c->odd.eax, c->odd.ecx, c->odd.device, c->odd.ram);
	return odd == 0U && c->tasks != tasks;
}
