/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log_line() and panic() for tests: the log's last line is kept for a test to look at, a panic is
 * a failed assertion that expect_assert_failure() of cmocka can expect.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "hv/log.h"
#include "fake_machine.h"

void log_line(uint32_t level, const char *fmt, ...)
{
	va_list ap;

	if (level > LOG_WARN)
		return;
	fake_log_lines++;
	va_start(ap, fmt);
	(void)vsnprintf(fake_log_last, sizeof(fake_log_last), fmt, ap);
	va_end(ap);
}

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(fake_log_last, sizeof(fake_log_last), fmt, ap);
	va_end(ap);
	mock_assert(0, fake_log_last, "panic", 0);
	abort();
}
