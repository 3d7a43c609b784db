/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LIB_SBUF_H
#define LIB_SBUF_H

#include "acrn/sbuf.h"
#include "lib/types.h"

/*
 * A ring as its one writer knows it. What is needed to stay inside is kept here: the header may be
 * the Service VM's memory, and only its `head` is ever read, to be compared.
 */
struct sbuf {
	struct sbuf_header *header; /* the entries follow; NULL: not set up */
	uint32_t ele_num;
	uint32_t ele_size;
	uint64_t flags;
	uint32_t tail;
	uint32_t overruns;
	uint64_t written;
};

/*
 * Start to write the ring at `header`, whose ele_num, ele_size and flags `h` is a copy of; it has
 * at most `bytes`. The header is written anew. -EINVAL: these cannot be.
 */
int sbuf_open(struct sbuf *b, struct sbuf_header *header, const struct sbuf_header *h,
	      uint64_t bytes);
/* Append ele_size bytes. False: the ring was full, an entry is lost. One writer at a time. */
bool sbuf_put(struct sbuf *b, const void *entry);

#endif
