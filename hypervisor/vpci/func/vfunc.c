// SPDX-License-Identifier: BSD-3-Clause
/*
 * PCI functions that the hypervisor emulates (hv/vfunc.h): their making and their configuration
 * space; their BARs are vfunc_bar.c's.  Accesses come on the vCPU's CPU.  The VM's vPCI lock covers
 * registers and decoding; the EPT is flushed after it is dropped.
 */
#include "lib/errno.h"
#include "lib/kconfig.h"
#include "hv/ept.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "vfunc_dev.h"

#define REG_ID	      0x00U
#define REG_CLASS     0x08U
#define REG_BAR_END   0x28U
#define REG_SUBSYSTEM 0x2CU
#define REG_CAPS      0x34U
#define REG_INTR      0x3CU

#define COMMAND_BITS   0x0406U /* memory, bus master, INTx disable */
#define STATUS_CAPS    BIT32(20)

#define USER_ECAM_BASE 0xE0000000UL /* VM_ECAM_BASE of devicemodel/include/vm.h */

extern const struct vfunc_type __start_hv_vfuncs[]
	__attribute__((weak, visibility("hidden")));
extern const struct vfunc_type __stop_hv_vfuncs[] __attribute__((weak, visibility("hidden")));

static struct pool vfunc_pool;

const struct vfunc_type *vfunc_type_find(uint16_t vendor, uint16_t device)
{
	for (const struct vfunc_type *t = __start_hv_vfuncs; t < __stop_hv_vfuncs; t++) {
		if (t->vendor == vendor && t->device == device) {
			return t;
		}
	}
	return NULL;
}

struct vm *vfunc_vm(const struct vfunc *f)
{
	return f->vm;
}

void *vfunc_priv(const struct vfunc *f)
{
	return f->priv;
}

void vfunc_set_priv(struct vfunc *f, void *priv)
{
	f->priv = priv;
}

/* Where acrn-dm has memory-mapped configuration space. */
static bool has_ecam(const struct vm *vm)
{
	return vm->load_order == POST_LAUNCHED_VM;
}

/* --- configuration space --- */

static bool cfg_write(struct vfunc *f, uint32_t reg, uint32_t val)
{
	uint32_t *cfg = &f->cfg[reg / 4U];

	if (reg == VFUNC_COMMAND) {
		*cfg = (*cfg & ~COMMAND_BITS) | (val & COMMAND_BITS);
		return vfunc_bar_decode(f);
	}
	if (reg >= VFUNC_BAR0 && reg < REG_BAR_END) {
		vfunc_bar_write(f, reg, val);
		return vfunc_bar_decode(f);
	}
	if (reg == REG_INTR) {
		*cfg = val & 0xFFU;
	} else if (reg == VFUNC_CAP_MSIX && f->msix.count != 0U) {
		*cfg = (*cfg & ~(VFUNC_MSIX_ENABLE | VFUNC_MSIX_MASK)) |
		       (val & (VFUNC_MSIX_ENABLE | VFUNC_MSIX_MASK));
		vfunc_msix_changed(f);
	} else {
		/* all else is read-only */
	}
	return false;
}

static struct vfunc *find(const struct vpci *vpci, bdf_t bdf)
{
	for (uint32_t i = 0U; i < vpci->vfunc_count; i++) {
		if (vpci->vfunc[i]->bdf == bdf) {
			return vpci->vfunc[i];
		}
	}
	return NULL;
}

static bool cfg_access(struct vm *vm, bdf_t bdf, uint32_t reg, struct io_access *io)
{
	struct vpci *vpci = vm->vpci;
	struct vfunc *f;
	bool flush = false;

	if (likely((bdf >> 8) != 0U || (vpci->vfunc_slots & BIT32(bdf >> 3)) == 0U)) {
		return false;
	}
	spin_lock(&vpci->lock);
	f = find(vpci, bdf);
	if (f && reg >= sizeof(f->cfg)) {
		io->value = io->write ? io->value : UINT64_MAX; /* it has no extended space */
	} else if (f && io->write) {
		uint32_t val = vpci_merge(f->cfg[reg / 4U], reg, io->width, (uint32_t)io->value);

		flush = cfg_write(f, reg & ~3U, val);
	} else if (f) {
		io->value = f->cfg[reg / 4U] >> ((reg & 3U) * 8U);
	} else {
		/* another function of this device */
	}
	spin_unlock(&vpci->lock);
	if (flush) {
		ept_flush(&vm->ept);
	}
	return f != NULL;
}

