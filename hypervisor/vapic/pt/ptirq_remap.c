// SPDX-License-Identifier: BSD-3-Clause
/*
 * MSI and MSI-X of a VM's own devices on a machine without interrupt remapping: the message that a
 * device is given carries a host vector and the pCPU of the target vCPU; when it fires the VM gets
 * the message its guest wrote.  Called through vm->msi_ops by the virtual configuration space, on any
 * CPU; one lock over the table of entries.  No emulator shows MSIs beside VMX, so that unit tests
 * are all the proof there is.
 */
#include "lib/errno.h"
#include "lib/kconfig.h"
#include "hv/irq.h"
#include "hv/unit.h"
#include "../vapic.h"

#define MSI_ADDR	  0xFEE00000UL
#define MSI_ADDR_LOGICAL  BIT(2)
#define MSI_ADDR_MASK	  0xFFFFFFFFFFF00000UL
#define MSI_DEST_SHIFT	  12U
#define MAX_PHYSICAL_DEST 0xFEU /* 8 bits, and the highest means everybody */

static struct pt_msi entries[CONFIG_MAX_PT_IRQ_ENTRIES];
static spinlock_t lock;

static void fired(uint8_t vector, void *arg)
{
	const struct pt_msi *e = arg;
	struct vm *vm;
	uint64_t addr;
	uint32_t data;

	(void)vector;
	spin_lock(&lock);
	vm = e->vm;
	addr = e->addr;
	data = e->data;
	spin_unlock(&lock);
	if (vm) {
		(void)vintr_msi(vm, addr, data);
	}
}

/* The entry of this message, else a free one, else NULL. Lock held. */
static struct pt_msi *find(const struct vm *vm, uint16_t bdf, uint16_t index)
{
	struct pt_msi *unused = NULL;

	for (uint32_t i = 0; i < ARRAY_SIZE(entries); i++) {
		struct pt_msi *e = &entries[i];

		if (e->vm == vm && e->bdf == bdf && e->index == index) {
			return e;
		}
		if (!e->vm && !unused) {
			unused = e;
		}
	}
	return unused;
}

/* Where to aim: the first vCPU the guest's message means, or the boot CPU. */
static uint32_t target_of(const struct vm *vm, uint64_t addr)
{
	uint32_t dest = (uint32_t)(addr >> MSI_DEST_SHIFT) & 0xFFU;

	for (uint16_t i = 0; i < vm->vcpu_count; i++) {
		const struct vcpu *vcpu = vm->vcpus[i];

		if ((addr & MSI_ADDR_LOGICAL) != 0U ? vlapic_icr_logical(vcpu, dest)
						    : vcpu->apic_id == dest) {
			return vcpu->pcpu->apic_id;
		}
	}
	return vm->vcpus[0]->pcpu->apic_id;
}

static void release(struct pt_msi *e)
{
	irq_free_vector(e->vector);
	e->vm = NULL;
}

static int remap(struct vm *vm, uint16_t bdf, uint16_t index, uint64_t addr, uint32_t data,
		 uint64_t *out_addr, uint32_t *out_data)
{
	struct pt_msi *e;
	uint32_t target;
	int ret = 0;

	if ((addr & MSI_ADDR_MASK) != MSI_ADDR) {
		return -EINVAL;
	}
	target = target_of(vm, addr);
	if (target > MAX_PHYSICAL_DEST) {
		return -EINVAL;
	}
	spin_lock(&lock);
	e = find(vm, bdf, index);
	if (!e) {
		ret = -ENOSPC;
		goto out;
	}
	if (!e->vm) {
		ret = irq_alloc_vector();
		if (ret < 0) {
			goto out;
		}
		e->vector = (uint8_t)ret;
		e->bdf = bdf;
		e->index = index;
		e->vm = vm;
		irq_register(e->vector, fired, e);
		ret = 0;
	}
	e->addr = addr;
	e->data = data;
	*out_addr = MSI_ADDR | ((uint64_t)target << MSI_DEST_SHIFT);
	*out_data = e->vector; /* fixed, edge */
out:
	spin_unlock(&lock);
	return ret;
}

static void release_device(struct vm *vm, uint16_t bdf)
{
	spin_lock(&lock);
	for (uint32_t i = 0; i < ARRAY_SIZE(entries); i++) {
		if (entries[i].vm == vm && entries[i].bdf == bdf) {
			release(&entries[i]);
		}
	}
	spin_unlock(&lock);
}

static void remap_vm_deinit(struct vm *vm)
{
	spin_lock(&lock);
	for (uint32_t i = 0; i < ARRAY_SIZE(entries); i++) {
		if (entries[i].vm == vm) {
			release(&entries[i]);
		}
	}
	spin_unlock(&lock);
}

bool ptirq_message(uint32_t i, struct pt_msi *copy)
{
	spin_lock(&lock);
	*copy = entries[i];
	spin_unlock(&lock);
	return copy->vm != NULL;
}

static const struct msi_ops msi_ops = {.remap = remap, .release = release_device};

static int remap_vm_init(struct vm *vm)
{
	if (vm->vintr == &vlapic_vintr_ops) {
		vm->msi_ops = &msi_ops;
	}
	return 0;
}

UNIT(ptirq_remap) = {
	.name = "ptirq_remap",
	.level = UNIT_INTR + 1U,
	.vm_init = remap_vm_init,
	.vm_reset = remap_vm_deinit,
	.vm_deinit = remap_vm_deinit,
};
