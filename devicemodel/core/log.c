// SPDX-License-Identifier: BSD-3-Clause
/*
 * Lines for the user on stderr, and in the kernel's log where --logger_setting
 * asks for it. Each line is one write(), so lines of several threads never mix,
 * and no lock is taken. Called from anywhere but signal handlers.
 */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 512
#define PRIORITY_BYTES 3U /* "<6>" in front of a line of the kernel's log */

static _Atomic(int) max_level = LOG_LEVEL_NOTICE;
static _Atomic(int) kmsg_level;
static int kmsg_fd = -1; /* set before there are threads */
static atomic_bool raw_terminal;

void log_set_level(enum log_level level)
{
	atomic_store(&max_level, (int)level);
}

int log_set_kmsg(enum log_level level)
{
	if (kmsg_fd < 0)
		kmsg_fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (kmsg_fd < 0)
		return -errno;
	atomic_store(&kmsg_level, (int)level);
	return 0;
}

void log_set_raw(bool raw)
{
	atomic_store(&raw_terminal, raw);
}

static bool wanted(const _Atomic(int) *limit, enum log_level level)
{
	return (int)level <= atomic_load_explicit(limit, memory_order_relaxed);
}

/* times: how often it was so, if that is worth a word. */
static void print(enum log_level level, unsigned int times, const char *fmt, va_list args)
{
	static const struct {
		char kernel[PRIORITY_BYTES + 1];
		const char *word;
	} prefix[] = {
		[LOG_LEVEL_ERROR] = {"<3>", "error: "},
		[LOG_LEVEL_WARNING] = {"<4>", "warning: "},
		[LOG_LEVEL_NOTICE] = {"<5>", ""},
		[LOG_LEVEL_INFO] = {"<6>", ""},
	};
	char text[PRIORITY_BYTES + LINE_MAX_BYTES];
	char *line = text + PRIORITY_BYTES;
	bool kmsg = wanted(&kmsg_level, level);
	size_t len;
	int n;

	if (!wanted(&max_level, level) && !kmsg)
		return;
	n = snprintf(line, LINE_MAX_BYTES, "acrn-dm: %s", prefix[level].word);
	if (times != 0)
		n += snprintf(line + n, LINE_MAX_BYTES - (size_t)n, "%u times by now: ", times);
	len = (size_t)n;
	n = vsnprintf(line + len, LINE_MAX_BYTES - len - 2, fmt, args);
	if (n > 0) {
		size_t room = LINE_MAX_BYTES - len - 3;

		len += (size_t)n < room ? (size_t)n : room;
	}
	/* Nobody is left to be told that a log cannot be written. */
	if (kmsg) {
		memcpy(text, prefix[level].kernel, PRIORITY_BYTES);
		if (write(kmsg_fd, text, PRIORITY_BYTES + len) < 0)
			atomic_store(&kmsg_level, 0);
	}
	if (!wanted(&max_level, level))
		return;
	if (atomic_load(&raw_terminal))
		line[len++] = '\r';
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print(level, 0, fmt, args);
	va_end(args);
}

void log_guest_line(atomic_uint *seen, const char *fmt, ...)
{
	unsigned int times = atomic_fetch_add_explicit(seen, 1U, memory_order_relaxed) + 1U;
	va_list args;

	if (times > LOG_GUEST_LIMIT && (times & (times - 1U)) != 0)
		return;
	va_start(args, fmt);
	print(LOG_LEVEL_WARNING, times > LOG_GUEST_LIMIT ? times : 0, fmt, args);
	va_end(args);
}
