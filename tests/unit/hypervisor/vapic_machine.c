/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The core of the hypervisor as the files of vapic/ see it: requests, timers, host vectors, the
 * physical IOAPIC, regions, EPT; everything it is asked for is kept for the test to look at.
 * Called by the unit tests of vapic/, vioapic.c and vintr.c only.
 */
#include <stdlib.h>
#include <string.h>

#include "hv/boot.h"
#include "hv/ept.h"
#include "hv/inst.h"
#include "hv/unit.h"
#include "hv/vmexit.h"
#include "hv/vmsr.h"
#include "vapic_machine.h"

extern const struct vmexit_entry __start_hv_vmexits[], __stop_hv_vmexits[];
extern const struct msr_range __start_hv_vmsrs[], __stop_hv_vmsrs[];

#define MAX_REGIONS 16U

struct region {
	uint64_t base, size;
	io_handler_t fn;
	void *arg;
	bool pio;
};

struct vm test_vms[TEST_VMS];
static struct vcpu vcpus[TEST_VMS][TEST_VCPUS];
static struct vcpu_log logs[TEST_VMS][TEST_VCPUS];
static struct region regions[TEST_VMS][MAX_REGIONS];
static uint8_t msr_bitmap[TEST_VMS][2][0x1000];
static bool caps_present[CAP_COUNT];
static irq_handler_t handlers[256];
static void *handler_args[256];
static bool vector_used[256];
static struct list all_timers[FAKE_PCPUS];

uint32_t test_ipis, test_last_ipi, test_triple_faults, test_emulated;
uint64_t phys_rte[TEST_PINS];
uint32_t phys_rte_writes;
uint64_t ept_apic_page[TEST_VMS];
struct ioapic_info ioapics[1];
uint16_t ioapic_count;

/* Scenario and board. */
const struct board_config board_config = {
	.name = "test",
	.console = {.type = SERIAL_PIO, .base = 0x3F8, .irq = 4, .reg_size = 1},
};
static void console(void)
{
}
void (*report_before)(void) = console; /* NULL as in a release */

const struct serial_config *report_serial(void)
{
	return &board_config.console;
}

static const struct vm_config service_config = {
	.load_order = SERVICE_VM,
	.vuart = {[1] = {.type = VUART_LEGACY, .port = 0x2F8, .irq = 3}},
};

/* Two lines of the machine; one of its pins has another number. */
static const struct vm_intx intx[] = {{.gsi = 16, .vm_gsi = 5}, {.gsi = 10, .vm_gsi = 10}};
static const struct vm_config pre_config = {
	.load_order = PRE_LAUNCHED_VM, .intx = intx, .intx_count = 2};

static void triple_fault(struct vcpu *vcpu)
{
	(void)vcpu;
	test_triple_faults++;
}

static void vm_make(uint32_t n, enum vm_load_order order)
{
	struct vm *vm = &test_vms[n];

	vm->id = (uint16_t)n;
	vm->load_order = order;
	if (order != POST_LAUNCHED_VM)
		vm->config = order == SERVICE_VM ? &service_config : &pre_config;
	vm->state = VM_RUNNING;
	vm->on_triple_fault = triple_fault;
	assert_int_equal(unit_vm_init(vm), 0);
	for (uint16_t i = 0; i < TEST_VCPUS; i++) {
		struct vcpu *vcpu = &vcpus[n][i];

		vcpu->vm = vm;
		vcpu->id = i;
		vcpu->apic_id = i;
		vcpu->pcpu = &pcpus[i];
		vcpu->state = VCPU_RUNNING;
		vcpu->thread.state = THREAD_RUNNING;
		vcpu->proc_ctrl = PROC_CR8_LOAD_EXIT | PROC_CR8_STORE_EXIT;
		vm->vcpus[i] = vcpu;
		vm->vcpu_count = (uint16_t)(i + 1U);
		assert_int_equal(unit_vcpu_init(vcpu), 0);
	}
	for (uint16_t i = 0; i < TEST_VCPUS; i++) {
		test_cpu(i);
		unit_vcpu_reset(&vcpus[n][i]);
	}
	test_cpu(0);
}

