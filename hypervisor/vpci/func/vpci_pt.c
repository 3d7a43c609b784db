// SPDX-License-Identifier: BSD-3-Clause
/*
 * Configuration space of the VM that owns the machine's devices: everything passes, except that
 * interrupt messages are the hypervisor's (vmsi.c, vmsix.c).  A device is noted at the first access
 * to it, so the guest may number buses as it likes.  The VM's lock covers the devices noted; the
 * EPT is flushed after it is dropped, because that waits for other CPUs.
 */
#include "lib/errno.h"
#include "hv/acpi.h"
#include "hv/ept.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vio.h"
#include "hv/vintr.h"
#include "hv/vm.h"
#include "../vpci_dev.h"

#define PCI_STATUS	0x06U
#define PCI_STATUS_CAPS BIT32(4)
#define PCI_HEADER_TYPE 0x0EU
#define PCI_CAP_POINTER 0x34U
#define PCI_CAP_MSI	0x05U
#define PCI_CAP_MSIX	0x11U
#define MAX_CAPS	48U /* that fit between 0x40 and 0xFF: a loop of pointers ends */

static struct pool dev_pool;

static void find_capabilities(struct vpci_dev *dev)
{
	uint32_t at;

	if ((pci_cfg_read(dev->bdf, PCI_STATUS, 2) & PCI_STATUS_CAPS) == 0U ||
	    (pci_cfg_read(dev->bdf, PCI_HEADER_TYPE, 1) & 0x7FU) > 1U) {
		return;
	}
	at = pci_cfg_read(dev->bdf, PCI_CAP_POINTER, 1) & 0xFCU;
	for (uint32_t i = 0; i < MAX_CAPS && at >= 0x40U; i++) {
		uint32_t head = pci_cfg_read(dev->bdf, at, 2);

		if ((head & 0xFFU) == PCI_CAP_MSI) {
			vmsi_init(dev, (uint8_t)at);
		} else if ((head & 0xFFU) == PCI_CAP_MSIX) {
			vmsix_init(dev, (uint8_t)at);
		}
		at = (head >> 8) & 0xFCU;
	}
}

static struct vpci_dev *dev_find(struct vpci *vpci, bdf_t bdf)
{
	struct vpci_dev *dev = vpci->last;
	uint32_t count = atomic_read32(&vpci->dev_count);

	if (likely(dev && dev->bdf == bdf)) {
		return dev;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (vpci->dev[i]->bdf == bdf) {
			vpci->last = vpci->dev[i];
			return vpci->dev[i];
		}
	}
	return NULL;
}

static void note_special(struct vpci_dev *dev)
{
	for (uint32_t reg = 0; reg < 256U; reg += 4U) {
		if (vmsi_covers(dev, reg) || vmsix_covers(dev, reg)) {
			dev->special |= BIT(reg / 4U);
		}
	}
}

/*
 * The device's record, made if it is new; NULL when nothing answers, another VM has it, or there are
 * too many.
 */
static struct vpci_dev *dev_get(struct vm *vm, bdf_t bdf)
{
	struct vpci *vpci = vm->vpci;
	struct vpci_dev *dev = dev_find(vpci, bdf);

	if (dev || (pci_given != NULL && pci_given(bdf)) ||
	    (pci_cfg_read(bdf, 0, 4) & 0xFFFFU) == 0xFFFFU) {
		return dev;
	}
	dev = vpci->dev_count < CONFIG_MAX_PCI_DEV_NUM ? pool_get(&dev_pool) : NULL;
	if (!dev) {
		pr_err("PCI device %02x:%02x.%x is hidden: more than %u devices", bdf >> 8,
		       (bdf >> 3) & 31U, bdf & 7U, CONFIG_MAX_PCI_DEV_NUM);
		return NULL;
	}
	dev->bdf = bdf;
	dev->vm = vm;
	dev->lock = &vpci->lock;
	find_capabilities(dev);
	note_special(dev);
	vpci->dev[vpci->dev_count] = dev;
	atomic_set32(&vpci->dev_count, vpci->dev_count + 1U);
	return dev;
}

static uint32_t dev_read(const struct vpci_dev *dev, uint32_t reg, uint8_t width)
{
	uint32_t val;

	if (!vpci_is_special(dev, reg)) {
		return pci_cfg_read(dev->bdf, reg, width);
	}
	val = pci_cfg_read(dev->bdf, reg & ~3U, 4);
	val = vmsi_covers(dev, reg) ? vmsi_read(dev, reg & ~3U, val)
				    : vmsix_read(dev, reg & ~3U, val);
	return val >> ((reg & 3U) * 8U);
}

