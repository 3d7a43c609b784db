// SPDX-License-Identifier: BSD-3-Clause
/*
 * "-s N,wdt-i6300esb": the watchdog of Intel's 6300ESB, PCI 8086:25AB. Two stages of time that the
 * guest sets; a guest that does not reload it in both is reset. Its registers are reached on the
 * I/O request thread, its time ends on vm->loop; the device's lock covers what both use.
 */
#include <errno.h>
#include <stdlib.h>

#include "log.h"
#include "mevent.h"
#include "pci.h"
#include "power.h"
#include "vm.h"

#define VENDOR	     0x8086U
#define DEVICE	     0x25abU
#define CLASS_SYSTEM 0x088000U

/* Configuration space. */
#define REG_CONFIG  0x60U
#define CFG_BITS    0x27U
#define CFG_MHZ	    0x04U /* a tick is 2^5 cycles, not 2^15 */
#define CFG_NO_OUT  0x20U /* the second stage's end resets nothing */
#define REG_LOCK    0x68U
#define LOCK_LOCKED 0x01U
#define LOCK_ENABLE 0x02U
#define LOCK_FREE   0x04U /* begins anew when it has ended */

/* Memory. What is written there has effect only behind UNLOCK_1, UNLOCK_2 in REG_RELOAD. */
#define REG_TIMER1  0x00U
#define REG_TIMER2  0x04U
#define REG_STATUS  0x08U
#define REG_RELOAD  0x0cU
#define BAR_BYTES   16U
#define TIMER_MAX   0xfffffU
#define UNLOCK_1    0x80U
#define UNLOCK_2    0x86U
#define RELOAD	    0x100U
#define TIMED_OUT   0x200U /* outlasts the reset */
#define CYCLE_NS    30U	   /* of a PCI bus with 33 MHz */
#define CYCLES_SLOW 15U	   /* powers of two in a tick */
#define CYCLES_MHZ  5U

struct wdt {
	struct pci_device *dev;
	struct mevent *timer;
	pthread_mutex_t lock;
	uint8_t config, control;
	unsigned int unlocked; /* how much of the sequence has been seen: 2 is all */
	unsigned int stage;    /* the one that runs, 0: none */
	uint32_t preload[2];
	bool timed_out;
};

static void begin(struct wdt *w, unsigned int stage)
{
	unsigned int cycles = (w->config & CFG_MHZ) != 0 ? CYCLES_MHZ : CYCLES_SLOW;
	uint64_t ns = 0;

	w->stage = stage;
	/* A timer that is set to nothing does not run, as a preload of 0 would have it. */
	if (stage != 0)
		ns = ((uint64_t)w->preload[stage - 1] << cycles) * CYCLE_NS + 1;
	if (mevent_timer_set(w->timer, ns, 0) != 0)
		log_guest("%s: the timer cannot be set", w->dev->name);
}

/* A VM that is paused cannot reload: its time begins anew. */
static void on_timer(void *arg, unsigned int events)
{
	struct wdt *w = arg;
	struct vm *vm = w->dev->vm;
	bool bite = false;

	(void)events;
	pthread_mutex_lock(&w->lock);
	if (w->stage != 0 && atomic_load(&vm->paused)) {
		begin(w, w->stage);
	} else if (w->stage == 1) {
		begin(w, 2);
	} else if (w->stage == 2) {
		bite = (w->config & CFG_NO_OUT) == 0;
		w->timed_out = true;
		begin(w, !bite && (w->control & LOCK_FREE) != 0 ? 1 : 0);
	}
	pthread_mutex_unlock(&w->lock);
	if (bite) {
		log_notice("%s: the guest of VM \"%s\" did not reload its watchdog; it is reset",
			   w->dev->name, vm->cfg.name);
		power_request(vm, POWER_RESET, 0);
	}
}

/* What is locked stays so until the reset. */
static void set_control(struct wdt *w, uint8_t value)
{
	uint8_t old = w->control;

	if ((old & LOCK_LOCKED) != 0)
		return;
	w->control = value & (LOCK_LOCKED | LOCK_ENABLE | LOCK_FREE);
	if ((w->control & LOCK_ENABLE) == 0)
		begin(w, 0);
	else if ((old & LOCK_ENABLE) == 0)
		begin(w, 1);
}

