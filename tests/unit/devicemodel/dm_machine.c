// SPDX-License-Identifier: BSD-3-Clause
/* See dm_machine.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "dm_machine.h"
#include "fake_hsm.h"
#include "io_space.h"
#include "iothread.h"
#include "options.h"

#define MAX_WORDS 64

struct vm machine;
static struct iothread *events;
static char line[1024];

int machine_try(const char *options)
{
	int err;
	char *argv[MAX_WORDS + 1];
	char *save = NULL;
	int argc = 0;

	memset(&machine, 0, sizeof(machine));
	machine.cfg.mem_size = 16U << 20;
	snprintf(line, sizeof(line), "acrn-dm %s %s vm1",
		 strstr(options, "--ovmf") ? "" : "-k kernel", options);
	for (char *word = strtok_r(line, " ", &save); word && argc < MAX_WORDS;
	     word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	assert_int_equal(options_parse(argc, argv, &machine.cfg), OPTIONS_RUN);
	events = iothread_create("events");
	assert_non_null(events);
	assert_int_equal(iothread_start(events), 0);
	machine.loop = iothread_loop(events);
	err = vm_create(&machine);
	if (err)
		iothread_destroy(events);
	return err;
}

void machine_create(const char *options)
{
	assert_int_equal(machine_try(options), 0);
}

void machine_destroy(void)
{
	vm_destroy(&machine);
	iothread_destroy(events);
}

uint32_t machine_in(uint16_t port, unsigned int size)
{
	return (uint32_t)io_space_read(machine.pio, port, size);
}

void machine_out(uint16_t port, unsigned int size, uint32_t value)
{
	io_space_write(machine.pio, port, size, value);
}
