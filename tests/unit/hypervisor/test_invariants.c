// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does the checker stay silent while all is well, and does it name each invariant that is broken:
 * one after the other is, by hand, in a machine of three VMs?
 */
// links: hypervisor/debug/invariants.c hypervisor/arch/x86/mm/pgtable.c hypervisor/arch/x86/mm/pgtable_debug.c hypervisor/arch/x86/vmx/ept.c
// links: hypervisor/arch/x86/mm/pool.c tests/fake/fake_machine.c tests/fake/fake_log.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "asm/vmx.h"
#include "config.h"
#include "fake_machine.h"
#include "hv/caps.h"
#include "hv/invariants.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/vcpu.h"
#include "hv/vfunc.h"
#include "hv/vm.h"
#include "hv/vmcs.h"
#include "hv/vpci.h"

#define HV_BASE MB(64)
#define HV_SIZE MB(2)
#define WB	(EPT_RWX | EPT_MT_WB)

#define SERVICE 0
#define USER	1
#define OTHER	2

static struct vm slots[CONFIG_MAX_VM_NUM];
struct vm *vms = slots;
void (*vm_check)(struct vm *held);

static struct pool vcpus, tables;
static struct thread threads[3];
/* The host's tables: one page, at 0x1000. */
static uint64_t host_levels[4][512] __attribute__((aligned(PAGE_SIZE)));
#define host_leaf host_levels[3][1]
static const struct pgtable_format host_format = {.present = BIT(0), .large = BIT(7)};
struct pgtable hostmm_tables = {.root = host_levels[0], .fmt = &host_format};
static uint64_t hv_page;
static bool no_exec, no_service;
static void *blocks[8];
static uint32_t block_count;

bool cap_has(enum cpu_cap cap)
{
	return cap == CAP_NX ? no_exec : cap == CAP_EPT_2M;
}

bool hv_owns(hpa_t base, uint64_t size)
{
	return (base.v < HV_BASE + HV_SIZE && base.v + size > HV_BASE) ||
	       (hv_page != 0 && base.v == hv_page);
}

void *boot_alloc_raw(size_t size, size_t align)
{
	assert_true(block_count < ARRAY_SIZE(blocks));
	blocks[block_count] = aligned_alloc(align, ALIGN_UP(size, align));
	return blocks[block_count++];
}

struct vm *vm_service(void)
{
	return vm_is_live(&slots[SERVICE]) && !no_service ? &slots[SERVICE] : NULL;
}

/* One page of the hypervisor's is shown to the User VM at 0x300000. */
static bool shows(const struct vm *vm, gpa_t gpa, hpa_t hpa, uint64_t size)
{
	return vm == &slots[USER] && gpa.v == 0x300000 && hpa.v == HV_BASE && size == PAGE_SIZE;
}

bool (*vm_shows)(const struct vm *vm, gpa_t gpa, hpa_t hpa, uint64_t size) = shows;

void vmx_invept(uint64_t eptp)
{
	(void)eptp;
}

void smp_call(struct pcpu *p, void (*fn)(void *arg), void *arg)
{
	(void)p;
	fn(arg);
}

/* A VM of one vCPU: its pages are a VMCS, an MSR bitmap, and the two of a vLAPIC. */
static void make_vm(uint16_t id, struct vm *owner)
{
	struct vm *vm = &slots[id];

	vm->id = id;
	vm->owner = owner;
	vm->state = VM_RUNNING;
	vm->load_order = owner != NULL ? POST_LAUNCHED_VM : SERVICE_VM;
	vm->vcpu_count = 1;
	vm->vcpuid = pool_get(&tables);
	vm->vcpus[0] = pool_get(&vcpus);
	vm->vcpus[0]->vlapic = (void *)vm;
	for (uint32_t i = 0; i < 4; i++) {
		assert_non_null(pool_get(&page_pool));
	}
	assert_int_equal(ept_init(&vm->ept), 0);
}

static void enqueue(struct thread *t, struct pcpu *p)
{
	t->pcpu = p;
	t->state = THREAD_RUNNABLE;
	list_insert_before(&t->node, &p->rq.runnable);
	p->rq.nr_runnable++;
	p->rq.nr_threads++;
}

