// SPDX-License-Identifier: BSD-3-Clause
/* See fake_hsm.h. Interrupts may be raised from any thread; the rest is the test's own. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_hsm.h"
#include "hsm.h"

#define QUEUE 32U

struct hsm {
	bool open;
};

struct fake_hsm fake_hsm;
void (*fake_hsm_idle)(void);

static struct fake_access *queue[QUEUE];
static unsigned int queued, delivered;
static atomic_flag msi_lock = ATOMIC_FLAG_INIT;
static atomic_flag bell_lock = ATOMIC_FLAG_INIT;
static int bell_fd[FAKE_HSM_DOORBELLS]; /* of its own, as a driver keeps the file */

void fake_hsm_reset(void)
{
	memset(&fake_hsm, 0, sizeof(fake_hsm));
	fake_hsm.vcpu_num = 1;
	fake_hsm.vmid = 1;
	fake_hsm_idle = NULL;
	queued = 0;
	delivered = 0;
}

void fake_hsm_queue(struct fake_access *access)
{
	if (queued < QUEUE)
		queue[queued++] = access;
}

static int call(unsigned int number, const char *name)
{
	atomic_fetch_add(&fake_hsm.calls[number], 1U);
	if (name && fake_hsm.descriptor > 0 && write(fake_hsm.descriptor, name, strlen(name)) < 0)
		abort();
	if (name) {
		strncat(fake_hsm.log, name, sizeof(fake_hsm.log) - strlen(fake_hsm.log) - 1);
		strncat(fake_hsm.log, " ", sizeof(fake_hsm.log) - strlen(fake_hsm.log) - 1);
	}
	return -fake_hsm.fail[number];
}

