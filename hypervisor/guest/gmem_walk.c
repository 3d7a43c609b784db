// SPDX-License-Identifier: BSD-3-Clause
/*
 * Translates a guest's linear addresses through its own page tables as the processor would
 * (SDM 3A 4.3-4.7): no paging, 32-bit, PAE, 4-level; rights, reserved bits, accessed and dirty
 * bits.  Each entry is read once and judged by that copy.  Protection keys are not looked at: the
 * instruction that brought us here has passed them for its own operand.  Own CPU, VMCS loaded.
 */
#include "lib/errno.h"
#include "asm/cpuregs.h"
#include "lib/atomic.h"
#include "hv/gmem.h"
#include "hv/mm.h"
#include "hv/vcpu.h"
#include "hv/vcpuid.h"
#include "hv/vcr.h"
#include "hv/vm.h"
#include "hv/vmcs.h"

#define PTE_P  BIT(0)
#define PTE_W  BIT(1)
#define PTE_U  BIT(2)
#define PTE_A  BIT(5)
#define PTE_D  BIT(6)
#define PTE_PS BIT(7)
#define PTE_NX BIT(63)

#define PTE_ADDR      0x000FFFFFFFFFF000UL
#define PSE_RESERVED  BIT(21)
#define WALK_RETRIES  16U /* another vCPU of the guest keeps changing the entry under us */

/* What the walk depends on; read from the VMCS once. */
struct walk {
	struct vcpu *vcpu;
	uint64_t cr0, cr4, efer;
	uint64_t high_reserved; /* address bits the guest's processor does not have */
	uint32_t levels;	/* 2: 32-bit entries; 3: PAE; 4 */
	uint32_t access;
	bool user;
	uint64_t rights; /* W and U: set in all entries; NX: set in one */
	gpa_t entry[GMEM_LEVELS];
	struct gmem_trail trail;
};

static bool wide(const struct walk *w)
{
	return w->levels > 2U;
}

static uint32_t index_bits(const struct walk *w)
{
	return wide(w) ? 9U : 10U;
}

static int fault_pf(const struct walk *w, gva_t gva, uint32_t error, struct gmem_fault *fault)
{
	bool nx_known = ((w->efer & EFER_NXE) != 0U && wide(w)) || (w->cr4 & CR4_SMEP) != 0U;

	if ((w->access & GMEM_WRITE) != 0U) {
		error |= PFEC_W;
	}
	if (w->user) {
		error |= PFEC_U;
	}
	if ((w->access & GMEM_FETCH) != 0U && nx_known) {
		error |= PFEC_I;
	}
	fault->vector = EXC_PF;
	fault->error = error;
	fault->addr = gva;
	return -EFAULT;
}

/* Bits that must be 0 in this entry; `level` 1 is the page table, `leaf` a page of that level. */
static uint64_t reserved_bits(const struct walk *w, uint32_t level, bool leaf)
{
	uint64_t r = w->high_reserved;

	if (!wide(w)) {
		return leaf && level == 2U ? PSE_RESERVED : 0U;
	}
	if ((w->efer & EFER_NXE) == 0U) {
		r |= PTE_NX;
	}
	if (w->levels == 3U) {
		r |= 0x7FF0000000000000UL; /* ignored in 4-level paging, bits 62:52 */
	}
	if (level == 4U) {
		r |= PTE_PS;
	}
	if (leaf && level == 2U) {
		r |= 0x1FE000UL;
	}
	if (leaf && level == 3U) {
		r |= 0x3FFFE000UL;
	}
	return r;
}

/* A large page: PS, where the mode has it. 1 GB pages only where CPUID shows them. */
static bool is_leaf(const struct walk *w, uint32_t level, uint64_t e)
{
	if (level == 1U) {
		return true;
	}
	if ((e & PTE_PS) == 0U || level == 4U) {
		return false;
	}
	return wide(w) || (w->cr4 & CR4_PSE) != 0U;
}

/* One load of an entry, whose place is noted in the trail. */
static int read_entry(struct walk *w, gpa_t at, uint64_t *e)
{
	struct gmem_trail *t = &w->trail;
	uint64_t len = 8;
	hpa_t *hpa = &t->at[t->used];

	w->entry[t->used] = at;
	if (gmem_hpa(w->vcpu->vm, at, &len, EPT_READ, hpa) != 0) {
		return -EFAULT;
	}
	*e = wide(w) ? atomic_read64(hpa_ptr(*hpa)) : atomic_read32(hpa_ptr(*hpa));
	t->val[t->used] = *e;
	return 0;
}

static bool has_1g_pages(const struct vcpu *vcpu)
{
	return (vcpuid_leaf(vcpu->vm->vcpuid, 0x80000001U)[3] & BIT32(26)) != 0U;
}

