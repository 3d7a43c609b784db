// SPDX-License-Identifier: BSD-3-Clause
/*
 * Port and MMIO accesses of guests: the I/O bitmap of each VM, the tables of claimed regions, and
 * the exits that lead here. Regions may come and go while vCPUs run (a BAR moves), so a table
 * carries a sequence count: a reader that saw it change looks again, and takes no lock; those who
 * change a table lock it. Never touches a device itself, except that ports the bitmap opens are the
 * machine's.
 */
#include "lib/errno.h"
#include "lib/kconfig.h"
#include "lib/string.h"
#include "asm/cpuregs.h"
#include "asm/vmx_insn.h"
#include "hv/ept.h"
#include "hv/inst.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "hv/vmexit.h"

#define IO_BITMAP_SIZE 8192U /* bitmap A, ports 0-0x7FFF, then B */
#define VIO_REGIONS    48U

struct vio_region {
	uint64_t base, size; /* not in use: size 0 */
	io_handler_t fn;
	void *arg;
};

/* Sorted by address, no overlaps. */
struct vio_table {
	spinlock_t lock;       /* of those who change it */
	volatile uint32_t seq; /* odd while it is being changed */
	uint32_t count;
	/* Last hit; any CPU writes it, a stale one only costs a search. Never NULL. */
	const struct vio_region *volatile hint;
	/*
	 * Ports that nobody claims, which the device model has: the first, the last << 16, and the
	 * count << 32 for which that holds.
	 */
	volatile uint64_t gap;
	struct vio_region r[VIO_REGIONS];
};

/* Who serves an address; fn is NULL where nobody claims it. */
struct vio_claim {
	io_handler_t fn;
	void *arg;
};

struct vio {
	uint8_t io_bitmap[IO_BITMAP_SIZE] __aligned(PAGE_SIZE); /* A and B are neighbours */
	struct vio_table pio, mmio;
};

/* Index of the region that holds addr, or of the first one above it. */
static uint32_t table_search(const struct vio_table *t, uint64_t addr)
{
	uint32_t lo = 0, hi = MIN(t->count, VIO_REGIONS);

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2U;

		if (addr < t->r[mid].base + t->r[mid].size) {
			hi = mid;
		} else {
			lo = mid + 1U;
		}
	}
	return lo;
}

static bool region_has(const struct vio_region *r, uint64_t addr)
{
	return addr - r->base < r->size;
}

/* What lies in front of region i, as far as 16 bits reach. */
static uint64_t gap_at(const struct vio_table *t, uint32_t i, uint32_t seq)
{
	uint64_t from = (i != 0U) ? t->r[i - 1U].base + t->r[i - 1U].size : 0U;
	uint64_t to = (i < MIN(t->count, VIO_REGIONS)) ? t->r[i].base : UINT64_MAX;

	if (from > UINT16_MAX) {
		return 1U; /* empty: the last is below the first */
	}
	return from | MIN(to - 1U, (uint64_t)UINT16_MAX) << 16 | (uint64_t)seq << 32;
}

static inline bool gap_has(uint64_t gap, uint32_t seq, uint64_t addr)
{
	return (uint32_t)(gap >> 32) == seq && addr >= (uint16_t)gap && addr <= (uint16_t)(gap >> 16);
}

/* The search, when the last region hit was another one or the table is being changed. */
static struct vio_claim table_find_slow(struct vio_table *t, uint64_t addr)
{
	struct vio_claim claim;
	uint64_t gap;
	uint32_t seq, i;

	do {
		seq = atomic_read32(&t->seq) & ~1U;
		i = table_search(t, addr);
		claim = (struct vio_claim){0};
		gap = gap_at(t, i, seq);
		if (i < VIO_REGIONS && region_has(&t->r[i], addr)) {
			claim = (struct vio_claim){.fn = t->r[i].fn, .arg = t->r[i].arg};
		}
	} while (atomic_read32(&t->seq) != seq);
	if (claim.fn) {
		t->hint = &t->r[i];
	} else {
		t->gap = gap;
	}
	return claim;
}

/* Any CPU. A count that is odd, or not the same afterwards, means that the copy may be torn. */
static inline struct vio_claim table_find(struct vio_table *t, uint64_t addr)
{
	uint32_t seq = atomic_read32(&t->seq) & ~1U;
	const struct vio_region *r = t->hint;
	struct vio_claim claim = {.fn = r->fn, .arg = r->arg};

	if (likely(region_has(r, addr) && atomic_read32(&t->seq) == seq)) {
		return claim;
	}
	if (gap_has(t->gap, seq, addr)) {
		return (struct vio_claim){0};
	}
	return table_find_slow(t, addr);
}

/* Readers on other CPUs see an odd count, or a different one, around any change. */
static void table_seq(struct vio_table *t)
{
	(void)atomic_add32(&t->seq, 1U);
}

