// SPDX-License-Identifier: BSD-3-Clause
/*
 * PCI functions that the hypervisor emulates (hv/vfunc.h): their making, their configuration space,
 * and BARs that follow the guest.  A BAR is decoded only where nothing of the VM is: a hole of a
 * User VM, addresses of the Service VM that are neither RAM nor emulated; elsewhere it is silent
 * and the rest goes on.  Accesses come on the vCPU's CPU.  The VM's vPCI lock covers registers and
 * decoding; the EPT is flushed after it is dropped.
 */
#include "lib/errno.h"
#include "lib/kconfig.h"
#include "asm/insn.h"
#include "asm/vmx.h"
#include "hv/ept.h"
#include "hv/gmem.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "vfunc_dev.h"

#define REG_ID	      0x00U
#define REG_COMMAND   0x04U /* status is its upper half */
#define REG_CLASS     0x08U
#define REG_BAR0      0x10U
#define REG_BAR_END   0x28U
#define REG_SUBSYSTEM 0x2CU
#define REG_CAPS      0x34U
#define REG_INTR      0x3CU

#define COMMAND_MEMORY BIT32(1)
#define COMMAND_BITS   0x0406U /* memory, bus master, INTx disable */
#define STATUS_CAPS    BIT32(20)
#define BAR_64	       BIT32(2)
#define BAR_PREFETCH   BIT32(3)
#define BAR_FLAGS      0xFU

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

static bool owns_machine(const struct vm *vm)
{
	return vm->load_order == SERVICE_VM;
}

/* --- BARs --- */

static void bar_add(struct vfunc *f, uint32_t bar, uint64_t size, hpa_t hpa, uint32_t flags)
{
	ASSERT(bar < VFUNC_BARS && size >= PAGE_SIZE && (size & (size - 1U)) == 0U);
	f->bar[bar].size = size;
	f->bar[bar].memory = hpa;
	f->cfg[REG_BAR0 / 4U + bar] = flags;
}

void vfunc_bar_trap(struct vfunc *f, uint32_t bar, uint64_t size)
{
	bar_add(f, bar, size, HPA(0), 0U);
}

void vfunc_bar_memory(struct vfunc *f, uint32_t bar, uint64_t size, hpa_t hpa)
{
	ASSERT(bar + 1U < VFUNC_BARS && hpa.v != 0U && (hpa.v & ~PAGE_MASK) == 0U);
	bar_add(f, bar, size, hpa, BAR_64 | BAR_PREFETCH);
}

void vfunc_bar_show(struct vfunc *f, uint32_t bar, uint64_t size, hpa_t hpa)
{
	vfunc_bar_memory(f, bar, size, hpa);
	f->bar[bar].read_only = true;
}

static bool bar_is_wide(const struct vfunc *f, uint32_t bar)
{
	return f->bar[bar].memory.v != 0U;
}

/*
 * Memory that is seen here only by an access the processor gave up on: another CPU mapped it just
 * now, or it is a write to what may only be read.
 */
static void memory_io(const struct vfunc_bar *bar, uint64_t offset, struct io_access *io)
{
	uint8_t *p = hpa_ptr(HPA(bar->memory.v + offset));

	if (offset + io->width > bar->size || (io->write && bar->read_only)) {
		return;
	}
	for (uint32_t i = 0U; i < io->width; i++) {
		if (io->write) {
			mmio_write8(&p[i], (uint8_t)(io->value >> (8U * i)));
		} else {
			io->value &= ~(0xFFUL << (8U * i));
			io->value |= (uint64_t)mmio_read8(&p[i]) << (8U * i);
		}
	}
}

static void bar_io(struct vcpu *vcpu, void *arg, struct io_access *io)
{
	const struct vfunc_bar *bar = arg;
	struct vfunc *f = bar->f;
	uint64_t offset = io->addr & (bar->size - 1U);

	vio_all_ones(vcpu, io);
	if (bar->memory.v != 0U) {
		memory_io(bar, offset, io);
	} else if (f->msix.count != 0U && bar->index == f->msix.bar) {
		vfunc_msix_access(f, offset, io);
	} else {
		f->type->access(f, bar->index, offset, io);
	}
}

/* Nothing is mapped there. */
static bool is_hole(struct vm *vm, gpa_t gpa, uint64_t size)
{
	uint64_t left;
	hpa_t hpa;

	for (uint64_t done = 0U; done < size; done += left) {
		if (ept_lookup(&vm->ept, GPA(gpa.v + done), &hpa, &left, NULL) == 0) {
			return false;
		}
	}
	return true;
}

static bool has_room(struct vm *vm, uint64_t at, uint64_t size)
{
	return owns_machine(vm) ? gmem_is_device(vm, GPA(at), size)
				: is_hole(vm, GPA(at), size);
}

/* The addresses are again what they were without the function. */
static void give_back(struct vm *vm, const struct vfunc_bar *bar, uint64_t at)
{
	int ret = 0;

	if (owns_machine(vm)) {
		ret = ept_map(&vm->ept, GPA(at), HPA(at), bar->size, EPT_RWX | EPT_MT_UC);
	} else if (bar->memory.v != 0U) {
		ret = ept_unmap(&vm->ept, GPA(at), bar->size);
	}
	if (ret != 0) {
		pr_err("%s: the addresses of a BAR at 0x%lx are lost", vm->name, at);
	}
}

static void bar_off(struct vm *vm, struct vfunc_bar *bar)
{
	vio_remove_mmio(vm, GPA(bar->at));
	give_back(vm, bar, bar->at);
	bar->decoded = false;
}

