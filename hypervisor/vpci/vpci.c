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

static int vpci_vm_init(struct vm *vm)
{
	int ret;

	vm->vpci->access = fallback_access;
	ret = vio_add_pio(vm, CFG_ADDR, 1, addr_io, vm->vpci);
	return (ret == 0) ? vio_add_pio(vm, CFG_DATA, 4, data_io, vm->vpci) : ret;
}

static void vpci_vm_reset(struct vm *vm)
{
	vm->vpci->latch = 0;
}

UNIT(vpci) = {
	.name = "vpci",
	.level = UNIT_PCI,
	.vm_state = VM_STATE("PCI configuration", struct vpci, vpci),
	.vm_init = vpci_vm_init,
	.vm_reset = vpci_vm_reset,
};
