// SPDX-License-Identifier: BSD-3-Clause
/*
 * The I/O request loop: slots of the page shared with the hypervisor, one per
 * vCPU, to ports, memory-mapped I/O and PCI configuration space.
 */
#ifndef DM_IOREQ_H
#define DM_IOREQ_H

#include <stdbool.h>

struct acrn_io_request;
struct vm;

int ioreq_create(struct vm *vm);
/* The page shared with the hypervisor (struct acrn_io_request_buffer), and with our children. */
void *ioreq_page(const struct vm *vm);
/* It waits for an answer, and not for one of the driver's own. */
bool ioreq_is_ours(const struct acrn_io_request *req);
void ioreq_destroy(struct vm *vm);

/*
 * Wait for requests and serve them, on the calling thread, until a power
 * request is pending (0) or the driver fails (negative errno).
 */
int ioreq_loop(struct vm *vm);

/*
 * Have fn(arg) called on the thread of ioreq_loop(), between two requests of the guest, and wait
 * for it: what it returns, or -ESHUTDOWN when the VM has ended first. One other thread at a time,
 * never from a callback of vm->loop.
 */
int ioreq_call(struct vm *vm, int (*fn)(void *arg), void *arg);
/* The loop runs no more: ioreq_call() fails from now on. */
void ioreq_close_calls(struct vm *vm);

/* Make ioreq_loop() look at the power state now. Any thread. */
void ioreq_kick(struct vm *vm);

#endif
