// SPDX-License-Identifier: BSD-3-Clause
/*
 * Huge pages for guest memory on a system whose administrator reserved none: while a loan lasts,
 * the kernel may make that many more of them on demand. They go back to ordinary memory when
 * their mapping does, and the loan ends, even if this program is killed.
 */
#ifndef DM_HUGEPAGE_H
#define DM_HUGEPAGE_H

#include <stdint.h>
#include <sys/types.h>

#define HUGEPAGE_LIMIT "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages"

struct hugepage_loan {
	int fd; /* -1: no loan */
	int end; /* of the pipe that tells the keeper when the loan is over */
	pid_t keeper;
	unsigned long old;
};

/*
 * Raise the limit in the file by that many pages; other programs that do the same wait for
 * hugepage_return(). Without the right to do so, or such a file, nothing changes.
 */
void hugepage_borrow(struct hugepage_loan *loan, const char *limit, uint64_t pages);

/* Restore the limit. Pages that are mapped by now stay. */
void hugepage_return(struct hugepage_loan *loan);

#endif
