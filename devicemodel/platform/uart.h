// SPDX-License-Identifier: BSD-3-Clause
/* A 16550A serial port on I/O ports and an ISA interrupt. */
#ifndef DM_UART_H
#define DM_UART_H

#include <stdint.h>

struct uart;
struct vm;

/*
 * Eight ports from port on, interrupt irq (level as the chip drives it), bytes to
 * and from the chardev spec. name must outlive it. NULL on error, logged.
 */
struct uart *uart_create(struct vm *vm, const char *name, uint16_t port, unsigned int irq,
			 const char *spec);
void uart_destroy(struct uart *uart);
void uart_reset(struct uart *uart);

#endif
