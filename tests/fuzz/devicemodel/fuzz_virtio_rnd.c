// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: devicemodel/virtio/rnd.c devicemodel/virtio/queue.c devicemodel/virtio/chain.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/pci_modern.c devicemodel/virtio/virtio.c
// links: tests/unit/devicemodel/fake_pci.c devicemodel/core/log.c
// links: tests/unit/devicemodel/fake_guest.c tests/unit/devicemodel/driver_ring.c
/*
 * Any driver for the entropy device: does it keep to the guest's memory, and does it still fill a
 * buffer after a reset? Input: the ring's options, then steps of ring_steps.h.
 */
#include <linux/virtio_ring.h>

#include "log.h"
#include "ring_steps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = {data, size};
	uint32_t id, len;

	log_set_level(0);
	guest_create();
	assert(fake_pci_create(&fake, "virtio-rnd", NULL) == 0);
	start(1, (uint8_t)fuzz_take(&in, 1), 1U << VIRTIO_RING_F_EVENT_IDX);
	while (in.left != 0)
		step(&in, 1, 1U << VIRTIO_RING_F_EVENT_IDX);
	start(1, 0, 1U << VIRTIO_RING_F_EVENT_IDX);
	ring_desc(&rings[0], 0, 0x4000, 16, 2, 0);
	ring_offer(&rings[0], 0);
	pci_modern_bar_write(&fake.pci, 2, 0, 2, 0);
	assert(ring_take(&rings[0], &id, &len) && len == 16);
	fake_pci_destroy(&fake);
	guest_destroy();
	return 0;
}
