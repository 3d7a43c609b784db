// SPDX-License-Identifier: BSD-3-Clause
/*
 * A CMOS clock (MC146818) for VMs that have neither the machine's nor a device model's: those the
 * hypervisor starts itself beside the Service VM.  The machine's clock is read once at boot; from
 * then on the TSC counts, and what a guest sets moves its own clock only.  No interrupts: alarm and
 * periodic bits can be written and read.  Accesses come from vio.c on the vCPU's CPU; a lock per
 * clock covers its registers.
 */
#include "lib/kconfig.h"
#include "lib/string.h"
#include "asm/insn.h"
#include "hv/timer.h"
#include "hv/unit.h"
#include "hv/vio.h"
#include "hv/vm.h"

#define RTC_PORT 0x70U

#define REG_SECONDS 0x00U
#define REG_MINUTES 0x02U
#define REG_HOURS   0x04U
#define REG_WEEKDAY 0x06U
#define REG_DAY	    0x07U
#define REG_MONTH   0x08U
#define REG_YEAR    0x09U
#define REG_A	    0x0AU
#define REG_B	    0x0BU
#define REG_C	    0x0CU
#define REG_D	    0x0DU
#define REG_CENTURY 0x32U
#define REG_COUNT   128U

#define A_UPDATING 0x80U
#define A_32KHZ	   0x26U
#define B_SET	   0x80U /* the guest is writing the time: it stands still */
#define B_BINARY   0x04U
#define B_24H	   0x02U
#define D_VALID	   0x80U
#define PM	   0x80U /* in the hours, 12-hour form */

#define DAY_SECONDS 86400

struct vrtc {
	spinlock_t lock;
	uint8_t index;
	int64_t offset;		/* seconds this clock is ahead of the machine's */
	uint8_t reg[REG_COUNT]; /* time registers: as they were when B_SET was set */
};

static struct vrtc clocks[CONFIG_MAX_VM_NUM];
static int64_t boot_seconds; /* since 1970, when the TSC was boot_tsc */
static uint64_t boot_tsc;

struct rtc_time {
	int32_t second, minute, hour, weekday, day, month, year; /* month, day and weekday from 1 */
};

static bool is_time(uint8_t reg)
{
	return reg == REG_SECONDS || reg == REG_MINUTES || reg == REG_HOURS ||
	       (reg >= REG_WEEKDAY && reg <= REG_YEAR) || reg == REG_CENTURY;
}

static bool is_leap(int32_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days of the years from 1970 to the first day of `year`. */
static int64_t days_before_year(int32_t year)
{
	int64_t y = (int64_t)year - 1;

	return y * 365 + y / 4 - y / 100 + y / 400 - 719162;
}

static int32_t month_days(int32_t month, int32_t year)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return days[month - 1] + (month == 2 && is_leap(year) ? 1 : 0);
}

/* Values out of range, which a guest may write, are carried into the next field. */
static int64_t to_seconds(const struct rtc_time *t)
{
	int64_t days = days_before_year(t->year) + t->day - 1;

	for (int32_t m = 1; m < t->month && m <= 12; m++) {
		days += month_days(m, t->year);
	}
	return days * DAY_SECONDS + t->hour * 3600 + t->minute * 60 + t->second;
}

static void from_seconds(int64_t seconds, struct rtc_time *t)
{
	int64_t days = seconds / DAY_SECONDS, rest = seconds % DAY_SECONDS;

	if (rest < 0) {
		rest += DAY_SECONDS;
		days--;
	}
	t->second = (int32_t)(rest % 60);
	t->minute = (int32_t)(rest / 60 % 60);
	t->hour = (int32_t)(rest / 3600);
	t->weekday = (int32_t)(((days + 4) % 7 + 7) % 7 + 1); /* 1 January 1970 was a Thursday */
	t->year = (int32_t)(1970 + days / 366 - (days < 0 ? 1 : 0)); /* never too late */
	while (days_before_year(t->year + 1) <= days) {
		t->year++;
	}
	days -= days_before_year(t->year);
	for (t->month = 1; days >= month_days(t->month, t->year); t->month++) {
		days -= month_days(t->month, t->year);
	}
	t->day = (int32_t)days + 1;
}

static uint8_t encode(const uint8_t *reg, int32_t v)
{
	return (uint8_t)((reg[REG_B] & B_BINARY) != 0U ? v : v / 10 * 16 + v % 10);
}

static int32_t decode(const uint8_t *reg, uint8_t v)
{
	return (reg[REG_B] & B_BINARY) != 0U ? v : (v >> 4) * 10 + (v & 0xF);
}

static void time_to_regs(uint8_t *reg, int64_t seconds)
{
	struct rtc_time t;
	int32_t hour;

	from_seconds(seconds, &t);
	reg[REG_SECONDS] = encode(reg, t.second);
	reg[REG_MINUTES] = encode(reg, t.minute);
	hour = (reg[REG_B] & B_24H) != 0U ? t.hour : (t.hour + 11) % 12 + 1;
	reg[REG_HOURS] = encode(reg, hour);
	if ((reg[REG_B] & B_24H) == 0U && t.hour >= 12) {
		reg[REG_HOURS] |= PM;
	}
	reg[REG_WEEKDAY] = encode(reg, t.weekday);
	reg[REG_DAY] = encode(reg, t.day);
	reg[REG_MONTH] = encode(reg, t.month);
	reg[REG_YEAR] = encode(reg, t.year % 100);
	reg[REG_CENTURY] = encode(reg, t.year / 100 % 100);
}

