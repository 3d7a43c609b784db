// SPDX-License-Identifier: BSD-3-Clause
/* Is a line a line, and can a guest fill the log? */
// links: devicemodel/core/log.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <sys/mman.h>

#include "log.h"

static char text[8192];

/* What @write_lines puts on stderr goes to text[]; returns how many lines. */
static unsigned int capture(void (*write_lines)(void))
{
	int file = memfd_create("log", MFD_CLOEXEC), saved = dup(STDERR_FILENO);
	unsigned int lines = 0;
	ssize_t n;

	dup2(file, STDERR_FILENO);
	write_lines();
	dup2(saved, STDERR_FILENO);
	close(saved);
	n = pread(file, text, sizeof(text) - 1, 0);
	close(file);
	assert_true(n >= 0);
	text[n] = '\0';
	for (const char *c = text; *c != '\0'; c++)
		lines += *c == '\n';
	return lines;
}

static void complain(const char *who)
{
	log_guest("%s did it again", who);
}

static void many(void)
{
	for (unsigned int i = 0; i < 100000; i++)
		complain("the first");
	complain("another");
}

static void few(void)
{
	for (unsigned int i = 0; i < 8; i++)
		log_guest("for the first time");
}

/* What if a guest misbehaves a hundred thousand times at one place, and then at another? */
static void test_flood(void **state)
{
	(void)state;
	/* 8 lines, then the 16th to the 65,536th; the place has had its share. */
	assert_int_equal(capture(many), 8 + 13);
	assert_non_null(strstr(text, "acrn-dm: warning: the first did it again\n"));
	assert_non_null(strstr(text, "warning: 65536 times by now: the first did it again\n"));
	assert_null(strstr(text, "another"));
	assert_int_equal(capture(few), 8);
	assert_null(strstr(text, "times"));
}

static void long_lines(void)
{
	char word[2000];

	memset(word, 'x', sizeof(word));
	word[sizeof(word) - 1] = '\0';
	log_err("%s", word);
	log_set_raw(true);
	log_err("%s", word);
	log_set_raw(false);
	log_info("not at this level");
}

/* What if a line is longer than a line may be? It is cut and still ends. */
static void test_long(void **state)
{
	(void)state;
	assert_int_equal(capture(long_lines), 2);
	assert_in_range(strcspn(text, "\n"), 400, 511);
	assert_string_equal(text + strlen(text) - 3, "x\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
