// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does the AHCI controller do what a driver asks of a disk and a CD drive, and nothing else for a
 * driver that lies, stops or resets in the middle? The real backend on real files; the test is
 * guest and driver.
 */
// links: devicemodel/pci/ahci.c devicemodel/pci/ahci_cmd.c devicemodel/pci/ahci_ata.c
// links: devicemodel/pci/ahci_atapi.c devicemodel/core/log.c devicemodel/backend/block.c
// links: devicemodel/backend/block_uring.c
// links: devicemodel/backend/block_config.c tests/unit/devicemodel/fake_io.c
// links: tests/unit/devicemodel/fake_guest.c tests/unit/devicemodel/fake_pci.c
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <sys/mman.h>

#include "fake_guest.h"
#include "fake_io.h"
#include "fake_pci.h"
#include "log.h"

#define SECTORS	   600U
#define CD_SECTORS 20U
#define LIST	   0x10000U
#define RECEIVED   0x11000U
#define TABLE	   0x12000U
#define DATA	   0x20000U

#define GHC	     0x04U
#define HBA_IS	     0x08U
#define PORT(n, reg) (0x100U + 0x80U * (n) + (reg))
#define CLB	     0x00U
#define FB	     0x08U
#define IS	     0x10U
#define IE	     0x14U
#define CMD	     0x18U
#define TFD	     0x20U
#define SIG	     0x24U
#define SSTS	     0x28U
#define SCTL	     0x2cU
#define CI	     0x38U
#define TFES	     (1U << 30)
#define HBFS	     (1U << 29)

static struct fake_pci fake;
static atomic_bool stopped;
static int disk_fd, cd_fd;
static uint8_t expected[65536];

static uint32_t get(unsigned int reg)
{
	return (uint32_t)fake.pci.ops->bar_read(&fake.pci, 5, reg, 4);
}

static void put(unsigned int reg, uint32_t value)
{
	fake.pci.ops->bar_write(&fake.pci, 5, reg, 4, value);
}

static void start_port(unsigned int port)
{
	put(PORT(port, CLB), LIST);
	put(PORT(port, FB), RECEIVED);
	put(PORT(port, IS), UINT32_MAX);
	put(PORT(port, IE), UINT32_MAX);
	put(PORT(port, CMD), 0x11);
}

