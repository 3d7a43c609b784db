// SPDX-License-Identifier: BSD-3-Clause
/*
 * --debugexit: a write of v to port 0xF4 ends the VM, and the program exits with
 * status v << 1 | 1, never 0. For test guests. I/O request thread only.
 */
#include "options.h"
#include "pio.h"
#include "platform.h"
#include "power.h"
#include "vm.h"

#define EXIT_PORT 0xf4

static int parse_debugexit(struct vm_config *cfg, const char *arg)
{
	(void)arg;
	cfg->debugexit = true;
	return 0;
}

static const struct option_def debugexit_option = {
	.level = 80,
	.long_name = "debugexit",
	.help = "the guest may end acrn-dm by port 0xF4",
	.parse = parse_debugexit,
};
OPTION(debugexit_option);

static uint64_t exit_read(void *arg, uint64_t offset, unsigned int size)
{
	(void)arg;
	(void)offset;
	(void)size;
	return 0;
}

static void exit_write(void *arg, uint64_t offset, unsigned int size, uint64_t value)
{
	(void)offset;
	(void)size;
	power_request(arg, POWER_OFF, (int)((value << 1 | 1) & 0xff));
}

static const struct io_ops exit_io = {.read = exit_read, .write = exit_write};

static int debugexit_init(struct vm *vm, void **priv)
{
	(void)priv;
	if (!vm->cfg.debugexit)
		return 0;
	return pio_register(vm, "debugexit", EXIT_PORT, 4, &exit_io, vm);
}

static void debugexit_deinit(struct vm *vm, void *priv)
{
	(void)priv;
	pio_unregister(vm, EXIT_PORT);
}

static const struct platform_ops debugexit_ops = {
	.name = "debugexit",
	.level = 30,
	.init = debugexit_init,
	.deinit = debugexit_deinit,
};
PLATFORM_DEVICE(debugexit_ops);
