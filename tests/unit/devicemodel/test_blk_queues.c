// SPDX-License-Identifier: BSD-3-Clause
/*
 * A disk with several queues and threads, over an HSM as Linux 6.1 has it: is each queue served,
 * by its own thread, whatever the others do, and is nothing lost or mixed up?
 */
// links: @machine devicemodel/virtio/queue.c devicemodel/virtio/chain.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/virtio.c devicemodel/virtio/pci_modern.c devicemodel/virtio/blk.c
// links: devicemodel/virtio/doorbell.c
// links: devicemodel/backend/block.c devicemodel/backend/block_uring.c
// links: devicemodel/backend/block_config.c
// links: tests/unit/devicemodel/driver_ring.c tests/unit/devicemodel/virtio_driver.c
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "dm_machine.h"
#include "fake_hsm.h"
#include "hsm.h"
#include "pci.h"
#include "virtio_driver.h"

#define QUEUES	 4U
#define SECTORS	 64U
#define MQ	 (1U << VIRTIO_BLK_F_MQ)
#define FEATURES (MQ | 1U << VIRTIO_BLK_F_FLUSH | 1U << VIRTIO_BLK_F_CONFIG_WCE)
#define MEMORY	 0x200000U
/* Behind the rings: 8 KB a queue. */
#define PART(q) (MEMORY + 0x10000 + (q)*0x2000)

static char path[64];
static struct driver disk;

/* While set, a read waits up to a second until another thread is in one too. */
static atomic_bool meet;
static atomic_uint inside, met;

ssize_t preadv2(int fd, const struct iovec *iov, int iovcnt, off_t offset, int flags)
{
	if (atomic_load(&meet)) {
		atomic_fetch_add(&inside, 1);
		for (unsigned int i = 0; i < 1000 && atomic_load(&inside) < 2; i++)
			usleep(1000);
		if (atomic_load(&inside) == 2)
			atomic_fetch_add(&met, 1);
	}
	return syscall(SYS_preadv2, fd, iov, iovcnt, offset, 0L, flags);
}

static void create(const char *options, unsigned int vcpus)
{
	char line[256];
	int fd;

	fake_hsm_reset();
	fake_hsm.vcpu_num = vcpus;
	atomic_store(&meet, false);
	snprintf(path, sizeof(path), "/tmp/test_blk_queues.%d", (int)getpid());
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, SECTORS * 512), 0);
	close(fd);
	snprintf(line, sizeof(line), "-s 0,hostbridge -s 3,virtio-blk,%s,%s", path, options);
	machine_create(line);
	driver_find(&disk, 3, MEMORY);
}

static int set_up(void **state)
{
	(void)state;
	create("writeback,iothread=2@0/0,mq=4", QUEUES);
	driver_start(&disk, FEATURES, QUEUES);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	machine_destroy();
	unlink(path);
	for (unsigned int i = 0; i < FAKE_HSM_DOORBELLS; i++)
		assert_int_equal(fake_hsm.doorbell[i].len, 0);
	return 0;
}

static volatile uint8_t *status(unsigned int q)
{
	return guest_at(PART(q) + 0x100, 1);
}

static void offer(unsigned int q, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr hdr = {.type = type, .sector = sector};
	uint16_t direction = type == VIRTIO_BLK_T_IN ? VRING_DESC_F_WRITE : 0;

	memcpy(guest_at(PART(q), sizeof(hdr)), &hdr, sizeof(hdr));
	*status(q) = 0xEE;
	ring_desc(&disk.ring[q], 0, PART(q), sizeof(hdr), VRING_DESC_F_NEXT,
		  type == VIRTIO_BLK_T_FLUSH ? 2 : 1);
	ring_desc(&disk.ring[q], 1, PART(q) + 0x1000, 512, VRING_DESC_F_NEXT | direction, 2);
	ring_desc(&disk.ring[q], 2, PART(q) + 0x100, 1, VRING_DESC_F_WRITE, 0);
	ring_offer(&disk.ring[q], 0);
}

static uint16_t port(unsigned int q)
{
	return (uint16_t)(disk.bell + 4 * q);
}

static void served(unsigned int q)
{
	(void)driver_wait(&disk, q);
	assert_int_equal(*status(q), VIRTIO_BLK_S_OK);
}