static int64_t time_from_regs(const uint8_t *reg)
{
	struct rtc_time t = {
		.second = decode(reg, reg[REG_SECONDS]),
		.minute = decode(reg, reg[REG_MINUTES]),
		.hour = decode(reg, reg[REG_HOURS]),
		.day = decode(reg, reg[REG_DAY]),
		.month = decode(reg, reg[REG_MONTH]),
		.year = decode(reg, reg[REG_CENTURY]) * 100 + decode(reg, reg[REG_YEAR]),
	};

	if ((reg[REG_B] & B_24H) == 0U) {
		t.hour = decode(reg, reg[REG_HOURS] & 0x7FU) % 12 +
			 ((reg[REG_HOURS] & PM) != 0U ? 12 : 0);
	}
	if (t.year < 1970) { /* a guest that knows no century register */
		t.year += 100;
	}
	return to_seconds(&t);
}

static int64_t machine_seconds(void)
{
	return boot_seconds + (int64_t)((rdtsc() - boot_tsc) / ((uint64_t)tsc_khz() * 1000U));
}

static uint8_t rtc_read(struct vrtc *r, uint8_t reg)
{
	if (is_time(reg) && (r->reg[REG_B] & B_SET) == 0U) {
		time_to_regs(r->reg, machine_seconds() + r->offset);
	}
	return r->reg[reg];
}

/* The clock goes on from what the registers hold. */
static void rtc_set(struct vrtc *r)
{
	r->offset = time_from_regs(r->reg) - machine_seconds();
}

static void write_b(struct vrtc *r, uint8_t val)
{
	bool was_set = (r->reg[REG_B] & B_SET) != 0U;

	r->reg[REG_B] = val;
	if ((val & B_SET) != 0U && !was_set) {
		time_to_regs(r->reg, machine_seconds() + r->offset);
	} else if ((val & B_SET) == 0U && was_set) {
		rtc_set(r);
	}
}

static void rtc_write(struct vrtc *r, uint8_t reg, uint8_t val)
{
	if (reg == REG_B) {
		write_b(r, val);
	} else if (reg == REG_A) {
		r->reg[reg] = val & (uint8_t)~A_UPDATING;
	} else if (is_time(reg)) {
		(void)rtc_read(r, reg); /* the other fields go on from where they are */
		r->reg[reg] = val;
		if ((r->reg[REG_B] & B_SET) == 0U) {
			rtc_set(r);
		}
	} else if (reg != REG_C && reg != REG_D) {
		r->reg[reg] = val;
	}
}

static void vrtc_io(struct vcpu *vcpu, void *arg, struct io_access *io)
{
	struct vrtc *r = arg;

	if (io->width != 1U) {
		vio_all_ones(vcpu, io);
		return;
	}
	spin_lock(&r->lock);
	if (io->addr == RTC_PORT) {
		if (io->write) {
			r->index = (uint8_t)io->value & (REG_COUNT - 1U); /* bit 7 masks NMIs */
		} else {
			io->value = UINT64_MAX;
		}
	} else if (io->write) {
		rtc_write(r, r->index, (uint8_t)io->value);
	} else {
		io->value = rtc_read(r, r->index);
	}
	spin_unlock(&r->lock);
}

static uint8_t machine_reg(uint8_t reg)
{
	pio_write8(RTC_PORT, reg);
	return pio_read8(RTC_PORT + 1U);
}

/* While it updates itself the machine's clock is not to be read: at most 2 ms. */
static int vrtc_boot(void)
{
	uint8_t reg[REG_COUNT] = {0};

	for (uint32_t i = 0; i < 30U && (machine_reg(REG_A) & A_UPDATING) != 0U; i++) {
		udelay(100);
	}
	for (uint8_t i = 0; i < REG_COUNT; i++) {
		if (is_time(i) || i == REG_B) {
			reg[i] = machine_reg(i);
		}
	}
	boot_tsc = rdtsc();
	boot_seconds = time_from_regs(reg);
	return 0;
}

static void vrtc_vm_reset(struct vm *vm)
{
	struct vrtc *r = &clocks[vm->id];

	r->index = 0;
	r->reg[REG_A] = A_32KHZ;
	r->reg[REG_B] = B_24H;
	r->reg[REG_D] = D_VALID;
}

static int vrtc_vm_init(struct vm *vm)
{
	if (vm->load_order != PRE_LAUNCHED_VM) {
		return 0;
	}
	(void)memset(&clocks[vm->id], 0, sizeof(clocks[vm->id]));
	vrtc_vm_reset(vm);
	return vio_add_pio(vm, RTC_PORT, 2, vrtc_io, &clocks[vm->id]);
}

UNIT(vrtc) = {
	.name = "vrtc",
	.level = UNIT_DEV,
	.boot = vrtc_boot,
	.vm_init = vrtc_vm_init,
	.vm_reset = vrtc_vm_reset,
};
