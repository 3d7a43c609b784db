// SPDX-License-Identifier: BSD-3-Clause
/*
 * What does the platform look like to its first CPU? Prints "key: value" for
 * CPUID, MSRs, control registers, I/O ports, PCI, MMIO, memory map and ACPI
 * tables, as a loader left them. The same guest runs on the bare machine, as the
 * Service VM and as a User VM; what differs must be in doc/abi/platform.md.
 *
 * The command line may hold ports=FIRST-LAST[,FIRST-LAST]... (hex): only these
 * I/O ports, where each access takes too long for all of them.
 */
#include <stddef.h>

#include "guest.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define E820_COUNT   0x1e8U /* offsets in the zero page */
#define E820_TABLE   0x2d0U
#define ACPI_RSDP    0x70U
#define CMD_LINE_PTR 0x228U

struct e820_entry {
	uint64_t base;
	uint64_t size;
	uint32_t type;
} __attribute__((packed));

struct msr {
	uint32_t number;
	bool time; /* counts: only whether it can be read is of interest */
};

static const struct msr msrs[] = {
	{0x00, false}, {0x10, true}, {0x17, false}, {0x1b, false}, {0x3a, false}, {0x3b, false},
	{0x48, false}, {0x49, false}, {0x79, false}, {0x8b, false}, {0x9b, false}, {0xc1, false},
	{0xce, false}, {0xcf, false}, {0xe7, false}, {0xe8, false}, {0xfe, false}, {0x10a, false},
	{0x10b, false}, {0x174, false}, {0x175, false}, {0x176, false}, {0x179, false},
	{0x17a, false}, {0x186, false}, {0x198, false}, {0x199, false}, {0x19a, false},
	{0x19b, false}, {0x19c, false}, {0x1a0, false}, {0x1a2, false}, {0x1b0, false},
	{0x1d9, false}, {0x200, false}, {0x201, false}, {0x250, false}, {0x258, false},
	{0x259, false}, {0x268, false}, {0x26f, false}, {0x277, false}, {0x2ff, false},
	{0x309, false}, {0x345, false}, {0x38d, false}, {0x38f, false}, {0x400, false},
	{0x480, false}, {0x481, false}, {0x482, false}, {0x483, false}, {0x484, false},
	{0x485, false}, {0x486, false}, {0x487, false}, {0x488, false}, {0x489, false},
	{0x48a, false}, {0x48b, false}, {0x48c, false}, {0x491, false}, {0x4d0, false},
	{0x570, false}, {0x600, false}, {0x606, false}, {0x611, false}, {0x6e0, false},
	{0x770, false}, {0x802, false}, {0x803, false}, {0x80f, false}, {0xc80, false},
	{0xc8f, false}, {0xd90, false}, {0xda0, false}, {0x12345678, false},
	{0xc0000080, false}, {0xc0000081, false}, {0xc0000082, false}, {0xc0000083, false},
	{0xc0000084, false}, {0xc0000100, false}, {0xc0000101, false}, {0xc0000102, false},
	{0xc0000103, false}, {0xc0010015, false},
};

static void probe_cpuid_leaf(uint32_t leaf, uint32_t subleaf)
{
	uint32_t r[4];

	cpuid(leaf, subleaf, r);
	print("cpuid %08x.%u eax: %08x\n", leaf, subleaf, r[0]);
	print("cpuid %08x.%u ebx: %08x\n", leaf, subleaf, r[1]);
	print("cpuid %08x.%u ecx: %08x\n", leaf, subleaf, r[2]);
	print("cpuid %08x.%u edx: %08x\n", leaf, subleaf, r[3]);
}

