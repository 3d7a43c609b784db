// SPDX-License-Identifier: BSD-3-Clause
/*
 * PCI functions that the hypervisor emulates, as their guests use and misuse them: configuration
 * space, BARs that move over all sorts of addresses, shared memory, MSI-X. Over the real EPTs of a
 * Service VM (1:1, RAM below 256 MB, the hypervisor at 256 MB) and of a User VM (RAM below 64 MB).
 */
// links: hypervisor/vpci/vfunc.c hypervisor/vpci/vfunc_msix.c hypervisor/vpci/vpci.c
// links: hypervisor/vpci/vpci_pt.c hypervisor/vpci/pci.c hypervisor/vpci/vmsi.c hypervisor/vpci/vmsix.c
// links: hypervisor/guest/unit.c hypervisor/guest/vio.c hypervisor/guest/gmem.c
// links: hypervisor/arch/x86/vmx/ept.c hypervisor/arch/x86/mm/pgtable.c @machine
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "asm/vmx.h"
#include "fake_machine.h"
#include "hv/acpi.h"
#include "hv/caps.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vfunc.h"
#include "hv/vintr.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "hv/vmcs.h"
#include "lib/errno.h"

#define RAM	 MB(256)
#define USER_RAM MB(64)
#define HOLE	 0xC0000000UL
#define SHARE	 MB(4)
#define BDF	 0x28U /* 00:05.0 */
#define BAR_TRAP 0x10U
#define BAR_MSIX 0x14U
#define BAR_MEM	 0x18U
#define WB_SHARE (EPT_READ | EPT_WRITE | EPT_MT_WB | EPT_IPAT)

static struct vm service, user;
static struct vcpu service_cpu, user_cpu;
static uint8_t *share;
struct acpi_facts acpi_facts;
struct e820 host_e820;

static struct {
	uint32_t inits, resets, deinits, accesses, bar;
	uint64_t offset;
	struct io_access io;
	struct vfunc *f;
	int result;
} seen;

static struct {
	uint32_t count;
	struct vm *vm;
	uint64_t addr;
	uint32_t data;
} msi;

static struct vintr_ops ops;

static int fn_init(struct vfunc *f, const struct vfunc_args *args)
{
	(void)args;
	seen.inits++;
	seen.f = f;
	vfunc_bar_trap(f, 0, PAGE_SIZE);
	vfunc_msix(f, 1, 4);
	vfunc_bar_memory(f, 2, SHARE, ptr_hpa(share));
	vfunc_set_priv(f, &seen);
	return seen.result;
}

static void fn_reset(struct vfunc *f)
{
	assert_ptr_equal(vfunc_priv(f), &seen);
	seen.resets++;
}

static void fn_deinit(struct vfunc *f)
{
	assert_ptr_equal(vfunc_priv(f), &seen);
	seen.deinits++;
}

static void fn_access(struct vfunc *f, uint32_t bar, uint64_t offset, struct io_access *io)
{
	(void)f;
	seen.accesses++;
	seen.bar = bar;
	seen.offset = offset;
	seen.io = *io;
	if (!io->write)
		io->value = 0x1234;
}

VFUNC(test, .name = "test", .vendor = 0x1AF4, .device = 0x10F0, .sub_vendor = 1, .sub_device = 2,
      .class_rev = 0x05000001, .init = fn_init, .reset = fn_reset, .deinit = fn_deinit,
      .access = fn_access);

/* --- what lies below --- */

bool cap_has(enum cpu_cap cap)
{
	(void)cap;
	return true;
}

void vmx_invept(uint64_t eptp)
{
	(void)eptp;
}

void smp_call(struct pcpu *p, void (*fn)(void *arg), void *arg)
{
	(void)p;
	fn(arg);
}

bool e820_is_ram(const struct e820 *map, uint64_t base, uint64_t size)
{
	(void)map;
	(void)base;
	(void)size;
	return false;
}

uint64_t e820_top(const struct e820 *map)
{
	(void)map;
	return GB(4);
}

void hostmm_map_uc(hpa_t base, size_t size)
{
	(void)base;
	(void)size;
}

int vintr_msi(struct vm *vm, uint64_t addr, uint32_t data)
{
	msi.count++;
	msi.vm = vm;
	msi.addr = addr;
	msi.data = data;
	return 0;
}

/* The machine has functions at 00:00.0, 00:1f.3 and 00:1e.7. */
static uint32_t phys_latch;

