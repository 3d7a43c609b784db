// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: hypervisor/pre_launched/pre_pci.c
// links: hypervisor/vpci/pci.c hypervisor/guest/unit.c @machine
/*
 * A pre-launched VM with two devices of the machine whose firmware left anything in their
 * registers, and whatever the VM then does to its configuration space: is a device ever the bus's
 * master, does a BAR move or lie over memory, does a write reach another register, or a function
 * that is another's? Input: for each device its BARs, then accesses.
 */
#include <assert.h>

#include "../../../hypervisor/vpci/vpci_dev.h"
#include "asm/vmx.h"
#include "fake_machine.h"
#include "fuzz.h"
#include "hv/acpi.h"
#include "hv/boot.h"
#include "hv/mm.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vio.h"
#include "hv/vm.h"

#define FIRST	0x0010U /* 00:02.0 */
#define SECOND	0x0118U /* 01:03.0 */
#define COMMAND 1U	/* in registers of four bytes */
#define BAR0	4U
#define BARS	6U
#define PCIE	0x50U
#define RAM	GB(1)

static const struct vm_pci_dev devs[] = {{.bdf = FIRST, .irq = 10}, {.bdf = SECOND, .irq = 0xFF}};
static const struct vm_config vm_configs_[] = {
	{.load_order = PRE_LAUNCHED_VM,
	 .name = "first",
	 .pci = devs,
	 .pci_count = 2,
	 .has_pci = true},
};
extern const struct vm_config vm_configs[1] __attribute__((alias("vm_configs_")));
const uint16_t vm_config_count = 1;

static struct function {
	bdf_t bdf;
	uint32_t reg[64], writable[64];
} bus[2];
static uint32_t phys_latch;
static bool guest_runs; /* nothing but the command register may be written */
static struct mem_range ram[] = {{.base = 0, .size = RAM, .type = MEM_RAM}};

struct e820 host_e820 = {.r = {{.base = 0, .size = RAM, .type = MEM_RAM}}, .count = 1};
struct acpi_facts acpi_facts;

static struct vpci vpci;
static struct vm vm = {.config = vm_configs_, .vpci = &vpci};
static struct vcpu vcpu = {.vm = &vm};
static uint32_t mapped;

void report(const char *fmt, ...)
{
	assert(fmt != NULL);
}

uint64_t hostmm_limit(void)
{
	return 1UL << 39;
}

void hostmm_map_uc(hpa_t base, size_t size)
{
	assert(base.v != 0 && size != 0);
}

bool hv_owns(hpa_t base, uint64_t size)
{
	return base.v < GB(2) + MB(2) && GB(2) < base.v + size;
}

/* Registers: behind all RAM of the VM, of the machine where there is no RAM of any kind. */
int ept_map(struct ept *ept, gpa_t gpa, hpa_t hpa, uint64_t size, uint64_t attr)
{
	assert(ept == &vm.ept && attr == (EPT_READ | EPT_WRITE | EPT_MT_UC) && size >= PAGE_SIZE);
	assert(gpa.v >= VPCI_WINDOW && gpa.v + size <= VPCI_WINDOW_END && gpa.v % size == 0);
	assert(hpa.v >= ram[0].size && hpa.v % size == 0 && !hv_owns(hpa, size));
	assert(hpa.v < 1UL << 39 && size <= (1UL << 39) - hpa.v);
	mapped++;
	return 0;
}

int ept_unmap(struct ept *ept, gpa_t gpa, uint64_t size)
{
	assert(ept != NULL && gpa.v != 0 && size != 0);
	return 0;
}

void vio_allow_pio(struct vm *owner, uint16_t base, uint32_t count, bool allow)
{
	assert(owner == &vm && allow && base >= 0x1000U && base + count <= 0x10000U);
}

void vio_all_ones(struct vcpu *v, struct io_access *io)
{
	assert(v == &vcpu);
	io->value = io->write ? io->value : UINT64_MAX;
}

static void put(struct function *f, uint32_t at, uint32_t width, uint32_t val)
{
	uint32_t shift = (at & 3U) * 8U;
	uint32_t mask = (width == 4U ? UINT32_MAX : (1U << width * 8U) - 1U) << shift;

	assert(!guest_runs || at / 4U == COMMAND);
	mask &= f->writable[at / 4U];
	f->reg[at / 4U] = (f->reg[at / 4U] & ~mask) | (val << shift & mask);
	assert((f->reg[COMMAND] & 4U) == 0U || !guest_runs);
}

static uint32_t bus_io(uint16_t port, uint32_t width, bool write, uint32_t val)
{
	uint32_t at = (phys_latch & 0xFCU) | (port & 3U);

	if (port == 0xCF8U) {
		phys_latch = val;
		return 0;
	}
	for (size_t i = 0; i < 2; i++) {
		if (bus[i].bdf != ((phys_latch >> 8) & 0xFFFFU))
			continue;
		if (!write)
			return bus[i].reg[at / 4U] >> ((at & 3U) * 8U);
		put(&bus[i], at, width, val);
		return 0;
	}
	assert(!write);
	return UINT32_MAX;
}

static void make_device(struct function *f, bdf_t bdf, struct fuzz *in)
{
	memset(f, 0, sizeof(*f));
	f->bdf = bdf;
	f->reg[0] = 0x12348086U;
	f->reg[COMMAND] = (uint32_t)fuzz_take(in, 2) | BIT32(20);
	f->writable[COMMAND] = 0xFFFFU;
	f->reg[3] = (uint32_t)fuzz_take(in, 1) << 16 & 0x810000U;
	f->reg[13] = (uint32_t)fuzz_take(in, 1); /* capabilities */
	f->reg[PCIE / 4U] = (uint32_t)fuzz_take(in, 2);
	for (uint32_t i = BAR0; i < BAR0 + BARS; i++) {
		uint32_t order = (uint32_t)fuzz_take(in, 1) % 33U;

		f->writable[i] = order == 32U ? 0U : UINT32_MAX << order & ~15U;
		f->reg[i] = (uint32_t)fuzz_take(in, 4) & (f->writable[i] | 15U);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = {data, size};
	uint32_t before[2][BARS];

	fake_machine_reset();
	fake_boot_free(); /* the last input's */
	fake_pio_hook(0xCF8, 8, bus_io);
	guest_runs = false;
	mapped = 0;
	make_device(&bus[0], FIRST, &in);
	make_device(&bus[1], SECOND, &in);
	vpci = (struct vpci) {.access = vio_all_ones};
	if (unit_boot() != 0 || unit_vm_init(&vm) != 0)
		return 0; /* a device is one that nobody can have */
	unit_vm_reset(&vm);
	guest_runs = true;
	for (uint32_t i = 0; i < 2; i++)
		memcpy(before[i], &bus[i].reg[BAR0], sizeof(before[i]));
	while (in.left != 0) {
		struct io_access io = {.kind = IO_PCICFG,
				       .write = fuzz_take(&in, 1) & 1U,
				       .width = (uint8_t)(1U << fuzz_take(&in, 1) % 3U)};

		io.addr = fuzz_take(&in, 3) & (0xFFFFFFU & ~(io.width - 1U));
		io.value = fuzz_take(&in, 4);
		vpci.access(&vcpu, &io);
	}
	for (uint32_t i = 0; i < 2; i++)
		assert(memcmp(before[i], &bus[i].reg[BAR0], sizeof(before[i])) == 0);
	return 0;
}