static int table_add(struct vio_table *t, const struct vio_region *new)
{
	uint32_t i;
	int ret = 0;

	spin_lock(&t->lock);
	i = table_search(t, new->base);
	if (i < t->count && t->r[i].base < new->base + new->size) {
		ret = -EEXIST;
	} else if (t->count == VIO_REGIONS) {
		ret = -ENOSPC;
	} else {
		table_seq(t);
		(void)memmove(&t->r[i + 1U], &t->r[i], (t->count - i) * sizeof(t->r[0]));
		t->r[i] = *new;
		t->count++;
		table_seq(t);
	}
	spin_unlock(&t->lock);
	return ret;
}

static void table_remove(struct vio_table *t, uint64_t base)
{
	uint32_t i;

	spin_lock(&t->lock);
	i = table_search(t, base);
	if (i < t->count && t->r[i].base == base) {
		table_seq(t);
		t->count--;
		(void)memmove(&t->r[i], &t->r[i + 1U], (t->count - i) * sizeof(t->r[0]));
		/* the hint may still point here */
		(void)memset(&t->r[t->count], 0, sizeof(t->r[0]));
		table_seq(t);
	}
	spin_unlock(&t->lock);
}

int vio_add_pio(struct vm *vm, uint16_t base, uint16_t count, io_handler_t fn, void *arg)
{
	const struct vio_region r = {.base = base, .size = count, .fn = fn, .arg = arg};
	int ret;

	if (count == 0U || (uint32_t)base + count > 0x10000U) {
		return -EINVAL;
	}
	ret = table_add(&vm->vio->pio, &r);
	if (ret == 0) {
		vio_allow_pio(vm, base, count, false);
	}
	return ret;
}

int vio_add_mmio(struct vm *vm, gpa_t base, uint64_t size, io_handler_t fn, void *arg)
{
	const struct vio_region r = {.base = base.v, .size = size, .fn = fn, .arg = arg};

	if (base.v + size <= base.v) {
		return -EINVAL;
	}
	return table_add(&vm->vio->mmio, &r);
}

void vio_remove_mmio(struct vm *vm, gpa_t base)
{
	table_remove(&vm->vio->mmio, base.v);
}

void vio_allow_pio(struct vm *vm, uint16_t base, uint32_t count, bool allow)
{
	uint32_t end = MIN((uint32_t)base + count, 0x10000U);

	for (uint32_t port = base; port < end; port++) {
		uint8_t bit = (uint8_t)(1U << (port % 8U));

		if (allow) {
			vm->io_bitmap[port / 8U] &= (uint8_t)~bit;
		} else {
			vm->io_bitmap[port / 8U] |= bit;
		}
	}
}

void vio_service_defaults(struct vm *vm)
{
	const struct vio_table *t = &vm->vio->pio;

	(void)memset(vm->io_bitmap, 0, IO_BITMAP_SIZE);
	for (uint32_t i = 0; i < t->count; i++) {
		vio_allow_pio(vm, (uint16_t)t->r[i].base, (uint32_t)t->r[i].size, false);
	}
}

void vio_all_ones(struct vcpu *vcpu, struct io_access *io)
{
	(void)vcpu;
	if (!io->write) {
		io->value = UINT64_MAX;
	}
}

bool vio_is_mmio(struct vm *vm, gpa_t gpa)
{
	return table_find(&vm->vio->mmio, gpa.v).fn != NULL;
}

void vio_dispatch(struct vcpu *vcpu, struct io_access *io)
{
	struct vio *vio = vcpu->vm->vio;
	struct vio_claim claim = table_find(io->kind == IO_PIO ? &vio->pio : &vio->mmio, io->addr);

	if (likely(claim.fn)) {
		claim.fn(vcpu, claim.arg, io);
	} else {
		vcpu->vm->io_fallback(vcpu, io);
	}
}

/* IN and OUT (SDM 3C table 28-5). An IN of 1 or 2 bytes keeps the rest of RAX, of 4 clears it. */
static void io_exit(struct vcpu *vcpu)
{
	uint64_t qual = vmcs_read(VMCS_EXIT_QUALIFICATION), mask, keep;
	struct vio_claim claim;
	struct io_access io;

	io.kind = IO_PIO;
	io.write = (qual & BIT(3)) == 0U;
	io.width = (uint8_t)((qual & 7U) + 1U);
	io.addr = (qual >> 16) & 0xFFFFU;
	if (unlikely((qual & BIT(4)) != 0U)) {
		vio_string(vcpu, &io, qual);
		return;
	}
	io.value = vcpu->gpr[GPR_RAX] & (BIT(io.width * 8U) - 1U);
	claim = table_find(&vcpu->vm->vio->pio, io.addr);
	if (likely(claim.fn)) {
		claim.fn(vcpu, claim.arg, &io);
	} else {
		vcpu->vm->io_fallback(vcpu, &io);
	}
	if (!io.write) {
		mask = BIT(io.width * 8U) - 1U;
		keep = io.width == 4U ? 0U : vcpu->gpr[GPR_RAX] & ~mask;
		vcpu->gpr[GPR_RAX] = keep | (io.value & mask);
	}
	vcpu_skip(vcpu);
}