static int setup(void **state)
{
	(void)state;
	fake_machine_reset();
	memset(slots, 0, sizeof(slots));
	memset(threads, 0, sizeof(threads));
	hv_page = 0;
	for (uint32_t i = 0; i < 3; i++)
		host_levels[i][0] = ptr_hpa(host_levels[i + 1]).v | BIT(0);
	host_leaf = BIT(0) | BIT(1) | BIT(63);
	no_exec = true;
	pools = NULL;
	block_count = 0;
	pool_start(&page_pool, "pages", PAGE_SIZE);
	page_pool.free = NULL;
	pool_add(&page_pool, boot_alloc_raw(64 * PAGE_SIZE, PAGE_SIZE), 64);
	pool_init(&vcpus, "vCPUs", sizeof(struct vcpu), 64, 4);
	pool_init(&tables, "CPUID tables", 64, 64, 4);
	for (uint16_t i = 0; i < pcpu_count; i++) {
		memset(&pcpus[i].rq, 0, sizeof(pcpus[i].rq));
		list_init(&pcpus[i].rq.runnable);
	}
	make_vm(SERVICE, NULL);
	make_vm(USER, &slots[SERVICE]);
	make_vm(OTHER, &slots[SERVICE]);
	assert_int_equal(ept_map(&slots[SERVICE].ept, GPA(0), HPA(0), HV_BASE, WB), 0);
	assert_int_equal(ept_map(&slots[SERVICE].ept, GPA(HV_BASE + HV_SIZE), HPA(HV_BASE + HV_SIZE),
				 MB(64), WB), 0);
	assert_int_equal(ept_map(&slots[USER].ept, GPA(0), HPA(MB(8)), MB(4), WB), 0);
	assert_int_equal(ept_map(&slots[OTHER].ept, GPA(0), HPA(MB(16)), MB(4), WB), 0);
	enqueue(&threads[0], &pcpus[0]);
	enqueue(&threads[1], &pcpus[0]);
	enqueue(&threads[2], &pcpus[1]);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	while (block_count > 0)
		free(blocks[--block_count]);
	return 0;
}

/* The checker finds something, and the last line of the log says this. */
static void assert_broken(const char *what)
{
	assert_false(invariants_run(NULL));
	if (strstr(fake_log_last, what) == NULL)
		fail_msg("\"%s\" not in \"%s\"", what, fake_log_last);
	for (uint16_t i = 0; i < CONFIG_MAX_VM_NUM; i++)
		assert_int_equal(slots[i].lock.next, slots[i].lock.owner);
}

/* Is nothing said of a machine that is as it should be, whichever VM its caller has locked? */
static void test_all_is_well(void **state)
{
	(void)state;
	assert_true(invariants_run(NULL));
	spin_lock(&slots[USER].lock);
	assert_true(invariants_run(&slots[USER]));
	spin_unlock(&slots[USER].lock);
	assert_int_equal(fake_log_lines, 0);
}

/* What if another CPU has a VM in its hands, half made? Then nothing can be said. */
static void test_busy(void **state)
{
	(void)state;
	host_leaf = BIT(0) | BIT(1);
	spin_lock(&slots[OTHER].lock);
	assert_true(invariants_run(NULL));
	spin_unlock(&slots[OTHER].lock);
	assert_broken("write and execute");
}

/* What if an EPT has a page of the hypervisor, small or as a part of a large one? */
static void test_hypervisor_seen(void **state)
{
	(void)state;
	assert_int_equal(ept_map(&slots[SERVICE].ept, GPA(HV_BASE + 0x5000), HPA(HV_BASE + 0x5000),
				 PAGE_SIZE, EPT_READ | EPT_MT_UC), 0);
	assert_broken("VM 0 sees the hypervisor's memory at 0x4005000");
	assert_int_equal(ept_unmap(&slots[SERVICE].ept, GPA(HV_BASE), HV_SIZE), 0);
	assert_int_equal(ept_map(&slots[OTHER].ept, GPA(GB(1)), HPA(HV_BASE), MB(2), EPT_RWX), 0);
	assert_broken("VM 2 sees the hypervisor's memory at 0x40000000");
	assert_int_equal(ept_unmap(&slots[OTHER].ept, GPA(GB(1)), MB(2)), 0);
	assert_true(invariants_run(NULL));
}

