// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: devicemodel/virtio/blk.c devicemodel/backend/block.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/pci_modern.c devicemodel/virtio/virtio.c devicemodel/virtio/queue.c
// links: devicemodel/virtio/chain.c devicemodel/backend/block_config.c
// links: devicemodel/backend/block_uring.c
// links: tests/unit/devicemodel/fake_pci.c devicemodel/core/log.c
// links: tests/unit/devicemodel/fake_guest.c tests/unit/devicemodel/driver_ring.c
/*
 * Any driver for a disk: does virtio-blk keep to the guest's memory and to the disk, and is it
 * still alive after a reset? Input: the ring's options, then steps of ring_steps.h. The disk is
 * real, a part of a file in memory, with two queues; the sectors beside it must stay as they were.
 */
#include <stdio.h>
#include <unistd.h>
#include <linux/virtio_blk.h>
#include <sys/mman.h>

#include "log.h"
#include "ring_steps.h"

#define DISK   0x8000
#define AROUND 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = {data, size};
	uint8_t tail[AROUND], same[AROUND], options;
	uint32_t features;
	char path[64];
	int fd = memfd_create("disk", MFD_CLOEXEC);

	log_set_level(0);
	memset(same, 0xA5, sizeof(same));
	assert(fd >= 0 && pwrite(fd, same, AROUND, 0) == AROUND &&
	       pwrite(fd, same, AROUND, AROUND + DISK) == AROUND);
	snprintf(path, sizeof(path), "/proc/self/fd/%d,mq=2,writeback,discard=16:4:1,range=1/64",
		 fd);
	guest_create();
	assert(fake_pci_create(&fake, "virtio-blk", path) == 0);
	options = (uint8_t)fuzz_take(&in, 1);
	features = 1U << VIRTIO_BLK_F_MQ |
		   1U << (options & 8 ? VIRTIO_BLK_F_DISCARD : VIRTIO_BLK_F_FLUSH);
	start(2, options, features);
	while (in.left != 0)
		step(&in, 2, features);
	start(2, 7, 1U << VIRTIO_BLK_F_FLUSH);
	fake_pci_destroy(&fake);
	guest_destroy();
	assert(pread(fd, tail, AROUND, 0) == AROUND && memcmp(tail, same, AROUND) == 0);
	assert(pread(fd, tail, AROUND, AROUND + DISK) == AROUND && memcmp(tail, same, AROUND) == 0);
	close(fd);
	return 0;
}
