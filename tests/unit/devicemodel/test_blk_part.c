// SPDX-License-Identifier: BSD-3-Clause
/*
 * What if a disk is a part of a file, and what if its guest gives up parts of it? The real
 * transport, ring, device and backend on real files; the test is guest and driver.
 */
// links: devicemodel/virtio/queue.c devicemodel/virtio/chain.c devicemodel/virtio/virtio.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/pci_modern.c devicemodel/virtio/blk.c devicemodel/core/log.c
// links: devicemodel/backend/block.c devicemodel/backend/block_uring.c
// links: devicemodel/backend/block_config.c
// links: tests/unit/devicemodel/fake_guest.c tests/unit/devicemodel/disk_driver.c
// links: tests/unit/devicemodel/driver_ring.c tests/unit/devicemodel/fake_pci.c
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <linux/virtio_ring.h>
#include <sys/stat.h>

#include "block.h"
#include "disk_driver.h"
#include "fake_guest.h"
#include "log.h"

#define SECTORS 100U

static struct disk disks[2];

static int set_up(void **state)
{
	(void)state;
	log_set_level(0);
	guest_create();
	disk_create(&disks[0], 0, SECTORS * 512, "");
	disk_start(&disks[0], DISK_WANTED);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	disk_destroy(&disks[0]);
	guest_destroy();
	return 0;
}

static uint8_t discard(struct disk *d, const struct virtio_blk_discard_write_zeroes *what,
		       uint32_t len)
{
	memcpy(disk_data(d), what, len);
	return disk_run(d, VIRTIO_BLK_T_DISCARD, 0, len, 0, 1);
}