int hsm_open(struct hsm **out, bool pretend)
{
	int err = call(0, pretend ? "pretend" : "open");

	if (err)
		return err;
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void hsm_close(struct hsm *hsm)
{
	if (hsm)
		(void)call(1, "close");
	free(hsm);
}

int hsm_descriptor(const struct hsm *hsm)
{
	(void)hsm;
	return fake_hsm.descriptor > 0 ? fake_hsm.descriptor : -1;
}

int hsm_create_vm(struct hsm *hsm, struct acrn_vm_creation *req)
{
	int err = call(0x10, "create");

	(void)hsm;
	if (err)
		return err;
	memcpy(fake_hsm.vm_name, &req->uuid, 16);
	fake_hsm.cpu_affinity = req->cpu_affinity;
	fake_hsm.page = (void *)(uintptr_t)req->ioreq_buf;
	for (unsigned int i = 0; i < ACRN_IO_REQUEST_MAX; i++)
		fake_hsm.page->req_slot[i].processed = ACRN_IOREQ_STATE_FREE;
	req->vmid = fake_hsm.vmid;
	req->vcpu_num = (uint16_t)fake_hsm.vcpu_num;
	return 0;
}

int hsm_destroy_vm(struct hsm *hsm)
{
	(void)hsm;
	return call(0x11, "destroy");
}

int hsm_start_vm(struct hsm *hsm)
{
	(void)hsm;
	return call(0x12, "start");
}

int hsm_pause_vm(struct hsm *hsm)
{
	(void)hsm;
	return call(0x13, "pause");
}

int hsm_reset_vm(struct hsm *hsm)
{
	(void)hsm;
	return call(0x15, "reset");
}

int hsm_set_vcpu_regs(struct hsm *hsm, const struct acrn_vcpu_regs *regs)
{
	(void)hsm;
	fake_hsm.regs = *regs;
	return call(0x16, "regs");
}

int hsm_map_ram(struct hsm *hsm, uint64_t gpa, void *hva, uint64_t len)
{
	(void)hsm;
	if (fake_hsm.maps < FAKE_HSM_MAPS)
		fake_hsm.map[fake_hsm.maps++] = (struct fake_hsm_map) {gpa, len, hva};
	return call(0x41, NULL);
}

int hsm_map_rom(struct hsm *hsm, uint64_t gpa, void *hva, uint64_t len)
{
	(void)hsm;
	fake_hsm.rom = (struct fake_hsm_map) {gpa, len, hva};
	return call(0x41, NULL);
}

int hsm_create_vdev(struct hsm *hsm, const struct acrn_vdev *vdev)
{
	(void)hsm;
	fake_hsm.vdev = *vdev;
	return call(0x59, NULL);
}

int hsm_inject_msi(struct hsm *hsm, uint64_t addr, uint64_t data)
{
	(void)hsm;
	while (atomic_flag_test_and_set(&msi_lock))
		;
	fake_hsm.msi[fake_hsm.msis % FAKE_HSM_MSIS] = (struct acrn_msi_entry) {addr, data};
	fake_hsm.msis++;
	atomic_flag_clear(&msi_lock);
	return call(0x23, NULL);
}

int hsm_set_irqline(struct hsm *hsm, uint32_t gsi, enum hsm_irq_op op)
{
	(void)hsm;
	if (gsi >= FAKE_HSM_GSIS)
		return -EINVAL;
	if (op == HSM_IRQ_PULSE_HIGH)
		atomic_fetch_add(&fake_hsm.pulses[gsi], 1U);
	else if (!atomic_exchange(&fake_hsm.line[gsi], op == HSM_IRQ_HIGH) && op == HSM_IRQ_HIGH)
		atomic_fetch_add(&fake_hsm.rises[gsi], 1U);
	return call(0x25, NULL);
}

int hsm_create_ioreq_client(struct hsm *hsm)
{
	(void)hsm;
	return call(0x32, "client");
}

int hsm_destroy_ioreq_client(struct hsm *hsm)
{
	(void)hsm;
	return call(0x34, "unclient");
}

static void present(struct fake_access *access)
{
	struct acrn_io_request *slot = &fake_hsm.page->req_slot[access->vcpu];

	slot->type = access->type;
	slot->kernel_handled = access->kernel_handled;
	slot->reqs.pio_request.direction = access->direction;
	slot->reqs.pio_request.size = access->size;
	if (access->type == ACRN_IOREQ_TYPE_MMIO) {
		slot->reqs.mmio_request.address = access->address;
		slot->reqs.mmio_request.value = access->value;
	} else if (access->type == ACRN_IOREQ_TYPE_PORTIO) {
		slot->reqs.pio_request.address = access->address;
		slot->reqs.pio_request.value = (uint32_t)access->value;
	} else {
		slot->reqs.pci_request.value = (uint32_t)access->value;
		slot->reqs.pci_request.bus = (uint32_t)(access->address >> 20);
		slot->reqs.pci_request.dev = access->address >> 15 & 31U;
		slot->reqs.pci_request.func = access->address >> 12 & 7U;
		slot->reqs.pci_request.reg = access->address & 0xfffU;
	}
	__atomic_store_n(&slot->processed, ACRN_IOREQ_STATE_PROCESSING, __ATOMIC_RELEASE);
}

int hsm_wait_ioreq(struct hsm *hsm)
{
	int err = call(0x33, NULL);

	(void)hsm;
	if (err)
		return err;
	if (delivered == queued && fake_hsm_idle)
		fake_hsm_idle();
	for (; delivered < queued; delivered++)
		present(queue[delivered]);
	return 0;
}

int hsm_notify_ioreq(struct hsm *hsm, uint16_t vmid, uint32_t vcpu)
{
	struct acrn_io_request *slot = &fake_hsm.page->req_slot[vcpu];

	(void)hsm;
	(void)vmid;
	for (unsigned int i = 0; i < delivered; i++) {
		if (queue[i]->vcpu != vcpu || queue[i]->done)
			continue;
		queue[i]->done = true;
		queue[i]->value = slot->type == ACRN_IOREQ_TYPE_MMIO ? slot->reqs.mmio_request.value
								     : slot->reqs.pio_request.value;
	}
	slot->processed = ACRN_IOREQ_STATE_COMPLETE;
	return call(0x31, NULL);
}

int hsm_clear_ioreq(struct hsm *hsm)
{
	(void)hsm;
	return call(0x35, "clear");
}

static struct acrn_ioeventfd *find_doorbell(uint64_t addr)
{
	for (unsigned int i = 0; i < FAKE_HSM_DOORBELLS; i++)
		if (fake_hsm.doorbell[i].len != 0 && fake_hsm.doorbell[i].addr == addr)
			return &fake_hsm.doorbell[i];
	return NULL;
}

static int change_doorbell(const struct acrn_ioeventfd *req)
{
	struct acrn_ioeventfd *old = find_doorbell(req->addr);

	if ((req->flags & ~7U) != (fake_hsm.newer ? HSM_IOEVENTFD_ASYNCIO : 0))
		return -EINVAL;
	if ((req->flags & ACRN_IOEVENTFD_FLAG_DEASSIGN) != 0) {
		if (!old || old->fd != req->fd)
			return -ENOENT;
		old->len = 0;
		close(bell_fd[old - fake_hsm.doorbell]);
		return 0;
	}
	if (old)
		return -EEXIST;
	for (unsigned int i = 0; i < FAKE_HSM_DOORBELLS; i++) {
		if (fake_hsm.doorbell[i].len == 0) {
			fake_hsm.doorbell[i] = *req;
			bell_fd[i] = dup((int)req->fd);
			return 0;
		}
	}
	return -ENOSPC;
}

int hsm_ioeventfd(struct hsm *hsm, const struct acrn_ioeventfd *req)
{
	int err = call(0x70, NULL);

	(void)hsm;
	if (err)
		return err;
	while (atomic_flag_test_and_set(&bell_lock))
		;
	err = change_doorbell(req);
	atomic_flag_clear(&bell_lock);
	return err;
}

bool fake_hsm_ring(uint16_t port)
{
	const struct acrn_ioeventfd *bell;
	const uint64_t one = 1;
	bool done;

	while (atomic_flag_test_and_set(&bell_lock))
		;
	bell = find_doorbell(port);
	done = bell &&
	       write(bell_fd[bell - fake_hsm.doorbell], &one, sizeof(one)) == sizeof(one);
	atomic_flag_clear(&bell_lock);
	return done;
}

static int newer(unsigned int number)
{
	int err = call(number, NULL);

	return err || fake_hsm.newer ? err : -ENOTTY;
}

int hsm_set_asyncio(struct hsm *hsm, void *page)
{
	(void)hsm;
	fake_hsm.asyncio_page = page;
	return newer(0x90);
}

int hsm_set_event_ring(struct hsm *hsm, void *page)
{
	(void)hsm;
	fake_hsm.event_page = page;
	return newer(0xa0);
}

int hsm_set_event_fd(struct hsm *hsm, int fd)
{
	(void)hsm;
	fake_hsm.event_fd = fd;
	return newer(0xa1);
}

void fake_hsm_event(uint32_t type, int64_t a, int64_t b)
{
	/* The header as the hypervisor lays it out (acrn/sbuf.h). */
	struct {
		uint64_t magic;
		uint32_t ele_num, ele_size, head, tail;
		uint64_t flags;
		uint32_t overruns, size;
		uint64_t padding[3];
	} *h = fake_hsm.event_page;
	uint8_t *entry = (uint8_t *)(h + 1) + h->tail;
	const uint64_t one = 1;

	memset(entry, 0, h->ele_size);
	memcpy(entry, &type, sizeof(type));
	memcpy(entry + 4, &a, sizeof(a));
	memcpy(entry + 12, &b, sizeof(b));
	__atomic_store_n(&h->tail, (h->tail + h->ele_size) % h->size, __ATOMIC_RELEASE);
	if (write(fake_hsm.event_fd, &one, sizeof(one)) < 0)
		abort();
}

static struct acrn_irqfd *find_irqfd(int fd)
{
	for (unsigned int i = 0; i < FAKE_HSM_IRQFDS; i++)
		if (fake_hsm.irqfd[i].fd == fd)
			return &fake_hsm.irqfd[i];
	return NULL;
}

/* As Linux 6.1's: it does not read the eventfd, and looks into it once. */
int hsm_irqfd(struct hsm *hsm, const struct acrn_irqfd *req)
{
	struct acrn_irqfd *old = find_irqfd(req->fd), *room = find_irqfd(0);
	struct pollfd wait = {.fd = req->fd, .events = POLLIN};
	int err = call(0x71, NULL);

	if (err)
		return err;
	if ((req->flags & ACRN_IRQFD_FLAG_DEASSIGN) != 0) {
		if (old)
			old->fd = 0;
		return 0;
	}
	if (old || !room)
		return old ? -EBUSY : -ENOMEM;
	*room = *req;
	return poll(&wait, 1, 0) > 0 ? hsm_inject_msi(hsm, req->msi.msi_addr, req->msi.msi_data)
				     : 0;
}

void fake_hsm_signal(int fd)
{
	const struct acrn_irqfd *irqfd = find_irqfd(fd);
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		abort();
	if (irqfd)
		(void)hsm_inject_msi(NULL, irqfd->msi.msi_addr, irqfd->msi.msi_data);
}