static uint32_t bus_io(uint16_t port, uint32_t width, bool write, uint32_t val)
{
	uint32_t bdf = (phys_latch >> 8) & 0xFFFFU;

	(void)width;
	if (port == 0xCF8U) {
		phys_latch = val;
		return 0;
	}
	assert_false(write);
	return (bdf == 0 || bdf == 0xFB || bdf == 0xF7) ? 0x12378086U : UINT32_MAX;
}

static void fallback(struct vcpu *vcpu, struct io_access *io)
{
	(void)vcpu;
	io->value = 0xDEADBEEF;
}

static void vm_make(struct vm *vm, struct vcpu *cpu, enum vm_load_order order)
{
	memset(vm, 0, sizeof(*vm));
	memset(cpu, 0, sizeof(*cpu));
	strcpy(vm->name, order == SERVICE_VM ? "service" : "user");
	vm->load_order = order;
	vm->vintr = &ops;
	vm->io_fallback = fallback;
	cpu->vm = vm;
	assert_int_equal(ept_init(&vm->ept), 0);
	assert_int_equal(unit_vm_init(vm), 0);
	vm->ept.cpus = 1;
}

static int setup(void **state)
{
	(void)state;
	fake_machine_reset();
	fake_pio_hook(0xCF8, 8, bus_io);
	memset(&seen, 0, sizeof(seen));
	memset(&msi, 0, sizeof(msi));
	share = aligned_alloc(PAGE_SIZE_2M, SHARE);
	memset(share, 0, SHARE);
	assert_int_equal(unit_boot(), 0);
	vm_make(&service, &service_cpu, SERVICE_VM);
	assert_int_equal(ept_map(&service.ept, GPA(0), HPA(0), GB(512), EPT_RWX | EPT_MT_UC), 0);
	assert_int_equal(ept_map(&service.ept, GPA(0), HPA(0), RAM, EPT_RWX | EPT_MT_WB), 0);
	assert_int_equal(ept_unmap(&service.ept, GPA(RAM), MB(16)), 0);
	vm_make(&user, &user_cpu, POST_LAUNCHED_VM);
	assert_int_equal(ept_map(&user.ept, GPA(0), HPA(MB(64)), USER_RAM, EPT_RWX | EPT_MT_WB), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unit_vm_deinit(&user);
	ept_destroy(&user.ept);
	unit_vm_deinit(&service);
	ept_destroy(&service.ept);
	assert_int_equal(page_pool.used, 0);
	assert_int_equal(seen.inits - seen.deinits, seen.result != 0 ? seen.inits : 0);
	free(share);
	return 0;
}

static struct io_access go(struct vm *vm, struct io_access io)
{
	vio_dispatch(vm == &service ? &service_cpu : &user_cpu, &io);
	return io;
}

static void cfg_write(struct vm *vm, uint32_t reg, uint8_t width, uint32_t val)
{
	(void)go(vm, (struct io_access){IO_PIO, true, 4, 0xCF8, BIT32(31) | BDF << 8 | (reg & 0xFCU)});
	(void)go(vm, (struct io_access){IO_PIO, true, width, 0xCFCU + (reg & 3U), val});
}

static uint32_t cfg_read(struct vm *vm, uint32_t reg, uint8_t width)
{
	struct io_access io;

	(void)go(vm, (struct io_access){IO_PIO, true, 4, 0xCF8, BIT32(31) | BDF << 8 | (reg & 0xFCU)});
	io = go(vm, (struct io_access){IO_PIO, false, width, 0xCFCU + (reg & 3U), 0});
	return (uint32_t)(width == 4U ? io.value : io.value & (BIT(width * 8U) - 1U));
}

static uint64_t mem_read(struct vm *vm, uint64_t at, uint8_t width)
{
	return go(vm, (struct io_access){IO_MMIO, false, width, at, 0}).value;
}

static void mem_write(struct vm *vm, uint64_t at, uint8_t width, uint64_t val)
{
	(void)go(vm, (struct io_access){IO_MMIO, true, width, at, val});
}

/* What is mapped at gpa: 0 nothing, else attributes; *hpa where. */
static uint64_t mapped(struct vm *vm, uint64_t gpa, uint64_t *hpa)
{
	uint64_t attr;
	hpa_t at;

	if (ept_lookup(&vm->ept, GPA(gpa), &at, NULL, &attr) != 0)
		return 0;
	if (hpa)
		*hpa = at.v;
	return attr;
}

static bool sees_share(struct vm *vm, uint64_t gpa)
{
	uint64_t hpa = 0, last = 0;

	return mapped(vm, gpa, &hpa) == WB_SHARE && hpa == ptr_hpa(share).v &&
	       mapped(vm, gpa + SHARE - 1U, &last) == WB_SHARE && last == hpa + SHARE - 1U;
}

static bool is_identity(struct vm *vm, uint64_t gpa)
{
	uint64_t hpa = 0;

	return mapped(vm, gpa, &hpa) == (EPT_RWX | EPT_MT_UC) && hpa == gpa;
}

static void make(struct vm *vm)
{
	assert_int_equal(vfunc_create(vm, vfunc_type_find(0x1AF4, 0x10F0), BDF, NULL), 0);
}

static void place(struct vm *vm, uint64_t at)
{
	cfg_write(vm, 4, 2, 0);
	cfg_write(vm, BAR_TRAP, 4, (uint32_t)at);
	cfg_write(vm, BAR_MSIX, 4, (uint32_t)at + 0x1000U);
	cfg_write(vm, BAR_MEM, 4, (uint32_t)at + 0x1000000U);
	cfg_write(vm, BAR_MEM + 4U, 4, (uint32_t)(at >> 32));
	cfg_write(vm, 4, 2, 6);
}

/* Does a driver find identity, sizes and the capability, and can it write only what it may? */
static void test_config(void **state)
{
	(void)state;
	assert_int_equal(cfg_read(&user, 0, 4), 0xDEADBEEF); /* the device model's */
	make(&user);
	assert_int_equal(cfg_read(&user, 0, 4), 0x10F01AF4);
	assert_int_equal(cfg_read(&user, 2, 2), 0x10F0);
	assert_int_equal(cfg_read(&user, 0x0B, 1), 5);
	assert_int_equal(cfg_read(&user, 0x2C, 4), 0x00020001);
	assert_int_equal(cfg_read(&user, 4, 4), 0x00100000);
	assert_int_equal(cfg_read(&user, 0x34, 1), 0x40);
	assert_int_equal(cfg_read(&user, 0x40, 4), 0x00030011);
	assert_int_equal(cfg_read(&user, 0x44, 4), 1);
	assert_int_equal(cfg_read(&user, 0x48, 4), 0x801);
	for (uint32_t reg = 0; reg < 256U; reg += 4U) {
		cfg_write(&user, reg, 4, 0xFFFFFFFF);
		cfg_write(&user, reg, 4, reg == 4U ? 0 : 0xFFFFFFFF);
	}
	assert_int_equal(cfg_read(&user, 0, 4), 0x10F01AF4);
	assert_int_equal(cfg_read(&user, 4, 4), 0x00100000);
	assert_int_equal(cfg_read(&user, 8, 4), 0x05000001);
	assert_int_equal(cfg_read(&user, 0x0C, 4), 0);
	assert_int_equal(cfg_read(&user, BAR_TRAP, 4), 0xFFFFF000);
	assert_int_equal(cfg_read(&user, BAR_MSIX, 4), 0xFFFFF000);
	assert_int_equal(cfg_read(&user, BAR_MEM, 4), 0xFFC0000C);
	assert_int_equal(cfg_read(&user, BAR_MEM + 4, 4), 0xFFFFFFFF);
	assert_int_equal(cfg_read(&user, 0x20, 4), 0);
	assert_int_equal(cfg_read(&user, 0x24, 4), 0);
	assert_int_equal(cfg_read(&user, 0x30, 4), 0);
	assert_int_equal(cfg_read(&user, 0x3C, 4), 0xFF);
	assert_int_equal(cfg_read(&user, 0x40, 4), 0xC0030011);
	cfg_write(&user, 0x43, 1, 0);
	assert_int_equal(cfg_read(&user, 0x40, 4), 0x00030011);
	assert_int_equal(seen.accesses, 0);
}

/* Do accesses reach the function, and the memory appear, where the guest puts the BARs? */
static void test_bars(void **state)
{
	struct vm *const vm[] = {&user, &service};

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		make(vm[i]);
		place(vm[i], HOLE);
		assert_int_equal(mem_read(vm[i], HOLE + 8, 4), 0x1234);
		assert_int_equal(seen.offset, 8);
		assert_int_equal(seen.bar, 0);
		mem_write(vm[i], HOLE + 0xFF8, 8, 7);
		assert_true(seen.io.write && seen.io.value == 7 && seen.offset == 0xFF8);
		assert_int_equal(mapped(vm[i], HOLE, NULL), 0); /* it exits */
		assert_true(sees_share(vm[i], HOLE + 0x1000000));
		assert_true(vfunc_shares(vm[i], GPA(HOLE + 0x1001000), ptr_hpa(share + 0x1000), PAGE_SIZE));
		assert_false(vfunc_shares(vm[i], GPA(HOLE + 0x1001000), ptr_hpa(share), PAGE_SIZE));
		assert_false(vfunc_shares(vm[i], GPA(HOLE + 0x1000000), ptr_hpa(share), SHARE + PAGE_SIZE));
		/* moved */
		place(vm[i], HOLE + 0x4000000);
		assert_true(sees_share(vm[i], HOLE + 0x5000000));
		assert_false(sees_share(vm[i], HOLE + 0x1000000));
		assert_int_equal(mem_read(vm[i], HOLE + 0x4000000, 4), 0x1234);
		assert_int_equal(mem_read(vm[i], HOLE, 4), 0xDEADBEEF);
		/* above 4 GB, and off */
		place(vm[i], GB(64));
		assert_true(sees_share(vm[i], GB(64) + 0x1000000));
		cfg_write(vm[i], 4, 2, 0);
		assert_false(sees_share(vm[i], GB(64) + 0x1000000));
		assert_false(vfunc_shares(vm[i], GPA(GB(64) + 0x1000000), ptr_hpa(share), PAGE_SIZE));
	}
	for (uint64_t at = HOLE; at < HOLE + MB(128); at += 0x1000) {
		assert_true(is_identity(&service, at)); /* as it was */
		assert_int_equal(mapped(&user, at, NULL), 0);
	}
	assert_true(is_identity(&service, GB(64) + 0x1000000));
}

