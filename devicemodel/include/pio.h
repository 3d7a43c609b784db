// SPDX-License-Identifier: BSD-3-Clause
/* The User VM's I/O ports. See io_space.h for what a handler may do. */
#ifndef DM_PIO_H
#define DM_PIO_H

#include <stdint.h>
#include "io_space.h"

struct vm;

int pio_register(struct vm *vm, const char *name, uint16_t port, uint32_t len,
		 const struct io_ops *ops, void *arg);
void pio_unregister(struct vm *vm, uint16_t port);

#endif
