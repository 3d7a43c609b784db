// SPDX-License-Identifier: BSD-3-Clause
/*
 * Is the system's limit of huge pages as it was when guest memory has been mapped, whoever else
 * changes it in the meantime and whatever the file is like?
 */
// links: devicemodel/core/hugepage.c devicemodel/core/log.c
#include <fcntl.h>
#include <pthread.h>
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

/* Is the limit raised by what is asked for, and restored? */
static void test_loan(void **state)
{
	struct hugepage_loan loan;

	(void)state;
	write_file("16\n");
	hugepage_borrow(&loan, path, 64);
	assert_int_equal(read_file(), 80);
	hugepage_return(&loan);
	assert_int_equal(read_file(), 16);
	hugepage_return(&loan); /* twice is once */
	assert_int_equal(read_file(), 16);
}

static void *borrow_too(void *arg)
{
	struct hugepage_loan loan;

	(void)arg;
	hugepage_borrow(&loan, path, 5);
	assert_int_equal(read_file(), 21);
	hugepage_return(&loan);
	return NULL;
}

/* What if two VMs start at once: does the second wait for the first? */
static void test_two(void **state)
{
	struct hugepage_loan loan;
	pthread_t other;

	(void)state;
	write_file("16\n");
	hugepage_borrow(&loan, path, 64);
	pthread_create(&other, NULL, borrow_too, NULL);
	usleep(20000);
	assert_int_equal(read_file(), 80);
	hugepage_return(&loan);
	pthread_join(other, NULL);
	assert_int_equal(read_file(), 16);
}

/* What if the borrower is killed? */
static void test_killed(void **state)
{
	struct hugepage_loan loan;
	pid_t child;
	int status;

	(void)state;
	write_file("16\n");
	child = fork();
	if (child == 0) {
		hugepage_borrow(&loan, path, 64);
		_exit(read_file() == 80 && kill(getpid(), SIGKILL) == 0);
	}
	waitpid(child, &status, 0);
	assert_true(WIFSIGNALED(status));
	hugepage_borrow(&loan, path, 5); /* after the dead one's */
	assert_int_equal(loan.old, 16);
	assert_int_equal(read_file(), 21);
	hugepage_return(&loan);
	assert_int_equal(read_file(), 16);
}

/* What if there is no such file, or it is empty? */
static void test_absent(void **state)
{
	struct hugepage_loan loan;

	(void)state;
	hugepage_borrow(&loan, "/nonexistent", 64);
	assert_int_equal(loan.fd, -1);
	hugepage_return(&loan);
	write_file("");
	hugepage_borrow(&loan, path, 64);
	assert_int_equal(loan.fd, -1);
	hugepage_return(&loan);
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
