// SPDX-License-Identifier: BSD-3-Clause
/*
 * ACPI fixed hardware: PM1a event and control registers, the SMI command port
 * that switches ACPI mode on and off, and the reset control register 0xCF9. The
 * VM has no event source of its own (no buttons, no PM timer), so the SCI never
 * comes; what matters is the way off (S5) and the reset. A triple fault reaches
 * this file as a write of S5 by the hypervisor. I/O request thread only.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "acpi.h"
#include "log.h"
#include "monitor.h"
#include "pio.h"
#include "platform.h"
#include "power.h"
#include "vm.h"

/* The event registers in one word: status bits are cleared by writing one, enables lie above. */
#define STATUS_BITS	0x00008731U
#define ENABLE_BITS	0x07210000U
#define CONTROL_SCI_EN	0x0001U
#define CONTROL_BITS	0x1c06U /* SLP_TYP, GBL_RLS, BM_RLD; SCI_EN follows the SMI port */
#define CONTROL_SLP_EN	0x2000U
#define CONTROL_TYPE(v) (((v) >> 10) & 7U)
#define RESET_CPU	0x04U

struct pm {
	struct vm *vm;
	uint32_t event; /* status, enable in the upper half */
	uint16_t control;
	uint8_t reset_control;
	uint8_t smi;
};

static uint64_t event_read(void *arg, uint64_t offset, unsigned int size)
{
	const struct pm *pm = arg;

	(void)size;
	return pm->event >> (8 * offset);
}

/* An access lies within the block: io_space.c leaves others unserved. */
static void event_write(void *arg, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pm *pm = arg;
	uint32_t touched = (UINT32_MAX >> (32 - 8 * size)) << (8 * offset);
	uint32_t written = (uint32_t)(value << (8 * offset));

	pm->event &= ~(written & STATUS_BITS);
	pm->event = (pm->event & ~(touched & ENABLE_BITS)) | (written & ENABLE_BITS);
}

static const struct io_ops event_ops = {.read = event_read, .write = event_write};

static uint64_t control_read(void *arg, uint64_t offset, unsigned int size)
{
	const struct pm *pm = arg;

	(void)size;
	return (uint64_t)pm->control >> (8 * offset);
}

static void control_write(void *arg, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pm *pm = arg;
	unsigned int shift = 8 * (unsigned int)offset;
	unsigned int mask = (size == 1 ? 0xffU : 0xffffU) << shift;
	unsigned int written = ((unsigned int)value << shift) & mask;

	mask &= CONTROL_BITS;
	pm->control = (uint16_t)((pm->control & ~mask) | (written & mask));
	if (!(written & CONTROL_SLP_EN))
		return;
	if (CONTROL_TYPE(pm->control) == ACPI_S5_TYPE) {
		power_request(pm->vm, POWER_OFF, 0);
		monitor_event_poweroff(pm->vm);
	} else {
		log_guest("sleep type %u: there is only S5", CONTROL_TYPE(pm->control));
	}
}

static const struct io_ops control_ops = {.read = control_read, .write = control_write};

static uint64_t smi_read(void *arg, uint64_t offset, unsigned int size)
{
	const struct pm *pm = arg;

	(void)offset;
	(void)size;
	return pm->smi;
}

static void smi_write(void *arg, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pm *pm = arg;

	(void)offset;
	(void)size;
	pm->smi = (uint8_t)value;
	if (pm->smi == ACPI_SMI_ENABLE)
		pm->control |= CONTROL_SCI_EN;
	else if (pm->smi == ACPI_SMI_DISABLE)
		pm->control &= (uint16_t)~CONTROL_SCI_EN;
}

static const struct io_ops smi_ops = {.read = smi_read, .write = smi_write};

static uint64_t reset_read(void *arg, uint64_t offset, unsigned int size)
{
	const struct pm *pm = arg;

	(void)offset;
	(void)size;
	return pm->reset_control;
}

static void reset_write(void *arg, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pm *pm = arg;

	(void)offset;
	(void)size;
	pm->reset_control = (uint8_t)(value & ~RESET_CPU);
	if (value & RESET_CPU)
		power_request(pm->vm, POWER_RESET, 0);
}

static const struct io_ops reset_ops = {.read = reset_read, .write = reset_write};

static void pm_reset(struct vm *vm, void *priv)
{
	memset(priv, 0, sizeof(struct pm));
	((struct pm *)priv)->vm = vm;
}

static int pm_init(struct vm *vm, void **priv)
{
	struct pm *pm = calloc(1, sizeof(*pm));
	int err;

	if (!pm)
		return -ENOMEM;
	pm_reset(vm, pm);
	err = pio_register(vm, "pm1a event", ACPI_PM1_EVENT_PORT, sizeof(pm->event), &event_ops,
			   pm);
	if (!err)
		err = pio_register(vm, "pm1a control", ACPI_PM1_CONTROL_PORT, 2, &control_ops, pm);
	if (!err)
		err = pio_register(vm, "smi command", ACPI_SMI_PORT, 1, &smi_ops, pm);
	if (!err)
		err = pio_register(vm, "reset control", ACPI_RESET_PORT, 1, &reset_ops, pm);
	if (err)
		free(pm);
	else
		*priv = pm;
	return err;
}

static void pm_deinit(struct vm *vm, void *priv)
{
	pio_unregister(vm, ACPI_PM1_EVENT_PORT);
	pio_unregister(vm, ACPI_PM1_CONTROL_PORT);
	pio_unregister(vm, ACPI_SMI_PORT);
	pio_unregister(vm, ACPI_RESET_PORT);
	free(priv);
}

static const struct platform_ops pm_ops = {
	.name = "pm",
	.level = 10,
	.init = pm_init,
	.deinit = pm_deinit,
	.reset = pm_reset,
};
PLATFORM_DEVICE(pm_ops);
