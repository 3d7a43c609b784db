// SPDX-License-Identifier: BSD-3-Clause
/*
 * String and memory functions of the freestanding build. The compiler calls memcpy, memset,
 * memmove and memcmp by itself; the rest serves boot parsing. Called by everybody, takes no lock,
 * never allocates. Block moves use the string instructions: eight bytes an iteration count as one
 * instruction where a byte loop would count several.
 */
#include "lib/string.h"
#include "lib/errno.h"

void *memcpy(void *dst, const void *src, size_t n)
{
	void *d = dst;
	size_t words = n / 8U, rest = n % 8U;

	__asm__ volatile("rep movsq; mov %3, %0; rep movsb"
			 : "+&c"(words), "+&D"(d), "+&S"(src)
			 : "r"(rest)
			 : "memory");
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	const uint8_t *s = (const uint8_t *)src + n;
	uint8_t *d = (uint8_t *)dst + n;

	if ((uintptr_t)dst - (uintptr_t)src >= n) {
		return memcpy(dst, src, n);
	}
	while (n-- != 0U) {
		*--d = *--s;
	}
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	void *d = dst;
	uint64_t pattern = (uint8_t)c * 0x0101010101010101UL;
	size_t words = n / 8U, rest = n % 8U;

	__asm__ volatile("rep stosq; mov %2, %0; rep stosb"
			 : "+&c"(words), "+&D"(d)
			 : "r"(rest), "a"(pattern)
			 : "memory");
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (; n != 0U; n--, x++, y++) {
		if (*x != *y) {
			return (int)*x - (int)*y;
		}
	}
	return 0;
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0U;

	while (n < max && s[n] != '\0') {
		n++;
	}
	return n;
}

size_t strlen(const char *s)
{
	return strnlen(s, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n != 0U; n--, a++, b++) {
		if (*a != *b || *a == '\0') {
			return (int)(uint8_t)*a - (int)(uint8_t)*b;
		}
	}
	return 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c) {
			return (char *)(uintptr_t)s;
		}
		if (*s == '\0') {
			return NULL;
		}
	}
}

long string_copy(char *dst, const char *src, size_t size)
{
	size_t n = strnlen(src, size);

	if (n == size) {
		(void)memcpy(dst, src, size - 1U);
		dst[size - 1U] = '\0';
		return -E2BIG;
	}
	(void)memcpy(dst, src, n + 1U);
	return (long)n;
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	c = (char)(c | 0x20);
	return (c >= 'a' && c <= 'f') ? c - 'a' + 10 : 16;
}

int string_to_u64(const char *s, const char **end, uint64_t *val)
{
	int base = (s[0] == '0' && (s[1] | 0x20) == 'x') ? 16 : 10;
	const char *p = (base == 16) ? s + 2 : s;
	const char *first = p;
	uint64_t v = 0U;

	for (; digit_value(*p) < base; p++) {
		if (__builtin_mul_overflow(v, (uint64_t)base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)digit_value(*p), &v)) {
			return -EINVAL;
		}
	}
	if (p == first) {
		return -EINVAL;
	}
	*val = v;
	if (end != NULL) {
		*end = p;
	}
	return 0;
}
