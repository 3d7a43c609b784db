// SPDX-License-Identifier: BSD-3-Clause
/*
 * 16550A serial port. What the guest sends leaves at once, so the transmitter is
 * always empty; what arrives waits in the 16-byte FIFO, and the chardev behind
 * it stops reading while that is full, so nothing is overrun.
 *
 * Registers are accessed on the I/O request thread, bytes arrive on the event
 * loop's: uart->lock covers the registers, and is not held while the chardev
 * writes.
 */
#include "uart.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <linux/serial_reg.h>

#include "chardev.h"
#include "hsm.h"
#include "log.h"
#include "pio.h"
#include "vm.h"

#define PORTS	      8U
#define FIFO_BYTES    16U
#define MODEM_LINES   (UART_MSR_DCD | UART_MSR_RI | UART_MSR_DSR | UART_MSR_CTS)
#define FIFO_ENABLED  0xc0U /* of IIR */
#define DIVISOR_RESET 12U   /* 9600 baud */

struct uart {
	pthread_mutex_t lock;
	struct vm *vm;
	struct chardev *chardev;
	uint16_t port;
	unsigned int irq;
	bool irq_level;
	bool thre;    /* "transmitter empty" waits to be seen */
	bool overrun; /* in loopback only */
	uint8_t ier, lcr, mcr, msr, scr, fcr;
	uint16_t divisor;
	uint8_t fifo[FIFO_BYTES];
	unsigned int head, count;
};

static unsigned int fifo_room(const struct uart *uart)
{
	return uart->fcr & UART_FCR_ENABLE_FIFO ? FIFO_BYTES : 1U;
}

static unsigned int trigger(const struct uart *uart)
{
	static const uint8_t level[] = {1, 4, 8, 14};

	return uart->fcr & UART_FCR_ENABLE_FIFO ? level[uart->fcr >> 6] : 1U;
}

/*
 * What IIR says, highest priority first. A FIFO below its trigger level
 * interrupts after a pause on the line; that pause is over here at once.
 */
static uint8_t pending(const struct uart *uart)
{
	if ((uart->ier & UART_IER_RLSI) && uart->overrun)
		return UART_IIR_RLSI;
	if ((uart->ier & UART_IER_RDI) && uart->count > 0)
		return uart->count >= trigger(uart) ? UART_IIR_RDI : UART_IIR_RX_TIMEOUT;
	if ((uart->ier & UART_IER_THRI) && uart->thre)
		return UART_IIR_THRI;
	if ((uart->ier & UART_IER_MSI) && (uart->msr & UART_MSR_ANY_DELTA))
		return UART_IIR_MSI;
	return UART_IIR_NO_INT;
}

static void update_irq(struct uart *uart)
{
	bool level = pending(uart) != UART_IIR_NO_INT;

	if (level == uart->irq_level)
		return;
	uart->irq_level = level;
	if (hsm_set_irqline(uart->vm->hsm, uart->irq, level ? HSM_IRQ_HIGH : HSM_IRQ_LOW))
		log_guest("serial port: interrupt %u cannot be set", uart->irq);
}

static void push(struct uart *uart, uint8_t byte)
{
	if (uart->count >= fifo_room(uart)) {
		uart->overrun = true;
		return;
	}
	uart->fifo[(uart->head + uart->count++) % FIFO_BYTES] = byte;
}

static uint8_t pop(struct uart *uart)
{
	uint8_t byte;

	if (uart->count == 0)
		return 0;
	byte = uart->fifo[uart->head];
	uart->head = (uart->head + 1) % FIFO_BYTES;
	uart->count--;
	return byte;
}

/* The modem's lines: the other end is always there; in loopback they are our own. */
static void update_modem(struct uart *uart)
{
	uint8_t lines = UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
	uint8_t old = uart->msr & MODEM_LINES;

	if (uart->mcr & UART_MCR_LOOP) {
		lines = 0;
		if (uart->mcr & UART_MCR_RTS)
			lines |= UART_MSR_CTS;
		if (uart->mcr & UART_MCR_DTR)
			lines |= UART_MSR_DSR;
		if (uart->mcr & UART_MCR_OUT1)
			lines |= UART_MSR_RI;
		if (uart->mcr & UART_MCR_OUT2)
			lines |= UART_MSR_DCD;
	}
	/* Deltas are four bits below their lines; RI's is of its trailing edge. */
	uart->msr = (uint8_t)(uart->msr | ((old ^ lines) & (MODEM_LINES & ~UART_MSR_RI)) >> 4);
	if ((old & ~lines) & UART_MSR_RI)
		uart->msr |= UART_MSR_TERI;
	uart->msr = (uint8_t)((uart->msr & UART_MSR_ANY_DELTA) | lines);
}

static size_t room(void *arg)
{
	struct uart *uart = arg;
	size_t free_bytes;

	pthread_mutex_lock(&uart->lock);
	free_bytes = uart->count < fifo_room(uart) ? fifo_room(uart) - uart->count : 0;
	pthread_mutex_unlock(&uart->lock);
	return free_bytes;
}

static void receive(void *arg, const uint8_t *data, size_t len)
{
	struct uart *uart = arg;

	pthread_mutex_lock(&uart->lock);
	/* Bytes from the line do not arrive in loopback. */
	if (!(uart->mcr & UART_MCR_LOOP)) {
		for (size_t i = 0; i < len; i++)
			push(uart, data[i]);
		update_irq(uart);
	}
	pthread_mutex_unlock(&uart->lock);
}

static const struct chardev_ops uart_chardev_ops = {.room = room, .receive = receive};

