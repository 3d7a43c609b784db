// SPDX-License-Identifier: BSD-3-Clause
/*
 * MC146818 real-time clock and CMOS memory, ports 0x70 and 0x71. The time of day
 * is the Service VM's UTC plus what the guest has set; it is computed when a
 * register is read. A timer runs only while an interrupt is enabled.
 *
 * The I/O request thread programs, the event loop fires: rtc->lock.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "acpi.h"
#include "aml.h"
#include "clock.h"
#include "gmem.h"
#include "hsm.h"
#include "mevent.h"
#include "monitor.h"
#include "pio.h"
#include "platform.h"
#include "vm.h"

#define RTC_PORT 0x70
#define RTC_GSI	 8U

enum {
	REG_SEC = 0x00,
	REG_SEC_ALARM = 0x01,
	REG_MIN = 0x02,
	REG_MIN_ALARM = 0x03,
	REG_HOUR = 0x04,
	REG_HOUR_ALARM = 0x05,
	REG_WEEKDAY = 0x06,
	REG_DAY = 0x07,
	REG_MONTH = 0x08,
	REG_YEAR = 0x09,
	REG_A = 0x0a,
	REG_B = 0x0b,
	REG_C = 0x0c,
	REG_D = 0x0d,
	REG_CENTURY = ACPI_CMOS_CENTURY,
	REG_RAM_LOW = 0x34,  /* and 0x35: in 64 KB, above 16 MB */
	REG_RAM_HIGH = 0x5b, /* to 0x5d: in 64 KB, above 4 GB */
	REGS = 0x80,
};

#define A_UIP	      0x80U
#define A_32KHZ	      0x20U
#define A_RATE	      0x0fU
#define B_SET	      0x80U
#define B_PIE	      0x40U
#define B_AIE	      0x20U
#define B_UIE	      0x10U
#define B_BINARY      0x04U
#define B_24H	      0x02U
#define C_IRQF	      0x80U
#define C_PF	      0x40U
#define C_AF	      0x20U
#define C_UF	      0x10U
#define D_VRT	      0x80U
#define HOUR_PM	      0x80U
#define ALARM_ANY     0xc0U
#define UIP_NS	      244000U /* before each second's update */
#define MIN_PERIOD_NS (1000000000U / 8192U)

struct rtc {
	pthread_mutex_t lock;
	struct vm *vm;
	struct mevent *tick; /* each second: update ended, alarm */
	struct mevent *periodic;
	uint8_t index;
	uint8_t reg[REGS]; /* those of the time only while B_SET stops the clock */
	int64_t offset;	   /* guest's time less ours, s */
};

static int64_t now(const struct rtc *rtc)
{
	return (int64_t)(clock_realtime() / CLOCK_NS_PER_SEC) + rtc->offset;
}

static uint8_t encode(const struct rtc *rtc, int value)
{
	return (uint8_t)(rtc->reg[REG_B] & B_BINARY ? value : value / 10 << 4 | value % 10);
}

static int decode(const struct rtc *rtc, uint8_t value)
{
	return rtc->reg[REG_B] & B_BINARY ? value : (value >> 4) * 10 + (value & 15);
}

static uint8_t encode_hour(const struct rtc *rtc, int hour)
{
	if (rtc->reg[REG_B] & B_24H)
		return encode(rtc, hour);
	return encode(rtc, (hour + 11) % 12 + 1) | (hour >= 12 ? HOUR_PM : 0);
}

static int decode_hour(const struct rtc *rtc, uint8_t value)
{
	if (rtc->reg[REG_B] & B_24H)
		return decode(rtc, value);
	return decode(rtc, value & 0x7f) % 12 + (value & HOUR_PM ? 12 : 0);
}

/* Put the time of day into the registers. */
static void fill_time(struct rtc *rtc)
{
	time_t t = (time_t)now(rtc);
	struct tm tm;

	gmtime_r(&t, &tm);
	rtc->reg[REG_SEC] = encode(rtc, tm.tm_sec);
	rtc->reg[REG_MIN] = encode(rtc, tm.tm_min);
	rtc->reg[REG_HOUR] = encode_hour(rtc, tm.tm_hour);
	rtc->reg[REG_WEEKDAY] = encode(rtc, tm.tm_wday + 1);
	rtc->reg[REG_DAY] = encode(rtc, tm.tm_mday);
	rtc->reg[REG_MONTH] = encode(rtc, tm.tm_mon + 1);
	rtc->reg[REG_YEAR] = encode(rtc, (tm.tm_year + 1900) % 100);
	rtc->reg[REG_CENTURY] = encode(rtc, (tm.tm_year + 1900) / 100);
}

/* The first and the last second that four digits of a year can name. */
#define TIME_MIN (-62167219200LL)
#define TIME_MAX 253402300799LL

