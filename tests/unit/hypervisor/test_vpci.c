// SPDX-License-Identifier: BSD-3-Clause
/*
 * Configuration space of guests: the address latch, requests to a device model, the machine's own
 * devices, and MSI and MSI-X messages that are translated on their way to the device.
 */
/* links: @machine @guest */
#include <stdlib.h>
#include <string.h>

#include "guest_machine.h"
#include "hv/vpci.h"
#include "lib/kconfig.h"

#define DEV	  0x0018U /* 00:03.0: MSI at 0x50, MSI-X at 0x70, BAR 0 */
#define DEV_MSI32 0x0020U /* 00:04.0: MSI with 32-bit address at 0x40 */
#define MSI	  0x50U
#define MSIX	  0x70U
#define VECTORS	  4U

/* The machine's bus: two devices behind 0xCF8/0xCFC. */
static struct {
	bdf_t bdf;
	uint8_t cfg[256];
} bus[2];
static uint32_t phys_latch;
static uint8_t *bar; /* two pages of the device; the table at 0x800 */

static uint32_t bus_io(uint16_t port, uint32_t width, bool write, uint32_t val)
{
	uint32_t at = (phys_latch & 0xFCU) | (port & 3U), v = UINT32_MAX;

	if (port == 0xCF8U) {
		assert_true(write);
		assert_int_equal(width, 4);
		phys_latch = val;
		return 0;
	}
	assert_in_range(port, 0xCFC, 0xCFF);
	assert_true((phys_latch & BIT32(31)) != 0U);
	for (size_t i = 0; i < ARRAY_SIZE(bus); i++) {
		if (bus[i].bdf != ((phys_latch >> 8) & 0xFFFFU))
			continue;
		if (write)
			memcpy(&bus[i].cfg[at], &val, width);
		else
			memcpy(&v, &bus[i].cfg[at], width);
	}
	return v;
}

static uint32_t phys(uint32_t dev, uint32_t reg)
{
	uint32_t v;

	memcpy(&v, &bus[dev].cfg[reg], 4);
	return v;
}

static void set_phys(uint32_t dev, uint32_t reg, uint32_t v)
{
	memcpy(&bus[dev].cfg[reg], &v, 4);
}

/* vapic/ptirq_remap.c stands behind these: vector 0xB0 up for every message. */
static uint32_t remaps, releases;
static int remap_result;
static struct {
	uint16_t bdf, index;
	uint64_t addr;
	uint32_t data;
} remapped;

static int msi_remap(struct vm *vm, uint16_t bdf, uint16_t index, uint64_t addr, uint32_t data,
		     uint64_t *out_addr, uint32_t *out_data)
{
	assert_ptr_equal(vm, test_vm(0));
	remaps++;
	remapped.bdf = bdf;
	remapped.index = index;
	remapped.addr = addr;
	remapped.data = data;
	*out_addr = 0xFEE01000UL;
	*out_data = 0xB0U + index;
	return remap_result;
}

static void msi_release(struct vm *vm, uint16_t bdf)
{
	(void)vm;
	(void)bdf;
	releases++;
}

static const struct msi_ops ops = {.remap = msi_remap, .release = msi_release};

static int setup(void **state)
{
	(void)guest_setup(state);
	fake_pio_hook(0xCF8, 8, bus_io);
	memset(bus, 0, sizeof(bus));
	remaps = releases = 0;
	remap_result = 0;
	test_vm(0)->msi_ops = &ops;

	bar = aligned_alloc(PAGE_SIZE, 2U * PAGE_SIZE);
	memset(bar, 0, 2U * PAGE_SIZE);
	test_device = (uintptr_t)bar;
	bus[0].bdf = DEV;
	set_phys(0, 0, 0x15338086);
	set_phys(0, 4, 0x00100000); /* capabilities */
	set_phys(0, 0x10, (uint32_t)(uintptr_t)bar | 4U); /* 64-bit BAR */
	set_phys(0, 0x14, (uint32_t)((uintptr_t)bar >> 32));
	bus[0].cfg[0x34] = MSI;
	set_phys(0, MSI, 0x00840000U | MSIX << 8 | 5U); /* 64 bits, up to 4 messages */
	set_phys(0, MSIX, (VECTORS - 1U) << 16 | 0x11U);
	set_phys(0, MSIX + 4U, 0x800); /* BAR 0, offset 0x800 */
	bus[1].bdf = DEV_MSI32;
	set_phys(1, 0, 0x70008086);
	set_phys(1, 4, 0x00100000);
	bus[1].cfg[0x34] = 0x40;
	set_phys(1, 0x40, 0x00000005);
	return 0;
}

