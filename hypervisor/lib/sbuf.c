// SPDX-License-Identifier: BSD-3-Clause
/*
 * A ring with one writer, the hypervisor, and a reader in the Service VM (acrn/sbuf.h). Called on
 * the writer's CPU with interrupts off; takes no lock: the reader sees an entry before the tail
 * that covers it, and a head that has moved on before what was there is overwritten. Never reads
 * more of the header than `head`, which is only compared: whoever writes nonsense there gets
 * nonsense in his ring.
 */
#include "lib/sbuf.h"
#include "lib/errno.h"
#include "lib/string.h"

int sbuf_open(struct sbuf *b, struct sbuf_header *header, const struct sbuf_header *h,
	      uint64_t bytes)
{
	uint64_t size = (uint64_t)h->ele_num * h->ele_size;

	if (h->ele_num < 2U || h->ele_size == 0U || size > SBUF_MAX_SIZE ||
	    size + sizeof(*header) > bytes) {
		return -EINVAL;
	}
	*b = (struct sbuf){
		.header = header,
		.ele_num = h->ele_num,
		.ele_size = h->ele_size,
		.flags = h->flags,
	};
	*header = (struct sbuf_header){
		.magic = SBUF_MAGIC,
		.ele_num = h->ele_num,
		.ele_size = h->ele_size,
		.flags = h->flags,
		.size = (uint32_t)size,
	};
	return 0;
}

static uint32_t after(const struct sbuf *b, uint32_t at)
{
	uint32_t next = at + b->ele_size;

	return (next == b->ele_num * b->ele_size) ? 0U : next;
}

bool sbuf_put(struct sbuf *b, const void *entry)
{
	struct sbuf_header *h = b->header;
	uint8_t *data = (uint8_t *)(h + 1);
	uint32_t next = after(b, b->tail);
	bool full = __atomic_load_n(&h->head, __ATOMIC_ACQUIRE) == next;

	if (full) {
		b->overruns++;
		if ((b->flags & SBUF_COUNT_OVERRUNS) != 0U) {
			__atomic_store_n(&h->overrun_cnt, b->overruns, __ATOMIC_RELAXED);
		}
		if ((b->flags & SBUF_OVERWRITE) == 0U) {
			return false;
		}
		__atomic_store_n(&h->head, after(b, next), __ATOMIC_RELEASE);
		__atomic_thread_fence(__ATOMIC_RELEASE);
	}
	(void)memcpy(&data[b->tail], entry, b->ele_size);
	b->tail = next;
	b->written++;
	__atomic_store_n(&h->tail, next, __ATOMIC_RELEASE);
	__atomic_store_n(&h->written, b->written, __ATOMIC_RELEASE);
	return !full;
}
