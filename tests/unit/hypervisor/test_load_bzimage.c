// SPDX-License-Identifier: BSD-3-Clause
// links: hypervisor/boot/load_bzimage.c hypervisor/boot/load_entry.c hypervisor/guest/ve820.c @machine tests/fake/fake_report.c
/*
 * Loading a bzImage: where things go, what the zero page says, and every header that must be
 * refused with a reason.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "asm/cpuregs.h"
#include "fake_machine.h"
#include "fake_report.h"
#include "hv/boot.h"
#include "hv/gmem.h"
#include "hv/load.h"
#include "hv/vm.h"
#include "hv/zero_page.h"
#include "lib/errno.h"

#define GUEST_RAM 0x4000000UL /* 64 MB, pretended: only what is written is looked at */
#define SETUP	  (5U * 512U)
#define IMAGE	  0x10000U

struct e820 host_e820;
struct boot_info boot_info;

static uint8_t *guest, *image, *ramdisk;
static uint64_t writable; /* GPAs below it */
static struct vm vm = {.name = "Service"};
static struct vcpu_start start;
static struct load_args args;
static struct mem_range busy[2];

static const struct e820 map = {
	.count = 3,
	.r = {
		{.base = 0, .size = 0x9F000, .type = MEM_RAM},
		{.base = 0x9F000, .size = 0x61000, .type = MEM_RESERVED},
		{.base = 0x100000, .size = GUEST_RAM - 0x100000, .type = MEM_RAM},
	},
};

bool e820_is_ram(const struct e820 *m, uint64_t base, uint64_t size)
{
	assert_ptr_equal(m, &map);
	return base >= 0x100000 && base < GUEST_RAM && size <= GUEST_RAM - base;
}

int gmem_write(struct vm *v, gpa_t gpa, const void *buf, size_t len)
{
	assert_ptr_equal(v, &vm);
	if (gpa.v >= writable || len > writable - gpa.v)
		return -EFAULT;
	memcpy(guest + gpa.v, buf, len);
	return 0;
}

static struct zp_header *hdr(void)
{
	return (struct zp_header *)(image + ZP_HDR_OFFSET);
}

static int setup(void **state)
{
	(void)state;
	fake_machine_reset();
	fake_report_reset();
	memset(&boot_info, 0, sizeof(boot_info));
	guest = calloc(1, GUEST_RAM);
	image = malloc(IMAGE);
	ramdisk = malloc(0x5000);
	writable = GUEST_RAM;
	for (uint32_t i = 0; i < IMAGE; i++)
		image[i] = (uint8_t)(i * 7U + (i >> 8));
	memset(ramdisk, 0x52, 0x5000);
	memset(hdr(), 0, sizeof(*hdr()));
	hdr()->setup_sects = 4;
	hdr()->syssize = (IMAGE - SETUP) / 16U;
	hdr()->boot_flag = 0xAA55;
	hdr()->magic = ZP_MAGIC;
	hdr()->jump_length = 0x66;
	hdr()->version = 0x020F;
	hdr()->loadflags = ZP_LOADED_HIGH;
	hdr()->initrd_addr_max = 0x7FFFFFFF;
	hdr()->kernel_alignment = 0x200000;
	hdr()->relocatable_kernel = 1;
	hdr()->cmdline_size = 2047;
	hdr()->pref_address = 0x1000000;
	hdr()->init_size = 0x800000;
	hdr()->hardware_subarch_data = 0x1234567890ABCDEFUL;
	memset(&start, 0xEE, sizeof(start));
	args = (struct load_args){.map = &map, .kernel = ptr_hpa(image), .kernel_size = IMAGE,
				  .cmdline = "console=ttyS0 quiet", .rsdp = 0xF1234, .busy = busy};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(guest);
	free(image);
	free(ramdisk);
	return 0;
}

static const struct zero_page *zp(void)
{
	assert_in_range(start.gpr[GPR_RSI], PAGE_SIZE, 0x90000);
	return (const struct zero_page *)(guest + start.gpr[GPR_RSI]);
}

