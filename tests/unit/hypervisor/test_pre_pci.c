// SPDX-License-Identifier: BSD-3-Clause
/*
 * PCI devices of pre-launched VMs: who sees which, where its registers are, what of its configuration
 * a hostile guest can change, and what the firmware can have done wrong.
 */
/* links: hypervisor/pre_launched/pre_pci.c hypervisor/vpci/pci.c hypervisor/guest/unit.c @machine */
/* links: tests/fake/fake_report.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../../hypervisor/vpci/vpci_dev.h"
#include "asm/vmx.h"
#include "fake_machine.h"
#include "fake_report.h"
#include "hv/acpi.h"
#include "hv/mm.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "lib/errno.h"

#define NIC	0x0010U /* 00:02.0: 128 KB of memory, 64 ports */
#define WIDE	0x0118U /* 01:03.0: 64 KB with 64 bits, a page behind it; multi-function, FLR */
#define BRIDGE	0x00E0U
#define NOBODY	0x00F8U
#define PCIE	0x50U
#define ONES	UINT32_MAX
#define COMMAND 0x04U
#define BAR(n)	(0x10U + 4U * (n))

static const struct vm_pci_dev first_devs[] = {{.bdf = NIC, .irq = 10}, {.bdf = WIDE, .irq = 0xFF}};
static struct vm_pci_dev second_devs[] = {{.bdf = NOBODY, .irq = 5}};
static struct vm_config vm_configs_[] = {
	{.load_order = PRE_LAUNCHED_VM, .name = "first", .pci = first_devs, .pci_count = 2,
	 .has_pci = true},
	{.load_order = PRE_LAUNCHED_VM, .name = "second", .pci = second_devs, .pci_count = 1,
	 .has_pci = true},
	{.load_order = PRE_LAUNCHED_VM, .name = "third"},
	{.load_order = SERVICE_VM, .name = "Service"},
};
extern const struct vm_config vm_configs[4] __attribute__((alias("vm_configs_")));
const uint16_t vm_config_count = 4;

/* The machine's bus: registers, and the bits that can be written of each. */
static struct function {
	bdf_t bdf;
	uint32_t reg[64], writable[64];
	uint32_t commands, masters; /* written; with the bus-master bit */
	uint32_t sized_on;	    /* BARs written while the device answered at them */
	uint32_t resets;
} bus[3];
static uint32_t phys_latch;

struct e820 host_e820;
struct acpi_facts acpi_facts;
static hpa_t hv_at;

static struct vm guests[4];
static struct vpci vpcis[4];
static struct vcpu vcpus[4];
static struct {
	const struct ept *ept;
	uint64_t gpa, hpa, size, attr;
	bool taken;
} maps[16];
static uint32_t map_count, map_fail_at;
static struct {
	const struct vm *vm;
	uint32_t base, count;
	bool allow;
} ports[8];
static uint32_t port_count;

uint64_t hostmm_limit(void)
{
	return 1UL << 39;
}

void hostmm_map_uc(hpa_t base, size_t size)
{
	(void)base;
	(void)size;
}

bool hv_owns(hpa_t base, uint64_t size)
{
	return hv_at.v != 0U && base.v <= hv_at.v && hv_at.v < base.v + size;
}

static int note_map(const struct ept *ept, uint64_t gpa, uint64_t hpa, uint64_t size, uint64_t attr,
		    bool taken)
{
	assert_true(map_count < ARRAY_SIZE(maps));
	maps[map_count].ept = ept;
	maps[map_count].gpa = gpa;
	maps[map_count].hpa = hpa;
	maps[map_count].size = size;
	maps[map_count].attr = attr;
	maps[map_count].taken = taken;
	return ++map_count == map_fail_at ? -ENOMEM : 0;
}

int ept_map(struct ept *ept, gpa_t gpa, hpa_t hpa, uint64_t size, uint64_t attr)
{
	return note_map(ept, gpa.v, hpa.v, size, attr, false);
}

int ept_unmap(struct ept *ept, gpa_t gpa, uint64_t size)
{
	return note_map(ept, gpa.v, 0, size, 0, true);
}

void vio_allow_pio(struct vm *vm, uint16_t base, uint32_t count, bool allow)
{
	assert_true(port_count < ARRAY_SIZE(ports));
	ports[port_count].vm = vm;
	ports[port_count].base = base;
	ports[port_count].count = count;
	ports[port_count++].allow = allow;
}

void vio_all_ones(struct vcpu *vcpu, struct io_access *io)
{
	(void)vcpu;
	if (!io->write)
		io->value = UINT64_MAX;
}

