// SPDX-License-Identifier: BSD-3-Clause
/*
 * Disks backed by a file or a block device.
 *
 * A device's kick, on any thread, calls block_submit(): what the page cache can satisfy without
 * waiting is done right there, since handing a request over costs more than copying its data. All
 * else goes to the kernel's ring (block_uring.c), if the user wants it, or on b->todo, from which
 * workers take it; they also do what the ring did not do whole. done() is called without a lock.
 * b->lock guards b->todo, the counters and who submits to the ring. Only block_rescan() changes
 * descriptors and sizes, when nobody submits.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "block.h"
#include "block_config.h"
#include "block_uring.h"
#include "log.h"

/* Enough to keep a queue of 64 busy on storage that answers in parallel; started on demand. */
#define WORKERS_MAX  8U
#define WORKER_STACK (128U << 10)

/* Above this the copy would keep the guest's other devices waiting for too long. */
#define INLINE_MAX (128U << 10)

/*
 * Flush. A write is reported done only after pwritev2() returned, so an fdatasync() that starts
 * later covers every write the guest has been told of: no ordering between requests is kept.
 *
 * Reset and the end. block_drain() cancels what waits on b->todo and sleeps until nobody is
 * inside a request, so afterwards nobody touches the guest's buffers.
 */
struct block {
	const char *name;
	int fd;	       /* -1: an empty disk */
	int cached_fd; /* with nocache: for buffers that O_DIRECT cannot take; else -1 */
	struct block_info info;
	atomic_uint failures; /* each disk tells of its own */
	uint64_t base; /* where in the file the disk begins, and how long it is; 0: all of it */
	uint64_t length;
	uint32_t logical, physical; /* the user's; 0: the file's */
	bool is_device;
	bool nocache;
	atomic_bool
		nowait[2]; /* by op: the file system can do it without waiting, as far as known */

	pthread_mutex_t lock;
	pthread_cond_t work;	/* todo or closing changed */
	pthread_cond_t drained; /* active became 0 */
	STAILQ_HEAD(, block_req) todo;
	unsigned int waiting;	    /* requests on todo */
	unsigned int workers, idle; /* threads: all, asleep */
	unsigned int active;	    /* requests with a worker or in the ring */
	struct block_uring *ring;   /* or NULL */
	bool closing;
	pthread_t worker[WORKERS_MAX];
};

const struct block_info *block_info(const struct block *b)
{
	return &b->info;
}

/* --- the I/O itself --- */

/* Drop @n bytes from the front of what is left to do. */
static void advance(struct block_req *req, uint64_t n)
{
	req->offset += n;
	req->len -= n;
	while (n != 0) {
		size_t part = n < req->iov->iov_len ? (size_t)n : req->iov->iov_len;

		req->iov->iov_base = (uint8_t *)req->iov->iov_base + part;
		req->iov->iov_len -= part;
		n -= part;
		if (req->iov->iov_len == 0) {
			req->iov++;
			req->iovcnt--;
		}
	}
}

