// SPDX-License-Identifier: BSD-3-Clause
/*
 * The checker of a debug build: what must hold whatever guests do. No EPT has a page of the
 * hypervisor but in the BARs of functions that share memory; a VM's memory is its owner's, and
 * nobody else's, and what a pre-launched VM has is no other VM's (two User VMs may have a page of
 * the Service VM, which is its to give); host mappings are writable or executable, never both;
 * pools have handed out what the VMs hold; no thread is in two run queues. Called when a VM has
 * been destroyed and before a reset or power-off. Never mends anything. Takes the lock of every VM,
 * but only where it is free: two checkers cannot wait for each other.
 */
#include "hv/invariants.h"
#include "asm/vmx.h"
#include "hv/caps.h"
#include "hv/ept.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/schedule.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "lib/string.h"
#include "config.h"

#define HOST_WRITE   BIT(1)
#define HOST_NO_EXEC BIT(63)

#define RETRIES 1000U
#define PIECES	128U

static uint32_t broken;

/* What pre-launched VMs have been seen to map, as it lies on the machine; for one check. */
static struct piece {
	const struct vm *vm;
	uint64_t base, end; /* HPAs */
} pieces[PIECES];
static uint32_t piece_count;

#define BROKEN(...)                                                                                \
	do {                                                                                       \
		pr_fatal("invariant broken: " __VA_ARGS__);                                        \
		broken++;                                                                          \
	} while (0)

/* Is it a pre-launched VM's, and this VM another? */
static bool is_foreign(const struct vm *vm, uint64_t hpa, uint64_t size)
{
	for (uint32_t i = 0U; i < piece_count; i++) {
		const struct piece *p = &pieces[i];

		if (p->vm != vm && hpa < p->end && p->base < hpa + size) {
			BROKEN("VM %u and VM %u both have 0x%lx", p->vm->id, vm->id, hpa);
			return true;
		}
	}
	return false;
}

/* Memory or registers of a pre-launched VM. */
static void add_piece(const struct vm *vm, uint64_t hpa, uint64_t size)
{
	struct piece *last = (piece_count != 0U) ? &pieces[piece_count - 1U] : NULL;

	if (is_foreign(vm, hpa, size)) {
		return;
	}
	if (last != NULL && last->vm == vm && last->end == hpa) {
		last->end += size;
	} else if (piece_count < PIECES) {
		pieces[piece_count++] = (struct piece) {.vm = vm, .base = hpa, .end = hpa + size};
	} else {
		pr_warn("VM %u: memory in more than %u pieces is not all compared", vm->id, PIECES);
	}
}

static void check_ept_leaf(uint64_t gpa, uint64_t entry, uint64_t size, void *arg)
{
	struct vm *vm = arg, *service = vm_service();
	uint64_t hpa = entry & PGTABLE_ADDR & ~(size - 1U);
	bool owned = vm->owner != NULL;
	const void *apic = vm->apic_page;

	if (apic != NULL && hpa == ptr_hpa(apic).v && size == PAGE_SIZE) {
		return; /* it is there for an address: the CPU takes accesses away from it */
	}
	if (vm_shows != NULL && vm_shows(vm, GPA(gpa), HPA(hpa), size)) {
		return;
	}
	if (hv_owns(HPA(hpa), size)) {
		BROKEN("VM %u sees the hypervisor's memory at 0x%lx", vm->id, gpa);
	}
	if (vm->load_order == PRE_LAUNCHED_VM) {
		add_piece(vm, hpa, size);
	}
	if (vm == service || service == NULL) {
		return;
	}
	if (owned && (entry & EPT_MT_MASK) != EPT_MT_WB) {
		(void)is_foreign(vm, hpa, size);
		return;
	}
	for (uint64_t done = 0U, left; done < size; done += left) {
		hpa_t seen;

		if (ept_lookup(&service->ept, GPA(hpa + done), &seen, &left, NULL) != 0) {
			left = PAGE_SIZE;
			seen = HPA(UINT64_MAX);
		}
		if (owned != (seen.v == hpa + done)) {
			BROKEN("memory at 0x%lx of VM %u is %sthe Service VM's", gpa + done, vm->id,
			       owned ? "not " : "");
			return;
		}
	}
}

static void check_host_leaf(uint64_t va, uint64_t entry, uint64_t size, void *arg)
{
	(void)arg;
	if ((entry & HOST_WRITE) != 0U && (entry & HOST_NO_EXEC) == 0U) {
		BROKEN("the hypervisor can write and execute 0x%lx, %lu KB", va, size >> 10);
	}
}

static uint32_t pages_of(const struct vm *vm)
{
	uint32_t pages = vm->ept.pt.pages + 1U /* MSR bitmap */ + vm->vcpu_count /* VMCS */;

	for (uint16_t i = 0U; i < vm->vcpu_count; i++) {
		pages += (vm->vcpus[i]->vlapic != NULL) ? 2U : 0U;
	}
	return pages + ((vm->apic_page != NULL) ? 1U : 0U);
}

