// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: devicemodel/core/options.c devicemodel/core/vm_options.c devicemodel/core/load_ovmf.c
// fuzzes: devicemodel/core/cpu_map.c devicemodel/backend/block_config.c
// links: devicemodel/virtio/doorbell.c
// links: @machine devicemodel/virtio/queue.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/chain.c devicemodel/virtio/virtio.c devicemodel/virtio/pci_modern.c
// links: devicemodel/virtio/net.c devicemodel/virtio/rnd.c tests/unit/devicemodel/fake_tap.c
// links: devicemodel/virtio/net_control.c devicemodel/virtio/net_config.c
// links: devicemodel/virtio/net_vhost.c devicemodel/virtio/vhost.c devicemodel/virtio/irqfd.c
/*
 * Any command line, and the options of the devices on it. Input: the words, a line each; what is
 * behind a zero byte is the Service VM's MADT. Disks are parsed and not opened.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block_config.h"
#include "cpu_map.h"
#include "dm_machine.h"
#include "fake_hsm.h"
#include "fake_tap.h"
#include "fuzz.h"
#include "log.h"
#include "options.h"
#include "pci.h"

#define WORDS 64

/* A disk is there for the parser of -s alone. */
static int disk_init(struct pci_device *dev, const char *config)
{
	(void)dev;
	(void)config;
	abort();
}

static const struct pci_ops disk = {.name = "virtio-blk", .init = disk_init};
PCI_DEVICE(disk);

static void set_up(void)
{
	if (freopen("/dev/null", "w", stdout) == NULL)
		abort();
	log_set_level(0);
	fake_hsm_reset();
	machine_create("-s 0,hostbridge");
}

/* Keep of @cfg what can be made here: every device but disks, no serial ports. */
static void make(const struct vm_config *cfg)
{
	struct block_config block;
	unsigned int count = 0;

	for (unsigned int i = 0; i < cfg->slot_count; i++) {
		assert(cfg->slots[i].slot < PCI_SLOTS && cfg->slots[i].func < PCI_FUNCS);
		if (strcmp(cfg->slots[i].name, "virtio-blk") != 0)
			machine.cfg.slots[count++] = cfg->slots[i];
		else if (block_config_parse(&block, "disk", cfg->slots[i].config) == 0)
			assert((block.path[0] == '\0') == block.no_disk &&
			       memchr(block.path, 0, sizeof(block.path)));
	}
	machine.cfg.slot_count = count;
	pci_bus_destroy(&machine);
	if (pci_bus_create(&machine) < 0) {
		machine.cfg.slot_count = 0;
		assert(pci_bus_create(&machine) == 0);
	}
	fake_tap_reset();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vm_config cfg;
	const uint8_t *madt = memchr(data, 0, size);
	char *text = strndup((const char *)data, size), *rest = text;
	char *argv[WORDS + 2] = {"acrn-dm"};
	int argc = 1;

	if (machine.loop == NULL)
		set_up();
	if (madt != NULL && size - (size_t)(madt - data) > 2)
		(void)cpu_map_search_madt(madt + 2, size - (size_t)(madt - data) - 2, madt[1]);
	while (argc <= WORDS && rest != NULL && *rest != '\0')
		argv[argc++] = strsep(&rest, "\n");
	memset(&cfg, 0, sizeof(cfg));
	if (options_parse(argc, argv, &cfg) == OPTIONS_RUN) {
		assert(cfg.name[0] != '\0' && strlen(cfg.name) < 16 && 
		       (cfg.kernel == NULL) == (cfg.ovmf.vars != NULL));
		make(&cfg);
	}
	/* A disk's options without the rest, which a fuzzer is slow to find. */
	if (argc > 1)
		(void)block_config_parse(&(struct block_config) {0}, "disk", argv[1]);
	free(text);
	return 0;
}