/* Is a BAR silent over RAM, the hypervisor, another function, and where addresses end? */
static void test_hostile_places(void **state)
{
	static const uint64_t bad[] = {
		0, RAM - SHARE, RAM, RAM + MB(12), GB(512), 1UL << 48,
		UINT64_MAX - SHARE + 1U, 0xFFFFFFFFFF000000UL, HOLE + 0x1000000U,
	};

	(void)state;
	make(&service);
	make(&user);
	assert_int_equal(vfunc_create(&service, vfunc_type_find(0x1AF4, 0x10F0), BDF + 8, NULL), 0);
	place(&service, HOLE); /* the one in the way */
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint64_t before[2] = {mapped(&service, bad[i], NULL), mapped(&user, bad[i], NULL)};
		uint32_t to = BIT32(31) | (BDF + 8U) << 8;

		for (uint32_t reg = BAR_TRAP; reg <= BAR_MEM + 4U; reg += 4U) {
			uint32_t val = (uint32_t)(reg == BAR_MEM + 4U ? bad[i] >> 32 : bad[i]);

			(void)go(&service, (struct io_access){IO_PIO, true, 4, 0xCF8, to | reg});
			(void)go(&service, (struct io_access){IO_PIO, true, 4, 0xCFC, val});
		}
		(void)go(&service, (struct io_access){IO_PIO, true, 4, 0xCF8, to | 4U});
		(void)go(&service, (struct io_access){IO_PIO, true, 2, 0xCFC, 2});
		assert_int_equal(mapped(&service, bad[i], NULL), before[0]);
		assert_true(sees_share(&service, HOLE + 0x1000000));
		assert_int_equal(mapped(&user, bad[i], NULL), before[1]);
	}
	/* The User VM's RAM, and half in it. */
	place(&user, USER_RAM - 0x1001000);
	assert_int_equal(mapped(&user, USER_RAM - 0x1001000, NULL), EPT_RWX | EPT_MT_WB);
	assert_false(sees_share(&user, USER_RAM - 0x1000));
	/* Two BARs of one function at the same place: one is there, and both leave without a trace. */
	place(&user, HOLE);
	cfg_write(&user, BAR_MSIX, 4, HOLE);
	cfg_write(&user, BAR_MEM, 4, HOLE);
	cfg_write(&user, BAR_MEM + 4U, 4, 0);
	assert_int_equal(mem_read(&user, HOLE, 4), 0x1234);
	cfg_write(&user, 4, 2, 0);
	assert_int_equal(mem_read(&user, HOLE, 4), 0xDEADBEEF);
	assert_int_equal(mapped(&user, HOLE, NULL), 0);
}

