/* SPDX-License-Identifier: BSD-3-Clause */
/* A serial port: what it sends is kept, what it receives comes from a string. */
#ifndef FAKE_UART_H
#define FAKE_UART_H

#include <stdbool.h>
#include <stdint.h>

#define FAKE_UART_PORT 0x3F8U

extern char wire[200000];    /* what was sent */
extern uint32_t wired;	     /* how much of it */
extern uint32_t fifo;	     /* sent, and no time has passed since */
extern uint32_t forced_room; /* so often the FIFO is found empty, as if time passed by the asking */
extern uint8_t ier;
extern const char *incoming; /* 0x80 in it: a character that is 0 */
extern bool incoming_break;

/* For fake_pio_hook(FAKE_UART_PORT, 8, ...). */
uint32_t fake_uart(uint16_t port, uint32_t width, bool write, uint32_t val);

#endif
