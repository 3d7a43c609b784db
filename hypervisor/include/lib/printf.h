/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LIB_PRINTF_H
#define LIB_PRINTF_H

#include <stdarg.h>

#include "lib/types.h"

/*
 * The usual %d %i %u %x %X %p %s %c %%, with 0 and - flags, width, precision for %s, and the
 * l, ll, z lengths. Always terminates. Return the length without the cut, as C99 does.
 */
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap) __printf_fmt(3, 0);
int snprintf(char *buf, size_t size, const char *fmt, ...) __printf_fmt(3, 4);

#endif
