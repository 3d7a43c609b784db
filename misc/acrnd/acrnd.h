// SPDX-License-Identifier: BSD-3-Clause
/* What the files of acrnd know of each other. All of it runs on one thread, in one event loop. */
#ifndef ACRND_H
#define ACRND_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct mevent_loop;

/* --- launch.c: scripts that run --- */

enum launch_state {
	LAUNCH_NEVER, /* or forgotten */
	LAUNCH_RUNS,
	LAUNCH_ENDED,
};

/*
 * Run the script of an added VM; if it runs already without a VM, that will do, or it is run again
 * when it has ended. 0, -ENOENT: not added, -EBUSY: the VM runs, or another negative errno. Every
 * outcome is logged.
 */
int launch(const char *name);

/* How the last launch() of it went; *status as of wait(2) for LAUNCH_ENDED. */
enum launch_state launch_find(const char *name, int *status);

/* Children have ended. */
void launch_reap(void);

/* Launch every VM that was added and does not run. */
void launch_all(void);

/* --- timers.c: VMs to be started later --- */

/* Nothing is started before the first timers_load(). Negative errno. */
int timers_create(struct mevent_loop *loop);
/* Read the list, which somebody may have written, and start what is due. */
void timers_load(void);
/* -EINVAL: not in the future; -ENOSPC: too many; -EIO: the list cannot be written. */
int timers_add(const char *name, time_t when);

#endif
