// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does the disk backend keep what it was given, report what it could not, and let go of every
 * buffer when told to? The real block.c and block_config.c on files in a temporary folder.
 */
// links: devicemodel/backend/block.c devicemodel/backend/block_uring.c
// links: devicemodel/backend/block_config.c devicemodel/core/log.c
// links: tests/unit/devicemodel/fake_io.c
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
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "block.h"
#include "fake_io.h"
#include "log.h"

#define SECTORS 64U
#define DISK	(SECTORS * BLOCK_SECTOR)

static char dir[] = "/tmp/test_block.XXXXXX";
static char image[64];
static struct block *disk;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned int finished, cancelled;
static int last_error;

static void done(struct block_req *req, int err)
{
	(void)req;
	pthread_mutex_lock(&lock);
	finished++;
	cancelled += err == -ECANCELED ? 1 : 0;
	last_error = err;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static int wait_for(unsigned int n)
{
	int err;

	pthread_mutex_lock(&lock);
	while (finished < n)
		pthread_cond_wait(&changed, &lock);
	err = last_error;
	pthread_mutex_unlock(&lock);
	return err;
}

static void make_file(const char *path, off_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

static int try_open(const char *file, const char *options)
{
	char config[128];

	snprintf(config, sizeof(config), "%s/%s%s", dir, file, options);
	return block_open(&disk, "test", config);
}

static int set_up(void **state)
{
	(void)state;
	log_set_level(0);
	fake_io_reset();
	finished = 0;
	cancelled = 0;
	snprintf(image, sizeof(image), "%s/disk", dir);
	make_file(image, DISK);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_io_reset();
	unlink(image);
	return 0;
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL ? -1 : chmod(dir, 0755);
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

/* One request of one buffer, waited for. */
static int do_io(enum block_op op, uint64_t offset, void *buf, size_t len, bool durable)
{
	struct iovec iov = {buf, len};
	struct block_req req = {
		.op = op,
		.durable = durable,
		.iov = &iov,
		.iovcnt = len != 0 ? 1 : 0,
		.offset = offset,
		.len = len,
		.done = done,
	};
	int err;

	finished = 0;
	err = block_submit(disk, &req);
	return err == -EINPROGRESS ? wait_for(1) : err;
}

/* Does the user's sector size hold, for the disk's size too? */
static void test_sector_size(void **state)
{
	(void)state;
	assert_int_equal(truncate(image, DISK + 3 * BLOCK_SECTOR), 0);
	assert_int_equal(try_open("disk", ",sectorsize=1024/8192"), 0);
	assert_int_equal(block_info(disk)->logical, 1024);
	assert_int_equal(block_info(disk)->physical, 8192);
	assert_int_equal(block_info(disk)->size, DISK + 2 * BLOCK_SECTOR);
	block_close(disk);
	assert_int_equal(try_open("disk", ",sectorsize=65536"), -ENODATA);
}

/* What if the path is no disk? */
static void test_no_disk(void **state)
{
	(void)state;
	assert_int_equal(try_open("absent", ""), -ENOENT);
	assert_int_equal(try_open("", ""), -EISDIR);
	assert_int_equal(try_open("", ",ro"), -ENOTBLK);
	assert_int_equal(try_open("disk/x", ""), -ENOTDIR);
	assert_int_equal(block_open(&disk, "test", "/dev/null"), -ENOTBLK);
	make_file(image, 0);
	assert_int_equal(try_open("disk", ""), -ENODATA);
	make_file(image, 511);
	assert_int_equal(try_open("disk", ""), -ENODATA);
}

/* What is the size of a file that is no whole number of sectors? */
static void test_size(void **state)
{
	static const struct {
		off_t file;
		uint64_t disk;
	} cases[] = {{512, 512}, {1023, 512}, {1024, 1024}, {(1LL << 40) + 1, 1ULL << 40}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make_file(image, cases[i].file);
		assert_int_equal(try_open("disk", ""), 0);
		assert_int_equal(block_info(disk)->size, cases[i].disk);
		assert_int_equal(block_info(disk)->logical, 512);
		assert_true(block_info(disk)->physical >= 512);
		block_close(disk);
	}
}

/* Is the serial the same each time, and another for another file? */
static void test_serial(void **state)
{
	char first[21], other[64];

	(void)state;
	assert_int_equal(try_open("disk", ""), 0);
	assert_int_equal(strlen(block_info(disk)->serial), 20);
	strcpy(first, block_info(disk)->serial);
	block_close(disk);
	assert_int_equal(try_open("./disk", ""), 0);
	assert_string_equal(first, block_info(disk)->serial);
	block_close(disk);
	snprintf(other, sizeof(other), "%s/other", dir);
	make_file(other, 512);
	assert_int_equal(try_open("other", ""), 0);
	assert_string_not_equal(first, block_info(disk)->serial);
	block_close(disk);
	unlink(other);
}

/* What if two disks use one image? Readers may, a writer is alone. */
static void test_sharing(void **state)
{
	static const struct {
		const char *first, *second;
		int ret;
	} cases[] = {{"", "", -EBUSY}, {"", ",ro", -EBUSY}, {",ro", "", -EBUSY}, {",ro", ",ro", 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct block *first;

		assert_int_equal(try_open("disk", cases[i].first), 0);
		first = disk;
		assert_int_equal(try_open("disk", cases[i].second), cases[i].ret);
		if (cases[i].ret == 0)
			block_close(disk);
		block_close(first);
	}
	assert_int_equal(try_open("disk", ""), 0);
	block_close(disk);
}

/* What if the image may not be written? The disk is read-only, not absent. */
static void test_no_permission(void **state)
{
	bool root = geteuid() == 0;

	(void)state;
	assert_int_equal(chmod(image, 0444), 0);
	if (root)
		assert_int_equal(seteuid(65534), 0);
	assert_int_equal(try_open("disk", ""), 0);
	assert_true(block_info(disk)->read_only);
	block_close(disk);
	if (root)
		assert_int_equal(seteuid(0), 0);
}

/* Does data come back, in pieces and through signals, in every mode? */
static void test_data(void **state)
{
	static const char *const modes[] = {"", ",writeback", ",nocache"};
	uint8_t *out = malloc(DISK), *in = aligned_alloc(4096, DISK);

	(void)state;
	assert_true(out != NULL && in != NULL);
	for (unsigned int mode = 0; mode < 3; mode++) {
		if (try_open("disk", modes[mode]) == -EINVAL && mode == 2)
			continue; /* this file system has no O_DIRECT */
		for (unsigned int chunk = 0; chunk < 3000; chunk += 1111) {
			for (unsigned int i = 0; i < DISK; i++)
				out[i] = (uint8_t)(i * 7 + chunk + mode);
			atomic_store(&fake_io.chunk, chunk);
			atomic_store(&fake_io.interrupts, 3);
			assert_int_equal(do_io(BLOCK_WRITE, 0, out, DISK, mode == 0), 0);
			atomic_store(&fake_io.interrupts, 3);
			memset(in, 0, DISK);
			assert_int_equal(do_io(BLOCK_READ, 0, in, DISK, false), 0);
			assert_memory_equal(in, out, DISK);
			assert_int_equal(do_io(BLOCK_READ, 512, in + 1, 1024, false), 0);
			assert_memory_equal(in + 1, out + 512, 1024);
		}
		block_drain(disk);
		block_close(disk);
	}
	free(out);
	free(in);
}

/* Are scattered buffers filled in order, whatever the size of the pieces? */
static void test_scatter(void **state)
{
	uint8_t out[1024], in[1024];

	(void)state;
	for (unsigned int i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 3);
	assert_int_equal(try_open("disk", ""), 0);
	assert_int_equal(do_io(BLOCK_WRITE, 512, out, sizeof(out), false), 0);
	for (unsigned int chunk = 0; chunk < 5; chunk++) {
		struct iovec iov[] = {{in, 1}, {in + 1, 510}, {in + 511, 2}, {in + 513, 511}};
		struct block_req req = {.op = BLOCK_READ,
					.iov = iov,
					.iovcnt = 4,
					.offset = 512,
					.len = 1024,
					.done = done};
		int err;

		memset(in, 0xEE, sizeof(in));
		atomic_store(&fake_io.chunk, chunk);
		finished = 0;
		err = block_submit(disk, &req);
		assert_int_equal(err == -EINPROGRESS ? wait_for(1) : err, 0);
		assert_memory_equal(in, out, sizeof(in));
	}
	block_close(disk);
}

/* Is a request done at once when the cache has it, and by a worker when it has not? */
static void test_inline(void **state)
{
	uint8_t buf[512];

	(void)state;
	assert_int_equal(try_open("disk", ",writeback"), 0);
	atomic_store(&fake_io.nowait_errno, EAGAIN);
	assert_int_equal(do_io(BLOCK_READ, 0, buf, 512, false), 0);
	assert_int_equal(finished, 1);
	assert_int_equal(fake_io.nowaits, 1);
	/* A file system without it is asked once for each direction. */
	atomic_store(&fake_io.nowait_errno, EOPNOTSUPP);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(do_io(BLOCK_READ, 0, buf, 512, false), 0);
		assert_int_equal(do_io(BLOCK_WRITE, 0, buf, 512, false), 0);
	}
	assert_int_equal(fake_io.nowaits, 3);
	block_close(disk);

	/* A durable write never is; nor is anything with nocache. */
	fake_io_reset();
	assert_int_equal(try_open("disk", ""), 0);
	assert_int_equal(do_io(BLOCK_WRITE, 0, buf, 512, true), 0);
	assert_int_equal(fake_io.nowaits, 0);
	assert_int_equal(fake_io.last_flags, RWF_DSYNC);
	block_close(disk);
	if (try_open("disk", ",nocache") == 0) {
		assert_int_equal(do_io(BLOCK_READ, 0, buf, 512, false), 0);
		assert_int_equal(fake_io.nowaits, 0);
		block_close(disk);
	}
}

/* Is every kind of failure reported, and does the disk go on after it? */
static void test_errors(void **state)
{
	uint8_t buf[512] = {0};

	(void)state;
	assert_int_equal(try_open("disk", ""), 0);
	atomic_store(&fake_io.nowait_errno, EAGAIN);
	atomic_store(&fake_io.write_errno, ENOSPC);
	assert_int_equal(do_io(BLOCK_WRITE, 0, buf, 512, false), -ENOSPC);
	atomic_store(&fake_io.write_errno, 0);
	atomic_store(&fake_io.read_errno, EIO);
	assert_int_equal(do_io(BLOCK_READ, 0, buf, 512, false), -EIO);
	atomic_store(&fake_io.read_errno, 0);
	atomic_store(&fake_io.sync_errno, EIO);
	assert_int_equal(do_io(BLOCK_FLUSH, 0, NULL, 0, false), -EIO);
	atomic_store(&fake_io.sync_errno, 0);
	atomic_store(&fake_io.interrupts, 2);
	assert_int_equal(do_io(BLOCK_FLUSH, 0, NULL, 0, false), 0);
	assert_int_equal(fake_io.syncs, 1);
	/* Cut the file behind its back: reads fail instead of hanging. */
	assert_int_equal(truncate(image, 512), 0);
	assert_int_equal(do_io(BLOCK_READ, 1024, buf, 512, false), -EIO);
	assert_int_equal(do_io(BLOCK_READ, 0, buf, 512, false), 0);
	block_close(disk);
}

/* What if one disk fails again and again: is its log short, and that of the next disk not gone? */
static void test_complaints(void **state)
{
	uint8_t buf[512] = {0};
	int err = dup(STDERR_FILENO), lines;
	FILE *log = tmpfile();

	(void)state;
	assert_non_null(log);
	log_set_level(LOG_LEVEL_WARNING);
	dup2(fileno(log), STDERR_FILENO);
	atomic_store(&fake_io.nowait_errno, EAGAIN);
	atomic_store(&fake_io.read_errno, EIO);
	for (int n = 0; n < 2; n++) {
		assert_int_equal(try_open("disk", ""), 0);
		for (unsigned int i = 0; i < 2 * LOG_GUEST_LIMIT; i++)
			(void)do_io(BLOCK_READ, 0, buf, 512, false);
		block_close(disk);
	}
	dup2(err, STDERR_FILENO);
	close(err);
	rewind(log);
	for (lines = 0; fscanf(log, "%*[^\n]\n") != EOF; lines++)
		;
	fclose(log);
	/* The first ones and the last, at which the number has doubled. */
	assert_int_equal(lines, 2 * (LOG_GUEST_LIMIT + 1));
}

/* What if the file may grow no further? The write fails, the program lives. */
static void test_file_limit(void **state)
{
	struct rlimit old, small;
	uint8_t buf[1024];

	(void)state;
	make_file(image, DISK);
	assert_int_equal(try_open("disk", ""), 0);
	memset(buf, 0x5A, sizeof(buf));
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 1536;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(do_io(BLOCK_WRITE, 2048, buf, 512, false), -EFBIG);
	assert_int_equal(do_io(BLOCK_WRITE, 1024, buf, 1024, false), -EFBIG); /* half of it fits */
	assert_int_equal(do_io(BLOCK_WRITE, 0, buf, 512, false), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(do_io(BLOCK_WRITE, 2048, buf, 512, false), 0);
	block_close(disk);
}

static void *open_gate(void *arg)
{
	(void)arg;
	usleep(50000);
	fake_io_gate(false);
	return NULL;
}

/*
 * What if the disk is slow and the device is reset? What waits is cancelled, what runs is
 * waited for, and afterwards nothing is left to touch a buffer.
 */
static void test_drain(void **state)
{
	static uint8_t buf[40][512];
	struct iovec iov[40];
	struct block_req req[40];
	pthread_t thread;
	unsigned int running;

	(void)state;
	assert_int_equal(try_open("disk", ""), 0);
	fake_io_gate(true);
	for (unsigned int i = 0; i < 40; i++) {
		iov[i] = (struct iovec) {buf[i], 512};
		req[i] = (struct block_req) {.op = BLOCK_WRITE,
					     .durable = true,
					     .iov = &iov[i],
					     .iovcnt = 1,
					     .offset = i * 512U,
					     .len = 512,
					     .done = done};
		assert_int_equal(block_submit(disk, &req[i]), -EINPROGRESS);
	}
	while ((running = fake_io_waiting()) < 8)
		usleep(1000);
	assert_int_equal(finished, 0);
	pthread_create(&thread, NULL, open_gate, NULL);
	block_drain(disk);
	assert_int_equal(finished, 40);
	assert_int_equal(cancelled, 40 - running);
	assert_int_equal(fake_io.writes, running);
	pthread_join(thread, NULL);
	memset(req, 0xFF, sizeof(req));
	/* It goes on after that. */
	assert_int_equal(do_io(BLOCK_WRITE, 0, buf[0], 512, true), 0);
	block_drain(disk); /* of nothing */
	block_close(disk);
}

/* What if one request is alone? One thread does it; many need no more than a few. */
static void test_many(void **state)
{
	enum { COUNT = 64, ROUNDS = 200 };
	static uint8_t buf[COUNT][512], back[DISK];
	struct iovec iov[COUNT];
	struct block_req req[COUNT];

	(void)state;
	assert_int_equal(try_open("disk", ",writeback"), 0);
	atomic_store(&fake_io.nowait_errno, EAGAIN);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		unsigned int count = 1 + round % COUNT;

		finished = 0;
		for (unsigned int i = 0; i < count; i++) {
			memset(buf[i], (int)(round + i), 512);
			iov[i] = (struct iovec) {buf[i], 512};
			req[i] = (struct block_req) {.op = BLOCK_WRITE,
						     .iov = &iov[i],
						     .iovcnt = 1,
						     .offset = i * 512U,
						     .len = 512,
						     .done = done};
			assert_int_equal(block_submit(disk, &req[i]), -EINPROGRESS);
		}
		assert_int_equal(wait_for(count), 0);
		atomic_store(&fake_io.nowait_errno, 0);
		assert_int_equal(do_io(BLOCK_READ, 0, back, DISK, false), 0);
		atomic_store(&fake_io.nowait_errno, EAGAIN);
		for (unsigned int i = 0; i < count; i++)
			assert_memory_equal(back + i * 512U, buf[i], 512);
	}
	block_close(disk);
}

/* What if there can be no worker: is the request done all the same? In a process without rights. */
static void test_no_worker(void **state)
{
	const struct rlimit none = {0};
	uint8_t buf[512] = {1}, back[512] = {0};
	pid_t child;
	int status;

	(void)state;
	assert_int_equal(try_open("disk", ""), 0);
	child = fork();
	if (child == 0) {
		struct iovec iov = {buf, sizeof(buf)};
		struct block_req req = {.op = BLOCK_WRITE,
					.iov = &iov,
					.iovcnt = 1,
					.len = sizeof(buf),
					.done = done};

		atomic_store(&fake_io.nowait_errno, EAGAIN);
		if (setrlimit(RLIMIT_NPROC, &none) < 0 || (getuid() == 0 && setuid(65534) < 0))
			_exit(2);
		_exit(block_submit(disk, &req) != 0 || finished != 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(do_io(BLOCK_READ, 0, back, sizeof(back), false), 0);
	assert_memory_equal(back, buf, sizeof(back));
	block_close(disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sector_size, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_disk, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_size, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_serial, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sharing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_permission, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_data, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_scatter, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_inline, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_errors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_complaints, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_file_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_drain, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_worker, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
