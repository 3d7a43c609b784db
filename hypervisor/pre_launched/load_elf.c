// SPDX-License-Identifier: BSD-3-Clause
/*
 * Loads an ELF executable of 32 or 64 bits into a VM, entered in 32-bit protected mode. One that
 * carries a multiboot 1 header gets what GRUB would give it: memory map, command line, its ramdisk
 * as a module. Called by load.c at boot, before the VM runs. The image comes from a boot module and
 * may be damaged: each header is copied, then checked, then used, and nothing is written to the VM
 * until everything has found its place. Takes no lock.
 */
#include "hv/boot.h"
#include "hv/gmem.h"
#include "hv/load.h"
#include "hv/ve820.h"
#include "hv/vm.h"
#include "lib/errno.h"
#include "lib/string.h"

#define MAX_SEGMENTS 16U
#define LOW_LIMIT    0x90000U

#define ELF_MAGIC  0x464C457FU
#define CLASS_32   1U
#define CLASS_64   2U
#define DATA_LE	   1U
#define TYPE_EXEC  2U
#define MACHINE_32 3U
#define MACHINE_64 62U
#define PT_LOAD	   1U

#define MB_SEARCH	8192U
#define MB_MAGIC	0x1BADB002U
#define MB_UNKNOWN	0xFFF8U /* bits that a loader must know, and this one does not */
#define MB_VIDEO	BIT32(2)
#define MB_LOADER_MAGIC 0x2BADB002U

struct elf32_header {
	uint32_t magic;
	uint8_t class, data, version, pad[9];
	uint16_t type, machine;
	uint32_t version2, entry, phoff, shoff, flags;
	uint16_t ehsize, phentsize, phnum;
};

struct elf64_header {
	uint32_t magic;
	uint8_t class, data, version, pad[9];
	uint16_t type, machine;
	uint32_t version2;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum;
};

struct elf32_segment {
	uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align;
};

struct elf64_segment {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

/* Multiboot 1, 3.3; only what its `flags` say is filled in is read. */
#define MBI_MEMORY  BIT32(0)
#define MBI_CMDLINE BIT32(2)
#define MBI_MODS    BIT32(3)
#define MBI_MMAP    BIT32(6)
#define MBI_LOADER  BIT32(9)

struct mb_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
	uint32_t mmap_length, mmap_addr, drives[2], config_table, loader_name, apm_table, video[11];
};

struct mb_module {
	uint32_t start, end, string, reserved;
};

struct mb_mmap {
	uint32_t size; /* of what follows */
	uint64_t base, length;
	uint32_t type;
} __packed;

/* What the guest finds in low memory: built here, since it is too much for the stack. */
static struct boot_data {
	uint64_t gdt[LOAD_GDT_SIZE / 8U];
	struct mb_info info;
	struct mb_module module;
	char loader[8];
	char cmdline[VM_BOOTARGS_LEN];
	struct mb_mmap mmap[128];
} data;

struct elf {
	bool is_64, multiboot;
	uint64_t entry, phoff;
	uint16_t phentsize, phnum;
	uint32_t count; /* of segment[] */
	struct elf64_segment segment[MAX_SEGMENTS];
	struct mem_range busy[BOOT_MAX_MODULES + MAX_SEGMENTS]; /* theirs and the segments */
	uint32_t busy_count;
	uint64_t data, ramdisk; /* GPAs */
};

static struct elf elf;

static const uint8_t *image(const struct load_args *a, uint64_t offset)
{
	return (const uint8_t *)hpa_ptr(a->kernel) + offset;
}

static bool inside(const struct load_args *a, uint64_t offset, uint64_t size)
{
	return offset <= a->kernel_size && size <= a->kernel_size - offset;
}

static int read_header(const struct vm *vm, const struct load_args *a)
{
	struct elf32_header h = {0};
	struct elf64_header h64 = {0};
	bool ok = inside(a, 0U, sizeof(h64));

	if (ok) {
		(void)memcpy(&h, image(a, 0U), sizeof(h));
		(void)memcpy(&h64, image(a, 0U), sizeof(h64));
		ok = h.magic == ELF_MAGIC && h.data == DATA_LE && h.type == TYPE_EXEC;
	}
	if (ok && h.class == CLASS_32 && h.machine == MACHINE_32) {
		elf.entry = h.entry;
		elf.phoff = h.phoff;
		elf.phentsize = h.phentsize;
		elf.phnum = h.phnum;
		ok = h.phentsize >= sizeof(struct elf32_segment);
	} else if (ok && h.class == CLASS_64 && h.machine == MACHINE_64) {
		elf.is_64 = true;
		elf.entry = h64.entry;
		elf.phoff = h64.phoff;
		elf.phentsize = h64.phentsize;
		elf.phnum = h64.phnum;
		ok = h64.phentsize >= sizeof(struct elf64_segment);
	} else {
		ok = false;
	}
	if (!ok) {
		report("%s: the kernel module is no ELF executable for x86", vm->name);
		return -EINVAL;
	}
	if (!inside(a, elf.phoff, (uint64_t)elf.phnum * elf.phentsize)) {
		report("%s: the kernel module is cut short: its program headers are not in it",
		       vm->name);
		return -EINVAL;
	}
	return 0;
}

