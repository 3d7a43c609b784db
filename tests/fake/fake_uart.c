// SPDX-License-Identifier: BSD-3-Clause
/*
 * The serial port of the tests of the console: 16550 with a FIFO of 16 characters, which empties
 * when the test says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "asm/uart16550.h"
#include "fake_uart.h"

char wire[200000];
uint32_t wired, fifo, forced_room;
uint8_t ier;
const char *incoming;
bool incoming_break;

uint32_t fake_uart(uint16_t port, uint32_t width, bool write, uint32_t val)
{
	assert_int_equal(width, 1);
	switch (port - FAKE_UART_PORT) {
	case UART_RBR:
		if (write) {
			assert_true(fifo < UART_FIFO_SIZE);
			fifo++;
			wire[wired++] = (char)val;
			return 0;
		}
		if (incoming_break) {
			incoming_break = false;
			return 0;
		}
		return (uint8_t)(*incoming++ & 0x7F);
	case UART_IER:
		ier = (uint8_t)val;
		return 0;
	case UART_LSR:
		if (forced_room != 0) {
			forced_room--;
			fifo = 0;
		}
		return (fifo == 0 ? LSR_THRE : 0U) | (incoming_break ? LSR_BI | LSR_DR : 0U) |
		       (*incoming != '\0' ? LSR_DR : 0U);
	default:
		return 0;
	}
}

