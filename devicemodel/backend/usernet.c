// SPDX-License-Identifier: BSD-3-Clause
/*
 * Starts and ends acrn-usernet (misc/usernet), one for each network device that wants it. What is
 * in a guest's packets is never looked at here. Called by virtio/net.c while the VM is made and
 * ended; keeps no state, takes no lock.
 */
#include "usernet.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"

#define PROGRAM	    "acrn-usernet"
#define START_MS    20000
#define SOCKET_SIZE (1 << 20) /* some hundred packets, so that a burst is not lost */

/* Its socket is its standard input; of our signals it hears none, nor those of our terminal. */
static int start(char *const argv[], int fd, pid_t *process)
{
	const short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int err;

	sigemptyset(&none);
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawnattr_init(&attr);
	err = posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
	if (!err)
		err = posix_spawnattr_setsigmask(&attr, &none);
	if (!err)
		err = posix_spawnattr_setflags(&attr, flags);
	if (!err)
		err = posix_spawnp(process, PROGRAM, &actions, &attr, argv, environ);
	(void)posix_spawnattr_destroy(&attr);
	(void)posix_spawn_file_actions_destroy(&actions);
	return -err;
}

/* It sends a byte when all is well; if it cannot do its work it has said why, and is gone. */
static int wait_until_ready(int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	char byte;

	if (poll(&wait, 1, START_MS) <= 0)
		return -ETIMEDOUT;
	return recv(fd, &byte, 1, MSG_DONTWAIT) == 1 ? 0 : -EINVAL;
}

int usernet_open(char *const forwards[], size_t count, const char *device, pid_t *process)
{
	static char name[] = PROGRAM;
	const int size = SOCKET_SIZE;
	char *argv[USERNET_FORWARDS + 2] = {name};
	int ends[2], err;

	memcpy(argv + 1, forwards, count * sizeof(argv[0]));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		err = -errno;
		log_err("%s: socketpair: %s", device, strerror(-err));
		return err;
	}
	for (int i = 0; i < 2; i++)
		(void)setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	err = start(argv, ends[1], process);
	close(ends[1]);
	if (err) {
		log_err("%s: " PROGRAM " cannot be run: %s; it belongs beside acrn-dm, in PATH",
			device, strerror(-err));
		goto out_socket;
	}
	err = wait_until_ready(ends[0]);
	if (err) {
		log_err("%s: there is no network: " PROGRAM " %s", device,
			err == -ETIMEDOUT ? "does not start" : "has ended");
		goto out_process;
	}
	(void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
	return ends[0];

out_process:
	usernet_close(*process);
out_socket:
	close(ends[0]);
	return err;
}

void usernet_close(pid_t process)
{
	(void)kill(process, SIGKILL);
	(void)waitpid(process, NULL, 0);
}
