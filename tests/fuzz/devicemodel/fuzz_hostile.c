// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: devicemodel/virtio/queue.c devicemodel/virtio/chain.c devicemodel/virtio/virtio.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// fuzzes: devicemodel/virtio/pci_modern.c devicemodel/virtio/blk.c devicemodel/virtio/net.c
// fuzzes: devicemodel/virtio/rnd.c devicemodel/virtio/console.c
// fuzzes: devicemodel/pci/pci_bar.c devicemodel/pci/pci_cfg.c devicemodel/pci/ivshmem.c
// fuzzes: devicemodel/pci/pci_intx.c devicemodel/pci/pci_msix.c
// links: devicemodel/virtio/doorbell.c
// links: @machine devicemodel/backend/block.c devicemodel/backend/block_uring.c
// links: devicemodel/backend/block_config.c tests/target/guest/hostile_pour.c
// links: tests/unit/devicemodel/pour_dm.c tests/unit/devicemodel/fake_tap.c
// links: devicemodel/virtio/net_control.c devicemodel/virtio/net_config.c
// links: devicemodel/virtio/net_vhost.c devicemodel/virtio/vhost.c devicemodel/virtio/irqfd.c
// options: -max_len=4096
/*
 * The hostile guest of hostile_pour.c, led by the input: do all devices work again once
 * their drivers have reset them? Net, rnd and disk of the whole device model, with a wire.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/mman.h>

#include "dm_machine.h"
#include "fake_hsm.h"
#include "fake_tap.h"
#include "fuzz.h"
#include "log.h"
#include "pour_dm.h"

static struct fuzz in;

uint64_t pour_random(void)
{
	uint64_t value = fuzz_take(&in, 1);

	/* A byte for most decisions; 0xFF says that a larger number follows. */
	return value == 0xFF ? fuzz_take(&in, 8) : value;
}

static void set_up(void)
{
	char options[256], path[64];
	int disk = memfd_create("disk", MFD_CLOEXEC);

	if (disk < 0 || ftruncate(disk, 64 << 10) < 0)
		abort();
	log_set_level(0);
	fake_hsm_reset();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", disk);
	snprintf(options, sizeof(options), POUR_OPTIONS, path);
	machine_create(options);
	pour_vm = &machine;
	pour_restore();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char packet[2048] = {0};
	const char *broken;
	int peer;

	if (pour_vm == NULL)
		set_up();
	peer = fake_tap_find("pour")->peer;
	in = (struct fuzz) {data, size};
	while (in.left != 0) {
		pour_act();
		if (in.left % 16 == 0 && write(peer, packet, 12 + 60) < 0)
			continue;
	}
	pour_restore();
	broken = pour_broken();
	if (broken != NULL) {
		fprintf(stderr, "%s is broken\n", broken);
		abort();
	}
	while (read(peer, packet, sizeof(packet)) > 0)
		;
	return 0;
}
