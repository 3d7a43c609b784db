// SPDX-License-Identifier: BSD-3-Clause
/*
 * The JSON around commands. The parser is libjansson's; a request has less than REQUEST_MAX bytes,
 * which bounds its work, its depth and its memory. Called by a server on its loop's thread; keeps
 * no state, takes no lock.
 */
#include "request.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int request_refuse(struct request *req, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* Of a path with bytes that are no UTF-8 the text is lost, the refusal is not. */
	(void)json_object_set_new(req->reply, "error", json_string(text));
	return -1;
}

static int obey(const struct request_command *commands, struct request *req, const json_t *root)
{
	const char *name = json_string_value(json_object_get(root, "command"));
	const json_t *arguments = json_object_get(root, "arguments");

	if (!name)
		return request_refuse(req, "\"command\" is missing or is no text");
	if (arguments && !json_is_string(arguments))
		return request_refuse(req, "\"arguments\" is no text");
	req->arguments = arguments ? json_string_value(arguments) : "";
	for (const struct request_command *command = commands; command->name; command++) {
		if (strcmp(command->name, name) == 0)
			return command->fn(req);
	}
	return request_refuse(req, "there is no command \"%.64s\"", name);
}

size_t request_line(const json_t *object, char *line, size_t room)
{
	size_t len = object ? json_dumpb(object, line, room - 1, JSON_COMPACT) : 0;

	if (len == 0 || len > room - 1)
		return 0;
	line[len] = '\n';
	return len + 1;
}

static void finish(json_t *reply, int ack, struct answer *answer)
{
	static const char no_memory[] = "{\"ack\":-1,\"error\":\"no memory\"}\n";

	(void)json_object_set_new(reply, "ack", json_integer(ack));
	answer->len = request_line(reply, answer->text, sizeof(answer->text));
	if (answer->len == 0) {
		answer->len = sizeof(no_memory) - 1;
		memcpy(answer->text, no_memory, answer->len);
	}
	json_decref(reply);
}

static size_t leading_space(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && memchr(" \t\r\n", text[n], 4))
		n++;
	return n;
}

/*
 * Bytes up to the end of the object that begins the text, 0 if it is not there yet. Only brackets
 * and strings matter for that; whether the rest is JSON the parser says.
 */
static size_t object_length(const char *text, size_t len)
{
	unsigned int depth = 0;
	bool string = false;

	for (size_t i = 0; i < len; i++) {
		if (string && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			string = !string;
		else if (!string && (text[i] == '{' || text[i] == '['))
			depth++;
		else if (!string && (text[i] == '}' || text[i] == ']') && --depth == 0)
			return i + 1;
	}
	return 0;
}

size_t request_serve(const struct request_command *commands, void *arg, const char *text,
		     size_t len, struct answer *answer)
{
	struct request req = {.arg = arg, .answer = answer};
	size_t used = leading_space(text, len);
	json_t *root = NULL;
	int ack;

	if (used > 0 || len == 0)
		return used;
	if (text[0] == '{')
		used = object_length(text, len);
	else
		used = len;
	if (used == 0 && len < REQUEST_MAX)
		return 0;
	req.reply = json_object();
	if (used > 0 && text[0] == '{')
		root = json_loadb(text, used, JSON_REJECT_DUPLICATES, NULL);
	answer->close = !root;
	if (root)
		ack = obey(commands, &req, root);
	else if (used == 0)
		ack = request_refuse(&req, "a request has less than %u bytes", REQUEST_MAX);
	else
		ack = request_refuse(&req, "this is no JSON object");
	finish(req.reply, ack, answer);
	json_decref(root);
	return used > 0 ? used : len;
}
