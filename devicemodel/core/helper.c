// SPDX-License-Identifier: BSD-3-Clause
/*
 * A process for what must not stay half done: it is in nobody's process group but its own, has
 * copies of our descriptors, and if we are killed it is the last that uses them and our memory.
 * Used while a VM is made; one at a time, no lock.
 */
#include "helper.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK_BYTES 16384

struct work {
	int (*fn)(void *arg);
	void *arg;
};

static int work(void *arg)
{
	const struct work *work = arg;

	(void)setsid(); /* no signal to our process group is meant for it */
	return -work->fn(work->arg);
}

int helper_run(int (*fn)(void *arg), void *arg)
{
	static _Alignas(16) uint8_t stack[STACK_BYTES];
	struct work what = {fn, arg};
	pid_t child = clone(work, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &what);
	int status;

	if (child < 0 || waitpid(child, &status, 0) != child)
		return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}
