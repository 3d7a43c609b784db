// SPDX-License-Identifier: BSD-3-Clause
/*
 * PCI functions that the hypervisor emulates, as their guests use and misuse them: configuration
 * space, BARs that move over all sorts of addresses, shared memory, MSI-X.
 */
// links: @vfunc @machine
#include "vfunc_machine.h"
#include "../../../hypervisor/vpci/func/vfunc_dev.h"

#define HOLE	 0xC0000000UL
#define BDF	 0x28U /* 00:05.0 */
#define BAR_TRAP 0x10U
#define BAR_MSIX 0x14U
#define BAR_MEM	 0x18U

static uint32_t functions(const struct vm *vm)
{
	return vm->vpci->vfunc_count;
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
	cfg_write(vm, BDF, 4, 2, 0);
	cfg_write(vm, BDF, BAR_TRAP, 4, (uint32_t)at);
	cfg_write(vm, BDF, BAR_MSIX, 4, (uint32_t)at + 0x1000U);
	cfg_write(vm, BDF, BAR_MEM, 4, (uint32_t)at + 0x1000000U);
	cfg_write(vm, BDF, BAR_MEM + 4U, 4, (uint32_t)(at >> 32));
	cfg_write(vm, BDF, 4, 2, 6);
}

/* Does a driver find identity, sizes and the capability, and can it write only what it may? */
static void test_config(void **state)
{
	(void)state;
	assert_int_equal(cfg_read(&user, BDF, 0, 4), 0xDEADBEEF); /* the device model's */
	make(&user);
	assert_int_equal(cfg_read(&user, BDF, 0, 4), 0x10F01AF4);
	assert_int_equal(cfg_read(&user, BDF, 2, 2), 0x10F0);
	assert_int_equal(cfg_read(&user, BDF, 0x0B, 1), 5);
	assert_int_equal(cfg_read(&user, BDF, 0x2C, 4), 0x00020001);
	assert_int_equal(cfg_read(&user, BDF, 4, 4), 0x00100000);
	assert_int_equal(cfg_read(&user, BDF, 0x34, 1), 0x40);
	assert_int_equal(cfg_read(&user, BDF, 0x40, 4), 0x00030011);
	assert_int_equal(cfg_read(&user, BDF, 0x44, 4), 1);
	assert_int_equal(cfg_read(&user, BDF, 0x48, 4), 0x801);
	for (uint32_t reg = 0; reg < 256U; reg += 4U) {
		cfg_write(&user, BDF, reg, 4, 0xFFFFFFFF);
		cfg_write(&user, BDF, reg, 4, reg == 4U ? 0 : 0xFFFFFFFF);
	}
	assert_int_equal(cfg_read(&user, BDF, 0, 4), 0x10F01AF4);
	assert_int_equal(cfg_read(&user, BDF, 4, 4), 0x00100000);
	assert_int_equal(cfg_read(&user, BDF, 8, 4), 0x05000001);
	assert_int_equal(cfg_read(&user, BDF, 0x0C, 4), 0);
	assert_int_equal(cfg_read(&user, BDF, BAR_TRAP, 4), 0xFFFFF000);
	assert_int_equal(cfg_read(&user, BDF, BAR_MSIX, 4), 0xFFFFF000);
	assert_int_equal(cfg_read(&user, BDF, BAR_MEM, 4), 0xFFC0000C);
	assert_int_equal(cfg_read(&user, BDF, BAR_MEM + 4, 4), 0xFFFFFFFF);
	assert_int_equal(cfg_read(&user, BDF, 0x20, 4), 0);
	assert_int_equal(cfg_read(&user, BDF, 0x24, 4), 0);
	assert_int_equal(cfg_read(&user, BDF, 0x30, 4), 0);
	assert_int_equal(cfg_read(&user, BDF, 0x3C, 4), 0xFF);
	assert_int_equal(cfg_read(&user, BDF, 0x40, 4), 0xC0030011);
	cfg_write(&user, BDF, 0x43, 1, 0);
	assert_int_equal(cfg_read(&user, BDF, 0x40, 4), 0x00030011);
	assert_int_equal(seen.accesses, 0);
	/* the same through a User VM's memory-mapped window, but for what is no register */
	assert_int_equal(mem_read(&user, 0xE0000000UL + (BDF << 12), 4) & UINT32_MAX, 0x10F01AF4);
	mem_write(&user, 0xE0000000UL + (BDF << 12) + 0x3C, 1, 0x55);
	assert_int_equal(cfg_read(&user, BDF, 0x3C, 4), 0x55);
	assert_int_equal(mem_read(&user, 0xE0000000UL + (BDF << 12) + 0x100, 4) & UINT32_MAX, UINT32_MAX);
	assert_int_equal(mem_read(&user, 0xE0000000UL + (BDF << 12), 8), UINT64_MAX);
	assert_int_equal(mem_read(&user, 0xE0000000UL + (BDF << 12) + 0x1000, 4), 0xDEADBEEF);
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
		assert_true(vm_shows(vm[i], GPA(HOLE + 0x1001000), ptr_hpa(share + 0x1000), PAGE_SIZE));
		assert_false(vm_shows(vm[i], GPA(HOLE + 0x1001000), ptr_hpa(share), PAGE_SIZE));
		assert_false(vm_shows(vm[i], GPA(HOLE + 0x1000000), ptr_hpa(share), SHARE + PAGE_SIZE));
		/* moved */
		place(vm[i], HOLE + 0x4000000);
		assert_true(sees_share(vm[i], HOLE + 0x5000000));
		assert_false(sees_share(vm[i], HOLE + 0x1000000));
		assert_int_equal(mem_read(vm[i], HOLE + 0x4000000, 4), 0x1234);
		assert_int_equal(mem_read(vm[i], HOLE, 4), 0xDEADBEEF);
		/* above 4 GB, and off */
		place(vm[i], GB(64));
		assert_true(sees_share(vm[i], GB(64) + 0x1000000));
		cfg_write(vm[i], BDF, 4, 2, 0);
		assert_false(sees_share(vm[i], GB(64) + 0x1000000));
		assert_false(vm_shows(vm[i], GPA(GB(64) + 0x1000000), ptr_hpa(share), PAGE_SIZE));
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

		for (uint32_t reg = BAR_TRAP; reg <= BAR_MEM + 4U; reg += 4U)
			cfg_write(&service, BDF + 8U, reg, 4,
				  (uint32_t)(reg == BAR_MEM + 4U ? bad[i] >> 32 : bad[i]));
		cfg_write(&service, BDF + 8U, 4, 2, 2);
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
	cfg_write(&user, BDF, BAR_MSIX, 4, HOLE);
	cfg_write(&user, BDF, BAR_MEM, 4, HOLE);
	cfg_write(&user, BDF, BAR_MEM + 4U, 4, 0);
	assert_int_equal(mem_read(&user, HOLE, 4), 0x1234);
	cfg_write(&user, BDF, 4, 2, 0);
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

/* What if a guest writes to memory that is only shown to it? Nothing of it arrives. */
static void test_shown(void **state)
{
	uint64_t hpa;

	(void)state;
	only_shown = true;
	make(&service);
	only_shown = false;
	place(&service, HOLE);
	assert_int_equal(mapped(&service, HOLE + 0x1000000, &hpa),
			 EPT_READ | EPT_MT_WB | EPT_IPAT);
	assert_int_equal(hpa, ptr_hpa(share).v);
	share[8] = 0x5A;
	mem_write(&service, HOLE + 0x1000008, 8, 0);
	assert_int_equal(share[8], 0x5A);
	assert_int_equal(mem_read(&service, HOLE + 0x1000008, 1) & 0xFF, 0x5A);
}

/* Does nothing run out of memory, and does a failure leave the addresses as they were? */
static void test_no_memory(void **state)
{
	(void)state;
	make(&service);
	make(&user);
	place(&service, HOLE);
	place(&user, HOLE);
	cfg_write(&service, BDF, 4, 2, 0);
	cfg_write(&user, BDF, 4, 2, 0);
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
	cfg_write(&user, BDF, 0x42, 2, 0x8000);
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
	cfg_write(&user, BDF, 0x42, 2, 0xC000);
	vfunc_raise(seen.f, 1);
	vfunc_raise(seen.f, 2);
	vfunc_raise(seen.f, 2);
	assert_int_equal(msi.count, 2);
	cfg_write(&user, BDF, 0x42, 2, 0x8000);
	assert_int_equal(msi.count, 4);
	/* what waits is forgotten when it is switched off */
	cfg_write(&user, BDF, 0x42, 2, 0xC000);
	vfunc_raise(seen.f, 1);
	cfg_write(&user, BDF, 0x42, 2, 0);
	cfg_write(&user, BDF, 0x42, 2, 0x8000);
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
	assert_int_equal(cfg_read(&user, BDF, BAR_MEM, 4), HOLE + 0x100000C);
	assert_int_equal(cfg_read(&user, BDF, BAR_TRAP, 4), HOLE);
	cfg_write(&user, BDF, 4, 2, 2);
	cfg_write(&user, BDF, 0x42, 2, 0x8000);
	entry(&user, 0, 0xFEE00000, 0x51, 0);
	assert_true(sees_share(&user, HOLE + 0x1000000));
	cfg_write(&user, BDF, BAR_TRAP, 4, HOLE + 0x3000000);
	unit_vm_reset(&user);
	assert_int_equal(seen.resets, 1);
	assert_int_equal(mapped(&user, HOLE + 0x1000000, NULL), 0);
	assert_int_equal(cfg_read(&user, BDF, BAR_TRAP, 4), HOLE);
	assert_int_equal(cfg_read(&user, BDF, 0x42, 2), 3);
	vfunc_raise(seen.f, 0);
	assert_int_equal(msi.count, 0);
	cfg_write(&user, BDF, 4, 2, 2);
	assert_int_equal(mem_read(&user, HOLE + 0x100C, 4), 1);
	assert_int_equal(functions(&user), 1);
	assert_int_equal(vfunc_destroy(&user, type, BDF + 1), -ENODEV);
	assert_int_equal(vfunc_destroy(&user, type, BDF), 0);
	assert_int_equal(seen.deinits, 1);
	assert_int_equal(mapped(&user, HOLE + 0x1000000, NULL), 0);
	assert_int_equal(mem_read(&user, HOLE, 4), 0xDEADBEEF);
	assert_int_equal(cfg_read(&user, BDF, 0, 4), 0xDEADBEEF);
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
	assert_int_equal(functions(&user), 0);
	assert_int_equal(cfg_read(&user, BDF, 0, 4), 0xDEADBEEF);
}

/* Does the Service VM's function keep clear of the machine's own, hidden function 0 or not? */
static void test_free_slot(void **state)
{
	(void)state;
	assert_int_equal(vfunc_free_slot(&service), 29 << 3);
	assert_int_equal(vfunc_create(&service, vfunc_type_find(0x1AF4, 0x10F0), 29 << 3, NULL), 0);
	assert_int_equal(vfunc_free_slot(&service), 28 << 3);
	/* and one that is asked for, free, taken, the machine's; when there is no more, a line */
	vfunc_create_at(&service, vfunc_type_find(0x1AF4, 0x10F0), 9 << 3, NULL);
	assert_int_equal(cfg_read(&service, 9 << 3, 0, 4), 0x10F01AF4);
	vfunc_create_at(&service, vfunc_type_find(0x1AF4, 0x10F0), 9 << 3, NULL);
	assert_int_equal(cfg_read(&service, 28 << 3, 0, 4), 0x10F01AF4);
	vfunc_create_at(&service, vfunc_type_find(0x1AF4, 0x10F0), 31 << 3, NULL);
	assert_int_equal(cfg_read(&service, 27 << 3, 0, 4), 0x10F01AF4);
	vfunc_create_at(&service, vfunc_type_find(0x1AF4, 0x10F0), 0, NULL);
	assert_int_equal(cfg_read(&service, 26 << 3, 0, 4), 0x10F01AF4);
	assert_int_equal(fake_log_lines, 0);
	for (uint32_t i = functions(&service); i <= VFUNC_PER_VM; i++)
		vfunc_create_at(&service, vfunc_type_find(0x1AF4, 0x10F0), 9 << 3, NULL);
	assert_int_equal(fake_log_lines, 1);
}

/*
 * What of a VM without firmware and device model? It finds BARs placed, below each other, and again
 * after a reset; there is no memory-mapped configuration space; the machine's functions are not its.
 */
static void test_pre_launched(void **state)
{
	const struct vm_config config = {.load_order = PRE_LAUNCHED_VM, .pci_count = 2};
	const struct vfunc_type *type = vfunc_type_find(0x1AF4, 0x10F0);

	(void)state;
	user.load_order = PRE_LAUNCHED_VM;
	user.config = &config;
	make(&user);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(cfg_read(&user, BDF, BAR_TRAP, 4), 0xDFFFF000);
		assert_int_equal(cfg_read(&user, BDF, BAR_MSIX, 4), 0xDFFFE000);
		assert_int_equal(cfg_read(&user, BDF, BAR_MEM, 4), 0xDF80000C);
		assert_int_equal(cfg_read(&user, BDF, BAR_MEM + 4U, 4), 0);
		assert_false(sees_share(&user, 0xDF800000));
		cfg_write(&user, BDF, 4, 2, 6);
		assert_true(sees_share(&user, 0xDF800000));
		assert_int_equal(mem_read(&user, 0xDFFFF000, 4), 0x1234);
		place(&user, 0xA0000000);
		assert_true(sees_share(&user, 0xA1000000));
		unit_vm_reset(&user);
		assert_false(sees_share(&user, 0xA1000000));
	}
	assert_int_equal(mem_read(&user, 0xE0000000 + (BDF << 12), 4), 0xDEADBEEF);
	/* 1 and 2 have the VM's devices; 0x1E and 0x1F the machine's, which are nothing to it */
	vfunc_create_at(&user, type, 2 << 3, NULL);
	assert_int_equal(cfg_read(&user, 2 << 3, 0, 4), 0xDEADBEEF);
	assert_int_equal(cfg_read(&user, 31 << 3, 0, 4), 0x10F01AF4);
	assert_int_equal(cfg_read(&user, 31 << 3, BAR_TRAP, 4), 0xDF7FF000);
	vfunc_create_at(&user, type, 3 << 3, NULL);
	assert_int_equal(cfg_read(&user, 3 << 3, 0, 4), 0x10F01AF4);
	/* nobody would look for function 1 alone */
	vfunc_create_at(&user, type, 4 << 3 | 1, NULL);
	assert_int_equal(cfg_read(&user, 4 << 3 | 1, 0, 4), 0xDEADBEEF);
	assert_int_equal(cfg_read(&user, 30 << 3, 0, 4), 0x10F01AF4);
	assert_int_equal(vfunc_free_slot(&user), 29 << 3);
	assert_int_equal(fake_log_lines, 0);
}