static void put(struct function *f, uint32_t at, uint32_t width, uint32_t val)
{
	uint32_t shift = (at & 3U) * 8U, reg = at / 4U;
	uint32_t mask = (width == 4U ? ONES : (1U << width * 8U) - 1U) << shift;

	if (reg == COMMAND / 4U && (mask & 0xFFU) != 0U) {
		f->commands++;
		f->masters += (val & 4U) != 0U;
	}
	if (reg >= 4U && reg < 10U && (f->reg[1] & 3U) != 0U)
		f->sized_on++;
	if (f->bdf == WIDE && at == PCIE + 8U && (val & 0x8000U) != 0U) {
		f->resets++;
		f->reg[1] &= ~0xFFFFU;
		f->reg[4] &= 0xFU;
		f->reg[5] = 0U;
		return;
	}
	mask &= f->writable[reg];
	f->reg[reg] = (f->reg[reg] & ~mask) | (val << shift & mask);
}

static uint32_t bus_io(uint16_t port, uint32_t width, bool write, uint32_t val)
{
	uint32_t at = (phys_latch & 0xFCU) | (port & 3U);

	if (port == 0xCF8U) {
		phys_latch = val;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(bus); i++) {
		if (bus[i].bdf != ((phys_latch >> 8) & 0xFFFFU))
			continue;
		if (!write)
			return bus[i].reg[at / 4U] >> ((at & 3U) * 8U);
		put(&bus[i], at, width, val);
	}
	return ONES;
}

static void set_bar(struct function *f, uint32_t n, uint32_t value, uint32_t size)
{
	f->reg[4U + n] = value;
	f->writable[4U + n] = ~(size - 1U);
}

static int setup(void **state)
{
	(void)state;
	fake_machine_reset();
	fake_report_reset();
	fake_pio_hook(0xCF8, 8, bus_io);
	memset(bus, 0, sizeof(bus));
	memset(maps, 0, sizeof(maps));
	map_count = map_fail_at = port_count = 0;
	hv_at = HPA(0);
	second_devs[0].bdf = NOBODY;
	host_e820 = (struct e820){.count = 3, .r = {{.size = MB(512), .type = MEM_RAM},
						    {.base = 0xE0000000, .size = MB(256),
						     .type = MEM_RESERVED},
						    {.base = GB(4), .size = GB(1), .type = MEM_RAM}}};
	for (size_t i = 0; i < ARRAY_SIZE(bus); i++) {
		bus[i].writable[1] = 0xFFFFU;
		memset(&bus[i].writable[16], 0xFF, sizeof(bus[i].writable) / 4U * 3U);
	}
	bus[0].bdf = NIC;
	bus[0].reg[0] = 0x100E8086;
	bus[0].reg[1] = 0x02300007; /* the firmware booted from it */
	bus[0].reg[2] = 0x02000003;
	bus[0].reg[12] = 0xFFFE0001; /* ROM */
	bus[0].reg[13] = 0x50;
	bus[0].reg[20] = 0x5005; /* a list without end */
	bus[0].reg[15] = 0x010B; /* INTA, line 11 */
	set_bar(&bus[0], 0, 0xC0000000, 0x20000);
	set_bar(&bus[0], 1, 0xC001, 64);
	bus[1].bdf = WIDE;
	bus[1].reg[0] = 0x12348086;
	bus[1].reg[1] = 0x00100000;
	bus[1].reg[3] = 0x00800000;
	bus[1].reg[13] = 0x40;
	bus[1].reg[16] = 0x5001; /* power management, then PCI Express with function reset */
	bus[1].reg[PCIE / 4U] = 0x10;
	bus[1].reg[PCIE / 4U + 1U] = 1U << 28;
	set_bar(&bus[1], 0, 0x4, 0x10000); /* at 16 GB */
	bus[1].reg[5] = 4;
	bus[1].writable[5] = ONES;
	set_bar(&bus[1], 2, 0xC0020000, 0x1000);
	bus[2].bdf = BRIDGE;
	bus[2].reg[0] = 0x244E8086;
	bus[2].reg[3] = 0x00010000;
	assert_int_equal(unit_boot(), 0);
	for (uint16_t i = 0; i < 4U; i++) {
		guests[i] = (struct vm){.id = i, .load_order = vm_configs[i].load_order,
				     .config = &vm_configs[i], .vpci = &vpcis[i]};
		vpcis[i] = (struct vpci){.access = vio_all_ones};
		vcpus[i] = (struct vcpu){.vm = &guests[i]};
	}
	return 0;
}

