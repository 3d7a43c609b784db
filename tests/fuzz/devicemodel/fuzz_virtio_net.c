// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: devicemodel/virtio/net.c devicemodel/virtio/queue.c devicemodel/virtio/chain.c
// fuzzes: devicemodel/virtio/net_control.c devicemodel/virtio/net_config.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/pci_modern.c devicemodel/virtio/virtio.c
// links: devicemodel/core/mevent.c devicemodel/core/iothread.c
// links: tests/unit/devicemodel/fake_tap.c tests/unit/devicemodel/fake_pci.c
// links: devicemodel/core/log.c tests/unit/devicemodel/fake_guest.c
// links: tests/unit/devicemodel/driver_ring.c
// links: devicemodel/virtio/net_vhost.c devicemodel/virtio/vhost.c devicemodel/virtio/irqfd.c
/*
 * Any driver for a network card, with packets of any length from the wire: does the card keep to
 * the guest's memory, and does a packet pass and a command hold after a reset? Input: the rings'
 * options, then steps of ring_steps.h; the event loop's thread receives while they are done.
 */
#include <stdlib.h>
#include <unistd.h>
#include <linux/virtio_net.h>

#include "fake_tap.h"
#include "gmem.h"
#include "hsm.h"
#include "iothread.h"
#include "log.h"
#include "ring_steps.h"
#include "vm.h"

#define FEATURES                                                                                   \
	(1U << VIRTIO_NET_F_GUEST_CSUM | 1U << VIRTIO_NET_F_MRG_RXBUF |                            \
	 1U << VIRTIO_NET_F_CTRL_VQ | 1U << VIRTIO_NET_F_CTRL_RX |                                 \
	 1U << VIRTIO_NET_F_CTRL_MAC_ADDR | 1U << VIRTIO_NET_F_CTRL_GUEST_OFFLOADS)

static struct vm vm;

/* There is no vhost here, and nothing for it. */

unsigned int gmem_pieces(const struct vm *of, struct gmem_piece pieces[GMEM_PIECES])
{
	(void)of;
	(void)pieces;
	return 0;
}

int hsm_irqfd(struct hsm *hsm, const struct acrn_irqfd *req)
{
	(void)hsm;
	(void)req;
	return -1;
}

static int create(void)
{
	SECTION_DECLARE(dm_pci_devices, struct pci_ops);

	memset(&fake, 0, sizeof(fake));
	fake.msix = true;
	fake.pci.cap_end = 0x40;
	fake.pci.vm = &vm;
	SECTION_FOREACH(dm_pci_devices, struct pci_ops, it)
	{
		fake.pci.ops = *it;
	}
	return fake.pci.ops->init(&fake.pci, "tap=fuzz");
}

static void from_wire(int peer, size_t len)
{
	static const uint8_t packet[2048];

	if (write(peer, packet, len) < 0)
		return; /* the wire is full */
}

static bool wait_used(unsigned int q, uint32_t *len)
{
	uint32_t id;

	for (unsigned int i = 0; i < 100000; i++) {
		if (ring_take(&rings[q], &id, len))
			return true;
		usleep(10);
	}
	return false;
}

/* A command, once the device is honest again. */
static bool promiscuous_off(void)
{
	uint8_t *at = guest_at(0x7000, 4);
	uint32_t len;

	memcpy(at, "\0\0\0\xEE", 4);
	ring_desc(&rings[2], 0, 0x7000, 3, 1, 1);
	ring_desc(&rings[2], 1, 0x7003, 1, 2, 0);
	ring_offer(&rings[2], 0);
	pci_modern_bar_write(&fake.pci, 2, 8, 2, 2);
	return wait_used(2, &len) && len == 1 && at[3] == VIRTIO_NET_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = {data, size};
	struct iothread *thread;
	uint8_t packet[2048];
	uint32_t len;
	int peer;

	log_set_level(0);
	if (vm.loop == NULL) {
		thread = iothread_create("loop");
		assert(thread != NULL && iothread_start(thread) == 0);
		vm.loop = iothread_loop(thread);
	}
	guest_create();
	assert(create() == 0);
	peer = fake_tap_find("fuzz")->peer;
	start(3, (uint8_t)fuzz_take(&in, 1), FEATURES);
	while (in.left != 0) {
		if (in.data[0] == 0xFF) {
			(void)fuzz_take(&in, 1);
			from_wire(peer, 1 + fuzz_take(&in, 2) % 2047);
		} else {
			step(&in, 3, FEATURES);
		}
	}
	put(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	while (read(peer, packet, sizeof(packet)) > 0)
		;
	start(3, 4, FEATURES);
	ring_desc(&rings[1], 0, 0x8000, 12 + 60, 0, 0);
	ring_offer(&rings[1], 0);
	pci_modern_bar_write(&fake.pci, 2, 4, 2, 1);
	assert(wait_used(1, &len) && read(peer, packet, sizeof(packet)) == 12 + 60);
	assert(promiscuous_off() && fake_tap_find("fuzz")->count == 2);
	fake_pci_destroy(&fake);
	fake_tap_reset();
	guest_destroy();
	return 0;
}