/* Take the time the guest has written; timegm() normalises nonsense. */
static void take_time(struct rtc *rtc)
{
	const uint8_t *reg = rtc->reg;
	struct tm tm = {
		.tm_sec = decode(rtc, reg[REG_SEC]),
		.tm_min = decode(rtc, reg[REG_MIN]),
		.tm_hour = decode_hour(rtc, reg[REG_HOUR]),
		.tm_mday = decode(rtc, reg[REG_DAY]),
		.tm_mon = decode(rtc, reg[REG_MONTH]) - 1,
		.tm_year = decode(rtc, reg[REG_CENTURY]) * 100 + decode(rtc, reg[REG_YEAR]) - 1900,
	};
	int64_t last = now(rtc);
	int64_t time;

	time = timegm(&tm);
	if (time < TIME_MIN)
		time = TIME_MIN;
	if (time > TIME_MAX)
		time = TIME_MAX;
	rtc->offset += time - last;
	if (time != last)
		monitor_event_rtc(rtc->vm, time - last, last);
}

static bool is_time(unsigned int index)
{
	return (index <= REG_YEAR && (index & 1) == 0) || index == REG_DAY || index == REG_YEAR ||
	       index == REG_CENTURY;
}

static void set_line(struct rtc *rtc, bool level)
{
	(void)hsm_set_irqline(rtc->vm->hsm, RTC_GSI, level ? HSM_IRQ_HIGH : HSM_IRQ_LOW);
}

/* Flags of C happened; the enable bits of B have the same places. */
static void raise(struct rtc *rtc, uint8_t flags)
{
	bool was = rtc->reg[REG_C] & C_IRQF;

	rtc->reg[REG_C] |= flags;
	if (rtc->reg[REG_C] & rtc->reg[REG_B] & (C_PF | C_AF | C_UF))
		rtc->reg[REG_C] |= C_IRQF;
	if (!was && (rtc->reg[REG_C] & C_IRQF))
		set_line(rtc, true);
}

static bool alarm_is(const struct rtc *rtc, unsigned int alarm, uint8_t value)
{
	return (rtc->reg[alarm] & ALARM_ANY) == ALARM_ANY || rtc->reg[alarm] == value;
}

static bool alarm_now(const struct rtc *rtc)
{
	time_t t = (time_t)now(rtc);
	struct tm tm;

	gmtime_r(&t, &tm);
	return alarm_is(rtc, REG_SEC_ALARM, encode(rtc, tm.tm_sec)) &&
	       alarm_is(rtc, REG_MIN_ALARM, encode(rtc, tm.tm_min)) &&
	       alarm_is(rtc, REG_HOUR_ALARM, encode_hour(rtc, tm.tm_hour));
}

static void on_tick(void *arg, unsigned int events)
{
	struct rtc *rtc = arg;

	(void)events;
	pthread_mutex_lock(&rtc->lock);
	if (!(rtc->reg[REG_B] & B_SET))
		raise(rtc, (uint8_t)(C_UF | (alarm_now(rtc) ? C_AF : 0)));
	pthread_mutex_unlock(&rtc->lock);
}

static void on_periodic(void *arg, unsigned int events)
{
	struct rtc *rtc = arg;

	(void)events;
	pthread_mutex_lock(&rtc->lock);
	raise(rtc, C_PF);
	pthread_mutex_unlock(&rtc->lock);
}

/* Rates 3 to 15 halve from 8192 Hz; 1 and 2 are 256 and 128 Hz. */
static uint64_t period_ns(const struct rtc *rtc)
{
	unsigned int rate = rtc->reg[REG_A] & A_RATE;

	if (rate == 0)
		return 0;
	if (rate <= 2)
		rate += 7;
	return CLOCK_NS_PER_SEC * (1ULL << (rate - 1)) / 32768U;
}

/* Arm what the registers ask for; changed: which registers differ. */
static void update_timers(struct rtc *rtc, bool periodic_changed)
{
	bool tick = rtc->reg[REG_B] & (B_AIE | B_UIE);
	bool run = rtc->reg[REG_B] & B_PIE;
	uint64_t into = clock_realtime() % CLOCK_NS_PER_SEC;
	uint64_t period = period_ns(rtc);

	(void)mevent_timer_set(rtc->tick, tick ? CLOCK_NS_PER_SEC - into : 0,
			       tick ? CLOCK_NS_PER_SEC : 0);
	if (!periodic_changed)
		return;
	if (!run || period < MIN_PERIOD_NS)
		period = 0;
	(void)mevent_timer_set(rtc->periodic, period, period);
}

static uint8_t read_reg(struct rtc *rtc)
{
	unsigned int i = rtc->index;
	uint8_t value;

	if (is_time(i) && !(rtc->reg[REG_B] & B_SET))
		fill_time(rtc);
	value = rtc->reg[i];
	if (i == REG_A && !(rtc->reg[REG_B] & B_SET) &&
	    clock_realtime() % CLOCK_NS_PER_SEC >= CLOCK_NS_PER_SEC - UIP_NS)
		value |= A_UIP;
	if (i == REG_C) {
		if (value & C_IRQF)
			set_line(rtc, false);
		rtc->reg[REG_C] = 0;
	}
	return value;
}