static uint32_t access(uint32_t vm, bdf_t bdf, uint32_t reg, uint8_t width, bool write, uint32_t val)
{
	struct io_access io = {.kind = IO_PCICFG, .write = write, .width = width,
			       .addr = (uint32_t)bdf << 8 | reg, .value = val};

	vpcis[vm].access(&vcpus[vm], &io);
	return (uint32_t)(width == 4U ? io.value : io.value & ((1U << width * 8U) - 1U));
}

static uint32_t get(uint32_t vm, uint32_t slot, uint32_t reg)
{
	return access(vm, (bdf_t)(slot << 3), reg, 4, false, 0);
}

static void set(uint32_t vm, uint32_t slot, uint32_t reg, uint32_t val)
{
	(void)access(vm, (bdf_t)(slot << 3), reg, 4, true, val);
}

/* Who sees a device, and where? Its owner at 00:01.0 and on, with a host bridge; nobody else. */
static void test_owner(void **state)
{
	(void)state;
	assert_int_equal(unit_vm_init(&guests[0]), 0);
	assert_int_equal(get(0, 0, 0), 0x12751275);
	assert_int_equal(get(0, 0, 8), 0x06000000);
	assert_int_equal(get(0, 1, 0), 0x100E8086);
	assert_int_equal(get(0, 2, 0), 0x12348086);
	assert_int_equal(get(0, 3, 0), ONES);
	assert_int_equal(access(0, 1 << 3 | 1, 0, 4, false, 0), ONES); /* another function */
	assert_int_equal(access(0, WIDE, 0, 4, false, 0), ONES);       /* its place on the machine */
	assert_int_equal(access(0, 1 << 3, 2, 2, false, 0), 0x100E);
	assert_int_equal(access(0, 1 << 3, 0x3C, 1, false, 0), 10);
	assert_int_equal(access(0, 1 << 3, 0x3D, 1, false, 0), 1);
	assert_int_equal(get(0, 2, 0x0C), 0); /* one function is all there is */
	assert_int_equal(unit_vm_init(&guests[2]), 0);
	assert_int_equal(get(2, 1, 0), ONES);
	assert_int_equal(get(2, 0, 0), ONES);
	assert_true(pci_given(NIC) && pci_given(WIDE) && !pci_given(BRIDGE));
}

static bool emulated(struct vm *vm, bdf_t bdf, uint32_t reg, struct io_access *io)
{
	assert_ptr_equal(vm, &guests[2]);
	if (bdf == (8U << 3) && !io->write) {
		io->value = 0x11101AF4U + reg;
	}
	return bdf == (8U << 3);
}

/* What if a VM has emulated functions only? They answer, behind a host bridge, and nothing else. */
static void test_emulated(void **state)
{
	(void)state;
	vm_configs_[2].has_pci = true;
	vpcis[2].emulated = emulated;
	assert_int_equal(unit_vm_init(&guests[2]), 0);
	vm_configs_[2].has_pci = false;
	assert_int_equal(get(2, 0, 0), 0x12751275);
	assert_int_equal(get(2, 8, 0), 0x11101AF4);
	assert_int_equal(get(2, 8, 4), 0x11101AF8);
	set(2, 8, 4, 7);
	assert_int_equal(bus[0].commands + bus[1].commands, 2); /* those of boot */
	assert_int_equal(get(2, 1, 0), ONES);
	assert_int_equal(get(2, 9, 0), ONES);
}

/* Whose pages are its registers? Those of ports are none, nor those of a device that was refused. */
static void test_pages(void **state)
{
	(void)state;
	assert_true(pci_given_page(HPA(0xC0000000)));
	assert_true(pci_given_page(HPA(0xC001F000)));
	assert_true(pci_given_page(HPA(0xC0020000))); /* the other one's */
	assert_false(pci_given_page(HPA(0xC0021000)));
	assert_false(pci_given_page(HPA(0xBFFFF000)));
	assert_true(pci_given_page(HPA(GB(16))));
	assert_false(pci_given_page(HPA(GB(16) + 0x10000)));
	assert_false(pci_given_page(HPA(0xC000)));
	assert_false(pci_given_page(HPA(0)));
}

