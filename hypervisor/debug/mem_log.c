// SPDX-License-Identifier: BSD-3-Clause
/*
 * What a debug build keeps in memory: the last 64 KB of the log, and the boot report with whatever
 * else boot/report.c printed, a panic included. A debugger or a dump of the memory finds both by
 * their names. Lines come from any CPU; a leaf lock for the ring, which a panic does not wait for
 * long. The report has one writer at a time, and what exceeds its room is left out. The rings that
 * the Service VM reads (rings.c) cannot serve instead: they are one a CPU, and may lead elsewhere.
 */
#include "hv/boot.h"
#include "hv/log.h"
#include "hv/log_sink.h"
#include "hv/mem_log.h"
#include "hv/mm.h"
#include "hv/shell.h"
#include "hv/unit.h"
#include "lib/errno.h"
#include "lib/spinlock.h"
#include "lib/string.h"

#define RING_SIZE   65536U
#define REPORT_SIZE 8192U
#define LINE_MAX    180U
#define LAST_LINES  6U /* of the log, after a panic */

static spinlock_t lock;
static char *mem_log; /* character n of all is at n % RING_SIZE; lines end by \n */
static uint64_t mem_log_end;

static char mem_report[REPORT_SIZE];
static uint32_t mem_report_len;

static void put(const char *s, uint32_t len)
{
	for (uint32_t i = 0U; i < len; i++) {
		mem_log[mem_log_end % RING_SIZE] = s[i];
		mem_log_end++;
	}
}

static void log_write(uint32_t level, const char *line, uint32_t len)
{
	bool locked = spin_lock_soon(&lock);

	(void)level;
	put(line, len);
	put("\n", 1U);
	if (locked) {
		spin_unlock(&lock);
	}
}

static void report_write(const char *s)
{
	for (; *s != '\0' && mem_report_len < REPORT_SIZE; s++) {
		mem_report[mem_report_len++] = *s;
	}
}
REPORT_SINK(report_write);

/* The shell's place in one of the two. */
static uint64_t place;

/* From text[place % size] on, below `end`: one line into buf, and place behind it. */
static void take_line(const char *text, uint32_t size, uint64_t end, char buf[LINE_MAX + 1U])
{
	uint32_t len = 0U;

	while (place < end && text[place % size] != '\n' && len < LINE_MAX) {
		buf[len++] = text[place++ % size];
	}
	buf[len] = '\0';
	if (place < end && text[place % size] == '\n') {
		place++;
	}
}

static bool log_row(uint32_t i)
{
	char buf[LINE_MAX + 1U];
	bool more;

	spin_lock(&lock);
	if (i == 0U) {
		place = 0U;
	}
	if (mem_log_end - place > RING_SIZE) { /* written over: the oldest whole line */
		place = mem_log_end - RING_SIZE;
		take_line(mem_log, RING_SIZE, mem_log_end, buf);
	}
	more = place < mem_log_end;
	take_line(mem_log, RING_SIZE, mem_log_end, buf);
	spin_unlock(&lock);
	if (more) {
		shell_print("%s", buf);
	}
	return more;
}

static int dump_log(uint32_t argc, char **argv)
{
	(void)argv;
	shell_rows(log_row);
	return (argc == 1U) ? 0 : -EINVAL;
}

static bool report_row(uint32_t i)
{
	char buf[LINE_MAX + 1U];

	if (i == 0U) {
		place = 0U;
	}
	if (place >= mem_report_len) {
		return false;
	}
	take_line(mem_report, REPORT_SIZE, mem_report_len, buf);
	shell_print("%s", buf);
	return true;
}

static int boot_report(uint32_t argc, char **argv)
{
	(void)argv;
	shell_rows(report_row);
	return (argc == 1U) ? 0 : -EINVAL;
}

void mem_log_report_end(void)
{
	uint64_t oldest = (mem_log_end > RING_SIZE) ? mem_log_end - RING_SIZE : 0U;
	uint32_t lines = 0U;
	char buf[LINE_MAX + 1U];

	for (place = mem_log_end; place > oldest && lines <= LAST_LINES; place--) {
		lines += (mem_log[(place - 1U) % RING_SIZE] == '\n') ? 1U : 0U;
	}
	place += (lines > LAST_LINES) ? 1U : 0U; /* behind the end of the line before */
	while (place < mem_log_end) {
		take_line(mem_log, RING_SIZE, mem_log_end, buf);
		report(" log: %s", buf);
	}
}

static int mem_log_boot(void)
{
	static struct log_sink log_sink = {.kind = LOG_TO_MEM, .write = log_write};

	mem_log = boot_alloc(RING_SIZE, 64U);
	log_sink_add(&log_sink);
	return 0;
}

UNIT(mem_log) = {
	.name = "log in memory",
	.level = UNIT_CORE - 1U,
	.boot = mem_log_boot,
};
SHELL_CMD("dump_log", "", "the log in memory", dump_log);
SHELL_CMD("boot_report", "", "what the boot printed", boot_report);
