// SPDX-License-Identifier: BSD-3-Clause
// links: hypervisor/pre_launched/load_elf.c hypervisor/pre_launched/load_raw.c hypervisor/boot/load_entry.c
// links: hypervisor/guest/ve820.c @machine tests/fake/fake_report.c
/*
 * Loading ELF executables, with and without a multiboot 1 header, and raw images: where things go,
 * what the kernel is told, and every file that must be refused with a reason.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <elf.h>
#include <cmocka.h>

#include "asm/cpuregs.h"
#include "fake_machine.h"
#include "fake_report.h"
#include "hv/boot.h"
#include "hv/gmem.h"
#include "hv/load.h"
#include "hv/ve820.h"
#include "hv/vm.h"
#include "lib/errno.h"
#include "lib/string.h"

#define GUEST_RAM 0x4000000UL /* 64 MB */
#define FILE_SIZE 0x4000U
#define CODE	  0x1000U /* offset in the file */

struct e820 host_e820;
struct boot_info boot_info;

static uint8_t *guest, *image, ramdisk[0x3000];
static uint64_t writable; /* GPAs below it */
static uint32_t writes;
static struct vm_config config;
static struct vm vm = {.name = "safety", .config = &config};
static struct vcpu_start start;
static struct load_args args;
static struct e820 map;
static struct mem_range busy[1];

bool e820_is_ram(const struct e820 *m, uint64_t base, uint64_t size)
{
	for (uint32_t i = 0; i < m->count; i++) {
		const struct mem_range *r = &m->r[i];

		if (r->type == MEM_RAM && base >= r->base && base - r->base < r->size)
			return size <= r->size - (base - r->base);
	}
	return false;
}

int gmem_write(struct vm *v, gpa_t gpa, const void *buf, size_t len)
{
	assert_ptr_equal(v, &vm);
	writes++;
	if (gpa.v >= writable || len > writable - gpa.v)
		return -EFAULT;
	memcpy(guest + gpa.v, buf, len);
	return 0;
}

long string_copy(char *dst, const char *src, size_t size)
{
	size_t n = strlen(src);

	if (n >= size)
		return -E2BIG;
	memcpy(dst, src, n + 1);
	return (long)n;
}

static Elf32_Ehdr *h32(void)
{
	return (Elf32_Ehdr *)(void *)image;
}

static Elf64_Ehdr *h64(void)
{
	return (Elf64_Ehdr *)(void *)image;
}

/* Two segments: code with a BSS, data with none. */
static Elf32_Phdr *p32(void)
{
	return (Elf32_Phdr *)(void *)(image + sizeof(Elf32_Ehdr));
}

static Elf64_Phdr *p64(void)
{
	return (Elf64_Phdr *)(void *)(image + sizeof(Elf64_Ehdr));
}

static void make32(void)
{
	*h32() = (Elf32_Ehdr){.e_ident = {0x7F, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, 1},
			      .e_type = ET_EXEC, .e_machine = EM_386, .e_version = 1,
			      .e_entry = 0x100010, .e_phoff = sizeof(Elf32_Ehdr),
			      .e_phentsize = sizeof(Elf32_Phdr), .e_phnum = 3};
	p32()[0] = (Elf32_Phdr){.p_type = PT_LOAD, .p_offset = CODE, .p_vaddr = 0xC0100000,
				.p_paddr = 0x100000, .p_filesz = 0x1100, .p_memsz = 0x9000};
	p32()[1] = (Elf32_Phdr){.p_type = PT_NOTE, .p_offset = 0xFFFFFFF0, .p_filesz = 77};
	p32()[2] = (Elf32_Phdr){.p_type = PT_LOAD, .p_offset = 0x3000, .p_paddr = 0x200000,
				.p_filesz = 0x80, .p_memsz = 0x80};
}

static void make64(void)
{
	*h64() = (Elf64_Ehdr){.e_ident = {0x7F, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1},
			      .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = 1,
			      .e_entry = 0x100010, .e_phoff = sizeof(Elf64_Ehdr),
			      .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 1};
	p64()[0] = (Elf64_Phdr){.p_type = PT_LOAD, .p_offset = CODE, .p_paddr = 0x100000,
				.p_filesz = 0x1100, .p_memsz = 0x9000};
}