/* What one VM holds of a pool; UINT32_MAX: nobody knows this pool. */
static uint32_t share_of(const struct vm *vm, const char *pool)
{
	static const char *const per_vcpu[] = {"vCPUs", "FPU areas", "vCPU MSRs",
					       "decoded instructions"};
	const struct {
		const char *pool;
		const void *object;
	} per_vm[] = {
		{"CPUID tables", vm->vcpuid},
		{"MTRRs", vm->vmtrr},
		{"I/O regions", vm->vio},
		{"vIOAPICs", vm->vioapic},
		{"vPICs", vm->vpic},
		{"PCI configuration", vm->vpci},
		{"I/O request pages", vm->ioreq},
	};

	for (uint32_t i = 0U; i < ARRAY_SIZE(per_vcpu); i++) {
		if (strcmp(pool, per_vcpu[i]) == 0) {
			return vm->vcpu_count;
		}
	}
	for (uint32_t i = 0U; i < ARRAY_SIZE(per_vm); i++) {
		if (strcmp(pool, per_vm[i].pool) == 0) {
			return (per_vm[i].object != NULL) ? 1U : 0U;
		}
	}
	return (strcmp(pool, "pages") == 0) ? pages_of(vm) : UINT32_MAX;
}

/* What the VMs hold of a pool together; UINT32_MAX: nobody knows this pool. */
static uint32_t all_shares(const struct pool *p)
{
	uint32_t sum = 0U;

	for (uint16_t i = 0U; i < CONFIG_MAX_VM_NUM; i++) {
		uint32_t share = 0U;

		if (vm_is_live(&vms[i])) {
			share = (p->held != NULL) ? p->held(&vms[i]) : share_of(&vms[i], p->name);
		}
		if (share == UINT32_MAX) {
			return UINT32_MAX;
		}
		sum += share;
	}
	return sum;
}

static void check_pool(struct pool *p)
{
	uint32_t sum = all_shares(p), listed = 0U, used;

	if (sum == UINT32_MAX) {
		BROKEN("nobody knows who holds %s", p->name);
		return;
	}
	/*
	 * A vCPU that switches MSI-X or the mode of its APIC changes its EPT without the VM's lock.
	 */
	for (uint32_t i = 0U; i < RETRIES && sum != atomic_read32(&p->used); i++) {
		cpu_relax();
		sum = all_shares(p);
	}
	spin_lock(&p->lock);
	used = p->used;
	for (const void *obj = p->free; obj != NULL && listed <= p->total;
	     obj = *(const void *const *)obj) {
		listed++;
	}
	spin_unlock(&p->lock);
	if (sum != used) {
		BROKEN("%u %s are in use, the VMs hold %u", used, p->name, sum);
	}
	if (listed + used != p->total) {
		BROKEN("%u of %u %s are free and %u in use", listed, p->total, p->name, used);
	}
}

/*
 * A thread belongs to one pCPU, so it is in two queues only if it is in another one's, or twice.
 * Nothing is logged under the lock: the log wakes who writes it.
 */
static void check_runqueue(struct pcpu *p)
{
	uint32_t count = 0U, queued;
	bool foreign = false;
	struct list *it;

	spin_lock(&p->rq.lock);
	list_for_each(it, &p->rq.runnable)
	{
		const struct thread *t = container_of(it, struct thread, node);

		if (t->pcpu != p || t->state != THREAD_RUNNABLE || t == p->rq.current ||
		    it->next->prev != it || ++count > p->rq.nr_threads) {
			foreign = true;
			break;
		}
	}
	queued = p->rq.nr_runnable;
	spin_unlock(&p->rq.lock);
	if (foreign) {
		BROKEN("the run queue of CPU %u has a thread that is not its own", p->id);
	} else if (count != queued) {
		BROKEN("the run queue of CPU %u holds %u threads, not %u", p->id, count, queued);
	}
}

static void check_epts(bool pre_launched)
{
	for (uint16_t i = 0U; i < CONFIG_MAX_VM_NUM; i++) {
		if (vm_is_live(&vms[i]) && (vms[i].load_order == PRE_LAUNCHED_VM) == pre_launched) {
			pgtable_walk(&vms[i].ept.pt, check_ept_leaf, &vms[i]);
		}
	}
}

static void check_all(void)
{
	piece_count = 0U;
	check_epts(true); /* the others are compared with what they have */
	check_epts(false);
	if (cap_has(CAP_NX)) {
		pgtable_walk(&hostmm_tables, check_host_leaf, NULL);
	}
	for (struct pool *p = pools; p != NULL; p = p->next) {
		check_pool(p);
	}
	for (uint16_t i = 0U; i < pcpu_count; i++) {
		check_runqueue(&pcpus[i]);
	}
}

static uint32_t live_vms(void)
{
	uint32_t live = 0U;

	for (uint16_t i = 0U; i < CONFIG_MAX_VM_NUM; i++) {
		live += vm_is_live(&vms[i]) ? 1U : 0U;
	}
	return live;
}

bool invariants_run(struct vm *held)
{
	uint16_t locked = 0U;

	while (locked < CONFIG_MAX_VM_NUM &&
	       (&vms[locked] == held || spin_trylock(&vms[locked].lock))) {
		locked++;
	}
	broken = 0U;
	if (locked == CONFIG_MAX_VM_NUM) {
		check_all();
		if (broken == 0U) {
			pr_info("invariants hold: %u VMs, %u pages in use", live_vms(),
				page_pool.used);
		}
	}
	while (locked-- > 0U) {
		if (&vms[locked] != held) {
			spin_unlock(&vms[locked].lock);
		}
	}
	return broken == 0U;
}

static void check(struct vm *held)
{
	(void)invariants_run(held);
}

static int invariants_boot(void)
{
	vm_check = check;
	return 0;
}

UNIT(invariants) = {.name = "invariants", .level = UNIT_CORE, .boot = invariants_boot};
