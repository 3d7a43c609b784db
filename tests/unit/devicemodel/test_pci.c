// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does configuration space behave as the PCI specification says, and can a guest that programs
 * it with anything at all hurt more than itself? The real bus with devices of the test's own.
 */
// links: @machine
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "dm_machine.h"
#include "fake_hsm.h"
#include "gmem.h"
#include "io_space.h"
#include "mmio.h"
#include "pci.h"

#define MEM32 0
#define IO    1
#define MEM64 2

static struct pci_device *in_slot[PCI_SLOTS];
static struct pci_device *dev;

static struct {
	unsigned int reads, writes, deinits, resets;
	unsigned int bar;
	uint64_t offset, value;
} seen;

static uint64_t probe_read(struct pci_device *self, unsigned int bar, uint64_t offset,
			   unsigned int size)
{
	(void)size;
	seen.reads++;
	seen.bar = bar;
	seen.offset = offset;
	return 0x11223344aabbcc00ULL + self->slot;
}

static void probe_write(struct pci_device *self, unsigned int bar, uint64_t offset,
			unsigned int size, uint64_t value)
{
	(void)self;
	(void)size;
	seen.writes++;
	seen.bar = bar;
	seen.offset = offset;
	seen.value = value;
}

static int probe_init(struct pci_device *self, const char *config)
{
	if (config && strcmp(config, "bad") == 0)
		return -EINVAL;
	in_slot[self->slot] = self;
	pci_cfg_set_ids(self, 0x1234, 0x5678, 0x020000, 3);
	pci_cfg_set_subsystem(self, 0x1111, 0x2222);
	assert_int_equal(pci_bar_add(self, MEM32, PCI_BAR_MEM32, 5000, false), 0);
	assert_int_equal(pci_bar_add(self, IO, PCI_BAR_IO, 20, false), 0);
	assert_int_equal(pci_bar_add(self, MEM64, PCI_BAR_MEM64, 0x4000, true), 0);
	assert_true(pci_msix_add(self, MEM64, 0x1000, 70) >= 0x40);
	assert_true(pci_msi_add(self, 4) >= 0x40);
	pci_intx_add(self);
	if (config && strcmp(config, "pcie") == 0)
		assert_true(pci_cap_add_pcie(self) >= 0x40);
	return 0;
}

static void probe_deinit(struct pci_device *self)
{
	(void)self;
	seen.deinits++;
}

static void probe_reset(struct pci_device *self)
{
	(void)self;
	seen.resets++;
}

static const struct pci_ops probe = {
	.name = "probe",
	.init = probe_init,
	.deinit = probe_deinit,
	.reset = probe_reset,
	.bar_read = probe_read,
	.bar_write = probe_write,
};
PCI_DEVICE(probe);

static uint32_t rd(unsigned int slot, unsigned int reg, unsigned int size)
{
	return pci_bus_read(&machine, 0, slot, 0, reg, size);
}

static void wr(unsigned int slot, unsigned int reg, unsigned int size, uint32_t value)
{
	pci_bus_write(&machine, 0, slot, 0, reg, size, value);
}

static int setup(void **state)
{
	(void)state;
	fake_hsm_reset();
	memset(&seen, 0, sizeof(seen));
	machine_create("-s 0,hostbridge -s 3,probe -s 0:4:0,probe,pcie -s 11:0,probe");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	machine_destroy();
	return 0;
}

#define BAR(i) (PCI_BASE_ADDRESS_0 + 4U * (i))

