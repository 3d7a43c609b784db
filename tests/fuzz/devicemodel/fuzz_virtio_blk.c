// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: devicemodel/virtio/blk.c devicemodel/backend/block.c
// links: devicemodel/virtio/pci_modern.c devicemodel/virtio/virtio.c devicemodel/virtio/queue.c
// links: devicemodel/virtio/chain.c devicemodel/backend/block_config.c
// links: tests/unit/devicemodel/fake_pci.c
// links: devicemodel/core/log.c tests/unit/devicemodel/fake_guest.c tests/unit/devicemodel/driver_ring.c
/*
 * Any driver for a disk: does virtio-blk keep to the guest's memory and to the disk, and is it
 * still alive after a reset? Input: the ring's options, then a stream of memory writes, bells and
 * resets. The disk is real, in memory; its first sector past the end must stay as it was.
 */
#include <assert.h>
#include <stdio.h>
#include <unistd.h>
#include <linux/virtio_pci.h>
#include <sys/mman.h>

#include "fake_guest.h"
#include "fake_pci.h"
#include "fuzz.h"
#include "log.h"
#include "pci_modern.h"

#define BAR    4U
#define MEMORY 0x8000U
#define RING   0x1000U
#define DISK   0x8000

static struct fake_pci fake;

static void put(uint64_t offset, unsigned int size, uint64_t value)
{
	pci_modern_bar_write(&fake.pci, BAR, offset, size, value);
}

static void start(struct ring *r, uint8_t options)
{
	put(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	put(VIRTIO_PCI_COMMON_STATUS, 1, 3);
	put(VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	put(VIRTIO_PCI_COMMON_GF, 4,
	    (options & 1 ? 1U << 28 : 0) | (options & 2 ? 1U << 29 : 0) |
		    (options & 4 ? 1U << 9 : 0));
	put(VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	put(VIRTIO_PCI_COMMON_GF, 4, 1);
	put(VIRTIO_PCI_COMMON_STATUS, 1, 11);
	ring_init(r, RING, 8);
	put(VIRTIO_PCI_COMMON_Q_SIZE, 2, r->size);
	put(VIRTIO_PCI_COMMON_Q_DESCLO, 8, r->desc);
	put(VIRTIO_PCI_COMMON_Q_AVAILLO, 8, r->avail);
	put(VIRTIO_PCI_COMMON_Q_USEDLO, 8, r->used);
	put(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	put(VIRTIO_PCI_COMMON_STATUS, 1, 15);
	assert(pci_modern_bar_read(&fake.pci, BAR, VIRTIO_PCI_COMMON_STATUS, 1) == 15);
}

static void step(struct fuzz *in, struct ring *r)
{
	uint8_t what = (uint8_t)fuzz_take(in, 1);
	uint16_t i = (uint16_t)fuzz_take(in, 1);
	uint64_t addr;
	size_t len;

	switch (what % 6) {
	case 0: /* a descriptor, of the ring or of a table at 0x4000 */
		addr = fuzz_take(in, 2) & 0x7FFF;
		ring_desc_at(i & 0x80 ? 0x4000 : r->desc, i % 8, addr, (uint32_t)fuzz_take(in, 2),
			     (uint16_t)(fuzz_take(in, 1) & 7), (uint16_t)(fuzz_take(in, 1) & 15));
		break;
	case 1: /* a request header */
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
		pci_modern_bar_write(&fake.pci, 2, 0, 2, 0);
		break;
	default:
		if (i % 4 == 0)
			start(r, (uint8_t)(i >> 2));
		else
			put(0x2000 + i % 64, 1, i);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = {data, size};
	uint8_t tail[512], same[512];
	struct ring ring;
	char path[64];
	int fd = memfd_create("disk", MFD_CLOEXEC);

	log_set_level(0);
	memset(same, 0xA5, sizeof(same));
	/* 511 bytes that are no whole sector: not part of the disk. */
	assert(fd >= 0 && pwrite(fd, same, 511, DISK) == 511);
	snprintf(path, sizeof(path), "/proc/self/fd/%d,writeback", fd);
	guest_create();
	assert(fake_pci_create(&fake, "virtio-blk", path) == 0);
	start(&ring, (uint8_t)fuzz_take(&in, 1));
	while (in.left != 0)
		step(&in, &ring);
	start(&ring, 7);
	fake_pci_destroy(&fake);
	guest_destroy();
	assert(pread(fd, tail, 512, DISK) == 511 && memcmp(tail, same, 511) == 0);
	close(fd);
	return 0;
}