/* Where are its registers? Behind all RAM of the VM, uncached; the ports where they are. */
static void test_bars(void **state)
{
	(void)state;
	assert_int_equal(unit_vm_init(&guests[0]), 0);
	assert_int_equal(map_count, 3);
	for (uint32_t i = 0; i < 3; i++) {
		assert_ptr_equal(maps[i].ept, &guests[0].ept);
		assert_int_equal(maps[i].attr, EPT_READ | EPT_WRITE | EPT_MT_UC);
	}
	assert_int_equal(maps[0].gpa, 0x80000000);
	assert_int_equal(maps[0].hpa, 0xC0000000);
	assert_int_equal(maps[0].size, 0x20000);
	assert_int_equal(maps[1].gpa, 0x80020000);
	assert_int_equal(maps[1].hpa, GB(16));
	assert_int_equal(maps[2].gpa, 0x80030000);
	assert_int_equal(maps[2].size, 0x1000);
	assert_int_equal(get(0, 1, BAR(0)), 0x80000000);
	assert_int_equal(get(0, 1, BAR(1)), 0xC001);
	assert_int_equal(get(0, 2, BAR(0)), 0x80020004);
	assert_int_equal(get(0, 2, BAR(1)), 0);
	assert_int_equal(get(0, 2, BAR(2)), 0x80030000);
	assert_int_equal(port_count, 1);
	assert_ptr_equal(ports[0].vm, &guests[0]);
	assert_int_equal(ports[0].base, 0xC000);
	assert_int_equal(ports[0].count, 64);
	assert_true(ports[0].allow);
	/* none was moved, and none was sized while the device answered there */
	assert_int_equal(bus[0].reg[4], 0xC0000000);
	assert_int_equal(bus[1].reg[5], 4);
	assert_int_equal(bus[0].sized_on, 0);
	/* a mapping that fails costs the VM */
	map_count = 0;
	map_fail_at = 2;
	assert_int_equal(unit_vm_init(&guests[0]), -ENOMEM);
}

/* Does the Service VM lose registers and ports of all of them? */
static void test_service_vm(void **state)
{
	(void)state;
	assert_int_equal(unit_vm_init(&guests[3]), 0);
	assert_int_equal(map_count, 3);
	assert_true(maps[0].taken && maps[1].taken && maps[2].taken);
	assert_int_equal(maps[0].gpa, 0xC0000000);
	assert_int_equal(maps[1].gpa, GB(16));
	assert_int_equal(maps[1].size, 0x10000);
	assert_int_equal(port_count, 1);
	assert_false(ports[0].allow);
	assert_ptr_equal(vpcis[3].access, vio_all_ones); /* which vpci_pt.c has set */
}

/* What can a guest that writes everywhere change? Four bits of the command register. */
static void test_hostile_writes(void **state)
{
	struct function before;

	(void)state;
	assert_int_equal(unit_vm_init(&guests[0]), 0);
	before = bus[1];
	for (uint32_t reg = 0; reg < 256; reg += 4) {
		set(0, 2, reg, 0x55AA55AA);
		set(0, 2, reg, ONES);
		for (uint32_t byte = 0; byte < 4; byte++)
			(void)access(0, 2 << 3, reg + byte, 1, true, 0xFF);
		(void)access(0, 2 << 3, reg + 2, 2, true, 0xFFFF);
	}
	assert_int_equal(bus[1].masters, 0);
	assert_int_equal(bus[1].resets, 0);
	assert_int_equal(bus[1].reg[1], (before.reg[1] & ~0xFFFFU) | 0x0403U);
	bus[1].reg[1] = before.reg[1];
	assert_memory_equal(bus[1].reg, before.reg, sizeof(before.reg));
	/* not those of the neighbour, nor of the bridge, which take no writes at all */
	set(0, 0, COMMAND, ONES);
	set(0, 9, COMMAND, ONES);
	assert_int_equal(bus[0].reg[1] & 3U, 0);
	/* and no capability shows, nor a ROM */
	assert_int_equal(get(0, 2, COMMAND) >> 16 & 0x10, 0);
	assert_int_equal(get(0, 1, 0x34), 0);
	assert_int_equal(get(0, 1, 0x30), 0);
}

/* Does a driver learn the sizes as the standard says, and find its BARs where they were? */
static void test_sizes(void **state)
{
	(void)state;
	assert_int_equal(unit_vm_init(&guests[0]), 0);
	set(0, 1, BAR(0), ONES);
	assert_int_equal(get(0, 1, BAR(0)), 0xFFFE0000);
	assert_int_equal(get(0, 1, BAR(1)), 0xC001);
	set(0, 1, BAR(1), ONES);
	assert_int_equal(get(0, 1, BAR(1)), 0xFFFFFFC1);
	set(0, 1, BAR(0), 0x90000000); /* it cannot be moved, over RAM or anywhere */
	assert_int_equal(get(0, 1, BAR(0)), 0x80000000);
	set(0, 1, BAR(1), 0xCF9);
	assert_int_equal(get(0, 1, BAR(1)), 0xC001);
	set(0, 2, BAR(0), 0xFFFFFFF0);
	set(0, 2, BAR(1), ONES);
	assert_int_equal(get(0, 2, BAR(0)), 0xFFFF0004);
	assert_int_equal(get(0, 2, BAR(1)), ONES);
	assert_int_equal(map_count, 3);
}