/* What if there is no room left to place a BAR? It is the guest's to place, and the rest is. */
static void test_no_window(void **state)
{
	(void)state;
	user.load_order = PRE_LAUNCHED_VM;
	user.vpci->bar_top = 0x80000000UL + 0x1000U;
	make(&user);
	assert_int_equal(cfg_read(&user, BDF, BAR_TRAP, 4), 0x80000000);
	assert_int_equal(cfg_read(&user, BDF, BAR_MSIX, 4), 0);
	assert_int_equal(cfg_read(&user, BDF, BAR_MEM, 4), 0xC);
}

static uint64_t given_from, given_to;

static bool given_page(hpa_t page)
{
	return page.v >= given_from && page.v < given_to;
}

/*
 * What if the Service VM puts a BAR where a pre-launched VM's device is, which it takes for free? It
 * works, all over the hole or in part, and the device stays hidden when the BAR leaves.
 */
static void test_given_hole(void **state)
{
	(void)state;
	pci_given_page = given_page;
	given_from = HOLE + 0x1000000UL + 0x3000U;
	given_to = HOLE + 0x1000000UL + SHARE + 0x5000U;
	assert_int_equal(ept_unmap(&service.ept, GPA(given_from), given_to - given_from), 0);
	make(&service);
	place(&service, HOLE);
	assert_true(sees_share(&service, HOLE + 0x1000000UL));
	place(&service, HOLE + 0x10000000UL);
	assert_true(sees_share(&service, HOLE + 0x11000000UL));
	assert_true(is_identity(&service, given_from - PAGE_SIZE));
	assert_int_equal(mapped(&service, given_from, NULL), 0);
	assert_int_equal(mapped(&service, given_to - 1U, NULL), 0);
	assert_true(is_identity(&service, given_to));
	/* a trapping BAR in the middle of it */
	place(&service, given_from);
	assert_int_equal(mem_read(&service, given_from, 4), 0x1234);
	cfg_write(&service, BDF, 4, 2, 0);
	assert_int_equal(mapped(&service, given_from, NULL), 0);
	/* holes that are nobody's stay silent */
	given_to = given_from;
	place(&service, HOLE);
	assert_false(sees_share(&service, HOLE + 0x1000000UL));
	pci_given_page = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_config, vfunc_setup, vfunc_teardown),
		cmocka_unit_test_setup_teardown(test_bars, vfunc_setup, vfunc_teardown),
		cmocka_unit_test_setup_teardown(test_hostile_places, vfunc_setup, vfunc_teardown),
		cmocka_unit_test_setup_teardown(test_memory_access, vfunc_setup, vfunc_teardown),
		cmocka_unit_test_setup_teardown(test_shown, vfunc_setup, vfunc_teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, vfunc_setup, vfunc_teardown),
		cmocka_unit_test_setup_teardown(test_msix, vfunc_setup, vfunc_teardown),
		cmocka_unit_test_setup_teardown(test_life, vfunc_setup, vfunc_teardown),
		cmocka_unit_test_setup_teardown(test_refuses, vfunc_setup, vfunc_teardown),
		cmocka_unit_test_setup_teardown(test_free_slot, vfunc_setup, vfunc_teardown),
		cmocka_unit_test_setup_teardown(test_pre_launched, vfunc_setup, vfunc_teardown),
		cmocka_unit_test_setup_teardown(test_no_window, vfunc_setup, vfunc_teardown),
		cmocka_unit_test_setup_teardown(test_given_hole, vfunc_setup, vfunc_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