static void multiboot(uint32_t at, uint32_t flags)
{
	uint32_t h[3] = {0x1BADB002, flags, 0U - 0x1BADB002 - flags};

	memcpy(image + at, h, sizeof(h));
}

static int setup(void **state)
{
	(void)state;
	fake_machine_reset();
	fake_report_reset();
	free(guest);
	free(image);
	guest = malloc(GUEST_RAM);
	image = malloc(FILE_SIZE);
	memset(guest, 0xAA, GUEST_RAM);
	for (uint32_t i = 0; i < FILE_SIZE; i++)
		image[i] = (uint8_t)(i * 7U + (i >> 8));
	memset(ramdisk, 0x52, sizeof(ramdisk));
	writable = GUEST_RAM;
	writes = 0;
	ve820_pre_launched(&map, GUEST_RAM);
	config = (struct vm_config){.os = {.load_addr = 0x8000, .entry_addr = 0x8010}};
	memset(&start, 0xEE, sizeof(start));
	args = (struct load_args){.map = &map, .kernel = ptr_hpa(image), .kernel_size = FILE_SIZE,
				  .cmdline = "run fast", .busy = busy};
	make32();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(guest);
	free(image);
	guest = image = NULL;
	return 0;
}

static uint32_t word(uint64_t gpa)
{
	uint32_t v;

	memcpy(&v, guest + gpa, sizeof(v));
	return v;
}

static bool all(uint64_t gpa, size_t len, uint8_t byte)
{
	for (size_t i = 0; i < len; i++)
		if (guest[gpa + i] != byte)
			return false;
	return true;
}

/* Is each segment where it belongs, its BSS cleared, and what is beside it as it was? */
static void test_segments(void **state)
{
	for (uint32_t wide = 0; wide < 2; wide++) {
		(void)setup(state);
		if (wide != 0)
			make64();
		assert_int_equal(load_elf(&vm, &args, &start), 0);
		assert_memory_equal(guest + 0x100000, image + CODE, 0x1100);
		assert_true(all(0x101100, 0x7F00, 0));
		assert_int_equal(guest[0x109000], 0xAA);
		if (wide == 0) {
			assert_memory_equal(guest + 0x200000, image + 0x3000, 0x80);
			assert_int_equal(guest[0x200080], 0xAA);
		}
		assert_int_equal(start.rip, 0x100010);
		assert_int_equal(start.cr0, CR0_PE | CR0_ET | CR0_NE);
		assert_int_equal(start.seg[1].ar, 0xC09B);
		assert_int_equal(start.gdt_limit, 31);
		assert_in_range(start.gdt_base, PAGE_SIZE, 0x90000);
		assert_int_equal(word(start.gdt_base + 16), 0xFFFF);
		assert_int_equal(start.gpr[GPR_RAX], 0); /* there is no multiboot header */
		assert_int_equal(fake_report_lines, 0);
	}
}

/* What does a kernel with a multiboot header hear: memory, command line, ramdisk as a module? */
static void test_multiboot(void **state)
{
	uint64_t info, at, mod;

	(void)state;
	multiboot(0x800, 3);
	args.ramdisk = ptr_hpa(ramdisk);
	args.ramdisk_size = sizeof(ramdisk);
	assert_int_equal(load_elf(&vm, &args, &start), 0);
	assert_int_equal(start.gpr[GPR_RAX], 0x2BADB002);
	info = start.gpr[GPR_RBX];
	assert_in_range(info, PAGE_SIZE, 0x90000);
	assert_int_equal(word(info), 0x24D);
	assert_int_equal(word(info + 4), 640);
	assert_int_equal(word(info + 8), (GUEST_RAM - 0x100000) >> 10);
	assert_string_equal(guest + word(info + 16), "run fast");
	assert_int_equal(word(info + 20), 1);
	mod = word(info + 24);
	assert_int_equal(word(mod + 4) - word(mod), sizeof(ramdisk));
	assert_int_equal(word(mod) % PAGE_SIZE, 0);
	assert_true(word(mod) >= 0x200080 && word(mod + 4) <= GUEST_RAM);
	assert_memory_equal(guest + word(mod), ramdisk, sizeof(ramdisk));
	assert_string_equal(guest + word(mod + 8), "");
	assert_int_equal(word(info + 44), 3 * 24);
	at = word(info + 48);
	assert_int_equal(word(at), 20);
	assert_int_equal(word(at + 4), 0);
	assert_int_equal(word(at + 12), 0xA0000);
	assert_int_equal(word(at + 20), 1);
	assert_int_equal(word(at + 24 + 20), 2);
	assert_string_equal(guest + word(info + 64), "ACRN");
	/* no ramdisk: no module */
	args.ramdisk_size = 0;
	assert_int_equal(load_elf(&vm, &args, &start), 0);
	assert_int_equal(word(start.gpr[GPR_RBX] + 20), 0);
}

