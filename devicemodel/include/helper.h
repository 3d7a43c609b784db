// SPDX-License-Identifier: BSD-3-Clause
/*
 * Work that is finished even if this program is killed in the middle of it: a process of its own
 * does it, which shares our memory and so costs no more than a thread.
 */
#ifndef DM_HELPER_H
#define DM_HELPER_H

/*
 * Have fn(arg) called, and wait for it; what it returns (0 or a negative errno), or why there is no
 * helper. Main thread. fn makes system calls and takes no lock: who holds it may have been killed.
 * It takes no memory either: who runs out of it is killed together with all that share his.
 */
int helper_run(int (*fn)(void *arg), void *arg);

#endif
