/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ASM_UART16550_H
#define ASM_UART16550_H

/* Registers of the 16550A UART (National Semiconductor PC16550D), names of its manual. */

#define UART_RBR 0U /* read: receiver buffer; with LCR.DLAB the divisor's low byte */
#define UART_THR 0U /* write: transmitter holding */
#define UART_IER 1U /* with LCR.DLAB the divisor's high byte */
#define UART_IIR 2U /* read */
#define UART_FCR 2U /* write */
#define UART_LCR 3U
#define UART_MCR 4U
#define UART_LSR 5U
#define UART_MSR 6U
#define UART_SCR 7U
#define UART_REGS 8U

#define UART_FIFO_SIZE 16U

#define IER_RDA	 0x01U /* received data */
#define IER_THRE 0x02U /* transmitter empty */
#define IER_RLS	 0x04U /* line status */
#define IER_MS	 0x08U /* modem status */

#define IIR_NONE 0x01U
#define IIR_MS	 0x00U
#define IIR_THRE 0x02U
#define IIR_RDA	 0x04U
#define IIR_RLS	 0x06U
#define IIR_FIFO 0xC0U

#define FCR_ENABLE   0x01U
#define FCR_CLEAR_RX 0x02U

#define LCR_8N1	 0x03U
#define LCR_DLAB 0x80U

#define MCR_DTR	 0x01U
#define MCR_RTS	 0x02U
#define MCR_OUT1 0x04U
#define MCR_OUT2 0x08U /* on a PC: lets the interrupt line through */
#define MCR_LOOP 0x10U

#define LSR_DR	 0x01U
#define LSR_BI	 0x10U
#define LSR_THRE 0x20U
#define LSR_TEMT 0x40U

#define MSR_DCTS 0x01U
#define MSR_DDSR 0x02U
#define MSR_TERI 0x04U
#define MSR_DDCD 0x08U
#define MSR_CTS	 0x10U
#define MSR_DSR	 0x20U
#define MSR_RI	 0x40U
#define MSR_DCD	 0x80U

#endif
