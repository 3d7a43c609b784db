// SPDX-License-Identifier: BSD-3-Clause
/*
 * Is a good kernel started as Linux's boot protocol says, and each damaged or unfit one refused
 * without touching anything but the VM's memory?
 */
// links: @machine tests/unit/devicemodel/bzimage.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "bzimage.h"
#include "dm_machine.h"
#include "fake_hsm.h"
#include "gmem.h"
#include "load.h"

static struct bzimage image;
static struct setup_header *hdr;
static struct acrn_vcpu_regs regs;

static int setup(void **state)
{
	(void)state;
	fake_hsm_reset();
	machine_create("");
	bzimage_make(&image);
	hdr = bzimage_header(&image);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	machine_destroy();
	return 0;
}

static int load(size_t len)
{
	machine.cfg.kernel = bzimage_write(image.bytes, len);
	return load_bzimage(&machine, &regs);
}

#define WHOLE sizeof(image.bytes)

/* The zero page the guest is pointed to. */
static const struct boot_params *zero_page(void)
{
	return gmem_ptr(&machine, regs.vcpu_regs.gprs.rsi, sizeof(struct boot_params));
}

static void check_payload(uint64_t gpa)
{
	const uint8_t *p = gmem_ptr(&machine, gpa, BZ_PAYLOAD);

	for (size_t i = 0; i < BZ_PAYLOAD; i++)
		assert_int_equal(p[i], 0x5a);
}

/* What if all is well: payload, registers, GDT, zero page, command line? */
static void test_good(void **state)
{
	const struct acrn_regs *r = &regs.vcpu_regs;
	const struct boot_params *zp;
	const uint64_t *gdt;

	(void)state;
	machine.cfg.bootargs = "console=ttyS0 quiet";
	assert_int_equal(load(WHOLE), 0);
	check_payload(0x200000);
	assert_int_equal(r->rip, 0x200000);
	assert_true(r->cr0 & 1);
	assert_int_equal(r->ia32_efer, 0);
	assert_int_equal(r->cr4, 0);
	assert_int_equal(r->cs_ar, 0xc09b);
	gdt = gmem_ptr(&machine, r->gdt.base, r->gdt.limit + 1U);
	assert_true(gdt[r->cs_sel / 8] == 0x00cf9b000000ffff);
	assert_true(gdt[r->ds_sel / 8] == 0x00cf93000000ffff);
	assert_true(r->ss_sel == r->ds_sel && r->es_sel == r->ds_sel);

	zp = zero_page();
	assert_int_equal(zp->hdr.header, 0x53726448);
	assert_int_equal(zp->hdr.type_of_loader, 0xff);
	assert_int_equal(zp->acpi_rsdp_addr, VM_ACPI_BASE);
	assert_int_equal(zp->hdr.ramdisk_size, 0);
	assert_string_equal(gmem_ptr(&machine, zp->hdr.cmd_line_ptr, 20), "console=ttyS0 quiet");
	assert_int_equal(zp->e820_entries, 4);
	assert_int_equal(zp->e820_table[0].size, 0xa0000);
	assert_int_equal(zp->e820_table[2].addr, 0x100000);
	assert_int_equal(zp->e820_table[2].size, (15 << 20));
	assert_int_equal(zp->e820_table[3].addr, VM_ECAM_BASE);
	assert_int_equal(zp->e820_table[3].type, 2);
}

/* What if there is high memory: is it in the map? */
static void test_high_memory(void **state)
{
	const struct boot_params *zp;

	(void)state;
	vm_destroy(&machine);
	machine.cfg.mem_size = VM_LOWMEM_LIMIT + (64 << 20);
	assert_int_equal(vm_create(&machine), 0);
	assert_int_equal(load(WHOLE), 0);
	zp = zero_page();
	assert_int_equal(zp->e820_entries, 5);
	assert_true(zp->e820_table[2].size == VM_LOWMEM_LIMIT - 0x100000);
	assert_true(zp->e820_table[4].addr == VM_HIGHMEM_BASE);
	assert_int_equal(zp->e820_table[4].size, 64 << 20);
}

/* What if the file ends early: in the header, in the setup code, in the kernel? */
static void test_truncated(void **state)
{
	static const size_t lengths[] = {0,	1,	 0x1f1,	      0x202,
					 0x260, 5 * 512, 5 * 512 + 1, sizeof(image.bytes) - 1};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		assert_int_equal(load(lengths[i]), -ENOEXEC);
}

static void set_magic(void)
{
	hdr->header = 0x12345678;
}

static void set_boot_flag(void)
{
	hdr->boot_flag = 0;
}

static void set_old_protocol(void)
{
	hdr->version = 0x0205;
}

static void set_zimage(void)
{
	hdr->loadflags = 0;
}

static void set_setup_sects(void)
{
	hdr->setup_sects = 255;
}

static void set_syssize(void)
{
	hdr->syssize = UINT32_MAX;
}

static void set_alignment_zero(void)
{
	hdr->kernel_alignment = 0;
}

static void set_alignment_odd(void)
{
	hdr->kernel_alignment = 3 << 20;
}

static void set_alignment_huge(void)
{
	hdr->kernel_alignment = 0x80000000;
	hdr->pref_address = 0;
}

static void set_low_fixed(void)
{
	hdr->relocatable_kernel = 0;
	hdr->pref_address = 0x1000;
}

static void set_wrapping_address(void)
{
	hdr->relocatable_kernel = 0;
	hdr->pref_address = UINT64_MAX - 0xfff;
}

static void set_init_size(void)
{
	hdr->init_size = UINT32_MAX;
}

