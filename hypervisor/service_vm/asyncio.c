// SPDX-License-Identifier: BSD-3-Clause
/*
 * Asynchronous I/O: writes of a User VM that are only a doorbell. The Service VM names them; such a
 * write leaves a word in a ring that both share and the vCPU goes on at once. A ring that is full,
 * or not there, makes it an ordinary request, so that none is lost. While a VM has none of this
 * nobody asks here: its io_fallback is ioreq.c's. Runs on the vCPU's CPU, the hypercalls on the
 * caller's; a lock per VM, innermost, covers its list and the writing side of its ring.
 */
#include "hv/gmem.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vio.h"
#include "lib/errno.h"
#include "lib/sbuf.h"
#include "config.h"
#include "hypercall.h"

static struct asyncio {
	spinlock_t lock;
	struct sbuf ring;
	uint32_t count;
	struct acrn_asyncio_info info[ACRN_ASYNCIO_MAX];
} vm_asyncio[CONFIG_MAX_VM_NUM];

static bool matches(const struct acrn_asyncio_info *info, const struct io_access *io)
{
	uint32_t type = (io->kind == IO_PIO) ? ACRN_ASYNCIO_PIO : ACRN_ASYNCIO_MMIO;

	return info->addr == io->addr && info->type == type &&
	       (info->match_data == 0U || info->data == io->value);
}

/* False: it is nobody's doorbell, or there is no room for it. */
static bool put(struct vm *vm, const struct io_access *io)
{
	struct asyncio *a = &vm_asyncio[vm->id];
	bool done = false;

	spin_lock(&a->lock);
	for (uint32_t i = 0U; i < a->count && a->ring.header != NULL; i++) {
		if (matches(&a->info[i], io)) {
			done = sbuf_put(&a->ring, &a->info[i].fd);
			break;
		}
	}
	spin_unlock(&a->lock);
	if (done) {
		ioreq_upcall(vm);
	}
	return done;
}

static void asyncio_access(struct vcpu *vcpu, struct io_access *io)
{
	if (!io->write || io->kind == IO_PCICFG || !put(vcpu->vm, io)) {
		ioreq_forward(vcpu, io);
	}
}

/* Would one write be both's? */
static bool overlap(const struct acrn_asyncio_info *a, const struct acrn_asyncio_info *b)
{
	return a->type == b->type && a->addr == b->addr &&
	       (a->match_data == 0U || b->match_data == 0U || a->data == b->data);
}

static int add(struct asyncio *a, const struct acrn_asyncio_info *info)
{
	for (uint32_t i = 0U; i < a->count; i++) {
		if (overlap(&a->info[i], info)) {
			return -EEXIST;
		}
	}
	if (a->count == ACRN_ASYNCIO_MAX) {
		return -ENOSPC;
	}
	a->info[a->count] = *info;
	a->count++;
	return 0;
}

static int remove(struct asyncio *a, const struct acrn_asyncio_info *info)
{
	for (uint32_t i = 0U; i < a->count; i++) {
		if (a->info[i].fd == info->fd && overlap(&a->info[i], info)) {
			a->count--;
			a->info[i] = a->info[a->count];
			return 0;
		}
	}
	return -ENOENT;
}

static int64_t change(struct vm *caller, struct vm *target, uint64_t gpa,
		      int (*fn)(struct asyncio *a, const struct acrn_asyncio_info *info))
{
	struct asyncio *a = &vm_asyncio[target->id];
	struct acrn_asyncio_info info;
	int err = gmem_read(caller, GPA(gpa), &info, sizeof(info));

	if (err != 0) {
		return err;
	}
	if ((info.type != ACRN_ASYNCIO_PIO || info.addr > UINT16_MAX) &&
	    info.type != ACRN_ASYNCIO_MMIO) {
		return -EINVAL;
	}
	spin_lock(&a->lock);
	err = fn(a, &info);
	target->io_fallback = (a->count != 0U) ? asyncio_access : ioreq_forward;
	spin_unlock(&a->lock);
	return err;
}

static int64_t hc_asyncio_assign(const struct hc_call *c)
{
	return change(c->caller, c->target, c->arg2, add);
}

static int64_t hc_asyncio_deassign(const struct hc_call *c)
{
	return change(c->caller, c->target, c->arg2, remove);
}

void asyncio_set_ring(struct vm *vm, const struct sbuf *ring)
{
	struct asyncio *a = &vm_asyncio[vm->id];

	spin_lock(&a->lock);
	a->ring = *ring;
	spin_unlock(&a->lock);
}

/* The ring stays, as the request page does. */
static void asyncio_vm_reset(struct vm *vm)
{
	if (vm->owner != NULL) {
		vm_asyncio[vm->id].count = 0U;
		vm->io_fallback = ioreq_forward;
	}
}

static void asyncio_vm_deinit(struct vm *vm)
{
	vm_asyncio[vm->id].count = 0U;
	vm_asyncio[vm->id].ring = (struct sbuf){0};
}

UNIT(asyncio) = {
	.name = "asyncio",
	.level = UNIT_SERVICE + 1U,
	.vm_reset = asyncio_vm_reset,
	.vm_deinit = asyncio_vm_deinit,
};
HYPERCALL_VM(HC_ASYNCIO_ASSIGN, hc_asyncio_assign);
HYPERCALL_VM(HC_ASYNCIO_DEASSIGN, hc_asyncio_deassign);
