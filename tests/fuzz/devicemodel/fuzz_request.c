// SPDX-License-Identifier: BSD-3-Clause
/*
 * Requests of other programs: what if a socket brings any bytes, in one piece or in two? Is each
 * answer one line of JSON, is all that was answered used up, and does nothing depend on the cut?
 */
// fuzzes: devicemodel/core/request.c
// options: -max_len=4200
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "request.h"

static unsigned int obeyed;

static int take(struct request *req)
{
	obeyed++;
	(void)json_object_set_new(req->reply, "got", json_string(req->arguments));
	return 0;
}

static int refuse(struct request *req)
{
	return request_refuse(req, "not \"%s\"", req->arguments);
}

static const struct request_command commands[] = {
	{"take", take},
	{"refuse", refuse},
	{NULL, NULL},
};

/* Serve what is there; returns how much was used, and sets *close as a server would look at it. */
static size_t serve(const char *text, size_t len, bool *close)
{
	static struct answer answer;
	size_t total = 0;
	size_t used;

	*close = false;
	do {
		json_t *line;

		memset(&answer, 0, sizeof(answer));
		used = request_serve(commands, NULL, text + total, len - total, &answer);
		assert(used <= len - total);
		assert(used > 0 || answer.len == 0);
		total += used;
		if (answer.len == 0)
			continue;
		assert(answer.text[answer.len - 1] == '\n');
		assert(memchr(answer.text, '\n', answer.len) == answer.text + answer.len - 1);
		line = json_loadb(answer.text, answer.len, 0, NULL);
		assert(json_is_integer(json_object_get(line, "ack")));
		json_decref(line);
		*close = answer.close;
	} while (used > 0 && !*close && total < len);
	return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool closed, closed_at_cut;
	unsigned int whole;
	size_t cut, used;
	char *text;

	if (size < 1 || size > REQUEST_MAX)
		return 0;
	cut = data[0] * (size - 1) / 255;
	text = malloc(size); /* of exactly this size: a read beyond it is seen */
	memcpy(text, data + 1, size - 1);
	obeyed = 0;
	(void)serve(text, size - 1, &closed);
	whole = obeyed;
	obeyed = 0;
	used = serve(text, cut, &closed_at_cut);
	if (!closed_at_cut) {
		(void)serve(text + used, size - 1 - used, &closed_at_cut);
		assert(obeyed == whole && closed == closed_at_cut);
	}
	free(text);
	return 0;
}
