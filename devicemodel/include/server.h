// SPDX-License-Identifier: BSD-3-Clause
/*
 * A server of requests (request.h) on UNIX sockets that are root's alone. acrn-dm has one for its
 * VM, acrnd one for all.
 */
#ifndef DM_SERVER_H
#define DM_SERVER_H

#include <stddef.h>

#include "request.h"

struct mevent_loop;
struct server;

/* NULL without memory. @arg is handed to the commands. */
struct server *server_create(const struct request_command *commands, void *arg);

/*
 * Make a socket, two at most, before server_start(); clients wait until then. Replaces one that
 * nobody serves any more. -EADDRINUSE: somebody does; -EEXIST: there is something else.
 */
int server_listen(struct server *server, const char *path);

/* Answer clients, on the loop's thread. */
int server_start(struct server *server, struct mevent_loop *loop);

/* Send a line to the client that asked for events, if any; lost if it does not read. Any thread. */
void server_send_event(struct server *server, const char *line, size_t len);

/* The loop, if it was started, has been destroyed. Removes the sockets. */
void server_destroy(struct server *server);

#endif
