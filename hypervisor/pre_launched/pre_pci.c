// SPDX-License-Identifier: BSD-3-Clause
/*
 * PCI of pre-launched VMs: a host bridge, functions that vpci/func emulates, and devices which the
 * scenario names, seen by one VM and hidden from all others. Nothing confines DMA, so such a device
 * never masters the bus: it has registers, ports and its interrupt pin (vapic/pt), and no messages,
 * which are writes to memory too. Its BARs are placed once, where the VM has no RAM; a guest cannot
 * move them. The table is made at boot and constant but for `probing`, which each write of a BAR
 * sets or clears; configuration accesses come on the vCPU's CPU. Takes no lock.
 */
#include "asm/vmx.h"
#include "config.h"
#include "hv/boot.h"
#include "hv/ept.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/timer.h"
#include "hv/unit.h"
#include "hv/vio.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "lib/errno.h"
#include "../vpci/vpci_dev.h"

#define REG_ID		0x00U
#define REG_COMMAND	0x04U /* status is its upper half */
#define REG_CLASS	0x08U
#define REG_HEADER	0x0CU /* its type in bits 16-22 */
#define REG_BAR0	0x10U
#define REG_BAR_END	0x28U
#define REG_ROM		0x30U
#define REG_CAPS	0x34U
#define REG_INTR	0x3CU

#define CAP_PCIE	0x10U
#define MAX_CAPS	48U
#define PCIE_CAN	0x04U
#define PCIE_CONTROL	0x08U
#define CAN_FLR		BIT32(28)
#define CONTROL_FLR	BIT32(15)
#define FLR_US		100000U /* PCI Express 3.0, 6.6.2 */

#define COMMAND_GUEST	0x0403U /* ports, memory, INTx off: never the bus master */
#define COMMAND_INTX_OFF 0x0400U
#define STATUS_CAPS	BIT32(20)
#define HEADER_TYPE	0x7F0000U
#define HEADER_MULTI	BIT32(23)
#define BAR_IO		BIT32(0)
#define BAR_64		BIT32(2)
#define BAR_FLAGS(v)	(((v) & BAR_IO) != 0U ? 3U : 0xFU)

#define HOST_BRIDGE_ID	  0x12751275U /* acrn-dm's */
#define HOST_BRIDGE_CLASS 0x06000000U

#define BARS	      6U
#define FIRST_PORT    0x1000U /* below are the fixed ones, the hypervisor's too */
#define CHIPSET	      0xFEC00000UL /* up to 4 GB: interrupt controllers, firmware */

struct pre_dev {
	const struct vm_config *owner;
	const struct vm_pci_dev *config;
	bool usable;
	uint8_t pcie;	     /* the capability, if it has function-level reset; else 0 */
	uint8_t probing;     /* a bit for each BAR whose register shows its size */
	uint64_t base[BARS]; /* port or HPA */
	uint64_t size[BARS]; /* 0: no such BAR */
	uint64_t at[BARS];   /* GPA, or the port */
	uint32_t first[BARS], shown[BARS], sizes[BARS]; /* registers: firmware's, the guest's */
};

static struct pre_dev *devs;
static uint32_t dev_count;

/* What the register of a BAR answers to all ones. */
static uint32_t size_bits(bdf_t bdf, uint32_t reg, uint32_t old)
{
	uint32_t bits;

	pci_cfg_write(bdf, reg, 4, UINT32_MAX);
	bits = pci_cfg_read(bdf, reg, 4);
	pci_cfg_write(bdf, reg, 4, old);
	return bits;
}

static bool over_ram(uint64_t base, uint64_t size)
{
	for (uint32_t i = 0U; i < host_e820.count; i++) {
		const struct mem_range *r = &host_e820.r[i];

		if (r->type != MEM_RESERVED && base < r->base + r->size && r->base < base + size) {
			return true;
		}
	}
	return hv_owns(HPA(base), size) || (base + size > CHIPSET && base < GB(4));
}

