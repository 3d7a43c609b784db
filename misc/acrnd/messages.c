// SPDX-License-Identifier: BSD-3-Clause
/*
 * acrnd's messages: in place of the device model's log.c, as its files log through log_line(). One
 * line each on standard output, which is a file unless acrnd runs with -t.
 */
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "log.h"

void log_line(enum log_level level, const char *fmt, ...)
{
	const char *kind = level == LOG_LEVEL_ERROR	? "error: "
			   : level == LOG_LEVEL_WARNING ? "warning: "
							: "";
	time_t now = time(NULL);
	char text[512];
	char when[32];
	struct tm tm;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", localtime_r(&now, &tm));
	printf("%s acrnd: %s%s\n", when, kind, text);
	fflush(stdout);
}