static void write_b(struct rtc *rtc, uint8_t value)
{
	uint8_t old = rtc->reg[REG_B];

	if ((value & B_SET) && !(old & B_SET))
		fill_time(rtc);
	rtc->reg[REG_B] = value;
	if ((old & B_SET) && !(value & B_SET))
		take_time(rtc);
	raise(rtc, 0);
	update_timers(rtc, (old ^ value) & B_PIE);
}

static void write_reg(struct rtc *rtc, uint8_t value)
{
	unsigned int i = rtc->index;
	bool periodic;

	switch (i) {
	case REG_A:
		periodic = (rtc->reg[REG_A] ^ value) & A_RATE;
		rtc->reg[REG_A] = value & (uint8_t)~A_UIP;
		update_timers(rtc, periodic);
		return;
	case REG_B:
		write_b(rtc, value);
		return;
	case REG_C:
	case REG_D:
		return;
	default:
		break;
	}
	if (is_time(i) && !(rtc->reg[REG_B] & B_SET)) {
		fill_time(rtc);
		rtc->reg[i] = value;
		take_time(rtc);
	} else {
		rtc->reg[i] = value;
	}
}

static uint64_t rtc_read(void *arg, uint64_t offset, unsigned int size)
{
	struct rtc *rtc = arg;
	uint8_t value = 0xff; /* the index register is write-only */

	(void)size;
	if (offset == 1) {
		pthread_mutex_lock(&rtc->lock);
		value = read_reg(rtc);
		pthread_mutex_unlock(&rtc->lock);
	}
	return value;
}

static void rtc_write(void *arg, uint64_t offset, unsigned int size, uint64_t value)
{
	struct rtc *rtc = arg;

	(void)size;
	pthread_mutex_lock(&rtc->lock);
	if (offset == 0)
		rtc->index = value & (REGS - 1); /* bit 7 is the NMI gate */
	else
		write_reg(rtc, (uint8_t)value);
	pthread_mutex_unlock(&rtc->lock);
}

static const struct io_ops rtc_io = {.read = rtc_read, .write = rtc_write};

/* Firmware looks here, and nobody else. */
static void put_memory_size(struct rtc *rtc)
{
	const uint64_t low = gmem_low_size(rtc->vm), base = 16ULL << 20;
	const uint64_t ram_low = low > base ? (low - base) >> 16 : 0;
	const uint64_t ram_high = gmem_high_size(rtc->vm) >> 16;

	memcpy(&rtc->reg[REG_RAM_LOW], &ram_low, 2);
	memcpy(&rtc->reg[REG_RAM_HIGH], &ram_high, 3);
}

/* The battery keeps time and memory over a reset; interrupts stop. */
static void rtc_reset(struct vm *vm, void *priv)
{
	struct rtc *rtc = priv;

	(void)vm;
	pthread_mutex_lock(&rtc->lock);
	if (rtc->reg[REG_C] & C_IRQF)
		set_line(rtc, false);
	rtc->reg[REG_A] = A_32KHZ | 6;
	rtc->reg[REG_B] = B_24H;
	rtc->reg[REG_C] = 0;
	rtc->reg[REG_D] = D_VRT;
	rtc->index = 0;
	put_memory_size(rtc);
	update_timers(rtc, true);
	pthread_mutex_unlock(&rtc->lock);
}

static void rtc_deinit(struct vm *vm, void *priv)
{
	struct rtc *rtc = priv;

	pio_unregister(vm, RTC_PORT);
	mevent_delete(rtc->tick, true);
	mevent_delete(rtc->periodic, true);
	pthread_mutex_destroy(&rtc->lock);
	free(rtc);
}

static int rtc_init(struct vm *vm, void **priv)
{
	struct rtc *rtc = calloc(1, sizeof(*rtc));
	int err = -ENOMEM;

	if (!rtc)
		return -ENOMEM;
	rtc->vm = vm;
	pthread_mutex_init(&rtc->lock, NULL);
	rtc->tick = mevent_add_timer(vm->loop, on_tick, rtc);
	rtc->periodic = mevent_add_timer(vm->loop, on_periodic, rtc);
	if (rtc->tick && rtc->periodic) {
		rtc_reset(vm, rtc);
		err = pio_register(vm, "rtc", RTC_PORT, 2, &rtc_io, rtc);
	}
	if (err)
		rtc_deinit(vm, rtc);
	else
		*priv = rtc;
	return err;
}

static void rtc_dsdt(struct vm *vm, void *priv, struct aml *aml)
{
	(void)vm;
	(void)priv;
	aml_device_begin(aml, "RTC_");
	aml_name_eisaid(aml, "_HID", "PNP0B00");
	aml_resources_begin(aml, "_CRS");
	aml_res_io(aml, RTC_PORT, 2);
	aml_res_irq(aml, RTC_GSI);
	aml_resources_end(aml);
	aml_end(aml);
}

static const struct platform_ops rtc_ops = {
	.name = "rtc",
	.level = 50,
	.init = rtc_init,
	.deinit = rtc_deinit,
	.reset = rtc_reset,
	.dsdt = rtc_dsdt,
};
PLATFORM_DEVICE(rtc_ops);