void machine_start(const enum cpu_cap *caps, uint32_t count, enum vm_load_order first)
{
	fake_machine_reset();
	memset(caps_present, 0, sizeof(caps_present));
	for (uint32_t i = 0; i < count; i++)
		caps_present[caps[i]] = true;
	memset(test_vms, 0, sizeof(test_vms));
	memset(vcpus, 0, sizeof(vcpus));
	memset(logs, 0, sizeof(logs));
	memset(regions, 0, sizeof(regions));
	memset(msr_bitmap, 1, sizeof(msr_bitmap));
	memset(handlers, 0, sizeof(handlers));
	memset(vector_used, 0, sizeof(vector_used));
	memset(ept_apic_page, 0, sizeof(ept_apic_page));
	test_ipis = test_triple_faults = test_emulated = phys_rte_writes = 0;
	for (uint32_t i = 0; i < FAKE_PCPUS; i++)
		list_init(&all_timers[i]);
	for (uint32_t i = 0; i < TEST_PINS; i++)
		phys_rte[i] = IOAPIC_RTE_MASKED;
	ioapics[0] = (struct ioapic_info){.id = 5, .base = HPA(0xFEC00000U), .pins = TEST_PINS};
	ioapic_count = 1;
	assert_int_equal(unit_boot(), 0);
	vm_make(0, first);
	vm_make(1, first == PRE_LAUNCHED_VM ? SERVICE_VM : POST_LAUNCHED_VM);
	fake_vmcs[VMCS_GUEST_RFLAGS] = RFLAGS_FIXED | RFLAGS_IF;
}

void machine_stop(void)
{
	for (uint32_t n = 0; n < TEST_VMS; n++) {
		for (uint16_t i = 0; i < TEST_VCPUS; i++) {
			test_cpu(i);
			unit_vcpu_deinit(&vcpus[n][i]);
		}
		unit_vm_deinit(&test_vms[n]);
	}
	assert_int_equal(page_pool.used, 0);
	assert_int_equal(host_vectors_used(), 0);
}

int machine_setup(void **state)
{
	(void)state;
	machine_start(NULL, 0, POST_LAUNCHED_VM);
	return 0;
}

int machine_teardown(void **state)
{
	(void)state;
	machine_stop();
	return 0;
}

struct vcpu *test_vcpu(uint32_t vm, uint32_t id)
{
	return &vcpus[vm][id];
}

struct vcpu_log *vcpu_log(const struct vcpu *vcpu)
{
	return &logs[vcpu->vm->id][vcpu->id];
}

void test_cpu(uint32_t id)
{
	fake_cpu = (uint16_t)id;
}

/* --- what the files under test call --- */

bool cap_has(enum cpu_cap cap)
{
	return caps_present[cap];
}

void vcpu_request(struct vcpu *vcpu, uint64_t reqs)
{
	(void)atomic_or64(&vcpu->requests, reqs);
	vcpu_log(vcpu)->requests++;
}

void vcpu_inject_nmi(struct vcpu *vcpu)
{
	vcpu_log(vcpu)->nmis++;
}

void vcpu_inject_gp(struct vcpu *vcpu)
{
	vcpu_log(vcpu)->gps++;
}

void vcpu_inject_ud(struct vcpu *vcpu)
{
	vcpu_log(vcpu)->uds++;
}

void vcpu_init_signal(struct vcpu *vcpu)
{
	vcpu_log(vcpu)->inits++;
}

void vcpu_sipi(struct vcpu *vcpu, uint8_t vector)
{
	vcpu_log(vcpu)->sipis++;
	vcpu_log(vcpu)->sipi_vector = vector;
}

struct vcpu *vcpu_by_apic_id(struct vm *vm, uint32_t apic_id)
{
	for (uint16_t i = 0; i < vm->vcpu_count; i++) {
		if (vm->vcpus[i]->apic_id == apic_id)
			return vm->vcpus[i];
	}
	return NULL;
}

void sched_wake(struct thread *t)
{
	vcpu_log(container_of(t, struct vcpu, thread))->wakes++;
}

void smp_call(struct pcpu *p, void (*fn)(void *arg), void *arg)
{
	uint16_t here = fake_cpu;

	fake_cpu = p->id;
	fn(arg);
	fake_cpu = here;
}

void lapic_send_ipi(uint32_t apic_id, uint8_t vector)
{
	assert_int_equal(vector, VECTOR_POSTED);
	test_ipis++;
	test_last_ipi = apic_id;
}

/* Timers: armed and cancelled on one CPU only, as hv/timer.h demands. */
void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	list_init(&t->node);
	t->fn = fn;
}

static bool on_this_cpu(const struct timer *t)
{
	struct list *it;

	list_for_each(it, &all_timers[fake_cpu]) {
		if (container_of(it, struct timer, node) == t)
			return true;
	}
	return false;
}

void timer_arm(struct timer *t, uint64_t deadline)
{
	if (timer_armed(t)) {
		assert_true(on_this_cpu(t));
		list_remove(&t->node);
	}
	t->deadline = deadline;
	list_insert_before(&t->node, &all_timers[fake_cpu]);
}

void timer_cancel(struct timer *t)
{
	assert_true(on_this_cpu(t));
	list_remove(&t->node);
}

bool timer_armed(const struct timer *t)
{
	return !list_empty(&t->node);
}