static uint8_t read_lsr(struct uart *uart)
{
	uint8_t lsr = UART_LSR_THRE | UART_LSR_TEMT;

	if (uart->count > 0)
		lsr |= UART_LSR_DR;
	if (uart->overrun)
		lsr |= UART_LSR_OE;
	uart->overrun = false;
	return lsr;
}

static uint8_t read_iir(struct uart *uart)
{
	uint8_t iir = pending(uart);

	if (iir == UART_IIR_THRI)
		uart->thre = false;
	return iir | (uart->fcr & UART_FCR_ENABLE_FIFO ? FIFO_ENABLED : 0);
}

static uint8_t read_locked(struct uart *uart, unsigned int reg)
{
	bool dlab = uart->lcr & UART_LCR_DLAB;
	uint8_t value;

	switch (reg) {
	case UART_RX:
		return dlab ? (uint8_t)uart->divisor : pop(uart);
	case UART_IER:
		return dlab ? (uint8_t)(uart->divisor >> 8) : uart->ier;
	case UART_IIR:
		return read_iir(uart);
	case UART_LCR:
		return uart->lcr;
	case UART_MCR:
		return uart->mcr;
	case UART_LSR:
		return read_lsr(uart);
	case UART_MSR:
		value = uart->msr;
		uart->msr &= MODEM_LINES;
		return value;
	default:
		return uart->scr;
	}
}

static uint64_t uart_read(void *arg, uint64_t offset, unsigned int size)
{
	struct uart *uart = arg;
	bool made_room;
	uint8_t value;

	(void)size;
	pthread_mutex_lock(&uart->lock);
	made_room = offset == UART_RX && uart->count > 0;
	value = read_locked(uart, (unsigned int)offset);
	made_room = made_room && uart->count == 0;
	update_irq(uart);
	pthread_mutex_unlock(&uart->lock);
	/* The chardev is woken when the FIFO has run empty, not for each byte. */
	if (made_room)
		chardev_rx_ready(uart->chardev);
	return value;
}

static void write_fcr(struct uart *uart, uint8_t value)
{
	/* Switching the FIFO on or off empties it. */
	if ((value ^ uart->fcr) & UART_FCR_ENABLE_FIFO || value & UART_FCR_CLEAR_RCVR)
		uart->count = 0;
	uart->fcr = value & (UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_MASK);
}

static void write_locked(struct uart *uart, unsigned int reg, uint8_t value)
{
	bool dlab = uart->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_TX:
		if (dlab) {
			uart->divisor = (uint16_t)((uart->divisor & 0xff00U) | value);
			break;
		}
		if (uart->mcr & UART_MCR_LOOP)
			push(uart, value);
		uart->thre = true;
		break;
	case UART_IER:
		if (dlab) {
			uart->divisor =
				(uint16_t)((uart->divisor & 0xffU) | (unsigned int)value << 8);
			break;
		}
		/* Enabling the interrupt with the transmitter empty raises it. */
		if (!(uart->ier & UART_IER_THRI) && (value & UART_IER_THRI))
			uart->thre = true;
		uart->ier = value & 0xf;
		break;
	case UART_FCR:
		write_fcr(uart, value);
		break;
	case UART_LCR:
		uart->lcr = value;
		break;
	case UART_MCR:
		uart->mcr = value & 0x1f;
		update_modem(uart);
		break;
	case UART_SCR:
		uart->scr = value;
		break;
	default:
		break; /* LSR and MSR are read-only */
	}
	update_irq(uart);
}

static void uart_write(void *arg, uint64_t offset, unsigned int size, uint64_t value)
{
	struct uart *uart = arg;
	uint8_t byte = (uint8_t)value;
	bool send, flushed;

	(void)size;
	pthread_mutex_lock(&uart->lock);
	send = offset == UART_TX && !(uart->lcr & UART_LCR_DLAB) && !(uart->mcr & UART_MCR_LOOP);
	write_locked(uart, (unsigned int)offset, byte);
	flushed = offset == UART_FCR && uart->count == 0;
	pthread_mutex_unlock(&uart->lock);
	if (send)
		chardev_write(uart->chardev, &byte, 1);
	if (flushed)
		chardev_rx_ready(uart->chardev);
}

static const struct io_ops uart_io = {.read = uart_read, .write = uart_write};

void uart_reset(struct uart *uart)
{
	pthread_mutex_lock(&uart->lock);
	uart->ier = 0;
	uart->lcr = 0;
	uart->mcr = 0;
	uart->scr = 0;
	uart->fcr = 0;
	uart->divisor = DIVISOR_RESET;
	uart->count = 0;
	uart->thre = false;
	uart->overrun = false;
	uart->msr = UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
	update_irq(uart);
	pthread_mutex_unlock(&uart->lock);
	if (uart->chardev)
		chardev_rx_ready(uart->chardev);
}

struct uart *uart_create(struct vm *vm, const char *name, uint16_t port, unsigned int irq,
			 const char *spec)
{
	struct uart *uart = calloc(1, sizeof(*uart));

	if (!uart)
		return NULL;
	pthread_mutex_init(&uart->lock, NULL);
	uart->vm = vm;
	uart->port = port;
	uart->irq = irq;
	uart_reset(uart);
	uart->chardev = chardev_open(vm->loop, name, spec, &uart_chardev_ops, uart);
	if (!uart->chardev)
		goto fail;
	if (pio_register(vm, name, port, PORTS, &uart_io, uart)) {
		log_err("%s: its ports are taken", name);
		goto fail;
	}
	return uart;
fail:
	uart_destroy(uart);
	return NULL;
}

void uart_destroy(struct uart *uart)
{
	if (!uart)
		return;
	pio_unregister(uart->vm, uart->port);
	chardev_close(uart->chardev);
	pthread_mutex_destroy(&uart->lock);
	free(uart);
}
