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
 * Load what the command line names; ACPI tables are in place already. On error
 * one line says what is wrong with which file.
 */
int load_bzimage(struct vm *vm, struct acrn_vcpu_regs *regs);

/*
 * Read the file into guest memory at gpa. len is its size as the caller knows
 * it; a file that has become shorter is -EIO.
 */
int load_file(struct vm *vm, const char *path, int fd, uint64_t offset, uint64_t gpa, uint64_t len);

/* Open a regular file for reading; *size in bytes. Returns the descriptor or -errno, logged. */
int load_open(const char *what, const char *path, uint64_t *size);

#endif
