// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: hypervisor/vpci/vpci.c hypervisor/vpci/func/vpci_pt.c hypervisor/vpci/func/vmsi.c
// fuzzes: hypervisor/vpci/func/vmsix.c hypervisor/vpci/pci.c
// links: @machine @guest
/*
 * Any device, and any use of its configuration space and of its MSI-X table by the VM that owns it:
 * is memory touched that is not the device's? Input: the device's first 256 registers, then
 * accesses. The device keeps whatever is written to it, so that BARs and capabilities move.
 */
#include <stdlib.h>
#include <string.h>

#include "guest_machine.h"
#include "hv/vpci.h"

#include "fuzz.h"

#define DEV 0x0018U

static uint8_t cfg[256];
static uint32_t phys_latch;
static uint8_t *bar; /* two pages of the device */

static uint32_t bus_io(uint16_t port, uint32_t width, bool write, uint32_t val)
{
	uint32_t at = (phys_latch & 0xFCU) | (port & 3U), v = UINT32_MAX;

	if (port == 0xCF8U) {
		phys_latch = val;
		return 0;
	}
	assert_true(at + width <= sizeof(cfg) && (phys_latch & BIT32(31)) != 0U);
	if (((phys_latch >> 8) & 0xFFFFU) != DEV)
		return v;
	if (write)
		memcpy(&cfg[at], &val, width);
	else
		memcpy(&v, &cfg[at], width);
	return v;
}

static int msi_remap(struct vm *vm, uint16_t bdf, uint16_t index, uint64_t addr, uint32_t data,
		     uint64_t *out_addr, uint32_t *out_data)
{
	assert_ptr_equal(vm, test_vm(0));
	assert_int_equal(bdf, DEV);
	*out_addr = 0xFEE01000UL;
	*out_data = 0xB0U + index;
	return (addr >> 20) == 0xFEEU && (data & 0xFFU) >= 16U ? 0 : -EINVAL;
}

static void msi_release(struct vm *vm, uint16_t bdf)
{
	(void)vm;
	(void)bdf;
}

static void access_io(int kind, bool write, uint8_t width, uint64_t addr, uint64_t value)
{
	struct io_access io = {.kind = (enum io_kind)kind,
			       .write = write,
			       .width = width,
			       .addr = addr,
			       .value = value};

	vio_dispatch(test_vcpu(0, 0), &io);
}

static void bar_in_place(uint32_t reg)
{
	uint64_t v = (uintptr_t)bar | 4U;

	memcpy(&cfg[reg], &v, sizeof(v));
}

static void step(struct fuzz *in)
{
	uint8_t what = (uint8_t)fuzz_take(in, 1), width = (uint8_t)(1U << (what >> 3 & 3));
	uint16_t at = (uint16_t)fuzz_take(in, 2);
	uint64_t value = fuzz_take(in, width);

	switch (what & 7) {
	case 0:
		access_io(IO_PIO, true, 4, 0xCF8, value);
		break;
	case 1:
	case 2:
		access_io(IO_PIO, true, 4, 0xCF8, BIT32(31) | DEV << 8 | (at & 0xFCU));
		access_io(IO_PIO, (what & 1) != 0, width > 4 ? 4 : width, 0xCFCU + (at & 3U),
			  value);
		break;
	case 3:
		access_io(IO_PIO, (at & 8) != 0, width > 4 ? 4 : width, 0xCF8U + (at & 7U), value);
		break;
	case 4:
		bar_in_place(0x10U + (at % 5U) * 4U);
		break;
	case 5:
		unit_vm_reset(test_vm(0));
		break;
	default:
		access_io(IO_MMIO, (what & 1) != 0, width, (uintptr_t)bar + at % 0x1FF8U, value);
	}
}

static void start(void)
{
	static const struct msi_ops ops = {.remap = msi_remap, .release = msi_release};

	guest_start(NULL);
	fake_pio_hook(0xCF8, 8, bus_io);
	test_vm(0)->msi_ops = &ops;
	bar = aligned_alloc(PAGE_SIZE, 2U * PAGE_SIZE);
	test_device = (uintptr_t)bar;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = {data, size};

	if (bar == NULL)
		start();
	memset(cfg, 0, sizeof(cfg));
	memcpy(cfg, data, size < sizeof(cfg) ? size : sizeof(cfg));
	in.data += size < sizeof(cfg) ? size : sizeof(cfg);
	in.left -= size < sizeof(cfg) ? size : sizeof(cfg);
	memset(bar, 0, 2U * PAGE_SIZE);
	while (in.left != 0)
		step(&in);
	unit_vm_deinit(test_vm(0));
	assert_int_equal(unit_vm_init(test_vm(0)), 0);
	return 0;
}