/* What can a guest give up, where, how much at once, and only if the user lets it? */
static void test_discard(void **state)
{
	static const struct {
		struct virtio_blk_discard_write_zeroes what;
		uint8_t status;
	} cases[] = {
		{{0, 8, 0}, VIRTIO_BLK_S_OK},
		{{SECTORS - 8, 8, 0}, VIRTIO_BLK_S_OK},
		{{SECTORS - 7, 8, 0}, VIRTIO_BLK_S_IOERR},
		{{SECTORS, 1, 0}, VIRTIO_BLK_S_IOERR},
		{{UINT64_MAX, 1, 0}, VIRTIO_BLK_S_IOERR},
		{{UINT64_MAX / 512 + 1, 1, 0}, VIRTIO_BLK_S_IOERR},
		{{0, 0, 0}, VIRTIO_BLK_S_IOERR},
		{{0, 33, 0}, VIRTIO_BLK_S_IOERR},
		{{0, 8, 1}, VIRTIO_BLK_S_UNSUPP},
		{{0, 8, 0x80000000}, VIRTIO_BLK_S_UNSUPP},
	};
	const struct virtio_blk_discard_write_zeroes three[] = {{0, 1, 0}, {8, 1, 0}, {16, 1, 0}};
	uint64_t feature = VIRTIO_FEATURE(VIRTIO_BLK_F_DISCARD);
	struct disk *d = &disks[1], *plain = &disks[0];
	const uint64_t at = DISK_CONFIG + offsetof(struct virtio_blk_config, max_discard_sectors);

	(void)state;
	assert_false(disk_offered(plain) & feature);
	assert_int_equal(discard(plain, three, 16), VIRTIO_BLK_S_UNSUPP);
	disk_create(d, 1, SECTORS * 512, ",discard=32:2:8");
	assert_true(disk_offered(d) & feature);
	assert_int_equal(disk_get(d, at, 4), 32);
	assert_int_equal(disk_get(d, at + 4, 4), 2);
	assert_int_equal(disk_get(d, at + 8, 4), 8);
	assert_int_equal(disk_get(d, at + 12, 4), 0);
	disk_start(d, DISK_WANTED); /* it did not ask for it */
	assert_int_equal(discard(d, three, 16), VIRTIO_BLK_S_UNSUPP);
	disk_start(d, DISK_WANTED | feature);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(discard(d, &cases[i].what, 16), cases[i].status);
	assert_int_equal(discard(d, three, 15), VIRTIO_BLK_S_IOERR);
	assert_int_equal(discard(d, three, 48), VIRTIO_BLK_S_IOERR);
	assert_int_equal(disk_run(d, VIRTIO_BLK_T_DISCARD, 0, 0, 0, 1), VIRTIO_BLK_S_IOERR);
	memset(disk_data(d), 0x44, 0x2000);
	assert_int_equal(disk_run(d, VIRTIO_BLK_T_OUT, 0, 0x2000, 0, 1), VIRTIO_BLK_S_OK);
	assert_int_equal(discard(d, three, 32), VIRTIO_BLK_S_OK);
	assert_int_equal(disk_run(d, VIRTIO_BLK_T_IN, 0, 0x2000, VRING_DESC_F_WRITE, 0x2001),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(disk_data(d)[0], 0);
	assert_int_equal(disk_data(d)[512], 0x44);
	assert_int_equal(disk_data(d)[8 * 512], 0);
	assert_int_equal(disk_data(d)[9 * 512], 0x44);
	disk_destroy(d);
	disk_create(d, 1, 4096, ",ro,discard");
	assert_false(disk_offered(d) & feature);
	disk_destroy(d);
}

static void fill(struct disk *d, uint8_t byte, unsigned int sectors)
{
	memset(disk_data(d), byte, sectors * 512);
	assert_int_equal(disk_run(d, VIRTIO_BLK_T_OUT, 0, sectors * 512, 0, 1), VIRTIO_BLK_S_OK);
}

static void assert_bytes(const uint8_t *at, unsigned int from, unsigned int to, uint8_t byte)
{
	for (unsigned int i = from * 512; i < to * 512; i++)
		assert_int_equal(at[i], byte);
}

/* Is a part of a file a disk whose guest cannot reach the rest, by writing nor by giving up? */
static void test_part(void **state)
{
	const struct virtio_blk_discard_write_zeroes all = {0, 56, 0};
	static uint8_t file[SECTORS * 512];
	struct disk *d = &disks[1];
	struct stat before, after;
	struct block *rest;
	char text[96];
	int fd;

	(void)state;
	disk_create(d, 1, SECTORS * 512, ",range=8/56,sectorsize=512/4096,discard");
	disk_start(d, DISK_WANTED | VIRTIO_FEATURE(VIRTIO_BLK_F_DISCARD));
	assert_int_equal(disk_get(d, DISK_CONFIG, 8), 56);
	assert_int_equal(
		disk_get(d, DISK_CONFIG + offsetof(struct virtio_blk_config, physical_block_exp),
			 1),
		3);
	fd = open(d->path, O_RDWR);
	memset(file, 0x55, sizeof(file));
	assert_int_equal(pwrite(fd, file, sizeof(file), 0), sizeof(file));
	fill(d, 0x66, 56);
	assert_int_equal(disk_run(d, VIRTIO_BLK_T_OUT, 56, 512, 0, 1), VIRTIO_BLK_S_IOERR);
	assert_int_equal(pread(fd, file, sizeof(file), 0), sizeof(file));
	assert_bytes(file, 0, 8, 0x55);
	assert_bytes(file, 8, 64, 0x66);
	assert_bytes(file, 64, SECTORS, 0x55);
	assert_int_equal(fstat(fd, &before), 0);
	assert_int_equal(discard(d, &all, sizeof(all)), VIRTIO_BLK_S_OK);
	assert_int_equal(fstat(fd, &after), 0);
	assert_true(after.st_size == before.st_size && after.st_blocks < before.st_blocks);
	assert_int_equal(pread(fd, file, sizeof(file), 0), sizeof(file));
	assert_bytes(file, 0, 8, 0x55);
	assert_bytes(file, 8, 64, 0);
	assert_bytes(file, 64, SECTORS, 0x55);
	close(fd);

	/* Others may have the rest of the file, but nothing of this. */
	snprintf(text, sizeof(text), "%s,range=63/2", d->path);
	assert_int_equal(block_open(&rest, "test", text), -EBUSY);
	assert_int_equal(block_open(&rest, "test", d->path), -EBUSY);
	snprintf(text, sizeof(text), "%s,range=64/36", d->path);
	assert_int_equal(block_open(&rest, "test", text), 0);
	block_close(rest);
	snprintf(text, sizeof(text), "%s,range=64/37", d->path);
	assert_int_equal(block_open(&rest, "test", text), -ERANGE);
	snprintf(text, sizeof(text), "%s,range=101/1", d->path);
	assert_int_equal(block_open(&rest, "test", text), -ERANGE);
	/* The file grows, the part does not. */
	assert_int_equal(truncate(d->path, 2 * SECTORS * 512), 0);
	assert_int_equal(d->fake.pci.ops->rescan(&d->fake.pci, d->path), 0);
	assert_int_equal(disk_get(d, DISK_CONFIG, 8), 56);
	disk_destroy(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_discard, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_part, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, disk_make_dir, disk_remove_dir);
}
