// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does virtio-blk do what a driver asks, for two disks at once, and nothing it may not? The
 * real transport, ring, device and backend on real files; the test is guest and driver.
 */
// links: devicemodel/virtio/queue.c devicemodel/virtio/chain.c devicemodel/virtio/virtio.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/pci_modern.c devicemodel/virtio/blk.c devicemodel/core/log.c
// links: devicemodel/backend/block.c devicemodel/backend/block_uring.c
// links: devicemodel/backend/block_config.c
// links: tests/unit/devicemodel/fake_io.c tests/unit/devicemodel/fake_guest.c
// links: tests/unit/devicemodel/driver_ring.c tests/unit/devicemodel/fake_pci.c
// links: tests/unit/devicemodel/disk_driver.c
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
#include <linux/virtio_blk.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "disk_driver.h"
#include "fake_guest.h"
#include "fake_io.h"
#include "fake_pci.h"
#include "log.h"

#define N VRING_DESC_F_NEXT
#define W VRING_DESC_F_WRITE

#define SECTORS 100U

static struct disk disks[2];

static int set_up(void **state)
{
	(void)state;
	log_set_level(0);
	fake_io_reset();
	guest_create();
	disk_create(&disks[0], 0, SECTORS * 512, "");
	disk_start(&disks[0], DISK_WANTED);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_io_gate(false);
	disk_destroy(&disks[0]);
	fake_io_reset();
	guest_destroy();
	return 0;
}

/* What is written, is it read back, and does it stand in the file? */
static void test_read_write(void **state)
{
	struct disk *d = &disks[0];
	uint8_t file[1024];
	int fd;

	(void)state;
	for (unsigned int i = 0; i < 1024; i++)
		disk_data(d)[i] = (uint8_t)(i * 5);
	assert_int_equal(disk_run(d, VIRTIO_BLK_T_OUT, SECTORS - 2, 1024, 0, 1), VIRTIO_BLK_S_OK);
	fd = open(d->path, O_RDONLY);
	assert_int_equal(pread(fd, file, 1024, (SECTORS - 2) * 512), 1024);
	close(fd);
	assert_memory_equal(file, disk_data(d), 1024);
	memset(disk_data(d), 0, 1024);
	assert_int_equal(disk_run(d, VIRTIO_BLK_T_IN, SECTORS - 2, 1024, W, 1025), VIRTIO_BLK_S_OK);
	assert_memory_equal(file, disk_data(d), 1024);
	assert_int_equal(d->fake.msix_count[1], 2);
	assert_int_equal(disk_run(d, VIRTIO_BLK_T_IN, 0, 0, W, 1), VIRTIO_BLK_S_OK);
}

/* What if the range is not on the disk, or not whole sectors? */
static void test_range(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t len;
		uint8_t status;
	} cases[] = {
		{SECTORS - 1, 512, VIRTIO_BLK_S_OK},
		{SECTORS - 1, 1024, VIRTIO_BLK_S_IOERR},
		{SECTORS, 512, VIRTIO_BLK_S_IOERR},
		{SECTORS + 1, 512, VIRTIO_BLK_S_IOERR},
		{UINT64_MAX, 512, VIRTIO_BLK_S_IOERR},
		{UINT64_MAX / 512, 1024, VIRTIO_BLK_S_IOERR},
		{UINT64_MAX / 512 + 1, 512, VIRTIO_BLK_S_IOERR}, /* times 512 is 0 */
		{0, 511, VIRTIO_BLK_S_IOERR},
		{0, 513, VIRTIO_BLK_S_IOERR},
		{0, SECTORS * 512, VIRTIO_BLK_S_OK},
		{0, SECTORS * 512 + 512, VIRTIO_BLK_S_IOERR},
	};
	struct disk *d = &disks[0];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool ok = cases[i].status == VIRTIO_BLK_S_OK;

		assert_int_equal(disk_run(d, VIRTIO_BLK_T_IN, cases[i].sector, cases[i].len, W,
					  ok ? cases[i].len + 1 : 1),
				 cases[i].status);
		assert_int_equal(disk_run(d, VIRTIO_BLK_T_OUT, cases[i].sector, cases[i].len, 0, 1),
				 cases[i].status);
	}
	assert_int_equal(disk_get(d, VIRTIO_PCI_COMMON_STATUS, 1), DISK_RUN);
}

