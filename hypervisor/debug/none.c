// SPDX-License-Identifier: BSD-3-Clause
/*
 * What a release build links instead of the rest of debug/: fatal lines still come out, everything
 * else is silent. Takes no lock. The serial port belongs to the Service VM then: no vUART with the
 * console at its other end is created, and the port is the machine's own.
 */
#include "hv/boot.h"
#include "hv/log.h"
#include "lib/printf.h"

void log_line(uint32_t level, const char *fmt, ...)
{
	char line[256];
	va_list ap;

	if (level != LOG_FATAL) {
		return;
	}
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	report_puts(line);
	report_puts("\n");
}
