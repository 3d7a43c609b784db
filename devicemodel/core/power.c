// SPDX-License-Identifier: BSD-3-Clause
/*
 * Requests to power the VM off or reset it. Devices and signals make them from
 * any thread, vm_run() consumes them. One atomic word; ioreq_kick() wakes the
 * loop that looks at it.
 */
#include "power.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "ioreq.h"
#include "vm.h"

/* status << 2 | action in one word, so that both change together. */
struct power {
	atomic_int word;
};

#define ACTION_MASK 3

static int action_of(int word)
{
	return word & ACTION_MASK;
}

int power_create(struct vm *vm)
{
	vm->power = calloc(1, sizeof(*vm->power));
	return vm->power ? 0 : -ENOMEM;
}

void power_destroy(struct vm *vm)
{
	free(vm->power);
	vm->power = NULL;
}

void power_request(struct vm *vm, enum power_action action, int status)
{
	int old = atomic_load(&vm->power->word);

	do {
		if (action_of(old) == POWER_OFF)
			return;
	} while (!atomic_compare_exchange_weak(&vm->power->word, &old, status << 2 | (int)action));
	ioreq_kick(vm);
}

enum power_action power_pending(const struct vm *vm)
{
	return (enum power_action)action_of(
		atomic_load_explicit(&vm->power->word, memory_order_acquire));
}

void power_reset_done(struct vm *vm)
{
	int old = atomic_load(&vm->power->word);

	while (action_of(old) == POWER_RESET &&
	       !atomic_compare_exchange_weak(&vm->power->word, &old, POWER_NONE))
		;
}

int power_status(const struct vm *vm)
{
	return atomic_load(&vm->power->word) >> 2;
}