/* What of the other request types, known and unknown? */
static void test_types(void **state)
{
	static const uint32_t unknown[] = {2, 3, 5, 11, 13, 14, 0x80000000, 0xFFFFFFFF};
	struct disk *d = &disks[0];

	(void)state;
	assert_int_equal(disk_run(d, VIRTIO_BLK_T_FLUSH, 0, 0, 0, 1), VIRTIO_BLK_S_OK);
	assert_int_equal(fake_io.syncs, 1);
	atomic_store(&fake_io.sync_errno, 5);
	assert_int_equal(disk_run(d, VIRTIO_BLK_T_FLUSH, UINT64_MAX, 0, 0, 1), VIRTIO_BLK_S_IOERR);

	memset(disk_data(d), 0xEE, 32);
	assert_int_equal(disk_run(d, VIRTIO_BLK_T_GET_ID, 0, 32, W, 21), VIRTIO_BLK_S_OK);
	assert_memory_equal(disk_data(d), "ACRN", 4);
	assert_int_equal(disk_data(d)[20], 0xEE);
	assert_int_equal(disk_run(d, VIRTIO_BLK_T_GET_ID, 0, 4, W, 5), VIRTIO_BLK_S_OK);

	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(disk_run(d, unknown[i], 0, 512, i % 2 ? W : 0, 1),
				 VIRTIO_BLK_S_UNSUPP);
}

/* What if the request itself is no request? The device asks for a reset and works after it. */
static void test_malformed(void **state)
{
	struct disk *d = &disks[0];
	uint64_t at = disk_request_at(d, 0);

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		disk_start(d, DISK_WANTED);
		if (i == 0) { /* a header of 15 bytes */
			ring_desc(&d->ring, 0, at, 15, N, 1);
			ring_desc(&d->ring, 1, at + 1000, 1, W, 0);
		} else if (i == 1) { /* no status byte */
			ring_desc(&d->ring, 0, at, 16, 0, 0);
		} else { /* nothing to read */
			ring_desc(&d->ring, 0, at, 512, W, 0);
		}
		ring_offer(&d->ring, 0);
		disk_ring_bell(d);
		assert_int_equal(disk_get(d, VIRTIO_PCI_COMMON_STATUS, 1),
				 DISK_RUN | VIRTIO_CONFIG_S_NEEDS_RESET);
	}
	disk_start(d, DISK_WANTED);
	assert_int_equal(disk_run(d, VIRTIO_BLK_T_IN, 0, 512, W, 513), VIRTIO_BLK_S_OK);
}

/* What if the guest writes to a read-only disk? */
static void test_read_only(void **state)
{
	struct disk *d = &disks[1];

	(void)state;
	disk_create(d, 1, 4096, ",ro");
	assert_true(disk_offered(d) & VIRTIO_FEATURE(VIRTIO_BLK_F_RO));
	assert_false(disk_offered(d) & VIRTIO_FEATURE(VIRTIO_BLK_F_CONFIG_WCE));
	/* Whether it takes the feature or not. */
	for (unsigned int i = 0; i < 2; i++) {
		disk_start(d, DISK_WANTED | (i != 0 ? VIRTIO_FEATURE(VIRTIO_BLK_F_RO) : 0));
		assert_int_equal(disk_run(d, VIRTIO_BLK_T_OUT, 0, 512, 0, 1), VIRTIO_BLK_S_IOERR);
		assert_int_equal(disk_run(d, VIRTIO_BLK_T_IN, 0, 512, W, 513), VIRTIO_BLK_S_OK);
		assert_int_equal(disk_run(d, VIRTIO_BLK_T_FLUSH, 0, 0, 0, 1), VIRTIO_BLK_S_OK);
	}
	assert_int_equal(fake_io.writes, 0);
	disk_destroy(d);
}

