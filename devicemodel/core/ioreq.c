// SPDX-License-Identifier: BSD-3-Clause
/*
 * The I/O request loop, on the main thread. A vCPU that exits for a device of
 * ours leaves its access in its slot of the shared page and stops; the HSM sets
 * the slot to PROCESSING and wakes us; we serve it and tell the HSM, which sets
 * COMPLETE and wakes the vCPU. The state is the HSM's to write: in polling mode
 * the vCPU runs on the moment it sees COMPLETE, and a second writer could then
 * complete its next request.
 *
 * The page is written by hypervisor and HSM only, never by the guest, and needs no lock.
 * call_lock covers the one call of another thread that waits to be made on this one.
 */
#include "ioreq.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "hsm.h"
#include "log.h"
#include "mevent.h"
#include "mmio.h"
#include "pci.h"
#include "pio.h"
#include "power.h"
#include "vm.h"

#define PAGE_BYTES    4096
#define KICK_RETRY_NS 5000000U

struct ioreq {
	struct vm *vm;
	struct acrn_io_request_buffer *page;
	pthread_t thread;
	atomic_bool waiting; /* the loop runs, and may be blocked in the driver */
	struct mevent *retry;
	pthread_mutex_t call_lock;
	pthread_cond_t call_done;
	_Atomic(struct call *) call; /* not begun yet, or NULL */
	bool closed;		     /* the loop will not run again */
};

/* On the stack of ioreq_call(). */
struct call {
	int (*fn)(void *arg);
	void *arg;
	int result;
	bool done;
};

static void on_signal(int sig)
{
	(void)sig;
}

/*
 * The signal may arrive between the loop's look at what is asked of it and its call into the
 * driver, and would then wake nobody: repeat until the loop has seen all.
 */
static void retry_kick(void *arg, unsigned int events)
{
	struct ioreq *ioreq = arg;

	(void)events;
	pthread_mutex_lock(&ioreq->call_lock);
	if (atomic_load(&ioreq->waiting) &&
	    (power_pending(ioreq->vm) != POWER_NONE || atomic_load(&ioreq->call)))
		pthread_kill(ioreq->thread, SIGUSR1);
	else
		mevent_timer_set(ioreq->retry, 0, 0);
	pthread_mutex_unlock(&ioreq->call_lock);
}

int ioreq_create(struct vm *vm)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct ioreq *ioreq = calloc(1, sizeof(*ioreq));
	void *page;

	_Static_assert(sizeof(struct acrn_io_request_buffer) == PAGE_BYTES, "one page of slots");
	if (!ioreq)
		return -ENOMEM;
	vm->ioreq = ioreq;
	ioreq->vm = vm;
	pthread_mutex_init(&ioreq->call_lock, NULL);
	pthread_cond_init(&ioreq->call_done, NULL);
	page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (page != MAP_FAILED)
		ioreq->page = page;
	ioreq->retry = mevent_add_timer(vm->loop, retry_kick, ioreq);
	if (!ioreq->page || !ioreq->retry) {
		ioreq_destroy(vm);
		return -ENOMEM;
	}
	/* Without SA_RESTART the driver's wait ends when the signal comes. */
	sigaction(SIGUSR1, &action, NULL);
	return 0;
}

void ioreq_destroy(struct vm *vm)
{
	struct ioreq *ioreq = vm->ioreq;

	if (!ioreq)
		return;
	mevent_delete(ioreq->retry, true);
	if (ioreq->page)
		munmap(ioreq->page, PAGE_BYTES);
	pthread_cond_destroy(&ioreq->call_done);
	pthread_mutex_destroy(&ioreq->call_lock);
	free(ioreq);
	vm->ioreq = NULL;
}

void *ioreq_page(const struct vm *vm)
{
	return vm->ioreq->page;
}

/* call_lock held, or retry_kick() could end the repetition that begins here. */
static void kick(struct ioreq *ioreq)
{
	if (!atomic_load(&ioreq->waiting))
		return;
	pthread_kill(ioreq->thread, SIGUSR1);
	mevent_timer_set(ioreq->retry, KICK_RETRY_NS, KICK_RETRY_NS);
}

void ioreq_kick(struct vm *vm)
{
	struct ioreq *ioreq = vm->ioreq;

	if (!atomic_load(&ioreq->waiting) || pthread_equal(ioreq->thread, pthread_self()))
		return;
	pthread_mutex_lock(&ioreq->call_lock);
	kick(ioreq);
	pthread_mutex_unlock(&ioreq->call_lock);
}

int ioreq_call(struct vm *vm, int (*fn)(void *arg), void *arg)
{
	struct ioreq *ioreq = vm->ioreq;
	struct call call = {.fn = fn, .arg = arg, .result = -ESHUTDOWN};

	pthread_mutex_lock(&ioreq->call_lock);
	atomic_store(&ioreq->call, &call);
	kick(ioreq);
	while (!call.done && !(ioreq->closed && atomic_load(&ioreq->call)))
		pthread_cond_wait(&ioreq->call_done, &ioreq->call_lock);
	atomic_store(&ioreq->call, NULL);
	pthread_mutex_unlock(&ioreq->call_lock);
	return call.result;
}

