// SPDX-License-Identifier: BSD-3-Clause
/*
 * An ELF executable of 32 or 64 bits, as ACRN's -E, entered in 32-bit protected mode. One that
 * carries a multiboot 1 header (Multiboot Specification 0.6.96) gets what GRUB would give it:
 * memory map, command line, and its ramdisk as a module. The file is not trusted: its headers are
 * copied once, and every range is checked against the file's size and the VM's memory. Main thread,
 * no state.
 *
 * Guest memory: 0x10000 what a multiboot kernel is told, the rest as for a bzImage (load.h).
 */
#include <elf.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "gmem.h"
#include "load.h"
#include "log.h"
#include "vm.h"

#define MAX_SEGMENTS 16U
#define LOW_RAM_END  0xa0000ULL
#define HIGH_RAM     0x100000ULL

#define MB_SEARCH	8192U
#define MB_MAGIC	0x1badb002U
#define MB_LOADER_MAGIC 0x2badb002U
#define MB_UNKNOWN	0xfffcU /* what a loader must know and this one does not, video modes first */
#define MBI_FLAGS	0x24dU /* memory sizes, command line, modules, memory map, loader's name */

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
} __attribute__((packed));

struct boot_data {
	struct mb_info info;
	struct mb_module module;
	char loader[8];
	struct mb_mmap map[LOAD_MAX_RANGES];
};

struct elf {
	const char *path;
	int fd;
	bool multiboot;
	uint64_t file_size;
	uint64_t end; /* of all segments */
	uint64_t entry;
	unsigned int segments;
	Elf64_Phdr segment[MAX_SEGMENTS];
};

static int bad_kernel(const struct elf *elf, const char *why)
{
	log_err("%s is no ELF kernel this can boot: %s", elf->path, why);
	return -ENOEXEC;
}

static Elf64_Ehdr wide_header(const Elf32_Ehdr *h)
{
	return (Elf64_Ehdr) {.e_type = h->e_type,
			     .e_machine = h->e_machine,
			     .e_entry = h->e_entry,
			     .e_phoff = h->e_phoff,
			     .e_phentsize = h->e_phentsize,
			     .e_phnum = h->e_phnum};
}

static Elf64_Phdr wide_segment(const Elf32_Phdr *s)
{
	return (Elf64_Phdr) {.p_type = s->p_type,
			     .p_offset = s->p_offset,
			     .p_paddr = s->p_paddr,
			     .p_filesz = s->p_filesz,
			     .p_memsz = s->p_memsz};
}

static int read_headers(struct elf *elf)
{
	union {
		Elf32_Ehdr narrow;
		Elf64_Ehdr wide;
	} in = {0};
	Elf32_Phdr narrow[MAX_SEGMENTS];
	Elf64_Ehdr h;
	bool is_64;
	size_t size;

	if (pread(elf->fd, &in, sizeof(in), 0) < (ssize_t)sizeof(in.narrow) ||
	    memcmp(in.narrow.e_ident, ELFMAG, SELFMAG) != 0)
		return bad_kernel(elf, "it does not begin as ELF files do");
	is_64 = in.narrow.e_ident[EI_CLASS] == ELFCLASS64;
	h = is_64 ? in.wide : wide_header(&in.narrow);
	if ((!is_64 && in.narrow.e_ident[EI_CLASS] != ELFCLASS32) ||
	    in.narrow.e_ident[EI_DATA] != ELFDATA2LSB ||
	    h.e_machine != (is_64 ? EM_X86_64 : EM_386) || h.e_type != ET_EXEC)
		return bad_kernel(elf, "it is not an executable for x86");
	size = is_64 ? sizeof(elf->segment[0]) : sizeof(narrow[0]);
	if (h.e_phnum == 0 || h.e_phnum > MAX_SEGMENTS || h.e_phentsize != size)
		return bad_kernel(elf, "it does not have 1 to 16 program headers");
	size *= h.e_phnum;
	if (h.e_phoff > elf->file_size || pread(elf->fd, is_64 ? (void *)elf->segment : narrow,
						size, (off_t)h.e_phoff) != (ssize_t)size)
		return bad_kernel(elf, "its program headers are not in it");
	for (unsigned int i = 0; !is_64 && i < h.e_phnum; i++)
		elf->segment[i] = wide_segment(&narrow[i]);
	elf->entry = h.e_entry;
	elf->segments = h.e_phnum;
	return 0;
}

/* All of the header stands within the first 8 KB of the file, at a multiple of 4 (3.1). */
static int find_multiboot(struct elf *elf)
{
	uint32_t head[MB_SEARCH / 4];
	ssize_t n = pread(elf->fd, head, sizeof(head), 0);

	for (size_t i = 0; n > 0 && i + 3 <= (size_t)n / 4; i++) {
		if (head[i] != MB_MAGIC || head[i] + head[i + 1] + head[i + 2] != 0)
			continue;
		if ((head[i + 1] & MB_UNKNOWN) != 0)
			return bad_kernel(elf, "its multiboot header wants what is not there");
		elf->multiboot = true;
		break;
	}
	return 0;
}

