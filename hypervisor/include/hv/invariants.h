/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_INVARIANTS_H
#define HV_INVARIANTS_H

#include "lib/types.h"

struct vm;

/*
 * debug/invariants.c, as vm_check() in debug builds: looks at the hypervisor's own state and logs
 * what is wrong with it, or that nothing is. False: something is broken. No lock but that of `held`
 * (NULL: none) may be held. While another CPU works on a VM nothing is looked at, as nothing can be
 * said then.
 */
bool invariants_run(struct vm *held);

#endif
