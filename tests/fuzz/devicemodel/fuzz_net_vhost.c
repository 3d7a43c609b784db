// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: devicemodel/virtio/net_vhost.c devicemodel/virtio/vhost.c devicemodel/virtio/irqfd.c
// fuzzes: devicemodel/virtio/doorbell.c devicemodel/pci/pci_msix.c
// links: @machine devicemodel/virtio/queue.c devicemodel/virtio/chain.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/virtio.c devicemodel/virtio/pci_modern.c devicemodel/virtio/net.c
// links: devicemodel/virtio/net_control.c devicemodel/virtio/net_config.c
// links: tests/unit/devicemodel/fake_tap.c tests/unit/devicemodel/fake_vhost.c
// options: -max_len=512
/*
 * Any driver for a network card that vhost serves: does vhost get rings in the guest's memory and
 * no others, and has the HSM at each moment just the messages that the guest wants? Input: steps.
 */
#include <assert.h>
#include <linux/virtio_pci.h>

#include "dm_machine.h"
#include "fake_hsm.h"
#include "fake_tap.h"
#include "fake_vhost.h"
#include "fuzz.h"
#include "log.h"
#include "pci_modern.h"
#include "pci_priv.h"

#define SLOT	5U
#define QUEUES	3U
#define MESSAGE 0xFEE01000U
#define COMMON	4U
#define BELLS	2U

static struct pci_device *card;
static struct virtio_dev *dev;

static void set_up(void)
{
	log_set_level(0);
	fake_hsm_reset();
	fake_vhost_reset();
	machine_create("-s 0,hostbridge -s 5,virtio-net,tap=one,vhost");
	card = (struct pci_device *)(uintptr_t)pci_bus_device(&machine, SLOT, 0);
	dev = card->priv; /* the transport's first member */
}

static const struct acrn_irqfd *hsm_knows(int fd)
{
	for (unsigned int i = 0; i < FAKE_HSM_IRQFDS; i++)
		if (fake_hsm.irqfd[i].fd != 0 && fake_hsm.irqfd[i].fd == fd)
			return &fake_hsm.irqfd[i];
	return NULL;
}

static void check(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		const struct fake_vhost_ring *ring = &fake_vhost[0].ring[i];
		const struct acrn_irqfd *irqfd = hsm_knows(ring->call);
		bool direct = false;
		uint64_t addr;
		uint32_t data;

		if (fake_vhost_serves(ring)) {
			/* fake_vhost.c has seen to it that it is in the guest's memory. */
			assert((atomic_load(&dev->status) & VIRTIO_CONFIG_S_DRIVER_OK) != 0);
			assert(ring->size == dev->queue[i].size);
			assert(ring->addr.desc_user_addr == (uintptr_t)dev->queue[i].desc);
			direct = pci_msix_message(card, atomic_load(&dev->queue[i].vector), &addr,
						  &data);
		}
		assert((irqfd != NULL) == direct);
		if (irqfd != NULL)
			assert(irqfd->msi.msi_addr == addr && irqfd->msi.msi_data == data &&
			       addr >> 20 == 0xFEE);
	}
}

static void put(uint64_t offset, unsigned int size, uint64_t value)
{
	pci_modern_bar_write(card, COMMON, offset, size, value);
}

/* As drivers do, but that any of it may be missing. */
static void program(struct fuzz *in)
{
	uint64_t features = fuzz_take(in, 4) | 1ULL << VIRTIO_F_VERSION_1;
	uint8_t skip = (uint8_t)fuzz_take(in, 1);

	put(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	for (unsigned int i = 0; i < 2; i++) {
		put(VIRTIO_PCI_COMMON_GFSELECT, 4, i);
		put(VIRTIO_PCI_COMMON_GF, 4,
		    (uint32_t)(features >> 32 * i) & dev->offered >> 32 * i);
	}
	put(VIRTIO_PCI_COMMON_STATUS, 1, 11);
	for (unsigned int i = 0; i < QUEUES; i++) {
		put(VIRTIO_PCI_COMMON_Q_SELECT, 2, i);
		put(VIRTIO_PCI_COMMON_Q_DESCLO, 8, 0x100000 + i * 0x10000ULL);
		put(VIRTIO_PCI_COMMON_Q_AVAILLO, 8, 0x104000 + i * 0x10000ULL);
		put(VIRTIO_PCI_COMMON_Q_USEDLO, 8, 0x108000 + i * 0x10000ULL);
		put(VIRTIO_PCI_COMMON_Q_MSIX, 2, i + 1);
		if ((skip >> i & 1) == 0)
			put(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	}
	if ((skip & 8) == 0)
		put(VIRTIO_PCI_COMMON_STATUS, 1, 15);
}

static void write_table(struct fuzz *in, uint8_t what)
{
	unsigned int entry = (unsigned int)fuzz_take(in, 1) % (QUEUES + 1), word = what >> 3 & 3;
	uint32_t value = (uint32_t)fuzz_take(in, 1);

	if (word == 0 && (what & 0x20) == 0)
		value = MESSAGE;
	(void)pci_msix_write(card, 1, entry * 16 + word * 4, 4, value);
}

static void signal_one(uint8_t what)
{
	const struct fake_vhost_ring *ring = &fake_vhost[0].ring[what >> 3 & 1];

	if (fake_vhost_serves(ring))
		fake_hsm_signal((what & 0xE0) == 0 ? ring->error : ring->call);
}

static void step(struct fuzz *in)
{
	uint8_t what = (uint8_t)fuzz_take(in, 1);
	unsigned int width = 1U << (what >> 3 & 3);
	uint64_t offset;

	switch (what & 7) {
	case 0: /* of the legacy registers */
	case 1: /* or the common ones */
		offset = fuzz_take(in, 1) & 0x3F;
		pci_modern_bar_write(card, (what & 7) == 0 ? 0 : COMMON, offset, width,
				     fuzz_take(in, width));
		break;
	case 2:
		write_table(in, what);
		break;
	case 3:
		pci_bus_write(&machine, 0, SLOT, 0, card->msix_cap + PCI_MSIX_FLAGS, 2,
			      (uint32_t)fuzz_take(in, 1) << 8);
		break;
	case 4:
		pci_modern_bar_write(card, BELLS, what >> 3, 2, 0);
		break;
	case 5:
		signal_one(what);
		break;
	case 6:
		program(in);
		break;
	default:
		if ((what & 8) != 0)
			pci_bus_reset(&machine);
		else
			pci_bus_write(&machine, 0, SLOT, 0, PCI_COMMAND, 2, what >> 4);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = {data, size};

	if (card == NULL)
		set_up();
	while (in.left != 0) {
		step(&in);
		check();
	}
	pci_bus_reset(&machine);
	check();
	for (unsigned int i = 0; i < FAKE_HSM_IRQFDS; i++)
		assert(fake_hsm.irqfd[i].fd == 0);
	for (unsigned int i = 0; i < FAKE_HSM_DOORBELLS; i++)
		assert(fake_hsm.doorbell[i].len == 0);
	return 0;
}