/* Low memory has what the loader and ACPI put there. */
static bool is_taken(uint64_t start, uint64_t end)
{
	return (start < LOAD_LOW_END && end > LOAD_LOW_BASE) ||
	       (start < HIGH_RAM && end > LOW_RAM_END);
}

static int load_segment(struct vm *vm, struct elf *elf, const Elf64_Phdr *s, bool *entered)
{
	uint8_t *to = gmem_ptr(vm, s->p_paddr, s->p_memsz);
	uint64_t end = s->p_paddr + s->p_memsz;

	if (s->p_filesz > s->p_memsz || s->p_offset > elf->file_size ||
	    s->p_filesz > elf->file_size - s->p_offset)
		return bad_kernel(elf, "the file is truncated");
	if (!to || is_taken(s->p_paddr, end) || end > gmem_low_size(vm)) {
		log_err("%s wants %llu bytes at 0x%llx: the VM's memory is free below 0x%llx, from "
			"0x%llx to 0x%llx, and from 0x%llx to 0x%llx",
			elf->path, (unsigned long long)s->p_memsz, (unsigned long long)s->p_paddr,
			LOAD_LOW_BASE, LOAD_LOW_END, LOW_RAM_END, HIGH_RAM,
			(unsigned long long)gmem_low_size(vm));
		return -ENOSPC;
	}
	memset(to + s->p_filesz, 0, s->p_memsz - s->p_filesz);
	if (end > elf->end)
		elf->end = end;
	*entered = *entered || (elf->entry >= s->p_paddr && elf->entry < end);
	return load_file(vm, elf->path, elf->fd, s->p_offset, s->p_paddr, s->p_filesz);
}

static int load_segments(struct vm *vm, struct elf *elf)
{
	bool entered = false;

	for (unsigned int i = 0; i < elf->segments; i++) {
		const Elf64_Phdr *s = &elf->segment[i];
		int err = 0;

		if (s->p_type == PT_LOAD && s->p_memsz != 0)
			err = load_segment(vm, elf, s, &entered);
		if (err)
			return err;
	}
	return entered ? 0 : bad_kernel(elf, "its entry is in none of its segments");
}

static uint32_t gpa_of(size_t offset)
{
	return (uint32_t)(LOAD_LOW_BASE + offset);
}

static int tell(struct vm *vm, struct elf *elf)
{
	struct load_range ranges[LOAD_MAX_RANGES];
	unsigned int count = load_memory_map(vm, ranges);
	struct boot_data *data = gmem_ptr(vm, LOAD_LOW_BASE, sizeof(*data));
	uint64_t ramdisk = 0, size = 0;
	int err;

	if (!data)
		return -ENOSPC;
	if (vm->cfg.ramdisk) {
		err = load_ramdisk(vm, elf->end > HIGH_RAM ? elf->end : HIGH_RAM, gmem_low_size(vm),
				   &ramdisk, &size);
		if (err)
			return err;
	}
	err = load_cmdline(vm, elf->path, LOAD_CMDLINE_LIMIT - 1);
	if (err)
		return err;
	memset(data, 0, sizeof(*data));
	strcpy(data->loader, "acrn-dm");
	data->info = (struct mb_info) {
		.flags = MBI_FLAGS,
		.mem_lower = LOW_RAM_END >> 10,
		.mem_upper = (uint32_t)((gmem_low_size(vm) - HIGH_RAM) >> 10),
		.cmdline = LOAD_CMDLINE_GPA,
		.mods_count = size ? 1 : 0,
		.mods_addr = gpa_of(offsetof(struct boot_data, module)),
		.mmap_length = count * (uint32_t)sizeof(struct mb_mmap),
		.mmap_addr = gpa_of(offsetof(struct boot_data, map)),
		.loader_name = gpa_of(offsetof(struct boot_data, loader)),
	};
	data->module = (struct mb_module) {
		.start = (uint32_t)ramdisk,
		.end = (uint32_t)(ramdisk + size),
		.string = gpa_of(offsetof(struct boot_data, loader)) + 7, /* an empty one */
	};
	for (unsigned int i = 0; i < count; i++)
		data->map[i] = (struct mb_mmap) {sizeof(struct mb_mmap) - 4, ranges[i].base,
						 ranges[i].size, ranges[i].type};
	return 0;
}

int load_elf(struct vm *vm, struct acrn_vcpu_regs *regs)
{
	struct elf elf = {.path = vm->cfg.kernel};
	int err;

	elf.fd = load_open("kernel", elf.path, &elf.file_size);
	if (elf.fd < 0)
		return elf.fd;
	err = read_headers(&elf);
	if (!err)
		err = find_multiboot(&elf);
	if (!err && !elf.multiboot && vm->cfg.ramdisk)
		err = bad_kernel(&elf, "a ramdisk, but no multiboot header to tell it of by");
	if (!err)
		err = load_segments(vm, &elf);
	if (!err && elf.multiboot)
		err = tell(vm, &elf);
	if (!err)
		err = load_entry(vm, elf.entry, regs);
	if (!err && elf.multiboot) {
		regs->vcpu_regs.gprs.rax = MB_LOADER_MAGIC;
		regs->vcpu_regs.gprs.rbx = LOAD_LOW_BASE;
	}
	close(elf.fd);
	return err;
}
