// SPDX-License-Identifier: BSD-3-Clause
/*
 * Looks whether the hypervisor's own invariants hold, and says so in one line; a broken one is
 * named in a line of its own. Runs when a VM is destroyed, on the CPU that does it, in debug builds
 * only. Changes nothing. Takes the locks of one EPT or one run queue at a time.
 */
#include "asm/apic.h"
#include "asm/vmx.h"
#include "hv/caps.h"
#include "hv/check.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/pgtable.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "config.h"

#define LEVELS	 4U
#define PTE_P	 BIT(0)
#define PTE_W	 BIT(1)
#define PTE_PS	 BIT(7)
#define PTE_NX	 BIT(63)
#define ENTRIES	 512U

/* A walk over the leaves of a four-level table, the host's or an EPT. */
struct walk {
	uint64_t present;
	bool (*bad)(uint64_t va, uint64_t entry, uint64_t size);
	uint64_t first_bad; /* the entry, if `found` */
	uint64_t va;
	bool found;
};

static void walk_level(struct walk *w, const uint64_t *table, uint64_t va, uint32_t level)
{
	uint64_t size = BIT(PAGE_SHIFT + 9U * level);

	for (uint32_t i = 0U; i < ENTRIES && !w->found; i++, va += size) {
		uint64_t e = table[i];

		if ((e & w->present) == 0U) {
			continue;
		}
		if (level != 0U && (e & PTE_PS) == 0U) {
			walk_level(w, hpa_ptr(HPA(e & PGTABLE_ADDR)), va, level - 1U);
		} else if (w->bad(va, e, size)) {
			w->found = true;
			w->first_bad = e;
			w->va = va;
		}
	}
}

/* The page at the APIC's address is the hypervisor's on purpose: the processor redirects it. */
static bool is_hypervisors(uint64_t va, uint64_t entry, uint64_t size)
{
	return va != APIC_DEFAULT_BASE && hv_owns(HPA(entry & PGTABLE_ADDR & ~(size - 1U)), size);
}

static bool is_writable_code(uint64_t va, uint64_t entry, uint64_t size)
{
	(void)va;
	(void)size;
	return (entry & (PTE_W | PTE_NX)) == PTE_W;
}

static uint32_t check_ept(struct vm *vm)
{
	struct walk w = {.present = EPT_RWX, .bad = is_hypervisors};

	spin_lock(&vm->ept.lock);
	if (vm->ept.pt.root != NULL) {
		walk_level(&w, vm->ept.pt.root, 0U, LEVELS - 1U);
	}
	spin_unlock(&vm->ept.lock);
	if (w.found) {
		pr_err("invariant broken: %s maps the hypervisor's memory at %lx: %lx", vm->name,
		       w.va, w.first_bad);
	}
	return w.found ? 1U : 0U;
}

static uint32_t check_host(void)
{
	struct walk w = {.present = PTE_P, .bad = is_writable_code};

	if (cap_has(CAP_NX)) {
		walk_level(&w, hpa_ptr(HPA(hostmm_root())), 0U, LEVELS - 1U);
	}
	if (w.found) {
		pr_err("invariant broken: the host's %lx is writable code: %lx", w.va, w.first_bad);
	}
	return w.found ? 1U : 0U;
}

/* Who waits in a queue belongs there, is not the one who runs, and is there once. */
static uint32_t check_queue(struct pcpu *p)
{
	struct runqueue *rq = &p->rq;
	uint32_t count = 0U, wrong = 0U;
	struct list *it;

	spin_lock(&rq->lock);
	list_for_each(it, &rq->runnable) {
		const struct thread *t = container_of(it, struct thread, node);

		count++;
		if (t->pcpu != p || t == rq->current || t->state != THREAD_RUNNABLE ||
		    it->next->prev != it || count > rq->nr_threads) {
			wrong++;
			break;
		}
	}
	if (wrong == 0U && count != rq->nr_runnable) {
		wrong++;
	}
	spin_unlock(&rq->lock);
	if (wrong != 0U) {
		pr_err("invariant broken: the run queue of CPU %u", p->id);
	}
	return wrong;
}

/* Every free object of the pool is in its list, and nothing else. */
static uint32_t check_pool(struct pool *p)
{
	uint32_t unused = 0U;

	spin_lock(&p->lock);
	for (void *obj = p->free; obj != NULL && unused <= p->total; obj = *(void **)obj) {
		unused++;
	}
	unused += p->used;
	spin_unlock(&p->lock);
	if (unused == p->total) {
		return 0U;
	}
	pr_err("invariant broken: %s: %u of %u are used or free", p->name, unused, p->total);
	return 1U;
}

uint32_t check_invariants(void)
{
	uint32_t broken = check_host() + check_pool(&page_pool);

	for (uint16_t i = 0U; i < pcpu_count; i++) {
		broken += check_queue(&pcpus[i]);
	}
	for (uint16_t i = 0U; i < CONFIG_MAX_VM_NUM; i++) {
		struct vm *vm = vm_by_id(i);

		if (vm_is_live(vm)) {
			broken += check_ept(vm);
		}
	}
	if (broken == 0U) {
		pr_info("invariants hold");
	}
	return broken;
}

static void check_vm_deinit(struct vm *vm)
{
	(void)vm;
	(void)check_invariants();
}

UNIT(check) = {
	.name = "check",
	.level = UNIT_SERVICE + 1U,
	.vm_deinit = check_vm_deinit,
};
