// SPDX-License-Identifier: BSD-3-Clause
/*
 * 8254 interval timer, ports 0x40-0x43, and port 0x61 with channel 2's gate and
 * output. A channel's count is computed from the clock when it is read; only
 * channel 0, whose output is IRQ 0, has a timer, and only while it counts.
 *
 * The I/O request thread programs, the event loop fires: pit->lock.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "aml.h"
#include "clock.h"
#include "hsm.h"
#include "mevent.h"
#include "pio.h"
#include "platform.h"
#include "vm.h"

#define PIT_PORT    0x40
#define SPKR_PORT   0x61
#define PIT_HZ	    1193182ULL
#define CHANNELS    3U
#define REG_CONTROL 3U
#define IRQ0_GSI    2U /* the MADT says 0 is at pin 2; the hypervisor feeds the PIC too */
#define FULL_COUNT  0x10000U
#define MIN_PERIOD  100000U /* ns: no guest gets more than 10,000 interrupts a second */

#define ACCESS_LATCH 0U
#define ACCESS_LOW   1U
#define ACCESS_HIGH  2U
#define ACCESS_BOTH  3U

#define SPKR_GATE    0x01U
#define SPKR_DATA    0x02U
#define SPKR_REFRESH 0x10U
#define SPKR_OUT     0x20U

struct channel {
	uint64_t start;	 /* when the count was loaded, ns */
	uint32_t reload; /* 1..0x10000; 0: not loaded since the mode was set */
	uint8_t mode;
	uint8_t access;
	bool bcd;
	bool gate;
	bool write_high; /* the next byte written is the high one */
	bool read_high;
	bool status_latched;
	uint8_t low_byte; /* written, waiting for the high one */
	uint8_t status;
	unsigned int latched; /* bytes of latch to be read */
	uint16_t latch;
};

struct pit {
	pthread_mutex_t lock;
	struct vm *vm;
	struct mevent *timer;
	struct channel channel[CHANNELS];
	uint8_t speaker;
};

static uint64_t ticks_since(uint64_t start)
{
	uint64_t ns = clock_monotonic() - start;

	return ns / CLOCK_NS_PER_SEC * PIT_HZ + ns % CLOCK_NS_PER_SEC * PIT_HZ / CLOCK_NS_PER_SEC;
}

static uint64_t ticks_to_ns(uint64_t ticks)
{
	return (ticks * CLOCK_NS_PER_SEC + PIT_HZ - 1) / PIT_HZ;
}

static bool is_periodic(const struct channel *ch)
{
	return ch->mode == 2 || ch->mode == 3;
}

static uint16_t count(const struct channel *ch)
{
	uint64_t ticks;

	if (ch->reload == 0 || (!ch->gate && is_periodic(ch)))
		return (uint16_t)ch->reload;
	ticks = ticks_since(ch->start);
	if (ch->mode == 3) {
		uint64_t left = ch->reload - 2 * ticks % ch->reload;

		return (uint16_t)(left & ~1ULL);
	}
	if (ch->mode == 2)
		return (uint16_t)(ch->reload - ticks % ch->reload);
	return (uint16_t)(ch->reload - ticks); /* wraps and goes on, as the chip's */
}

static bool output(const struct channel *ch)
{
	uint64_t ticks;

	if (ch->reload == 0)
		return ch->mode != 0;
	ticks = ticks_since(ch->start);
	switch (ch->mode) {
	case 0:
	case 1:
		return ticks >= ch->reload;
	case 2:
		return ticks % ch->reload != ch->reload - 1;
	case 3:
		return ticks % ch->reload < (ch->reload + 1) / 2;
	default:
		return ticks != ch->reload;
	}
}

static uint16_t to_bcd(uint16_t value)
{
	return (uint16_t)(value % 10 | value / 10 % 10 << 4 | value / 100 % 10 << 8 |
			  value / 1000 % 10 << 12);
}

static uint32_t from_bcd(uint32_t value)
{
	return (value & 15U) + (value >> 4 & 15U) * 10 + (value >> 8 & 15U) * 100 +
	       (value >> 12 & 15U) * 1000;
}

