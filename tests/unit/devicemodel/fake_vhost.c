// SPDX-License-Identifier: BSD-3-Clause
/* See fake_vhost.h. These definitions stand before the C library's for the whole test program. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "fake_vhost.h"

int ioctl(int fd, unsigned long code, ...);

struct fake_vhost fake_vhost[FAKE_VHOSTS];
uint64_t fake_vhost_features;
int fake_vhost_fail[256];
int fake_vhost_missing;

void fake_vhost_reset(void)
{
	memset(fake_vhost, 0, sizeof(fake_vhost));
	memset(fake_vhost_fail, 0, sizeof(fake_vhost_fail));
	fake_vhost_missing = 0;
	fake_vhost_features = 1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_INDIRECT_DESC |
			      1ULL << VIRTIO_RING_F_EVENT_IDX | 1ULL << VIRTIO_NET_F_MRG_RXBUF |
			      1ULL << VIRTIO_F_ANY_LAYOUT | 1ULL << VHOST_F_LOG_ALL;
}

int open(const char *path, int flags, ...)
{
	mode_t mode;
	va_list args;

	va_start(args, flags);
	mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
	va_end(args);
	if (strncmp(path, "/dev/vhost-", 11) != 0)
		return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	errno = fake_vhost_missing;
	for (unsigned int i = 0; i < FAKE_VHOSTS && fake_vhost_missing == 0; i++) {
		struct fake_vhost *v = &fake_vhost[i];

		if (v->fd != 0)
			continue;
		v->fd = eventfd(0, EFD_CLOEXEC);
		snprintf(v->path, sizeof(v->path), "%s", path);
		for (unsigned int r = 0; r < 2; r++)
			v->ring[r] = (struct fake_vhost_ring) {
				.kick = -1, .call = -1, .error = -1, .backend = -1};
		return v->fd;
	}
	return -1;
}

/* Is all of a ring's part in the memory that the kernel was given? */
static bool inside(const struct fake_vhost *v, uint64_t addr, uint64_t len)
{
	for (unsigned int i = 0; i < v->regions; i++) {
		const struct vhost_memory_region *r = &v->region[i];

		if (addr >= r->userspace_addr && len <= r->memory_size &&
		    addr - r->userspace_addr <= r->memory_size - len)
			return true;
	}
	return false;
}

static int set_backend(struct fake_vhost *v, struct fake_vhost_ring *ring, int fd)
{
	if (fd >= 0 && (ring->size == 0 || !inside(v, ring->addr.desc_user_addr, ring->size * 16) ||
			!inside(v, ring->addr.avail_user_addr, ring->size * 2 + 6) ||
			!inside(v, ring->addr.used_user_addr, ring->size * 8 + 6)))
		return -EFAULT;
	ring->backend = fd;
	return 0;
}

static int set_memory(struct fake_vhost *v, const struct vhost_memory *m)
{
	if (m->nregions > FAKE_VHOST_REGIONS)
		return -E2BIG;
	v->regions = m->nregions;
	memcpy(v->region, m->regions, m->nregions * sizeof(m->regions[0]));
	return 0;
}

/* What names a ring, first in its payload. */
static int handle_ring(struct fake_vhost *v, unsigned long code, const void *payload)
{
	const struct vhost_vring_state *state = payload;
	const struct vhost_vring_file *file = payload;
	struct fake_vhost_ring *ring;

	if (state->index >= 2)
		return -ENOBUFS;
	ring = &v->ring[state->index];
	switch (code) {
	case VHOST_SET_VRING_NUM:
	case VHOST_SET_VRING_BASE:
		if (ring->backend >= 0)
			return -EBUSY;
		if (code == VHOST_SET_VRING_NUM)
			ring->size = state->num;
		return 0;
	case VHOST_SET_VRING_ADDR:
		ring->addr = *(const struct vhost_vring_addr *)payload;
		return 0;
	case VHOST_SET_VRING_KICK:
		ring->kick = file->fd;
		return 0;
	case VHOST_SET_VRING_CALL:
		ring->call = file->fd;
		return 0;
	case VHOST_SET_VRING_ERR:
		ring->error = file->fd;
		return 0;
	case VHOST_NET_SET_BACKEND:
		return set_backend(v, ring, file->fd);
	default:
		return -ENOTTY;
	}
}

static int handle(struct fake_vhost *v, unsigned long code, void *payload)
{
	if (code != VHOST_SET_OWNER && !v->owned)
		return -EPERM;
	switch (code) {
	case VHOST_SET_OWNER:
		v->owned = true;
		return 0;
	case VHOST_GET_FEATURES:
		memcpy(payload, &fake_vhost_features, sizeof(uint64_t));
		return 0;
	case VHOST_SET_FEATURES:
		memcpy(&v->features, payload, sizeof(uint64_t));
		return (v->features & ~fake_vhost_features) != 0 ? -EOPNOTSUPP : 0;
	case VHOST_SET_MEM_TABLE:
		return set_memory(v, payload);
	case VHOST_VSOCK_SET_GUEST_CID:
		memcpy(&v->cid, payload, sizeof(v->cid));
		return 0;
	case VHOST_VSOCK_SET_RUNNING:
		v->running = *(const int *)payload != 0;
		for (unsigned int i = 0; i < 2; i++) {
			if (set_backend(v, &v->ring[i], v->running ? 0 : -1) < 0)
				return -EFAULT;
		}
		return 0;
	default:
		return handle_ring(v, code, payload);
	}
}

int ioctl(int fd, unsigned long code, ...)
{
	va_list args;
	void *payload;
	int err;

	va_start(args, code);
	payload = va_arg(args, void *);
	va_end(args);
	for (unsigned int i = 0; i < FAKE_VHOSTS && (code >> 8 & 0xFFU) == VHOST_VIRTIO; i++) {
		if (fake_vhost[i].fd != fd)
			continue;
		err = fake_vhost_fail[code & 0xFFU];
		errno = err != 0 ? err : -handle(&fake_vhost[i], code, payload);
		return errno != 0 ? -1 : 0;
	}
	return (int)syscall(SYS_ioctl, fd, code, payload);
}

bool fake_vhost_kicked(const struct fake_vhost_ring *ring)
{
	uint64_t count;

	return read(ring->kick, &count, sizeof(count)) == sizeof(count);
}

bool fake_vhost_serves(const struct fake_vhost_ring *ring)
{
	return ring->backend >= 0;
}
