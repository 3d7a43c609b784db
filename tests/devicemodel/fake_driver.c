// SPDX-License-Identifier: BSD-3-Clause
/*
 * /dev/acrn_hsm for a real acrn-dm on a machine without it: test_users.py compiles this and puts
 * it before the C library (LD_PRELOAD). The VM it makes powers off at its first chance.
 *
 *   FAKE_HSM=new|old   the driver answers, or knows no request (ENOTTY)
 *   FAKE_LOG=file      gets a letter a request: C create, M memory, S start, P pause, R reset,
 *                      D destroy, B the guest listens to its button
 *   FAKE_LIVE=1        the VM never asks for anything: it runs until somebody ends it
 *   FAKE_BUTTON=obeyed|deaf   it also listens to its power button, and powers off when pressed, or not
 *   FAKE_HASTE=1       timers of acrn-dm run 30 times as fast
 *   FAKE_TRIPLE_FAULT=file    the driver is newer than Linux 6.1's: it has a ring of events. When
 *                      the file appears the VM triple-faults
 *   FAKE_READ_ONLY=path    a file that is on a read-only file system
 *   FAKE_MEMINFO=file, FAKE_KMSG=file    in place of /proc/meminfo, of /dev/kmsg
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <linux/acrn.h>

#define PM1_STATUS   0x400
#define PM1_ENABLE   0x402
#define PM1_CONTROL  0x404
#define POWER_BUTTON (1U << 8)
#define POWER_OFF    (1U << 13 | 5U << 10)
#define SMI_PORT     0xb2
#define ACPI_ENABLE  0xa0
#define HASTE	     30

static int driver = -1;
static struct acrn_io_request_buffer *page;
static uint8_t *events;
static int events_fd;

static int is(const char *name, const char *value)
{
	const char *set = getenv(name);

	return set && strcmp(set, value) == 0;
}

static int real_open(const char *path, int flags)
{
	int (*next)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");

	return next(path, flags, 0);
}

int open(const char *path, int flags, ...)
{
	if (strcmp(path, "/dev/acrn_vhm") == 0) {
		errno = ENOENT;
		return -1;
	}
	if (strcmp(path, "/dev/acrn_hsm") == 0)
		return driver = eventfd(0, EFD_CLOEXEC);
	if (is("FAKE_READ_ONLY", path) && (flags & O_ACCMODE) != O_RDONLY) {
		errno = EROFS;
		return -1;
	}
	if (strcmp(path, "/proc/meminfo") == 0 && getenv("FAKE_MEMINFO"))
		path = getenv("FAKE_MEMINFO");
	if (strcmp(path, "/dev/kmsg") == 0 && getenv("FAKE_KMSG"))
		path = getenv("FAKE_KMSG");
	return real_open(path, flags);
}

static void note(char letter)
{
	int fd = getenv("FAKE_LOG") ? real_open(getenv("FAKE_LOG"), O_WRONLY | O_APPEND) : -1;

	if (fd >= 0 && write(fd, &letter, 1) == 1)
		close(fd);
}

static void request(uint32_t direction, uint64_t port, uint64_t size, uint32_t value)
{
	struct acrn_io_request *slot = &page->req_slot[0];

	slot->type = ACRN_IOREQ_TYPE_PORTIO;
	slot->reqs.pio_request.direction = direction;
	slot->reqs.pio_request.address = port;
	slot->reqs.pio_request.size = size;
	slot->reqs.pio_request.value = value;
	slot->processed = ACRN_IOREQ_STATE_PROCESSING;
}

static void power_off(void)
{
	request(ACRN_IOREQ_DIR_WRITE, PM1_CONTROL, 2, POWER_OFF);
}

/* A guest that switches ACPI and the button's event on, and then looks for the event. */
static int button(void)
{
	static unsigned int step;

	switch (step++) {
	case 0:
		request(ACRN_IOREQ_DIR_WRITE, SMI_PORT, 1, ACPI_ENABLE);
		return 0;
	case 1:
		request(ACRN_IOREQ_DIR_WRITE, PM1_ENABLE, 2, POWER_BUTTON);
		return 0;
	case 2:
		note('B');
		break;
	default:
		if (is("FAKE_BUTTON", "obeyed") && step > 4 &&
		    page->req_slot[0].reqs.pio_request.value & POWER_BUTTON) {
			power_off();
			return 0;
		}
		break;
	}
	request(ACRN_IOREQ_DIR_READ, PM1_STATUS, 2, 0);
	return usleep(20000);
}

