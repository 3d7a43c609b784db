// SPDX-License-Identifier: BSD-3-Clause
/*
 * What the loaders of the kernel formats share: files into guest memory, straight from the page
 * cache with no copy in between, command line, ramdisk, memory map, and the state of the first vCPU.
 * On the main thread.
 */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gmem.h"
#include "log.h"
#include "vm.h"

#define CS_SELECTOR 0x10U
#define DS_SELECTOR 0x18U
#define GDT_ENTRIES 4U
#define GDT_CODE32  0x00cf9b000000ffffULL
#define GDT_DATA32  0x00cf93000000ffffULL
#define CS_ACCESS   0xc09bU
#define CR0_PE	    0x1U
#define CR0_ET	    0x10U
#define CR0_NE	    0x20U
#define RFLAGS_ONE  0x2U

#define RAM	    1U
#define RESERVED    2U
#define LOW_RAM_END 0xa0000ULL
#define HIGH_RAM    0x100000ULL

int load_open(const char *what, const char *path, uint64_t *size)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err;

	if (fd < 0) {
		err = -errno;
		log_err("cannot open the %s %s: %s", what, path, strerror(errno));
		return err;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		log_err("the %s %s is not a regular file", what, path);
		close(fd);
		return -EINVAL;
	}
	*size = (uint64_t)st.st_size;
	return fd;
}

int load_file(struct vm *vm, const char *path, int fd, uint64_t offset, uint64_t gpa, uint64_t len)
{
	uint8_t *to = gmem_ptr(vm, gpa, len);

	if (!to) {
		log_err("%s does not fit into the VM's memory", path);
		return -ENOSPC;
	}
	while (len > 0) {
		ssize_t n = pread(fd, to, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			log_err("cannot read %s: %s", path,
				n < 0 ? strerror(errno) : "it became shorter");
			return n < 0 ? -errno : -EIO;
		}
		to += n;
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

int load_ramdisk(struct vm *vm, uint64_t floor, uint64_t top, uint64_t *gpa, uint64_t *size)
{
	int fd = load_open("ramdisk", vm->cfg.ramdisk, size);
	int err;

	if (fd < 0)
		return fd;
	if (*size > top || ((top - *size) & ~0xfffULL) < floor) {
		log_err("ramdisk %s (%llu KB) does not fit between the kernel's end at %llu KB and "
			"%llu KB",
			vm->cfg.ramdisk, (unsigned long long)(*size >> 10),
			(unsigned long long)(floor >> 10), (unsigned long long)(top >> 10));
		err = -ENOSPC;
	} else {
		*gpa = (top - *size) & ~0xfffULL;
		err = load_file(vm, vm->cfg.ramdisk, fd, 0, *gpa, *size);
	}
	close(fd);
	return err;
}

int load_cmdline(struct vm *vm, const char *kernel, uint64_t max)
{
	const char *args = vm->cfg.bootargs ? vm->cfg.bootargs : "";
	size_t len = strlen(args);
	char *to;

	if (max == 0 || max > LOAD_CMDLINE_LIMIT - 1)
		max = LOAD_CMDLINE_LIMIT - 1;
	if (len > max) {
		log_err("the kernel's command line has %zu characters, %s takes %llu", len, kernel,
			(unsigned long long)max);
		return -E2BIG;
	}
	to = gmem_ptr(vm, LOAD_CMDLINE_GPA, len + 1);
	if (!to)
		return -ENOSPC;
	memcpy(to, args, len + 1);
	return 0;
}

unsigned int load_memory_map(const struct vm *vm, struct load_range ranges[LOAD_MAX_RANGES])
{
	const struct load_range all[LOAD_MAX_RANGES] = {
		{0, LOW_RAM_END, RAM},
		{LOW_RAM_END, HIGH_RAM - LOW_RAM_END, RESERVED},
		{HIGH_RAM, gmem_low_size(vm) - HIGH_RAM, RAM},
		{VM_ECAM_BASE, VM_HIGHMEM_BASE - VM_ECAM_BASE, RESERVED},
		{VM_HIGHMEM_BASE, gmem_high_size(vm), RAM},
	};

	memcpy(ranges, all, sizeof(all));
	return all[LOAD_MAX_RANGES - 1].size ? LOAD_MAX_RANGES : LOAD_MAX_RANGES - 1;
}

int load_entry(struct vm *vm, uint64_t rip, struct acrn_vcpu_regs *regs)
{
	struct acrn_regs *r = &regs->vcpu_regs;
	uint64_t *gdt = gmem_ptr(vm, LOAD_GDT_GPA, GDT_ENTRIES * sizeof(*gdt));

	if (!gdt)
		return -ENOSPC;
	gdt[0] = 0;
	gdt[1] = 0;
	gdt[CS_SELECTOR / 8] = GDT_CODE32;
	gdt[DS_SELECTOR / 8] = GDT_DATA32;

	memset(regs, 0, sizeof(*regs));
	r->gdt.base = LOAD_GDT_GPA;
	r->gdt.limit = GDT_ENTRIES * sizeof(*gdt) - 1;
	r->cr0 = CR0_PE | CR0_ET | CR0_NE;
	r->rflags = RFLAGS_ONE;
	r->rip = rip;
	r->cs_sel = CS_SELECTOR;
	r->cs_ar = CS_ACCESS;
	r->cs_limit = UINT32_MAX;
	r->ss_sel = DS_SELECTOR;
	r->ds_sel = DS_SELECTOR;
	r->es_sel = DS_SELECTOR;
	return 0;
}
