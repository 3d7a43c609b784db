// SPDX-License-Identifier: BSD-3-Clause
/* One request of a virtqueue as checked buffers, host-virtual; lengths are bytes. */
#ifndef DM_CHAIN_H
#define DM_CHAIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

/* iov[] holds the buffers the device reads, then those it writes. */
struct chain {
	struct iovec *iov;
	uint16_t readable, writable; /* entries of iov[] */
	uint16_t head;		     /* goes back in queue_push() */
	uint32_t read_len, write_len;
};

/* Move @len bytes from the front of the readable part to @dst; false if there are fewer. */
bool chain_read(struct chain *c, void *dst, uint32_t len);

/* Cut the last writable byte off and return its address; NULL if nothing is writable. */
uint8_t *chain_cut_last(struct chain *c);

/* Copy @len bytes to the front of the writable part; returns how many fit. */
uint32_t chain_write(const struct chain *c, const void *src, uint32_t len);

#endif