/* What the hypervisor writes to the ring, the HSM's signal, and the power-off that follows. */
static int triple_fault(const char *file)
{
	const uint32_t type = 2;
	const uint64_t one = 1;

	while (access(file, F_OK) < 0) {
		if (usleep(20000) < 0)
			return -1;
	}
	memcpy(events + 64, &type, sizeof(type));
	__atomic_store_n((uint32_t *)(void *)(events + 20), 32, __ATOMIC_RELEASE);
	power_off();
	return write(events_fd, &one, sizeof(one)) < 0 ? -1 : 0;
}

static int newer(unsigned long code, void *arg)
{
	if (!getenv("FAKE_TRIPLE_FAULT") || (code & 0xff) == 0x90) {
		errno = ENOTTY;
		return -1;
	}
	if ((code & 0xff) == 0xa0)
		events = arg;
	else
		events_fd = (int)(intptr_t)arg;
	return 0;
}

static int answer(unsigned long code, void *arg)
{
	struct acrn_vm_creation *creation = arg;

	if (!is("FAKE_HSM", "new")) {
		errno = ENOTTY;
		return -1;
	}
	switch (code) {
	case ACRN_IOCTL_CREATE_VM:
		creation->vmid = 1;
		creation->vcpu_num = 1;
		page = (struct acrn_io_request_buffer *)(uintptr_t)creation->ioreq_buf;
		note('C');
		break;
	case ACRN_IOCTL_SET_MEMSEG:
		note('M');
		break;
	case ACRN_IOCTL_START_VM:
		note('S');
		break;
	case 0x4008a290: /* asynchronous I/O, ring of events, who is told of events */
	case 0x4008a2a0:
	case 0x4004a2a1:
		return newer(code, arg);
	case ACRN_IOCTL_ATTACH_IOREQ_CLIENT:
		if (getenv("FAKE_TRIPLE_FAULT"))
			return triple_fault(getenv("FAKE_TRIPLE_FAULT"));
		if (getenv("FAKE_BUTTON"))
			return button();
		if (getenv("FAKE_LIVE"))
			return pause();
		power_off();
		break;
	case ACRN_IOCTL_NOTIFY_REQUEST_FINISH:
		page->req_slot[0].processed = ACRN_IOREQ_STATE_FREE;
		break;
	case ACRN_IOCTL_PAUSE_VM:
		note('P');
		break;
	case ACRN_IOCTL_RESET_VM:
		note('R');
		break;
	case ACRN_IOCTL_DESTROY_VM:
		note('D');
		break;
	default:
		break;
	}
	return 0;
}

int ioctl(int fd, unsigned long code, ...)
{
	int (*next)(int, unsigned long, ...) =
		(int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
	va_list args;
	void *arg;

	va_start(args, code);
	arg = va_arg(args, void *);
	va_end(args);
	if (fd < 0 || fd != driver)
		return next(fd, code, arg);
	return answer(code, arg);
}

int timerfd_settime(int fd, int flags, const struct itimerspec *when, struct itimerspec *old)
{
	int (*next)(int, int, const struct itimerspec *, struct itimerspec *) =
		(int (*)(int, int, const struct itimerspec *, struct itimerspec *))dlsym(
			RTLD_NEXT, "timerfd_settime");
	struct itimerspec sooner = *when;

	if (getenv("FAKE_HASTE"))
		sooner.it_value.tv_sec /= HASTE;
	return next(fd, flags, &sooner, old);
}
