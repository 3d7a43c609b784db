// SPDX-License-Identifier: BSD-3-Clause
/*
 * What does the platform look like to its first CPU? Prints "key: value" for
 * CPUID, MSRs, control registers, I/O ports, PCI, MMIO, memory map and ACPI
 * tables, as a loader left them, then what drives which interrupt pin. The same
 * guest runs on the bare machine, as the Service VM and as a User VM; what
 * differs must be in doc/abi/platform.md.
 *
 * The command line may hold ports=FIRST-LAST[,FIRST-LAST]... (hex): only these
 * I/O ports, where each access takes too long for all of them.
 */
#include <stddef.h>

#include "guest.h"
#include "probe.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define E820_COUNT   0x1e8U /* offsets in the zero page */
#define E820_TABLE   0x2d0U
#define CMD_LINE_PTR 0x228U
#define RTC_D	     0x0dU /* a register that reads the same at all times */

struct e820_entry {
	uint64_t base;
	uint64_t size;
	uint32_t type;
} __attribute__((packed));

static void probe_cpuid_leaf(uint32_t leaf, uint32_t subleaf)
{
	uint32_t r[4];

	cpuid(leaf, subleaf, r);
	print("cpuid %08x.%u: %08x %08x %08x %08x\n", leaf, subleaf, r[0], r[1], r[2], r[3]);
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
	/* Above the highest leaf of each range. */
	probe_cpuid_leaf(0x0000ffffU, 0U);
	probe_cpuid_leaf(0x4000ffffU, 0U);
	probe_cpuid_leaf(0x8000ffffU, 0U);
}

/* In a range, MSRs that cannot be read are left out. */
static void probe_msr_range(uint32_t first, uint32_t last)
{
	for (uint32_t msr = first; msr <= last; msr++) {
		uint64_t value, again;

		if (!rdmsr_safe(msr, &value)) {
			if (first == last)
				print("msr %08x: fault\n", msr);
			continue;
		}
		(void)rdmsr_safe(msr, &again);
		if (again == value)
			print("msr %08x: %016lx\n", msr, value);
		else
			print("msr %08x: counts\n", msr);
	}
}

/* All that VMX's bitmap can open to a guest, and some of what it cannot. */
static void probe_msrs(void)
{
	probe_msr_range(0U, 0x1fffU);
	probe_msr_range(0x12345678U, 0x12345678U);
	probe_msr_range(0x40000000U, 0x40000007U);
	probe_msr_range(0xc0000000U, 0xc0001fffU);
	probe_msr_range(0xc0010000U, 0xc001001fU);
}

static void probe_control_registers(void)
{
	uint64_t cr0, cr4;

	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	print("cr0: %016lx\ncr4: %016lx\n", cr0, cr4);
}

/*
 * Ports that nobody drives read FF: only the others are printed, once all are read, since one of
 * them tells that the printing goes on.
 */
static void probe_port_range(uint32_t first, uint32_t last)
{
	static uint8_t value[0x10000];

	print_flush();
	for (uint32_t port = first; port <= last && port < sizeof(value); port++)
		value[port] = in8((uint16_t)port);
	for (uint32_t port = first; port <= last && port < sizeof(value); port++) {
		if (value[port] != 0xffU)
			print("port %04x: %02x\n", port, value[port]);
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

	out8(0x70U, RTC_D);
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

void guest_main(const void *boot_params)
{
	const uint8_t *fadt;

	idt_init();
	print("probe start\n");
	probe_cpuid();
	probe_control_registers();
	probe_msrs();
	probe_memory_map(boot_params);
	fadt = probe_acpi(boot_params);
	probe_pci();
	probe_mmio();
	probe_ports(boot_params);
	probe_interrupts(fadt);
	print("probe done\n");
}
