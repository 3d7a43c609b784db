// SPDX-License-Identifier: BSD-3-Clause
/*
 * Is an ELF kernel started, and one with a multiboot header told what GRUB would tell it? Is each
 * damaged or unfit one refused, without touching anything but the VM's memory?
 */
// links: @machine tests/unit/devicemodel/bzimage.c
#include <elf.h>
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

#define MAGIC 0x1badb002U

/* Two segments at 1 MB and 2 MB, each of 64 bytes 0x5a; the second has 4000 more of memory. */
static struct image {
	Elf32_Ehdr hdr;
	Elf32_Phdr ph[2];
	uint32_t multiboot[3];
	uint8_t payload[128];
} image;
/* The same of 64 bits. */
static struct {
	Elf64_Ehdr hdr;
	Elf64_Phdr ph;
	uint32_t multiboot[3];
	uint8_t payload[64];
} wide;
static struct acrn_vcpu_regs regs;

static int setup(void **state)
{
	(void)state;
	fake_hsm_reset();
	machine_create("");
	memset(&image, 0x5a, sizeof(image));
	image.hdr = (Elf32_Ehdr){.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, 1},
				 .e_type = ET_EXEC, .e_machine = EM_386, .e_version = 1,
				 .e_entry = 0x100010, .e_phoff = offsetof(struct image, ph),
				 .e_phentsize = sizeof(Elf32_Phdr), .e_phnum = 2};
	for (uint32_t i = 0; i < 2; i++)
		image.ph[i] = (Elf32_Phdr){.p_type = PT_LOAD, .p_filesz = 64, .p_memsz = 64,
					   .p_offset = (uint32_t)offsetof(struct image, payload) +
						       i * 64,
					   .p_paddr = (i + 1) << 20, .p_vaddr = 0xc0000000};
	image.ph[1].p_memsz += 4000;
	image.multiboot[0] = MAGIC;
	image.multiboot[1] = 3;
	image.multiboot[2] = 0 - MAGIC - 3;
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
	machine.cfg.kernel = bzimage_write(&image, len);
	return load_elf(&machine, &regs);
}

#define WHOLE sizeof(image)

static const uint32_t *words(uint64_t gpa)
{
	return gmem_ptr(&machine, gpa, 4096);
}

/* What if all is well: memory, registers, and what the kernel is told? */
static void test_good(void **state)
{
	const struct acrn_regs *r = &regs.vcpu_regs;
	const uint32_t *info;
	uint8_t *bss = gmem_ptr(&machine, 0x200000, 4064);

	(void)state;
	memset(bss, 0xff, 4064); /* as after an earlier life */
	machine.cfg.bootargs = "word=1";
	assert_int_equal(load(WHOLE), 0);
	assert_int_equal(words(0x100000)[15], 0x5a5a5a5a);
	assert_int_equal(bss[63], 0x5a);
	assert_int_equal(bss[64], 0);
	assert_int_equal(bss[4063], 0);
	assert_int_equal(r->rip, 0x100010);
	assert_int_equal(r->cr0 & 0x80000001, 1);
	assert_int_equal(r->gprs.rax, 0x2badb002);
	info = words(r->gprs.rbx);
	assert_int_equal(info[0], 0x24d); /* memory, command line, modules, map, loader */
	assert_int_equal(info[1], 640);
	assert_int_equal(info[2], (15 << 20) >> 10);
	assert_string_equal((const char *)words(info[4]), "word=1");
	assert_int_equal(info[5], 0);
	assert_int_equal(info[11], 4 * 24);
	assert_int_equal(words(info[12])[0], 20);
	assert_int_equal(words(info[12])[12 + 1], 0x100000); /* the third range */
	assert_string_equal((const char *)words(info[16]), "acrn-dm");
}

/* What about its ramdisk: is it a module, on pages of its own, with an empty string? */
static void test_module(void **state)
{
	char path[] = "/tmp/module-XXXXXX";
	const uint32_t *info, *module;
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, "ramdisk", 7), 7);
	close(fd);
	machine.cfg.ramdisk = path;
	assert_int_equal(load(WHOLE), 0);
	info = words(regs.vcpu_regs.gprs.rbx);
	assert_int_equal(info[5], 1);
	module = words(info[6]);
	assert_int_equal(module[1] - module[0], 7);
	assert_int_equal(module[0] % 4096, 0);
	assert_memory_equal(words(module[0]), "ramdisk", 7);
	assert_string_equal((const char *)words(module[2]), "");
	/* a kernel that could not hear of it */
	image.multiboot[0] = 0;
	assert_int_equal(load(WHOLE), -ENOEXEC);
	unlink(path);
}

/* What if there is no multiboot header: is it entered alike, and told nothing? */
static void test_plain(void **state)
{
	(void)state;
	image.multiboot[2]++;
	assert_int_equal(load(WHOLE), 0);
	assert_int_equal(regs.vcpu_regs.rip, 0x100010);
	assert_int_equal(regs.vcpu_regs.gprs.rax, 0);
	/* or one that wants a video mode, or what nobody knows */
	for (uint32_t bit = 2; bit < 16; bit++) {
		image.multiboot[1] = 1U << bit;
		image.multiboot[2] = 0 - MAGIC - (1U << bit);
		assert_int_equal(load(WHOLE), -ENOEXEC);
	}
}

/* What if the file ends early, anywhere? */
static void test_truncated(void **state)
{
	(void)state;
	for (size_t len = 0; len < WHOLE; len++)
		assert_int_equal(load(len), -ENOEXEC);
	assert_int_equal(load(WHOLE), 0);
}

