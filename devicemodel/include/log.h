// SPDX-License-Identifier: BSD-3-Clause
/*
 * Lines for the user, on stderr. One call is one line; the text carries no
 * newline. Nothing on a path that a guest drives logs without a limit: use
 * log_guest() there.
 */
#ifndef DM_LOG_H
#define DM_LOG_H

#include <stdatomic.h>
#include <stdbool.h>

enum log_level {
	LOG_LEVEL_ERROR = 1,
	LOG_LEVEL_WARNING = 2,
	LOG_LEVEL_NOTICE = 3,
	LOG_LEVEL_INFO = 4
};

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Lines above this level are dropped; default LOG_LEVEL_NOTICE. */
void log_set_level(enum log_level level);

/* Lines up to this level go to /dev/kmsg too, which says why not by its errno, negative. */
int log_set_kmsg(enum log_level level);

/* The terminal is in raw mode: end lines with CR LF. */
void log_set_raw(bool raw);

#define log_err(...)	log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)	log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)	log_line(LOG_LEVEL_INFO, __VA_ARGS__)

/*
 * A guest did something wrong. Each place reports its first eight times, then the 16th, the 32nd
 * and so on: a guest can neither fill a disk with lines nor hide behind a limit long reached.
 */
#define LOG_GUEST_LIMIT 8U
#define log_guest(...)                                                                             \
	do {                                                                                       \
		static atomic_uint log_guest_seen;                                                 \
		log_guest_line(&log_guest_seen, __VA_ARGS__);                                      \
	} while (0)
void log_guest_line(atomic_uint *seen, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
