// SPDX-License-Identifier: BSD-3-Clause
/*
 * Subcommands that need acrnd: a VM that is started belongs to a process that outlives acrnctl and
 * the terminal it was called from.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "acrnctl.h"
#include "mngr.h"

#define ANSWER_MS     10000
#define START_SECONDS 60
#define POLL_NS	      100000000L

static enum status find_daemon(struct mngr_peer *daemon)
{
	int err = mngr_find(MNGR_DAEMON, daemon);

	if (err == -ESRCH)
		return fail(STATUS_NO_DAEMON, "acrnd does not run; start it, as root");
	if (err == -EACCES)
		return fail(STATUS_FORBIDDEN, "%s: no permission; root may",
			    mngr_path(MNGR_SOCKETS));
	return err ? fail(STATUS_FAILED, "%s: %s", mngr_path(MNGR_SOCKETS), strerror(-err))
		   : STATUS_OK;
}

static enum status find_script(const char *name)
{
	char path[PATH_MAX];

	if (mngr_script(name, path) && access(path, F_OK) == 0)
		return STATUS_OK;
	return fail(STATUS_NO_VM, "there is no VM \"%s\" that was added; acrnctl add does that",
		    name);
}

static enum status ask(const struct mngr_peer *daemon, const char *name, const char *command,
		       const char *arguments)
{
	int err;
	json_t *answer = mngr_ask(daemon, command, arguments, ANSWER_MS, &err);
	const char *why = json_string_value(json_object_get(answer, "error"));
	enum status status = STATUS_OK;

	if (!answer)
		status = fail(STATUS_FAILED, "no answer from acrnd (process %d): %s", daemon->pid,
			      strerror(-err));
	else if (json_integer_value(json_object_get(answer, "ack")) != 0)
		status = fail(STATUS_FAILED, "%s: %s", name, why ? why : "refused");
	json_decref(answer);
	return status;
}

/* Does its acrn-dm answer, so that all other commands will work? */
static bool answers(const char *name)
{
	struct mngr_peer vm;
	int err;
	json_t *answer;

	if (mngr_find(name, &vm) != 0)
		return false;
	answer = mngr_ask(&vm, "query", NULL, ANSWER_MS, &err);
	json_decref(answer);
	return answer != NULL;
}

/* Its script has ended, and not well: there will be no VM. */
static bool script_failed(const struct mngr_peer *daemon, const char *name, int *status)
{
	int err;
	json_t *answer = mngr_ask(daemon, "query", name, ANSWER_MS, &err);
	const char *state = json_string_value(json_object_get(answer, "state"));
	bool ended = state && strcmp(state, "ended") == 0;

	*status = (int)json_integer_value(json_object_get(answer, "status"));
	json_decref(answer);
	return ended && *status != 0;
}

static enum status wait_for(const struct mngr_peer *daemon, const char *name)
{
	const struct timespec interval = {.tv_nsec = POLL_NS};
	const char *logs = mngr_path(MNGR_LOGS);
	bool failed;
	int status;

	for (int i = 0; i < START_SECONDS * 10; i++) {
		if (answers(name))
			return STATUS_OK;
		failed = script_failed(daemon, name, &status);
		if (failed && WIFSIGNALED(status))
			return fail(STATUS_FAILED, "%s: its script was ended by signal %d", name,
				    WTERMSIG(status));
		if (failed)
			return fail(STATUS_FAILED,
				    "%s: its script ended with status %d; %s/%s.log may tell why",
				    name, WEXITSTATUS(status), logs, name);
		nanosleep(&interval, NULL);
	}
	return fail(STATUS_FAILED, "%s has not started in %d seconds; %s/%s.log may tell why", name,
		    START_SECONDS, logs, name);
}

enum status do_start(int argc, char **argv)
{
	struct mngr_peer daemon, vm;
	enum status status = find_script(argv[1]);

	(void)argc;
	if (status == STATUS_OK && mngr_find(argv[1], &vm) == 0)
		return fail(STATUS_STATE, "%s runs already", argv[1]);
	if (status == STATUS_OK)
		status = find_daemon(&daemon);
	if (status == STATUS_OK)
		status = ask(&daemon, argv[1], "start", argv[1]);
	return status == STATUS_OK ? wait_for(&daemon, argv[1]) : status;
}

enum status do_wake(int argc, char **argv)
{
	struct mngr_peer daemon;
	char text[64];
	enum status status;
	char *end;
	unsigned long seconds = strtoul(argv[2], &end, 10);

	(void)argc;
	if (argv[2][0] < '0' || argv[2][0] > '9' || *end != '\0' || seconds > INT_MAX)
		return fail(STATUS_USAGE, "%s: a number of seconds is needed", argv[2]);
	status = find_script(argv[1]);
	if (status == STATUS_OK)
		status = find_daemon(&daemon);
	if (status != STATUS_OK)
		return status;
	snprintf(text, sizeof(text), "%s,%lld", argv[1],
		 (long long)time(NULL) + (long long)seconds);
	return ask(&daemon, argv[1], "timer", text);
}