/* One BAR, decoding being off; those before it are known. NULL, or why it cannot be given. */
static const char *learn_bar(struct pre_dev *d, uint32_t i, uint64_t *next)
{
	bdf_t bdf = d->config->bdf;
	uint32_t reg = REG_BAR0 + 4U * i, flags = d->first[i] & BAR_FLAGS(d->first[i]);
	bool wide = (flags & (BAR_IO | BAR_64)) == BAR_64 && i + 1U < BARS;
	uint64_t mask, base = d->first[i] & ~flags;

	d->sizes[i] = size_bits(bdf, reg, d->first[i]);
	mask = d->sizes[i] & ~BAR_FLAGS(d->first[i]);
	if (wide) {
		d->sizes[i + 1U] = size_bits(bdf, reg + 4U, d->first[i + 1U]);
		mask |= (uint64_t)d->sizes[i + 1U] << 32;
		base |= (uint64_t)d->first[i + 1U] << 32;
	}
	if (mask == 0U) {
		return NULL;
	}
	d->size[i] = mask & (~mask + 1U);
	d->base[i] = base;
	d->at[i] = base;
	d->shown[i] = d->first[i];
	if ((flags & BAR_IO) != 0U) {
		return (base < FIRST_PORT || base + d->size[i] > 0x10000U)
			       ? "has ports where the firmware should not place any" : NULL;
	}
	if (base == 0U || (base & (d->size[i] - 1U)) != 0U ||
	    d->size[i] > hostmm_limit() || base > hostmm_limit() - d->size[i] ||
	    over_ram(base, d->size[i])) {
		return "has registers where the firmware should not place any";
	}
	if (d->size[i] < PAGE_SIZE) {
		return "has a memory BAR of less than a page";
	}
	if (d->size[i] > VPCI_WINDOW_END - VPCI_WINDOW ||
	    ALIGN_UP(*next, d->size[i]) + d->size[i] > VPCI_WINDOW_END) {
		return "has more registers than there is room for";
	}
	d->at[i] = ALIGN_UP(*next, d->size[i]);
	*next = d->at[i] + d->size[i];
	d->shown[i] = (uint32_t)d->at[i] | flags;
	return NULL;
}

static uint8_t find_flr(bdf_t bdf)
{
	uint32_t at = pci_cfg_read(bdf, REG_CAPS, 1) & 0xFCU;

	if ((pci_cfg_read(bdf, REG_COMMAND, 4) & STATUS_CAPS) == 0U) {
		return 0U;
	}
	for (uint32_t i = 0U; i < MAX_CAPS && at >= 0x40U; i++) {
		uint32_t head = pci_cfg_read(bdf, at, 2);

		if ((head & 0xFFU) == CAP_PCIE) {
			return (pci_cfg_read(bdf, at + PCIE_CAN, 4) & CAN_FLR) != 0U ? (uint8_t)at
										     : 0U;
		}
		at = (head >> 8) & 0xFCU;
	}
	return 0U;
}

static const char *learn_all(struct pre_dev *d, uint64_t *next)
{
	bdf_t bdf = d->config->bdf;
	const char *why = NULL;

	if ((pci_cfg_read(bdf, REG_ID, 4) & 0xFFFFU) == 0xFFFFU) {
		return "is not there";
	}
	if ((pci_cfg_read(bdf, REG_HEADER, 4) & HEADER_TYPE) != 0U) {
		return "is a bridge";
	}
	pci_cfg_write(bdf, REG_COMMAND, 2, COMMAND_INTX_OFF);
	d->pcie = find_flr(bdf);
	for (uint32_t i = 0U; i < BARS; i++) {
		d->first[i] = pci_cfg_read(bdf, REG_BAR0 + 4U * i, 4);
	}
	for (uint32_t i = 0U; i < BARS && why == NULL; i++) {
		bool upper = i != 0U && d->size[i - 1U] != 0U &&
			     (d->first[i - 1U] & (BAR_IO | BAR_64)) == BAR_64;

		why = upper ? NULL : learn_bar(d, i, next);
	}
	return why;
}

