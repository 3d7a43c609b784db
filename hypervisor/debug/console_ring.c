// SPDX-License-Identifier: BSD-3-Clause
/*
 * What the console is on when there is no serial port: a ring of characters that the Service VM
 * reads, and a queue of the keys that its root writes (vpci/func/ring_function_debug.c). A full
 * ring loses its oldest characters; nobody is waited for. Only console.c writes the ring and takes
 * keys, with its lock held. Keys come from any CPU: a leaf lock for their queue.
 */
#include "hv/console.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/rings.h"
#include "lib/sbuf.h"
#include "lib/spinlock.h"

#define RING_BYTES ((uint32_t)KB(32)) /* with its header */
#define TX_ROOM	   512U		      /* a round of the console's */
#define KEYS	   256U

static struct sbuf ring;

static spinlock_t lock;
static uint8_t keys[KEYS];
static uint32_t key_head, key_count;

void console_ring_start(void)
{
	struct sbuf_header *header = boot_alloc(RING_BYTES, PAGE_SIZE);
	const struct sbuf_header h = {
		.ele_num = RING_BYTES - (uint32_t)sizeof(h),
		.ele_size = 1U,
		.flags = SBUF_COUNT_OVERRUNS | SBUF_OVERWRITE,
	};

	ASSERT(sbuf_open(&ring, header, &h, RING_BYTES) == 0);
}

hpa_t console_ring_memory(uint64_t *size)
{
	*size = (ring.header != NULL) ? RING_BYTES : 0U;
	return ptr_hpa(ring.header);
}

uint32_t console_ring_tx_room(void)
{
	return TX_ROOM;
}

void console_ring_tx(uint8_t c)
{
	(void)sbuf_put(&ring, &c);
}

bool console_ring_full(void)
{
	return ring.header == NULL || key_count == KEYS;
}

void console_ring_key(uint8_t c)
{
	spin_lock(&lock);
	if (!console_ring_full()) {
		keys[(key_head + key_count) % KEYS] = c;
		key_count++;
	}
	spin_unlock(&lock);
}

int console_ring_rx(void)
{
	int c = UART_RX_NONE;

	spin_lock(&lock);
	if (key_count != 0U) {
		c = keys[key_head];
		key_head = (key_head + 1U) % KEYS;
		key_count--;
	}
	spin_unlock(&lock);
	return c;
}
