// SPDX-License-Identifier: BSD-3-Clause
/*
 * Requests and answers as JSON objects (RFC 8259):
 *	{"command": "blkrescan", "arguments": "3,/data/new.img"}
 *	{"ack": 0} or {"ack": -1, "error": "there is no disk in slot 3"}
 */
#ifndef DM_REQUEST_H
#define DM_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

/* A request is shorter than this, and so is every answer. */
#define REQUEST_MAX 4096U

struct answer {
	size_t len;
	char text[REQUEST_MAX]; /* one line, with its newline; no terminating 0 */
	bool close;		/* what came is no request: nothing after it can be understood */
	bool wants_events;	/* the client is to be sent events from now on */
};

/* A request being obeyed. */
struct request {
	void *arg;	       /* the server's */
	const char *arguments; /* "" without */
	json_t *reply;	       /* for members besides "ack" */
	struct answer *answer;
};

struct request_command {
	const char *name;		/* NULL ends a table */
	int (*fn)(struct request *req); /* 0, or what request_refuse() returns */
};

/* Say why not, in one line without a full stop. */
int request_refuse(struct request *req, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Obey the request at the start of @text. Returns how many bytes it had, or 0 if its end has not
 * come yet: that of REQUEST_MAX bytes without an end is answered.
 */
size_t request_serve(const struct request_command *commands, void *arg, const char *text,
		     size_t len, struct answer *answer);

/* The object as one line; its length, 0 when it has no room or there is none. */
size_t request_line(const json_t *object, char *line, size_t room);

#endif