/* A good image: kernel, zero page, command line, GDT, registers. */
static void test_good(void **state)
{
	const uint64_t *gdt;

	(void)state;
	assert_int_equal(load_bzimage(&vm, &args, &start), 0);
	assert_int_equal(start.rip, 0x1000000);
	assert_memory_equal(guest + 0x1000000, image + SETUP, IMAGE - SETUP);
	assert_int_equal(start.cr0, CR0_PE | CR0_ET | CR0_NE);
	assert_int_equal(start.efer, 0);
	assert_int_equal(start.rflags, RFLAGS_FIXED);
	assert_int_equal(start.seg[1].sel, 0x10);
	assert_int_equal(start.seg[1].ar, 0xC09B);
	assert_int_equal(start.seg[3].sel, 0x18);
	assert_int_equal(start.seg[3].limit, 0xFFFFFFFF);
	assert_int_equal(start.gpr[GPR_RBX] | start.gpr[GPR_RBP] | start.gpr[GPR_RDI], 0);
	gdt = (const uint64_t *)(guest + start.gdt_base);
	assert_int_equal(start.gdt_limit, 31);
	assert_int_equal(gdt[2], 0x00CF9B000000FFFFUL);
	assert_int_equal(gdt[3], 0x00CF93000000FFFFUL);

	assert_int_equal(zp()->hdr.type_of_loader, 0xFF);
	assert_int_equal(zp()->hdr.hardware_subarch_data, 0x1234567890ABCDEFUL);
	assert_int_equal(zp()->hdr.code32_start, 0x1000000);
	assert_int_equal(zp()->hdr.ramdisk_size, 0);
	assert_string_equal((char *)guest + zp()->hdr.cmd_line_ptr, "console=ttyS0 quiet");
	assert_int_equal(zp()->rsdp, 0xF1234);
	assert_int_equal(zp()->e820_count, 3);
	assert_int_equal(zp()->e820[1].base, 0x9F000);
	assert_int_equal(zp()->e820[1].type, MEM_RESERVED);
	assert_int_equal(zp()->efi.signature, 0);
	/* what is not the header's must be zero, or the kernel distrusts the whole page */
	assert_int_equal(((const uint8_t *)zp())[0x1EF], 0);
	assert_int_equal(fake_report_lines, 0);
}

/* A ramdisk that cannot stay goes as high as the kernel can reach. */
static void test_ramdisk_moved(void **state)
{
	(void)state;
	args.ramdisk = ptr_hpa(ramdisk);
	args.ramdisk_size = 0x4FFF;
	hdr()->initrd_addr_max = 0x37FFFFF;
	assert_int_equal(load_bzimage(&vm, &args, &start), 0);
	assert_int_equal(zp()->hdr.ramdisk_image, 0x37FB000);
	assert_int_equal(zp()->hdr.ramdisk_size, 0x4FFF);
	assert_memory_equal(guest + 0x37FB000, ramdisk, 0x4FFF);
}

/* The Service VM sees the boot modules: used in place, unless out of the kernel's reach. */
static void test_ramdisk_in_place(void **state)
{
	(void)state;
	args.in_place = true;
	args.ramdisk = HPA(0x700000);
	args.ramdisk_size = 0x5000;
	assert_int_equal(load_bzimage(&vm, &args, &start), 0);
	assert_int_equal(zp()->hdr.ramdisk_image, 0x700000);
	assert_int_equal(guest[0x700000], 0);

	args.ramdisk = ptr_hpa(ramdisk); /* far above 4 GB */
	assert_int_equal(load_bzimage(&vm, &args, &start), 0);
	assert_memory_equal(guest + zp()->hdr.ramdisk_image, ramdisk, 0x5000);
	assert_true(zp()->hdr.ramdisk_image >= MB(1));
}

