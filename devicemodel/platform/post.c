// SPDX-License-Identifier: BSD-3-Clause
/*
 * The POST code ports 0x80 and 0x84: a byte each that reads back what was
 * written, which is all that firmware and kernels (as a delay) do with them.
 * I/O request thread only.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pio.h"
#include "platform.h"

static const uint16_t ports[] = {0x80, 0x84};

#define PORTS (sizeof(ports) / sizeof(ports[0]))

static uint64_t post_read(void *arg, uint64_t offset, unsigned int size)
{
	(void)offset;
	(void)size;
	return *(const uint8_t *)arg;
}

static void post_write(void *arg, uint64_t offset, unsigned int size, uint64_t value)
{
	(void)offset;
	(void)size;
	*(uint8_t *)arg = (uint8_t)value;
}

static const struct io_ops post_io = {.read = post_read, .write = post_write};

static void post_deinit(struct vm *vm, void *priv)
{
	for (size_t i = 0; i < PORTS; i++)
		pio_unregister(vm, ports[i]);
	free(priv);
}

static int post_init(struct vm *vm, void **priv)
{
	uint8_t *bytes = calloc(PORTS, 1);

	if (!bytes)
		return -ENOMEM;
	for (size_t i = 0; i < PORTS; i++) {
		int err = pio_register(vm, "post", ports[i], 1, &post_io, &bytes[i]);

		if (err) {
			post_deinit(vm, bytes);
			return err;
		}
	}
	*priv = bytes;
	return 0;
}

static void post_reset(struct vm *vm, void *priv)
{
	(void)vm;
	memset(priv, 0, PORTS);
}

static const struct platform_ops post_ops = {
	.name = "post",
	.level = 20,
	.init = post_init,
	.deinit = post_deinit,
	.reset = post_reset,
};
PLATFORM_DEVICE(post_ops);
