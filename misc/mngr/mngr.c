// SPDX-License-Identifier: BSD-3-Clause
/*
 * Finds VMs by the sockets in MNGR_SOCKETS and the scripts in MNGR_SCRIPTS, and asks them. Keeps
 * no state but the folders' names; a single thread calls it.
 */
#include "mngr.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX	8192U
#define CONNECT_SECONDS 10

bool mngr_name_valid(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > MNGR_NAME_MAX || strcmp(name, MNGR_DAEMON) == 0 || name[0] == '-' ||
	    name[0] == '.')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)name[i]) && !strchr("_-.:+", name[i]))
			return false;
	}
	return true;
}

const char *mngr_path(const char *path)
{
	static char kept[8][PATH_MAX];
	const char *root = getenv("ACRN_ROOT");
	size_t i = 0;
	char full[PATH_MAX];

	if (!root)
		return path;
	snprintf(full, sizeof(full), "%s%s", root, path);
	while (i < sizeof(kept) / sizeof(kept[0]) - 1 && kept[i][0] != '\0' &&
	       strcmp(kept[i], full) != 0)
		i++;
	memcpy(kept[i], full, sizeof(full));
	return kept[i];
}

int mngr_make_folder(const char *path, unsigned int mode)
{
	char copy[PATH_MAX];
	int err = 0;

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST && !err)
			err = -errno;
		*slash = '/';
	}
	if (mkdir(copy, mode) == 0 || errno == EEXIST)
		return 0;
	return err ? err : -errno; /* the first that could not be made is why */
}

static int connect_to(const char *path)
{
	const struct timeval patience = {.tv_sec = CONNECT_SECONDS};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	/* Of a process that is stopped the queue of connections may be full. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

bool mngr_alive(const struct mngr_peer *peer)
{
	int fd = connect_to(peer->path);

	if (fd >= 0)
		close(fd);
	return fd != -ECONNREFUSED && fd != -ENOENT;
}

/* "NAME.PID.socket" */
static bool parse_peer(const char *file, struct mngr_peer *peer)
{
	static const char suffix[] = ".socket";
	size_t len = strlen(file);
	size_t dot;
	char *end;
	long pid;

	if (len <= sizeof(suffix) || strcmp(file + len - sizeof(suffix) + 1, suffix) != 0)
		return false;
	len -= sizeof(suffix) - 1;
	for (dot = len; dot > 0 && file[dot - 1] != '.'; dot--)
		;
	if (dot < 2 || dot - 1 > MNGR_NAME_MAX || !isdigit((unsigned char)file[dot]))
		return false;
	pid = strtol(file + dot, &end, 10);
	if (end != file + len || pid <= 0 || pid > INT_MAX)
		return false;
	memcpy(peer->name, file, dot - 1);
	peer->name[dot - 1] = '\0';
	peer->pid = (int)pid;
	return snprintf(peer->path, sizeof(peer->path), "%s/%s", mngr_path(MNGR_SOCKETS), file) <
	       (int)sizeof(peer->path);
}

int mngr_running(struct mngr_peer **peers, size_t *count)
{
	struct dirent **files;
	int n = scandir(mngr_path(MNGR_SOCKETS), &files, NULL, alphasort);
	int err = errno;

	*count = 0;
	*peers = calloc((size_t)(n > 0 ? n : 1), sizeof(**peers));
	if (n < 0)
		return err == ENOENT ? 0 : -err;
	for (int i = 0; i < n; i++) {
		struct mngr_peer peer;

		if (*peers && parse_peer(files[i]->d_name, &peer)) {
			if (mngr_alive(&peer))
				(*peers)[(*count)++] = peer;
			else
				(void)unlink(peer.path);
		}
		free(files[i]);
	}
	free(files);
	return *peers ? 0 : -ENOMEM;
}

int mngr_find(const char *name, struct mngr_peer *peer)
{
	struct mngr_peer *peers;
	size_t count;
	int err = mngr_running(&peers, &count);

	if (!err)
		err = -ESRCH;
	for (size_t i = 0; i < count && err == -ESRCH; i++) {
		if (strcmp(peers[i].name, name) == 0) {
			*peer = peers[i];
			err = 0;
		}
	}
	free(peers);
	return err;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The first line that comes, or the error. */
static int receive(int fd, char *line, size_t room, int timeout_ms)
{
	int64_t end = now_ms() + timeout_ms;
	size_t len = 0;

	while (len < room) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		int64_t left = end - now_ms();
		ssize_t n;

		if (left <= 0 || poll(&wait, 1, (int)left) == 0)
			return -ETIMEDOUT;
		n = recv(fd, line + len, room - len, MSG_DONTWAIT);
		if (n == 0)
			return -ECONNRESET;
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (n > 0 && memchr(line + len, '\n', (size_t)n))
			return (int)(len + (size_t)n);
		len += n > 0 ? (size_t)n : 0;
	}
	return -EPROTO;
}

json_t *mngr_ask(const struct mngr_peer *peer, const char *command, const char *arguments,
		 int timeout_ms, int *err)
{
	char line[ANSWER_MAX];
	json_t *request =
		arguments ? json_pack("{s:s, s:s}", "command", command, "arguments", arguments)
			  : json_pack("{s:s}", "command", command);
	json_t *answer = NULL;
	int fd = connect_to(peer->path);
	size_t len;

	*err = request ? 0 : -EILSEQ; /* a file's name that is no UTF-8 */
	if (!*err && fd < 0)
		*err = fd;
	if (*err)
		goto out;
	len = json_dumpb(request, line, sizeof(line) - 1, JSON_COMPACT);
	if (len >= sizeof(line) - 1) {
		*err = -E2BIG;
		goto out;
	}
	line[len++] = '\n';
	if (send(fd, line, len, MSG_NOSIGNAL) != (ssize_t)len) {
		*err = -errno;
		goto out;
	}
	*err = receive(fd, line, sizeof(line), timeout_ms);
	if (*err < 0)
		goto out;
	answer = json_loadb(line, (size_t)*err, JSON_DISABLE_EOF_CHECK, NULL);
	*err = json_is_object(answer) ? 0 : -EPROTO;
out:
	if (*err) {
		json_decref(answer);
		answer = NULL;
	}
	json_decref(request);
	if (fd >= 0)
		close(fd);
	return answer;
}

bool mngr_script(const char *name, char path[PATH_MAX])
{
	return mngr_name_valid(name) &&
	       snprintf(path, PATH_MAX, "%s/%s.sh", mngr_path(MNGR_SCRIPTS), name) < PATH_MAX;
}

int mngr_added(char (**names)[MNGR_NAME_MAX + 1], size_t *count)
{
	struct dirent **files;
	int n = scandir(mngr_path(MNGR_SCRIPTS), &files, NULL, alphasort);
	int err = errno;

	*count = 0;
	*names = calloc((size_t)(n > 0 ? n : 1), sizeof(**names));
	if (n < 0)
		return err == ENOENT ? 0 : -err;
	for (int i = 0; i < n; i++) {
		char *file = files[i]->d_name;
		size_t len = strlen(file);

		if (len > 3 && strcmp(file + len - 3, ".sh") == 0 && *names) {
			file[len - 3] = '\0';
			if (mngr_name_valid(file))
				memcpy((*names)[(*count)++], file, len - 2);
		}
		free(files[i]);
	}
	free(files);
	return *names ? 0 : -ENOMEM;
}
