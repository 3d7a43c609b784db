// SPDX-License-Identifier: BSD-3-Clause
/*
 * report() for tests of the boot files: the lines are kept for the test to look at. What does not
 * fit the buffer any more is counted all the same. The test of boot/report.c links that instead.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "hv/boot.h"
#include "fake_report.h"

char fake_report_text[16384];
uint32_t fake_report_lines;

void fake_report_reset(void)
{
	fake_report_text[0] = '\0';
	fake_report_lines = 0;
}

bool fake_reported(const char *part)
{
	return strstr(fake_report_text, part) != NULL;
}

void report(const char *fmt, ...)
{
	size_t used = strlen(fake_report_text);
	size_t room = sizeof(fake_report_text) - used;
	va_list ap;

	fake_report_lines++;
	va_start(ap, fmt);
	(void)vsnprintf(fake_report_text + used, room, fmt, ap);
	va_end(ap);
	if (strlen(fake_report_text) + 1 < sizeof(fake_report_text))
		strcat(fake_report_text, "\n");
}
