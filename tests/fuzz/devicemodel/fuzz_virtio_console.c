// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: devicemodel/virtio/console.c devicemodel/virtio/queue.c devicemodel/virtio/chain.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/pci_modern.c devicemodel/virtio/virtio.c devicemodel/core/chardev.c
// links: devicemodel/core/mevent.c
// links: tests/unit/devicemodel/fake_pci.c devicemodel/core/log.c
// links: tests/unit/devicemodel/fake_guest.c tests/unit/devicemodel/driver_ring.c
/*
 * Any driver for the console: does it keep to the guest's memory whatever the control messages are,
 * and does it tell of its ports after a reset? Input: which pair of queues (a port's, or
 * control's), the ring's options, then steps of ring_steps.h.
 */
#include <linux/virtio_console.h>

#include "log.h"
#include "ring_steps.h"
#include "vm.h"

/* What it has of a VM: an event loop, which files have no use for. */
static struct vm vm;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct virtio_console_control ready = {0, VIRTIO_CONSOLE_DEVICE_READY, 1};
	struct fuzz in = {data, size};
	uint32_t id, len;

	log_set_level(0);
	guest_create();
	fake.pci.vm = &vm;
	assert(fake_pci_create(&fake, "virtio-console", "@file:a=/dev/null,file:b=/dev/null") == 0);
	first_queue = (unsigned int)fuzz_take(&in, 1) % 5U * 2U;
	start(2, (uint8_t)fuzz_take(&in, 1), 1U << VIRTIO_CONSOLE_F_MULTIPORT);
	while (in.left != 0)
		step(&in, 2, 1U << VIRTIO_CONSOLE_F_MULTIPORT);
	first_queue = 2;
	start(2, 4, 1U << VIRTIO_CONSOLE_F_MULTIPORT);
	for (uint16_t i = 0; i < 2; i++) {
		ring_desc(&rings[0], i, 0x4000 + i * 64U, 64, 2, 0);
		ring_offer(&rings[0], i);
	}
	memcpy(guest_at(0x4100, sizeof(ready)), &ready, sizeof(ready));
	ring_desc(&rings[1], 0, 0x4100, sizeof(ready), 0, 0);
	ring_offer(&rings[1], 0);
	pci_modern_bar_write(&fake.pci, 2, 4 * 3, 2, 0);
	for (unsigned int i = 0; i < 2; i++)
		assert(ring_take(&rings[0], &id, &len) && id == i && len == sizeof(ready));
	fake_pci_destroy(&fake);
	guest_destroy();
	return 0;
}