/* The function's page of the ECAM window that acrn-dm gives a User VM. */
static void ecam_io(struct vcpu *vcpu, void *arg, struct io_access *io)
{
	const struct vfunc *f = arg;
	uint32_t reg = (uint32_t)io->addr & 0xFFFU;

	vio_all_ones(vcpu, io);
	if ((reg & 3U) + io->width <= 4U) {
		(void)cfg_access(f->vm, f->bdf, reg, io);
	}
}

static gpa_t ecam_page(const struct vfunc *f)
{
	return GPA(USER_ECAM_BASE + ((uint64_t)f->bdf << 12));
}

static void ecam_remove(const struct vfunc *f)
{
	if (has_ecam(f->vm)) {
		vio_remove_mmio(f->vm, ecam_page(f));
	}
}

/* --- life --- */

/* With the lock held, or before anybody knows the function. True: flush. */
static bool registers_reset(struct vfunc *f)
{
	bool flush;

	f->cfg[VFUNC_COMMAND / 4U] &= ~COMMAND_BITS;
	flush = vfunc_bar_decode(f);
	for (uint32_t i = 0U; i < VFUNC_BARS; i++) {
		vfunc_bar_write(f, VFUNC_BAR0 + 4U * i, f->first_bar[i]);
	}
	f->cfg[REG_INTR / 4U] = 0U;
	f->cfg[VFUNC_CAP_MSIX / 4U] &= ~(VFUNC_MSIX_ENABLE | VFUNC_MSIX_MASK);
	f->msix.pending = 0U;
	for (uint32_t i = 0U; i < f->msix.count; i++) {
		f->msix.entry[i] = (struct vmsix_entry){.ctrl = 1U};
	}
	return flush;
}

int vfunc_create(struct vm *vm, const struct vfunc_type *type, bdf_t bdf,
		 const struct vfunc_args *args)
{
	struct vpci *vpci = vm->vpci;
	struct vfunc *f;
	int ret;

	if ((bdf >> 8) != 0U || (bdf >> 3) == 0U) {
		return -EINVAL;
	}
	if (find(vpci, bdf)) {
		return -EEXIST;
	}
	f = vpci->vfunc_count < VFUNC_PER_VM ? pool_get(&vfunc_pool) : NULL;
	if (!f) {
		return -ENOSPC;
	}
	f->type = type;
	f->vm = vm;
	f->bdf = bdf;
	f->cfg[REG_ID / 4U] = (uint32_t)type->device << 16 | type->vendor;
	f->cfg[REG_CLASS / 4U] = type->class_rev;
	f->cfg[REG_SUBSYSTEM / 4U] = (uint32_t)type->sub_device << 16 | type->sub_vendor;
	for (uint8_t i = 0U; i < VFUNC_BARS; i++) {
		f->bar[i].index = i;
		f->bar[i].f = f;
		f->first_bar[i] = args ? args->bar[i] : 0U;
	}
	ret = has_ecam(vm) ? vio_add_mmio(vm, ecam_page(f), PAGE_SIZE, ecam_io, f) : 0;
	if (ret != 0) {
		goto out_put;
	}
	ret = type->init(f, args);
	if (ret != 0) {
		goto out_ecam;
	}
	if (f->msix.count != 0U) {
		f->cfg[VFUNC_COMMAND / 4U] |= STATUS_CAPS;
		f->cfg[REG_CAPS / 4U] = VFUNC_CAP_MSIX;
	}
	if (vm->load_order == PRE_LAUNCHED_VM) {
		vfunc_bar_place(f);
	}
	(void)registers_reset(f);
	spin_lock(&vpci->lock);
	vpci->vfunc[vpci->vfunc_count] = f;
	vpci->vfunc_count++;
	vpci->vfunc_slots |= BIT32(bdf >> 3);
	spin_unlock(&vpci->lock);
	pr_info("%s: %s at 00:%02x.%x", vm->name, type->name, bdf >> 3, bdf & 7U);
	return 0;
out_ecam:
	ecam_remove(f);
out_put:
	pool_put(&vfunc_pool, f);
	return ret;
}

/* All vCPUs are stopped. True: flush. */
static bool destroy(struct vpci *vpci, uint32_t i)
{
	struct vfunc *f = vpci->vfunc[i];
	bool flush;

	if (f->type->deinit) {
		f->type->deinit(f);
	}
	spin_lock(&vpci->lock);
	flush = registers_reset(f);
	vpci->vfunc_count--;
	vpci->vfunc[i] = vpci->vfunc[vpci->vfunc_count];
	vpci->vfunc_slots = 0U;
	for (i = 0U; i < vpci->vfunc_count; i++) {
		vpci->vfunc_slots |= BIT32(vpci->vfunc[i]->bdf >> 3);
	}
	spin_unlock(&vpci->lock);
	ecam_remove(f);
	pool_put(&vfunc_pool, f);
	return flush;
}