/* Does the configuration space describe the disk? */
static void test_config(void **state)
{
	struct disk *d = &disks[0];
	uint64_t f = disk_offered(d);

	(void)state;
	assert_int_equal(pci_cfg_get16(&d->fake.pci, PCI_DEVICE_ID), 0x1001);
	for (unsigned int i = 0; i < 64; i++) {
		bool want = i == VIRTIO_BLK_F_SEG_MAX || i == VIRTIO_BLK_F_BLK_SIZE ||
			    i == VIRTIO_BLK_F_FLUSH || i == VIRTIO_BLK_F_TOPOLOGY ||
			    i == VIRTIO_BLK_F_CONFIG_WCE || i == VIRTIO_RING_F_INDIRECT_DESC ||
			    i == VIRTIO_RING_F_EVENT_IDX || i == VIRTIO_F_VERSION_1;

		assert_int_equal((f >> i) & 1, want);
	}
	assert_int_equal(disk_get(d, DISK_CONFIG, 8), SECTORS);
	assert_int_equal(disk_get(d, DISK_CONFIG + offsetof(struct virtio_blk_config, seg_max), 4),
			 126);
	assert_int_equal(disk_get(d, DISK_CONFIG + offsetof(struct virtio_blk_config, blk_size), 4),
			 512);
	assert_true(disk_get(d,
			     DISK_CONFIG + offsetof(struct virtio_blk_config, physical_block_exp),
			     1) <= 8);
	assert_int_equal(disk_get(d, DISK_CONFIG + sizeof(struct virtio_blk_config), 4), 0);
	disk_put(d, DISK_CONFIG, 8, 1);
	assert_int_equal(disk_get(d, DISK_CONFIG, 8), SECTORS);
}

static bool last_write_was_durable(struct disk *d)
{
	assert_int_equal(disk_run(d, VIRTIO_BLK_T_OUT, 0, 512, 0, 1), VIRTIO_BLK_S_OK);
	return (atomic_load(&fake_io.last_flags) & RWF_DSYNC) != 0;
}

/* When is a write on the disk before it is done? Unless the guest knows of the cache. */
static void test_write_cache(void **state)
{
	uint64_t wce = DISK_CONFIG + offsetof(struct virtio_blk_config, wce);
	uint64_t can = DISK_WANTED | VIRTIO_FEATURE(VIRTIO_BLK_F_CONFIG_WCE);
	struct disk *d = &disks[1];

	(void)state;
	assert_int_equal(disk_get(&disks[0], wce, 1), 0);
	assert_true(last_write_was_durable(&disks[0]));
	disk_create(d, 1, 4096, ",writeback");
	atomic_store(&fake_io.nowait_errno, EAGAIN);
	disk_start(d, DISK_WANTED);
	assert_int_equal(disk_get(d, wce, 1), 1);
	assert_false(last_write_was_durable(d));
	disk_put(d, wce, 1, 0); /* not negotiated */
	assert_int_equal(disk_get(d, wce, 1), 1);
	disk_start(d,
		   DISK_WANTED & ~VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH)); /* cannot ask for a flush */
	assert_true(last_write_was_durable(d));
	disk_start(d, can);
	disk_put(d, wce, 1, 0xFE);
	assert_int_equal(disk_get(d, wce, 1), 0);
	assert_true(last_write_was_durable(d));
	disk_put(d, wce, 1, 1);
	assert_false(last_write_was_durable(d));
	disk_put(d, wce, 1, 0);
	disk_start(d, can); /* a reset brings the user's choice back */
	assert_int_equal(disk_get(d, wce, 1), 1);
	disk_destroy(d);
}

/* What if the storage fails or is full? The guest gets IOERR, the next request works. */
static void test_storage_errors(void **state)
{
	struct disk *d = &disks[0];

	(void)state;
	atomic_store(&fake_io.write_errno, ENOSPC);
	assert_int_equal(disk_run(d, VIRTIO_BLK_T_OUT, 0, 512, 0, 1), VIRTIO_BLK_S_IOERR);
	atomic_store(&fake_io.nowait_errno, EIO);
	atomic_store(&fake_io.read_errno, EIO);
	assert_int_equal(disk_run(d, VIRTIO_BLK_T_IN, 0, 512, W, 513), VIRTIO_BLK_S_IOERR);
	fake_io_reset();
	assert_int_equal(disk_run(d, VIRTIO_BLK_T_OUT, 0, 512, 0, 1), VIRTIO_BLK_S_OK);
}

