// SPDX-License-Identifier: BSD-3-Clause
/*
 * The option grammar of disks. Every option that ACRN knows is in the table: some act, some are
 * accepted because leaving them out changes nothing that a guest can see, and some are refused
 * by name, since starting without them would give the guest another disk than was asked for.
 * Called at start-up by block_open(); keeps no state, takes no lock.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "block_config.h"
#include "log.h"

enum action { NO_DISK, READ_ONLY, WRITEBACK, WRITETHRU, NOCACHE, NO_EFFECT, REFUSED };

static const struct {
	const char *name;
	enum action action;
	const char *why; /* for NO_EFFECT and REFUSED */
} options[] = {
	{"nodisk", NO_DISK, NULL},
	{"ro", READ_ONLY, NULL},
	{"writeback", WRITEBACK, NULL},
	{"writethru", WRITETHRU, NULL},
	{"nocache", NOCACHE, NULL},
	{"iothread", NO_EFFECT, "disks always have threads of their own"},
	{"mq", NO_EFFECT, "there is one queue"},
	{"aio", NO_EFFECT, "I/O is done by threads"},
	{"no_bst_block", NO_EFFECT, "overlapping requests are never held back"},
	{"discard", REFUSED, "discarding blocks is not supported; leave it out"},
	{"sectorsize", REFUSED, "the sector size is that of the backing store; leave it out"},
	{"range", REFUSED, "a part of a disk cannot be given; use a partition or a loop device"},
};

static int apply(struct block_config *cfg, const char *name, const char *word)
{
	size_t len = strcspn(word, "=");

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (strlen(options[i].name) != len || strncmp(options[i].name, word, len) != 0)
			continue;
		if (word[len] != '\0' && options[i].action < NO_EFFECT) {
			log_err("%s: option %s takes no value", name, options[i].name);
			return -EINVAL;
		}
		switch (options[i].action) {
		case NO_DISK:
			cfg->no_disk = true;
			return 0;
		case READ_ONLY:
			cfg->read_only = true;
			return 0;
		case WRITEBACK:
		case WRITETHRU:
			cfg->writeback = options[i].action == WRITEBACK;
			return 0;
		case NOCACHE:
			cfg->nocache = true;
			return 0;
		case NO_EFFECT:
			log_notice("%s: option %s has no effect: %s", name, word, options[i].why);
			return 0;
		case REFUSED:
			log_err("%s: option %s: %s", name, word, options[i].why);
			return -EINVAL;
		}
	}
	return -ENOENT;
}

/* iothread and mq may stand before the path, so the path is the first word that is no option. */
int block_config_parse(struct block_config *cfg, const char *name, const char *config)
{
	char copy[PATH_MAX + 256], *rest = copy, *word;

	memset(cfg, 0, sizeof(*cfg));
	if (snprintf(copy, sizeof(copy), "%s", config != NULL ? config : "") >= (int)sizeof(copy)) {
		log_err("%s: configuration is too long", name);
		return -EINVAL;
	}
	while ((word = strsep(&rest, ",")) != NULL) {
		int ret = apply(cfg, name, word);

		if (ret == -EINVAL)
			return ret;
		if (ret == 0 || (word[0] == '\0' && cfg->path[0] != '\0'))
			continue;
		if (cfg->path[0] != '\0') {
			log_err("%s: unknown option \"%s\"; there are ro, writeback, writethru, "
				"nocache and nodisk",
				name, word);
			return -EINVAL;
		}
		if (word[0] != '\0' &&
		    snprintf(cfg->path, sizeof(cfg->path), "%s", word) >= (int)sizeof(cfg->path)) {
			log_err("%s: path is too long", name);
			return -EINVAL;
		}
	}
	if (cfg->no_disk && cfg->path[0] != '\0') {
		log_err("%s: %s and nodisk: it is one or the other", name, cfg->path);
		return -EINVAL;
	}
	if (cfg->path[0] == '\0' && !cfg->no_disk) {
		log_err("%s: no file or block device given: the form is virtio-blk,path[,options]",
			name);
		return -EINVAL;
	}
	return 0;
}
