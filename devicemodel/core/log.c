// SPDX-License-Identifier: BSD-3-Clause
/*
 * Lines for the user on stderr. Each line is one write(), so lines of several
 * threads never mix, and no lock is taken. Called from anywhere but signal
 * handlers.
 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 512

static _Atomic(int) max_level = LOG_LEVEL_NOTICE;
static atomic_bool raw_terminal;

void log_set_level(enum log_level level)
{
	atomic_store(&max_level, (int)level);
}

void log_set_raw(bool raw)
{
	atomic_store(&raw_terminal, raw);
}

/* times: how often it was so, if that is worth a word. */
static void print(enum log_level level, unsigned int times, const char *fmt, va_list args)
{
	static const char *const prefix[] = {
		[LOG_LEVEL_ERROR] = "error: ",
		[LOG_LEVEL_WARNING] = "warning: ",
		[LOG_LEVEL_NOTICE] = "",
		[LOG_LEVEL_INFO] = "",
	};
	char line[LINE_MAX_BYTES];
	size_t len;
	int n;

	if ((int)level > atomic_load_explicit(&max_level, memory_order_relaxed))
		return;
	n = snprintf(line, sizeof(line), "acrn-dm: %s", prefix[level]);
	if (times != 0)
		n += snprintf(line + n, sizeof(line) - (size_t)n, "%u times by now: ", times);
	len = (size_t)n;
	n = vsnprintf(line + len, sizeof(line) - len - 2, fmt, args);
	if (n > 0) {
		size_t room = sizeof(line) - len - 3;

		len += (size_t)n < room ? (size_t)n : room;
	}
	if (atomic_load(&raw_terminal))
		line[len++] = '\r';
	line[len++] = '\n';
	/* Nobody is left to be told that the log itself cannot be written. */
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
