/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_VPOWER_H
#define HV_VPOWER_H

#include "lib/types.h"

struct vcpu;
struct io_access;

/*
 * The reset control register at port 0xCF9, which lies among the ports of PCI's configuration
 * mechanism: vpci.c hands single-byte accesses of it over. In the VM that owns the machine it is
 * the machine's; elsewhere it goes to vm->io_fallback.
 */
void vpower_reset_control(struct vcpu *vcpu, struct io_access *io);

#endif
