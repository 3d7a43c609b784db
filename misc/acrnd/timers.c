// SPDX-License-Identifier: BSD-3-Clause
/*
 * VMs that shall start at a given time. They are lines "NAME TIME" (seconds since 1970) in
 * MNGR_TIMERS, so that they outlive acrnd and the machine: the earliest is also the alarm of the
 * machine's clock, which wakes it. A line goes when its time has come, whatever becomes of it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "acrnd.h"
#include "log.h"
#include "mevent.h"
#include "mngr.h"

#define TIMERS_MAX 64U
#define WAKE_ALARM "/sys/class/rtc/rtc0/wakealarm"

static struct timer {
	char name[MNGR_NAME_MAX + 1];
	int64_t when;
} timers[TIMERS_MAX];
static size_t count;
static int timer_fd = -1;

static int compare(const void *a, const void *b)
{
	const struct timer *x = a;
	const struct timer *y = b;

	return (x->when > y->when) - (x->when < y->when);
}

/* A machine without such a clock wakes for nobody; the timers work while it is on. */
static void set_wake_alarm(void)
{
	FILE *file;

	/* It takes no time while one is set. */
	for (int clear = 1; clear >= 0; clear--) {
		file = fopen(mngr_path(WAKE_ALARM), "we");
		if (!file)
			return;
		if (fprintf(file, "%" PRId64 "\n", clear || count == 0 ? 0 : timers[0].when) < 0 ||
		    fflush(file) != 0)
			log_info("%s: %s", mngr_path(WAKE_ALARM), strerror(errno));
		(void)fclose(file);
	}
}

static void arm(void)
{
	struct itimerspec when = {.it_value = {0}};

	if (count > 0)
		when.it_value.tv_sec = timers[0].when;
	if (timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &when, NULL) < 0)
		log_err("the timer cannot be set: %s", strerror(errno));
	set_wake_alarm();
}

/* Whole or not at all, as the machine may lose power. */
static int save(void)
{
	const char *path = mngr_path(MNGR_TIMERS);
	char other[PATH_MAX + 8];
	FILE *file;
	int err = 0;

	snprintf(other, sizeof(other), "%s.new", path);
	file = fopen(other, "we");
	if (!file)
		return -errno;
	for (size_t i = 0; i < count; i++) {
		if (fprintf(file, "%s %" PRId64 "\n", timers[i].name, timers[i].when) < 0)
			err = -EIO;
	}
	if (fflush(file) != 0 || fsync(fileno(file)) < 0)
		err = -errno;
	if (fclose(file) != 0 || (!err && rename(other, path) < 0))
		err = -errno;
	return err;
}

/* Start what is due; true when there was something. */
static bool serve(void)
{
	time_t now = time(NULL);
	size_t due = 0;
	struct timer ready[TIMERS_MAX];

	while (due < count && timers[due].when <= now)
		due++;
	memcpy(ready, timers, due * sizeof(ready[0]));
	count -= due;
	memmove(timers, timers + due, count * sizeof(timers[0]));
	for (size_t i = 0; i < due; i++) {
		log_info("%s: its time has come", ready[i].name);
		(void)launch(ready[i].name);
	}
	return due > 0;
}

static void serve_and_save(void)
{
	int err = serve() ? save() : 0;

	if (err)
		log_err("%s: %s", mngr_path(MNGR_TIMERS), strerror(-err));
	arm();
}

static void on_timer(void *arg, unsigned int events)
{
	uint64_t expirations;

	(void)arg;
	(void)events;
	if (read(timer_fd, &expirations, sizeof(expirations)) > 0)
		serve_and_save();
}

static bool parse(const char *line, struct timer *timer)
{
	int end = -1;

	_Static_assert(MNGR_NAME_MAX == 15, "the 15 below");
	return sscanf(line, "%15s %" SCNd64 " %n", timer->name, &timer->when, &end) == 2 &&
	       end >= 0 && line[end] == '\0' && timer->when > 0 && mngr_name_valid(timer->name);
}

static void read_list(void)
{
	FILE *file = fopen(mngr_path(MNGR_TIMERS), "re");
	char line[128];

	count = 0;
	while (file && fgets(line, sizeof(line), file)) {
		if (line[0] == '\n' || line[0] == '#')
			continue;
		if (count == TIMERS_MAX)
			log_warn("%s: more than %u lines", mngr_path(MNGR_TIMERS), TIMERS_MAX);
		else if (parse(line, &timers[count]))
			count++;
		else
			log_warn("%s: a line is not NAME TIME: %.40s", mngr_path(MNGR_TIMERS),
				 line);
	}
	if (file)
		(void)fclose(file);
	qsort(timers, count, sizeof(timers[0]), compare);
}

void timers_load(void)
{
	read_list();
	serve_and_save();
}

int timers_create(struct mevent_loop *loop)
{
	timer_fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (timer_fd < 0 || !mevent_add(loop, timer_fd, MEVENT_READ, on_timer, NULL))
		return -EIO;
	read_list();
	return 0;
}

int timers_add(const char *name, time_t when)
{
	struct timer before[TIMERS_MAX];
	int err;

	if (when <= time(NULL))
		return -EINVAL;
	if (count == TIMERS_MAX)
		return -ENOSPC;
	memcpy(before, timers, sizeof(before));
	snprintf(timers[count].name, sizeof(timers[count].name), "%s", name);
	timers[count++].when = when;
	qsort(timers, count, sizeof(timers[0]), compare);
	err = save();
	if (err) { /* who asked hears that it will not start */
		memcpy(timers, before, sizeof(before));
		count--;
	}
	arm();
	return err;
}
