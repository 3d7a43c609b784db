// SPDX-License-Identifier: BSD-3-Clause
/*
 * Subcommands about VMs that run: each finds the VM's socket, asks its acrn-dm, and says what came
 * of it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "acrnctl.h"
#include "mngr.h"

#define ANSWER_MS     10000
#define STOP_SECONDS  60
#define FORCE_SECONDS 30
#define POLL_NS	      100000000L

/* Why a folder or a socket could not be used. */
static enum status fail_access(int err, const char *what)
{
	if (err == -EACCES || err == -EPERM)
		return fail(STATUS_FORBIDDEN, "%s: no permission; root may", what);
	return fail(STATUS_FAILED, "%s: %s", what, strerror(-err));
}

static bool added(const char *name)
{
	char path[PATH_MAX];

	return mngr_script(name, path) && access(path, F_OK) == 0;
}

static enum status find(const char *name, struct mngr_peer *vm)
{
	int err = strcmp(name, MNGR_DAEMON) == 0 ? -ESRCH : mngr_find(name, vm);

	if (err == -ESRCH && added(name))
		return fail(STATUS_STATE, "%s does not run", name);
	if (err == -ESRCH)
		return fail(STATUS_NO_VM, "there is no VM \"%s\"; acrnctl list shows them", name);
	return err ? fail_access(err, mngr_path(MNGR_SOCKETS)) : STATUS_OK;
}

static enum status ask(const struct mngr_peer *vm, const char *command, const char *arguments)
{
	int err;
	json_t *answer = mngr_ask(vm, command, arguments, ANSWER_MS, &err);
	const char *why = json_string_value(json_object_get(answer, "error"));
	enum status status = STATUS_OK;

	if (!answer && (err == -EACCES || err == -EPERM))
		status = fail_access(err, vm->name);
	else if (!answer)
		status = fail(STATUS_FAILED, "%s: no answer from its acrn-dm (process %d): %s",
			      vm->name, vm->pid, strerror(-err));
	else if (json_integer_value(json_object_get(answer, "ack")) != 0)
		status = fail(STATUS_FAILED, "%s: %s", vm->name, why ? why : "refused");
	json_decref(answer);
	return status;
}

/* The VM has to be in this state. */
static enum status require(const struct mngr_peer *vm, const char *wanted)
{
	int err;
	json_t *answer = mngr_ask(vm, "query", NULL, ANSWER_MS, &err);
	const char *state = json_string_value(json_object_get(answer, "state"));
	enum status status = STATUS_OK;

	/* Who does not answer this will not answer what follows, and is told of then. */
	if (state && strcmp(state, wanted) != 0)
		status = fail(STATUS_STATE, "%s is %s, not %s", vm->name, state, wanted);
	json_decref(answer);
	return status;
}

/* Wait until nobody listens any more. */
static bool wait_gone(const struct mngr_peer *vm, unsigned int seconds)
{
	const struct timespec interval = {.tv_nsec = POLL_NS};

	for (unsigned int i = 0; i < seconds * 10; i++) {
		if (!mngr_alive(vm))
			return true;
		nanosleep(&interval, NULL);
	}
	return false;
}

enum status do_stop(int argc, char **argv)
{
	bool force = strcmp(argv[1], "-f") == 0;
	const char *name = argv[force ? 2 : 1];
	struct mngr_peer vm = {0};
	enum status status;

	if (argc != (force ? 3 : 2))
		return fail(STATUS_USAGE, "the form is acrnctl stop [-f] NAME");
	status = find(name, &vm);
	if (status == STATUS_OK && !force)
		status = require(&vm, "started");
	if (status == STATUS_OK)
		status = ask(&vm, force ? "destroy" : "stop", NULL);
	if (status != STATUS_OK || wait_gone(&vm, force ? FORCE_SECONDS : STOP_SECONDS))
		return status;
	if (force)
		return fail(STATUS_FAILED, "%s: its acrn-dm (process %d) does not end", name,
			    vm.pid);
	return fail(STATUS_FAILED, "%s has not stopped in %d seconds; acrnctl stop -f %s ends it",
		    name, STOP_SECONDS, name);
}

/* @state is what the VM has to be in, or NULL. */
static enum status ask_by_name(const char *name, const char *state, const char *command,
			       const char *arguments)
{
	struct mngr_peer vm = {0};
	enum status status = find(name, &vm);

	if (status == STATUS_OK && state)
		status = require(&vm, state);
	return status == STATUS_OK ? ask(&vm, command, arguments) : status;
}

enum status do_reset(int argc, char **argv)
{
	(void)argc;
	return ask_by_name(argv[1], NULL, "reset", NULL);
}

enum status do_pause(int argc, char **argv)
{
	(void)argc;
	return ask_by_name(argv[1], "started", "pause", NULL);
}

enum status do_resume(int argc, char **argv)
{
	(void)argc;
	return ask_by_name(argv[1], "paused", "resume", NULL);
}

enum status do_blkrescan(int argc, char **argv)
{
	(void)argc;
	return ask_by_name(argv[1], NULL, "blkrescan", argv[2]);
}

/* --- list --- */

static void print_vm(const char *name, const char *state, const char *remark)
{
	printf("%-24s%s%s\n", name, state, remark);
}

static void print_running(const struct mngr_peer *vm)
{
	int err;
	json_t *answer = mngr_ask(vm, "query", NULL, ANSWER_MS, &err);
	const char *state = json_string_value(json_object_get(answer, "state"));

	print_vm(vm->name, state ? state : "no answer", added(vm->name) ? "" : ", untracked");
	json_decref(answer);
}

static bool runs(const char *name, const struct mngr_peer *vms, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(vms[i].name, name) == 0)
			return true;
	}
	return false;
}

enum status do_list(int argc, char **argv)
{
	char(*names)[MNGR_NAME_MAX + 1] = NULL;
	struct mngr_peer *vms;
	enum status status = STATUS_OK;
	size_t running, known = 0;
	int err = mngr_running(&vms, &running);

	(void)argc;
	(void)argv;
	if (err)
		status = fail_access(err, mngr_path(MNGR_SOCKETS));
	for (size_t i = 0; i < running; i++) {
		if (strcmp(vms[i].name, MNGR_DAEMON) != 0)
			print_running(&vms[i]);
	}
	err = mngr_added(&names, &known);
	if (err && status == STATUS_OK)
		status = fail_access(err, mngr_path(MNGR_SCRIPTS));
	for (size_t i = 0; i < known; i++) {
		if (!runs(names[i], vms, running))
			print_vm(names[i], "stopped", "");
	}
	free(names);
	free(vms);
	return status;
}
