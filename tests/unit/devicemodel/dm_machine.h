// SPDX-License-Identifier: BSD-3-Clause
/*
 * A whole device model over the fake HSM, for tests of its parts: the real core with event loop
 * and memory, started without a guest. The test is the guest and asks through machine_in() and
 * its like, on the thread that the I/O request loop would be.
 */
#ifndef DM_MACHINE_H
#define DM_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "vm.h"

extern struct vm machine;

/* "-s", "-l" and so on as on the command line, without program name and VM name. */
void machine_create(const char *options);
int machine_try(const char *options); /* the error of vm_create(); nothing is left then */
void machine_destroy(void);

uint32_t machine_in(uint16_t port, unsigned int size);
void machine_out(uint16_t port, unsigned int size, uint32_t value);

/* Wait up to a second for the condition. */
#define machine_wait(condition)                                                                    \
	do {                                                                                       \
		for (int machine_i = 0; machine_i < 1000 && !(condition); machine_i++)             \
			usleep(1000);                                                              \
		assert_true(condition);                                                            \
	} while (0)

#endif