/* What if two disks are busy at the same time? Each keeps its own data and interrupts. */
static void test_two_disks(void **state)
{
	uint32_t len;

	(void)state;
	disk_create(&disks[1], 1, SECTORS * 512, ",writeback");
	disk_start(&disks[1], DISK_WANTED | VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX));
	for (unsigned int round = 0; round < 50; round++) {
		for (unsigned int i = 0; i < 2; i++) {
			for (unsigned int s = 0; s < 64; s++) {
				uint64_t at = disk_data_at(&disks[i]) + s * 512ULL;

				memset(guest_at(at, 512), (int)(round + s + 100 * i), 512);
				disk_offer(&disks[i], s, VIRTIO_BLK_T_OUT, s, at, 512, 0);
			}
			ring_set_used_event(&disks[i].ring, disks[i].ring.seen);
			disk_ring_bell(&disks[i]);
		}
		for (unsigned int i = 0; i < 2; i++) {
			for (unsigned int s = 0; s < 64; s++)
				assert_int_equal(
					*disk_status_at(&disks[i], disk_take(&disks[i], &len)), 0);
			assert_true(atomic_exchange(&disks[i].fake.msix_count[1], 0) > 0);
			memset(disk_data(&disks[i]), 0, 64 * 512);
			assert_int_equal(
				disk_run(&disks[i], VIRTIO_BLK_T_IN, 0, 64 * 512, W, 64 * 512 + 1),
				0);
			for (unsigned int s = 0; s < 64; s++)
				assert_int_equal(disk_data(&disks[i])[s * 512 + 511],
						 (round + s + 100 * i) & 0xFF);
		}
	}
	disk_destroy(&disks[1]);
}

static void *open_gate(void *arg)
{
	(void)arg;
	usleep(20000);
	fake_io_gate(false);
	return NULL;
}

/*
 * What if the guest resets the device, or it is taken away, while requests are in flight? When
 * the status reads 0 nothing more is written: not to buffers, not to the old ring or a new one.
 */
static void test_reset_in_flight(void **state)
{
	struct disk *d = &disks[0];
	uint32_t id, len;

	(void)state;
	for (unsigned int round = 0; round < 5; round++) {
		unsigned int irqs = d->fake.msix_count[1];
		pthread_t thread;

		disk_start(d, DISK_WANTED);
		atomic_store(&fake_io.nowait_errno, EAGAIN);
		fake_io_gate(true);
		for (unsigned int s = 0; s < 64; s++)
			disk_offer(d, s, VIRTIO_BLK_T_IN, s, disk_data_at(d) + s * 512ULL, 512, W);
		disk_ring_bell(d);
		while (fake_io_waiting() == 0)
			usleep(1000);
		pthread_create(&thread, NULL, open_gate, NULL);
		disk_put(d, VIRTIO_PCI_COMMON_STATUS, 1, 0);
		assert_int_equal(disk_get(d, VIRTIO_PCI_COMMON_STATUS, 1), 0);
		pthread_join(thread, NULL);
		memset(disk_data(d), 0xEE, 64 * 512);
		assert_false(ring_take(&d->ring, &id, &len));
		ring_init(&d->ring, d->base, 64);
		usleep(2000);
		assert_false(ring_take(&d->ring, &id, &len));
		assert_int_equal(disk_data(d)[0], 0xEE);
		assert_int_equal(d->fake.msix_count[1], irqs);
	}
	atomic_store(&fake_io.nowait_errno, 0);
	disk_start(d, DISK_WANTED);
	assert_int_equal(disk_run(d, VIRTIO_BLK_T_IN, 0, 512, W, 513), VIRTIO_BLK_S_OK);

	/* Taken away: the file and the memory go right after. */
	disk_create(&disks[1], 1, SECTORS * 512, "");
	disk_start(&disks[1], DISK_WANTED);
	for (unsigned int s = 0; s < 64; s++)
		disk_offer(&disks[1], s, VIRTIO_BLK_T_OUT, s, disk_data_at(&disks[1]), 512, 0);
	disk_ring_bell(&disks[1]);
	disk_destroy(&disks[1]);
}

