// SPDX-License-Identifier: BSD-3-Clause
/*
 * The kernel's limit of huge pages made on demand ("overcommit"), raised while gmem.c maps guest
 * memory: the kernel takes all pages of a mapping when it is made. A fault of 2 MB costs the system
 * little more than one of 4 KB, and a VM of 128 MB has 64 instead of 32,768 of them. The file's lock
 * orders programs that do this at once. A helper does it, so that the limit is lowered also when we
 * are killed. Main thread.
 */
#include "hugepage.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "helper.h"
#include "log.h"

struct loan {
	int fd;
	uint64_t pages;
	int (*fn)(void *arg);
	void *arg;
	bool raised, restored;
};

static bool write_limit(int fd, const char *text)
{
	const size_t len = strlen(text);

	return pwrite(fd, text, len, 0) == (ssize_t)len;
}

static int with_loan(void *arg)
{
	struct loan *loan = arg;
	char old[24] = "";
	char more[24];
	int err;

	if (flock(loan->fd, LOCK_EX) == 0 && pread(loan->fd, old, sizeof(old) - 1, 0) > 0) {
		snprintf(more, sizeof(more), "%llu\n", strtoull(old, NULL, 10) + loan->pages);
		loan->raised = write_limit(loan->fd, more);
	}
	err = loan->fn(loan->arg);
	loan->restored = loan->raised && write_limit(loan->fd, old);
	return err;
}

int hugepage_borrow(const char *limit, uint64_t pages, int (*fn)(void *arg), void *arg)
{
	struct loan loan = {.pages = pages, .fn = fn, .arg = arg};
	int err;

	loan.fd = open(limit, O_RDWR | O_CLOEXEC);
	if (loan.fd < 0)
		return fn(arg);
	err = helper_run(with_loan, &loan);
	if (!loan.raised)
		log_info("no huge pages can be made: guest memory is in small ones");
	else if (!loan.restored)
		log_warn("the limit of huge pages stays raised");
	close(loan.fd);
	return err;
}