/* False: it cannot be given, with a line that says why. */
static bool learn(struct pre_dev *d, uint64_t *next)
{
	const char *why = learn_all(d, next);
	bdf_t bdf = d->config->bdf;

	if (why != NULL) {
		report("%s: PCI device %02x:%02x.%x %s", d->owner->name, bdf >> 8,
		       (bdf >> 3) & 31U, bdf & 7U, why);
	}
	return why == NULL;
}

static bool is_given(bdf_t bdf)
{
	for (uint32_t i = 0U; i < dev_count; i++) {
		if (devs[i].config->bdf == bdf) {
			return true;
		}
	}
	return false;
}

static bool is_given_page(hpa_t page)
{
	for (uint32_t i = 0U; i < dev_count * BARS; i++) {
		const struct pre_dev *d = &devs[i / BARS];

		if (d->usable && (d->first[i % BARS] & BAR_IO) == 0U &&
		    page.v - d->base[i % BARS] < d->size[i % BARS]) {
			return true;
		}
	}
	return false;
}

static int pre_pci_boot(void)
{
	struct pre_dev *d;
	uint32_t count = 0U;

	for (uint16_t i = 0U; i < vm_config_count; i++) {
		count += vm_configs[i].pci_count;
	}
	devs = boot_alloc(count * sizeof(*devs), 64U);
	d = devs;
	for (uint16_t i = 0U; i < vm_config_count; i++) {
		uint64_t at = VPCI_WINDOW;

		for (uint32_t n = 0U; n < vm_configs[i].pci_count; n++) {
			d->owner = &vm_configs[i];
			d->config = &vm_configs[i].pci[n];
			d->usable = learn(d, &at);
			d++;
		}
	}
	dev_count = count;
	pci_given = is_given;
	pci_given_page = is_given_page;
	return 0;
}

/* The VM's function at this address; NULL: none. */
static struct pre_dev *dev_at(const struct vm *vm, bdf_t bdf)
{
	uint32_t slot = bdf >> 3;

	for (uint32_t i = 0U; i < dev_count; i++) {
		if (devs[i].owner == vm->config) {
			slot--;
			if (slot == 0U) {
				return (bdf & 7U) == 0U ? &devs[i] : NULL;
			}
		}
	}
	return NULL;
}

static uint32_t reg_read(const struct pre_dev *d, uint32_t reg)
{
	uint32_t i = (reg - REG_BAR0) / 4U;

	if (reg >= REG_BAR0 && reg < REG_BAR_END) {
		return (d->probing & BIT32(i)) != 0U ? d->sizes[i] : d->shown[i];
	}
	switch (reg) {
	case REG_COMMAND:
		return pci_cfg_read(d->config->bdf, reg, 4) & ~STATUS_CAPS;
	case REG_HEADER:
		return pci_cfg_read(d->config->bdf, reg, 4) & ~HEADER_MULTI;
	case REG_ROM:
	case REG_CAPS:
		return 0U;
	case REG_INTR:
		return (pci_cfg_read(d->config->bdf, reg, 4) & ~0xFFU) | d->config->irq;
	default:
		return pci_cfg_read(d->config->bdf, reg, 4);
	}
}

/* All but these is as if it were read-only. */
static void reg_write(struct pre_dev *d, uint32_t reg, uint32_t val)
{
	uint32_t i = (reg - REG_BAR0) / 4U;

	if (reg == REG_COMMAND) {
		pci_cfg_write(d->config->bdf, reg, 2, val & COMMAND_GUEST);
	} else if (reg >= REG_BAR0 && reg < REG_BAR_END) {
		uint32_t probe = (val | 0xFU) == UINT32_MAX ? BIT32(i) : 0U;

		d->probing = (uint8_t)((d->probing & ~BIT32(i)) | probe);
	} else {
		/* nothing a guest may change */
	}
}

static uint32_t bridge_read(uint32_t reg)
{
	return reg == REG_ID ? HOST_BRIDGE_ID : (reg == REG_CLASS ? HOST_BRIDGE_CLASS : 0U);
}

