// SPDX-License-Identifier: BSD-3-Clause
/*
 * Is the system's limit of huge pages as it was when guest memory has been mapped, whoever else
 * changes it in the meantime and whatever the file is like?
 */
// links: devicemodel/core/hugepage.c devicemodel/core/helper.c devicemodel/core/log.c
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "hugepage.h"

static char path[] = "/tmp/limit-XXXXXX";

static void write_file(const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static unsigned long read_file(void)
{
	unsigned long value = 99999;
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%lu", &value), 1);
	fclose(file);
	return value;
}

/* What the limit is meanwhile, for the caller; fails as asked. */
struct look {
	unsigned long limit;
	pid_t caller;
	int result;
};

static int look(void *arg)
{
	struct look *look = arg;

	look->limit = read_file();
	look->caller = getppid();
	return look->result;
}

/* Is the limit raised by what is asked for, by another process, and restored? Also after an error? */
static void test_loan(void **state)
{
	struct look seen = {0};

	(void)state;
	write_file("16\n");
	assert_int_equal(hugepage_borrow(path, 64, look, &seen), 0);
	assert_int_equal(seen.limit, 80);
	assert_int_equal(seen.caller, getpid());
	assert_int_equal(read_file(), 16);
	seen.result = -ENOMEM;
	assert_int_equal(hugepage_borrow(path, 5, look, &seen), -ENOMEM);
	assert_int_equal(seen.limit, 21);
	assert_int_equal(read_file(), 16);
}

static int wait_a_bit(void *arg)
{
	int *started = arg;

	if (write(started[1], "x", 1) != 1)
		return -EIO;
	usleep(20000);
	return read_file() == 80 ? 0 : -EBUSY;
}

/* What if two VMs start at once: does the second wait for the first? */
static void test_two(void **state)
{
	struct look seen = {0};
	int started[2], status;
	char byte;
	pid_t child;

	(void)state;
	write_file("16\n");
	assert_int_equal(pipe(started), 0);
	child = fork();
	if (child == 0)
		_exit(hugepage_borrow(path, 64, wait_a_bit, started) != 0);
	assert_int_equal(read(started[0], &byte, 1), 1);
	assert_int_equal(hugepage_borrow(path, 5, look, &seen), 0);
	assert_int_equal(seen.limit, 21);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(read_file(), 16);
}

static int kill_caller(void *arg)
{
	(void)arg;
	return kill(getppid(), SIGKILL) == 0 && read_file() == 80 ? 0 : -EBUSY;
}

/* What if the borrower is killed? */
static void test_killed(void **state)
{
	struct look seen = {0};
	pid_t child;
	int status;

	(void)state;
	write_file("16\n");
	child = fork();
	if (child == 0)
		_exit(hugepage_borrow(path, 64, kill_caller, NULL) != 0);
	waitpid(child, &status, 0);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(hugepage_borrow(path, 5, look, &seen), 0); /* after the dead one's */
	assert_int_equal(seen.limit, 21);
	assert_int_equal(read_file(), 16);
}

static int refuse(void *arg)
{
	(void)arg;
	return -ESRCH;
}

/* What if there is no such file, or it is empty? */
static void test_absent(void **state)
{
	(void)state;
	write_file("");
	assert_int_equal(hugepage_borrow("/nonexistent", 64, refuse, NULL), -ESRCH);
	assert_int_equal(hugepage_borrow(path, 64, refuse, NULL), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loan),
		cmocka_unit_test(test_two),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_absent),
	};
	int failed;

	close(mkstemp(path));
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
