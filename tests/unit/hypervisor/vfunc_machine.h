/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VFUNC_MACHINE_H
#define VFUNC_MACHINE_H

/*
 * What emulated PCI functions are tested in: the real vpci/, I/O regions and EPTs of a Service VM
 * (1:1, RAM below 256 MB, a hole for the hypervisor behind it) and of a User VM (RAM below 64 MB),
 * and one kind of function, 1AF4:10F0, with a trapping BAR, MSI-X and shared memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "asm/vmx.h"
#include "fake_machine.h"
#include "hv/mm.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vfunc.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "lib/errno.h"

#define RAM	 MB(256)
#define USER_RAM MB(64)
#define SHARE	 MB(4)
#define WB_SHARE (EPT_READ | EPT_WRITE | EPT_MT_WB | EPT_IPAT)

extern struct vm service, user;
extern struct vcpu service_cpu, user_cpu;
extern uint8_t *share; /* what the function shows */
extern bool only_shown; /* functions made now show it for reading */

/* What the function was called with, and what its init answers. */
struct vfunc_seen {
	uint32_t inits, resets, deinits, accesses, bar;
	uint64_t offset;
	struct io_access io;
	struct vfunc *f;
	int result;
};
extern struct vfunc_seen seen;

struct vfunc_msi {
	uint32_t count;
	struct vm *vm;
	uint64_t addr;
	uint32_t data;
};
extern struct vfunc_msi msi; /* the last message */

int vfunc_setup(void **state);
int vfunc_teardown(void **state);

/* One access of the VM, as its exit handler makes it. */
struct io_access go(struct vm *vm, struct io_access io);
void cfg_write(struct vm *vm, uint32_t bdf, uint32_t reg, uint8_t width, uint32_t val);
uint32_t cfg_read(struct vm *vm, uint32_t bdf, uint32_t reg, uint8_t width);
uint64_t mem_read(struct vm *vm, uint64_t at, uint8_t width);
void mem_write(struct vm *vm, uint64_t at, uint8_t width, uint64_t val);

/* What is mapped at gpa: 0 nothing, else attributes; *hpa where. */
uint64_t mapped(struct vm *vm, uint64_t gpa, uint64_t *hpa);

#endif
