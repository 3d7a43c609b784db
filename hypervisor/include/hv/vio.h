/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_VIO_H
#define HV_VIO_H

#include "lib/types.h"

struct vm;
struct vcpu;

enum io_kind { IO_PIO, IO_MMIO, IO_PCICFG };

/* One guest access, width 1, 2, 4 or 8 bytes. */
struct io_access {
	enum io_kind kind;
	bool write;
	uint8_t width;
	uint64_t addr;	/* port, GPA, or for PCICFG bus<<16 | dev<<11 | func<<8 | register */
	uint64_t value; /* written, or to be filled in: all-ones where nobody answers */
};

/* Emulates an access to the region; own CPU of vcpu; may not block with a lock held. */
typedef void (*io_handler_t)(struct vcpu *vcpu, void *arg, struct io_access *io);

/*
 * Claim ports [base, base+count) of the VM: they exit and go to fn. An access that begins in the
 * region is the region's, whatever its width. -ENOSPC, -EEXIST on overlap, -EINVAL for none at all.
 * Any CPU, also while the VM runs.
 */
int vio_add_pio(struct vm *vm, uint16_t base, uint16_t count, io_handler_t fn, void *arg);
int vio_add_mmio(struct vm *vm, gpa_t base, uint64_t size, io_handler_t fn, void *arg);
void vio_remove_mmio(struct vm *vm, gpa_t base);

/* Ports that go straight to the machine (Service VM): nothing exits. */
void vio_allow_pio(struct vm *vm, uint16_t base, uint32_t count, bool allow);

/*
 * The port policy of the VM that owns the machine: every port is the machine's, except those some
 * handler claims (before or after this call).
 */
void vio_service_defaults(struct vm *vm);

/* Does a handler claim it? */
bool vio_is_mmio(struct vm *vm, gpa_t gpa);

/* Run one access through regions, then vm->io_fallback. */
void vio_dispatch(struct vcpu *vcpu, struct io_access *io);

/* INS and OUTS: one element of the string; `qual` is the exit qualification (SDM 3C table 28-5). */
void vio_string(struct vcpu *vcpu, struct io_access *io, uint64_t qual);

/* io_fallback of VMs without a device model: reads all-ones, writes vanish. */
void vio_all_ones(struct vcpu *vcpu, struct io_access *io);

#endif
