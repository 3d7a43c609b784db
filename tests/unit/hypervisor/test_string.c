// SPDX-License-Identifier: BSD-3-Clause
/*
 * Do our string functions, which the compiler also calls by itself, do what the C library's do, at
 * every length, alignment and overlap?
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Included under other names: under their own they would replace the C library's. */
#define memcpy	hv_memcpy
#define memmove hv_memmove
#define memset	hv_memset
#define memcmp	hv_memcmp
#define strlen	hv_strlen
#define strnlen hv_strnlen
#define strcmp	hv_strcmp
#define strncmp hv_strncmp
#define strchr	hv_strchr
#include "../../../hypervisor/lib/string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr

#define LEN 80U

static void fill(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 7 + 1);
}

/* What do copies of 0 to 40 bytes write, at all offsets and overlaps? And outside of them? */
static void test_moves(void **state)
{
	(void)state;
	for (size_t n = 0; n <= 40; n++) {
		for (size_t from = 0; from <= 40; from += (from < 10 ? 1 : 5)) {
			for (size_t to = 0; to <= 40; to += (to < 10 ? 1 : 5)) {
				uint8_t got[LEN], want[LEN], source[LEN];

				fill(got, LEN);
				fill(want, LEN);
				memmove(want + to, want + from, n);
				assert_ptr_equal(hv_memmove(got + to, got + from, n), got + to);
				assert_memory_equal(got, want, LEN);
				fill(source, LEN);
				memset(got, 0xEE, LEN);
				memset(want, 0xEE, LEN);
				memcpy(want + to, source + from, n);
				assert_ptr_equal(hv_memcpy(got + to, source + from, n), got + to);
				assert_memory_equal(got, want, LEN);
			}
		}
	}
}

/* What does memset write, for each length and a value with more than eight bits? */
static void test_memset(void **state)
{
	static const int values[] = {0, 1, 0x80, 0xFF, -1, 0x1234};

	(void)state;
	for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
		for (size_t n = 0; n <= 40; n++) {
			uint8_t got[LEN], want[LEN];

			fill(got, LEN);
			fill(want, LEN);
			memset(want + 3, values[v], n);
			assert_ptr_equal(hv_memset(got + 3, values[v], n), got + 3);
			assert_memory_equal(got, want, LEN);
		}
	}
}

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

/* Are all orders and lengths compared as the C library does, also beyond ASCII? */
static void test_comparisons(void **state)
{
	static const char *const texts[] = {"", "a", "b", "ab", "abc", "abd", "\x80", "\xFF", "a\xFF", "A"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(texts); k++) {
			assert_int_equal(sign(hv_strcmp(texts[i], texts[k])), sign(strcmp(texts[i], texts[k])));
			for (size_t n = 0; n < 5; n++)
				assert_int_equal(sign(hv_strncmp(texts[i], texts[k], n)),
						 sign(strncmp(texts[i], texts[k], n)));
		}
	}
	assert_int_equal(hv_memcmp("a\0b", "a\0b", 3), 0);
	assert_true(hv_memcmp("a\0b", "a\0c", 3) < 0);
	assert_true(hv_memcmp("\xFF", "\x01", 1) > 0);
	assert_int_equal(hv_memcmp("a", "b", 0), 0);
}

/* What is found, and where? */
static void test_searches(void **state)
{
	static const char *const in[] = {"", "a", "abcabc", "aaab", "xyz,abc"};
	static const char *const what[] = {"", "a", "b", "abc", "aab", "c", "bcd", "abcabcabc"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(in); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(what); k++) {
			assert_ptr_equal(hv_strchr(in[i], what[k][0]), strchr(in[i], what[k][0]));
		}
		assert_int_equal(hv_strlen(in[i]), strlen(in[i]));
		for (size_t n = 0; n < 9; n++)
			assert_int_equal(hv_strnlen(in[i], n), strnlen(in[i], n));
	}
}

/* What if the string fits exactly, by one not, or the room is one byte? */
static void test_string_copy(void **state)
{
	char dst[8];

	(void)state;
	memset(dst, '#', sizeof(dst));
	assert_int_equal(string_copy(dst, "abc", 4), 3);
	assert_memory_equal(dst, "abc\0####", 8);
	assert_int_equal(string_copy(dst, "abcd", 4), -E2BIG);
	assert_memory_equal(dst, "abc\0####", 8);
	assert_int_equal(string_copy(dst, "", 1), 0);
	assert_memory_equal(dst, "\0bc\0####", 8);
	assert_int_equal(string_copy(dst, "x", 1), -E2BIG);
	assert_memory_equal(dst, "\0bc\0####", 8);
}

/* What is a number, and where does it end? */
static void test_string_to_u64(void **state)
{
	static const struct {
		const char *text;
		int ret;
		uint64_t val;
		const char *end;
	} cases[] = {
		{"0", 0, 0, ""},
		{"42 ", 0, 42, " "},
		{"0x3F8,", 0, 0x3F8, ","},
		{"0Xff", 0, 0xFF, ""},
		{"007", 0, 7, ""},
		{"12ab", 0, 12, "ab"},
		{"18446744073709551615", 0, UINT64_MAX, ""},
		{"0xFFFFFFFFFFFFFFFF", 0, UINT64_MAX, ""},
		{"0x00000000000000000001", 0, 1, ""},
		{"18446744073709551616", -EINVAL, 0, NULL},
		{"0x10000000000000000", -EINVAL, 0, NULL},
		{"99999999999999999999999", -EINVAL, 0, NULL},
		{"", -EINVAL, 0, NULL},
		{"x", -EINVAL, 0, NULL},
		{"0x", -EINVAL, 0, NULL},
		{"0xg", -EINVAL, 0, NULL},
		{"-1", -EINVAL, 0, NULL},
		{" 1", -EINVAL, 0, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *end = "unset";
		uint64_t val = 77;

		assert_int_equal(string_to_u64(cases[i].text, &end, &val), cases[i].ret);
		assert_int_equal(val, cases[i].ret == 0 ? cases[i].val : 77);
		assert_string_equal(end, cases[i].ret == 0 ? cases[i].end : "unset");
		assert_int_equal(string_to_u64(cases[i].text, NULL, &val), cases[i].ret);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moves),	   cmocka_unit_test(test_memset),
		cmocka_unit_test(test_comparisons), cmocka_unit_test(test_searches),
		cmocka_unit_test(test_string_copy), cmocka_unit_test(test_string_to_u64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
