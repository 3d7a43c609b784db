// SPDX-License-Identifier: BSD-3-Clause
/*
 * Guest software: from files into guest memory, and the registers the first
 * vCPU starts with.
 */
#ifndef DM_LOAD_H
#define DM_LOAD_H

#include <stdint.h>
#include <linux/acrn.h>

struct vm;

/*
 * Where the loaders put what they tell a kernel: a bzImage's zero page or what a multiboot kernel
 * gets, from LOAD_LOW_BASE on; a descriptor table at LOAD_GDT_GPA; the command line.
 */
#define LOAD_LOW_BASE	   0x10000ULL
#define LOAD_GDT_GPA	   0x11000ULL
#define LOAD_CMDLINE_GPA   0x20000ULL
#define LOAD_CMDLINE_LIMIT 0x10000ULL
#define LOAD_LOW_END	   0x30000ULL

/*
 * Load what the command line names; ACPI tables are in place already. On error
 * one line says what is wrong with which file.
 */
int load_bzimage(struct vm *vm, struct acrn_vcpu_regs *regs);
int load_elf(struct vm *vm, struct acrn_vcpu_regs *regs);

/*
 * Read the file into guest memory at gpa. len is its size as the caller knows
 * it; a file that has become shorter is -EIO.
 */
int load_file(struct vm *vm, const char *path, int fd, uint64_t offset, uint64_t gpa, uint64_t len);

/* Open a regular file for reading; *size in bytes. Returns the descriptor or -errno, logged. */
int load_open(const char *what, const char *path, uint64_t *size);

/* The ramdisk, as high as it fits between GPAs floor and top. -ENOSPC, logged. */
int load_ramdisk(struct vm *vm, uint64_t floor, uint64_t top, uint64_t *gpa, uint64_t *size);

/* The command line, of which the kernel takes max characters. -E2BIG, logged. */
int load_cmdline(struct vm *vm, const char *kernel, uint64_t max);

/* The VM's memory map; type as in e820: 1 RAM, 2 reserved. Returns how many ranges. */
#define LOAD_MAX_RANGES 5U
struct load_range {
	uint64_t base, size;
	uint32_t type;
};
unsigned int load_memory_map(const struct vm *vm, struct load_range ranges[LOAD_MAX_RANGES]);

/* 32-bit protected mode without paging, flat segments, at rip. */
int load_entry(struct vm *vm, uint64_t rip, struct acrn_vcpu_regs *regs);

#endif