/* Where the walk begins: the table's address and its level. PAE's first level is in the VMCS. */
static int walk_start(const struct walk *w, gva_t gva, gpa_t *table, uint32_t *level)
{
	uint64_t pdpte;

	*level = w->levels;
	if (w->levels == 3U) {
		pdpte = vmcs_read(VMCS_GUEST_PDPTE0 + 2U * (uint32_t)((gva.v >> 30) & 3U));
		if ((pdpte & PTE_P) == 0U) {
			return -ENOENT;
		}
		*table = GPA(pdpte & PTE_ADDR);
		*level = 2;
		return 0;
	}
	*table = GPA(vmcs_read(VMCS_GUEST_CR3) & (wide(w) ? PTE_ADDR : 0xFFFFF000UL));
	return 0;
}

/* Follow the tables to the page: 0, or -EFAULT with *fault. */
static int walk_tables(struct walk *w, gva_t gva, gpa_t *gpa, struct gmem_fault *fault)
{
	uint32_t level, shift, bits = index_bits(w);
	gpa_t table;

	w->trail.used = 0;
	w->rights = PTE_W | PTE_U;
	if (walk_start(w, gva, &table, &level) != 0) {
		return fault_pf(w, gva, 0, fault);
	}
	for (;; level--) {
		uint64_t e, index;
		bool leaf;

		shift = PAGE_SHIFT + (level - 1U) * bits;
		index = (gva.v >> shift) & (BIT(bits) - 1U);
		/* A table where no memory is reads all-ones, as an absent device would. */
		if (read_entry(w, GPA(table.v + index * (wide(w) ? 8U : 4U)), &e) != 0) {
			return fault_pf(w, gva, PFEC_P | PFEC_RSVD, fault);
		}
		if ((e & PTE_P) == 0U) {
			return fault_pf(w, gva, 0, fault);
		}
		leaf = is_leaf(w, level, e);
		if ((e & reserved_bits(w, level, leaf)) != 0U ||
		    (leaf && level == 3U && !has_1g_pages(w->vcpu))) {
			return fault_pf(w, gva, PFEC_P | PFEC_RSVD, fault);
		}
		w->trail.used++;
		w->rights = (w->rights & e & (PTE_W | PTE_U)) | ((w->rights | e) & PTE_NX);
		if (leaf) {
			uint64_t base = e & PTE_ADDR;

			if (!wide(w) &&
			    level == 2U) { /* PSE-36: bits 39:32 of the address in 20:13 */
				base = (e & 0xFFC00000UL) | ((e >> 13) & 0xFFUL) << 32;
			}
			*gpa = GPA((base & ~(BIT(shift) - 1U)) | (gva.v & (BIT(shift) - 1U)));
			return 0;
		}
		table = GPA(e & PTE_ADDR);
	}
}

/* SDM 3A 4.6.1 */
static bool allowed(const struct walk *w)
{
	bool write = (w->access & GMEM_WRITE) != 0U, fetch = (w->access & GMEM_FETCH) != 0U;
	bool user_page = (w->rights & PTE_U) != 0U;

	if (fetch && (w->rights & PTE_NX) != 0U && wide(w)) {
		return false;
	}
	if (w->user) {
		return user_page && (!write || (w->rights & PTE_W) != 0U);
	}
	if (user_page && fetch && (w->cr4 & CR4_SMEP) != 0U) {
		return false;
	}
	if (user_page && !fetch && (w->cr4 & CR4_SMAP) != 0U &&
	    ((w->access & GMEM_SYSTEM) != 0U || (vmcs_read(VMCS_GUEST_RFLAGS) & RFLAGS_AC) == 0U)) {
		return false;
	}
	return !write || (w->rights & PTE_W) != 0U || (w->cr0 & CR0_WP) == 0U;
}