/* Channel 0's output goes high when the count ends: IRQ 0, an edge. */
static void on_timer(void *arg, unsigned int events)
{
	struct pit *pit = arg;

	(void)events;
	(void)hsm_set_irqline(pit->vm->hsm, IRQ0_GSI, HSM_IRQ_PULSE_HIGH);
}

static void arm(struct pit *pit)
{
	const struct channel *ch = &pit->channel[0];
	uint64_t period = ticks_to_ns(ch->reload);

	if (period < MIN_PERIOD)
		period = MIN_PERIOD;
	if (ch->reload == 0)
		(void)mevent_timer_set(pit->timer, 0, 0);
	else
		(void)mevent_timer_set(pit->timer, period, is_periodic(ch) ? period : 0);
}

static void load(struct pit *pit, struct channel *ch, uint32_t value)
{
	if (ch->bcd)
		value = from_bcd(value);
	ch->reload = value ? value : ch->bcd ? 10000U : FULL_COUNT;
	ch->start = clock_monotonic();
	if (ch == &pit->channel[0])
		arm(pit);
}

static void latch_count(struct channel *ch)
{
	if (ch->latched)
		return;
	ch->latch = ch->bcd ? to_bcd(count(ch)) : count(ch);
	ch->latched = ch->access == ACCESS_BOTH ? 2 : 1;
	ch->read_high = ch->access == ACCESS_HIGH;
}

static void latch_status(struct channel *ch)
{
	if (ch->status_latched)
		return;
	ch->status_latched = true;
	ch->status = (uint8_t)(output(ch) << 7 | (ch->reload == 0) << 6 | ch->access << 4 |
			       ch->mode << 1 | ch->bcd);
}

/* Bits 5 and 4 low: latch count, status; bits 3-1: of channels 2-0. */
static void read_back(struct pit *pit, uint8_t value)
{
	for (unsigned int i = 0; i < CHANNELS; i++) {
		if (!(value & 2U << i))
			continue;
		if (!(value & 0x20U))
			latch_count(&pit->channel[i]);
		if (!(value & 0x10U))
			latch_status(&pit->channel[i]);
	}
}

static void control(struct pit *pit, uint8_t value)
{
	unsigned int select = value >> 6;
	struct channel *ch;
	uint8_t mode = value >> 1 & 7U;

	if (select == CHANNELS) {
		read_back(pit, value);
		return;
	}
	ch = &pit->channel[select];
	if ((value >> 4 & 3U) == ACCESS_LATCH) {
		latch_count(ch);
		return;
	}
	ch->access = value >> 4 & 3U;
	ch->mode = mode > 5 ? mode & 3U : mode; /* 6 and 7 are 2 and 3 */
	ch->bcd = value & 1U;
	ch->reload = 0;
	ch->latched = 0;
	ch->status_latched = false;
	ch->write_high = ch->access == ACCESS_HIGH;
	ch->read_high = ch->access == ACCESS_HIGH;
	if (select == 0)
		arm(pit);
}

static void write_count(struct pit *pit, struct channel *ch, uint8_t value)
{
	if (ch->access == ACCESS_LOW) {
		load(pit, ch, value);
	} else if (ch->access == ACCESS_HIGH) {
		load(pit, ch, (uint32_t)value << 8);
	} else if (!ch->write_high) {
		ch->low_byte = value;
		ch->write_high = true;
	} else {
		ch->write_high = false;
		load(pit, ch, (uint32_t)value << 8 | ch->low_byte);
	}
}

static uint8_t read_count(struct channel *ch)
{
	uint16_t value;
	uint8_t byte;

	if (ch->status_latched) {
		ch->status_latched = false;
		return ch->status;
	}
	value = ch->latched ? ch->latch : ch->bcd ? to_bcd(count(ch)) : count(ch);
	byte = (uint8_t)(ch->read_high ? value >> 8 : value);
	if (ch->access == ACCESS_BOTH)
		ch->read_high = !ch->read_high;
	if (ch->latched)
		ch->latched--;
	return byte;
}

static uint64_t pit_read(void *arg, uint64_t offset, unsigned int size)
{
	struct pit *pit = arg;
	uint8_t value = 0xff;

	(void)size;
	pthread_mutex_lock(&pit->lock);
	if (offset < CHANNELS)
		value = read_count(&pit->channel[offset]);
	pthread_mutex_unlock(&pit->lock);
	return value;
}

