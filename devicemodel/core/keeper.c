// SPDX-License-Identifier: BSD-3-Clause
/*
 * The process that keeps an RTVM whose device model was killed: a fork that has nothing but the HSM
 * driver's descriptor, the page of requests and the end of a pipe, which tells when we are gone.
 * From then on nobody answers at the VM's devices; when it powers itself off or resets itself, it
 * is destroyed. keeper_create() and keeper_destroy() are the main thread's; no lock.
 */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "acpi.h"
#include "hsm.h"
#include "ioreq.h"
#include "log.h"
#include "vm.h"

#define RETRY_S 60U

struct keeper {
	pid_t pid;
	int end; /* the pipe's, closed by our death if by nobody else */
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

	if (ended(vm))
		return; /* it did not run yet */
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

int keeper_create(struct vm *vm)
{
	struct keeper *keeper;
	int ends[2];
	char byte;

	if (!vm->cfg.rtvm || vm->cfg.dry_run)
		return 0;
	keeper = malloc(sizeof(*keeper));
	if (!keeper || pipe2(ends, O_CLOEXEC) < 0) {
		free(keeper);
		return -ENOMEM;
	}
	keeper->end = ends[1];
	keeper->pid = fork();
	if (keeper->pid == 0) {
		(void)setsid(); /* no signal to our process group is meant for it */
		close_others(hsm_descriptor(vm->hsm), ends[0]);
		while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
			;
		keeper_serve(vm);
		_exit(0);
	}
	close(ends[0]);
	if (keeper->pid < 0) {
		close(ends[1]);
		free(keeper);
		return -EAGAIN;
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
	close(keeper->end);
	(void)waitpid(keeper->pid, NULL, 0);
	free(keeper);
	vm->keeper = NULL;
}