/* What a function shows a VM on purpose is in order, elsewhere in that VM or in another it is not. */
static void test_shared(void **state)
{
	(void)state;
	assert_int_equal(ept_map(&slots[USER].ept, GPA(0x300000), HPA(HV_BASE), PAGE_SIZE, WB), 0);
	assert_true(invariants_run(NULL));
	assert_int_equal(ept_map(&slots[USER].ept, GPA(0x301000), HPA(HV_BASE + PAGE_SIZE), PAGE_SIZE,
				 EPT_RWX | EPT_MT_UC), 0);
	assert_broken("VM 1 sees the hypervisor's memory at 0x301000");
	assert_int_equal(ept_map(&slots[USER].ept, GPA(0), HPA(MB(8)), MB(4), WB), 0);
	assert_int_equal(ept_map(&slots[OTHER].ept, GPA(0x300000), HPA(HV_BASE), PAGE_SIZE,
				 EPT_RWX | EPT_MT_UC), 0);
	assert_broken("VM 2 sees the hypervisor's memory at 0x300000");
	assert_int_equal(ept_map(&slots[OTHER].ept, GPA(0), HPA(MB(16)), MB(4), WB), 0);
	assert_true(invariants_run(NULL));
}

/* The page behind virtual APICs is the hypervisor's, but the one that its VM has for that. */
static void test_access_page(void **state)
{
	void *access_page = pool_get(&page_pool);

	(void)state;
	slots[OTHER].apic_page = access_page;
	assert_int_equal(ept_map(&slots[OTHER].ept, GPA(0xFEE00000), ptr_hpa(access_page), PAGE_SIZE,
				 WB), 0);
	hv_page = ptr_hpa(access_page).v;
	assert_true(invariants_run(NULL));
	assert_int_equal(ept_map(&slots[USER].ept, GPA(0xFEE00000), ptr_hpa(access_page), PAGE_SIZE,
				 EPT_RWX), 0);
	assert_broken("VM 1 sees the hypervisor's memory at 0xfee00000");
}

/* What if a User VM has memory that is not its Service VM's, or another VM memory that is? */
static void test_foreign_memory(void **state)
{
	(void)state;
	assert_int_equal(ept_map(&slots[USER].ept, GPA(MB(4)), HPA(GB(2)), PAGE_SIZE, WB), 0);
	assert_broken("memory at 0x400000 of VM 1 is not the Service VM's");
	assert_int_equal(ept_unmap(&slots[USER].ept, GPA(MB(4)), PAGE_SIZE), 0);
	assert_true(invariants_run(NULL));
	slots[OTHER].owner = NULL;
	assert_broken("memory at 0x200000 of VM 2 is the Service VM's");
}

/* A pre-launched VM in place of a User VM, with memory that the Service VM has not. */
static struct vm *pre_launched(uint16_t id, uint64_t hpa)
{
	struct vm *vm = &slots[id];

	vm->owner = NULL;
	vm->load_order = PRE_LAUNCHED_VM;
	assert_int_equal(ept_map(&vm->ept, GPA(0), HPA(hpa), MB(4), WB), 0);
	return vm;
}

/*
 * What if two pre-launched VMs have a page in common, large or small, RAM or registers, beside a
 * Service VM or without one? Each direction is found; what lies next to each other is in order.
 */
static void test_two_pre_launched(void **state)
{
	struct vm *one = pre_launched(USER, GB(1)), *two = pre_launched(OTHER, GB(1) + MB(4));

	(void)state;
	assert_true(invariants_run(NULL));
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(ept_map(&one->ept, GPA(GB(2)), HPA(GB(1) + MB(8) - PAGE_SIZE),
					 PAGE_SIZE, WB), 0);
		assert_broken("VM 1 and VM 2 both have 0x40600000"); /* its large page */
		assert_int_equal(ept_unmap(&one->ept, GPA(GB(2)), PAGE_SIZE), 0);
		assert_int_equal(ept_map(&two->ept, GPA(MB(4)), HPA(GB(1)), PAGE_SIZE, WB), 0);
		assert_broken("VM 1 and VM 2 both have 0x40000000");
		assert_int_equal(ept_unmap(&two->ept, GPA(MB(4)), PAGE_SIZE), 0);
		assert_int_equal(ept_map(&one->ept, GPA(GB(3)), HPA(GB(3)), PAGE_SIZE,
					 EPT_READ | EPT_WRITE | EPT_MT_UC), 0);
		assert_true(invariants_run(NULL));
		assert_int_equal(ept_map(&two->ept, GPA(GB(2)), HPA(GB(3)), PAGE_SIZE,
					 EPT_READ | EPT_WRITE | EPT_MT_UC), 0);
		assert_broken("VM 1 and VM 2 both have 0xc0000000");
		assert_int_equal(ept_unmap(&two->ept, GPA(GB(2)), PAGE_SIZE), 0);
		assert_true(invariants_run(NULL));
		slots[SERVICE].load_order = PRE_LAUNCHED_VM; /* a third one, and no Service VM */
		no_service = true;
	}
	no_service = false;
	slots[SERVICE].load_order = SERVICE_VM;
	assert_int_equal(ept_map(&slots[SERVICE].ept, GPA(GB(3)), HPA(GB(3)), PAGE_SIZE,
				 EPT_RWX | EPT_MT_UC), 0);
	assert_broken("memory at 0xc0000000 of VM 1 is the Service VM's");
	assert_int_equal(ept_unmap(&slots[SERVICE].ept, GPA(GB(3)), PAGE_SIZE), 0);
	assert_true(invariants_run(NULL));
	/* a User VM with registers of the first one */
	two->owner = &slots[SERVICE];
	two->load_order = POST_LAUNCHED_VM;
	assert_int_equal(ept_map(&two->ept, GPA(0), HPA(MB(16)), MB(4), WB), 0);
	assert_true(invariants_run(NULL));
	assert_int_equal(ept_map(&two->ept, GPA(GB(2)), HPA(GB(3)), PAGE_SIZE,
				 EPT_READ | EPT_WRITE | EPT_MT_UC), 0);
	assert_broken("VM 1 and VM 2 both have 0xc0000000");
}