static void pre_access(struct vcpu *vcpu, struct io_access *io)
{
	bdf_t bdf = (bdf_t)(io->addr >> 8);
	uint32_t reg = (uint32_t)io->addr & 0xFFU, at = reg & ~3U;
	struct pre_dev *d = dev_at(vcpu->vm, bdf);
	uint32_t old;

	if (vcpu->vm->vpci->emulated != NULL &&
	    vcpu->vm->vpci->emulated(vcpu->vm, bdf, reg, io)) {
		return;
	}
	if (d == NULL && bdf != 0U) {
		vio_all_ones(vcpu, io);
		return;
	}
	old = d == NULL ? bridge_read(at) : reg_read(d, at);
	if (!io->write) {
		io->value = old >> ((reg & 3U) * 8U);
	} else if (d != NULL) {
		reg_write(d, at, vpci_merge(old, reg, io->width, (uint32_t)io->value));
	} else {
		/* the bridge has nothing to write */
	}
}

/* Give a BAR to its VM, or take it from the Service VM. */
static int bar_for(struct vm *vm, const struct pre_dev *d, uint32_t i, bool give)
{
	if (d->size[i] == 0U) {
		return 0;
	}
	if ((d->first[i] & BAR_IO) != 0U) {
		vio_allow_pio(vm, (uint16_t)d->base[i], (uint32_t)d->size[i], give);
		return 0;
	}
	return give ? ept_map(&vm->ept, GPA(d->at[i]), HPA(d->base[i]), d->size[i],
			      EPT_READ | EPT_WRITE | EPT_MT_UC)
		    : ept_unmap(&vm->ept, GPA(d->base[i]), d->size[i]);
}

static int pre_pci_vm_init(struct vm *vm)
{
	int err = 0;

	if (vm->load_order == POST_LAUNCHED_VM) {
		return 0;
	}
	for (uint32_t n = 0U; n < dev_count; n++) {
		const struct pre_dev *d = &devs[n];
		bool give = d->owner == vm->config;

		if (give && !d->usable) {
			return -ENODEV;
		}
		for (uint32_t i = 0U; i < BARS && err == 0 && d->usable &&
				     (give || vm->load_order == SERVICE_VM); i++) {
			err = bar_for(vm, d, i, give);
		}
	}
	if (vm->config->has_pci) {
		vm->vpci->access = pre_access;
	}
	return err;
}

/* A tenth of a second; the device forgets all, and its BARs are as firmware left them. */
static void function_reset(const struct pre_dev *d)
{
	bdf_t bdf = d->config->bdf;

	pci_cfg_write(bdf, d->pcie + PCIE_CONTROL, 2,
		      pci_cfg_read(bdf, d->pcie + PCIE_CONTROL, 2) | CONTROL_FLR);
	udelay(FLR_US);
	for (uint32_t i = 0U; i < BARS; i++) {
		pci_cfg_write(bdf, REG_BAR0 + 4U * i, 4, d->first[i]);
	}
}

/* Nothing that its devices were doing goes on. */
static void quiesce(const struct vm *vm, uint32_t command)
{
	for (uint32_t n = 0U; n < dev_count; n++) {
		struct pre_dev *d = &devs[n];

		if (d->owner == vm->config && d->usable) {
			pci_cfg_write(d->config->bdf, REG_COMMAND, 2, 0U);
			if (d->pcie != 0U) {
				function_reset(d);
			}
			pci_cfg_write(d->config->bdf, REG_COMMAND, 2, command);
			d->probing = 0U;
		}
	}
}

static void pre_pci_vm_reset(struct vm *vm)
{
	quiesce(vm, 0U);
}

static void pre_pci_vm_deinit(struct vm *vm)
{
	quiesce(vm, COMMAND_INTX_OFF);
}

UNIT(pre_pci_boot) = {
	.name = "pre_pci_boot",
	.level = UNIT_CORE + 1U, /* what is RAM is told by the map, before VMs take theirs out of it */
	.boot = pre_pci_boot,
};
UNIT(pre_pci) = {
	.name = "pre_pci",
	.level = UNIT_PCI + 3U, /* instead of what vpci/func serves */
	.vm_init = pre_pci_vm_init,
	.vm_reset = pre_pci_vm_reset,
	.vm_deinit = pre_pci_vm_deinit,
};