/* What if it is for another machine, or no executable, or its numbers are wild? */
static void test_unfit(void **state)
{
	static const struct {
		size_t at;
		uint32_t size, value;
		int err;
	} cases[] = {
#define FIELD(f, v, e) {offsetof(struct image, f), sizeof(image.f), v, e}
		FIELD(hdr.e_ident[0], 0x7e, -ENOEXEC),
		FIELD(hdr.e_ident[EI_CLASS], ELFCLASS64, -ENOEXEC),
		FIELD(hdr.e_ident[EI_DATA], ELFDATA2MSB, -ENOEXEC),
		FIELD(hdr.e_machine, EM_ARM, -ENOEXEC),
		FIELD(hdr.e_type, ET_DYN, -ENOEXEC),
		FIELD(hdr.e_phnum, 0, -ENOEXEC),
		FIELD(hdr.e_phnum, 17, -ENOEXEC),
		FIELD(hdr.e_phentsize, 31, -ENOEXEC),
		FIELD(hdr.e_phoff, 0xfffffff0, -ENOEXEC),
		FIELD(hdr.e_entry, 0x100040, -ENOEXEC),
		FIELD(hdr.e_entry, 0xfffff, -ENOEXEC),
		FIELD(ph[0].p_filesz, 65, -ENOEXEC),
		FIELD(ph[1].p_offset, 0xffffffff, -ENOEXEC),
		FIELD(ph[1].p_memsz, 0xffffffff, -ENOSPC),
		FIELD(ph[1].p_paddr, 0xfffffff0, -ENOSPC),
		FIELD(ph[1].p_paddr, 0xf2400, -ENOSPC), /* ACPI tables */
		FIELD(ph[1].p_paddr, 0x9ffff, -ENOSPC),
		FIELD(ph[1].p_paddr, 0x10000, -ENOSPC), /* what the loader writes */
		FIELD(ph[1].p_paddr, 0xffff, -ENOSPC),
		FIELD(ph[1].p_paddr, 0x2ffff, -ENOSPC),
		FIELD(ph[1].p_paddr, 0x30000, 0),
		FIELD(ph[1].p_paddr, 0x1000, 0),
		FIELD(ph[1].p_paddr, (16 << 20) - 4064, 0),
		FIELD(ph[1].p_paddr, (16 << 20) - 4063, -ENOSPC),
		FIELD(ph[1].p_type, PT_NOTE, 0),
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(setup(state), 0);
		memcpy((uint8_t *)&image + cases[i].at, &cases[i].value, cases[i].size);
		if (load(WHOLE) != cases[i].err)
			fail_msg("case %zu", i);
		teardown(state);
	}
	assert_int_equal(setup(state), 0);
}

static int load_wide(size_t len)
{
	machine.cfg.kernel = bzimage_write(&wide, len);
	return load_elf(&machine, &regs);
}

/* What if it is an ELF of 64 bits, and one that only 64 bits can get wrong? */
static void test_wide(void **state)
{
	const Elf64_Phdr ph = {.p_type = PT_LOAD,
			       .p_filesz = 64,
			       .p_memsz = 4064,
			       .p_offset = (uintptr_t)&wide.payload - (uintptr_t)&wide,
			       .p_paddr = 0x200000,
			       .p_vaddr = 0xffffffff80000000};

	(void)state;
	wide.hdr = (Elf64_Ehdr){.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1},
				.e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = 1,
				.e_entry = 0x200004, .e_phoff = sizeof(wide.hdr),
				.e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 1};
	wide.ph = ph;
	memcpy(wide.multiboot, image.multiboot, sizeof(wide.multiboot));
	memset(wide.payload, 0x5a, sizeof(wide.payload));
	assert_int_equal(load_wide(sizeof(wide)), 0);
	assert_int_equal(words(0x200000)[15], 0x5a5a5a5a);
	assert_int_equal(words(0x200000)[16], 0);
	assert_int_equal(regs.vcpu_regs.rip, 0x200004);
	assert_int_equal(regs.vcpu_regs.gprs.rax, 0x2badb002);
	assert_int_equal(load_wide(sizeof(wide) - 12), -ENOEXEC);
	assert_int_equal(load_wide(sizeof(Elf32_Ehdr)), -ENOEXEC);
	wide.ph.p_paddr = UINT64_MAX - 100;
	assert_int_equal(load_wide(sizeof(wide)), -ENOSPC);
	wide.ph.p_paddr = VM_HIGHMEM_BASE;
	assert_int_equal(load_wide(sizeof(wide)), -ENOSPC);
	wide.ph = ph;
	wide.ph.p_offset = UINT64_MAX - 10;
	assert_int_equal(load_wide(sizeof(wide)), -ENOEXEC);
	wide.ph = ph;
	wide.ph.p_memsz = UINT64_MAX;
	assert_int_equal(load_wide(sizeof(wide)), -ENOSPC);
	wide.ph = ph;
	wide.hdr.e_entry = 0x100200004;
	assert_int_equal(load_wide(sizeof(wide)), -ENOEXEC);
	wide.hdr.e_entry = 0x200004;
	wide.hdr.e_phoff = UINT64_MAX - 20;
	assert_int_equal(load_wide(sizeof(wide)), -ENOEXEC);
	wide.hdr.e_phoff = sizeof(wide.hdr);
	wide.hdr.e_machine = EM_386;
	assert_int_equal(load_wide(sizeof(wide)), -ENOEXEC);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_good), T(test_module), T(test_plain), T(test_truncated), T(test_wide),
	};
	const struct CMUnitTest unfit[] = {cmocka_unit_test_teardown(test_unfit, teardown)};

	return cmocka_run_group_tests_name("load_elf", tests, NULL, NULL) +
	       cmocka_run_group_tests_name("load_elf unfit", unfit, NULL, NULL);
}