/* What if the hypervisor could write its own code? A CPU without NX cannot keep that apart. */
static void test_writable_code(void **state)
{
	(void)state;
	host_leaf = BIT(0) | BIT(1);
	assert_broken("can write and execute 0x1000, 4 KB");
	no_exec = false;
	assert_true(invariants_run(NULL));
	no_exec = true;
	host_leaf = BIT(0);
	assert_true(invariants_run(NULL));
}

/* What if an object is lost, given back twice, or of a pool that the checker does not know? */
static void test_pools(void **state)
{
	void *page = pool_get(&page_pool);
	static struct pool unknown;

	(void)state;
	assert_broken("pages are in use, the VMs hold");
	pool_put(&page_pool, page);
	assert_true(invariants_run(NULL));
	slots[USER].vcpuid = NULL;
	assert_broken("3 CPUID tables are in use, the VMs hold 2");
	slots[USER].vcpuid = (void *)slots;
	page = pool_get(&vcpus);
	assert_broken("4 vCPUs are in use, the VMs hold 3");
	pool_put(&vcpus, page);
	assert_true(invariants_run(NULL));
	vcpus.free = NULL;
	assert_broken("0 of 4 vCPUs are free and 3 in use");
	vcpus.total = 3;
	assert_true(invariants_run(NULL));
	pool_init(&unknown, "things", 64, 64, 1);
	assert_broken("nobody knows who holds things");
}

/* What if a VM is gone, and what it held is not? */
static void test_leak(void **state)
{
	(void)state;
	ept_destroy(&slots[OTHER].ept);
	slots[OTHER].state = VM_POWERED_OFF;
	assert_broken("pages are in use, the VMs hold");
}

/* What if a thread waits in another CPU's queue, runs and waits, or the count is wrong? */
static void test_run_queues(void **state)
{
	(void)state;
	threads[0].pcpu = &pcpus[1];
	assert_broken("the run queue of CPU 0");
	threads[0].pcpu = &pcpus[0];
	pcpus[1].rq.current = &threads[2];
	assert_broken("the run queue of CPU 1");
	pcpus[1].rq.current = NULL;
	pcpus[0].rq.nr_runnable = 3;
	assert_broken("the run queue of CPU 0 holds 2 threads, not 3");
	pcpus[0].rq.nr_runnable = 2;
	threads[1].state = THREAD_BLOCKED;
	assert_broken("the run queue of CPU 0");
	threads[1].state = THREAD_RUNNABLE;
	assert_true(invariants_run(NULL));
	threads[1].node.next = &threads[0].node; /* twice in the queue */
	assert_broken("the run queue of CPU 0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_is_well, setup, teardown),
		cmocka_unit_test_setup_teardown(test_busy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hypervisor_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shared, setup, teardown),
		cmocka_unit_test_setup_teardown(test_access_page, setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_pre_launched, setup, teardown),
		cmocka_unit_test_setup_teardown(test_writable_code, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pools, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leak, setup, teardown),
		cmocka_unit_test_setup_teardown(test_run_queues, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
