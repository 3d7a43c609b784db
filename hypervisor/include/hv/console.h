/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_CONSOLE_H
#define HV_CONSOLE_H

#include "lib/types.h"

/* debug/ only: the parts of the console. */

/* uart.c: the physical 16550 in use, I/O ports or MMIO. The caller holds the console's lock. */
bool uart_start(void);		/* FIFOs on, no interrupts; false: there is none */
uint8_t uart_irq(void);		/* ISA interrupt, 0: polled */
void uart_rx_irq_enable(void);
uint32_t uart_tx_room(void);	/* characters it takes now without a wait */
void uart_tx(uint8_t c);
#define UART_RX_NONE  (-1)
#define UART_RX_BREAK (-2)
int uart_rx(void); /* a character, or one of the above */

/* console_ring.c: the same without a serial port. */
void console_ring_start(void);
uint32_t console_ring_tx_room(void);
void console_ring_tx(uint8_t c);
int console_ring_rx(void);

/*
 * console.c: for the shell, on the console's CPU: VM `id` has the console now. -ENOENT: it has no
 * vUART there.
 */
int console_show(uint16_t id);

#endif
