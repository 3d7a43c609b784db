// SPDX-License-Identifier: BSD-3-Clause
/*
 * Rings that newer HSM drivers than that of Linux 6.1 share with their user
 * (doc/abi/hypercalls.md): doorbells that do not stop their vCPU, and events of
 * the VM. Where there are none, all is as without this file.
 */
#ifndef DM_RINGS_H
#define DM_RINGS_H

#include <stdbool.h>

struct vm;

/* The VM is in the hypervisor. Only a lack of memory is an error. */
int rings_create(struct vm *vm);
/* Does the HSM take HSM_IOEVENTFD_ASYNCIO? */
bool rings_asyncio(const struct vm *vm);
/* Tell the monitor of what is in the event ring now, and obey a power-off. Any thread. */
void rings_take_events(struct vm *vm);
/* No thread looks at events of itself any more; before monitor_destroy(). */
void rings_stop_events(struct vm *vm);
/* The VM is not in the hypervisor any more. */
void rings_destroy(struct vm *vm);

#endif
