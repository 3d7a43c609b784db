// SPDX-License-Identifier: BSD-3-Clause
/*
 * --logger_setting, in ACRN's form: "console,level=4;kmsg,level=3;disk,level=1". Levels are ACRN's:
 * 1 errors, 2 warnings, 3 notices, 4 more, 5 for its developers, which this program has none of.
 * A parser only; log.c writes. Main thread, before there are others.
 */
#include <errno.h>
#include <string.h>

#include "log.h"
#include "options.h"

#define LEVEL_MAX 5

/* "=N" behind "level"; 0 if it is not. */
static int level_of(const char *text, size_t len)
{
	static const char word[] = ",level=";

	if (len != sizeof(word) || memcmp(text, word, sizeof(word) - 1) != 0)
		return 0;
	text += sizeof(word) - 1;
	return *text >= '1' && *text <= '0' + LEVEL_MAX ? *text - '0' : 0;
}

static int set(const char *name, size_t len, int number)
{
	enum log_level level = number > LOG_LEVEL_INFO ? LOG_LEVEL_INFO : (enum log_level)number;
	int err = 0;

	if (len == strlen("console") && memcmp(name, "console", len) == 0) {
		log_set_level(level);
	} else if (len == strlen("kmsg") && memcmp(name, "kmsg", len) == 0) {
		err = log_set_kmsg(level);
		if (err)
			log_err("--logger_setting: cannot open /dev/kmsg: %s", strerror(-err));
	} else if (len == strlen("disk") && memcmp(name, "disk", len) == 0) {
		log_warn(
			"--logger_setting: disk has no effect: take kmsg, or redirect the console");
	} else {
		err = -EINVAL;
	}
	return err;
}

static int parse(struct vm_config *cfg, const char *arg)
{
	const char *at = arg;
	int err = -EINVAL;

	(void)cfg;
	do {
		size_t len = strcspn(at, ";"), name = strcspn(at, ",;");
		int level = level_of(at + name, len - name);

		err = level ? set(at, name, level) : -EINVAL;
		at += len;
		at += *at == ';';
	} while (!err && *at != '\0');
	if (err == -EINVAL)
		log_err("--logger_setting %s: the form is console,level=4;kmsg,level=3, with "
			"levels "
			"of 1 (errors) to 5",
			arg);
	return err;
}

static const struct option_def logger_option = {
	.level = 90,
	.long_name = "logger_setting",
	.arg = "log,level=N;...",
	.help = "console and kmsg: 1 (errors) to 5 (all)",
	.parse = parse,
};
OPTION(logger_option);
