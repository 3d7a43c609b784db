// SPDX-License-Identifier: BSD-3-Clause
/* The text after "virtio-blk," on the command line, in ACRN's grammar. */
#ifndef DM_BLOCK_CONFIG_H
#define DM_BLOCK_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "iothread.h"

#define BLOCK_QUEUES_MAX 16U

struct block_config {
	char path[PATH_MAX];
	uint16_t queues;	     /* mq, 1 to BLOCK_QUEUES_MAX */
	struct iothread_set threads; /* iothread; count 0: none of its own */
	bool no_disk;		     /* nodisk: empty, path is "" */
	bool read_only;		     /* ro */
	bool writeback; /* writeback; the default, writethru, makes each write durable */
	bool uring;	/* aio=io_uring */
	bool nocache;	/* bypass the Service VM's page cache */
	uint32_t logical, physical; /* sectorsize, in bytes; 0: as the file or device has it */
	/* range, in sectors of 512 bytes; none: the whole */
	uint64_t range_first, range_sectors;
	/* discard, in sectors of 512 bytes; segments 0: not allowed, align 0: by the sector size */
	uint32_t discard_sectors, discard_segments, discard_align;
};

/* -EINVAL, with a line in the log that names @name and the option at fault. */
int block_config_parse(struct block_config *cfg, const char *name, const char *config);

#endif