static ssize_t transfer_fd(const struct block *b, int fd, const struct block_req *req, int flags)
{
	off_t offset = (off_t)(b->base + req->offset);
	ssize_t n;

	do {
		if (req->op == BLOCK_READ)
			n = preadv2(fd, req->iov, (int)req->iovcnt, offset, flags);
		else
			n = pwritev2(fd, req->iov, (int)req->iovcnt, offset, flags);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Bytes moved (at least one), or a negative errno. */
static ssize_t transfer(const struct block *b, const struct block_req *req, int flags)
{
	ssize_t n = transfer_fd(b, b->fd, req, flags);

	/* A buffer that O_DIRECT cannot take; the kernel keeps both ways coherent. */
	if (n == -EINVAL && b->cached_fd >= 0)
		n = transfer_fd(b, b->cached_fd, req, flags);
	/* Inside the disk there is data: no byte means the file was cut behind our back. */
	return n == 0 ? -EIO : n;
}

static int sync_file(const struct block *b)
{
	int ret;

	do {
		ret = fdatasync(b->fd);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

/* Nobody reads what it gave up, whether it is still there or not. */
static int discard(const struct block *b, const struct block_req *req)
{
	int err = b->fd < 0 ? -EIO : 0;

	for (unsigned int i = 0; i < req->range_count && err == 0; i++) {
		uint64_t range[2] = {b->base + req->ranges[i].offset, req->ranges[i].len};
		int ret;

		do {
			ret = b->is_device
				      ? ioctl(b->fd, BLKDISCARD, range)
				      : fallocate(b->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
						  (off_t)range[0], (off_t)range[1]);
		} while (ret < 0 && errno == EINTR);
		err = ret < 0 ? -errno : 0;
	}
	return err;
}

static const char *op_name(enum block_op op)
{
	static const char *const names[] = {"read", "write", "flush", "discard"};

	return names[op];
}

static int perform(struct block *b, struct block_req *req)
{
	int err = 0;

	while (req->len != 0 && err == 0) {
		ssize_t n = transfer(b, req, req->durable ? RWF_DSYNC : 0);

		if (n < 0)
			err = (int)n;
		else
			advance(req, (uint64_t)n);
	}
	if (err == 0 && req->op == BLOCK_FLUSH && b->fd >= 0)
		err = sync_file(b);
	if (req->op == BLOCK_DISCARD)
		err = discard(b, req);
	if (err != 0)
		log_guest_line(&b->failures, "%s: %s at byte %" PRIu64 " failed: %s", b->name,
			       op_name(req->op), req->offset, strerror(-err));
	return err;
}

/* Try in the caller's thread. True when all of it is done. */
static bool perform_now(struct block *b, struct block_req *req)
{
	ssize_t n;

	if (req->op >= BLOCK_FLUSH || req->durable || req->len > INLINE_MAX || !b->nowait[req->op])
		return false;
	n = transfer(b, req, RWF_NOWAIT);
	if (n > 0)
		advance(req, (uint64_t)n);
	else if (n == -EOPNOTSUPP)
		b->nowait[req->op] = false;
	/* Any other error shows again in the worker, who reports it. */
	return req->len == 0;
}

/* --- workers --- */

static void *worker(void *arg)
{
	struct block *b = arg;

	pthread_mutex_lock(&b->lock);
	for (;;) {
		struct block_req *req;
		int err;

		while (STAILQ_EMPTY(&b->todo) && !b->closing) {
			b->idle++;
			pthread_cond_wait(&b->work, &b->lock);
			b->idle--;
		}
		if (b->closing)
			break;
		req = STAILQ_FIRST(&b->todo);
		STAILQ_REMOVE_HEAD(&b->todo, link);
		b->waiting--;
		b->active++;
		pthread_mutex_unlock(&b->lock);

		err = perform(b, req);
		req->done(req, err); /* the caller may reuse req from here on */

		pthread_mutex_lock(&b->lock);
		if (--b->active == 0)
			pthread_cond_broadcast(&b->drained);
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

/* b->lock held. Signals stay with the main threads. */
static int start_worker(struct block *b)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WORKER_STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&b->worker[b->workers], &attr, worker, b);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (err == 0)
		b->workers++;
	return -err;
}

/* b->lock held. False: there is no worker, nor can there be one. */
static bool give_to_worker(struct block *b, struct block_req *req)
{
	/* Without a new thread the request waits for one of those there are. */
	if (b->waiting >= b->idle && b->workers < WORKERS_MAX && start_worker(b) < 0 &&
	    b->workers == 0)
		return false;
	STAILQ_INSERT_TAIL(&b->todo, req, link);
	b->waiting++;
	pthread_cond_signal(&b->work);
	return true;
}

/* What the ring did in part or not at all a worker does again, and says why it fails. */
static void ring_done(void *arg, struct block_req *req, int result)
{
	struct block *b = arg;
	bool whole = result >= 0 && (uint64_t)result == req->len, given = false;

	if (!whole) {
		pthread_mutex_lock(&b->lock);
		given = give_to_worker(b, req);
		pthread_mutex_unlock(&b->lock);
	}
	if (!given)
		req->done(req, whole ? 0 : perform(b, req));
	pthread_mutex_lock(&b->lock);
	if (--b->active == 0)
		pthread_cond_broadcast(&b->drained);
	pthread_mutex_unlock(&b->lock);
}

int block_submit(struct block *b, struct block_req *req)
{
	bool given;

	if (perform_now(b, req))
		return 0;

	pthread_mutex_lock(&b->lock);
	given = b->ring != NULL && b->fd >= 0 && block_uring_submit(b->ring, b->fd, b->base, req);
	if (given)
		b->active++;
	else
		given = give_to_worker(b, req);
	pthread_mutex_unlock(&b->lock);
	return given ? -EINPROGRESS : perform(b, req);
}

void block_drain(struct block *b)
{
	pthread_mutex_lock(&b->lock);
	while (b->active != 0 || !STAILQ_EMPTY(&b->todo)) {
		struct block_req *req = STAILQ_FIRST(&b->todo);

		if (req == NULL) {
			pthread_cond_wait(&b->drained, &b->lock);
			continue;
		}
		STAILQ_REMOVE_HEAD(&b->todo, link);
		b->waiting--;
		pthread_mutex_unlock(&b->lock);
		req->done(req, -ECANCELED);
		pthread_mutex_lock(&b->lock);
	}
	pthread_mutex_unlock(&b->lock);
}

/* --- opening and closing --- */

static bool power_of_two(uint64_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

static int open_files(struct block *b, const char *path)
{
	int flags = O_CLOEXEC | (b->nocache ? O_DIRECT : 0);
	bool read_only = b->info.read_only;

	b->fd = open(path, flags | (read_only ? O_RDONLY : O_RDWR));
	if (b->fd < 0 && !read_only && (errno == EACCES || errno == EROFS || errno == EPERM)) {
		log_notice("%s: %s cannot be written, the disk is read-only", b->name, path);
		b->info.read_only = true;
		b->fd = open(path, flags | O_RDONLY);
	}
	if (b->fd >= 0 && b->nocache)
		b->cached_fd = open(path, O_CLOEXEC | (b->info.read_only ? O_RDONLY : O_RDWR));
	if (b->fd < 0 || (b->nocache && b->cached_fd < 0)) {
		int err = errno;

		log_err("%s: cannot open %s: %s%s", b->name, path, strerror(err),
			b->nocache && err == EINVAL ? " (its file system cannot do nocache)" : "");
		return -err;
	}
	return 0;
}

/* Two writers would destroy the image; readers may share it. */
static int lock_image(const struct block *b, const char *path)
{
	struct flock fl = {
		.l_type = b->info.read_only ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = (off_t)b->base,
		.l_len = (off_t)b->length, /* disks of one file that do not meet are no danger */
	};

	if (fcntl(b->fd, F_OFD_SETLK, &fl) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES) {
		log_err("%s: %s is in use by another disk or VM", b->name, path);
		return -EBUSY;
	}
	log_warn("%s: cannot lock %s (%s); see that nothing else uses it", b->name, path,
		 strerror(errno));
	return 0;
}

static int measure(struct block *b, const char *path)
{
	uint64_t bytes = 0;
	unsigned int physical = 0;
	int logical = 0;
	struct stat st;

	if (fstat(b->fd, &st) < 0)
		return -errno;
	b->is_device = S_ISBLK(st.st_mode);
	if (b->is_device) {
		if (ioctl(b->fd, BLKGETSIZE64, &bytes) < 0 ||
		    ioctl(b->fd, BLKSSZGET, &logical) < 0 ||
		    ioctl(b->fd, BLKPBSZGET, &physical) < 0) {
			int err = errno;

			log_err("%s: cannot size %s: %s", b->name, path, strerror(err));
			return -err;
		}
	} else if (S_ISREG(st.st_mode)) {
		bytes = (uint64_t)st.st_size;
		logical = BLOCK_SECTOR;
		physical = (unsigned int)st.st_blksize;
	} else {
		log_err("%s: %s is neither a file nor a block device", b->name, path);
		return -ENOTBLK;
	}
	if (b->length != 0 && (bytes < b->base || bytes - b->base < b->length)) {
		log_err("%s: %s has %" PRIu64 " sectors: the range is not all in it", b->name, path,
			bytes / BLOCK_SECTOR);
		return -ERANGE;
	}
	bytes = b->length != 0 ? b->length : bytes;
	if (b->logical != 0) {
		logical = (int)b->logical;
		physical = b->physical;
	}
	if (!power_of_two((unsigned int)logical) || logical < (int)BLOCK_SECTOR)
		logical = BLOCK_SECTOR;
	if (bytes < (unsigned int)logical) {
		log_err("%s: %s has %u bytes, less than a sector; make it the size of the disk "
			"first",
			b->name, path, (unsigned int)bytes);
		return -ENODATA;
	}
	if (bytes % (unsigned int)logical != 0)
		log_notice("%s: the last %u bytes of %s are no whole sector, they stay unused",
			   b->name, (unsigned int)(bytes % (unsigned int)logical), path);
	b->info.size = bytes - bytes % (unsigned int)logical;
	b->info.logical = (uint32_t)logical;
	b->info.physical =
		power_of_two(physical) && physical >= b->info.logical ? physical : b->info.logical;
	return 0;
}

/* FNV-1a of the real path: the guest finds the disk again by it after a reboot. */
static void make_serial(struct block *b, const char *path)
{
	char real[PATH_MAX];
	uint64_t hash = 0xCBF29CE484222325ULL;

	if (realpath(path, real) == NULL)
		snprintf(real, sizeof(real), "%s", path);
	for (const char *c = real; *c != '\0'; c++)
		hash = (hash ^ (uint8_t)*c) * 0x100000001B3ULL;
	snprintf(b->info.serial, sizeof(b->info.serial), "ACRN%016" PRIx64, hash);
}

static void close_files(struct block *b)
{
	if (b->fd >= 0)
		close(b->fd);
	if (b->cached_fd >= 0)
		close(b->cached_fd);
	b->fd = -1;
	b->cached_fd = -1;
}

static int put_in(struct block *b, const char *path)
{
	int ret = open_files(b, path);

	if (ret == 0)
		ret = lock_image(b, path);
	if (ret == 0)
		ret = measure(b, path);
	if (ret == 0)
		make_serial(b, path);
	else
		close_files(b);
	return ret;
}

/* The empty disk gets a file. Nothing but flushes can be in flight, which have nothing to write. */
static int fill(struct block *b, const char *path)
{
	const struct block_info old = b->info;
	int ret;

	block_drain(b);
	ret = put_in(b, path);
	if (ret == 0 && b->info.read_only != old.read_only) {
		close_files(b);
		ret = -EROFS;
	}
	if (ret != 0) {
		b->info = old;
	} else {
		/* The driver has read the sizes of sectors, and does not read them again. */
		b->info.logical = old.logical;
		b->info.physical = old.physical;
	}
	return ret;
}

static bool same_file(const struct block *b, const char *path)
{
	struct stat mine, other;

	return fstat(b->fd, &mine) == 0 && stat(path, &other) == 0 && mine.st_dev == other.st_dev &&
	       mine.st_ino == other.st_ino && mine.st_rdev == other.st_rdev;
}

int block_rescan(struct block *b, const char *path)
{
	const struct block_info old = b->info;
	int ret;

	if (b->fd < 0)
		return fill(b, path);
	if (!same_file(b, path))
		return access(path, F_OK) < 0 ? -errno : -EEXIST;
	ret = measure(b, path);
	if (ret == 0 && b->info.size < old.size)
		ret = -ERANGE;
	if (ret != 0)
		b->info = old;
	return ret;
}

int block_open(struct block **out, const char *name, const char *config)
{
	struct block_config cfg;
	struct block *b;
	int ret = block_config_parse(&cfg, name, config);

	if (ret < 0)
		return ret;
	b = calloc(1, sizeof(*b));
	if (b == NULL)
		return -ENOMEM;
	b->name = name;
	b->fd = -1;
	b->cached_fd = -1;
	b->nocache = cfg.nocache;
	b->info.read_only = cfg.read_only;
	b->info.writeback = cfg.writeback;
	b->info.queues = cfg.queues;
	b->info.threads = cfg.threads;
	b->base = cfg.range_first * BLOCK_SECTOR;
	b->length = cfg.range_sectors * BLOCK_SECTOR;
	b->logical = cfg.logical;
	b->physical = cfg.physical;
	b->info.logical = cfg.logical != 0 ? cfg.logical : BLOCK_SECTOR;
	b->info.physical = cfg.physical != 0 ? cfg.physical : BLOCK_SECTOR;
	b->info.discard_sectors = cfg.discard_sectors;
	b->info.discard_segments = cfg.discard_segments;
	b->info.discard_align = cfg.discard_align;
	/* A transfer that O_DIRECT does would wait for the disk whatever the flag says. */
	b->nowait[BLOCK_READ] = !cfg.nocache;
	b->nowait[BLOCK_WRITE] = !cfg.nocache;
	STAILQ_INIT(&b->todo);
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->work, NULL);
	pthread_cond_init(&b->drained, NULL);
	/* A write beyond a file size limit shall fail, not kill the VM. */
	signal(SIGXFSZ, SIG_IGN);

	ret = cfg.no_disk ? 0 : put_in(b, cfg.path);
	if (ret < 0) {
		free(b);
		return ret;
	}
	if (cfg.uring)
		b->ring = block_uring_create(name, ring_done, b);
	*out = b;
	return 0;
}

void block_close(struct block *b)
{
	pthread_mutex_lock(&b->lock);
	b->closing = true;
	pthread_cond_broadcast(&b->work);
	pthread_mutex_unlock(&b->lock);
	for (unsigned int i = 0; i < b->workers; i++)
		pthread_join(b->worker[i], NULL);
	block_uring_destroy(b->ring);

	pthread_cond_destroy(&b->drained);
	pthread_cond_destroy(&b->work);
	pthread_mutex_destroy(&b->lock);
	close_files(b);
	free(b);
}