static void bar_on(struct vm *vm, struct vfunc_bar *bar, uint64_t at)
{
	int ret = 0;

	if (!has_room(vm, at, bar->size) ||
	    vio_add_mmio(vm, GPA(at), bar->size, bar_io, bar) != 0) {
		return;
	}
	if (bar->memory.v != 0U) {
		ret = ept_map(&vm->ept, GPA(at), bar->memory, bar->size,
			      EPT_READ | (bar->read_only ? 0U : EPT_WRITE) | EPT_MT_WB | EPT_IPAT);
	} else if (owns_machine(vm)) {
		ret = ept_unmap(&vm->ept, GPA(at), bar->size);
	}
	if (ret != 0) {
		vio_remove_mmio(vm, GPA(at));
		give_back(vm, bar, at);
		pr_warn("%s: no memory to decode a BAR at 0x%lx", vm->name, at);
		return;
	}
	bar->at = at;
	bar->decoded = true;
}

/* Where the registers say the BAR is; 0: nowhere. */
static uint64_t bar_address(const struct vfunc *f, uint32_t i)
{
	uint64_t at = f->cfg[REG_BAR0 / 4U + i] & ~BAR_FLAGS;

	if ((f->cfg[REG_COMMAND / 4U] & COMMAND_MEMORY) == 0U) {
		return 0U;
	}
	if (bar_is_wide(f, i)) {
		at |= (uint64_t)f->cfg[REG_BAR0 / 4U + i + 1U] << 32;
	}
	return at;
}

/* With the lock held. Those that leave go first: two BARs may change places. True: flush. */
static bool decode(struct vfunc *f)
{
	bool changed = false;

	for (uint32_t i = 0U; i < VFUNC_BARS; i++) {
		if (f->bar[i].decoded && f->bar[i].at != bar_address(f, i)) {
			bar_off(f->vm, &f->bar[i]);
			changed = true;
		}
	}
	for (uint32_t i = 0U; i < VFUNC_BARS; i++) {
		uint64_t at = bar_address(f, i);

		if (f->bar[i].size != 0U && !f->bar[i].decoded && at != 0U) {
			bar_on(f->vm, &f->bar[i], at);
			changed = true;
		}
	}
	return changed;
}

/* --- configuration space --- */

static void bar_write(struct vfunc *f, uint32_t reg, uint32_t val)
{
	uint32_t i = (reg - REG_BAR0) / 4U;

	if (f->bar[i].size != 0U) {
		f->cfg[reg / 4U] = (val & ~(uint32_t)(f->bar[i].size - 1U)) |
				   (f->cfg[reg / 4U] & BAR_FLAGS);
	} else if (i > 0U && f->bar[i - 1U].size != 0U && bar_is_wide(f, i - 1U)) {
		f->cfg[reg / 4U] = val & (uint32_t)~((f->bar[i - 1U].size - 1U) >> 32);
	} else {
		/* there is no such BAR: 0 stays */
	}
}

static bool cfg_write(struct vfunc *f, uint32_t reg, uint32_t val)
{
	uint32_t *cfg = &f->cfg[reg / 4U];

	if (reg == REG_COMMAND) {
		*cfg = (*cfg & ~COMMAND_BITS) | (val & COMMAND_BITS);
		return decode(f);
	}
	if (reg >= REG_BAR0 && reg < REG_BAR_END) {
		bar_write(f, reg, val);
		return decode(f);
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
	if (!owns_machine(f->vm)) {
		vio_remove_mmio(f->vm, ecam_page(f));
	}
}

/* --- life --- */

/* With the lock held, or before anybody knows the function. True: flush. */
static bool registers_reset(struct vfunc *f)
{
	bool flush;

	f->cfg[REG_COMMAND / 4U] &= ~COMMAND_BITS;
	flush = decode(f);
	for (uint32_t i = 0U; i < VFUNC_BARS; i++) {
		bar_write(f, REG_BAR0 + 4U * i, f->first_bar[i]);
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
	ret = owns_machine(vm) ? 0 : vio_add_mmio(vm, ecam_page(f), PAGE_SIZE, ecam_io, f);
	if (ret != 0) {
		goto out_put;
	}
	ret = type->init(f, args);
	if (ret != 0) {
		goto out_ecam;
	}
	if (f->msix.count != 0U) {
		f->cfg[REG_COMMAND / 4U] |= STATUS_CAPS;
		f->cfg[REG_CAPS / 4U] = VFUNC_CAP_MSIX;
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

	return device != 0U && device < 32U && (vm->vpci->vfunc_slots & BIT32(device)) == 0U &&
	       !machine_has(device);
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

static bool shares(const struct vm *vm, gpa_t gpa, hpa_t hpa, uint64_t size)
{
	for (uint32_t n = 0U; vm->vpci && n < vm->vpci->vfunc_count; n++) {
		for (uint32_t i = 0U; i < VFUNC_BARS; i++) {
			const struct vfunc_bar *b = &vm->vpci->vfunc[n]->bar[i];

			if (b->decoded && b->memory.v != 0U && gpa.v - b->at < b->size &&
			    size <= b->size - (gpa.v - b->at) &&
			    hpa.v - b->memory.v == gpa.v - b->at) {
				return true;
			}
		}
	}
	return false;
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
	pool_init(&vfunc_pool, "PCI functions", sizeof(struct vfunc), 8U, 2U * CONFIG_MAX_VM_NUM);
	vfunc_pool.held = function_count;
	vm_shows = shares;
	return 0;
}

static int vfunc_vm_init(struct vm *vm)
{
	vm->vpci->access = access;
	vm->vpci->emulated = cfg_access;
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
