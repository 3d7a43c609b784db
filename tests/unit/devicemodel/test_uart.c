// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does the serial port look like a 16550A to a driver, lose nothing in either direction, and
 * survive every value in every register?
 */
// links: @machine tests/unit/devicemodel/free_port.c
#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include <linux/serial_reg.h>

#include "dm_machine.h"
#include "fake_hsm.h"
#include "free_port.h"
#include "pci.h"

#define PORT 0x3f8
#define IRQ  4

static int line = -1;
static uint16_t tcp;

/* And wait until the port's other side has accepted: a byte then goes through. */
static void connect_line(uint16_t port)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
				       .sin_port = htons(tcp),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval limit = {.tv_sec = 20};

	line = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(line, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	assert_int_equal(connect(line, (const struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(send(line, "!", 1, 0), 1);
	machine_wait(machine_in(port + UART_LSR, 1) & UART_LSR_DR);
	assert_int_equal(machine_in(port, 1), '!');
}

static int setup(void **state)
{
	char options[64];

	(void)state;
	fake_hsm_reset();
	tcp = free_port();
	snprintf(options, sizeof(options), "-s 1,lpc -l com1,tcp:%u", tcp);
	machine_create(options);
	connect_line(PORT);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(line);
	machine_destroy();
	return 0;
}

static uint8_t rd(unsigned int reg)
{
	return (uint8_t)machine_in((uint16_t)(PORT + reg), 1);
}

static void wr(unsigned int reg, unsigned int value)
{
	machine_out((uint16_t)(PORT + reg), 1, value);
}

/* What does a driver find that probes for a 16550A? */
static void test_probe(void **state)
{
	(void)state;
	wr(UART_IER, 0xff);
	assert_int_equal(rd(UART_IER), 0x0f);
	wr(UART_IER, 0);
	wr(UART_SCR, 0xa5);
	assert_int_equal(rd(UART_SCR), 0xa5);
	assert_int_equal(rd(UART_IIR), 0x01);
	wr(UART_FCR, 1);
	assert_int_equal(rd(UART_IIR), 0xc1);
	wr(UART_LCR, UART_LCR_DLAB | 3);
	wr(UART_DLL, 0x34);
	wr(UART_DLM, 0x12);
	assert_int_equal(rd(UART_DLL), 0x34);
	assert_int_equal(rd(UART_DLM), 0x12);
	wr(UART_LCR, 3);
	assert_int_equal(rd(UART_LCR), 3);
	assert_int_equal(rd(UART_IER), 0);
	assert_int_equal(rd(UART_LSR), 0x60);
	assert_int_equal(rd(UART_MSR) & 0xf0, 0xb0);
}

/* Does what the guest sends arrive, with "transmitter empty" interrupting as often as it should? */
static void test_transmit(void **state)
{
	char text[3];

	(void)state;
	wr(UART_IER, UART_IER_THRI);
	assert_true(fake_hsm.line[IRQ]);
	assert_int_equal(rd(UART_IIR) & 0xf, UART_IIR_THRI);
	assert_false(fake_hsm.line[IRQ]);
	assert_int_equal(rd(UART_IIR) & 0xf, UART_IIR_NO_INT);
	wr(UART_TX, 'a');
	assert_true(fake_hsm.line[IRQ]);
	wr(UART_IER, 0);
	assert_false(fake_hsm.line[IRQ]);
	wr(UART_TX, 'b');
	wr(UART_TX, 'c');
	assert_int_equal(recv(line, text, 3, MSG_WAITALL), 3);
	assert_memory_equal(text, "abc", 3);
	assert_int_equal(fake_hsm.rises[IRQ], 2);
}

/* Does a flood arrive complete and in order though the FIFO has 16 bytes? */
static void test_receive(void **state)
{
	uint8_t sent[2000];

	(void)state;
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * 7);
	wr(UART_FCR, 1);
	wr(UART_IER, UART_IER_RDI);
	assert_int_equal(send(line, sent, sizeof(sent), 0), sizeof(sent));
	for (size_t i = 0; i < sizeof(sent);) {
		machine_wait(rd(UART_LSR) & UART_LSR_DR);
		assert_true(fake_hsm.line[IRQ]);
		while (rd(UART_LSR) & UART_LSR_DR)
			assert_int_equal(rd(UART_RX), sent[i++]);
	}
	assert_false(fake_hsm.line[IRQ]);
	assert_int_equal(rd(UART_LSR) & UART_LSR_OE, 0);
	assert_int_equal(rd(UART_RX), 0);
}

/* Without the FIFO, is one byte kept and the next not lost? */
static void test_receive_no_fifo(void **state)
{
	(void)state;
	wr(UART_IER, UART_IER_RDI);
	assert_int_equal(send(line, "xyz", 3, 0), 3);
	machine_wait(fake_hsm.line[IRQ]);
	assert_int_equal(rd(UART_IIR), UART_IIR_RDI);
	assert_int_equal(rd(UART_RX), 'x');
	machine_wait(rd(UART_LSR) & UART_LSR_DR);
	assert_int_equal(rd(UART_RX), 'y');
	machine_wait(rd(UART_LSR) & UART_LSR_DR);
	assert_int_equal(rd(UART_RX), 'z');
}

/* Below the trigger level, does the timeout interrupt say so? Does clearing the FIFO empty it? */
static void test_trigger(void **state)
{
	(void)state;
	wr(UART_FCR, 1 | UART_FCR_TRIGGER_14);
	wr(UART_IER, UART_IER_RDI);
	assert_int_equal(send(line, "0123456789abc", 13, 0), 13);
	machine_wait(fake_hsm.line[IRQ]);
	assert_int_equal(rd(UART_IIR) & 0xf, UART_IIR_RX_TIMEOUT);
	assert_int_equal(send(line, "d", 1, 0), 1);
	machine_wait((rd(UART_IIR) & 0xf) == UART_IIR_RDI);
	wr(UART_FCR, 1 | UART_FCR_CLEAR_RCVR);
	assert_false(fake_hsm.line[IRQ]);
	assert_int_equal(rd(UART_LSR) & UART_LSR_DR, 0);
	assert_int_equal(send(line, "e", 1, 0), 1);
	machine_wait(rd(UART_LSR) & UART_LSR_DR);
	assert_int_equal(rd(UART_RX), 'e');
}

/* In loopback, do bytes and modem lines come back and nothing leave? */
static void test_loopback(void **state)
{
	char byte;

	(void)state;
	wr(UART_FCR, 1);
	(void)rd(UART_MSR);
	wr(UART_MCR, UART_MCR_LOOP | UART_MCR_RTS | UART_MCR_OUT1);
	assert_int_equal(rd(UART_MSR), UART_MSR_CTS | UART_MSR_RI | UART_MSR_DDCD | UART_MSR_DDSR);
	assert_int_equal(rd(UART_MSR), UART_MSR_CTS | UART_MSR_RI);
	wr(UART_IER, UART_IER_MSI);
	wr(UART_MCR, UART_MCR_LOOP | UART_MCR_RTS);
	assert_true(fake_hsm.line[IRQ]);
	assert_int_equal(rd(UART_IIR) & 0xf, UART_IIR_MSI);
	assert_int_equal(rd(UART_MSR), UART_MSR_CTS | UART_MSR_TERI);
	assert_false(fake_hsm.line[IRQ]);
	for (int i = 0; i < 17; i++)
		wr(UART_TX, 'a' + (unsigned int)i);
	wr(UART_IER, UART_IER_RLSI);
	assert_int_equal(rd(UART_IIR) & 0xf, UART_IIR_RLSI);
	assert_int_equal(rd(UART_LSR) & (UART_LSR_OE | UART_LSR_DR), UART_LSR_OE | UART_LSR_DR);
	assert_int_equal(rd(UART_LSR) & UART_LSR_OE, 0);
	for (int i = 0; i < 16; i++)
		assert_int_equal(rd(UART_RX), 'a' + i);
	wr(UART_MCR, 0);
	assert_int_equal(recv(line, &byte, 1, MSG_DONTWAIT), -1);
}

/* What if the client goes away and another comes, with the guest printing all the while? */
static void test_reconnect(void **state)
{
	char byte;

	(void)state;
	close(line);
	for (int i = 0; i < 100; i++)
		wr(UART_TX, 'x');
	connect_line(PORT);
	for (int i = 0; i < 10; i++)
		wr(UART_TX, 'y');
	assert_int_equal(recv(line, &byte, 1, 0), 1);
	assert_int_equal(send(line, "q", 1, 0), 1);
	machine_wait(rd(UART_LSR) & UART_LSR_DR);
	assert_int_equal(rd(UART_RX), 'q');
}

/* What if nobody reads what the guest prints: does it go on, and is the buffered part kept? */
static void test_nobody_reads(void **state)
{
	static char text[65536];
	const int small = 65536;
	size_t got = 0;
	ssize_t n;

	(void)state;
	setsockopt(line, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	for (int i = 0; i < 1 << 20; i++)
		wr(UART_TX, 'z');
	while ((n = recv(line, text, sizeof(text), 0)) > 0 && got < 16384)
		got += (size_t)n;
	assert_true(got >= 16384);
}

/* What if the guest writes random values to random registers while bytes arrive? */
static void test_random(void **state)
{
	(void)state;
	srand(1);
	for (int i = 0; i < 20000; i++) {
		if (i % 16 == 0)
			assert_int_equal(send(line, "r", 1, MSG_DONTWAIT | MSG_NOSIGNAL), 1);
		wr((unsigned int)rand() % 8, (unsigned int)rand());
		(void)rd((unsigned int)rand() % 8);
	}
	pci_bus_reset(&machine);
	assert_int_equal(rd(UART_IER), 0);
	assert_int_equal(rd(UART_LCR), 0);
	assert_false(fake_hsm.line[IRQ]);
}

/* Two ports at once: does each byte take its own way? */
static void test_two_ports(void **state)
{
	char options[64];
	int first;

	(void)state;
	machine_destroy();
	close(line);
	tcp = free_port();
	snprintf(options, sizeof(options), "-s 1,lpc -l com1,pty -l com2,tcp:%u", tcp);
	machine_create(options);
	connect_line(0x2f8);
	first = line;
	machine_out(0x2f8, 1, '2');
	wr(UART_TX, '1');
	{
		char byte;

		assert_int_equal(recv(first, &byte, 1, 0), 1);
		assert_int_equal(byte, '2');
		assert_int_equal(recv(first, &byte, 1, MSG_DONTWAIT), -1);
	}
	machine_out(0x2f8 + UART_IER, 1, UART_IER_RDI);
	assert_int_equal(send(first, "k", 1, 0), 1);
	machine_wait(fake_hsm.line[3]);
	assert_false(fake_hsm.line[IRQ]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_probe, setup, teardown),
		cmocka_unit_test_setup_teardown(test_transmit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_receive, setup, teardown),
		cmocka_unit_test_setup_teardown(test_receive_no_fifo, setup, teardown),
		cmocka_unit_test_setup_teardown(test_trigger, setup, teardown),
		cmocka_unit_test_setup_teardown(test_loopback, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reconnect, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody_reads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_ports, setup, teardown),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