static bool wdt_cfg_write(struct pci_device *dev, unsigned int reg, unsigned int size,
			  uint32_t value)
{
	struct wdt *w = dev->priv;
	bool ours = true;

	(void)size; /* the bits are all in the first byte */
	pthread_mutex_lock(&w->lock);
	if (reg == REG_CONFIG)
		w->config = value & CFG_BITS;
	else if (reg == REG_LOCK)
		set_control(w, (uint8_t)value);
	else
		ours = false;
	pthread_mutex_unlock(&w->lock);
	return ours;
}

static bool wdt_cfg_read(struct pci_device *dev, unsigned int reg, unsigned int size,
			 uint32_t *value)
{
	struct wdt *w = dev->priv;

	(void)size;
	if (reg != REG_CONFIG && reg != REG_LOCK)
		return false;
	pthread_mutex_lock(&w->lock);
	*value = reg == REG_CONFIG ? w->config : w->control;
	pthread_mutex_unlock(&w->lock);
	return true;
}

static uint64_t wdt_read(struct pci_device *dev, unsigned int bar, uint64_t offset,
			 unsigned int size)
{
	struct wdt *w = dev->priv;
	uint64_t value = 0;

	(void)bar;
	(void)size;
	pthread_mutex_lock(&w->lock);
	if (offset == REG_RELOAD)
		value = w->timed_out ? TIMED_OUT : 0;
	pthread_mutex_unlock(&w->lock);
	return value;
}

static void reload(struct wdt *w, uint32_t value)
{
	if (w->unlocked == 2) {
		if ((value & RELOAD) != 0 && w->stage != 0)
			begin(w, 1);
		if ((value & TIMED_OUT) != 0)
			w->timed_out = false;
		w->unlocked = 0;
	} else if (value == UNLOCK_1) {
		w->unlocked = 1;
	} else {
		w->unlocked = value == UNLOCK_2 && w->unlocked == 1 ? 2 : 0;
	}
}

static void wdt_write(struct pci_device *dev, unsigned int bar, uint64_t offset, unsigned int size,
		      uint64_t value)
{
	struct wdt *w = dev->priv;

	(void)bar;
	(void)size;
	pthread_mutex_lock(&w->lock);
	if (offset == REG_RELOAD) {
		reload(w, (uint32_t)value);
	} else if (w->unlocked == 2 && (offset == REG_TIMER1 || offset == REG_TIMER2)) {
		w->preload[offset / 4] = (uint32_t)value & TIMER_MAX;
		w->unlocked = 0;
	}
	pthread_mutex_unlock(&w->lock);
}

static void wdt_reset(struct pci_device *dev)
{
	struct wdt *w = dev->priv;

	pthread_mutex_lock(&w->lock);
	w->config = 0;
	w->control = 0;
	w->unlocked = 0;
	w->preload[0] = TIMER_MAX;
	w->preload[1] = TIMER_MAX;
	begin(w, 0);
	pthread_mutex_unlock(&w->lock);
}

static int wdt_init(struct pci_device *dev, const char *config)
{
	struct wdt *w;
	int err = pci_no_config(dev, config);

	if (!err && dev->vm->cfg.rtvm) {
		log_err("%s: an RTVM is reset by nobody but itself", dev->name);
		err = -EINVAL;
	}
	if (err)
		return err;
	pci_cfg_set_ids(dev, VENDOR, DEVICE, CLASS_SYSTEM, 0);
	err = pci_bar_add(dev, 0, PCI_BAR_MEM32, BAR_BYTES, false);
	if (err)
		return err;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->dev = dev;
	pthread_mutex_init(&w->lock, NULL);
	w->timer = mevent_add_timer(dev->vm->loop, on_timer, w);
	if (!w->timer) {
		pthread_mutex_destroy(&w->lock);
		free(w);
		return -ENOMEM;
	}
	dev->priv = w;
	wdt_reset(dev);
	return 0;
}

static void wdt_deinit(struct pci_device *dev)
{
	struct wdt *w = dev->priv;

	mevent_delete(w->timer, true);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static const struct pci_ops wdt_i6300esb = {
	.name = "wdt-i6300esb",
	.init = wdt_init,
	.deinit = wdt_deinit,
	.reset = wdt_reset,
	.bar_read = wdt_read,
	.bar_write = wdt_write,
	.cfg_read = wdt_cfg_read,
	.cfg_write = wdt_cfg_write,
};
PCI_DEVICE(wdt_i6300esb);
