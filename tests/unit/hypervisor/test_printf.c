// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does our vsnprintf() write what the C library's writes, for every conversion we have, and never
 * past the buffer?
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Included under other names: under their own they would replace the C library's. */
#define snprintf  hv_snprintf
#define vsnprintf hv_vsnprintf
#include "../../../hypervisor/lib/printf.c"
#undef snprintf
#undef vsnprintf

#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
#pragma GCC diagnostic ignored "-Wformat-truncation"
#pragma GCC diagnostic ignored "-Wformat-overflow"

/* Same text and same length, for each size of the buffer from 0 to more than enough. */
#define SAME(...)                                                                                  \
	do {                                                                                       \
		char want_[200], got_[200], ends_[200];                                            \
		int len_ = snprintf(want_, sizeof(want_), __VA_ARGS__);                            \
		assert_int_equal(hv_snprintf(got_, sizeof(got_), __VA_ARGS__), len_);              \
		assert_string_equal(got_, want_);                                                  \
		for (size_t size_ = 0; size_ < (size_t)len_ + 3; size_++) {                        \
			memset(got_, '#', sizeof(got_));                                           \
			memset(ends_, '#', sizeof(ends_));                                         \
			(void)snprintf(ends_, size_, __VA_ARGS__);                                 \
			assert_int_equal(hv_snprintf(got_, size_, __VA_ARGS__), len_);             \
			assert_memory_equal(got_, ends_, sizeof(got_));                            \
		}                                                                                  \
	} while (0)

/* What do numbers look like: each conversion, flag, width and length, at the ends of its range? */
static void test_numbers(void **state)
{
	static const char *const forms[] = {"%d", "%i", "%u", "%x", "%X", "%5d", "%05d", "%-5d|",
					    "%1u", "%08x", "%-8X|", "%020u", "%20d", "%-08d|"};
	static const char *const long_forms[] = {"%ld", "%lu", "%lx", "%lX", "%lld", "%llu", "%llx",
						 "%zu", "%zx", "%016lx", "%-24ld|", "%24lu", "%03lld"};
	static const int values[] = {0, 1, -1, 42, -42, 99999, 123456, -123456, INT32_MAX, INT32_MIN};
	static const int64_t long_values[] = {0, 1, -1, 1L << 32, -(1L << 32), INT64_MAX, INT64_MIN};

	(void)state;
	for (size_t f = 0; f < ARRAY_SIZE(forms); f++) {
		for (size_t v = 0; v < ARRAY_SIZE(values); v++)
			SAME(forms[f], values[v]);
	}
	for (size_t f = 0; f < ARRAY_SIZE(long_forms); f++) {
		for (size_t v = 0; v < ARRAY_SIZE(long_values); v++)
			SAME(long_forms[f], long_values[v]);
	}
}

/* What do strings, characters and pointers look like? */
static void test_texts(void **state)
{
	static const char *const forms[] = {"%s", "%10s|", "%-10s|", "%.3s", "%.0s|", "%.20s", "%8.2s|",
					    "%-8.2s|", "%2s"};
	static const char *const texts[] = {"", "a", "hello", "hello, world"};
	const char *volatile nothing = NULL;

	(void)state;
	for (size_t f = 0; f < ARRAY_SIZE(forms); f++) {
		for (size_t t = 0; t < ARRAY_SIZE(texts); t++)
			SAME(forms[f], texts[t]);
	}
	SAME("%c%c%c", 'a', '%', 'z');
	SAME("%3c|%-3c|", 'a', 'b');
	SAME("%s", nothing);
	SAME("%p", (void *)0x123456789ABC);
	SAME("%20p|%-20p|", (void *)1, (void *)UINTPTR_MAX);
	SAME("%*d|%-*d|%.*s|%*.*s", 6, 42, 6, 42, 2, "abc", 5, 1, "xyz");
	SAME("%*d|", -6, 42);
	SAME("%.*s|", -1, "abc");
}

/* What surrounds the conversions? */
static void test_mixed(void **state)
{
	(void)state;
	SAME("plain");
	SAME("100%%");
	SAME("%%%d%%", 5);
	SAME("VM %u (%s): exit 0x%x at 0x%lx, %d%%", 3U, "post", 0x80000021U, 0xFFFFFFFF81000000UL, -7);
	SAME("%d %ld %d %s %d %lu %x %c %d", 1, 2L, 3, "four", 5, 6UL, 7, '8', 9);
}

/* %.4s of a field that has no NUL behind it: are four characters read, and no more? */
static void test_precision_bounds(void **state)
{
	char *four = malloc(4), got[16];

	(void)state;
	memcpy(four, "APIC", 4);
	assert_int_equal(hv_snprintf(got, sizeof(got), "%.4s!", four), 5);
	assert_string_equal(got, "APIC!");
	free(four);
}

/* What if a conversion is unknown, or the format ends in one? It can be seen, and nothing breaks. */
static void test_unknown(void **state)
{
	char got[64];

	(void)state;
	assert_int_equal(hv_snprintf(got, sizeof(got), "a%yb"), 4);
	assert_string_equal(got, "a%yb");
	assert_int_equal(hv_snprintf(got, sizeof(got), "%f|%d", 7), 4);
	assert_string_equal(got, "%f|7");
	assert_int_equal(hv_snprintf(got, sizeof(got), "end%"), 3);
	assert_string_equal(got, "end");
	assert_int_equal(hv_snprintf(got, sizeof(got), "end%-5l"), 3);
	assert_string_equal(got, "end");
	assert_int_equal(hv_snprintf(NULL, 0, "%s %d", "count me", 12345), 14);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_mixed),
		cmocka_unit_test(test_precision_bounds),
		cmocka_unit_test(test_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