static void read_segment(const struct load_args *a, uint16_t i, struct elf64_segment *s)
{
	const uint8_t *at = image(a, elf.phoff + (uint64_t)i * elf.phentsize);
	struct elf32_segment narrow;

	if (elf.is_64) {
		(void)memcpy(s, at, sizeof(*s));
		return;
	}
	(void)memcpy(&narrow, at, sizeof(narrow));
	*s = (struct elf64_segment){.type = narrow.type, .offset = narrow.offset,
				    .paddr = narrow.paddr, .filesz = narrow.filesz,
				    .memsz = narrow.memsz};
}

static bool is_busy(uint64_t base, uint64_t size)
{
	for (uint32_t i = 0U; i < elf.busy_count; i++) {
		const struct mem_range *b = &elf.busy[i];

		if (base < b->base + b->size && b->base < base + size) {
			return true;
		}
	}
	return false;
}

static int take_segment(const struct vm *vm, const struct load_args *a,
			const struct elf64_segment *s)
{
	if (!inside(a, s->offset, s->filesz) || s->filesz > s->memsz) {
		report("%s: the kernel module is cut short: a segment of %lu bytes at offset 0x%lx",
		       vm->name, s->filesz, s->offset);
		return -EINVAL;
	}
	if (elf.count == MAX_SEGMENTS) {
		report("%s: the kernel has more than %u segments", vm->name, MAX_SEGMENTS);
		return -EINVAL;
	}
	if (!e820_is_ram(a->map, s->paddr, s->memsz)) {
		report("%s: the kernel's segment of %lu bytes at 0x%lx is not within the VM's RAM",
		       vm->name, s->memsz, s->paddr);
		return -ENOSPC;
	}
	if (is_busy(s->paddr, s->memsz)) {
		report("%s: the kernel's segment of %lu bytes at 0x%lx lies over another or over a "
		       "module",
		       vm->name, s->memsz, s->paddr);
		return -ENOSPC;
	}
	elf.segment[elf.count++] = *s;
	elf.busy[elf.busy_count++] = (struct mem_range){.base = s->paddr, .size = s->memsz};
	return 0;
}

static int take_segments(const struct vm *vm, const struct load_args *a)
{
	bool entered = false;

	for (uint16_t i = 0U; i < elf.phnum; i++) {
		struct elf64_segment s;
		int err;

		read_segment(a, i, &s);
		if (s.type != PT_LOAD || s.memsz == 0U) {
			continue;
		}
		err = take_segment(vm, a, &s);
		if (err != 0) {
			return err;
		}
		entered = entered || (elf.entry >= s.paddr && elf.entry - s.paddr < s.memsz);
	}
	if (!entered || elf.entry > UINT32_MAX) {
		report("%s: the kernel's entry 0x%lx is in none of its segments, or above 4 GB",
		       vm->name, elf.entry);
		return -EINVAL;
	}
	return 0;
}

/* All of the header stands within the first 8 KB of the file, at a multiple of 4 (multiboot 1, 3.1). */
static int find_multiboot(const struct vm *vm, const struct load_args *a)
{
	for (uint64_t at = 0U; at + 12U <= MB_SEARCH && inside(a, at, 12U); at += 4U) {
		uint32_t h[3];

		(void)memcpy(h, image(a, at), sizeof(h));
		if (h[0] != MB_MAGIC || h[0] + h[1] + h[2] != 0U) {
			continue;
		}
		if ((h[1] & (MB_UNKNOWN | MB_VIDEO)) != 0U) {
			report("%s: the kernel's multiboot header wants features 0x%x, which are not "
			       "there",
			       vm->name, h[1] & (MB_UNKNOWN | MB_VIDEO));
			return -EINVAL;
		}
		elf.multiboot = true;
		break;
	}
	return 0;
}

static int place(const struct vm *vm, const struct load_args *a)
{
	struct ve820_search s = {.map = a->map, .busy = elf.busy, .busy_count = elf.busy_count,
				 .size = sizeof(data), .align = PAGE_SIZE, .from = PAGE_SIZE,
				 .limit = LOW_LIMIT};

	elf.data = ve820_find_high(&s);
	if (elf.data == UINT64_MAX) {
		report("%s: no %lu KB of free memory below 0x%x for the boot data", vm->name,
		       sizeof(data) / 1024U, LOW_LIMIT);
		return -ENOSPC;
	}
	if (a->ramdisk_size == 0U) {
		return 0;
	}
	if (!elf.multiboot) {
		report("%s: a ramdisk, but the kernel has no multiboot header to hear of it by",
		       vm->name);
		return -EINVAL;
	}
	s.size = a->ramdisk_size;
	s.from = MB(1);
	s.limit = GB(4);
	elf.ramdisk = ve820_find_high(&s);
	if (elf.ramdisk == UINT64_MAX) {
		report("%s: no room for the ramdisk of %lu KB below 4 GB", vm->name,
		       a->ramdisk_size >> 10);
		return -ENOSPC;
	}
	return 0;
}

