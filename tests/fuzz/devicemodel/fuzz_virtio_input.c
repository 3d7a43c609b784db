// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: devicemodel/virtio/input.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/pci_modern.c devicemodel/virtio/virtio.c
// links: devicemodel/virtio/queue.c devicemodel/virtio/chain.c
// links: tests/unit/devicemodel/fake_pci.c devicemodel/core/log.c
// links: tests/unit/devicemodel/fake_guest.c tests/unit/devicemodel/driver_ring.c
/*
 * Any driver for an input device, while things happen on it: does the device keep to the guest's
 * memory, write nothing to the real one but lights and sounds, and does a whole group still come
 * after a reset? Input: the ring's options, then events, questions, and steps of ring_steps.h.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/input.h>

#include "log.h"
#include "mevent.h"
#include "ring_steps.h"

#define CONFIG 0x2000U

static int sides[2] = {-1, -1}, device;
static mevent_fn on_event;
static void *on_event_arg;

/* The input device's file is one side of a socket. */
int open(const char *path, int flags, ...)
{
	(void)path;
	(void)flags;
	return dup(sides[0]);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *out;

	(void)fd;
	va_start(args, request);
	out = va_arg(args, void *);
	va_end(args);
	if (request != EVIOCGVERSION && request != EVIOCGRAB)
		memset(out, 0xff, _IOC_SIZE(request));
	return 0;
}

struct mevent *mevent_add(struct mevent_loop *loop, int fd, unsigned int events, mevent_fn fn,
			  void *arg)
{
	(void)loop;
	(void)events;
	device = fd;
	on_event = fn;
	on_event_arg = arg;
	return (void *)sides;
}

void mevent_mute(struct mevent *ev)
{
	(void)ev;
}

void mevent_delete(struct mevent *ev, bool close_fd)
{
	(void)ev;
	assert(close_fd);
	close(device);
}

static void happens(uint16_t type, uint16_t code, int32_t value)
{
	const struct input_event e = {.type = type, .code = code, .value = value};

	assert(write(sides[1], &e, sizeof(e)) == sizeof(e));
	on_event(on_event_arg, MEVENT_READ);
}

/* What the device wrote to the real one. */
static void check_written(void)
{
	struct input_event e;

	while (read(sides[1], &e, sizeof(e)) == sizeof(e))
		assert(e.type == EV_LED || e.type == EV_SND || e.type == EV_REP);
}

static void play(struct fuzz *in)
{
	uint8_t what = (uint8_t)fuzz_take(in, 1);

	switch (what & 3) {
	case 0:
		happens(what & 4 ? EV_SYN : (uint16_t)fuzz_take(in, 1), (uint16_t)(what >> 3 & 3),
			what);
		break;
	case 1:
		put(CONFIG + (what >> 2 & 7), what & 0x20 ? 2 : 1, fuzz_take(in, 2));
		(void)pci_modern_bar_read(&fake.pci, BAR, CONFIG + (what >> 3), 8);
		break;
	default:
		step(in, 2, 0);
	}
	check_written();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = {data, size};
	uint32_t id, len;

	log_set_level(0);
	guest_create();
	if (sides[0] < 0)
		assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sides) == 0);
	assert(fake_pci_create(&fake, "virtio-input", "/dev/input/event0") == 0);
	start(2, (uint8_t)fuzz_take(&in, 1), 0);
	while (in.left != 0)
		play(&in);
	start(2, 0, 0);
	happens(EV_SYN, SYN_REPORT, 0); /* the end of what was begun before */
	for (uint16_t i = 0; i < 2; i++) {
		ring_desc(&rings[0], i, 0x4000 + i * 8U, 8, 2, 0);
		ring_offer(&rings[0], i);
	}
	pci_modern_bar_write(&fake.pci, 2, 0, 2, 0);
	happens(EV_KEY, KEY_A, 1);
	happens(EV_SYN, SYN_REPORT, 0);
	for (unsigned int i = 0; i < 2; i++)
		assert(ring_take(&rings[0], &id, &len) && id == i && len == 8);
	fake_pci_destroy(&fake);
	guest_destroy();
	return 0;
}
