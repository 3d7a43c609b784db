// SPDX-License-Identifier: BSD-3-Clause
/*
 * acrnd: starts User VMs for others. At its own start those that were added (acrnctl add), later
 * those that acrnctl or a timer names. It keeps nothing that a VM needs: killed and started again,
 * it finds the running ones by their sockets.
 *
 * Exit status: 0 ended by SIGTERM or SIGINT, or runs in the background now; 1 it cannot run;
 * 2 the command line is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "acrnd.h"
#include "log.h"
#include "mevent.h"
#include "mngr.h"
#include "server.h"

#define DELAY_MAX 60

static const char help[] =
	"NAME\n"
	"    acrnd - start User VMs\n"
	"\n"
	"SYNOPSIS\n"
	"    acrnd [-t] [-d SECONDS]\n"
	"\n"
	"DESCRIPTION\n"
	"    Runs in the background of the Service VM, as root. It starts all VMs that were\n"
	"    added by acrnctl add, those that acrnctl start names, and those whose time has\n"
	"    come (acrnctl wake). A VM that ends is not started again. VMs do not need acrnd\n"
	"    to go on: SIGTERM ends it, and nothing else.\n"
	"\n"
	"    -t          stay in the foreground, messages go to standard output\n"
	"    -d SECONDS  wait so long, 0 to 60, before VMs are started; 0 if absent\n"
	"    -h          print this text\n"
	"\n"
	"    SIGHUP makes it read the list of timers anew.\n"
	"\n"
	"FILES\n"
	"    /usr/share/acrn/conf/add         scripts of VMs, NAME.sh\n"
	"    /usr/share/acrn/conf/timer_list  lines NAME TIME, in seconds since 1970\n"
	"    /var/log/acrn/acrnd.log          its messages, without -t\n"
	"    /var/log/acrn/NAME.log           what a script, and acrn-dm, wrote to stderr\n";

static struct mevent_loop *loop;
static struct mevent *delay;
static int signal_fd = -1;

/* --- requests --- */

static int start(struct request *req)
{
	int err = launch(req->arguments);

	if (err == -ENOENT)
		return request_refuse(req, "nobody added this VM");
	if (err == -EBUSY)
		return request_refuse(req, "it runs already");
	return err ? request_refuse(req, "%s", strerror(-err)) : 0;
}

static int query(struct request *req)
{
	static const char *const states[] = {"never", "runs", "ended"};
	int status;
	enum launch_state state = launch_find(req->arguments, &status);

	(void)json_object_set_new(req->reply, "state", json_string(states[state]));
	if (state == LAUNCH_ENDED)
		(void)json_object_set_new(req->reply, "status", json_integer(status));
	return 0;
}

/* "NAME,TIME" */
static int timer(struct request *req)
{
	char name[MNGR_NAME_MAX + 1];
	const char *comma = strchr(req->arguments, ',');
	size_t len = comma ? (size_t)(comma - req->arguments) : 0;
	char path[PATH_MAX];
	long long when;
	char *end;
	int err;

	if (len == 0 || len > MNGR_NAME_MAX || comma[1] < '0' || comma[1] > '9')
		return request_refuse(req, "the form is NAME,TIME");
	when = strtoll(comma + 1, &end, 10);
	if (*end != '\0')
		return request_refuse(req, "the form is NAME,TIME");
	snprintf(name, sizeof(name), "%.*s", (int)len, req->arguments);
	if (!mngr_script(name, path) || access(path, F_OK) < 0)
		return request_refuse(req, "nobody added this VM");
	err = timers_add(name, (time_t)when);
	if (err == -EINVAL)
		return request_refuse(req, "this time is past");
	return err ? request_refuse(req, "%s", strerror(-err)) : 0;
}

static const struct request_command commands[] = {
	{"query", query},
	{"start", start},
	{"timer", timer},
	{NULL, NULL},
};

/* --- events --- */

