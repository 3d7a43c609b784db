// SPDX-License-Identifier: BSD-3-Clause
/*
 * ACPI fixed hardware: PM1a event and control registers, the SMI command port
 * that switches ACPI mode on and off, and the reset control register 0xCF9. The
 * one event is the power button, which the user presses (pm.h); there is no PM
 * timer. A triple fault reaches this file as a write of S5 by the hypervisor.
 * I/O request thread, and any thread for the button: pm->lock covers what the SCI
 * is made of.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "acpi.h"
#include "hsm.h"
#include "log.h"
#include "monitor.h"
#include "pio.h"
#include "platform.h"
#include "pm.h"
#include "power.h"
#include "rings.h"
#include "vm.h"

/* The event registers in one word: status bits are cleared by writing one, enables lie above. */
#define STATUS_BITS	0x00008731U
#define ENABLE_BITS	0x07210000U
#define POWER_BUTTON	0x0100U /* in either half */
#define CONTROL_SCI_EN	0x0001U
#define CONTROL_BITS	0x1c06U /* SLP_TYP, GBL_RLS, BM_RLD; SCI_EN follows the SMI port */
#define CONTROL_SLP_EN	0x2000U
#define CONTROL_TYPE(v) (((v) >> 10) & 7U)
#define RESET_CPU	0x04U

struct pm {
	struct vm *vm;
	pthread_mutex_t lock;
	uint32_t event; /* status, enable in the upper half */
	uint16_t control;
	bool sci; /* the level of its line */
	uint8_t reset_control;
	uint8_t smi;
};

/* The SCI is level-triggered: an event that is enabled holds it. lock held. */
static void update_sci(struct pm *pm)
{
	bool level = (pm->control & CONTROL_SCI_EN) && (pm->event & pm->event >> 16);

	if (level != pm->sci)
		(void)hsm_set_irqline(pm->vm->hsm, ACPI_SCI_IRQ,
				      level ? HSM_IRQ_HIGH : HSM_IRQ_LOW);
	pm->sci = level;
}

int pm_press_power_button(struct vm *vm)
{
	struct pm *pm = vm->pm;
	int err = 0;

	pthread_mutex_lock(&pm->lock);
	if ((pm->control & CONTROL_SCI_EN) && (pm->event & POWER_BUTTON << 16)) {
		pm->event |= POWER_BUTTON;
		update_sci(pm);
	} else {
		err = -EOPNOTSUPP;
	}
	pthread_mutex_unlock(&pm->lock);
	return err;
}

void pm_power_off(struct vm *vm)
{
	/* A triple fault, told of just before, is also told of first. */
	rings_take_events(vm);
	power_request(vm, POWER_OFF, 0);
	monitor_event_poweroff(vm);
}

static uint64_t event_read(void *arg, uint64_t offset, unsigned int size)
{
	struct pm *pm = arg;
	uint32_t event;

	(void)size;
	pthread_mutex_lock(&pm->lock);
	event = pm->event;
	pthread_mutex_unlock(&pm->lock);
	return event >> (8 * offset);
}

/* An access lies within the block: io_space.c leaves others unserved. */
static void event_write(void *arg, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pm *pm = arg;
	uint32_t touched = (UINT32_MAX >> (32 - 8 * size)) << (8 * offset);
	uint32_t written = (uint32_t)(value << (8 * offset));

	pthread_mutex_lock(&pm->lock);
	pm->event &= ~(written & STATUS_BITS);
	pm->event = (pm->event & ~(touched & ENABLE_BITS)) | (written & ENABLE_BITS);
	update_sci(pm);
	pthread_mutex_unlock(&pm->lock);
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
	pthread_mutex_lock(&pm->lock);
	pm->control = (uint16_t)((pm->control & ~mask) | (written & mask));
	pthread_mutex_unlock(&pm->lock);
	if (!(written & CONTROL_SLP_EN))
		return;
	if (CONTROL_TYPE(pm->control) == ACPI_S5_TYPE)
		pm_power_off(pm->vm);
	else
		log_guest("sleep type %u: there is only S5", CONTROL_TYPE(pm->control));
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
	pthread_mutex_lock(&pm->lock);
	if (pm->smi == ACPI_SMI_ENABLE)
		pm->control |= CONTROL_SCI_EN;
	else if (pm->smi == ACPI_SMI_DISABLE)
		pm->control &= (uint16_t)~CONTROL_SCI_EN;
	update_sci(pm);
	pthread_mutex_unlock(&pm->lock);
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
	struct pm *pm = priv;

	(void)vm;
	pthread_mutex_lock(&pm->lock);
	pm->event = 0;
	pm->control = 0;
	pm->reset_control = 0;
	pm->smi = 0;
	update_sci(pm);
	pthread_mutex_unlock(&pm->lock);
}

static int pm_init(struct vm *vm, void **priv)
{
	struct pm *pm = calloc(1, sizeof(*pm));
	int err;

	if (!pm)
		return -ENOMEM;
	pm->vm = vm;
	pthread_mutex_init(&pm->lock, NULL);
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
		*priv = vm->pm = pm;
	return err;
}

static void pm_deinit(struct vm *vm, void *priv)
{
	pio_unregister(vm, ACPI_PM1_EVENT_PORT);
	pio_unregister(vm, ACPI_PM1_CONTROL_PORT);
	pio_unregister(vm, ACPI_SMI_PORT);
	pio_unregister(vm, ACPI_RESET_PORT);
	pthread_mutex_destroy(&((struct pm *)priv)->lock);
	free(priv);
	vm->pm = NULL;
}

static const struct platform_ops pm_ops = {
	.name = "pm",
	.level = 10,
	.init = pm_init,
	.deinit = pm_deinit,
	.reset = pm_reset,
};
PLATFORM_DEVICE(pm_ops);