static void probe_cpuid(void)
{
	uint32_t r[4], max;

	cpuid(0U, 0U, r);
	max = r[0];
	for (uint32_t leaf = 0U; leaf <= max; leaf++) {
		uint32_t last = (leaf == 4U) ? 3U : (leaf == 7U || leaf == 0xbU) ? 1U :
				(leaf == 0xdU)				 ? 9U :
										   0U;

		for (uint32_t subleaf = 0U; subleaf <= last; subleaf++)
			probe_cpuid_leaf(leaf, subleaf);
	}
	cpuid(1U, 0U, r);
	if ((r[2] >> 31) != 0U) {
		for (uint32_t leaf = 0x40000000U; leaf <= 0x40000010U; leaf++)
			probe_cpuid_leaf(leaf, 0U);
	}
	cpuid(0x80000000U, 0U, r);
	max = r[0];
	for (uint32_t leaf = 0x80000000U; leaf <= max; leaf++)
		probe_cpuid_leaf(leaf, 0U);
}

static void probe_msrs(void)
{
	for (size_t i = 0U; i < ARRAY_SIZE(msrs); i++) {
		uint64_t value;

		if (!rdmsr_safe(msrs[i].number, &value))
			print("msr %08x: fault\n", msrs[i].number);
		else if (msrs[i].time)
			print("msr %08x: counts\n", msrs[i].number);
		else
			print("msr %08x: %016lx\n", msrs[i].number, value);
	}
}

static void probe_control_registers(void)
{
	uint64_t cr0, cr4;

	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	print("cr0: %016lx\ncr4: %016lx\n", cr0, cr4);
}

/* Ports that nobody drives read FF: only the others are printed. */
static void probe_port_range(uint32_t first, uint32_t last)
{
	for (uint32_t port = first; port <= last; port++) {
		uint8_t value = in8((uint16_t)port);

		if (value != 0xffU)
			print("port %04x: %02x\n", port, value);
	}
}

/* Reads a hex number and what ends it. */
static const char *parse_hex(const char *at, uint32_t *value)
{
	for (*value = 0U;; at++) {
		if (*at >= '0' && *at <= '9')
			*value = *value << 4 | (uint32_t)(*at - '0');
		else if (*at >= 'a' && *at <= 'f')
			*value = *value << 4 | (uint32_t)(*at - 'a' + 10);
		else
			return at + (*at != '\0' ? 1 : 0);
	}
}

/* What follows "ports=" on the command line; NULL if that is not there. */
static const char *find_port_ranges(const uint8_t *boot_params)
{
	uint32_t at = *(const uint32_t *)(const void *)(boot_params + CMD_LINE_PTR);
	static const char name[] = "ports=";
	uint32_t matched = 0U;

	if (at == 0U)
		return NULL;
	for (const char *c = (const char *)(uint64_t)at; *c != '\0'; c++) {
		matched = (*c == name[matched]) ? matched + 1U : (*c == name[0]) ? 1U : 0U;
		if (name[matched] == '\0')
			return c + 1;
	}
	return NULL;
}

static void probe_ports(const uint8_t *boot_params)
{
	const char *at = find_port_ranges(boot_params);

	if (at == NULL) {
		probe_port_range(0U, 0xffffU);
		return;
	}
	while (*at != '\0' && *at != ' ') {
		uint32_t first, last;

		at = parse_hex(parse_hex(at, &first), &last);
		probe_port_range(first, last);
		if (at[-1] == ' ')
			return;
	}
}

static uint32_t pci_read(uint32_t device, uint32_t function, uint32_t offset)
{
	out32(0xcf8U, 0x80000000U | device << 11 | function << 8 | offset);
	return in32(0xcfcU);
}

static void probe_pci(void)
{
	for (uint32_t bdf = 0U; bdf < 256U; bdf++) {
		uint32_t device = bdf >> 3, function = bdf & 7U;

		if (pci_read(device, function, 0U) == 0xffffffffU)
			continue;
		for (uint32_t offset = 0U; offset < 0x40U; offset += 4U)
			print("pci %02x.%u %02x: %08x\n", device, function, offset,
			      pci_read(device, function, offset));
	}
	out32(0xcf8U, 0U);
}

