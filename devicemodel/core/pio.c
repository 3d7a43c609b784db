// SPDX-License-Identifier: BSD-3-Clause
/*
 * The User VM's 64K I/O ports: an io_space under the port's number. Devices
 * register here; ioreq.c asks the space itself. No state, no lock of its own.
 */
#include "pio.h"

#include "vm.h"

int pio_register(struct vm *vm, const char *name, uint16_t port, uint32_t len,
		 const struct io_ops *ops, void *arg)
{
	return io_space_add(vm->pio, name, port, len, ops, arg);
}

void pio_unregister(struct vm *vm, uint16_t port)
{
	io_space_remove(vm->pio, port);
}