/* What if one field of the header lies? */
static void test_damaged(void **state)
{
	static const struct {
		void (*damage)(void);
		int err;
	} cases[] = {
		{set_magic, -ENOEXEC},		 {set_boot_flag, -ENOEXEC},
		{set_old_protocol, -ENOEXEC},	 {set_zimage, -ENOEXEC},
		{set_setup_sects, -ENOEXEC},	 {set_syssize, -ENOEXEC},
		{set_alignment_zero, -ENOEXEC},	 {set_alignment_odd, -ENOEXEC},
		{set_alignment_huge, -ENOSPC},	 {set_low_fixed, -ENOEXEC},
		{set_wrapping_address, -ENOSPC}, {set_init_size, -ENOSPC},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bzimage_make(&image);
		cases[i].damage();
		assert_int_equal(load(WHOLE), cases[i].err);
	}
}

/* What if the kernel prefers a place the VM does not have: is it moved, aligned, if it can be? */
static void test_moved(void **state)
{
	(void)state;
	hdr->pref_address = 0x40000000;
	assert_int_equal(load(WHOLE), 0);
	assert_int_equal(regs.vcpu_regs.rip, 0x200000);
	check_payload(0x200000);
	hdr->kernel_alignment = 0x800000;
	assert_int_equal(load(WHOLE), 0);
	assert_int_equal(regs.vcpu_regs.rip, 0x800000);
	hdr->relocatable_kernel = 0;
	assert_int_equal(load(WHOLE), -ENOSPC);
}

/* What if the header is an older, shorter one: are the bytes behind it not taken for fields? */
static void test_short_header(void **state)
{
	size_t end = offsetof(struct setup_header, pref_address);

	(void)state;
	hdr->version = 0x209;
	hdr->jump = (uint16_t)(0xeb | (end - offsetof(struct setup_header, header)) << 8);
	hdr->init_size = UINT32_MAX;
	hdr->handover_offset = 0x12345678;
	assert_int_equal(load(WHOLE), 0);
	assert_int_equal(regs.vcpu_regs.rip, 0x200000); /* 1 MB, aligned */
	assert_int_equal(zero_page()->hdr.init_size, 0);
	assert_int_equal(zero_page()->hdr.handover_offset, 0);
}

/* What if setup_sects is 0, which means 4? */
static void test_setup_sects_zero(void **state)
{
	(void)state;
	hdr->setup_sects = 0;
	assert_int_equal(load(WHOLE), 0);
	check_payload(0x200000);
}

static char ramdisk_name[] = "/tmp/ramdisk-XXXXXX";

static void make_ramdisk(size_t size)
{
	int fd;

	strcpy(ramdisk_name, "/tmp/ramdisk-XXXXXX");
	fd = mkstemp(ramdisk_name);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size - 4), 0);
	assert_int_equal(pwrite(fd, "tail", 4, (off_t)size - 4), 4);
	close(fd);
	machine.cfg.ramdisk = ramdisk_name;
}

/* Does the ramdisk end at the top of memory, page-aligned, or below where the kernel reaches? */
static void test_ramdisk(void **state)
{
	const struct boot_params *zp;

	(void)state;
	make_ramdisk(5000);
	assert_int_equal(load(WHOLE), 0);
	zp = zero_page();
	assert_int_equal(zp->hdr.ramdisk_image, (16 << 20) - 8192);
	assert_int_equal(zp->hdr.ramdisk_size, 5000);
	assert_memory_equal(gmem_ptr(&machine, zp->hdr.ramdisk_image + 4996ULL, 4), "tail", 4);
	hdr->initrd_addr_max = 0x7fffff;
	assert_int_equal(load(WHOLE), 0);
	assert_int_equal(zero_page()->hdr.ramdisk_image, 0x800000 - 8192);
	unlink(ramdisk_name);
}

/* What if the ramdisk is missing, or there is no room between kernel and top? */
static void test_bad_ramdisk(void **state)
{
	(void)state;
	machine.cfg.ramdisk = "/nonexistent";
	assert_int_equal(load(WHOLE), -ENOENT);
	machine.cfg.ramdisk = "/dev/null";
	assert_int_equal(load(WHOLE), -EINVAL);
	make_ramdisk((14 << 20) - 0x10000 + 1);
	assert_int_equal(load(WHOLE), -ENOSPC);
	unlink(ramdisk_name);
	make_ramdisk(17 << 20);
	assert_int_equal(load(WHOLE), -ENOSPC);
	unlink(ramdisk_name);
	make_ramdisk((14 << 20) - 0x10000);
	assert_int_equal(load(WHOLE), 0);
	unlink(ramdisk_name);
}

/* What if the command line is longer than the kernel takes? */
static void test_cmdline(void **state)
{
	(void)state;
	hdr->cmdline_size = 5;
	machine.cfg.bootargs = "12345";
	assert_int_equal(load(WHOLE), 0);
	machine.cfg.bootargs = "123456";
	assert_int_equal(load(WHOLE), -E2BIG);
	machine.cfg.bootargs = NULL;
	assert_int_equal(load(WHOLE), 0);
	assert_string_equal(gmem_ptr(&machine, zero_page()->hdr.cmd_line_ptr, 1), "");
}

/* What if the kernel is missing or a folder? */
static void test_no_file(void **state)
{
	(void)state;
	machine.cfg.kernel = "/nonexistent";
	assert_int_equal(load_bzimage(&machine, &regs), -ENOENT);
	machine.cfg.kernel = "/tmp";
	assert_int_equal(load_bzimage(&machine, &regs), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_good, setup, teardown),
		cmocka_unit_test_setup_teardown(test_high_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_truncated, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_moved, setup, teardown),
		cmocka_unit_test_setup_teardown(test_short_header, setup, teardown),
		cmocka_unit_test_setup_teardown(test_setup_sects_zero, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ramdisk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_ramdisk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cmdline, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_file, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