/* What does a guest read that looks around: identity, nothing beyond, and ones where nobody is? */
static void test_look(void **state)
{
	(void)state;
	assert_int_equal(rd(3, PCI_VENDOR_ID, 4), 0x56781234);
	assert_int_equal(rd(3, PCI_CLASS_REVISION, 4), 0x02000003);
	assert_int_equal(rd(3, PCI_SUBSYSTEM_VENDOR_ID, 4), 0x22221111);
	assert_int_equal(rd(3, PCI_DEVICE_ID, 1), 0x78);
	assert_int_equal(rd(3, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(rd(5, 0, 4), 0xffffffff);
	assert_int_equal(rd(5, 0, 1), 0xff);
	assert_int_equal(pci_bus_read(&machine, 0, 3, 1, 0, 4), 0xffffffff);
	assert_int_equal(pci_bus_read(&machine, 1, 3, 0, 0, 4), 0xffffffff);
	assert_int_equal(pci_bus_read(&machine, 255, 255, 255, 0xfffff, 4), 0xffffffff);
	assert_int_equal(rd(3, 1, 2), 0xffff);	       /* not aligned */
	assert_int_equal(rd(3, 0x100, 4), 0xffffffff); /* no PCI Express */
	assert_int_equal(rd(4, 0x100, 4), 0);
	assert_int_equal(io_space_read(machine.mmio, VM_ECAM_BASE + (3 << 15) + 2, 2), 0x5678);
	assert_int_equal(io_space_read(machine.mmio, VM_ECAM_BASE + (3 << 15), 8), UINT64_MAX);
}

/* What if the guest writes what is read-only? */
static void test_read_only(void **state)
{
	(void)state;
	wr(3, PCI_VENDOR_ID, 4, 0);
	wr(3, PCI_CLASS_REVISION, 4, 0);
	wr(3, PCI_STATUS, 2, 0xffff);
	wr(3, PCI_HEADER_TYPE, 1, 0xff);
	wr(3, PCI_ROM_ADDRESS, 4, 0xffffffff);
	wr(3, BAR(5), 4, 0xffffffff);
	assert_int_equal(rd(3, PCI_VENDOR_ID, 4), 0x56781234);
	assert_int_equal(rd(3, PCI_CLASS_REVISION, 4), 0x02000003);
	assert_int_equal(rd(3, PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
	assert_int_equal(rd(3, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(rd(3, PCI_ROM_ADDRESS, 4), 0);
	assert_int_equal(rd(3, BAR(5), 4), 0);
	wr(3, PCI_COMMAND, 2, 0xffff);
	assert_int_equal(rd(3, PCI_COMMAND, 2), 0x547);
}

/* Does the size probe say a power of two, and the type of each BAR? */
static void test_size_probe(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 6; i++)
		wr(3, BAR(i), 4, 0xffffffff);
	assert_int_equal(rd(3, BAR(MEM32), 4), 0xffffe000);
	assert_int_equal(rd(3, BAR(IO), 4), 0xffffffe1);
	assert_int_equal(rd(3, BAR(MEM64), 4), 0xffffc00c);
	assert_int_equal(rd(3, BAR(3), 4), 0xffffffff);
	assert_int_equal(rd(3, BAR(4), 4), 0);
}

/* Do BARs answer only while decoding is on, and where they are programmed to be? */
static void test_decode(void **state)
{
	uint64_t mem = rd(3, BAR(MEM32), 4);
	uint16_t io = rd(3, BAR(IO), 4) & 0xfffc;

	(void)state;
	assert_int_equal(io_space_read(machine.mmio, mem, 4), 0xffffffff);
	wr(3, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(io_space_read(machine.mmio, mem + 0x1ffc, 4), 0xaabbcc03);
	assert_int_equal(seen.offset, 0x1ffc);
	assert_int_equal(machine_in(io, 4), 0xffffffff);
	wr(3, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
	assert_int_equal(machine_in(io, 4), 0xaabbcc03);
	assert_int_equal(seen.bar, IO);

	wr(3, BAR(MEM32), 4, 0x90000000);
	assert_int_equal(io_space_read(machine.mmio, mem, 4), 0xffffffff);
	assert_int_equal(io_space_read(machine.mmio, 0x90000000, 4), 0xaabbcc03);
	wr(3, BAR(MEM64), 4, 0xc0004000);
	wr(3, BAR(3), 4, 0x41);
	assert_true(io_space_read(machine.mmio, 0x41c0004000, 8) == 0x11223344aabbcc03);
	io_space_write(machine.mmio, 0x41c0004008, 2, 0xffff1234);
	assert_int_equal(seen.value, 0x1234);
	assert_int_equal(seen.bar, MEM64);
	assert_int_equal(seen.offset, 8);
	wr(3, PCI_COMMAND, 2, 0);
	assert_int_equal(io_space_read(machine.mmio, 0x90000000, 4), 0xffffffff);
}

/* What if the guest writes a BAR byte by byte? */
static void test_partial_write(void **state)
{
	(void)state;
	wr(3, BAR(MEM32), 4, 0x90000000);
	wr(3, BAR(MEM32) + 3, 1, 0xa0);
	wr(3, BAR(MEM32) + 2, 2, 0xa012);
	wr(3, BAR(MEM32), 1, 0xff);
	assert_int_equal(rd(3, BAR(MEM32), 4), 0xa0120000);
}

/*
 * What if the guest puts a BAR onto RAM, ECAM or another device? It answers nowhere then, the
 * other keeps working, and it appears when the other has gone.
 */
static void test_hostile_address(void **state)
{
	static const uint32_t taken[] = {0, 0x1000, 0xff0000, VM_ECAM_BASE, VM_ECAM_BASE + 0x8000};
	uint32_t other = rd(4, BAR(MEM32), 4);

	(void)state;
	wr(3, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	wr(4, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		wr(3, BAR(MEM32), 4, taken[i]);
		seen.reads = 0;
		assert_true(io_space_read(machine.mmio, VM_ECAM_BASE, 4) == 0x12751275);
		assert_int_equal(seen.reads, 0);
	}
	wr(3, BAR(MEM32), 4, other);
	assert_int_equal(io_space_read(machine.mmio, other, 4), 0xaabbcc04);
	wr(4, BAR(MEM32), 4, 0x90000000);
	assert_int_equal(io_space_read(machine.mmio, other, 4), 0xaabbcc03);
	assert_int_equal(io_space_read(machine.mmio, 0x90000000, 4), 0xaabbcc04);
	/* Beyond any processor's addresses. */
	wr(3, BAR(3), 4, 0xffffffff);
	wr(3, BAR(MEM64), 4, 0xffffffff);
	assert_true(io_space_read(machine.mmio, 0xffffffffffffc000, 4) == 0xffffffff);
	wr(3, BAR(3), 4, 0x41);
	assert_int_equal(io_space_read(machine.mmio, 0x41ffffc000, 4), 0xaabbcc03);
}

/* What if an I/O BAR is put beyond the 64K ports? */
static void test_io_beyond(void **state)
{
	(void)state;
	wr(3, PCI_COMMAND, 2, PCI_COMMAND_IO);
	wr(3, BAR(IO), 4, 0xffffffff);
	assert_int_equal(machine_in(0xffe0, 4), 0xffffffff);
	wr(3, BAR(IO), 4, 0xffe0);
	assert_int_equal(machine_in(0xffe0, 4), 0xaabbcc03);
}

static unsigned int find_cap(unsigned int slot, uint8_t id)
{
	unsigned int at = rd(slot, PCI_CAPABILITY_LIST, 1);

	for (int i = 0; at && i < 48; i++) {
		if (rd(slot, at, 1) == id)
			return at;
		at = rd(slot, at + 1, 1);
	}
	return 0;
}

/* Is each capability found by walking the list, and can the guest not bend the list? */
static void test_capabilities(void **state)
{
	unsigned int msix = find_cap(4, PCI_CAP_ID_MSIX);

	(void)state;
	assert_true(msix && find_cap(4, PCI_CAP_ID_MSI) && find_cap(4, PCI_CAP_ID_EXP));
	assert_false(find_cap(3, PCI_CAP_ID_EXP));
	wr(4, msix, 2, 0);
	assert_int_equal(rd(4, msix, 1), PCI_CAP_ID_MSIX);
	assert_int_equal(rd(4, msix + PCI_MSIX_FLAGS, 2), 69);
	assert_int_equal(rd(4, msix + PCI_MSIX_TABLE, 4), 0x1000 | MEM64);
	assert_int_equal(rd(4, msix + PCI_MSIX_PBA, 4), (0x1000 + 70 * 16) | MEM64);
}

static uint64_t table_at(unsigned int vector)
{
	return 0x41c0000000ULL + 0x1000 + 16 * vector;
}

static void enable_msix(uint16_t flags)
{
	wr(3, BAR(MEM64), 4, 0xc0000000);
	wr(3, BAR(3), 4, 0x41);
	wr(3, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	wr(3, find_cap(3, PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS, 2, flags);
}

static void set_vector(unsigned int vector, uint64_t addr, uint32_t data, uint32_t ctrl)
{
	io_space_write(machine.mmio, table_at(vector), 8, addr);
	io_space_write(machine.mmio, table_at(vector) + 8, 4, data);
	io_space_write(machine.mmio, table_at(vector) + 12, 4, ctrl);
}

/* Do MSI-X vectors go out with the guest's message, wait while masked, and come once unmasked? */
static void test_msix(void **state)
{
	(void)state;
	dev = in_slot[3];
	enable_msix(PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(io_space_read(machine.mmio, table_at(69) + 12, 4), 1);
	set_vector(69, 0xfee01000, 0x41, 0);
	pci_msix_notify(dev, 69);
	assert_int_equal(fake_hsm.msis, 1);
	assert_true(fake_hsm.msi[0].msi_addr == 0xfee01000 && fake_hsm.msi[0].msi_data == 0x41);

	set_vector(69, 0xfee02000, 0x42, 1);
	pci_msix_notify(dev, 69);
	pci_msix_notify(dev, 69);
	assert_int_equal(fake_hsm.msis, 1);
	assert_true(io_space_read(machine.mmio, table_at(70) + 8, 8) == 1ULL << 5);
	io_space_write(machine.mmio, table_at(70) + 8, 8, 0); /* pending bits are read-only */
	io_space_write(machine.mmio, table_at(69) + 12, 4, 0);
	assert_int_equal(fake_hsm.msis, 2);
	assert_true(fake_hsm.msi[1].msi_addr == 0xfee02000);
	assert_true(io_space_read(machine.mmio, table_at(70) + 8, 8) == 0);

	wr(3, find_cap(3, PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS, 2,
	   PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	pci_msix_notify(dev, 69);
	assert_int_equal(fake_hsm.msis, 2);
	wr(3, find_cap(3, PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(fake_hsm.msis, 3);
}

/* What if MSI-X is off, the vector does not exist, or the message is no interrupt? */
static void test_msix_refused(void **state)
{
	uint64_t addr;
	uint32_t data;

	(void)state;
	dev = in_slot[3];
	enable_msix(0);
	assert_false(pci_msix_enabled(dev));
	pci_msix_notify(dev, 0);
	assert_false(pci_msix_message(dev, 0, &addr, &data));
	enable_msix(PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(fake_hsm.msis, 0);
	pci_msix_notify(dev, 70);
	pci_msix_notify(dev, UINT32_MAX);
	set_vector(0, 0x1000, 0x41, 0);
	pci_msix_notify(dev, 0);
	set_vector(0, 0x1fee00000, 0x41, 0);
	pci_msix_notify(dev, 0);
	assert_int_equal(fake_hsm.msis, 0);
	set_vector(0, 0xfee00000, 0x43, 0);
	assert_true(pci_msix_message(dev, 0, &addr, &data));
	assert_true(addr == 0xfee00000 && data == 0x43);
	/* The last entry and the first pending word meet here. */
	io_space_write(machine.mmio, table_at(70) - 4, 8, UINT64_MAX);
	assert_true(io_space_read(machine.mmio, table_at(69) + 8, 4) == 0);
}

/* Does MSI send the vectors the guest enabled, and none beyond? */
static void test_msi(void **state)
{
	unsigned int cap = find_cap(3, PCI_CAP_ID_MSI);

	(void)state;
	dev = in_slot[3];
	pci_msi_notify(dev, 0);
	assert_int_equal(fake_hsm.msis, 0);
	wr(3, cap + PCI_MSI_ADDRESS_LO, 4, 0xfee03003);
	assert_int_equal(rd(3, cap + PCI_MSI_ADDRESS_LO, 4), 0xfee03000);
	wr(3, cap + PCI_MSI_DATA_64, 2, 0x4057);
	wr(3, cap + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE | 1 << 4);
	assert_int_equal(rd(3, cap + PCI_MSI_FLAGS, 2), PCI_MSI_FLAGS_64BIT | 2 << 1 | 1 << 4 | 1);
	pci_msi_notify(dev, 0);
	assert_true(fake_hsm.msi[0].msi_addr == 0xfee03000 && fake_hsm.msi[0].msi_data == 0x4056);
	pci_msi_notify(dev, 2);
	assert_int_equal(fake_hsm.msis, 1);
	/* More vectors than the device has. */
	wr(3, cap + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE | 7 << 4);
	pci_msi_notify(dev, 3);
	pci_msi_notify(dev, 4);
	assert_int_equal(fake_hsm.msis, 2);
	assert_int_equal(fake_hsm.msi[1].msi_data, 0x4057);
}

/* Is a line that two functions share high while either drives it, and does DISABLE let go? */
static void test_intx(void **state)
{
	unsigned int gsi = pci_intx_gsi(3, 1);
	struct pci_device *other;

	(void)state;
	dev = in_slot[3];
	assert_int_equal(rd(3, PCI_INTERRUPT_PIN, 1), 1);
	assert_int_equal(rd(3, PCI_INTERRUPT_LINE, 1), gsi);
	assert_int_equal(gsi, pci_intx_gsi(11, 1));
	other = in_slot[11];
	pci_intx_set(dev, true);
	pci_intx_set(dev, true);
	assert_true(fake_hsm.line[gsi]);
	assert_true(rd(3, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	wr(3, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
	assert_false(fake_hsm.line[gsi]);
	wr(3, PCI_COMMAND, 2, 0);
	assert_true(fake_hsm.line[gsi]);
	assert_int_equal(fake_hsm.rises[gsi], 2);
	pci_intx_set(other, true);
	pci_intx_set(dev, false);
	assert_true(fake_hsm.line[gsi]);
	pci_intx_set(other, false);
	assert_false(fake_hsm.line[gsi]);
	assert_false(rd(3, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
}

/* What if the guest turns messages on while the line is high? It falls: a function has one or the
 * other. */
static void test_intx_or_messages(void **state)
{
	unsigned int gsi = pci_intx_gsi(3, 1);
	const unsigned int caps[] = {in_slot[3]->msi_cap + PCI_MSI_FLAGS,
				     in_slot[3]->msix_cap + PCI_MSIX_FLAGS};
	const uint16_t on[] = {PCI_MSI_FLAGS_ENABLE, PCI_MSIX_FLAGS_ENABLE};

	(void)state;
	dev = in_slot[3];
	pci_intx_set(dev, true);
	for (unsigned int i = 0; i < 2; i++) {
		assert_true(fake_hsm.line[gsi]);
		wr(3, caps[i], 2, on[i]);
		assert_false(fake_hsm.line[gsi]);
		/* It is the device's level all the same. */
		assert_true(rd(3, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
		wr(3, caps[i], 2, 0);
		assert_true(fake_hsm.line[gsi]);
	}
	pci_intx_set(dev, false);
	assert_false(fake_hsm.line[gsi]);
}

/* Does a reset restore what the guest found at first, and tell the devices? */
static void test_reset(void **state)
{
	uint32_t bar = rd(3, BAR(MEM32), 4);

	(void)state;
	dev = in_slot[3];
	enable_msix(PCI_MSIX_FLAGS_ENABLE);
	wr(3, BAR(MEM32), 4, 0x90000000);
	set_vector(0, 0xfee00000, 0x43, 0);
	pci_intx_set(dev, true);
	pci_bus_reset(&machine);
	assert_int_equal(seen.resets, 3);
	assert_int_equal(rd(3, BAR(MEM32), 4), bar);
	assert_int_equal(rd(3, PCI_COMMAND, 2), 0);
	assert_int_equal(io_space_read(machine.mmio, 0x90000000, 4), 0xffffffff);
	assert_false(pci_msix_enabled(dev));
	assert_false(fake_hsm.line[pci_intx_gsi(3, 1)]);
	enable_msix(PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(io_space_read(machine.mmio, table_at(0) + 12, 4), 1);
}

/* What if a device asks for more than there is? */
static void test_init_limits(void **state)
{
	(void)state;
	dev = in_slot[3];
	assert_int_equal(pci_bar_add(dev, MEM32, PCI_BAR_MEM32, 4096, false), -EBUSY);
	assert_int_equal(pci_bar_add(dev, 3, PCI_BAR_MEM32, 4096, false), -EBUSY);
	assert_int_equal(pci_bar_add(dev, 6, PCI_BAR_MEM32, 4096, false), -EINVAL);
	assert_int_equal(pci_bar_add(dev, 5, PCI_BAR_MEM64, 4096, false), -EINVAL);
	assert_int_equal(pci_bar_add(dev, 4, PCI_BAR_MEM32, 0, false), -EINVAL);
	assert_int_equal(pci_bar_add(dev, 4, PCI_BAR_MEM32, 0x80000000, false), -ENOSPC);
	assert_int_equal(pci_bar_add(dev, 4, PCI_BAR_IO, 0x10000, false), -ENOSPC);
	assert_int_equal(pci_bar_add(dev, 4, PCI_BAR_MEM64, 0x1000, false), 0);
	assert_int_equal(pci_msix_add(dev, 4, 0x1000, 1), -EINVAL);
	assert_int_equal(pci_msix_add(dev, 4, 0x4, 1), -EINVAL);
	assert_int_equal(pci_msix_add(dev, 4, 0, 0), -EINVAL);
	assert_int_equal(pci_msix_add(dev, 4, 0, 256), -EINVAL);
	assert_int_equal(pci_msi_add(dev, 33), -EINVAL);
	assert_int_equal(pci_cap_add(dev, PCI_CAP_ID_VNDR, 1), -ENOSPC);
	assert_int_equal(pci_cap_add(dev, PCI_CAP_ID_VNDR, 200), -ENOSPC);
	while (pci_cap_add(dev, PCI_CAP_ID_VNDR, 16) >= 0)
		;
	assert_in_range(dev->cap_end, 0xf0, 0x100);
}

/* What if one device of several refuses: are those before it undone? */
static void test_init_fails(void **state)
{
	(void)state;
	vm_destroy(&machine);
	machine.cfg.slots[3].config = "bad";
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(vm_create(&machine), -EINVAL);
	assert_int_equal(seen.deinits, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_look, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_only, setup, teardown),
		cmocka_unit_test_setup_teardown(test_size_probe, setup, teardown),
		cmocka_unit_test_setup_teardown(test_decode, setup, teardown),
		cmocka_unit_test_setup_teardown(test_partial_write, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_address, setup, teardown),
		cmocka_unit_test_setup_teardown(test_io_beyond, setup, teardown),
		cmocka_unit_test_setup_teardown(test_capabilities, setup, teardown),
		cmocka_unit_test_setup_teardown(test_msix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_msix_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_msi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_intx, setup, teardown),
		cmocka_unit_test_setup_teardown(test_intx_or_messages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_init_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_init_fails, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