static uint32_t offered(void)
{
	driver_put(disk.common + VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
	return (uint32_t)driver_get(disk.common + VIRTIO_PCI_COMMON_DF, 4);
}

static uint64_t num_queues(void)
{
	return driver_get(disk.config + offsetof(struct virtio_blk_config, num_queues), 2);
}

/* Does the driver learn of the queues, and does the HSM of their doorbells, as it knows them? */
static void test_offer(void **state)
{
	(void)state;
	assert_true(offered() & MQ);
	assert_int_equal(num_queues(), QUEUES);
	assert_int_equal(driver_get(disk.common + VIRTIO_PCI_COMMON_NUMQ, 2), QUEUES);
	for (unsigned int q = 0; q < QUEUES; q++) {
		assert_int_equal(fake_hsm.doorbell[q].addr, port(q));
		assert_int_equal(fake_hsm.doorbell[q].flags, ACRN_IOEVENTFD_FLAG_PIO);
		offer(q, VIRTIO_BLK_T_IN, q);
		assert_true(fake_hsm_ring(port(q)));
		served(q);
	}
}

/* What if the user asks for more than there are vCPUs, or threads than queues, or for none? */
static void test_how_many(void **state)
{
	static const struct {
		const char *options;
		unsigned int vcpus, queues, doorbells;
	} cases[] = {
		{"mq=16", 3, 3, 0},	    {"mq=3,iothread=16", 8, 3, 3},
		{"mq=2,iothread", 1, 1, 1}, {"iothread=4@0:1", 1, 1, 1},
		{"ro,mq=1", 8, 1, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned int queues = cases[i].queues;

		machine_destroy();
		create(cases[i].options, cases[i].vcpus);
		assert_int_equal(driver_get(disk.common + VIRTIO_PCI_COMMON_NUMQ, 2), queues);
		assert_int_equal((offered() & MQ) != 0, queues > 1);
		assert_int_equal(num_queues(), queues > 1 ? queues : 0);
		driver_start(&disk, queues > 1 ? MQ : 0, queues);
		assert_int_equal(fake_hsm.calls[0x70], cases[i].doorbells);
		offer(queues - 1, VIRTIO_BLK_T_IN, 0);
		driver_ring_bell(&disk, queues - 1);
		served(queues - 1);
		fake_hsm.calls[0x70] = 0;
	}
}

/* Do two threads serve two queues at the same time? Queues 0 and 2 have the same one. */
static void test_at_once(void **state)
{
	(void)state;
	atomic_store(&inside, 0);
	atomic_store(&met, 0);
	atomic_store(&meet, true);
	offer(0, VIRTIO_BLK_T_IN, 1);
	offer(1, VIRTIO_BLK_T_IN, 2);
	assert_true(fake_hsm_ring(port(0)));
	assert_true(fake_hsm_ring(port(1)));
	machine_wait(atomic_load(&met) == 2);
	served(0);
	served(1);
}

/* What if one queue breaks the rules? The device stops, all its queues, until it is reset. */
static void test_broken(void **state)
{
	uint32_t id, len;

	(void)state;
	for (unsigned int bad = 0; bad < QUEUES; bad++) {
		unsigned int other = (bad + 1) % QUEUES;

		ring_offer(&disk.ring[bad], 0xFFFF);
		assert_true(fake_hsm_ring(port(bad)));
		machine_wait(driver_get(disk.common + VIRTIO_PCI_COMMON_STATUS, 1) &
			     VIRTIO_CONFIG_S_NEEDS_RESET);
		offer(other, VIRTIO_BLK_T_IN, 0);
		assert_true(fake_hsm_ring(port(other)));
		usleep(2000);
		assert_false(ring_take(&disk.ring[other], &id, &len));
		driver_start(&disk, FEATURES, QUEUES);
		for (unsigned int q = 0; q < QUEUES; q++) {
			offer(q, VIRTIO_BLK_T_IN, 0);
			assert_true(fake_hsm_ring(port(q)));
			served(q);
		}
	}
}

static atomic_bool stop_pouring;
static atomic_uint rounds[QUEUES], wrong;

/* A vCPU with its queue: writes its sectors, flushes, and reads what it wrote. */
static void *pour(void *arg)
{
	static const uint32_t types[] = {VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_IN};
	unsigned int q = (unsigned int)(uintptr_t)arg;
	uint8_t *data = guest_at(PART(q) + 0x1000, 512), want[512];
	uint32_t id, len;

	for (unsigned int n = 0; !atomic_load(&stop_pouring); n++) {
		memset(want, (int)(n * QUEUES + q), sizeof(want));
		memcpy(data, want, sizeof(want));
		for (unsigned int i = 0; i < 3; i++) {
			if (types[i] == VIRTIO_BLK_T_IN)
				memset(data, 0, sizeof(want));
			offer(q, types[i], q * 16 + n % 16);
			(void)fake_hsm_ring(port(q));
			while (!ring_take(&disk.ring[q], &id, &len)) {
				if (atomic_load(&stop_pouring))
					return NULL;
			}
			if (*status(q) != VIRTIO_BLK_S_OK)
				atomic_fetch_add(&wrong, 1);
		}
		if (memcmp(data, want, sizeof(want)) != 0)
			atomic_fetch_add(&wrong, 1);
		atomic_fetch_add(&rounds[q], 1);
	}
	return NULL;
}

/*
 * What if all queues are busy while the disk grows, its cache is switched, and it is reset? Each
 * queue reads what it wrote, and the reset ends.
 */
static void test_pouring(void **state)
{
	pthread_t thread[QUEUES];
	char text[80];

	(void)state;
	atomic_store(&wrong, 0);
	snprintf(text, sizeof(text), "3,%s", path);
	for (unsigned int i = 0; i < 10; i++) {
		driver_start(&disk, FEATURES, QUEUES);
		atomic_store(&stop_pouring, false);
		for (unsigned int q = 0; q < QUEUES; q++) {
			atomic_store(&rounds[q], 0);
			assert_int_equal(
				pthread_create(&thread[q], NULL, pour, (void *)(uintptr_t)q), 0);
		}
		driver_put(disk.config + offsetof(struct virtio_blk_config, wce), 1, i & 1);
		assert_int_equal(truncate(path, (SECTORS + i) * 512), 0);
		assert_int_equal(pci_bus_rescan(&machine, text), 0);
		for (unsigned int q = 0; q < QUEUES; q++)
			machine_wait(atomic_load(&rounds[q]) > 4);
		driver_put(disk.common + VIRTIO_PCI_COMMON_STATUS, 1, 0);
		atomic_store(&stop_pouring, true);
		for (unsigned int q = 0; q < QUEUES; q++)
			pthread_join(thread[q], NULL);
	}
	assert_int_equal(atomic_load(&wrong), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_offer), T(test_how_many), T(test_at_once), T(test_broken), T(test_pouring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