static int teardown(void **state)
{
	free(bar);
	return guest_teardown(state);
}

static void out(struct vcpu *c, uint16_t port, uint8_t width, uint32_t val)
{
	struct io_access io = {.kind = IO_PIO, .write = true, .width = width, .addr = port, .value = val};

	vio_dispatch(c, &io);
}

static uint32_t in(struct vcpu *c, uint16_t port, uint8_t width)
{
	struct io_access io = {.kind = IO_PIO, .width = width, .addr = port};

	vio_dispatch(c, &io);
	return (uint32_t)(width == 4U ? io.value : io.value & (BIT(width * 8U) - 1U));
}

/* The Service VM's access to a register of a device. */
static uint32_t cfg_read(uint32_t bdf, uint32_t reg, uint8_t width)
{
	out(test_vcpu(0, 0), 0xCF8, 4, BIT32(31) | bdf << 8 | (reg & 0xFCU));
	return in(test_vcpu(0, 0), (uint16_t)(0xCFCU + (reg & 3U)), width);
}

static void cfg_write(uint32_t bdf, uint32_t reg, uint8_t width, uint32_t val)
{
	out(test_vcpu(0, 0), 0xCF8, 4, BIT32(31) | bdf << 8 | (reg & 0xFCU));
	out(test_vcpu(0, 0), (uint16_t)(0xCFCU + (reg & 3U)), width, val);
}

/* The latch takes 32-bit writes alone; smaller ones reach nobody, above all no device model. */
static void test_latch(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	out(c, 0xCF8, 4, 0xFFFFFFFF);
	assert_int_equal(in(c, 0xCF8, 4), 0x80FFFFFC);
	out(c, 0xCF8, 1, 0);
	out(c, 0xCF8, 2, 0);
	assert_int_equal(in(c, 0xCF8, 4), 0x80FFFFFC);
	assert_int_equal(in(c, 0xCF8, 1), 0xFF);
	assert_int_equal(in(test_vcpu(0, 0), 0xCF8, 4), 0); /* each VM has its own */
	assert_int_equal(test_fallbacks, 0);
	assert_int_equal(fake_pio_accesses, 0);
	out(c, 0xCF9, 1, 6); /* the reset register is not ours */
	assert_int_equal(test_fallbacks, 1);
}

/* A VM with a device model: one request with bus, device, function and register in it. */
static void test_device_model(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	out(c, 0xCF8, 4, 0x80000000U | 2U << 16 | 3U << 11 | 1U << 8 | 0x40);
	test_fallback_value = 0x1234;
	assert_int_equal(in(c, 0xCFE, 2), 0x1234);
	assert_int_equal(test_io[0].kind, IO_PCICFG);
	assert_int_equal(test_io[0].addr, 2U << 16 | 3U << 11 | 1U << 8 | 0x42);
	assert_int_equal(test_io[0].width, 2);
	out(c, 0xCFC, 4, 0xCAFE);
	assert_true(test_io[1].write);
	assert_int_equal(test_io[1].value, 0xCAFE);
	assert_int_equal(test_fallbacks, 2);
	assert_int_equal(in(c, 0xCFE, 4), 0xFFFFFFFF); /* over the end of the register */
	out(c, 0xCF8, 4, 0x40); /* not enabled */
	assert_int_equal(in(c, 0xCFC, 4), 0xFFFFFFFF);
	assert_int_equal(test_fallbacks, 2);
	assert_int_equal(fake_pio_accesses, 0);
}

/* The owner of the machine reads and writes its devices; where none is, all-ones. */
static void test_native(void **state)
{
	(void)state;
	assert_int_equal(cfg_read(DEV, 0, 4), 0x15338086);
	assert_int_equal(cfg_read(DEV, 2, 2), 0x1533);
	assert_int_equal(cfg_read(DEV, 1, 1), 0x80);
	cfg_write(DEV, 0x3C, 1, 11);
	assert_int_equal(phys(0, 0x3C), 11);
	assert_int_equal(cfg_read(0x0028, 0, 4), 0xFFFFFFFF);
	cfg_write(0x0028, 0, 4, 0);
	assert_int_equal(test_fallbacks, 0);
}

