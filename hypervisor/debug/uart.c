// SPDX-License-Identifier: BSD-3-Clause
/*
 * The physical 16550 of the debug console, by I/O ports or MMIO, as boot/report.c settled it. Only
 * console.c calls it, with its lock held. Never waits for the UART.
 */
#include "asm/insn.h"
#include "asm/uart16550.h"
#include "hv/boot.h"
#include "hv/console.h"
#include "hv/vm_config.h"

static struct serial_config port;

static uint8_t in(uint32_t reg)
{
	if (port.type == SERIAL_PIO) {
		return pio_read8((uint16_t)(port.base + reg));
	}
	return mmio_read8(hpa_ptr(HPA(port.base + (uint64_t)reg * port.reg_size)));
}

static void out(uint32_t reg, uint8_t v)
{
	if (port.type == SERIAL_PIO) {
		pio_write8((uint16_t)(port.base + reg), v);
	} else {
		mmio_write8(hpa_ptr(HPA(port.base + (uint64_t)reg * port.reg_size)), v);
	}
}

bool uart_start(void)
{
	port = *report_serial();
	if (port.type == SERIAL_NONE) {
		return false;
	}
	out(UART_IER, 0U);
	out(UART_FCR, FCR_ENABLE);
	out(UART_MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
	return true;
}

uint8_t uart_irq(void)
{
	return port.irq;
}

void uart_rx_irq_enable(void)
{
	out(UART_IER, IER_RDA | IER_RLS);
}

uint32_t uart_tx_room(void)
{
	return (in(UART_LSR) & LSR_THRE) != 0U ? UART_FIFO_SIZE : 0U;
}

void uart_tx(uint8_t c)
{
	out(UART_THR, c);
}

int uart_rx(void)
{
	uint8_t lsr = in(UART_LSR);

	if ((lsr & LSR_DR) == 0U) {
		return UART_RX_NONE;
	}
	if ((lsr & LSR_BI) != 0U) {
		(void)in(UART_RBR); /* the zero that stands for the break */
		return UART_RX_BREAK;
	}
	return in(UART_RBR);
}
