/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SERVICE_MACHINE_H
#define SERVICE_MACHINE_H

/*
 * A Service VM and room for User VMs, for the tests of service_vm/: the real files of that folder
 * over an EPT of single pages, VM states without vCPU threads, and a scheduler whose sched_block()
 * plays the device model.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "acrn/hypercall.h"
#include "acrn/ioreq.h"
#include "asm/cpuregs.h"
#include "asm/vmx.h"
#include "asm/vmx_insn.h"
#include "fake_machine.h"
#include "hv/gmem.h"
#include "hv/log.h"
#include "hv/log_sink.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vfunc.h"
#include "hv/vintr.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "lib/errno.h"

#define TEST_SERVICE_ID 0U
#define TEST_RAM	MB(4)	     /* the Service VM's, at GPA 0 */
#define TEST_DEVICE	0xFED40000UL /* register pages of the Service VM's, mapped 1:1 */

int service_setup(void **state);
int service_teardown(void **state);

struct vm *service(void);
/* A pointer into the Service VM's RAM. */
void *service_ram(uint64_t gpa);

/* VMCALL on vCPU 0 of `vm` with what the HSM would put into the registers; RAX. */
int64_t hypercall(struct vm *vm, uint32_t nr, uint64_t arg1, uint64_t arg2);
/* What the last VMCALL did: exceptions injected, instructions skipped. */
extern uint32_t test_uds, test_gps, test_skips;

/* CREATE_VM with this name; the relative id, or the error. */
int64_t create_vm(const char *name);
struct vm *user_vm(int64_t vmid); /* by relative id */
/* The same with an I/O request page at this GPA, started. */
struct vm *start_vm(const char *name, uint64_t ioreq_gpa);

/* Where the VM's EPT maps a page; false: nowhere. */
bool mapped(struct vm *vm, uint64_t gpa, uint64_t *hpa, uint64_t *attr);
extern uint32_t test_flushes, test_maps;
extern uint32_t test_maps_left; /* how many more ept_map() succeed */

/*
 * All that hypercalls may change: VMs, vCPUs, where pages below TEST_RAM are mapped, the Service
 * VM's memory, what other parts were asked for. The caller's registers are not looked at.
 */
struct service_state;
struct service_state *service_state(void);
bool service_state_same(struct service_state *before); /* frees it */

/* If set, another CPU writes this byte over whatever was read, as soon as it was read. */
extern const uint8_t *test_spoil;

/* This page of the Service VM's RAM is the hypervisor's, shown to it; 0: none. */
extern uint64_t test_hv_page;

/* vpci/vfunc.c knows one kind, 1AF4:1110; who has how many, and what the last was made of. */
extern uint32_t test_vfuncs[];
extern struct vfunc_args test_vfunc_args;
extern bdf_t test_vfunc_bdf;

/* Lines of the log in memory go there. */
extern struct log_sink *test_log_sink;

/* Called by sched_block(); a test without one must not block. */
extern void (*test_on_block)(void);
extern uint32_t test_yields, test_frozen;
extern struct thread *test_woken;
extern uint32_t test_ranks; /* calls of sched_set_rank() */
extern const char *test_inherit; /* inherit= of the command line, or NULL */

/* The last message to local APICs, GSI operation, and MSI. */
extern struct vintr_msg test_msg;
extern struct vm *test_msg_vm;
extern struct vcpu *test_posted_to;
extern uint8_t test_posted;
extern uint32_t test_msgs, test_gsi, test_gsi_op;
extern uint64_t test_msi_addr;
/* Handlers of a VM that may only end itself, and how often one has. */
extern io_handler_t test_pm1a, test_reset_port;
extern uint32_t test_ends;
extern uint32_t test_msi_data;

#endif