/* What is left of the device's work when the VM starts again, or ends? */
static void test_end(void **state)
{
	uint64_t before;

	(void)state;
	assert_int_equal(unit_vm_init(&guests[0]), 0);
	set(0, 1, COMMAND, 3);
	set(0, 2, COMMAND, 3);
	set(0, 1, BAR(0), ONES);
	unit_vm_reset(&guests[1]); /* somebody else */
	assert_int_equal(bus[0].reg[1] & 0xFFFF, 3);
	before = fake_tsc;
	unit_vm_reset(&guests[0]);
	assert_int_equal(bus[1].resets, 1); /* the one that can be reset, with time to do it */
	assert_true(fake_tsc - before >= 100U * fake_tsc_khz);
	assert_int_equal(bus[1].reg[4], 4);
	assert_int_equal(bus[1].reg[5], 4);
	assert_int_equal(bus[0].reg[1] & 0xFFFF, 0);
	assert_int_equal(bus[1].reg[1] & 0xFFFF, 0);
	assert_int_equal(get(0, 1, BAR(0)), 0x80000000);
	unit_vm_deinit(&guests[0]);
	assert_int_equal(bus[0].reg[1] & 0xFFFF, 0x400); /* and its line is silent */
	assert_true(pci_given(NIC));			 /* it is nobody else's now */
}

static void refused(const char *why)
{
	fake_report_reset();
	fake_machine_reset();
	fake_pio_hook(0xCF8, 8, bus_io);
	assert_int_equal(unit_boot(), 0);
	assert_true(fake_reported(why));
	assert_int_equal(unit_vm_init(&guests[0]), -ENODEV);
}

/* What if the device is not there, or the firmware placed it where it cannot be given? */
static void test_refused(void **state)
{
	struct function nic = bus[0];

	(void)state;
	assert_true(fake_reported("second: PCI device 00:1f.0 is not there"));
	assert_int_equal(fake_report_lines, 1);
	assert_int_equal(unit_vm_init(&guests[1]), -ENODEV);
	second_devs[0].bdf = BRIDGE;
	fake_report_reset();
	assert_int_equal(unit_boot(), 0);
	assert_true(fake_reported("second: PCI device 00:1c.0 is a bridge"));

	bus[0].reg[4] = MB(256); /* over RAM */
	refused("first: PCI device 00:02.0 has registers where the firmware should not");
	bus[0].reg[4] = 0;
	refused("first: PCI device 00:02.0 has registers where the firmware should not");
	bus[0].reg[4] = 0xFEC00000; /* over the IOAPIC */
	refused("first: PCI device 00:02.0 has registers where the firmware should not");
	bus[0].reg[4] = 0xC0000000;
	hv_at = HPA(0xC0001000);
	refused("first: PCI device 00:02.0 has registers where the firmware should not");
	hv_at = HPA(0);
	bus[0].reg[5] = 0xC01;
	refused("first: PCI device 00:02.0 has ports where the firmware should not");
	bus[0].reg[5] = 0x1C001;
	refused("first: PCI device 00:02.0 has ports where the firmware should not");
	bus[0] = nic;
	set_bar(&bus[0], 0, 0xC0000000, 0x800);
	refused("first: PCI device 00:02.0 has a memory BAR of less than a page");
	bus[0] = nic;
	set_bar(&bus[1], 0, 0x4, 0x80000000); /* 2 GB */
	refused("first: PCI device 01:03.0 has more registers than there is room for");
	/* 64 bits that the processor cannot address; the last of them end at 0 */
	for (uint32_t i = 0; i < 2; i++) {
		static const uint32_t upper[] = {0x80, ONES}, lower[] = {4, 0xFFFF0004};

		(void)setup(state);
		bus[1].reg[4] = lower[i];
		bus[1].reg[5] = upper[i];
		refused("first: PCI device 01:03.0 has registers where the firmware should not");
	}
	/* the Service VM does not get what was refused, as far as it is known */
	assert_true(pci_given(WIDE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_emulated, setup),
		cmocka_unit_test_setup(test_pages, setup),
		cmocka_unit_test_setup(test_owner, setup),
		cmocka_unit_test_setup(test_bars, setup),
		cmocka_unit_test_setup(test_service_vm, setup),
		cmocka_unit_test_setup(test_hostile_writes, setup),
		cmocka_unit_test_setup(test_sizes, setup),
		cmocka_unit_test_setup(test_end, setup),
		cmocka_unit_test_setup(test_refused, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