static struct timer *earliest(uint16_t *cpu)
{
	struct timer *best = NULL;
	struct list *it;

	for (uint16_t i = 0; i < FAKE_PCPUS; i++) {
		list_for_each(it, &all_timers[i]) {
			struct timer *t = container_of(it, struct timer, node);

			if (!best || t->deadline < best->deadline) {
				best = t;
				*cpu = i;
			}
		}
	}
	return best;
}

void time_to(uint64_t tsc)
{
	uint16_t here = fake_cpu;
	struct timer *t;

	while ((t = earliest(&fake_cpu)) != NULL && t->deadline <= tsc) {
		fake_tsc = MAX(fake_tsc, t->deadline);
		list_remove(&t->node);
		t->fn(t);
	}
	fake_cpu = here;
	fake_tsc = MAX(fake_tsc, tsc);
}

void irq_register(uint8_t vector, irq_handler_t fn, void *arg)
{
	handlers[vector] = fn;
	handler_args[vector] = arg;
}

int irq_alloc_vector(void)
{
	for (int v = (int)VECTOR_DYN_FIRST; v <= (int)VECTOR_DYN_LAST; v++) {
		if (!vector_used[v]) {
			vector_used[v] = true;
			return v;
		}
	}
	return -ENOSPC;
}

void irq_free_vector(uint8_t vector)
{
	assert_true(vector_used[vector]);
	vector_used[vector] = false;
	handlers[vector] = NULL;
}

uint32_t host_vectors_used(void)
{
	uint32_t n = 0;

	for (uint32_t v = 0; v < 256; v++)
		n += vector_used[v] ? 1U : 0U;
	return n;
}

void phys_interrupt(uint8_t vector)
{
	assert_non_null(handlers[vector]);
	handlers[vector](vector, handler_args[vector]);
}

int ioapic_write_rte(uint32_t gsi, uint64_t rte)
{
	assert_in_range(gsi, 0, TEST_PINS - 1);
	phys_rte[gsi] = rte;
	phys_rte_writes++;
	return 0;
}

void ioapic_mask(uint32_t gsi)
{
	phys_rte[gsi] |= IOAPIC_RTE_MASKED;
}

uint32_t ioapic_gsi_count(void)
{
	return TEST_PINS;
}

static int add_region(struct vm *vm, const struct region *r)
{
	for (uint32_t i = 0; i < MAX_REGIONS; i++) {
		if (!regions[vm->id][i].fn) {
			regions[vm->id][i] = *r;
			return 0;
		}
	}
	return -ENOSPC;
}

int vio_add_pio(struct vm *vm, uint16_t base, uint16_t count, io_handler_t fn, void *arg)
{
	return add_region(vm, &(struct region){base, count, fn, arg, true});
}

int vio_add_mmio(struct vm *vm, gpa_t base, uint64_t size, io_handler_t fn, void *arg)
{
	return add_region(vm, &(struct region){base.v, size, fn, arg, false});
}

void vmsr_intercept(struct vm *vm, uint32_t msr, bool read, bool write)
{
	msr_bitmap[vm->id][0][msr] = read;
	msr_bitmap[vm->id][1][msr] = write;
}

bool msr_exits(uint32_t vm, uint32_t msr, bool write)
{
	return msr_bitmap[vm][write ? 1 : 0][msr] != 0;
}

static uint32_t vm_of_ept(const struct ept *ept)
{
	return (uint32_t)(container_of(ept, struct vm, ept) - test_vms);
}

int ept_lookup(struct ept *ept, gpa_t gpa, hpa_t *hpa, uint64_t *left, uint64_t *attr)
{
	(void)left;
	(void)attr;
	assert_int_equal(gpa.v, APIC_DEFAULT_BASE);
	hpa->v = ept_apic_page[vm_of_ept(ept)];
	return hpa->v ? 0 : -ENOENT;
}

int ept_map(struct ept *ept, gpa_t gpa, hpa_t hpa, uint64_t size, uint64_t attr)
{
	assert_int_equal(gpa.v, APIC_DEFAULT_BASE);
	assert_int_equal(size, PAGE_SIZE);
	assert_int_equal(attr & EPT_EXEC, 0);
	ept_apic_page[vm_of_ept(ept)] = hpa.v;
	return 0;
}

int ept_unmap(struct ept *ept, gpa_t gpa, uint64_t size)
{
	(void)gpa;
	(void)size;
	ept_apic_page[vm_of_ept(ept)] = 0;
	return 0;
}

void ept_flush(struct ept *ept)
{
	(void)ept;
}

void inst_emulate(struct vcpu *vcpu, gpa_t gpa, bool write)
{
	(void)vcpu;
	(void)gpa;
	(void)write;
	test_emulated++;
}

/* --- what tests call --- */

