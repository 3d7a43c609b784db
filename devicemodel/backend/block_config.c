// SPDX-License-Identifier: BSD-3-Clause
/*
 * The option grammar of disks. Every option that ACRN knows is in the table: some act, some are
 * accepted because leaving them out changes nothing that a guest can see.
 * Called at start-up by block_open(); keeps no state, takes no lock.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block_config.h"
#include "log.h"

/* One discard, if the user does not say: 2 GB in one piece. */
#define DISCARD_SECTORS	 (4U << 20)
#define DISCARD_SEGMENTS 1U
#define SEGMENTS_MAX	 16U
#define SECTOR		 512U
#define SECTOR_MAX	 65536U
#define SECTORS_LIMIT	 (1ULL << 54) /* the offsets of files are signed */

enum action {
	NO_DISK,
	READ_ONLY,
	WRITEBACK,
	WRITETHRU,
	NOCACHE,
	NO_EFFECT,
	THREADS,
	AIO,
	QUEUES,
	DISCARD,
	SECTOR_SIZE,
	RANGE, /* those with a value */
};

static const struct {
	const char *name;
	enum action action;
	const char *why; /* for NO_EFFECT; else the form of the value, if there is one */
} options[] = {
	{"nodisk", NO_DISK, NULL},
	{"ro", READ_ONLY, NULL},
	{"writeback", WRITEBACK, NULL},
	{"writethru", WRITETHRU, NULL},
	{"nocache", NOCACHE, NULL},
	{"iothread", THREADS,
	 "iothread[=count][@cpu[:cpu...][/cpu...]], of at most 16 threads, on CPUs from 0 to 63"},
	{"mq", QUEUES, "mq=queues, from 1 to 16"},
	{"aio", AIO, "aio=threads or aio=io_uring"},
	{"no_bst_block", NO_EFFECT, "overlapping requests are never held back"},
	{"discard", DISCARD, "discard[=sectors:segments:alignment], of at most 16 segments"},
	{"sectorsize", SECTOR_SIZE,
	 "sectorsize=logical[/physical], powers of two from 512 to 65536"},
	{"range", RANGE, "range=first/count, in sectors of 512 bytes"},
};

/* Up to @max numbers with @mark between them; how many, 0 if it is anything else. */
static unsigned int numbers(const char *text, char mark, uint64_t *out, unsigned int max)
{
	unsigned int count = 0;

	for (;;) {
		char *end;

		if (count == max || *text < '0' || *text > '9')
			return 0;
		errno = 0;
		out[count++] = strtoull(text, &end, 10);
		if (errno != 0 || (*end != '\0' && *end != mark))
			return 0;
		if (*end == '\0')
			return count;
		text = end + 1;
	}
}

/* "cpu:cpu/cpu": ":" stands between the CPUs of a thread, "/" between threads. */
static bool take_cpus(struct iothread_set *set, const char *text)
{
	unsigned int thread = 0;

	while (*text >= '0' && *text <= '9' && thread < set->count) {
		char *end;
		unsigned long cpu = strtoul(text, &end, 10);

		if (cpu >= 64)
			return false;
		set->cpus[thread] |= 1ULL << cpu;
		if (*end == '\0')
			return true;
		if (*end != ':' && *end != '/')
			return false;
		thread += *end == '/' ? 1 : 0;
		text = end + 1;
	}
	return false;
}

/* @value, from the "=" or "@" on: "", "=count", "@cpus" or "=count@cpus". */
static bool apply_threads(struct iothread_set *set, const char *value)
{
	uint64_t count = 1;

	if (*value == '=') {
		char *end;

		if (value[1] < '0' || value[1] > '9')
			return false;
		count = strtoull(value + 1, &end, 10);
		value = end;
	}
	if (count == 0 || count > IOTHREADS_MAX)
		return false;
	*set = (struct iothread_set) {.count = (unsigned int)count};
	return *value == '\0' || (*value == '@' && take_cpus(set, value + 1));
}

static bool is_sector_size(uint64_t n)
{
	return n >= SECTOR && n <= SECTOR_MAX && (n & (n - 1)) == 0;
}

/* @value is what follows the "=", or NULL. False: it is not of the form. */
static bool apply_value(struct block_config *cfg, enum action action, const char *value)
{
	uint64_t n[3] = {DISCARD_SECTORS, DISCARD_SEGMENTS, 0};
	unsigned int count =
		value != NULL ? numbers(value, action == DISCARD ? ':' : '/', n, 3) : 0;

	if (action == QUEUES) {
		cfg->queues = (uint16_t)n[0];
		return count == 1 && n[0] != 0 && n[0] <= BLOCK_QUEUES_MAX;
	}
	if (action == SECTOR_SIZE) {
		n[1] = count == 1 ? n[0] : n[1];
		cfg->logical = (uint32_t)n[0];
		cfg->physical = (uint32_t)n[1];
		return (count == 1 || count == 2) && is_sector_size(n[0]) && is_sector_size(n[1]) &&
		       n[0] <= n[1];
	}
	if (action == RANGE) {
		cfg->range_first = n[0];
		cfg->range_sectors = n[1];
		return count == 2 && n[1] != 0 && n[0] < SECTORS_LIMIT && n[1] < SECTORS_LIMIT;
	}
	cfg->discard_sectors = (uint32_t)n[0];
	cfg->discard_segments = (uint32_t)n[1];
	cfg->discard_align = (uint32_t)n[2];
	return (value == NULL || count != 0) && n[0] != 0 && n[0] <= UINT32_MAX && n[1] != 0 &&
	       n[1] <= SEGMENTS_MAX && n[2] <= UINT32_MAX;
}

static int apply(struct block_config *cfg, const char *name, const char *word)
{
	size_t len = strcspn(word, strncmp(word, "iothread", 8) == 0 ? "=@" : "=");

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
		case THREADS:
			if (apply_threads(&cfg->threads, word + len))
				return 0;
			break;
		case AIO:
			cfg->uring = strcmp(word + len, "=io_uring") == 0;
			if (cfg->uring || strcmp(word + len, "=threads") == 0)
				return 0;
			break;
		case QUEUES:
		case DISCARD:
		case SECTOR_SIZE:
		case RANGE:
			if (apply_value(cfg, options[i].action,
					word[len] != '\0' ? word + len + 1 : NULL))
				return 0;
			break;
		}
		log_err("%s: option %s: the form is %s", name, word, options[i].why);
		return -EINVAL;
	}
	return -ENOENT;
}

/* iothread and mq may stand before the path, so the path is the first word that is no option. */
int block_config_parse(struct block_config *cfg, const char *name, const char *config)
{
	char copy[PATH_MAX + 256], *rest = copy, *word;

	memset(cfg, 0, sizeof(*cfg));
	cfg->queues = 1;
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
				"nocache, discard, sectorsize=, range=, nodisk, mq=, aio= and "
				"iothread",
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
