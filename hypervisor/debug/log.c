// SPDX-License-Identifier: BSD-3-Clause
/*
 * The log of a debug build: formats a line, puts time, CPU and severity before it, and hands it as
 * a whole to the sinks whose level takes it: the console, memory. Any CPU and context; takes no lock
 * itself. Until the console runs, and for fatal lines always, the line also goes out at once through
 * boot/report.c; a machine without a console shows the others on its screen until a guest runs.
 */
#include "asm/insn.h"
#include "hv/boot.h"
#include "hv/log.h"
#include "hv/log_sink.h"
#include "hv/pcpu.h"
#include "hv/shell.h"
#include "hv/timer.h"
#include "hv/unit.h"
#include "hv/vm.h"
#include "lib/errno.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "config.h"

#define LINE_MAX 320U

uint32_t log_levels[LOG_KINDS] = {
	[LOG_TO_CONSOLE] = CONFIG_CONSOLE_LOGLEVEL,
	[LOG_TO_MEM] = CONFIG_MEM_LOGLEVEL,
};

static struct log_sink *sinks;
static bool has_console;
static bool ready; /* processors are known and the TSC's rate is */

void log_sink_add(struct log_sink *s)
{
	s->next = sinks;
	sinks = s;
	has_console = has_console || s->kind == LOG_TO_CONSOLE;
}

/* From then on the screen is a guest's. */
static bool guests_run(void)
{
	for (uint16_t i = 0U; ready && vms != NULL && i < CONFIG_MAX_VM_NUM; i++) {
		if (vms[i].state == VM_RUNNING) {
			return true;
		}
	}
	return false;
}

static bool wanted(uint32_t level)
{
	bool any = level <= log_levels[LOG_TO_CONSOLE] || level == LOG_FATAL;

	for (const struct log_sink *s = sinks; s != NULL && !any; s = s->next) {
		any = level <= log_levels[s->kind];
	}
	return any;
}

void log_line(uint32_t level, const char *fmt, ...)
{
	char line[LINE_MAX];
	uint32_t cpu = ready ? this_pcpu()->id : 0U;
	uint64_t us = ready ? tsc_to_us(rdtsc()) : 0U;
	bool now = level == LOG_FATAL || !ready;
	va_list ap;
	size_t at;

	if (!wanted(level)) {
		return;
	}
	at = (size_t)snprintf(line, sizeof(line), "[%luus][cpu=%u][sev=%u]: ", us, cpu, level);
	va_start(ap, fmt);
	(void)vsnprintf(&line[at], sizeof(line) - at, fmt, ap);
	va_end(ap);
	for (const struct log_sink *s = sinks; s != NULL; s = s->next) {
		if (level <= log_levels[s->kind] && !(now && s->kind == LOG_TO_CONSOLE)) {
			s->write(level, line, (uint32_t)strlen(line));
		}
	}
	if (now || (!has_console && level <= log_levels[LOG_TO_CONSOLE] && !guests_run())) {
		report_puts(line);
		report_puts("\n");
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
		log_levels[LOG_TO_CONSOLE] = (uint32_t)level;
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

static int loglevel(uint32_t argc, char **argv)
{
	uint64_t level[LOG_KINDS];

	if (argc > 1U + LOG_KINDS) {
		return -EINVAL;
	}
	for (uint32_t i = 1U; i < argc; i++) {
		if (!shell_number(argv[i], LOG_DBG, &level[i - 1U])) {
			return -EINVAL;
		}
	}
	for (uint32_t i = 1U; i < argc; i++) {
		log_levels[i - 1U] = (uint32_t)level[i - 1U];
	}
	shell_print("console level: %u, memory level: %u, npk level: %u",
		    log_levels[LOG_TO_CONSOLE], log_levels[LOG_TO_MEM], log_levels[LOG_TO_NPK]);
	return 0;
}
SHELL_CMD("loglevel", "[console [mem [npk]]]", "show or set what is logged, 0 to 6", loglevel);