/* MSI: the guest reads what it wrote, the device holds the translation, and only while on. */
static void test_msi(void **state)
{
	(void)state;
	assert_int_equal(cfg_read(DEV, MSI + 2U, 2), 0x0080); /* one message, off */
	cfg_write(DEV, MSI + 4U, 4, 0xFEE02003);
	cfg_write(DEV, MSI + 8U, 4, 0);
	cfg_write(DEV, MSI + 12U, 2, 0x41);
	assert_int_equal(remaps, 0);
	assert_int_equal(phys(0, MSI + 4U), 0);
	cfg_write(DEV, MSI + 2U, 2, 0x0081 | 2U << 4);
	assert_int_equal(remaps, 1);
	assert_int_equal(remapped.bdf, DEV);
	assert_int_equal(remapped.addr, 0xFEE02000);
	assert_int_equal(remapped.data, 0x41);
	assert_int_equal(phys(0, MSI + 4U), 0xFEE01000);
	assert_int_equal(phys(0, MSI + 12U) & 0xFFFFU, 0xB0);
	assert_int_equal(phys(0, MSI) >> 16, 0x0085); /* on, one message */
	assert_int_equal(cfg_read(DEV, MSI + 4U, 4), 0xFEE02000);
	assert_int_equal(cfg_read(DEV, MSI + 12U, 2), 0x41);
	assert_int_equal(cfg_read(DEV, MSI + 2U, 2), 0x0081);
	cfg_write(DEV, MSI + 4U, 4, 0xFEE05000); /* moved to another CPU while on */
	assert_int_equal(remaps, 2);
	assert_int_equal(remapped.addr, 0xFEE05000);
	cfg_write(DEV, MSI + 16U, 4, 1); /* mask bits are the device's own */
	assert_int_equal(phys(0, MSI + 16U), 1);
	cfg_write(DEV, MSI + 2U, 2, 0);
	assert_int_equal(releases, 1);
	assert_int_equal((phys(0, MSI) >> 16) & 1U, 0);
}

/* The short form, written a byte at a time. */
static void test_msi_32bit(void **state)
{
	(void)state;
	cfg_write(DEV_MSI32, 0x44, 4, 0xFEE00000);
	cfg_write(DEV_MSI32, 0x45, 1, 0x30);
	cfg_write(DEV_MSI32, 0x48, 1, 0x55);
	cfg_write(DEV_MSI32, 0x42, 1, 1);
	assert_int_equal(remapped.addr, 0xFEE03000);
	assert_int_equal(remapped.data, 0x55);
	assert_int_equal(phys(1, 0x44), 0xFEE01000);
	assert_int_equal(phys(1, 0x48) & 0xFFFFU, 0xB0);
	cfg_write(DEV_MSI32, 0x4C, 4, 7); /* behind the capability */
	assert_int_equal(phys(1, 0x4C), 7);
}

/* A message that is none: the device stays off, and the guest reads what it wrote. */
static void test_msi_refused(void **state)
{
	(void)state;
	remap_result = -EINVAL;
	cfg_write(DEV, MSI + 4U, 4, 0x1000);
	cfg_write(DEV, MSI + 2U, 2, 1);
	assert_int_equal((phys(0, MSI) >> 16) & 1U, 0);
	assert_int_equal(phys(0, MSI + 4U), 0);
	assert_int_equal(fake_log_lines, 1);
	assert_int_equal(cfg_read(DEV, MSI + 2U, 2) & 1U, 1);
}

static void table_access(uint64_t offset, uint8_t width, bool write, uint64_t *val)
{
	struct io_access io = {.kind = IO_MMIO, .write = write, .width = width,
			       .addr = (uintptr_t)bar + offset, .value = *val};

	vio_dispatch(test_vcpu(0, 0), &io);
	*val = io.value;
}

static void table_write(uint64_t offset, uint8_t width, uint64_t val)
{
	table_access(offset, width, true, &val);
}

static uint64_t table_read(uint64_t offset, uint8_t width)
{
	uint64_t val = 0;

	table_access(offset, width, false, &val);
	return val;
}

static uint32_t bar_word(uint64_t offset)
{
	uint32_t v;

	memcpy(&v, bar + offset, 4);
	return v;
}