/* Memory that the processor did not find yet is reached by the emulated access as well. */
static void test_memory_access(void **state)
{
	(void)state;
	make(&user);
	place(&user, HOLE);
	mem_write(&user, HOLE + 0x1000000 + SHARE - 8, 8, 0x1122334455667788);
	assert_int_equal(share[SHARE - 8], 0x88);
	assert_int_equal(mem_read(&user, HOLE + 0x1000000 + SHARE - 4, 4) & UINT32_MAX, 0x11223344);
	mem_write(&user, HOLE + 0x1000000 + SHARE - 4, 8, 0); /* over the end */
	assert_int_equal(share[SHARE - 4], 0x44);
}

/* Does nothing run out of memory, and does a failure leave the addresses as they were? */
static void test_no_memory(void **state)
{
	(void)state;
	make(&service);
	make(&user);
	place(&service, HOLE);
	place(&user, HOLE);
	cfg_write(&service, 4, 2, 0);
	cfg_write(&user, 4, 2, 0);
	for (uint32_t at = 1; at < 8; at++) {
		fake_pool_fail_at = at;
		place(&user, GB(8));
		place(&user, 0);
		fake_pool_fail_at = at;
		place(&service, GB(8));
		place(&service, 0);
		fake_pool_fail_at = 0;
		assert_true(is_identity(&service, GB(8)));
		assert_true(is_identity(&service, GB(8) + 0x1000000));
		assert_false(sees_share(&user, GB(8) + 0x1000000));
	}
}

