// SPDX-License-Identifier: BSD-3-Clause
/*
 * UNIX sockets that take requests and send answers, line by line, for one event loop. All runs on
 * the loop's thread, only events come from others; lock covers whom they go to.
 *
 * Nothing here grows: a client has a buffer of one request, there are CLIENTS of them, and what a
 * client does not read is dropped. The one that has been silent for the longest makes room for a
 * new one, so that nobody can keep others out.
 */
#include "server.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "mevent.h"

#define CLIENTS	  8U
#define BACKLOG	  64
#define LISTENERS 2U

struct client {
	struct server *server;
	struct mevent *ev;
	int fd; /* -1: free */
	uint64_t last_used;
	size_t len;
	char text[REQUEST_MAX];
};

struct listener {
	struct server *server;
	struct mevent *ev;
	int fd; /* -1: not there */
	struct sockaddr_un addr;
};

struct server {
	const struct request_command *commands;
	void *arg;
	struct mevent_loop *loop; /* NULL before server_start() */
	struct listener listener[LISTENERS];
	struct client client[CLIENTS];
	uint64_t clock; /* counts requests, to find the silent */
	pthread_mutex_t lock;
	int event_fd; /* of the client that gets events, or -1 */
};

/* --- clients --- */

static void drop(struct client *client)
{
	struct server *server = client->server;

	pthread_mutex_lock(&server->lock);
	if (server->event_fd == client->fd)
		server->event_fd = -1;
	pthread_mutex_unlock(&server->lock);
	mevent_delete(client->ev, true);
	client->fd = -1;
}

/* All or nothing: a line that has no room in the socket's buffer is not sent. */
static bool send_line(int fd, const char *line, size_t len)
{
	return send(fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
}

/* False when the client is to be dropped. */
static bool answer_one(struct client *client, size_t *used)
{
	struct server *server = client->server;
	struct answer answer = {0};
	bool sent;

	*used = request_serve(server->commands, server->arg, client->text, client->len, &answer);
	if (answer.len == 0)
		return true;
	client->last_used = ++server->clock;
	/* No event may come before the answer, and none be lost after it. */
	pthread_mutex_lock(&server->lock);
	sent = send_line(client->fd, answer.text, answer.len);
	if (sent && answer.wants_events)
		server->event_fd = client->fd;
	pthread_mutex_unlock(&server->lock);
	return sent && !answer.close;
}

static void on_client(void *arg, unsigned int events)
{
	struct client *client = arg;
	size_t used;
	ssize_t n = recv(client->fd, client->text + client->len, sizeof(client->text) - client->len,
			 MSG_DONTWAIT);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(client);
		return;
	}
	client->len += (size_t)n;
	do {
		if (!answer_one(client, &used)) {
			drop(client);
			return;
		}
		client->len -= used;
		memmove(client->text, client->text + used, client->len);
	} while (used > 0 && client->len > 0);
}

static struct client *free_client(struct server *server)
{
	struct client *oldest = &server->client[0];

	for (unsigned int i = 0; i < CLIENTS; i++) {
		struct client *client = &server->client[i];

		if (client->fd < 0)
			return client;
		if (oldest->fd == server->event_fd ||
		    (client->fd != server->event_fd && client->last_used < oldest->last_used))
			oldest = client;
	}
	drop(oldest);
	return oldest;
}

static void on_connect(void *arg, unsigned int events)
{
	struct listener *listener = arg;
	struct server *server = listener->server;
	int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
	struct client *client;

	(void)events;
	if (fd < 0)
		return;
	client = free_client(server);
	client->fd = fd;
	client->len = 0;
	client->last_used = ++server->clock;
	client->ev = mevent_add(server->loop, fd, MEVENT_READ, on_client, client);
	if (!client->ev) {
		close(fd);
		client->fd = -1;
	}
}

/* --- the sockets --- */

/* What a process that was killed left at the path; anything else that is there stays. */
static int remove_stale(const struct sockaddr_un *addr)
{
	struct stat st;
	int err = 0;
	int fd;

	if (lstat(addr->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 || errno != ECONNREFUSED)
		err = -EADDRINUSE;
	else if (unlink(addr->sun_path) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int listen_at(struct listener *listener)
{
	const struct sockaddr_un *addr = &listener->addr;
	int err = remove_stale(addr);
	int fd;

	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* Linux gives the file this mode, so there is no moment at which others could connect. */
	if (fchmod(fd, 0600) < 0 || bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	listener->fd = fd;
	return listen(fd, BACKLOG) < 0 ? -errno : 0;
}

struct server *server_create(const struct request_command *commands, void *arg)
{
	struct server *server = calloc(1, sizeof(*server));

	if (!server)
		return NULL;
	server->commands = commands;
	server->arg = arg;
	server->event_fd = -1;
	pthread_mutex_init(&server->lock, NULL);
	for (unsigned int i = 0; i < LISTENERS; i++) {
		server->listener[i].server = server;
		server->listener[i].fd = -1;
	}
	for (unsigned int i = 0; i < CLIENTS; i++) {
		server->client[i].server = server;
		server->client[i].fd = -1;
	}
	return server;
}

int server_listen(struct server *server, const char *path)
{
	struct listener *listener = &server->listener[0];

	while (listener->fd >= 0)
		listener++;
	listener->addr.sun_family = AF_UNIX;
	if (snprintf(listener->addr.sun_path, sizeof(listener->addr.sun_path), "%s", path) >=
	    (int)sizeof(listener->addr.sun_path))
		return -ENAMETOOLONG;
	return listen_at(listener);
}

int server_start(struct server *server, struct mevent_loop *loop)
{
	server->loop = loop;
	for (unsigned int i = 0; i < LISTENERS; i++) {
		struct listener *listener = &server->listener[i];

		if (listener->fd < 0)
			continue;
		listener->ev = mevent_add(loop, listener->fd, MEVENT_READ, on_connect, listener);
		if (!listener->ev)
			return -ENOMEM;
	}
	return 0;
}

void server_send_event(struct server *server, const char *line, size_t len)
{
	pthread_mutex_lock(&server->lock);
	if (server->event_fd >= 0)
		(void)send_line(server->event_fd, line, len);
	pthread_mutex_unlock(&server->lock);
}

void server_destroy(struct server *server)
{
	for (unsigned int i = 0; i < LISTENERS; i++) {
		if (server->listener[i].fd < 0)
			continue;
		close(server->listener[i].fd);
		(void)unlink(server->listener[i].addr.sun_path);
	}
	for (unsigned int i = 0; i < CLIENTS; i++) {
		if (server->client[i].fd >= 0)
			close(server->client[i].fd);
	}
	pthread_mutex_destroy(&server->lock);
	free(server);
}
