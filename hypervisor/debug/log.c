// SPDX-License-Identifier: BSD-3-Clause
/*
 * The log of a debug build: formats a line, puts time, CPU and severity before it, and hands it as
 * a whole to the console's queue. Any CPU and context; takes no lock itself. Until the console
 * runs, and for fatal lines always, the line goes out at once through boot/report.c.
 */
#include "asm/insn.h"
#include "hv/boot.h"
#include "hv/console.h"
#include "hv/log.h"
#include "hv/pcpu.h"
#include "hv/timer.h"
#include "hv/unit.h"
#include "hv/vuart.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "config.h"

#define LINE_MAX 320U

static uint32_t console_level = CONFIG_CONSOLE_LOGLEVEL;
static bool ready; /* processors are known and the TSC's rate is */

void log_line(uint32_t level, const char *fmt, ...)
{
	char line[LINE_MAX];
	uint32_t cpu = ready ? this_pcpu()->id : 0U;
	uint64_t us = ready ? tsc_to_us(rdtsc()) : 0U;
	va_list ap;
	size_t at;

	if (level > console_level && level != LOG_FATAL) {
		return;
	}
	at = (size_t)snprintf(line, sizeof(line), "[%luus][cpu=%u][sev=%u]: ", us, cpu, level);
	va_start(ap, fmt);
	(void)vsnprintf(&line[at], sizeof(line) - 2U - at, fmt, ap);
	va_end(ap);
	at = strlen(line);
	if (!ready || level == LOG_FATAL || vuart_console == NULL) {
		(void)memcpy(&line[at], "\n", 2U);
		report_puts(line);
	} else {
		(void)memcpy(&line[at], "\r\n", 2U);
		console_log(line, (uint32_t)at + 2U);
	}
}

/* `loglevel=N` on the hypervisor's command line: what reaches the console, 0 to 6. */
static int log_boot(void)
{
	char opt[8];
	uint64_t level;

	ready = true;
	if (!boot_option("loglevel", opt, sizeof(opt))) {
		return 0;
	}
	if (string_to_u64(opt, NULL, &level) == 0 && level <= LOG_DBG) {
		console_level = (uint32_t)level;
	} else {
		report("log: loglevel=%s is not understood; write 0 (nothing) to %u (everything)",
		       opt, LOG_DBG);
	}
	return 0;
}

UNIT(log) = {
	.name = "log",
	.level = UNIT_CORE + 1U,
	.boot = log_boot,
};
