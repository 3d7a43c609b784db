// SPDX-License-Identifier: BSD-3-Clause
/*
 * BARs of the emulated functions, which follow the guest.  A BAR is decoded only where nothing of
 * the VM is: addresses of the Service VM that are neither RAM nor emulated, a hole of any other;
 * elsewhere it is silent and the rest goes on.  A pre-launched VM has no firmware: it finds its BARs placed.
 * Called by vfunc.c with the VM's vPCI lock held; accesses come on the vCPU's CPU, without it.
 */
#include "asm/insn.h"
#include "asm/vmx.h"
#include "hv/ept.h"
#include "hv/gmem.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "vfunc_dev.h"

#define COMMAND_MEMORY BIT32(1)
#define BAR_64	       BIT32(2)
#define BAR_PREFETCH   BIT32(3)
#define BAR_FLAGS      0xFU

static void bar_add(struct vfunc *f, uint32_t bar, uint64_t size, hpa_t hpa, uint32_t flags)
{
	ASSERT(bar < VFUNC_BARS && size >= PAGE_SIZE && (size & (size - 1U)) == 0U);
	f->bar[bar].size = size;
	f->bar[bar].memory = hpa;
	f->cfg[VFUNC_BAR0 / 4U + bar] = flags;
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

/* Linux takes the registers of a device that it does not see for free addresses. */
static bool is_given(uint64_t at)
{
	return pci_given_page != NULL && pci_given_page(HPA(at));
}

static uint64_t run_of(uint64_t at, uint64_t size, bool given)
{
	uint64_t len = 0U;

	while (len < size && is_given(at + len) == given) {
		len += PAGE_SIZE;
	}
	return len;
}

static bool has_room(struct vm *vm, uint64_t at, uint64_t size)
{
	bool room = true;

	if (!vfunc_owns_machine(vm)) {
		return is_hole(vm, GPA(at), size);
	}
	for (uint64_t done = 0U, len; done < size && room; done += len) {
		bool given = is_given(at + done);

		len = run_of(at + done, size - done, given);
		room = given ? is_hole(vm, GPA(at + done), len)
			     : gmem_is_device(vm, GPA(at + done), len);
	}
	return room;
}

static int identity(struct vm *vm, uint64_t at, uint64_t size)
{
	int ret = 0;

	for (uint64_t done = 0U, len; done < size && ret == 0; done += len) {
		bool given = is_given(at + done);

		len = run_of(at + done, size - done, given);
		ret = given ? ept_unmap(&vm->ept, GPA(at + done), len)
			    : ept_map(&vm->ept, GPA(at + done), HPA(at + done), len,
				      EPT_RWX | EPT_MT_UC);
	}
	return ret;
}

/* The addresses are again what they were without the function. */
static void give_back(struct vm *vm, const struct vfunc_bar *bar, uint64_t at)
{
	int ret = 0;

	if (vfunc_owns_machine(vm)) {
		ret = identity(vm, at, bar->size);
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
	} else if (vfunc_owns_machine(vm)) {
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
	uint64_t at = f->cfg[VFUNC_BAR0 / 4U + i] & ~BAR_FLAGS;

	if ((f->cfg[VFUNC_COMMAND / 4U] & COMMAND_MEMORY) == 0U) {
		return 0U;
	}
	if (bar_is_wide(f, i)) {
		at |= (uint64_t)f->cfg[VFUNC_BAR0 / 4U + i + 1U] << 32;
	}
	return at;
}

/* Those that leave go first: two BARs may change places. */
bool vfunc_bar_decode(struct vfunc *f)
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

void vfunc_bar_write(struct vfunc *f, uint32_t reg, uint32_t val)
{
	uint32_t i = (reg - VFUNC_BAR0) / 4U;

	if (f->bar[i].size != 0U) {
		f->cfg[reg / 4U] = (val & ~(uint32_t)(f->bar[i].size - 1U)) |
				   (f->cfg[reg / 4U] & BAR_FLAGS);
	} else if (i > 0U && f->bar[i - 1U].size != 0U && bar_is_wide(f, i - 1U)) {
		f->cfg[reg / 4U] = val & (uint32_t)~((f->bar[i - 1U].size - 1U) >> 32);
	} else {
		/* there is no such BAR: 0 stays */
	}
}

/* From the top of the window down, each below the last; the machine's devices have the bottom. */
void vfunc_bar_place(struct vfunc *f)
{
	uint64_t *top = &f->vm->vpci->bar_top;

	for (uint32_t i = 0U; i < VFUNC_BARS; i++) {
		uint64_t size = f->bar[i].size;

		if (size != 0U && size <= *top - VPCI_WINDOW) {
			*top = ALIGN_DOWN(*top - size, size);
			f->first_bar[i] = (uint32_t)*top;
		}
	}
}

bool vfunc_bar_shares(const struct vm *vm, gpa_t gpa, hpa_t hpa, uint64_t size)
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