/* What if the ring is full, and then one more comes than it can hold? */
static void test_full_ring(void **state)
{
	struct disk *d = &disks[0];
	uint32_t len;

	(void)state;
	fake_io_gate(true);
	for (unsigned int s = 0; s < 64; s++)
		disk_offer(d, s, VIRTIO_BLK_T_OUT, s, disk_data_at(d), 512, 0);
	disk_ring_bell(d);
	disk_ring_bell(d);
	assert_int_equal(disk_get(d, VIRTIO_PCI_COMMON_STATUS, 1), DISK_RUN);
	fake_io_gate(false);
	for (unsigned int s = 0; s < 64; s++)
		(void)disk_take(d, &len);

	fake_io_gate(true);
	for (unsigned int s = 0; s < 64; s++)
		disk_offer(d, s, VIRTIO_BLK_T_OUT, s, disk_data_at(d), 512, 0);
	disk_ring_bell(d);
	disk_offer(d, 0, VIRTIO_BLK_T_OUT, 0, disk_data_at(d), 512, 0);
	disk_ring_bell(d);
	assert_int_equal(disk_get(d, VIRTIO_PCI_COMMON_STATUS, 1),
			 DISK_RUN | VIRTIO_CONFIG_S_NEEDS_RESET);
	fake_io_gate(false);
}

/* What if a request has as many pieces as the device offers, cut at odd places? */
static void test_many_pieces(void **state)
{
	struct virtio_blk_outhdr hdr = {.type = VIRTIO_BLK_T_OUT, .sector = 1};
	struct disk *d = &disks[0];
	uint64_t at = disk_request_at(d, 0), table = disk_request_at(d, 1);
	uint32_t len;
	uint16_t n = 0;

	(void)state;
	memcpy(guest_at(at, 16), &hdr, 16);
	for (unsigned int i = 0; i < 12600; i++)
		disk_data(d)[i] = (uint8_t)(i * 11);
	/* The header comes with the first data, as a driver may do. */
	memcpy(disk_data(d) - 16, &hdr, 16);
	ring_desc_at(table, n, disk_data_at(d) - 16, 10, N, (uint16_t)(n + 1));
	n++;
	ring_desc_at(table, n, disk_data_at(d) - 6, 6 + 12, N, (uint16_t)(n + 1));
	n++;
	for (unsigned int i = 0; i < 125; i++, n++)
		ring_desc_at(table, n, disk_data_at(d) + 12 + i * 100, i == 124 ? 388 : 100, N,
			     (uint16_t)(n + 1));
	ring_desc_at(table, n, at + 1000, 1, W, 0);
	n++;
	assert_int_equal(n, 128);
	ring_desc(&d->ring, 0, table, n * 16U, VRING_DESC_F_INDIRECT, 0);
	ring_offer(&d->ring, 0);
	disk_ring_bell(d);
	(void)disk_take(d, &len);
	/* 12 + 124 * 100 + 388 = 12,800 bytes = 25 sectors */
	assert_int_equal(*disk_status_at(d, 0), VIRTIO_BLK_S_OK);
	memmove(disk_data(d) + 0x8000, disk_data(d), 12800);
	assert_int_equal(disk_run(d, VIRTIO_BLK_T_IN, 1, 12800, W, 12801), VIRTIO_BLK_S_OK);
	assert_memory_equal(disk_data(d), disk_data(d) + 0x8000, 12800);
}

/* What if the disk cannot be made? -s fails with it. */
static void test_bad_config(void **state)
{
	struct fake_pci f = {0};

	(void)state;
	assert_true(fake_pci_create(&f, "virtio-blk", NULL) < 0);
	assert_true(fake_pci_create(&f, "virtio-blk", "/nonexistent/disk") < 0);
	assert_true(fake_pci_create(&f, "virtio-blk", "nodisk,/dev/zero") < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_read_write, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_range, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_types, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_malformed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_read_only, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_config, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_write_cache, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_storage_errors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_two_disks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reset_in_flight, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_full_ring, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_pieces, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_config, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, disk_make_dir, disk_remove_dir);
}