static uint32_t data_gpa(const void *field)
{
	return (uint32_t)(elf.data + (uint64_t)((const uint8_t *)field - (const uint8_t *)&data));
}

static int fill_info(const struct vm *vm, const struct load_args *a)
{
	struct mb_info *info = &data.info;

	(void)memset(&data, 0, sizeof(data));
	if (string_copy(data.cmdline, a->cmdline, sizeof(data.cmdline)) < 0) {
		report("%s: the kernel's command line is too long", vm->name);
		return -E2BIG;
	}
	(void)string_copy(data.loader, "ACRN", sizeof(data.loader));
	info->flags = MBI_MEMORY | MBI_CMDLINE | MBI_MODS | MBI_MMAP | MBI_LOADER;
	info->cmdline = data_gpa(data.cmdline);
	info->loader_name = data_gpa(data.loader);
	info->mods_addr = data_gpa(&data.module);
	if (a->ramdisk_size != 0U) {
		info->mods_count = 1U;
		data.module.start = (uint32_t)elf.ramdisk;
		data.module.end = (uint32_t)(elf.ramdisk + a->ramdisk_size);
		data.module.string = data_gpa(data.loader) + 4U; /* its end: an empty string */
	}
	info->mmap_addr = data_gpa(data.mmap);
	for (uint32_t i = 0U; i < a->map->count && i < ARRAY_SIZE(data.mmap); i++) {
		const struct mem_range *r = &a->map->r[i];

		data.mmap[i] = (struct mb_mmap){.size = sizeof(struct mb_mmap) - 4U,
						.base = r->base, .length = r->size, .type = r->type};
		info->mmap_length += (uint32_t)sizeof(struct mb_mmap);
		if (r->type == MEM_RAM && r->base == 0U) {
			info->mem_lower = (uint32_t)(MIN(r->size, 0xA0000U) >> 10);
		}
		if (r->type == MEM_RAM && r->base <= MB(1) && r->base + r->size > MB(1)) {
			info->mem_upper = (uint32_t)MIN((r->base + r->size - MB(1)) >> 10,
							UINT32_MAX);
		}
	}
	return 0;
}

static int write_zeros(struct vm *vm, uint64_t at, uint64_t size)
{
	static const uint8_t zeros[1024];
	int err = 0;

	while (size != 0U && err == 0) {
		uint64_t step = MIN(size, sizeof(zeros));

		err = gmem_write(vm, GPA(at), zeros, step);
		at += step;
		size -= step;
	}
	return err;
}

static int copy_all(struct vm *vm, const struct load_args *a, struct vcpu_start *start)
{
	int err = gmem_write(vm, GPA(elf.data), &data, sizeof(data));

	for (uint32_t i = 0U; i < elf.count && err == 0; i++) {
		const struct elf64_segment *s = &elf.segment[i];

		err = gmem_write(vm, GPA(s->paddr), image(a, s->offset), s->filesz);
		if (err == 0) {
			err = write_zeros(vm, s->paddr + s->filesz, s->memsz - s->filesz);
		}
	}
	if (err == 0 && a->ramdisk_size != 0U) {
		err = gmem_write(vm, GPA(elf.ramdisk), hpa_ptr(a->ramdisk), a->ramdisk_size);
	}
	if (err == 0) {
		err = load_entry(vm, elf.entry, data_gpa(data.gdt), start);
	}
	if (err != 0) {
		report("%s: memory its map calls RAM cannot be written", vm->name);
	}
	return err;
}

int load_elf(struct vm *vm, const struct load_args *a, struct vcpu_start *start)
{
	int err;

	(void)memset(&elf, 0, sizeof(elf));
	elf.busy_count = MIN(a->busy_count, BOOT_MAX_MODULES);
	(void)memcpy(elf.busy, a->busy, elf.busy_count * sizeof(elf.busy[0]));
	err = read_header(vm, a);
	if (err == 0) {
		err = take_segments(vm, a);
	}
	if (err == 0) {
		err = find_multiboot(vm, a);
	}
	if (err == 0) {
		err = place(vm, a);
	}
	if (err == 0) {
		err = fill_info(vm, a);
	}
	if (err == 0) {
		err = copy_all(vm, a, start);
	}
	if (err == 0 && elf.multiboot) {
		start->gpr[GPR_RAX] = MB_LOADER_MAGIC;
		start->gpr[GPR_RBX] = data_gpa(&data.info);
	}
	return err;
}
LOADER(KERNEL_ELF, load_elf);
