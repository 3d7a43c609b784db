// SPDX-License-Identifier: BSD-3-Clause
/*
 * The process that makes the VM in the HSM driver, and ends it if the device model is killed. It
 * shares our memory, so it touches errno only while we wait for its answer or are gone; of our
 * descriptors it has the driver's, stderr and one end of a pair of sockets, which tells when we are
 * gone. An RTVM then runs on: nobody answers at its devices, and when it powers itself off or
 * resets itself, it is destroyed. keeper_create() and keeper_destroy() are the main thread's; no
 * lock.
 */
#include "keeper.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "acpi.h"
#include "hsm.h"
#include "ioreq.h"
#include "log.h"
#include "vm.h"

#define RETRY_S	    60U
#define STACK_BYTES 32768

struct keeper {
	struct vm *vm;
	struct acrn_vm_creation *req;
	pid_t pid;
	int ours, its; /* the pair: its answer goes one way; the other tells of our death */
	_Alignas(16) uint8_t stack[STACK_BYTES];
};

/* True if it is a write by which the VM may have ended itself: the hypervisor knows. */
static bool answer(struct acrn_io_request *req)
{
	struct acrn_pio_request *pio = &req->reqs.pio_request;

	switch (req->type) {
	case ACRN_IOREQ_TYPE_PORTIO:
		if (pio->direction == ACRN_IOREQ_DIR_WRITE)
			return (pio->address & ~1ULL) == ACPI_PM1_CONTROL_PORT ||
			       pio->address == ACPI_RESET_PORT;
		pio->value = UINT32_MAX;
		break;
	case ACRN_IOREQ_TYPE_MMIO:
		if (req->reqs.mmio_request.direction == ACRN_IOREQ_DIR_READ)
			req->reqs.mmio_request.value = UINT64_MAX;
		break;
	default:
		if (req->reqs.pci_request.direction == ACRN_IOREQ_DIR_READ)
			req->reqs.pci_request.value = UINT32_MAX;
		break;
	}
	return false;
}

/* Only a VM that is paused is destroyed, and one that runs on is not paused. */
static bool ended(const struct vm *vm)
{
	(void)hsm_pause_vm(vm->hsm);
	return hsm_destroy_vm(vm->hsm) == 0;
}

void keeper_serve(const struct vm *vm)
{
	struct acrn_io_request_buffer *page = ioreq_page(vm);
	int err = 0;

	/* An RTVM ends here only if it did not run yet. */
	if (ended(vm) || !vm->cfg.rtvm)
		return;
	log_notice(
		"the device model of VM \"%s\" is gone; the VM runs on until it powers itself off",
		vm->cfg.name);
	while (!err || err == -EINTR) {
		bool may_end = false;

		err = hsm_wait_ioreq(vm->hsm);
		for (unsigned int vcpu = 0; !err && vcpu < vm->vcpu_num; vcpu++) {
			struct acrn_io_request *req = &page->req_slot[vcpu];

			if (ioreq_is_ours(req)) {
				may_end |= answer(req);
				err = hsm_notify_ioreq(vm->hsm, vm->vmid, vcpu);
			}
		}
		if (may_end && ended(vm))
			return;
	}
	log_err("nobody can answer VM \"%s\" any more: %s", vm->cfg.name, strerror(-err));
	while (!ended(vm))
		sleep(RETRY_S);
}

/* A descriptor of a disk or a terminal that lives on here would keep others waiting. */
static void close_others(int first, int second)
{
	int last = first > second ? first : second;

	for (int fd = 0; fd < last; fd++) {
		if (fd != STDERR_FILENO && fd != first && fd != second)
			close(fd);
	}
	(void)close_range((unsigned int)last + 1U, ~0U, 0);
}

static int keep(void *arg)
{
	struct keeper *keeper = arg;
	sigset_t all;
	int err;
	char byte;

	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	(void)setsid(); /* no signal to our process group is meant for it */
	(void)prctl(PR_SET_NAME, "dm-keeper");
	close_others(hsm_descriptor(keeper->vm->hsm), keeper->its);
	err = hsm_create_vm(keeper->vm->hsm, keeper->req);
	if (write(keeper->its, &err, sizeof(err)) == sizeof(err) && !err)
		(void)read(keeper->its, &byte, 1);
	if (!err)
		keeper_serve(keeper->vm);
	return 0;
}

static void release(struct keeper *keeper)
{
	close(keeper->ours);
	free(keeper);
}

int keeper_create(struct vm *vm, struct acrn_vm_creation *req)
{
	struct keeper *keeper;
	int ends[2], err;

	if (vm->cfg.dry_run)
		return hsm_create_vm(vm->hsm, req);
	keeper = malloc(sizeof(*keeper));
	if (!keeper)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
		free(keeper);
		return -EMFILE;
	}
	keeper->vm = vm;
	keeper->req = req;
	keeper->ours = ends[0];
	keeper->its = ends[1];
	keeper->pid = clone(keep, keeper->stack + STACK_BYTES, CLONE_VM | SIGCHLD, keeper);
	close(ends[1]);
	if (keeper->pid < 0) {
		release(keeper);
		return -EAGAIN;
	}
	if (read(keeper->ours, &err, sizeof(err)) != sizeof(err))
		err = -EIO;
	if (err) {
		(void)waitpid(keeper->pid, NULL, 0);
		release(keeper);
		return err;
	}
	vm->keeper = keeper;
	return 0;
}

void keeper_destroy(struct vm *vm)
{
	struct keeper *keeper = vm->keeper;

	if (!keeper)
		return;
	(void)kill(keeper->pid, SIGKILL);
	(void)waitpid(keeper->pid, NULL, 0);
	release(keeper);
	vm->keeper = NULL;
}