static void pit_write(void *arg, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pit *pit = arg;

	(void)size;
	pthread_mutex_lock(&pit->lock);
	if (offset == REG_CONTROL)
		control(pit, (uint8_t)value);
	else
		write_count(pit, &pit->channel[offset], (uint8_t)value);
	pthread_mutex_unlock(&pit->lock);
}

static const struct io_ops pit_io = {.read = pit_read, .write = pit_write};

/* Bit 4 toggles with each memory refresh, every 15 us on the first PCs. */
static uint64_t speaker_read(void *arg, uint64_t offset, unsigned int size)
{
	struct pit *pit = arg;
	uint8_t value;

	(void)offset;
	(void)size;
	pthread_mutex_lock(&pit->lock);
	value = pit->speaker & (SPKR_GATE | SPKR_DATA);
	if (clock_monotonic() / 15085 % 2)
		value |= SPKR_REFRESH;
	if (output(&pit->channel[2]))
		value |= SPKR_OUT;
	pthread_mutex_unlock(&pit->lock);
	return value;
}

static void speaker_write(void *arg, uint64_t offset, unsigned int size, uint64_t value)
{
	struct pit *pit = arg;
	struct channel *ch = &pit->channel[2];
	bool gate = value & SPKR_GATE;

	(void)offset;
	(void)size;
	pthread_mutex_lock(&pit->lock);
	pit->speaker = (uint8_t)value;
	/* A rising gate restarts every mode but 0 and 4. */
	if (gate && !ch->gate && ch->reload != 0 && ch->mode != 0 && ch->mode != 4)
		ch->start = clock_monotonic();
	ch->gate = gate;
	pthread_mutex_unlock(&pit->lock);
}

static const struct io_ops speaker_io = {.read = speaker_read, .write = speaker_write};

static void pit_reset(struct vm *vm, void *priv)
{
	struct pit *pit = priv;

	(void)vm;
	pthread_mutex_lock(&pit->lock);
	memset(pit->channel, 0, sizeof(pit->channel));
	for (unsigned int i = 0; i < CHANNELS; i++) {
		pit->channel[i].access = ACCESS_BOTH;
		pit->channel[i].gate = i != 2;
	}
	pit->speaker = 0;
	arm(pit);
	pthread_mutex_unlock(&pit->lock);
}

static void pit_deinit(struct vm *vm, void *priv)
{
	struct pit *pit = priv;

	pio_unregister(vm, PIT_PORT);
	pio_unregister(vm, SPKR_PORT);
	mevent_delete(pit->timer, true);
	pthread_mutex_destroy(&pit->lock);
	free(pit);
}

static int pit_init(struct vm *vm, void **priv)
{
	struct pit *pit = calloc(1, sizeof(*pit));
	int err;

	if (!pit)
		return -ENOMEM;
	pit->vm = vm;
	pthread_mutex_init(&pit->lock, NULL);
	pit->timer = mevent_add_timer(vm->loop, on_timer, pit);
	if (!pit->timer) {
		err = -ENOMEM;
		goto out;
	}
	pit_reset(vm, pit);
	err = pio_register(vm, "pit", PIT_PORT, 4, &pit_io, pit);
	if (!err)
		err = pio_register(vm, "speaker", SPKR_PORT, 1, &speaker_io, pit);
	*priv = pit;
out:
	if (err)
		pit_deinit(vm, pit);
	return err;
}

static void pit_dsdt(struct vm *vm, void *priv, struct aml *aml)
{
	(void)vm;
	(void)priv;
	aml_device_begin(aml, "TMR_");
	aml_name_eisaid(aml, "_HID", "PNP0100");
	aml_resources_begin(aml, "_CRS");
	aml_res_io(aml, PIT_PORT, 4);
	aml_res_irq(aml, 0);
	aml_resources_end(aml);
	aml_end(aml);
}

static const struct platform_ops pit_ops = {
	.name = "pit",
	.level = 40,
	.init = pit_init,
	.deinit = pit_deinit,
	.reset = pit_reset,
	.dsdt = pit_dsdt,
};
PLATFORM_DEVICE(pit_ops);
