// SPDX-License-Identifier: BSD-3-Clause
/*
 * The two pages of rings.h. The doorbells' ring is read by the HSM, which
 * signals the eventfds; the ring of events is read here, on the main event
 * loop's thread when the HSM says so, or on the I/O request thread before it
 * tells of a power-off. rings->lock makes the two take turns.
 */
#include "rings.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hsm.h"
#include "log.h"
#include "mevent.h"
#include "monitor.h"
#include "power.h"
#include "vm.h"

#define PAGE_BYTES 4096U
#define RING_MAGIC 0x5AA57AA71AA13AA3ULL

struct header {
	uint64_t magic;
	uint32_t ele_num, ele_size;
	_Atomic uint32_t head, tail; /* in bytes: the reader's, the writer's */
	uint64_t flags;
	uint32_t overrun_cnt;
	uint32_t size; /* ele_num * ele_size */
	uint32_t padding[6];
};
_Static_assert(sizeof(struct header) == 64, "what the hypervisor expects");

enum { EVENT_RTC_CHANGE, EVENT_POWEROFF, EVENT_TRIPLE_FAULT };

struct event {
	uint32_t type;
	union {
		struct {
			int64_t delta, last;
		} __attribute__((packed)) rtc;
		uint8_t data[28];
	};
};
_Static_assert(sizeof(struct event) == 32, "what the hypervisor writes");

struct rings {
	struct header *doorbells, *events; /* a page each */
	bool asyncio;
	pthread_mutex_t lock;
	int fd; /* signalled by the HSM, or -1 */
	struct mevent *event;
};

static struct header *make_page(size_t ele_size)
{
	void *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0);
	struct header *h = page;

	if (page == MAP_FAILED)
		return NULL;
	h->magic = RING_MAGIC;
	h->ele_size = (uint32_t)ele_size;
	h->ele_num = (uint32_t)((PAGE_BYTES - sizeof(*h)) / ele_size);
	h->size = h->ele_num * h->ele_size;
	return h;
}

static void handle(struct vm *vm, const struct event *event)
{
	switch (event->type) {
	case EVENT_RTC_CHANGE:
		monitor_event_rtc(vm, event->rtc.delta, event->rtc.last);
		break;
	case EVENT_POWEROFF:
		power_request(vm, POWER_OFF, 0);
		monitor_event_poweroff(vm);
		break;
	case EVENT_TRIPLE_FAULT:
		/* Its power-off follows as a request, which tells the client as well. */
		log_warn("a vCPU triple-faulted, the VM is powered off");
		monitor_event_triple_fault(vm);
		break;
	default:
		log_info("event %u of the VM is not known", event->type);
		break;
	}
}

/* The next one. The acquire pairs with the writer's release; a tail that cannot be ends it. */
static bool take(struct header *h, struct event *event)
{
	uint32_t size = (uint32_t)((PAGE_BYTES - sizeof(*h)) / sizeof(*event) * sizeof(*event));
	uint32_t head = atomic_load_explicit(&h->head, memory_order_relaxed);
	uint32_t tail = atomic_load_explicit(&h->tail, memory_order_acquire);

	if (head == tail || head >= size || tail >= size || head % sizeof(*event) != 0 ||
	    tail % sizeof(*event) != 0)
		return false;
	memcpy(event, (const uint8_t *)(h + 1) + head, sizeof(*event));
	head += (uint32_t)sizeof(*event);
	atomic_store_explicit(&h->head, head == size ? 0 : head, memory_order_release);
	return true;
}

void rings_take_events(struct vm *vm)
{
	struct rings *rings = vm->rings;
	struct event event;

	pthread_mutex_lock(&rings->lock);
	while (rings->fd >= 0 && take(rings->events, &event))
		handle(vm, &event);
	pthread_mutex_unlock(&rings->lock);
}

static void on_event(void *arg, unsigned int events)
{
	struct vm *vm = arg;
	uint64_t count;

	(void)events;
	if (read(vm->rings->fd, &count, sizeof(count)) == sizeof(count))
		rings_take_events(vm);
}

static int watch_events(struct vm *vm)
{
	struct rings *rings = vm->rings;
	int err = hsm_set_event_ring(vm->hsm, rings->events);

	if (err)
		return err;
	rings->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (rings->fd < 0)
		return -errno;
	err = hsm_set_event_fd(vm->hsm, rings->fd);
	if (!err) {
		rings->event = mevent_add(vm->loop, rings->fd, MEVENT_READ, on_event, vm);
		err = rings->event ? 0 : -ENOMEM;
	}
	return err;
}

int rings_create(struct vm *vm)
{
	struct rings *rings = calloc(1, sizeof(*rings));
	int err;

	if (!rings)
		return -ENOMEM;
	vm->rings = rings;
	rings->fd = -1;
	pthread_mutex_init(&rings->lock, NULL);
	rings->doorbells = make_page(sizeof(uint64_t));
	rings->events = make_page(sizeof(struct event));
	if (!rings->doorbells || !rings->events)
		return -ENOMEM;
	err = hsm_set_asyncio(vm->hsm, rings->doorbells);
	rings->asyncio = !err;
	if (err)
		log_info("doorbells stop their vCPU: the HSM has no asynchronous I/O: %s",
			 strerror(-err));
	err = watch_events(vm);
	if (err)
		log_info("the HSM tells of no events of the VM: %s", strerror(-err));
	return 0;
}

bool rings_asyncio(const struct vm *vm)
{
	return vm->rings && vm->rings->asyncio;
}

void rings_stop_events(struct vm *vm)
{
	struct rings *rings = vm->rings;

	mevent_delete(rings->event, false);
	rings->event = NULL;
	rings_take_events(vm);
}

void rings_destroy(struct vm *vm)
{
	struct rings *rings = vm->rings;

	if (!rings)
		return;
	mevent_delete(rings->event, false);
	if (rings->fd >= 0)
		close(rings->fd);
	if (rings->doorbells)
		munmap(rings->doorbells, PAGE_BYTES);
	if (rings->events)
		munmap(rings->events, PAGE_BYTES);
	pthread_mutex_destroy(&rings->lock);
	free(rings);
	vm->rings = NULL;
}