static void dev_write(struct vpci_dev *dev, uint32_t reg, uint8_t width, uint32_t val, bool *flush)
{
	uint32_t at = reg & ~3U, old;

	if (vmsi_covers(dev, reg)) {
		old = vmsi_read(dev, at, pci_cfg_read(dev->bdf, at, 4));
		if (vmsi_write(dev, at, vpci_merge(old, reg, width, val))) {
			return;
		}
	} else if (vmsix_covers(dev, reg)) {
		old = vmsix_read(dev, at, pci_cfg_read(dev->bdf, at, 4));
		vmsix_write(dev, vpci_merge(old, reg, width, val), flush);
		return;
	}
	pci_cfg_write(dev->bdf, reg, width, val);
}

static void cfg_access(struct vcpu *vcpu, bdf_t bdf, uint32_t reg, struct io_access *io)
{
	struct vm *vm = vcpu->vm;
	bool flush = false;
	struct vpci_dev *dev = dev_find(vm->vpci, bdf);

	if (likely(dev && !io->write && !vpci_is_special(dev, reg))) {
		io->value = pci_cfg_read(bdf, reg, io->width);
		return;
	}
	if (!dev && vm->vpci->emulated != NULL && vm->vpci->emulated(vm, bdf, reg, io)) {
		return;
	}
	spin_lock(&vm->vpci->lock);
	dev = dev_get(vm, bdf);
	if (!dev) {
		vio_all_ones(vcpu, io);
	} else if (io->write) {
		dev_write(dev, reg, io->width, (uint32_t)io->value, &flush);
	} else {
		io->value = dev_read(dev, reg, io->width);
	}
	spin_unlock(&vm->vpci->lock);
	if (flush) {
		ept_flush(&vm->ept);
	}
}

static void pt_access(struct vcpu *vcpu, struct io_access *io)
{
	cfg_access(vcpu, (bdf_t)(io->addr >> 8), (uint32_t)io->addr & 0xFFU, io);
}

/* The MCFG window: 4 KB a function. An 8-byte access is two, as on the bus. */
static void ecam_io(struct vcpu *vcpu, void *arg, struct io_access *io)
{
	uint64_t at = io->addr - (uintptr_t)arg;
	struct io_access half = *io;

	if ((at & 3U) + io->width > 4U && !(io->width == 8U && (at & 3U) == 0U)) {
		vio_all_ones(vcpu, io);
		return;
	}
	half.width = MIN(io->width, 4U);
	cfg_access(vcpu, (bdf_t)(at >> 12), (uint32_t)at & 0xFFFU, &half);
	if (io->width == 8U) {
		io->value = io->write ? io->value >> 32 : half.value & UINT32_MAX;
		half.value = io->value;
		cfg_access(vcpu, (bdf_t)(at >> 12), (uint32_t)(at + 4U) & 0xFFFU, &half);
		io->value |= half.value << 32;
	} else {
		io->value = half.value;
	}
}

static uint32_t device_count(const struct vm *vm)
{
	return vm->vpci->dev_count;
}

static int pt_boot(void)
{
	pool_init(&dev_pool, "PCI devices", sizeof(struct vpci_dev), 64U, CONFIG_MAX_PCI_DEV_NUM);
	dev_pool.held = device_count;
	return 0;
}

static int pt_vm_init(struct vm *vm)
{
	uint64_t size;
	hpa_t base;
	int ret;

	if (vm->load_order != SERVICE_VM) {
		return 0;
	}
	vm->vpci->access = pt_access;
	if (!pci_ecam(&base, &size)) {
		return 0;
	}
	ret = ept_unmap(&vm->ept, GPA(base.v), size);
	if (ret == 0) { /* the argument is where bus 0 would be */
		ret = vio_add_mmio(vm, GPA(base.v), size, ecam_io,
				   hpa_ptr(HPA(acpi_facts.mcfg_base)));
	}
	return ret;
}

/* All vCPUs are stopped. Messages are off until the guest sets them up again. */
static void pt_vm_reset(struct vm *vm)
{
	struct vpci *vpci = vm->vpci;
	bool flush = false;

	for (uint32_t i = 0; i < vpci->dev_count; i++) {
		struct vpci_dev *dev = vpci->dev[i];

		if (dev->msi.on) {
			(void)vmsi_write(dev, dev->msi.cap, 0);
		}
		if (dev->msix.on) {
			vmsix_write(dev, 0, &flush);
		}
	}
	if (flush) {
		ept_flush(&vm->ept);
	}
}

static void pt_vm_deinit(struct vm *vm)
{
	struct vpci *vpci = vm->vpci;

	pt_vm_reset(vm);
	vpci->last = NULL;
	while (vpci->dev_count != 0U) {
		pool_put(&dev_pool, vpci->dev[--vpci->dev_count]);
	}
}

UNIT(vpci_pt) = {
	.name = "vpci_pt",
	.level = UNIT_PCI + 2U, /* instead of what vfunc.c serves */
	.boot = pt_boot,
	.vm_init = pt_vm_init,
	.vm_reset = pt_vm_reset,
	.vm_deinit = pt_vm_deinit,
};