/* MSI-X on: the table leaves the guest's EPT, entries are translated as they are unmasked. */
static void test_msix(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < VECTORS; n++)
		bar[0x80CU + 16U * n] = 1; /* masked, as after reset */
	cfg_write(DEV, MSIX + 2U, 2, 0xC000);
	assert_int_equal(test_ept_unmaps, 1);
	assert_int_equal(test_ept_last, (uintptr_t)bar);
	assert_int_equal(test_ept_flushes, 1);
	assert_int_equal(phys(0, MSIX) >> 16, 0xC000);
	table_write(0x810, 4, 0xFEE02000);
	table_write(0x814, 4, 0);
	table_write(0x818, 4, 0x61);
	assert_int_equal(remaps, 0);
	assert_int_equal(bar_word(0x810), 0);
	table_write(0x81C, 4, 0);
	assert_int_equal(remaps, 1);
	assert_int_equal(remapped.index, 1);
	assert_int_equal(remapped.data, 0x61);
	assert_int_equal(bar_word(0x810), 0xFEE01000);
	assert_int_equal(bar_word(0x818), 0xB1);
	assert_int_equal(bar_word(0x81C), 0);
	assert_int_equal(table_read(0x810, 8), 0xFEE02000);
	assert_int_equal(table_read(0x818, 8), 0x61);
	table_write(0x81C, 4, 1);
	assert_int_equal(bar_word(0x81C), 1);
	cfg_write(DEV, MSIX + 2U, 2, 0x8000); /* the function mask is the guest's to clear */
	assert_int_equal(phys(0, MSIX) >> 16, 0x8000);
	assert_int_equal(test_ept_unmaps, 1);
	/* the rest of the page is the device's; odd accesses to the table are nobody's */
	table_write(0x100, 4, 0x12345678);
	assert_int_equal(bar_word(0x100), 0x12345678);
	assert_int_equal(table_read(0x102, 2), 0x1234);
	assert_int_equal(table_read(0x103, 1), 0x12);
	table_write(0x840, 8, 0x1122334455667788UL);
	assert_int_equal(table_read(0x840, 8), 0x1122334455667788UL);
	table_write(0x812, 2, 0);
	assert_int_equal(table_read(0x810, 4), 0xFEE02000);
	assert_int_equal(table_read(0x811, 1) & 0xFFU, 0xFF);
	/* off again: the guest finds its own values in the table */
	cfg_write(DEV, MSIX + 2U, 2, 0);
	assert_int_equal(releases, 1);
	assert_int_equal(test_ept_maps, 1);
	assert_int_equal(bar_word(0x810), 0xFEE02000);
	assert_int_equal(bar_word(0x818), 0x61);
	table_read(0x810, 4);
	assert_int_equal(test_fallbacks, 1); /* no longer trapped */
}

/* What the guest wrote before it switched MSI-X on counts as well. */
static void test_msix_written_before(void **state)
{
	uint32_t v = 0xFEE03000;

	(void)state;
	memcpy(bar + 0x800, &v, 4);
	bar[0x808] = 0x71;
	for (uint32_t n = 1; n < VECTORS; n++)
		bar[0x80CU + 16U * n] = 1;
	cfg_write(DEV, MSIX + 2U, 2, 0x8000);
	assert_int_equal(remaps, 1);
	assert_int_equal(remapped.addr, 0xFEE03000);
	assert_int_equal(remapped.data, 0x71);
	assert_int_equal(bar_word(0x800), 0xFEE01000);
	cfg_write(DEV, MSIX + 2U, 2, 0);
}

/* Reset of the VM: messages off, the table given back. */
static void test_reset(void **state)
{
	(void)state;
	cfg_write(DEV, MSIX + 2U, 2, 0xC000);
	cfg_write(DEV_MSI32, 0x44, 4, 0xFEE00000);
	cfg_write(DEV_MSI32, 0x42, 2, 1);
	unit_vm_reset(test_vm(0));
	assert_int_equal(phys(0, MSIX) >> 16 & 0x8000U, 0);
	assert_int_equal(phys(1, 0x40) >> 16 & 1U, 0);
	assert_int_equal(releases, 2);
	assert_int_equal(test_ept_maps, 1);
	assert_int_equal(in(test_vcpu(0, 0), 0xCF8, 4), 0);
}