static void on_signal(void *arg, unsigned int events)
{
	struct signalfd_siginfo info;

	(void)arg;
	(void)events;
	if (read(signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD) {
		launch_reap();
	} else if (info.ssi_signo == SIGHUP) {
		timers_load();
	} else {
		log_info("%s: ending", strsignal((int)info.ssi_signo));
		mevent_loop_stop(loop);
	}
}

static void on_delay(void *arg, unsigned int events)
{
	(void)arg;
	(void)events;
	launch_all();
	timers_load();
}

/* --- set-up --- */

static int watch_signals(void)
{
	sigset_t set;

	(void)signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return signal_fd >= 0 && mevent_add(loop, signal_fd, MEVENT_READ, on_signal, NULL) ? 0
											   : -EIO;
}

static int listen_for_requests(struct server **server)
{
	struct mngr_peer other;
	char path[PATH_MAX];
	int err = mngr_make_folder(mngr_path(MNGR_SOCKETS), 0700);

	if (!err && mngr_find(MNGR_DAEMON, &other) == 0) {
		log_err("acrnd runs already, as process %d", other.pid);
		return -EBUSY;
	}
	*server = server_create(commands, NULL);
	if (!*server)
		return -ENOMEM;
	snprintf(path, sizeof(path), "%s/%s.%d.socket", mngr_path(MNGR_SOCKETS), MNGR_DAEMON,
		 (int)getpid());
	if (!err)
		err = server_listen(*server, path);
	if (err)
		log_err("%s: %s", path, strerror(-err));
	return err ? err : server_start(*server, loop);
}

static int make_folders(void)
{
	int err = mngr_make_folder(mngr_path(MNGR_SCRIPTS), 0755);

	if (!err)
		err = mngr_make_folder(mngr_path(MNGR_LOGS), 0700);
	if (err)
		log_err("%s, %s: %s%s", mngr_path(MNGR_SCRIPTS), mngr_path(MNGR_LOGS),
			strerror(-err), err == -EACCES ? "; only root can run acrnd" : "");
	return err;
}

/* Tell who waits in go_to_background() that all is well. */
static void ready(int fd)
{
	if (fd >= 0 && write(fd, "", 1) == 1)
		close(fd);
}

static int run(int seconds, int ready_fd)
{
	struct server *server = NULL;
	int err;

	loop = mevent_loop_create();
	if (!loop)
		return 1;
	err = listen_for_requests(&server);
	if (!err)
		err = watch_signals();
	if (!err)
		err = timers_create(loop);
	delay = err ? NULL : mevent_add_timer(loop, on_delay, NULL);
	if (delay && mevent_timer_set(delay, (uint64_t)seconds * 1000000000U + 1, 0) == 0) {
		log_info("runs as process %d", (int)getpid());
		ready(ready_fd);
		mevent_loop_run(loop);
	}
	mevent_loop_destroy(loop);
	if (server)
		server_destroy(server);
	return delay ? 0 : 1;
}

/*
 * The parent ends when the child is ready, or with the child's failure. In the child *ready_fd is
 * where to say so, and its messages go to the file.
 */
static int go_to_background(int *ready_fd)
{
	char path[PATH_MAX];
	int pipe_fd[2], log_fd, null_fd;
	char byte;

	snprintf(path, sizeof(path), "%s/acrnd.log", mngr_path(MNGR_LOGS));
	log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (log_fd < 0 || null_fd < 0 || pipe2(pipe_fd, O_CLOEXEC) < 0) {
		fprintf(stderr, "acrnd: %s: %s\n", path, strerror(errno));
		return -1;
	}
	switch (fork()) {
	case -1:
		fprintf(stderr, "acrnd: %s\n", strerror(errno));
		return -1;
	case 0:
		break;
	default:
		close(pipe_fd[1]);
		if (read(pipe_fd[0], &byte, 1) == 1)
			exit(0);
		fprintf(stderr, "acrnd: it could not start; %s tells why\n", path);
		exit(1);
	}
	close(pipe_fd[0]);
	*ready_fd = pipe_fd[1];
	(void)setsid();
	if (dup2(null_fd, STDIN_FILENO) < 0 || dup2(log_fd, STDOUT_FILENO) < 0 ||
	    dup2(log_fd, STDERR_FILENO) < 0 || chdir("/") < 0)
		return -1;
	return 0;
}

int main(int argc, char **argv)
{
	bool foreground = false;
	int ready_fd = -1;
	long seconds = 0;
	char *end = NULL;
	int c;

	while ((c = getopt(argc, argv, "td:h")) != -1) {
		switch (c) {
		case 't':
			foreground = true;
			break;
		case 'd':
			seconds = strtol(optarg, &end, 10);
			if (end == optarg || *end != '\0' || seconds < 0 || seconds > DELAY_MAX) {
				fprintf(stderr, "acrnd: -d %s: a number from 0 to %d is needed\n",
					optarg, DELAY_MAX);
				return 2;
			}
			break;
		case 'h':
			fputs(help, stdout);
			return 0;
		default:
			fputs("acrnd: acrnd -h tells what there is\n", stderr);
			return 2;
		}
	}
	if (optind != argc) {
		fprintf(stderr, "acrnd: \"%s\" is no option; acrnd -h tells what there is\n",
			argv[optind]);
		return 2;
	}
	if (make_folders() != 0 || (!foreground && go_to_background(&ready_fd) != 0))
		return 1;
	return run((int)seconds, ready_fd);
}