static void probe_mmio(void)
{
	static const uint32_t lapic[] = {0x20U, 0x30U, 0x80U, 0xd0U, 0xe0U, 0xf0U, 0x280U,
					 0x320U, 0x330U, 0x340U, 0x350U, 0x360U, 0x370U, 0x3e0U};
	static const uint32_t hpet[] = {0x0U, 0x4U, 0x10U, 0x20U, 0x100U, 0x104U, 0x120U, 0x140U};
	static const uint32_t empty[] = {0xfed40000U, 0xfed90000U, 0xfec10000U, 0xe0000000U,
					 0xfeb00000U};

	for (size_t i = 0U; i < ARRAY_SIZE(lapic); i++)
		print("lapic %03x: %08x\n", lapic[i], mmio_read32(0xfee00000UL + lapic[i]));
	for (uint32_t reg = 0U; reg < 0x40U; reg++) {
		mmio_write32(0xfec00000UL, reg);
		if (reg < 3U || reg >= 0x10U)
			print("ioapic %02x: %08x\n", reg, mmio_read32(0xfec00010UL));
	}
	for (size_t i = 0U; i < ARRAY_SIZE(hpet); i++)
		print("hpet %03x: %08x\n", hpet[i], mmio_read32(0xfed00000UL + hpet[i]));
	for (size_t i = 0U; i < ARRAY_SIZE(empty); i++)
		print("mmio %08x: %08x\n", empty[i], mmio_read32(empty[i]));
}

static void probe_memory_map(const uint8_t *boot_params)
{
	const struct e820_entry *e = (const void *)(boot_params + E820_TABLE);

	for (uint32_t i = 0U; i < boot_params[E820_COUNT]; i++)
		print("e820 %016lx: %016lx type %u\n", e[i].base, e[i].base + e[i].size,
		      e[i].type);
}

static const uint8_t *find_rsdp(const uint8_t *boot_params)
{
	uint64_t given = *(const uint64_t *)(const void *)(boot_params + ACPI_RSDP);
	static const char signature[] = "RSD PTR ";

	if (given != 0U)
		return (const uint8_t *)given;
	for (uint64_t at = 0xe0000U; at < 0x100000U; at += 16U) {
		if (*(const uint64_t *)at == *(const uint64_t *)(const void *)signature)
			return (const uint8_t *)at;
	}
	return NULL;
}

static void probe_table(const uint8_t *table)
{
	uint32_t length = *(const uint32_t *)(const void *)(table + 4);
	uint8_t sum = 0U;

	for (uint32_t i = 0U; i < length; i++)
		sum = (uint8_t)(sum + table[i]);
	print("acpi %c%c%c%c: length %u revision %u sum %02x\n", (char)table[0], (char)table[1],
	      (char)table[2], (char)table[3], length, table[8], sum);
}

static void probe_acpi(const uint8_t *boot_params)
{
	const uint8_t *rsdp = find_rsdp(boot_params), *rsdt;
	uint32_t length;

	if (rsdp == NULL) {
		print("acpi: absent\n");
		return;
	}
	rsdt = (const uint8_t *)(uint64_t)*(const uint32_t *)(const void *)(rsdp + 16);
	probe_table(rsdt);
	length = *(const uint32_t *)(const void *)(rsdt + 4);
	for (uint32_t at = 36U; at + 4U <= length; at += 4U)
		probe_table((const uint8_t *)(uint64_t)*(const uint32_t *)(const void *)(rsdt + at));
}

void guest_main(const void *boot_params)
{
	idt_init();
	print("probe start\n");
	probe_cpuid();
	probe_control_registers();
	probe_msrs();
	probe_memory_map(boot_params);
	probe_acpi(boot_params);
	probe_pci();
	probe_mmio();
	probe_ports(boot_params);
	print("probe done\n");
}