static const struct msr_range *msr_range(uint32_t msr)
{
	for (const struct msr_range *r = __start_hv_vmsrs; r < __stop_hv_vmsrs; r++) {
		if (msr >= r->first && msr <= r->last)
			return r;
	}
	return NULL;
}

int rdmsr(struct vcpu *vcpu, uint32_t msr, uint64_t *val)
{
	return msr_range(msr)->read(vcpu, msr, val);
}

int wrmsr(struct vcpu *vcpu, uint32_t msr, uint64_t val)
{
	return msr_range(msr)->write(vcpu, msr, val);
}

static void access_io(struct vcpu *vcpu, struct io_access *io)
{
	for (uint32_t i = 0; i < MAX_REGIONS; i++) {
		const struct region *r = &regions[vcpu->vm->id][i];

		if (r->fn && r->pio == (io->kind == IO_PIO) && io->addr >= r->base &&
		    io->addr - r->base < r->size) {
			r->fn(vcpu, r->arg, io);
			return;
		}
	}
	fail();
}

static uint64_t width_mask(uint8_t width)
{
	return width == 8U ? UINT64_MAX : BIT(width * 8U) - 1U;
}

uint64_t mmio_get(struct vcpu *vcpu, uint64_t addr, uint8_t width)
{
	struct io_access io = {.kind = IO_MMIO, .width = width, .addr = addr, .value = 0x5A5A5A5A};

	access_io(vcpu, &io);
	return io.value & width_mask(width);
}

void mmio_put(struct vcpu *vcpu, uint64_t addr, uint8_t width, uint64_t val)
{
	struct io_access io = {.kind = IO_MMIO, .write = true, .width = width, .addr = addr,
			       .value = val & width_mask(width)};

	access_io(vcpu, &io);
}

uint32_t port_get(struct vcpu *vcpu, uint16_t port)
{
	struct io_access io = {.kind = IO_PIO, .width = 1, .addr = port};

	access_io(vcpu, &io);
	return (uint32_t)io.value & 0xFFU;
}

void port_put(struct vcpu *vcpu, uint16_t port, uint8_t val)
{
	struct io_access io = {.kind = IO_PIO, .write = true, .width = 1, .addr = port,
			       .value = val};

	access_io(vcpu, &io);
}

uint32_t apic_get(struct vcpu *vcpu, uint32_t offset)
{
	return (uint32_t)mmio_get(vcpu, APIC_DEFAULT_BASE + offset, 4);
}

void apic_put(struct vcpu *vcpu, uint32_t offset, uint32_t val)
{
	mmio_put(vcpu, APIC_DEFAULT_BASE + offset, 4, val);
}

uint64_t x2_get(struct vcpu *vcpu, uint32_t offset)
{
	uint64_t val;

	assert_int_equal(rdmsr(vcpu, MSR_X2APIC_FIRST + offset / 16U, &val), 0);
	return val;
}

void x2_put(struct vcpu *vcpu, uint32_t offset, uint64_t val)
{
	assert_int_equal(wrmsr(vcpu, MSR_X2APIC_FIRST + offset / 16U, val), 0);
}

void x2apic_on(struct vcpu *vcpu)
{
	uint64_t base;

	assert_int_equal(rdmsr(vcpu, MSR_APIC_BASE, &base), 0);
	assert_int_equal(wrmsr(vcpu, MSR_APIC_BASE, base | APIC_BASE_X2APIC | APIC_BASE_ENABLE), 0);
}

void vm_exit(struct vcpu *vcpu, uint32_t reason, uint64_t qualification)
{
	fake_vmcs[VMCS_EXIT_QUALIFICATION] = qualification;
	for (const struct vmexit_entry *e = __start_hv_vmexits; e < __stop_hv_vmexits; e++) {
		if (e->reason == reason) {
			e->fn(vcpu);
			return;
		}
	}
	fail();
}

int vm_enter(struct vcpu *vcpu)
{
	uint64_t info;

	test_cpu(vcpu->pcpu->id);
	fake_vmcs[VMCS_ENTRY_INTR_INFO] = 0;
	if ((vcpu->proc_ctrl & PROC_INTR_WINDOW) != 0 &&
	    (fake_vmcs[VMCS_GUEST_RFLAGS] & RFLAGS_IF) != 0 &&
	    fake_vmcs[VMCS_GUEST_INTERRUPTIBILITY] == 0)
		vm_exit(vcpu, EXIT_INTR_WINDOW, 0);
	while (atomic_xchg64(&vcpu->requests, 0) != 0)
		vcpu->vm->vintr->inject(vcpu);
	info = fake_vmcs[VMCS_ENTRY_INTR_INFO];
	return (info & INTR_INFO_VALID) != 0U ? (int)INTR_INFO_VECTOR(info) : -1;
}
