// SPDX-License-Identifier: BSD-3-Clause
/*
 * Runs a command again and again and ends it at random moments: kills it, stops it for a while, or
 * stops and then kills it; every second time it waits for what the command leaves behind. Prints
 * what happened when all is over: the hypervisor's log would cut its lines; but at once what the
 * command said if it failed. Runs as root in the Service VM, linked statically.
 *
 *   killer SEED COUNT LOG COMMAND [ARGUMENT]...
 *
 * Half of the moments are in the first third of its life. They are exact to some instructions: the
 * killer spins for the last millisecond, so there must be a processor for it.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define MAX_ROUNDS 200

enum action { KILL, STOP, STOP_AND_KILL };
static const char *const names[] = {"killed", "stopped", "stopped and killed"};

static struct round {
	enum action action;
	uint64_t at; /* ticks since its start */
	int status;
	unsigned long free_kb;
} rounds[MAX_ROUNDS];

static uint64_t ticks_per_ms;

static void calibrate(void)
{
	const struct timespec pause = {.tv_nsec = 20000000};
	struct timespec a, b;
	uint64_t start = __rdtsc(), ns;

	clock_gettime(CLOCK_MONOTONIC, &a);
	nanosleep(&pause, NULL);
	clock_gettime(CLOCK_MONOTONIC, &b);
	ns = (uint64_t)(b.tv_sec - a.tv_sec) * 1000000000U + (uint64_t)b.tv_nsec - (uint64_t)a.tv_nsec;
	ticks_per_ms = (__rdtsc() - start) * 1000000U / ns;
}

static void wait_until(uint64_t tsc)
{
	uint64_t now = __rdtsc(), ms = now < tsc ? (tsc - now) / ticks_per_ms : 0;
	struct timespec pause = {.tv_sec = (time_t)((ms - 1) / 1000),
				 .tv_nsec = (long)((ms - 1) % 1000 * 1000000)};

	if (ms > 1)
		nanosleep(&pause, NULL);
	while (__rdtsc() < tsc)
		;
}

/* Memory that is free once what the kernel caches is given back. */
static unsigned long free_kb(void)
{
	char line[128];
	unsigned long kb = 0;
	FILE *f = fopen("/proc/meminfo", "r");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "MemFree: %lu", &kb) == 1)
			break;
	}
	if (f)
		fclose(f);
	return kb;
}

static pid_t start(const char *log, char **command)
{
	pid_t child = fork();

	if (child == 0) {
		int out = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0644), in = open("/dev/null", O_RDONLY);

		dup2(in, 0);
		dup2(out, 1);
		dup2(out, 2);
		execvp(command[0], command);
		_exit(127);
	}
	return child;
}

static int status_of(pid_t child)
{
	int status;

	waitpid(child, &status, 0);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Why it failed. */
static void show_log(const char *log)
{
	char line[256];
	FILE *f = fopen(log, "r");

	while (f && fgets(line, sizeof(line), f))
		printf("killer: failed: %s", line);
	if (f)
		fclose(f);
}

/* What the command started ends too, as our child. */
static void wait_for_all(void)
{
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static void one(struct round *r, const char *log, char **command, bool wait)
{
	uint64_t begin = __rdtsc();
	pid_t child = start(log, command);

	wait_until(begin + r->at);
	if (r->action != KILL) {
		kill(child, SIGSTOP);
		wait_until(__rdtsc() + 5 * ticks_per_ms);
	}
	kill(child, r->action == STOP ? SIGCONT : SIGKILL);
	r->status = status_of(child);
	if (r->status && r->status != 128 + SIGKILL)
		show_log(log);
	if (wait)
		wait_for_all();
	r->free_kb = free_kb();
}

int main(int argc, char **argv)
{
	int count = argc > 4 ? atoi(argv[2]) : 0, first, last;
	uint64_t begin, whole;

	if (count < 1 || count > MAX_ROUNDS)
		return 2;
	srandom((unsigned int)atoi(argv[1]));
	calibrate();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	first = status_of(start(argv[3], &argv[4]));
	begin = __rdtsc();
	first |= status_of(start(argv[3], &argv[4]));
	whole = __rdtsc() - begin;
	for (int i = 0; i < count; i++) {
		rounds[i].action = i % 5 == 3 ? STOP : i % 5 == 4 ? STOP_AND_KILL : KILL;
		rounds[i].at = (uint64_t)random() % (i % 2 ? whole : whole / 3);
		one(&rounds[i], argv[3], &argv[4], i % 2 == 0);
	}
	begin = __rdtsc();
	last = status_of(start(argv[3], &argv[4]));
	wait_for_all();
	sleep(1);
	printf("killer: first %d, %lu thousand ticks; last %d, %lu thousand\n", first, whole / 1000,
	       last, (unsigned long)((__rdtsc() - begin) / 1000));
	for (int i = 0; i < count; i++)
		printf("killer: %s at %lu thousand ticks: status %d, %lu kB free\n",
		       names[rounds[i].action], rounds[i].at / 1000, rounds[i].status,
		       rounds[i].free_kb);
	printf("killer: done\n");
	return 0;
}
