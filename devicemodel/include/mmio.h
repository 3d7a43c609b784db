// SPDX-License-Identifier: BSD-3-Clause
/* The User VM's memory-mapped I/O, GPA. See io_space.h for what a handler may do. */
#ifndef DM_MMIO_H
#define DM_MMIO_H

#include <stdint.h>
#include "io_space.h"

struct vm;

/* -EEXIST where the range meets another one or RAM. */
int mmio_register(struct vm *vm, const char *name, uint64_t gpa, uint64_t len,
		  const struct io_ops *ops, void *arg);
void mmio_unregister(struct vm *vm, uint64_t gpa);

#endif