/* What if the loader put it where the VM sees no RAM, though the kernel could reach it? */
static void test_ramdisk_outside(void **state)
{
	uint8_t *p = mmap(NULL, 0x5000, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	(void)state;
	assert_ptr_not_equal(p, MAP_FAILED);
	memset(p, 0x53, 0x5000);
	args.in_place = true;
	args.ramdisk = ptr_hpa(p);
	args.ramdisk_size = 0x5000;
	assert_int_equal(load_bzimage(&vm, &args, &start), 0);
	assert_in_range(zp()->hdr.ramdisk_image, MB(1), GUEST_RAM - 0x5000);
	assert_memory_equal(guest + zp()->hdr.ramdisk_image, p, 0x5000);
	munmap(p, 0x5000);
}

/* Modules where the kernel wants to be, and in the low memory: it goes elsewhere. */
static void test_busy(void **state)
{
	(void)state;
	busy[0] = (struct mem_range){.base = 0x1700000, .size = 0x1000};
	busy[1] = (struct mem_range){.base = 0x8E000, .size = 0x1000};
	args.busy_count = 2;
	assert_int_equal(load_bzimage(&vm, &args, &start), 0);
	assert_int_equal(start.rip, 0x1800000);
	assert_int_equal(start.gpr[GPR_RSI], 0x8B000);
	/* one that cannot be relocated has only one place */
	hdr()->relocatable_kernel = 0;
	assert_int_equal(load_bzimage(&vm, &args, &start), -ENOSPC);
	assert_true(fake_reported("no room for the kernel"));
	args.busy_count = 0;
	assert_int_equal(load_bzimage(&vm, &args, &start), 0);
	assert_int_equal(start.rip, 0x1000000);
}

static void refused(int err, const char *why)
{
	struct vcpu_start before = start;

	fake_report_reset();
	memset(guest, 0, GUEST_RAM / 8);
	assert_int_equal(load_bzimage(&vm, &args, &start), err);
	if (!fake_reported(why))
		fail_msg("'%s' is not in '%s'", why, fake_report_text);
	assert_int_equal(fake_report_lines, 1);
	assert_memory_equal(&start, &before, sizeof(start));
	/* nothing was written */
	for (uint32_t i = 0; i < 0x90000; i++)
		assert_int_equal(guest[i], 0);
}

/* Damaged in every field that matters. */
static void test_damaged(void **state)
{
	struct zp_header good = *hdr();

	(void)state;
#define TRY(change, err, why)                                                                      \
	do {                                                                                       \
		change;                                                                            \
		refused(err, why);                                                                 \
		*hdr() = good;                                                                     \
	} while (0)
	TRY(hdr()->boot_flag = 0, -EINVAL, "not a Linux bzImage");
	TRY(hdr()->magic = 0x464C457F, -EINVAL, "not a Linux bzImage");
	TRY(hdr()->version = 0x0209, -EINVAL, "boot protocol 2.09");
	TRY(hdr()->loadflags = 0, -EINVAL, "boot protocol");
	TRY(hdr()->setup_sects = 0xFF, -EINVAL, "cut short");
	TRY(hdr()->syssize++, -EINVAL, "cut short: 65536 bytes, its header says 65552");
	TRY(hdr()->syssize = UINT32_MAX, -EINVAL, "cut short");
	TRY(hdr()->kernel_alignment = 0, -EINVAL, "alignment");
	TRY(hdr()->kernel_alignment = 0x300000, -EINVAL, "alignment");
	TRY(hdr()->init_size = 0xFFFFFFFF, -ENOSPC, "no room for the kernel");
	TRY(hdr()->pref_address = UINT64_MAX, -ENOSPC, "no room for the kernel");
	TRY(hdr()->pref_address = UINT64_MAX; hdr()->relocatable_kernel = 0, -ENOSPC,
	    "no room for the kernel");
	TRY(hdr()->kernel_alignment = 0x80000000, -ENOSPC, "no room for the kernel");
	TRY(hdr()->cmdline_size = 5, -E2BIG, "longer than 5");
	args.ramdisk = ptr_hpa(ramdisk);
	args.ramdisk_size = 0x5000;
	TRY(hdr()->initrd_addr_max = 0, -ENOSPC, "no room for the ramdisk");
	args.ramdisk_size = GB(5);
	TRY(hdr()->version = 0x020F, -ENOSPC, "no room for the ramdisk");
#undef TRY
}

/* A header that does not tell the size, cut at every length: no read behind the end is made. */
static void test_truncated(void **state)
{
	uint8_t *whole = image;

	(void)state;
	args.kernel_size = IMAGE - 1;
	refused(-EINVAL, "cut short");
	hdr()->syssize = 0;
	for (uint64_t size = 0; size <= SETUP + 16; size += (size < ZP_HDR_MAX + 8) ? 1 : 97) {
		image = malloc(size + 1);
		memcpy(image, whole, size);
		args.kernel = ptr_hpa(image);
		args.kernel_size = size;
		if (size <= SETUP)
			assert_int_equal(load_bzimage(&vm, &args, &start), -EINVAL);
		else
			assert_int_equal(load_bzimage(&vm, &args, &start), 0);
		free(image);
	}
	image = whole;
}

/* 2047 characters are the most, and they arrive whole. */
static void test_cmdline_limit(void **state)
{
	char line[2049];

	(void)state;
	memset(line, 'x', 2048);
	line[2047] = '\0';
	args.cmdline = line;
	hdr()->cmdline_size = 0xFFFFFFFF;
	assert_int_equal(load_bzimage(&vm, &args, &start), 0);
	assert_string_equal((char *)guest + zp()->hdr.cmd_line_ptr, line);
	line[2047] = 'x';
	line[2048] = '\0';
	refused(-E2BIG, "longer than 2047");
}

/* A header that claims to end in the middle, or far beyond. */
static void test_header_length(void **state)
{
	(void)state;
	hdr()->jump_length = 0;
	assert_int_equal(load_bzimage(&vm, &args, &start), 0);
	assert_int_equal(zp()->hdr.hardware_subarch_data, 0);
	hdr()->jump_length = 0xFF;
	assert_int_equal(load_bzimage(&vm, &args, &start), 0);
	assert_int_equal(zp()->e820[0].size, 0x9F000);
	assert_int_equal(((const uint8_t *)zp())[0x2CF], 0);
}

/* Memory that the map calls RAM and that is not there. */
static void test_unwritable(void **state)
{
	(void)state;
	writable = 0x800000;
	refused(-EFAULT, "cannot be written");
}

/* On an EFI machine the Service VM's kernel learns of it; another VM's does not. */
static void test_efi(void **state)
{
	(void)state;
	boot_info.efi_systab = 0x123456789AUL;
	boot_info.efi_mmap = 0x7000;
	boot_info.efi_mmap_size = 480;
	boot_info.efi_desc_size = 48;
	assert_int_equal(load_bzimage(&vm, &args, &start), 0);
	assert_int_equal(zp()->efi.signature, 0);
	args.in_place = true;
	assert_int_equal(load_bzimage(&vm, &args, &start), 0);
	assert_memory_equal(&zp()->efi.signature, "EL64", 4);
	assert_int_equal(zp()->efi.systab, 0x3456789A);
	assert_int_equal(zp()->efi.systab_hi, 0x12);
	assert_int_equal(zp()->efi.mmap_size, 480);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_good, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ramdisk_moved, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ramdisk_in_place, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ramdisk_outside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_busy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_truncated, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cmdline_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_header_length, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unwritable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_efi, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
