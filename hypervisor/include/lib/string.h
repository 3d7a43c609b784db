/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LIB_STRING_H
#define LIB_STRING_H

#include "lib/types.h"

void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);

/*
 * Copy a string into dst[size], always terminated.
 * Return its length, or -E2BIG when it did not fit and was cut.
 */
long string_copy(char *dst, const char *src, size_t size);

/*
 * Parse an unsigned number: decimal, or hexadecimal with 0x. *end, if not NULL, gets the first
 * character not used. Return 0, or -EINVAL when there is no digit or it overflows.
 */
int string_to_u64(const char *s, const char **end, uint64_t *val);

#endif
