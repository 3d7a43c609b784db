// SPDX-License-Identifier: BSD-3-Clause
/*
 * A VM's PCI configuration ports.  The address written to 0xCF8 is kept here, so that an access to
 * 0xCFC is one trip, whoever serves it: the device model or nobody, unless func/ has functions for
 * the VM.  On the accessing vCPU's CPU; the latch is one word and needs no lock: two vCPUs that mix
 * their accesses get what they would on a machine.
 */
#include "lib/errno.h"
#include "hv/mm.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "vpci_dev.h"

#define CFG_ADDR   0xCF8U
#define CFG_DATA   0xCFCU
#define CFG_ENABLE BIT32(31)
#define CFG_BITS   0x80FFFFFCU

static struct pool vpci_pool;

/*
 * Only 32-bit accesses reach the address register; smaller ones are ordinary ports behind it,
 * where nothing is.
 */
static void addr_io(struct vcpu *vcpu, void *arg, struct io_access *io)
{
	struct vpci *vpci = arg;

	if (io->width != 4U) {
		vio_all_ones(vcpu, io);
	} else if (io->write) {
		vpci->latch = (uint32_t)io->value & CFG_BITS;
	} else {
		io->value = vpci->latch;
	}
}

static void data_io(struct vcpu *vcpu, void *arg, struct io_access *io)
{
	struct vpci *vpci = arg;
	uint32_t latch = vpci->latch, byte = io->addr & 3U;
	struct io_access cfg = {
		.kind = IO_PCICFG,
		.write = io->write,
		.width = io->width,
		.addr = (latch & ~CFG_ENABLE) | byte,
		.value = io->value,
	};

	if ((latch & CFG_ENABLE) == 0U || byte + io->width > 4U) {
		vio_all_ones(vcpu, io);
		return;
	}
	vpci->access(vcpu, &cfg);
	io->value = cfg.value;
}

static void fallback_access(struct vcpu *vcpu, struct io_access *io)
{
	vcpu->vm->io_fallback(vcpu, io);
}

static int vpci_boot(void)
{
	pool_init(&vpci_pool, "PCI configuration", sizeof(struct vpci), 64U, CONFIG_MAX_VM_NUM);
	return 0;
}

static void vpci_vm_deinit(struct vm *vm)
{
	pool_put(&vpci_pool, vm->vpci);
	vm->vpci = NULL;
}

static int vpci_vm_init(struct vm *vm)
{
	int ret;

	vm->vpci = pool_get(&vpci_pool);
	if (!vm->vpci) {
		return -ENOMEM;
	}
	vm->vpci->access = fallback_access;
	ret = vio_add_pio(vm, CFG_ADDR, 1, addr_io, vm->vpci);
	if (ret == 0) {
		ret = vio_add_pio(vm, CFG_DATA, 4, data_io, vm->vpci);
	}
	if (ret != 0) {
		vpci_vm_deinit(vm);
	}
	return ret;
}

static void vpci_vm_reset(struct vm *vm)
{
	vm->vpci->latch = 0;
}

UNIT(vpci) = {
	.name = "vpci",
	.level = UNIT_PCI,
	.boot = vpci_boot,
	.vm_init = vpci_vm_init,
	.vm_reset = vpci_vm_reset,
	.vm_deinit = vpci_vm_deinit,
};