int vfunc_destroy(struct vm *vm, const struct vfunc_type *type, bdf_t bdf)
{
	for (uint32_t i = 0U; i < vm->vpci->vfunc_count; i++) {
		if (vm->vpci->vfunc[i]->bdf == bdf && vm->vpci->vfunc[i]->type == type) {
			if (destroy(vm->vpci, i)) {
				ept_flush(&vm->ept);
			}
			return 0;
		}
	}
	return -ENODEV;
}

static void vfunc_vm_reset(struct vm *vm)
{
	struct vpci *vpci = vm->vpci;
	bool flush = false;

	for (uint32_t i = 0U; i < vpci->vfunc_count; i++) {
		struct vfunc *f = vpci->vfunc[i];

		if (f->type->reset) {
			f->type->reset(f);
		}
		spin_lock(&vpci->lock);
		flush = registers_reset(f) || flush;
		spin_unlock(&vpci->lock);
	}
	if (flush) {
		ept_flush(&vm->ept);
	}
}

/* Nothing to flush: no CPU enters this VM again. */
static void vfunc_vm_deinit(struct vm *vm)
{
	while (vm->vpci->vfunc_count != 0U) {
		(void)destroy(vm->vpci, vm->vpci->vfunc_count - 1U);
	}
}

static bool machine_has(uint32_t device)
{
	for (uint32_t fn = 0U; fn < 8U; fn++) {
		if ((pci_cfg_read((bdf_t)(device << 3 | fn), REG_ID, 4) & 0xFFFFU) != 0xFFFFU) {
			return true;
		}
	}
	return false;
}

static bool slot_is_free(const struct vm *vm, bdf_t bdf)
{
	uint32_t device = bdf >> 3;

	return device != 0U && device < 32U && (bdf & 7U) == 0U &&
	       (vm->vpci->vfunc_slots & BIT32(device)) == 0U &&
	       (vfunc_owns_machine(vm) ? !machine_has(device) : device > vm->config->pci_count);
}

int32_t vfunc_free_slot(const struct vm *vm)
{
	for (uint32_t device = 31U; device > 0U; device--) {
		if (slot_is_free(vm, (bdf_t)(device << 3))) {
			return (int32_t)(device << 3);
		}
	}
	return -ENOSPC;
}

void vfunc_create_at(struct vm *vm, const struct vfunc_type *type, bdf_t bdf,
		     const struct vfunc_args *args)
{
	int32_t at = slot_is_free(vm, bdf) ? (int32_t)bdf : vfunc_free_slot(vm);
	int ret = at < 0 ? at : vfunc_create(vm, type, (bdf_t)at, args);

	if (ret != 0) {
		pr_err("%s: no %s %.32s at 00:%02x.0, error %d", vm->name, type->name,
		       args ? args->text : "", bdf >> 3, ret);
	}
}

static uint32_t function_count(const struct vm *vm)
{
	return vm->vpci ? vm->vpci->vfunc_count : 0U;
}

/* Of a VM whose other functions are the device model's, or nobody's. */
static void access(struct vcpu *vcpu, struct io_access *io)
{
	if (!cfg_access(vcpu->vm, (bdf_t)(io->addr >> 8), (uint32_t)io->addr & 0xFFU, io)) {
		vcpu->vm->io_fallback(vcpu, io);
	}
}

static int vfunc_boot(void)
{
	pool_init(&vfunc_pool, "PCI functions", sizeof(struct vfunc), 8U,
		  2U * CONFIG_MAX_VM_NUM + VFUNC_PER_VM);
	vfunc_pool.held = function_count;
	vm_shows = vfunc_bar_shares;
	return 0;
}

static int vfunc_vm_init(struct vm *vm)
{
	vm->vpci->access = access;
	vm->vpci->emulated = cfg_access;
	vm->vpci->bar_top = VPCI_WINDOW_END;
	return 0;
}

UNIT(vfunc) = {
	.name = "vfunc",
	.level = UNIT_PCI + 1U,
	.boot = vfunc_boot,
	.vm_init = vfunc_vm_init,
	.vm_reset = vfunc_vm_reset,
	.vm_deinit = vfunc_vm_deinit,
};
