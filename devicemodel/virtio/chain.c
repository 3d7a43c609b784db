// SPDX-License-Identifier: BSD-3-Clause
/*
 * The pieces of one request: a header off the front of what the driver wrote, a status byte off
 * the end of what it left to be written. A driver may cut its buffers anywhere (2.7.4), so
 * devices take bytes, never descriptors. Called by devices between queue_pop() and queue_push();
 * works on checked iovecs alone and takes no lock.
 */
#include <stddef.h>
#include <string.h>

#include "chain.h"

bool chain_read(struct chain *c, void *dst, uint32_t len)
{
	uint8_t *to = dst;

	if (c->read_len < len)
		return false;
	c->read_len -= len;
	while (len != 0) {
		size_t n = c->iov->iov_len < len ? c->iov->iov_len : len;

		memcpy(to, c->iov->iov_base, n);
		to += n;
		len -= (uint32_t)n;
		c->iov->iov_base = (uint8_t *)c->iov->iov_base + n;
		c->iov->iov_len -= n;
		if (c->iov->iov_len == 0) {
			c->iov++;
			c->readable--;
		}
	}
	return true;
}

uint8_t *chain_cut_last(struct chain *c)
{
	struct iovec *last;

	if (c->writable == 0)
		return NULL;
	last = &c->iov[c->readable + c->writable - 1];
	last->iov_len--;
	c->write_len--;
	if (last->iov_len == 0)
		c->writable--;
	return (uint8_t *)last->iov_base + last->iov_len;
}

uint32_t chain_write(const struct chain *c, const void *src, uint32_t len)
{
	const struct iovec *iov = &c->iov[c->readable];
	uint32_t done = 0;

	for (uint16_t i = 0; i < c->writable && done < len; i++) {
		size_t n = iov[i].iov_len < len - done ? iov[i].iov_len : len - done;

		memcpy(iov[i].iov_base, (const uint8_t *)src + done, n);
		done += (uint32_t)n;
	}
	return done;
}