static void entry(struct vm *vm, uint32_t n, uint64_t addr, uint32_t data, uint32_t ctrl)
{
	mem_write(vm, HOLE + 0x1000 + 16U * n, 8, addr);
	mem_write(vm, HOLE + 0x1008 + 16U * n, 4, data);
	mem_write(vm, HOLE + 0x100C + 16U * n, 4, ctrl);
}

/* Messages: sent, kept while masked, lost while MSI-X is off, and nothing from a bad vector. */
static void test_msix(void **state)
{
	(void)state;
	make(&user);
	place(&user, HOLE);
	entry(&user, 2, 0xFEE01000, 0x4041, 0);
	vfunc_raise(seen.f, 2);
	assert_int_equal(msi.count, 0);
	assert_false(vfunc_msix_enabled(seen.f));
	cfg_write(&user, 0x42, 2, 0x8000);
	assert_true(vfunc_msix_enabled(seen.f));
	assert_int_equal(msi.count, 0);
	vfunc_raise(seen.f, 2);
	assert_int_equal(msi.count, 1);
	assert_ptr_equal(msi.vm, &user);
	assert_int_equal(msi.addr, 0xFEE01000);
	assert_int_equal(msi.data, 0x4041);
	vfunc_raise(seen.f, 4);
	vfunc_raise(seen.f, UINT32_MAX);
	vfunc_raise(seen.f, 1); /* masked from reset on */
	assert_int_equal(msi.count, 1);
	assert_int_equal(mem_read(&user, HOLE + 0x1800, 4), 2);
	mem_write(&user, HOLE + 0x1800, 4, 0); /* read-only */
	entry(&user, 1, 0xFEE00000, 0x51, 0);
	assert_int_equal(msi.count, 2);
	assert_int_equal(msi.data, 0x51);
	assert_int_equal(mem_read(&user, HOLE + 0x1800, 8), 0);
	/* the whole function masked */
	cfg_write(&user, 0x42, 2, 0xC000);
	vfunc_raise(seen.f, 1);
	vfunc_raise(seen.f, 2);
	vfunc_raise(seen.f, 2);
	assert_int_equal(msi.count, 2);
	cfg_write(&user, 0x42, 2, 0x8000);
	assert_int_equal(msi.count, 4);
	/* what waits is forgotten when it is switched off */
	cfg_write(&user, 0x42, 2, 0xC000);
	vfunc_raise(seen.f, 1);
	cfg_write(&user, 0x42, 2, 0);
	cfg_write(&user, 0x42, 2, 0x8000);
	assert_int_equal(msi.count, 4);
	/* odd widths and reserved bits */
	mem_write(&user, HOLE + 0x1001, 4, 0xFFFFFFFF);
	mem_write(&user, HOLE + 0x1000, 2, 0xFFFF);
	mem_write(&user, HOLE + 0x101C, 4, 0xFFFFFFFE);
	assert_int_equal(mem_read(&user, HOLE + 0x1000, 4), 0);
	assert_int_equal(mem_read(&user, HOLE + 0x101C, 4), 0);
	assert_int_equal(mem_read(&user, HOLE + 0x1FF8, 8), 0);
}