static int set_up(void **state)
{
	char config[128];

	(void)state;
	log_set_level(0);
	fake_io_reset();
	guest_create();
	for (unsigned int i = 0; i < sizeof(expected); i++)
		expected[i] = (uint8_t)(i * 7 + i / 256);
	disk_fd = memfd_create("disk", MFD_CLOEXEC);
	cd_fd = memfd_create("cd", MFD_CLOEXEC);
	assert_int_equal(ftruncate(disk_fd, SECTORS * 512), 0);
	assert_int_equal(pwrite(cd_fd, expected, CD_SECTORS * 2048, 0), CD_SECTORS * 2048);
	snprintf(config, sizeof(config), "hd:/proc/self/fd/%d,writeback,cd:/proc/self/fd/%d",
		 disk_fd, cd_fd);
	assert_int_equal(fake_pci_create(&fake, "ahci", config), 0);
	stopped = false;
	put(GHC, 2);
	start_port(0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_io_gate(false);
	fake_pci_destroy(&fake);
	fake_io_reset();
	guest_destroy();
	close(disk_fd);
	close(cd_fd);
	return 0;
}

/* Slot @slot's table: @prds entries of @each bytes, one behind the other. */
static uint8_t *prepare(unsigned int slot, uint8_t command, unsigned int prds, uint32_t each)
{
	uint32_t table = TABLE + slot * 0x400, *header = guest_at(LIST + slot * 32, 32);
	uint8_t *fis = guest_at(table, 0x400);

	memset(fis, 0, 0x400);
	header[0] = 5 | prds << 16;
	header[1] = 0;
	header[2] = table;
	header[3] = 0;
	for (unsigned int i = 0; i < prds; i++) {
		uint32_t prd[4] = {DATA + i * each, 0, 0, each - 1};

		memcpy(fis + 0x80 + 16 * i, prd, sizeof(prd));
	}
	fis[0] = 0x27;
	fis[1] = 0x80;
	fis[2] = command;
	fis[7] = 0x40;
	return fis;
}

static void at_sectors(uint8_t *fis, uint32_t lba, unsigned int count)
{
	memcpy(&fis[4], &lba, 3);
	fis[8] = (uint8_t)(lba >> 24);
	fis[12] = (uint8_t)count;
	fis[13] = (uint8_t)(count >> 8);
}

/* Until the command is off the list, or the port halted. What PxIS has. */
static uint32_t finish(unsigned int port, unsigned int slots)
{
	for (unsigned int i = 0; i < 5000; i++) {
		if ((get(PORT(port, CI)) & slots) == 0 ||
		    (get(PORT(port, IS)) & (TFES | HBFS)) != 0)
			return get(PORT(port, IS));
		usleep(1000);
	}
	fail_msg("the command does not end");
	return 0;
}

static uint32_t run(unsigned int port)
{
	put(PORT(port, IS), UINT32_MAX);
	put(PORT(port, CI), 1);
	return finish(port, 1);
}

static uint32_t packet(const uint8_t *bytes, unsigned int len, unsigned int room)
{
	uint8_t *fis = prepare(0, 0xa0, room != 0 ? 1 : 0, room);

	memcpy(fis + 0x40, bytes, len);
	return run(1);
}

static uint32_t moved(void)
{
	return ((uint32_t *)guest_at(LIST, 32))[1];
}

static void restart(unsigned int port)
{
	put(PORT(port, CMD), 0x10);
	assert_int_equal(get(PORT(port, CI)), 0);
	put(PORT(port, CMD), 0x11);
}

static void test_disk(void **state)
{
	/* Does what was written in many pieces come back in other pieces, and is the file so? */
	const uint8_t *signature = guest_at(RECEIVED + 0x40, 20);
	uint8_t file[65536];
	uint8_t *fis;
	uint16_t *id;

	(void)state;
	assert_int_equal(get(PORT(0, SIG)), 0x101);
	assert_int_equal(get(PORT(1, SIG)), 0xeb140101);
	assert_int_equal(get(PORT(0, SSTS)), 0x123);
	prepare(0, 0xec, 1, 512);
	assert_int_equal(run(0) & ~0x40U, 2);
	id = guest_at(DATA, 512);
	assert_int_equal(id[100], SECTORS);
	assert_int_equal(id[85] & 0x20, 0x20);

	memcpy(guest_at(DATA, 65536), expected, 65536);
	fis = prepare(0, 0x35, 16, 4096);
	at_sectors(fis, 3, 128);
	assert_int_equal(run(0) & ~0x40U, 1);
	assert_int_equal(moved(), 65536);
	assert_int_equal(signature[2], 0x50);
	assert_true(atomic_load(&fake.msi_count) > 0);
	assert_int_equal(pread(disk_fd, file, 65536, 3 * 512), 65536);
	assert_memory_equal(file, expected, 65536);

	memset(guest_at(DATA, 65536), 0, 65536);
	fis = prepare(0, 0x25, 2, 32768);
	at_sectors(fis, 3, 128);
	assert_int_equal(run(0) & ~0x40U, 1);
	assert_memory_equal(guest_at(DATA, 65536), expected, 65536);

	/* And in more pieces than are handed over at once? */
	memset(guest_at(DATA, 65536), 0, 65536);
	((uint32_t *)guest_at(LIST, 32))[2] = 0x40000;
	memcpy(guest_at(0x40000, 0x80), fis, 0x80);
	((uint32_t *)guest_at(LIST, 32))[0] = 5 | 1024U << 16;
	for (uint32_t i = 0; i < 1024; i++) {
		uint32_t prd[4] = {DATA + i * 64, 0, 0, 63};

		memcpy(guest_at(0x40080 + 16 * i, 16), prd, 16);
	}
	assert_int_equal(run(0) & ~0x40U, 1);
	assert_memory_equal(guest_at(DATA, 65536), expected, 65536);
}

static void test_durable(void **state)
{
	/* Is a write on the disk when it is done, once the driver has switched the cache off? */
	unsigned int syncs = fake_io.syncs;
	uint8_t *fis;

	(void)state;
	prepare(0, 0xea, 0, 0);
	(void)run(0);
	assert_int_equal(fake_io.syncs, syncs + 1);
	fis = prepare(0, 0xef, 0, 0);
	fis[3] = 0x82;
	assert_int_equal(run(0) & TFES, 0);
	assert_int_equal(fake_io.syncs, syncs + 2);
	fis = prepare(0, 0x35, 1, 512);
	at_sectors(fis, 0, 1);
	assert_int_equal(run(0) & TFES, 0);
	assert_true(fake_io.last_flags != 0 || fake_io.syncs > syncs + 2);
}

static void test_refused(void **state)
{
	/* What if the command is unknown, beyond the end, or has no memory for its data? */
	uint8_t *fis = prepare(0, 0xb0, 0, 0);
	uint32_t *prd;

	(void)state;
	assert_true(run(0) & TFES);
	assert_int_equal(get(PORT(0, TFD)), 0x451);
	assert_int_equal(get(PORT(0, CI)), 1);
	restart(0);
	fis = prepare(0, 0x25, 16, 4096);
	at_sectors(fis, SECTORS - 1, 2);
	assert_true(run(0) & TFES);
	assert_int_equal(get(PORT(0, TFD)), 0x1451);
	restart(0);
	fis = prepare(0, 0x25, 1, 512);
	at_sectors(fis, 0, 2);
	assert_true(run(0) & TFES);
	restart(0);
	fis = prepare(0, 0x25, 1, 4096);
	at_sectors(fis, 0, 8);
	prd = guest_at(TABLE + 0x80, 16);
	prd[0] = (uint32_t)GUEST_LOW - 512;
	assert_true(run(0) & HBFS);
	restart(0);
	((uint32_t *)guest_at(LIST, 32))[2] = 0xfffff000;
	assert_true(run(0) & HBFS);
	restart(0);
	put(PORT(0, CLB), 0xfffffc00);
	assert_true(run(0) & HBFS);
	/* And is the port of use afterwards? */
	put(PORT(0, CMD), 0x10);
	start_port(0);
	prepare(0, 0xec, 1, 512);
	assert_int_equal(run(0) & ~0x40U, 2);
}

static void test_failing(void **state)
{
	/* Is the guest told when the storage fails, and what of the commands behind it? */
	uint8_t *fis = prepare(0, 0x25, 1, 512);

	(void)state;
	at_sectors(fis, 0, 1);
	prepare(1, 0xec, 1, 512);
	fake_io.read_errno = EIO;
	put(PORT(0, IS), UINT32_MAX);
	put(PORT(0, CI), 3);
	assert_true(finish(0, 3) & TFES);
	assert_int_equal(get(PORT(0, TFD)), 0x4051);
	assert_int_equal(get(PORT(0, CI)), 3);
}

static void *reset_port(void *arg)
{
	put(PORT(0, CMD), 0x10);
	stopped = true;
	return arg;
}

static void test_stopped(void **state)
{
	/* What if the list is stopped while the disk works: does it wait, and tell nobody? */
	pthread_t thread;
	uint8_t *fis = prepare(0, 0x35, 1, 512);

	(void)state;
	at_sectors(fis, 0, 1);
	memset(guest_at(DATA, 512), 0x5a, 512);
	fake_io.nowait_errno = EAGAIN;
	fake_io_gate(true);
	put(PORT(0, IS), UINT32_MAX);
	put(PORT(0, CI), 1);
	assert_int_equal(get(PORT(0, TFD)) & 0x80, 0x80);
	while (fake_io_waiting() == 0)
		usleep(1000);
	assert_int_equal(pthread_create(&thread, NULL, reset_port, NULL), 0);
	usleep(20000);
	assert_false(stopped);
	fake_io_gate(false);
	pthread_join(thread, NULL);
	assert_int_equal(get(PORT(0, CI)), 0);
	assert_int_equal(get(PORT(0, IS)) & ~0x40U, 0);
	assert_int_equal(get(PORT(0, TFD)) & 0x80, 0);
	put(PORT(0, CMD), 0x11);
	prepare(0, 0xec, 1, 512);
	assert_int_equal(run(0) & ~0x40U, 2);
}

static void test_resets(void **state)
{
	/* Do the three resets leave the port as after power-on, each as far as it goes? */
	uint8_t *fis = prepare(0, 0, 0, 0);

	(void)state;
	fis[1] = 0;
	fis[15] = 4;
	(void)run(0);
	fis[15] = 0;
	memset(guest_at(RECEIVED + 0x40, 20), 0, 20);
	assert_int_equal(run(0) & 1, 1);
	assert_int_equal(*(uint8_t *)guest_at(RECEIVED + 0x40, 1), 0x34);
	put(PORT(0, SCTL), 1);
	assert_int_equal(get(PORT(0, SSTS)), 0);
	put(PORT(0, SCTL), 0);
	assert_int_equal(get(PORT(0, SSTS)), 0x123);
	assert_int_equal(get(PORT(0, TFD)), 0x150);
	assert_int_equal(get(HBA_IS) & 1, 1);
	assert_true(atomic_load(&fake.intx));
	put(GHC, 1);
	assert_int_equal(get(PORT(0, IE)), 0);
	assert_int_equal(get(HBA_IS), 0);
	assert_false(atomic_load(&fake.intx));
}

static void test_cd(void **state)
{
	/* Does the drive tell what is in it, give its sectors, and say what is wrong? */
	const uint8_t capacity[12] = {0x25}, toc[12] = {0x43, 0, 0, 0, 0, 0, 0, 0, 64};
	const uint8_t read[12] = {0x28, 0, 0, 0, 0, 3, 0, 0, 2}, write[12] = {0x2a};
	const uint8_t beyond[12] = {0xa8, 0, 0, 0, 0, CD_SECTORS, 0, 0, 0, 1};
	const uint8_t sense[12] = {3, 0, 0, 0, 18}, inquiry[12] = {0x12, 0, 0, 0, 36};
	const uint8_t mode[12] = {0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 128};
	const uint8_t event[12] = {0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8};
	const uint8_t *data = guest_at(DATA, 8192);

	(void)state;
	put(PORT(0, CMD), 0);
	start_port(1);
	prepare(0, 0xa1, 1, 512);
	assert_int_equal(run(1) & ~0x40U, 2);
	assert_int_equal(data[1], 0x85);
	assert_int_equal(packet(inquiry, 12, 36) & TFES, 0);
	assert_int_equal(data[0], 5);
	assert_int_equal(packet(capacity, 12, 8) & TFES, 0);
	assert_int_equal(data[3], CD_SECTORS - 1);
	assert_int_equal(data[6], 8);
	assert_int_equal(packet(toc, 12, 64) & TFES, 0);
	assert_int_equal(moved(), 20);
	assert_int_equal(data[14], 0xaa);
	assert_int_equal(data[19], CD_SECTORS);
	assert_int_equal(packet(mode, 12, 128) & TFES, 0);
	assert_int_equal(data[8], 0x2a);
	assert_int_equal(packet(event, 12, 8) & TFES, 0);
	assert_int_equal(data[5], 2);
	assert_int_equal(packet(read, 12, 4096) & TFES, 0);
	assert_memory_equal(data, expected + 3 * 2048, 4096);
	assert_true(packet(beyond, 12, 2048) & TFES);
	assert_int_equal(get(PORT(1, TFD)), 0x5451);
	restart(1);
	assert_int_equal(packet(sense, 12, 18) & TFES, 0);
	assert_int_equal(data[2], 5);
	assert_int_equal(data[12], 0x21);
	assert_true(packet(write, 12, 2048) & TFES);
	restart(1);
	assert_int_equal(packet(sense, 12, 18) & TFES, 0);
	assert_int_equal(data[12], 0x20);
}

static void test_options(void **state)
{
	/* Which configurations are no controller? */
	static struct fake_pci other;

	(void)state;
	assert_int_equal(fake_pci_create(&other, "ahci", NULL), -EINVAL);
	assert_int_equal(fake_pci_create(&other, "ahci", "hd:/nonexistent"), -ENOENT);
	assert_int_equal(fake_pci_create(&other, "ahci-hd", "nodisk"), -EINVAL);
	assert_int_equal(fake_pci_create(&other, "ahci",
					 "cd:nodisk,cd:nodisk,cd:nodisk,cd:nodisk,cd:nodisk,"
					 "cd:nodisk,cd:nodisk"),
			 -EINVAL);
	assert_int_equal(fake_pci_create(&other, "ahci-cd", "nodisk"), 0);
	fake_pci_destroy(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_disk, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_durable, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stopped, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_resets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cd, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_options, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