/* Where is a multiboot header one? In the first 8 KB, at a multiple of 4, with its sum. */
static void test_multiboot_place(void **state)
{
	static const struct {
		uint32_t at, sum, rax;
	} cases[] = {{0x1FF4, 0, 0x2BADB002}, {0x1FF8, 0, 0}, {0x2000, 0, 0}, {0x802, 0, 0},
		     {0x800, 1, 0}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		(void)setup(state);
		multiboot(cases[i].at, 0);
		image[cases[i].at + 8] = (uint8_t)(image[cases[i].at + 8] + cases[i].sum);
		assert_int_equal(load_elf(&vm, &args, &start), 0);
		assert_int_equal(start.gpr[GPR_RAX], cases[i].rax);
	}
}

struct bad {
	const char *said;
	int err;
	void (*make)(void);
};

static void magic(void) { image[0] = 0; }
static void big_endian(void) { image[5] = 2; }
static void shared(void) { h32()->e_type = ET_DYN; }
static void machine(void) { h32()->e_machine = EM_ARM; }
static void class_machine(void) { h32()->e_machine = EM_X86_64; }
static void no_class(void) { image[4] = 3; }
static void small_entries(void) { h32()->e_phentsize = 8; }
static void empty(void) { args.kernel_size = 0; }
static void tiny(void) { args.kernel_size = 63; }
static void phoff(void) { h32()->e_phoff = 0xFFFFFFFF; }
static void phnum(void) { h32()->e_phnum = 0xFFFF; }
static void offset(void) { p32()[0].p_offset = 0xFFFFFFFF; }
static void cut(void) { args.kernel_size = CODE + 0x10FF; }
static void filesz(void) { p32()[0].p_memsz = 0x10FF; }
static void hole(void) { p32()[2].p_paddr = 0x9FFC0; }
static void beyond(void) { p32()[2].p_paddr = GUEST_RAM - 0x40; }
static void wraps(void) { p32()[2].p_paddr = 0xFFFFFFC0; }
static void huge(void) { p32()[2].p_memsz = 0xFFFFFFFF; }
static void over_other(void) { p32()[2].p_paddr = 0x108FFF; }
static void entry(void) { h32()->e_entry = 0x109000; }
static void none(void) { h32()->e_phnum = 0; }
static void low_full(void) { p32()[2].p_paddr = 0; p32()[2].p_memsz = 0x90000; }
static void video(void) { multiboot(0x800, 4); }
static void unknown(void) { multiboot(0x800, 0x8000); }
static void lonely_ramdisk(void) { args.ramdisk = ptr_hpa(ramdisk); args.ramdisk_size = 4096; }
static void large_ramdisk(void)
{
	multiboot(0x800, 0);
	args.ramdisk = ptr_hpa(ramdisk);
	args.ramdisk_size = GUEST_RAM;
}
static void wide_entry(void)
{
	make64();
	h64()->e_entry = p64()[0].p_paddr = 0x100000000;
	map.r[map.count++] = (struct mem_range){.base = GB(4), .size = MB(2), .type = MEM_RAM};
}

