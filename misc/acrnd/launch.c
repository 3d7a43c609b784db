// SPDX-License-Identifier: BSD-3-Clause
/*
 * Launch scripts of VMs, as children of acrnd. A script may become acrn-dm, wait for it, or leave
 * it in the background; so whether a VM runs is told by its socket, and a child's end only by what
 * the user is to hear of it. The VM does not depend on acrnd, and goes on without it.
 *
 * Between the two, a VM is on its way in or out. Who asks for it then gets it: by this script, or
 * by the next when this one ends soon.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "acrnd.h"
#include "log.h"
#include "mngr.h"

#define SCRIPTS_MAX   64U
#define AGAIN_SECONDS 30

static struct script {
	char name[MNGR_NAME_MAX + 1]; /* "": free */
	enum launch_state state;
	pid_t pid;
	int status;
	time_t again_until; /* launch it once more if it ends before that */
} scripts[SCRIPTS_MAX];

static struct script *find(const char *name)
{
	for (unsigned int i = 0; i < SCRIPTS_MAX; i++) {
		if (strcmp(scripts[i].name, name) == 0)
			return &scripts[i];
	}
	return NULL;
}

/* The VM's own place, a free one, or that of a script that has ended. */
static struct script *place_for(const char *name)
{
	struct script *script = find(name);

	if (!script)
		script = find("");
	for (unsigned int i = 0; !script && i < SCRIPTS_MAX; i++) {
		if (scripts[i].state == LAUNCH_ENDED)
			script = &scripts[i];
	}
	return script;
}

/* In the child: only what is safe between fork and exec. */
static void become(const char *path, int log_fd, int null_fd)
{
	char *const argv[] = {"sh", (char *)path, NULL};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setsid();
	/* A guest's console may be on stdout: without a limit, it does not belong in a file. */
	if (dup2(null_fd, STDIN_FILENO) < 0 || dup2(null_fd, STDOUT_FILENO) < 0 ||
	    dup2(log_fd, STDERR_FILENO) < 0 || chdir("/") < 0)
		_exit(126);
	(void)execl(path, path, (char *)NULL);
	if (errno == ENOEXEC) /* no #! line */
		(void)execv("/bin/sh", argv);
	dprintf(STDERR_FILENO, "%s: %s\n", path, strerror(errno));
	_exit(127);
}

static int run(struct script *script, const char *path)
{
	char log_path[PATH_MAX + 32];
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log_fd, err = 0;

	snprintf(log_path, sizeof(log_path), "%s/%s.log", mngr_path(MNGR_LOGS), script->name);
	log_fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (null_fd < 0 || log_fd < 0) {
		err = -errno;
		log_err("%s: %s", log_fd < 0 ? log_path : "/dev/null", strerror(errno));
	} else {
		script->pid = fork();
		if (script->pid == 0)
			become(path, log_fd, null_fd);
		if (script->pid < 0)
			err = -errno;
	}
	if (null_fd >= 0)
		close(null_fd);
	if (log_fd >= 0)
		close(log_fd);
	return err;
}

static time_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

int launch(const char *name)
{
	struct script *script = place_for(name);
	struct mngr_peer vm;
	char path[PATH_MAX];
	int err;

	if (!mngr_script(name, path) || access(path, F_OK) < 0) {
		log_warn("%s: nobody added this VM", name);
		return -ENOENT;
	}
	if (mngr_find(name, &vm) == 0) {
		log_info("%s runs already", name);
		return -EBUSY;
	}
	if (!script)
		return -ENOSPC;
	if (script->state == LAUNCH_RUNS) {
		log_info("%s: its script still runs, as process %d", name, (int)script->pid);
		script->again_until = seconds() + AGAIN_SECONDS;
		return 0;
	}
	script->again_until = 0;
	snprintf(script->name, sizeof(script->name), "%s", name);
	err = run(script, path);
	script->state = err ? LAUNCH_NEVER : LAUNCH_RUNS;
	if (err)
		log_err("%s: its script cannot be run: %s", name, strerror(-err));
	else
		log_info("%s: its script runs as process %d", name, (int)script->pid);
	return err;
}

enum launch_state launch_find(const char *name, int *status)
{
	const struct script *script = find(name);

	*status = script ? script->status : 0;
	return script ? script->state : LAUNCH_NEVER;
}

static void ended(struct script *script, int status)
{
	char name[sizeof(script->name)];

	script->state = LAUNCH_ENDED;
	script->status = status;
	if (WIFSIGNALED(status))
		log_warn("%s: its script was ended by signal %d (%s)", script->name,
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 0)
		log_warn("%s: its script ended with status %d; %s/%s.log may tell why",
			 script->name, WEXITSTATUS(status), mngr_path(MNGR_LOGS), script->name);
	else
		log_info("%s: its script ended", script->name);
	memcpy(name, script->name, sizeof(name)); /* launch() writes there */
	if (seconds() < script->again_until)
		(void)launch(name);
}

void launch_reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (unsigned int i = 0; i < SCRIPTS_MAX; i++) {
			if (scripts[i].state == LAUNCH_RUNS && scripts[i].pid == pid)
				ended(&scripts[i], status);
		}
	}
}

void launch_all(void)
{
	char(*names)[MNGR_NAME_MAX + 1];
	size_t count;
	int err = mngr_added(&names, &count);

	if (err)
		log_err("%s: %s", mngr_path(MNGR_SCRIPTS), strerror(-err));
	for (size_t i = 0; i < count; i++)
		(void)launch(names[i]);
	free(names);
}
