/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_LOG_SINK_H
#define HV_LOG_SINK_H

#include "lib/types.h"

/*
 * Where lines go in a debug build (debug/log.c). Each kind of sink has a level, which the shell's
 * loglevel changes: a line goes there if the level is not below the line's. LOG_FATAL lines always
 * reach the console. write() gets whole lines without their end, on any CPU in any context, several
 * CPUs at once; it must not log, block, or wait for a lock that a logging CPU may hold.
 */
#define LOG_TO_CONSOLE 0U
#define LOG_TO_MEM     1U
#define LOG_TO_NPK     2U
#define LOG_KINDS      3U

struct log_sink {
	uint32_t kind; /* LOG_TO_x */
	void (*write)(uint32_t level, const char *line, uint32_t len);
	struct log_sink *next; /* log.c's */
};

extern uint32_t log_levels[LOG_KINDS];

/* At boot, from a unit: lines up to the level of s->kind go there from now on. */
void log_sink_add(struct log_sink *s);

#endif
