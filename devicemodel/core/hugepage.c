// SPDX-License-Identifier: BSD-3-Clause
/*
 * The kernel's limit of huge pages made on demand ("overcommit"), raised while gmem.c maps guest
 * memory. A fault of 2 MB costs the system little more than one of 4 KB, and a VM of 128 MB has
 * 64 instead of 32,768 of them. The file's lock orders programs that do this at once. A process of
 * our own lowers the limit again, so that it is lowered also when we are killed.
 */
#include "hugepage.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"

static bool write_limit(int fd, unsigned long pages)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%lu\n", pages);

	return pwrite(fd, text, (size_t)len, 0) == len;
}

/* The keeper: waits until nobody has the other end of the pipe, then restores the limit. */
static _Noreturn void keep(const struct hugepage_loan *loan, int end)
{
	char none;

	(void)setsid(); /* what ends our process group must not end it */
	close(loan->end);
	(void)!read(end, &none, 1);
	_exit(write_limit(loan->fd, loan->old) ? 0 : 1);
}

static bool start_keeper(struct hugepage_loan *loan)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	loan->end = ends[1];
	loan->keeper = fork();
	if (loan->keeper == 0)
		keep(loan, ends[0]);
	close(ends[0]);
	if (loan->keeper < 0)
		close(loan->end);
	return loan->keeper > 0;
}

void hugepage_borrow(struct hugepage_loan *loan, const char *limit, uint64_t pages)
{
	char text[24] = "";

	loan->fd = open(limit, O_RDWR | O_CLOEXEC);
	if (loan->fd < 0)
		return;
	if (flock(loan->fd, LOCK_EX) == 0 && pread(loan->fd, text, sizeof(text) - 1, 0) > 0) {
		loan->old = strtoul(text, NULL, 10);
		if (write_limit(loan->fd, loan->old) && start_keeper(loan)) {
			(void)write_limit(loan->fd, loan->old + pages);
			return;
		}
	}
	log_info("no huge pages can be made: guest memory is in small ones");
	close(loan->fd);
	loan->fd = -1;
}

void hugepage_return(struct hugepage_loan *loan)
{
	int status;

	if (loan->fd < 0)
		return;
	close(loan->end);
	if (waitpid(loan->keeper, &status, 0) != loan->keeper || status != 0)
		log_warn("the limit of huge pages stays raised");
	close(loan->fd);
	loan->fd = -1;
}