/* More entries than are kept, or a BAR of ports: the capability shows as null. */
static void test_msix_hidden(void **state)
{
	(void)state;
	set_phys(0, MSIX, (CONFIG_MAX_MSIX_TABLE_NUM) << 16 | 0x11U);
	assert_int_equal(cfg_read(DEV, MSIX, 1), 0);
	cfg_write(DEV, MSIX + 2U, 2, 0x8000);
	assert_int_equal(phys(0, MSIX) >> 31, 0);
	assert_int_equal(test_ept_unmaps, 0);
}

static void test_msix_bad_bar(void **state)
{
	(void)state;
	set_phys(0, 0x10, 0xC001);
	cfg_write(DEV, MSIX + 2U, 2, 0x8000);
	assert_int_equal(phys(0, MSIX) >> 31, 0);
	assert_int_equal(test_ept_unmaps, 0);
	assert_int_equal(fake_log_lines, 1);
}

/*
 * What if the guest moves the BAR over its own RAM, the hypervisor's memory or another VM's, where
 * its EPT maps nothing, or where half of the table is? Not a byte there is touched, and it gains no
 * access.
 */
static void test_msix_bar_elsewhere(void **state)
{
	static uint8_t other[4096] __attribute__((aligned(4096)));
	uint64_t places[] = {(uintptr_t)other - 0x800U, (uintptr_t)other,
			     (uintptr_t)test_ram(test_vm(0), 0x10000),
			     (uintptr_t)test_ram(test_vm(1), 0x10000),
			     (uintptr_t)bar + 2U * PAGE_SIZE - 0x820U};

	(void)state;
	memset(other, 0x5A, sizeof(other));
	for (uint32_t i = 0; i < ARRAY_SIZE(places); i++) {
		cfg_write(DEV, 0x10, 4, (uint32_t)places[i] | 4U);
		cfg_write(DEV, 0x14, 4, (uint32_t)(places[i] >> 32));
		cfg_write(DEV, MSIX + 2U, 2, 0x8000);
		assert_int_equal(phys(0, MSIX) >> 31, 0);
		cfg_write(DEV, MSIX + 2U, 2, 0);
	}
	for (uint32_t i = 0; i < sizeof(other); i++)
		assert_int_equal(other[i], 0x5A);
	assert_int_equal(test_ept_maps + test_ept_unmaps + remaps, 0);
	assert_int_equal(test_ram(test_vm(1), 0x10000)[0x80C], 0);
}

/* A list of capabilities that runs in a circle ends. */
static void test_capability_loop(void **state)
{
	(void)state;
	set_phys(1, 0x40, 0x00004009);
	assert_int_equal(cfg_read(DEV_MSI32, 0, 4), 0x70008086);
}

/* More devices than there is room for are hidden, with a line that says so. */
static void test_too_many_devices(void **state)
{
	(void)state;
	for (uint32_t i = 0; i <= CONFIG_MAX_PCI_DEV_NUM; i++) {
		bus[1].bdf = (bdf_t)(0x100U + i);
		assert_int_equal(cfg_read(0x100U + i, 0, 4),
				 i < CONFIG_MAX_PCI_DEV_NUM ? 0x70008086 : 0xFFFFFFFF);
	}
	assert_int_equal(fake_log_lines, 1);
}

static bool given(bdf_t bdf)
{
	return bdf == DEV;
}

/* Does the Service VM see what is a pre-launched VM's? Nothing of it, and it changes nothing. */
static void test_given(void **state)
{
	(void)state;
	pci_given = given;
	assert_int_equal(cfg_read(DEV, 0, 4), UINT32_MAX);
	out(test_vcpu(0, 0), 0xCFC, 4, 0);
	assert_int_equal(phys(0, 0), 0x15338086);
	assert_int_equal(cfg_read(DEV_MSI32, 0, 4), 0x70008086);
	pci_given = NULL;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_latch),	T(test_device_model), T(test_native),
		T(test_msi),	T(test_msi_32bit),    T(test_msi_refused),
		T(test_msix),	T(test_msix_written_before), T(test_reset),
		T(test_msix_hidden), T(test_msix_bad_bar), T(test_msix_bar_elsewhere), T(test_capability_loop),
		T(test_too_many_devices), T(test_given),
	};

	return cmocka_run_group_tests_name("vpci", tests, NULL, NULL);
}