/* Without the lock, which the event loop needs for its next kick. */
static void make_call(struct ioreq *ioreq)
{
	struct call *call = atomic_exchange(&ioreq->call, NULL);
	int result = call->fn(call->arg);

	pthread_mutex_lock(&ioreq->call_lock);
	call->result = result;
	call->done = true;
	pthread_cond_broadcast(&ioreq->call_done);
	pthread_mutex_unlock(&ioreq->call_lock);
}

void ioreq_close_calls(struct vm *vm)
{
	struct ioreq *ioreq = vm->ioreq;

	pthread_mutex_lock(&ioreq->call_lock);
	ioreq->closed = true;
	pthread_cond_broadcast(&ioreq->call_done);
	pthread_mutex_unlock(&ioreq->call_lock);
}

static bool valid_size(uint64_t size, unsigned int max)
{
	return size != 0 && size <= max && (size & (size - 1)) == 0;
}

static void serve_pio(struct vm *vm, struct acrn_pio_request *req)
{
	unsigned int size = (unsigned int)req->size;

	if (!valid_size(req->size, 4) || req->address > UINT16_MAX)
		req->value = UINT32_MAX;
	else if (req->direction == ACRN_IOREQ_DIR_READ)
		req->value = (uint32_t)io_space_read(vm->pio, req->address, size);
	else
		io_space_write(vm->pio, req->address, size, req->value);
}

static void serve_mmio(struct vm *vm, struct acrn_mmio_request *req)
{
	unsigned int size = (unsigned int)req->size;

	if (!valid_size(req->size, 8))
		req->value = UINT64_MAX;
	else if (req->direction == ACRN_IOREQ_DIR_READ)
		req->value = io_space_read(vm->mmio, req->address, size);
	else
		io_space_write(vm->mmio, req->address, size, req->value);
}

static void serve_pci(struct vm *vm, struct acrn_pci_request *req)
{
	unsigned int size = (unsigned int)req->size;

	if (!valid_size(req->size, 4))
		req->value = UINT32_MAX;
	else if (req->direction == ACRN_IOREQ_DIR_READ)
		req->value = pci_bus_read(vm, req->bus, req->dev, req->func, req->reg, size);
	else
		pci_bus_write(vm, req->bus, req->dev, req->func, req->reg, size, req->value);
}

static void serve(struct vm *vm, struct acrn_io_request *req)
{
	switch (req->type) {
	case ACRN_IOREQ_TYPE_PORTIO:
		serve_pio(vm, &req->reqs.pio_request);
		break;
	case ACRN_IOREQ_TYPE_MMIO:
		serve_mmio(vm, &req->reqs.mmio_request);
		break;
	case ACRN_IOREQ_TYPE_PCICFG:
		serve_pci(vm, &req->reqs.pci_request);
		break;
	default:
		log_guest("I/O request of unknown type %u", req->type);
		break;
	}
}

/* The acquire pairs with the HSM's release of PROCESSING. */
bool ioreq_is_ours(const struct acrn_io_request *req)
{
	return __atomic_load_n(&req->processed, __ATOMIC_ACQUIRE) == ACRN_IOREQ_STATE_PROCESSING &&
	       !req->kernel_handled;
}

static int serve_slots(struct vm *vm)
{
	struct acrn_io_request_buffer *page = vm->ioreq->page;

	for (unsigned int vcpu = 0; vcpu < vm->vcpu_num; vcpu++) {
		struct acrn_io_request *req = &page->req_slot[vcpu];
		int err;

		if (!ioreq_is_ours(req))
			continue;
		serve(vm, req);
		/* The system call orders our result before the driver's COMPLETE. */
		err = hsm_notify_ioreq(vm->hsm, vm->vmid, vcpu);
		if (err) {
			log_err("cannot complete the I/O request of vCPU %u: %s", vcpu,
				strerror(-err));
			return err;
		}
	}
	return 0;
}

int ioreq_loop(struct vm *vm)
{
	struct ioreq *ioreq = vm->ioreq;
	int err = 0;

	ioreq->thread = pthread_self();
	atomic_store(&ioreq->waiting, true);
	while (!err && power_pending(vm) == POWER_NONE) {
		if (atomic_load_explicit(&ioreq->call, memory_order_relaxed))
			make_call(ioreq);
		err = hsm_wait_ioreq(vm->hsm);
		if (err == -EINTR)
			err = 0;
		else if (err)
			log_err("waiting for I/O requests failed: %s", strerror(-err));
		if (!err)
			err = serve_slots(vm);
	}
	atomic_store(&ioreq->waiting, false);
	return err;
}
