// SPDX-License-Identifier: BSD-3-Clause
/*
 * The Linux HSM driver: every ioctl of the program is in this file. Stateless
 * but for the descriptor, so no lock; the driver does its own.
 */
#include "hsm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

/* From one try to the next; five seconds in all. */
#define CREATE_FIRST_MS 20
#define CREATE_LAST_MS	2560

/* Of ACRN's own kernels; the argument is the value itself. */
#define SET_ASYNCIO    _IOW(ACRN_IOCTL_TYPE, 0x90, __u64)
#define SET_EVENT_RING _IOW(ACRN_IOCTL_TYPE, 0xa0, __u64)
#define SET_EVENT_FD   _IOW(ACRN_IOCTL_TYPE, 0xa1, int)

struct hsm {
	int fd; /* -1: nobody is asked, and all is well */
};

int hsm_open(struct hsm **out, bool pretend)
{
	struct hsm *hsm = malloc(sizeof(*hsm));
	int err;

	if (!hsm)
		return -ENOMEM;
	hsm->fd = pretend ? -1 : open("/dev/acrn_vhm", O_RDWR | O_CLOEXEC);
	if (hsm->fd < 0 && !pretend)
		hsm->fd = open("/dev/acrn_hsm", O_RDWR | O_CLOEXEC);
	if (hsm->fd < 0 && !pretend) {
		err = -errno;
		log_err("cannot open /dev/acrn_hsm: %s%s", strerror(errno),
			errno == ENOENT ? " (is this a Service VM with the HSM driver?)" : "");
		free(hsm);
		return err;
	}
	*out = hsm;
	return 0;
}

void hsm_close(struct hsm *hsm)
{
	if (!hsm)
		return;
	if (hsm->fd >= 0)
		close(hsm->fd);
	free(hsm);
}

int hsm_descriptor(const struct hsm *hsm)
{
	return hsm->fd;
}

static int request(const struct hsm *hsm, unsigned long code, const void *payload)
{
	return hsm->fd >= 0 && ioctl(hsm->fd, code, payload) < 0 ? -errno : 0;
}

int hsm_create_vm(struct hsm *hsm, struct acrn_vm_creation *req)
{
	int err;

	if (hsm->fd < 0) {
		req->vcpu_num =
			req->cpu_affinity ? (uint16_t)__builtin_popcountll(req->cpu_affinity) : 1;
		return 0;
	}
	for (long ms = CREATE_FIRST_MS;; ms *= 2) {
		const struct timespec interval = {ms / 1000, ms % 1000 * 1000000};

		err = request(hsm, ACRN_IOCTL_CREATE_VM, req);
		if (!err || err == -ENOTTY || ms > CREATE_LAST_MS)
			return err;
		nanosleep(&interval, NULL);
	}
}

/*
 * Until the driver is closed, one VM ends at a time: Linux warns if a request arrives for one while
 * the driver waits that none is under way for another. One that runs on lets the others.
 */
int hsm_destroy_vm(struct hsm *hsm)
{
	int err;

	(void)flock(hsm->fd, LOCK_EX);
	err = request(hsm, ACRN_IOCTL_DESTROY_VM, NULL);
	if (err)
		(void)flock(hsm->fd, LOCK_UN);
	return err;
}

int hsm_start_vm(struct hsm *hsm)
{
	return request(hsm, ACRN_IOCTL_START_VM, NULL);
}

int hsm_pause_vm(struct hsm *hsm)
{
	return request(hsm, ACRN_IOCTL_PAUSE_VM, NULL);
}

int hsm_reset_vm(struct hsm *hsm)
{
	return request(hsm, ACRN_IOCTL_RESET_VM, NULL);
}

int hsm_set_vcpu_regs(struct hsm *hsm, const struct acrn_vcpu_regs *regs)
{
	return request(hsm, ACRN_IOCTL_SET_VCPU_REGS, regs);
}

