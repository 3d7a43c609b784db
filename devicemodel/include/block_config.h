// SPDX-License-Identifier: BSD-3-Clause
/* The text after "virtio-blk," on the command line, in ACRN's grammar. */
#ifndef DM_BLOCK_CONFIG_H
#define DM_BLOCK_CONFIG_H

#include <limits.h>
#include <stdbool.h>

struct block_config {
	char path[PATH_MAX];
	bool no_disk;	/* nodisk: empty, path is "" */
	bool read_only; /* ro */
	bool writeback; /* writeback; the default, writethru, makes each write durable */
	bool nocache;	/* bypass the Service VM's page cache */
};

/* -EINVAL, with a line in the log that names @name and the option at fault. */
int block_config_parse(struct block_config *cfg, const char *name, const char *config);

#endif
