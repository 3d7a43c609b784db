// SPDX-License-Identifier: BSD-3-Clause
/*
 * What a driver may do to the rings of one device on fake_pci.h, as steps of a fuzzer's input:
 * memory writes, bells, resets. Included once by a target, which makes `fake`.
 */
#ifndef RING_STEPS_H
#define RING_STEPS_H

#include <assert.h>
#include <linux/virtio_pci.h>

#include "fake_guest.h"
#include "fake_pci.h"
#include "fuzz.h"
#include "pci_modern.h"

#define BAR    4U
#define MEMORY 0x8000U

static struct fake_pci fake;
static struct ring rings[3]; /* of first_queue and the next */
static unsigned int first_queue;

static void put(uint64_t offset, unsigned int size, uint64_t value)
{
	pci_modern_bar_write(&fake.pci, BAR, offset, size, value);
}

/* From reset to DRIVER_OK: with bits 0 to 2 of @options indirect tables, event index, @features. */
static void start(unsigned int queues, uint8_t options, uint32_t features)
{
	static const uint16_t ring_at[] = {0x1000, 0x5000, 0x3000};

	put(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	put(VIRTIO_PCI_COMMON_STATUS, 1, 3);
	put(VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	put(VIRTIO_PCI_COMMON_GF, 4,
	    (options & 1 ? 1U << 28 : 0) | (options & 2 ? 1U << 29 : 0) |
		    (options & 4 ? features : 0));
	put(VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	put(VIRTIO_PCI_COMMON_GF, 4, 1);
	put(VIRTIO_PCI_COMMON_STATUS, 1, 11);
	for (unsigned int q = 0; q < queues; q++) {
		struct ring *r = &rings[q];

		ring_init(r, ring_at[q], 8);
		put(VIRTIO_PCI_COMMON_Q_SELECT, 2, first_queue + q);
		put(VIRTIO_PCI_COMMON_Q_SIZE, 2, r->size);
		put(VIRTIO_PCI_COMMON_Q_DESCLO, 8, r->desc);
		put(VIRTIO_PCI_COMMON_Q_AVAILLO, 8, r->avail);
		put(VIRTIO_PCI_COMMON_Q_USEDLO, 8, r->used);
		put(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	}
	put(VIRTIO_PCI_COMMON_STATUS, 1, 15);
	assert((pci_modern_bar_read(&fake.pci, BAR, VIRTIO_PCI_COMMON_STATUS, 1) & 15) == 15);
}

static void step(struct fuzz *in, unsigned int queues, uint32_t features)
{
	static const uint8_t of_three[] = {0, 2, 1, 1};
	uint8_t what = (uint8_t)fuzz_take(in, 1);
	uint16_t i = (uint16_t)fuzz_take(in, 1);
	unsigned int q = queues < 3 ? what >> 7 & (queues - 1) : of_three[what >> 6];
	struct ring *r = &rings[q];
	uint64_t addr;
	size_t len;

	switch ((what & 0x3F) % 6) {
	case 0: /* a descriptor, of the ring or of a table at 0x4000 */
		addr = fuzz_take(in, 2) & 0x7FFF;
		ring_desc_at(i & 0x80 ? 0x4000 : r->desc, i % 8, addr, (uint32_t)fuzz_take(in, 2),
			     (uint16_t)(fuzz_take(in, 1) & 7), (uint16_t)(fuzz_take(in, 1) & 15));
		break;
	case 1: /* two small numbers: a request's type and sector */
		addr = 0x2000 + (i % 8) * 16U;
		memset(guest_at(addr, 16), 0, 16);
		*(uint8_t *)guest_at(addr, 1) = (uint8_t)fuzz_take(in, 1);
		*(uint8_t *)guest_at(addr + 8, 1) = (uint8_t)fuzz_take(in, 1);
		break;
	case 2: /* any bytes anywhere */
		addr = fuzz_take(in, 2) % MEMORY;
		len = i % 32 < in->left ? i % 32 : in->left;
		memcpy(guest_at(addr, len), in->data, len);
		in->data += len;
		in->left -= len;
		break;
	case 3:
		ring_offer(r, i);
		break;
	case 4:
		pci_modern_bar_write(&fake.pci, 2, 4 * (first_queue + q), 2, q);
		break;
	default:
		if (i % 4 == 0)
			start(queues, (uint8_t)(i >> 2), features);
		else
			put(0x2000 + i % 64, 1, i);
	}
}

#endif
