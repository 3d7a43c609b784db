// SPDX-License-Identifier: BSD-3-Clause
/*
 * Huge pages for guest memory on a system whose administrator reserved none: while a loan lasts,
 * the kernel may make that many more of them on demand. They go back to ordinary memory when
 * their mapping does, and the loan ends, even if this program is killed.
 */
#ifndef DM_HUGEPAGE_H
#define DM_HUGEPAGE_H

#include <stdint.h>

#define HUGEPAGE_LIMIT "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages"

/*
 * Call fn(arg), as helper_run() does, with the limit in the file raised by that many pages; what it
 * returns. Other programs that do the same wait. Pages that it maps stay, used or not. Without the
 * right to raise the limit, or such a file, it is called all the same.
 */
int hugepage_borrow(const char *limit, uint64_t pages, int (*fn)(void *arg), void *arg);

#endif