/* What is refused, with which line, and is the VM's memory then as it was? */
static void test_refused(void **state)
{
	static const struct bad cases[] = {
		{"is no ELF", -EINVAL, magic},
		{"is no ELF", -EINVAL, big_endian},
		{"is no ELF", -EINVAL, shared},
		{"is no ELF", -EINVAL, machine},
		{"is no ELF", -EINVAL, class_machine},
		{"is no ELF", -EINVAL, no_class},
		{"is no ELF", -EINVAL, small_entries},
		{"is no ELF", -EINVAL, empty},
		{"is no ELF", -EINVAL, tiny},
		{"cut short: its program headers", -EINVAL, phoff},
		{"cut short: its program headers", -EINVAL, phnum},
		{"cut short: a segment", -EINVAL, offset},
		{"cut short: a segment", -EINVAL, cut},
		{"cut short: a segment", -EINVAL, filesz},
		{"not within the VM's RAM", -ENOSPC, hole},
		{"not within the VM's RAM", -ENOSPC, beyond},
		{"not within the VM's RAM", -ENOSPC, wraps},
		{"not within the VM's RAM", -ENOSPC, huge},
		{"lies over another", -ENOSPC, over_other},
		{"entry 0x109000 is in none", -EINVAL, entry},
		{"is in none of its segments", -EINVAL, none},
		{"free memory below 0x90000", -ENOSPC, low_full},
		{"wants features 0x4", -EINVAL, video},
		{"wants features 0x8000", -EINVAL, unknown},
		{"no multiboot header to hear of it by", -EINVAL, lonely_ramdisk},
		{"no room for the ramdisk", -ENOSPC, large_ramdisk},
		{"or above 4 GB", -EINVAL, wide_entry},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		(void)setup(state);
		cases[i].make();
		assert_int_equal(load_elf(&vm, &args, &start), cases[i].err);
		if (!fake_reported(cases[i].said))
			fail_msg("case %zu: no \"%s\"", i, cases[i].said);
		assert_int_equal(fake_report_lines, 1);
		assert_int_equal(writes, 0);
	}
}

/* More segments than there is room to remember? Memory that turns out not to be there? */
static void test_limits(void **state)
{
	char line[VM_BOOTARGS_LEN + 1];

	(void)state;
	h32()->e_phnum = 17;
	for (uint32_t i = 0; i < 17; i++)
		p32()[i] = (Elf32_Phdr){.p_type = PT_LOAD, .p_offset = CODE, .p_filesz = 16,
					.p_paddr = 0x100000 + i * 0x1000, .p_memsz = 32};
	assert_int_equal(load_elf(&vm, &args, &start), -EINVAL);
	assert_true(fake_reported("more than 16 segments"));
	h32()->e_phnum = 16;
	assert_int_equal(load_elf(&vm, &args, &start), 0);
	writable = 0x100008;
	assert_int_equal(load_elf(&vm, &args, &start), -EFAULT);
	assert_true(fake_reported("cannot be written"));
	memset(line, 'x', sizeof(line));
	line[VM_BOOTARGS_LEN] = '\0';
	args.cmdline = line;
	assert_int_equal(load_elf(&vm, &args, &start), -E2BIG);
}

/* A raw image: its bytes at one address, the entry at another, or a reason. */
static void test_raw(void **state)
{
	(void)state;
	assert_int_equal(load_raw(&vm, &args, &start), 0);
	assert_memory_equal(guest + 0x8000, image, FILE_SIZE);
	assert_int_equal(start.rip, 0x8010);
	assert_true(start.gdt_base < 0x8000 || start.gdt_base >= 0x8000 + FILE_SIZE);
	writes = 0;
	config.os.load_addr = GUEST_RAM - FILE_SIZE + 1;
	assert_int_equal(load_raw(&vm, &args, &start), -ENOSPC);
	assert_true(fake_reported("not within the VM's RAM"));
	config.os.load_addr = UINT64_MAX - 4;
	assert_int_equal(load_raw(&vm, &args, &start), -ENOSPC);
	config.os.load_addr = 0x100000;
	config.os.entry_addr = 0x100000000;
	assert_int_equal(load_raw(&vm, &args, &start), -EINVAL);
	config.os.entry_addr = 0;
	config.os.load_addr = 0;
	args.kernel_size = 0x90000;
	assert_int_equal(load_raw(&vm, &args, &start), -ENOSPC);
	assert_true(fake_reported("no free memory below 0x90000"));
	assert_int_equal(writes, 0);
	args.kernel_size = FILE_SIZE;
	config.os.load_addr = 0x100000;
	writable = 0x100000;
	assert_int_equal(load_raw(&vm, &args, &start), -EFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_segments, setup, teardown),
		cmocka_unit_test_setup_teardown(test_multiboot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_multiboot_place, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_raw, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