/* Reset, destruction and re-creation: registers start anew, and nothing of the share stays. */
static void test_life(void **state)
{
	struct vfunc_args args = {.bar = {HOLE, HOLE + 0x1000, HOLE + 0x100000C, 0}};
	const struct vfunc_type *type = vfunc_type_find(0x1AF4, 0x10F0);

	(void)state;
	assert_null(vfunc_type_find(0x1AF4, 0x10F1));
	assert_int_equal(vfunc_create(&user, type, BDF, &args), 0);
	assert_int_equal(vfunc_create(&user, type, BDF, &args), -EEXIST);
	assert_int_equal(vfunc_create(&user, type, 0x128, &args), -EINVAL);
	assert_int_equal(vfunc_create(&user, type, 0x01, &args), -EINVAL);
	assert_int_equal(cfg_read(&user, BAR_MEM, 4), HOLE + 0x100000C);
	assert_int_equal(cfg_read(&user, BAR_TRAP, 4), HOLE);
	cfg_write(&user, 4, 2, 2);
	cfg_write(&user, 0x42, 2, 0x8000);
	entry(&user, 0, 0xFEE00000, 0x51, 0);
	assert_true(sees_share(&user, HOLE + 0x1000000));
	cfg_write(&user, BAR_TRAP, 4, HOLE + 0x3000000);
	unit_vm_reset(&user);
	assert_int_equal(seen.resets, 1);
	assert_int_equal(mapped(&user, HOLE + 0x1000000, NULL), 0);
	assert_int_equal(cfg_read(&user, BAR_TRAP, 4), HOLE);
	assert_int_equal(cfg_read(&user, 0x42, 2), 3);
	vfunc_raise(seen.f, 0);
	assert_int_equal(msi.count, 0);
	cfg_write(&user, 4, 2, 2);
	assert_int_equal(mem_read(&user, HOLE + 0x100C, 4), 1);
	assert_int_equal(vfunc_count(&user), 1);
	assert_int_equal(vfunc_destroy(&user, type, BDF + 1), -ENODEV);
	assert_int_equal(vfunc_destroy(&user, type, BDF), 0);
	assert_int_equal(seen.deinits, 1);
	assert_int_equal(mapped(&user, HOLE + 0x1000000, NULL), 0);
	assert_int_equal(mem_read(&user, HOLE, 4), 0xDEADBEEF);
	assert_int_equal(cfg_read(&user, 0, 4), 0xDEADBEEF);
	for (bdf_t i = 0; i < VFUNC_PER_VM; i++)
		assert_int_equal(vfunc_create(&user, type, (bdf_t)(BDF + i), NULL), 0);
	assert_int_equal(vfunc_create(&user, type, BDF + 0x10, NULL), -ENOSPC);
	assert_int_equal(vfunc_destroy(&user, type, BDF + 3), 0);
	assert_int_equal(vfunc_destroy(&user, type, BDF + 3), -ENODEV);
	assert_int_equal(vfunc_create(&user, type, BDF + 3, NULL), 0);
}

/* A function that refuses leaves nothing behind. */
static void test_refuses(void **state)
{
	(void)state;
	seen.result = -EINVAL;
	assert_int_equal(vfunc_create(&user, vfunc_type_find(0x1AF4, 0x10F0), BDF, NULL), -EINVAL);
	assert_int_equal(vfunc_count(&user), 0);
	assert_int_equal(cfg_read(&user, 0, 4), 0xDEADBEEF);
}

/* Does the Service VM's function keep clear of the machine's own, hidden function 0 or not? */
static void test_free_slot(void **state)
{
	(void)state;
	assert_int_equal(vfunc_free_slot(&service), 29 << 3);
	assert_int_equal(vfunc_create(&service, vfunc_type_find(0x1AF4, 0x10F0), 29 << 3, NULL), 0);
	assert_int_equal(vfunc_free_slot(&service), 28 << 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_config, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bars, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_places, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory_access, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_msix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_life, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_free_slot, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