/* The entry, if it is still `old`, becomes `new`. Tables the guest may not write keep their bits. */
static int update_entry(const struct walk *w, hpa_t at, uint64_t old, uint64_t new)
{
	bool done;

	if (!wide(w)) {
		done = atomic_cmpxchg32(hpa_ptr(at), (uint32_t)old, (uint32_t)new);
	} else {
		done = __atomic_compare_exchange_n((uint64_t *)hpa_ptr(at), &old, new, false,
						   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	}
	return done ? 0 : -EAGAIN;
}

/* Set accessed, and dirty in the page's entry for a write. -EAGAIN: an entry has changed. */
static int mark_used(struct walk *w)
{
	struct gmem_trail *t = &w->trail;

	for (uint32_t i = 0; i < t->used; i++) {
		uint64_t want = t->val[i] | PTE_A, len = 8;
		hpa_t hpa;

		if (i + 1U == t->used && (w->access & GMEM_WRITE) != 0U) {
			want |= PTE_D;
		}
		if (likely(want == t->val[i]) ||
		    gmem_hpa(w->vcpu->vm, w->entry[i], &len, EPT_WRITE, &hpa) != 0) {
			continue;
		}
		if (update_entry(w, hpa, t->val[i], want) != 0) {
			return -EAGAIN;
		}
		t->val[i] = want;
	}
	return 0;
}

static bool canonical48(uint64_t addr)
{
	return (uint64_t)(((int64_t)(addr << 16)) >> 16) == addr;
}

static void walk_init(struct walk *w, struct vcpu *vcpu, uint32_t access)
{
	uint32_t width = vcpuid_leaf(vcpu->vm->vcpuid, 0x80000008U)[0] & 0xFFU;

	w->vcpu = vcpu;
	w->access = access;
	w->cr0 = vmcs_read(VMCS_GUEST_CR0); /* the bits looked at are the guest's own */
	w->cr4 = vmcs_read(VMCS_GUEST_CR4);
	w->efer = vcr_efer();
	w->levels = (w->efer & EFER_LMA) != 0U ? 4U : (w->cr4 & CR4_PAE) != 0U ? 3U : 2U;
	w->user = (access & GMEM_SYSTEM) == 0U &&
		  ((vmcs_read32(VMCS_GUEST_SS_AR) >> 5) & 3U) == 3U;
	w->high_reserved = ~(BIT(width) - 1U) & PTE_ADDR;
}

static int walk_run(struct walk *w, gva_t gva, gpa_t *gpa, struct gmem_fault *fault)
{
	if ((w->cr0 & CR0_PG) == 0U) {
		*gpa = GPA(gva.v & UINT32_MAX);
		return 0;
	}
	if (w->levels != 4U) {
		gva.v &= UINT32_MAX;
	} else if (!canonical48(gva.v)) {
		*fault = (struct gmem_fault){.vector = EXC_GP, .addr = gva};
		return -EFAULT;
	}
	for (uint32_t i = 0; i < WALK_RETRIES; i++) {
		if (walk_tables(w, gva, gpa, fault) != 0) {
			return -EFAULT;
		}
		if (!allowed(w)) {
			return fault_pf(w, gva, PFEC_P, fault);
		}
		if (mark_used(w) == 0) {
			return 0;
		}
	}
	return fault_pf(w, gva, 0, fault); /* spurious: the guest will try again */
}

int gmem_translate(struct vcpu *vcpu, gva_t gva, uint32_t access, gpa_t *gpa,
		   struct gmem_fault *fault)
{
	struct walk w;

	walk_init(&w, vcpu, access);
	return walk_run(&w, gva, gpa, fault);
}

/* What a fetch depends on beside the tables: no two of these bits share a place. */
static uint64_t fetch_mode(uint64_t cr0, uint64_t cr4, uint64_t efer, bool user)
{
	return (cr0 & CR0_PG) | (cr4 & (CR4_PAE | CR4_SMEP)) | (efer & (EFER_LMA | EFER_NXE)) |
	       (user ? BIT(63) : 0U);
}

int gmem_fetch_trail(struct vcpu *vcpu, gva_t gva, struct gmem_trail *trail,
		     struct gmem_fault *fault)
{
	uint32_t changes = atomic_read32(&vcpu->vm->ept.changes); /* one from now on is seen */
	uint64_t len = 1;
	struct walk w;
	gpa_t gpa;

	trail->used = 0;
	walk_init(&w, vcpu, GMEM_FETCH);
	w.trail.used = 0;
	if (walk_run(&w, gva, &gpa, fault) != 0) {
		return -EFAULT;
	}
	if (w.levels != 4U || gmem_hpa(vcpu->vm, gpa, &len, EPT_READ, &w.trail.hpa) != 0) {
		return 0;
	}
	*trail = w.trail;
	trail->ept_changes = changes;
	trail->cr3 = vmcs_read(VMCS_GUEST_CR3);
	trail->mode = fetch_mode(w.cr0, w.cr4, w.efer, w.user);
	return 0;
}

bool gmem_trail_same(const struct vcpu *vcpu, const struct gmem_trail *trail)
{
	bool user;

	if (trail->used == 0U || trail->ept_changes != atomic_read32(&vcpu->vm->ept.changes) ||
	    trail->cr3 != vmcs_read(VMCS_GUEST_CR3)) {
		return false;
	}
	for (uint32_t i = 0; i < trail->used; i++) {
		if (atomic_read64(hpa_ptr(trail->at[i])) != trail->val[i]) {
			return false;
		}
	}
	user = ((vmcs_read32(VMCS_GUEST_SS_AR) >> 5) & 3U) == 3U;
	return trail->mode == fetch_mode(vmcs_read(VMCS_GUEST_CR0), vmcs_read(VMCS_GUEST_CR4),
					 vcr_efer(), user);
}
