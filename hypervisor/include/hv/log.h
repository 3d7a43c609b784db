/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_LOG_H
#define HV_LOG_H

#include "lib/types.h"

/* ACRN's levels. */
#define LOG_FATAL 1U
#define LOG_ACRN  2U
#define LOG_ERR	  3U
#define LOG_WARN  4U
#define LOG_INFO  5U
#define LOG_DBG	  6U

/*
 * One line of the log; a newline is added. Any CPU, any context, no lock needed. In a release
 * build only LOG_FATAL lines come out (debug/none.c).
 */
void log_line(uint32_t level, const char *fmt, ...) __printf_fmt(2, 3);

#define pr_fatal(...) log_line(LOG_FATAL, __VA_ARGS__)
#define pr_acrn(...)  log_line(LOG_ACRN, __VA_ARGS__)
#define pr_err(...)   log_line(LOG_ERR, __VA_ARGS__)
#define pr_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define pr_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define pr_dbg(...)   log_line(LOG_DBG, __VA_ARGS__)

/* The hypervisor's own invariant is broken: say which, stop this CPU and the others. */
void panic(const char *fmt, ...) __printf_fmt(1, 2) __noreturn;

/* Set by a debug build: more to say, after the line and when the other CPUs have been stopped. */
extern void (*panic_details)(void);

/* Another CPU panics and this one is to stop: asked by the NMI handler. */
bool panic_in_progress(void);

#define ASSERT(cond)                                                                               \
	do {                                                                                       \
		if (unlikely(!(cond)))                                                             \
			panic("%s:%d: %s", __FILE__, __LINE__, #cond);                             \
	} while (0)

#endif
