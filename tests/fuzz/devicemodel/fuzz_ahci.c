// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: devicemodel/pci/ahci.c devicemodel/pci/ahci_cmd.c devicemodel/pci/ahci_ata.c
// fuzzes: devicemodel/pci/ahci_atapi.c
// links: devicemodel/core/log.c devicemodel/backend/block.c devicemodel/backend/block_uring.c
// links: devicemodel/backend/block_config.c
// links: tests/unit/devicemodel/fake_guest.c tests/unit/devicemodel/fake_pci.c
/*
 * Any driver for a disk and a CD drive behind the AHCI controller: do registers, commands and their
 * tables lead nowhere but to the guest's memory and the two files, and does the disk still answer
 * after a reset? Input: writes of registers, and of memory where the command lists are.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_guest.h"
#include "fake_pci.h"
#include "fuzz.h"
#include "log.h"

#define BAR	 5U
#define SECTORS	 64U
#define LIST	 0x1000U
#define RECEIVED 0x2000U
#define TABLE	 0x3000U
#define DATA	 0x4000U

#define GHC	     0x04U
#define PORT(n, reg) (0x100U + 0x80U * (n) + (reg))
#define CLB	     0x00U
#define FB	     0x08U
#define IS	     0x10U
#define CMD	     0x18U
#define TFD	     0x20U
#define CI	     0x38U

static struct fake_pci fake;

static uint32_t get(unsigned int reg)
{
	return (uint32_t)fake.pci.ops->bar_read(&fake.pci, BAR, reg, 4);
}

static void put(unsigned int reg, uint32_t value)
{
	fake.pci.ops->bar_write(&fake.pci, BAR, reg, 4, value);
}

/* Nothing goes on by itself when the driver is done: what it asked for ends. */
static void wait_port(unsigned int port)
{
	for (unsigned int i = 0; i < 100000 && (get(PORT(port, TFD)) & 0x80) != 0; i++)
		usleep(10);
	assert((get(PORT(port, TFD)) & 0x80) == 0);
}

static void start_port(unsigned int port)
{
	put(PORT(port, CLB), LIST);
	put(PORT(port, FB), RECEIVED);
	put(PORT(port, CMD), 0x11);
}

/* Slot @slot of either port: a table of @prds pieces, a register FIS with @command, a packet. */
static void command(struct fuzz *in, unsigned int port, unsigned int slot)
{
	uint32_t table = TABLE + slot % 4 * 0x400;
	uint32_t header[4] = {(uint32_t)fuzz_take(in, 1) << 16 | 5, 0, table, 0};
	uint8_t *fis = guest_at(table, 0x400);

	memcpy(guest_at(LIST + slot * 32, 32), header, sizeof(header));
	memset(fis, 0, 0x80);
	fis[0] = 0x27;
	fis[1] = 0x80;
	fis[2] = (uint8_t)fuzz_take(in, 1);
	fis[3] = (uint8_t)fuzz_take(in, 1);
	fis[4] = (uint8_t)fuzz_take(in, 1);
	fis[7] = 0x40;
	fis[12] = (uint8_t)fuzz_take(in, 1);
	for (unsigned int i = 0; i < 12; i++)
		fis[0x40 + i] = (uint8_t)fuzz_take(in, 1);
	put(PORT(port, CI), 1U << slot);
	wait_port(port);
}

static void play(struct fuzz *in)
{
	uint8_t what = (uint8_t)fuzz_take(in, 1);
	unsigned int port = what >> 2 & 1, slot = what >> 3;

	switch (what & 3) {
	case 0:
		put((unsigned int)fuzz_take(in, 2) & 0x3ff, (uint32_t)fuzz_take(in, 4));
		break;
	case 1: { /* a header, a table or an entry of one */
		uint64_t at = LIST + (fuzz_take(in, 2) & 0x3ff8), value = fuzz_take(in, 8);

		memcpy(guest_at(at, 8), &value, 8);
		break;
	}
	case 2:
		command(in, port, slot);
		break;
	default:
		start_port(port);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = {data, size};
	static char config[128];
	static int disk = -1;

	log_set_level(0);
	if (disk < 0) {
		int cd = memfd_create("cd", MFD_CLOEXEC);

		disk = memfd_create("disk", MFD_CLOEXEC);
		assert(ftruncate(disk, SECTORS * 512) == 0 && ftruncate(cd, SECTORS * 512) == 0);
		snprintf(config, sizeof(config), "hd:/proc/self/fd/%d,cd:/proc/self/fd/%d", disk,
			 cd);
	}
	guest_create();
	assert(fake_pci_create(&fake, "ahci", config) == 0);
	start_port(0);
	start_port(1);
	for (unsigned int i = 0; i < 4; i++) { /* the pieces of each table */
		for (unsigned int n = 0; n < 8; n++) {
			uint32_t prd[4] = {DATA + n * 0x1000, 0, 0, n * 512 + 511};

			memcpy(guest_at(TABLE + i * 0x400 + 0x80 + n * 16, 16), prd, sizeof(prd));
		}
	}
	while (in.left != 0)
		play(&in);

	put(GHC, 1);
	start_port(0);
	in = (struct fuzz) {(const uint8_t *)"\x01\xec", 2};
	((uint32_t *)guest_at(TABLE + 0x80, 16))[0] = DATA;
	((uint32_t *)guest_at(TABLE + 0x80, 16))[1] = 0;
	((uint32_t *)guest_at(TABLE + 0x80, 16))[3] = 511;
	command(&in, 0, 0);
	assert(get(PORT(0, CI)) == 0 && get(PORT(0, TFD)) == 0x50);
	assert(*(uint16_t *)guest_at(DATA + 120, 2) == SECTORS);
	fake_pci_destroy(&fake);
	guest_destroy();
	return 0;
}