/* Another CPU has mapped the page meanwhile: the rights the access needs are there now. */
static bool mapped_now(struct vcpu *vcpu, gpa_t gpa, uint64_t qual)
{
	uint64_t need = qual & (EPTV_READ | EPTV_WRITE | EPTV_FETCH); /* same bits as EPT_RWX */
	uint64_t attr;
	hpa_t hpa;

	return ept_lookup(&vcpu->vm->ept, gpa, &hpa, NULL, &attr) == 0 && (attr & need) == need;
}

/* The access was not to an operand but to the guest's own page tables: they are not in memory. */
static void walk_violation(struct vcpu *vcpu)
{
	uint32_t user = ((vmcs_read32(VMCS_GUEST_SS_AR) >> 5) & 3U) == 3U ? PFEC_U : 0U;

	/* A table of all-ones, which an absent device reads as, has its reserved bits set. */
	vcpu_inject_pf(vcpu, GVA(vmcs_read(VMCS_GUEST_LINEAR)), PFEC_P | PFEC_RSVD | user);
}

static void ept_violation_exit(struct vcpu *vcpu)
{
	uint64_t qual = vmcs_read(VMCS_EXIT_QUALIFICATION);
	gpa_t gpa = GPA(vmcs_read(VMCS_GUEST_PHYS_ADDR));

	/* An IRET had ended the blocking of NMIs before it faulted; it will run again. */
	if (unlikely((qual & EPTV_NMI_UNBLOCK) != 0U) &&
	    (vmcs_read32(VMCS_IDT_VECTORING_INFO) & INTR_INFO_VALID) == 0U) {
		vmcs_write(VMCS_GUEST_INTERRUPTIBILITY,
			   vmcs_read(VMCS_GUEST_INTERRUPTIBILITY) | BLOCK_BY_NMI);
	}

	if (!vio_is_mmio(vcpu->vm, gpa) && mapped_now(vcpu, gpa, qual)) {
		return;
	}
	if (unlikely((qual & EPTV_FETCH) != 0U)) {
		pr_warn("VM%u vCPU%u: fetches code from %lx, where no memory is", vcpu->vm->id,
			vcpu->id, gpa.v);
		vcpu_inject_gp(vcpu);
	} else if (unlikely((qual & (EPTV_LINEAR | EPTV_FINAL)) == EPTV_LINEAR)) {
		walk_violation(vcpu);
	} else if (unlikely((vcpu->requests & REQ_REINJECT) != 0U)) {
		/* Not the instruction at RIP: an IDT, a TSS or a stack where no memory is. */
		pr_warn("VM%u vCPU%u: an event needs memory at %lx, where none is", vcpu->vm->id,
			vcpu->id, gpa.v);
		vcpu->vm->on_triple_fault(vcpu);
	} else {
		inst_emulate(vcpu, gpa, (qual & EPTV_WRITE) != 0U);
	}
}

static void ept_misconfig_exit(struct vcpu *vcpu)
{
	gpa_t gpa = GPA(vmcs_read(VMCS_GUEST_PHYS_ADDR));
	uint64_t attr = 0;
	hpa_t hpa = HPA(0);
	int ret = ept_lookup(&vcpu->vm->ept, gpa, &hpa, NULL, &attr);

	panic("VM%u: EPT misconfigured at %lx: lookup %d, to %lx, attributes %lx", vcpu->vm->id,
	      gpa.v, ret, hpa.v, attr);
}

static int vio_vm_init(struct vm *vm)
{
	vm->io_bitmap = vm->vio->io_bitmap;
	(void)memset(vm->io_bitmap, 0xFF, IO_BITMAP_SIZE);
	vm->vio->pio.hint = vm->vio->pio.r;
	vm->vio->mmio.hint = vm->vio->mmio.r;
	vm->vio->pio.gap = 1U;
	vm->vio->mmio.gap = 1U;
	if (!vm->io_fallback) {
		vm->io_fallback = vio_all_ones;
	}
	return 0;
}

UNIT(vio) = {
	.name = "vio",
	.level = UNIT_CORE,
	.vm_state = VM_STATE("I/O regions", struct vio, vio),
	.vm_init = vio_vm_init,
};
VMEXIT(EXIT_IO, io_exit);
VMEXIT(EXIT_EPT_VIOLATION, ept_violation_exit);
VMEXIT(EXIT_EPT_MISCONFIG, ept_misconfig_exit);