static int map_memory(const struct hsm *hsm, uint64_t gpa, void *hva, uint64_t len, uint32_t rights)
{
	struct acrn_vm_memmap map = {
		.type = ACRN_MEMMAP_RAM,
		.attr = rights | ACRN_MEM_TYPE_WB,
		.user_vm_pa = gpa,
		.len = len,
	};

	map.vma_base = (uint64_t)(uintptr_t)hva;
	return request(hsm, ACRN_IOCTL_SET_MEMSEG, &map);
}

int hsm_map_ram(struct hsm *hsm, uint64_t gpa, void *hva, uint64_t len)
{
	return map_memory(hsm, gpa, hva, len, ACRN_MEM_ACCESS_RWX);
}

int hsm_map_rom(struct hsm *hsm, uint64_t gpa, void *hva, uint64_t len)
{
	return map_memory(hsm, gpa, hva, len, ACRN_MEM_ACCESS_READ | ACRN_MEM_ACCESS_EXEC);
}

int hsm_create_vdev(struct hsm *hsm, const struct acrn_vdev *vdev)
{
	return request(hsm, ACRN_IOCTL_CREATE_VDEV, vdev);
}

int hsm_inject_msi(struct hsm *hsm, uint64_t addr, uint64_t data)
{
	struct acrn_msi_entry msi = {.msi_addr = addr, .msi_data = data};

	return request(hsm, ACRN_IOCTL_INJECT_MSI, &msi);
}

int hsm_set_irqline(struct hsm *hsm, uint32_t gsi, enum hsm_irq_op op)
{
	uint64_t arg = (uint64_t)op << 32 | gsi;

	/* The one request whose argument is the value itself. */
	return hsm->fd >= 0 && ioctl(hsm->fd, ACRN_IOCTL_SET_IRQLINE, arg) < 0 ? -errno : 0;
}

int hsm_create_ioreq_client(struct hsm *hsm)
{
	return request(hsm, ACRN_IOCTL_CREATE_IOREQ_CLIENT, NULL);
}

/* The first half of the VM's end, which alone already has a wait that others must not meet. */
int hsm_destroy_ioreq_client(struct hsm *hsm)
{
	(void)flock(hsm->fd, LOCK_EX);
	return request(hsm, ACRN_IOCTL_DESTROY_IOREQ_CLIENT, NULL);
}

int hsm_wait_ioreq(struct hsm *hsm)
{
	return request(hsm, ACRN_IOCTL_ATTACH_IOREQ_CLIENT, NULL);
}

int hsm_notify_ioreq(struct hsm *hsm, uint16_t vmid, uint32_t vcpu)
{
	struct acrn_ioreq_notify notify = {.vmid = vmid, .vcpu = vcpu};

	return request(hsm, ACRN_IOCTL_NOTIFY_REQUEST_FINISH, &notify);
}

int hsm_clear_ioreq(struct hsm *hsm)
{
	return request(hsm, ACRN_IOCTL_CLEAR_VM_IOREQ, NULL);
}

int hsm_ioeventfd(struct hsm *hsm, const struct acrn_ioeventfd *req)
{
	return request(hsm, ACRN_IOCTL_IOEVENTFD, req);
}

int hsm_irqfd(struct hsm *hsm, const struct acrn_irqfd *req)
{
	return request(hsm, ACRN_IOCTL_IRQFD, req);
}

int hsm_set_asyncio(struct hsm *hsm, void *page)
{
	return hsm->fd < 0 ? -ENOTTY : request(hsm, SET_ASYNCIO, page);
}

int hsm_set_event_ring(struct hsm *hsm, void *page)
{
	return hsm->fd < 0 ? -ENOTTY : request(hsm, SET_EVENT_RING, page);
}

int hsm_set_event_fd(struct hsm *hsm, int fd)
{
	return ioctl(hsm->fd, SET_EVENT_FD, fd) < 0 ? -errno : 0;
}
