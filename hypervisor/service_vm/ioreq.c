// SPDX-License-Identifier: BSD-3-Clause
/*
 * I/O requests: an access of a User VM that nobody in the hypervisor serves goes to the device
 * model in the Service VM through a page of slots (acrn/ioreq.h), and its vCPU's thread sleeps
 * until the answer is there. The requesting half runs on the vCPU's CPU, the notification on any;
 * the slot's state word orders them, no lock. The page belongs to the Service VM: whatever it
 * writes there can only give this one User VM wrong values, or leave it waiting.
 */
#include "acrn/ioreq.h"
#include "hv/gmem.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/trace.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vintr.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "lib/errno.h"
#include "config.h"
#include "hypercall.h"

struct vm_ioreq {
	struct acrn_io_request *slots; /* in the Service VM's memory; NULL before it is set */
	bool polling;
};

static struct pool ioreq_pool;
static uint8_t upcall_vector = ACRN_UPCALL_VECTOR;

void ioreq_set_upcall(uint8_t vector)
{
	upcall_vector = vector;
}

bool ioreq_ready(const struct vm *vm)
{
	return vm->ioreq != NULL && vm->ioreq->slots != NULL;
}

/* PENDING is the last thing the other side may see. */
static void fill(struct acrn_io_request *s, const struct io_access *io, bool polling)
{
	s->completion_polling = polling ? 1U : 0U;
	s->direction = io->write ? ACRN_IOREQ_WRITE : ACRN_IOREQ_READ;
	s->size = io->width;
	if (io->kind == IO_PCICFG) {
		s->type = ACRN_IOREQ_PCICFG;
		s->value = (uint32_t)io->value;
		s->bus = (uint32_t)(io->addr >> 16) & 0xFFU;
		s->dev = (uint32_t)(io->addr >> 11) & 0x1FU;
		s->func = (uint32_t)(io->addr >> 8) & 7U;
		s->reg = (uint32_t)io->addr & 0xFFU;
	} else {
		s->type = (io->kind == IO_PIO) ? ACRN_IOREQ_PIO : ACRN_IOREQ_MMIO;
		s->address = io->addr;
		s->mmio_value = io->value;
	}
	atomic_set32(&s->processed, ACRN_IOREQ_PENDING);
}

void ioreq_upcall(const struct vm *vm)
{
	vm->owner->vintr->post(vm->owner->vcpus[0], upcall_vector);
}

void ioreq_forward(struct vcpu *vcpu, struct io_access *io)
{
	struct vm_ioreq *ioreq = vcpu->vm->ioreq;
	struct acrn_io_request *s = &ioreq->slots[vcpu->id];
	uint64_t value;

	trace(TRACE_IOREQ,
	      (uint64_t)io->kind | ((uint64_t)io->width << 8) | (io->write ? BIT(16) : 0U),
	      io->addr);
	fill(s, io, ioreq->polling);
	if (unlikely(vcpu->vm->rank > vcpu->vm->owner->rank)) {
		inherit_begin(vcpu);
	}
	ioreq_upcall(vcpu->vm);
	while (atomic_read32(&s->processed) != ACRN_IOREQ_COMPLETE) {
		if (ioreq->polling) {
			sched_poll();
		} else {
			sched_block();
		}
	}
	if (unlikely(vcpu->vm->lends != 0U)) {
		inherit_end(vcpu->vm, BIT32(vcpu->id)); /* after polling there was no hypercall */
	}
	value = *(volatile uint64_t *)&s->mmio_value;
	atomic_set32(&s->processed, ACRN_IOREQ_FREE);
	if (!io->write) {
		io->value = (io->kind == IO_MMIO) ? value : (uint32_t)value;
	}
	trace(TRACE_IOREQ_DONE, io->value, io->addr);
}

/* It cannot go on: the device model sees it power itself off, and ends. */
static void power_off(struct vcpu *vcpu)
{
	struct io_access io = {.kind = IO_PIO,
			       .write = true,
			       .width = 2U,
			       .addr = DM_PM1A_CNT,
			       .value = DM_PM1A_S5};

	pr_err("VM%u (%s): vCPU %u triple-faulted, the VM is powered off", vcpu->vm->id,
	       vcpu->vm->name, vcpu->id);
	vm_event_send(vcpu->vm, ACRN_VM_EVENT_TRIPLE_FAULT);
	own_end_begins(vcpu->vm);
	ioreq_forward(vcpu, &io);
	for (;;) {
		sched_block();
	}
}

static int64_t hc_set_ioreq_buffer(const struct hc_call *c)
{
	uint64_t gpa;
	hpa_t hpa;
	int err;

	if (c->target->state != VM_CREATED) {
		return -EINVAL;
	}
	err = gmem_read(c->caller, GPA(c->arg2), &gpa, sizeof(gpa));
	if (err != 0) {
		return err;
	}
	if ((gpa % PAGE_SIZE) != 0U) {
		return -EINVAL;
	}
	err = hc_ram(c->caller, GPA(gpa), PAGE_SIZE, &hpa);
	if (err != 0) {
		return err;
	}
	c->target->ioreq->slots = hpa_ptr(hpa);
	for (uint32_t i = 0U; i < ACRN_IOREQ_SLOTS; i++) {
		atomic_set32(&c->target->ioreq->slots[i].processed, ACRN_IOREQ_FREE);
	}
	return 0;
}

static int64_t hc_notify_request_finish(const struct hc_call *c)
{
	if (c->arg2 >= c->target->vcpu_count) {
		return -EINVAL;
	}
	if (unlikely(c->target->lends != 0U)) {
		inherit_end(c->target, BIT32(c->arg2));
	}
	if (!c->target->ioreq->polling) {
		sched_wake(&c->target->vcpus[c->arg2]->thread);
	}
	return 0;
}

static int ioreq_boot(void)
{
	pool_init(&ioreq_pool, "I/O request pages", sizeof(struct vm_ioreq), 64U,
		  CONFIG_MAX_VM_NUM);
	return 0;
}

static int ioreq_vm_init(struct vm *vm)
{
	if (vm->owner == NULL) {
		return 0;
	}
	vm->ioreq = pool_get(&ioreq_pool);
	if (vm->ioreq == NULL) {
		return -ENOMEM;
	}
	vm->ioreq->polling = (vm->flags & GUEST_FLAG_IO_COMPLETION_POLLING) != 0U;
	vm->io_fallback = ioreq_forward;
	vm->on_triple_fault = power_off;
	return 0;
}

static void ioreq_vm_reset(struct vm *vm)
{
	for (uint32_t i = 0U; i < ACRN_IOREQ_SLOTS && ioreq_ready(vm); i++) {
		atomic_set32(&vm->ioreq->slots[i].processed, ACRN_IOREQ_FREE);
	}
}

static void ioreq_vm_deinit(struct vm *vm)
{
	if (vm->ioreq != NULL) {
		pool_put(&ioreq_pool, vm->ioreq);
	}
	vm->ioreq = NULL;
}

UNIT(ioreq) = {
	.name = "ioreq",
	.level = UNIT_SERVICE,
	.boot = ioreq_boot,
	.vm_init = ioreq_vm_init,
	.vm_reset = ioreq_vm_reset,
	.vm_deinit = ioreq_vm_deinit,
};
HYPERCALL_VM(HC_SET_IOREQ_BUFFER, hc_set_ioreq_buffer);
HYPERCALL_VM(HC_NOTIFY_REQUEST_FINISH, hc_notify_request_finish);
