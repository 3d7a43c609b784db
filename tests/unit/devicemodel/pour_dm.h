// SPDX-License-Identifier: BSD-3-Clause
/*
 * The hostile guest of tests/target/guest/pour.h inside a test: its accesses go to the devices of
 * *pour_vm. The test provides pour_random().
 */
#ifndef POUR_DM_H
#define POUR_DM_H

#include "pour.h"
#include "vm.h"

extern struct vm *pour_vm;

/* Options for a VM as pour.h describes it; the disk's path goes in. */
#define POUR_OPTIONS                                                                               \
	"-m 64M -s 0,hostbridge -s 1,lpc -l com2,pty -s 3,virtio-blk,%s,writeback "                \
	"-s 4,virtio-net,tap=pour -s 5,virtio-rnd -s 6,virtio-console,file:out=/dev/null "         \
	"-s 7,ivshmem,dm:/pour,2"

/* Forget a power-off or reset that the guest asked for. */
void pour_stay_on(void);

#endif
