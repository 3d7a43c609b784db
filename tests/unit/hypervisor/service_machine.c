/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See service_machine.h.  Stands in for guest/vm.c, guest/gmem.c, arch/x86/vmx/ept.c and sched/,
 * with just enough behaviour for hypercalls to be judged by what they leave behind.
 */
#include <stdlib.h>
#include <string.h>

#include "service_machine.h"
#include "hv/vm_config.h"
#include "hv/vmexit.h"
#include "config.h"
#include "hv/boot.h"

#define PAGES 65536U
#define STATE_PAGES (TEST_RAM / PAGE_SIZE)

struct page {
	uint64_t gpa, hpa, attr;
	bool used;
};

static struct page (*pages)[PAGES]; /* by VM id; the lowest bits of the page number index */
static uint8_t *ram;
static struct vm slots[CONFIG_MAX_VM_NUM];
static struct vcpu vcpus[CONFIG_MAX_VM_NUM][VM_MAX_VCPUS];

struct vm *vms = slots;
void (*vm_check)(struct vm *held);
uint32_t test_uds, test_gps, test_skips, test_flushes, test_maps, test_maps_left;
io_handler_t test_pm1a, test_reset_port;
uint32_t test_ends;
uint32_t test_yields, test_frozen, test_msgs, test_gsi, test_gsi_op, test_msi_data;
uint64_t test_msi_addr;
const uint8_t *test_spoil;
struct vintr_msg test_msg;
struct vm *test_msg_vm;
struct vcpu *test_posted_to;
uint8_t test_posted;
struct thread *test_woken;
uint32_t test_ranks;
const char *test_inherit;
void (*test_on_block)(void);

uint64_t test_hv_page;
uint32_t test_vfuncs[CONFIG_MAX_VM_NUM];
struct vfunc_args test_vfunc_args;
bdf_t test_vfunc_bdf;

const struct vm_config vm_configs[] = {
	{.load_order = SERVICE_VM, .name = "Service", .severity = SEVERITY_SERVICE_VM,
	 .cpu_affinity = 3},
	{.load_order = POST_LAUNCHED_VM, .name = "static", .severity = SEVERITY_STANDARD_VM,
	 .cpu_affinity = 6, .bvt_weight = 1},
	{.load_order = POST_LAUNCHED_VM, .name = "rt", .severity = SEVERITY_RTVM,
	 .cpu_affinity = 8, .bvt_weight = 1},
	{.load_order = PRE_LAUNCHED_VM, .name = "safety", .severity = SEVERITY_SAFETY_VM,
	 .cpu_affinity = 8, .bvt_weight = 1},
};
const uint16_t vm_config_count = ARRAY_SIZE(vm_configs);

extern const struct vmexit_entry __start_hv_vmexits[], __stop_hv_vmexits[];

/* EPT */

static struct page *page_of(struct ept *ept, uint64_t gpa)
{
	struct vm *vm = container_of(ept, struct vm, ept);

	return &pages[vm->id][(gpa >> PAGE_SHIFT) % PAGES];
}

int ept_map(struct ept *ept, gpa_t gpa, hpa_t hpa, uint64_t size, uint64_t attr)
{
	assert_int_equal((gpa.v | hpa.v | size) % PAGE_SIZE, 0);
	/* there is no other memory of the Service VM's, and no VM gets any else */
	assert_true(size != 0U &&
		    ((hpa.v - (uintptr_t)ram < TEST_RAM &&
		      size <= TEST_RAM - (hpa.v - (uintptr_t)ram)) ||
		     (hpa.v - TEST_DEVICE < 4U * PAGE_SIZE &&
		      size <= 4U * PAGE_SIZE - (hpa.v - TEST_DEVICE))));
	if (test_maps_left == 0U)
		return -ENOMEM;
	/* of pages a multiple of 256 MB apart this table has room for one */
	for (uint64_t at = 0; at < size; at += PAGE_SIZE) {
		const struct page *p = page_of(ept, gpa.v + at);

		if (p->used && p->gpa != gpa.v + at)
			return -ENOMEM;
	}
	test_maps_left--;
	test_maps++;
	for (uint64_t at = 0; at < size; at += PAGE_SIZE)
		*page_of(ept, gpa.v + at) = (struct page){gpa.v + at, hpa.v + at, attr, true};
	return 0;
}

int ept_unmap(struct ept *ept, gpa_t gpa, uint64_t size)
{
	for (uint64_t at = 0; at < size && at < PAGES * PAGE_SIZE; at += PAGE_SIZE) {
		struct page *p = page_of(ept, gpa.v + at);

		if (p->used && p->gpa == gpa.v + at)
			p->used = false;
	}
	return 0;
}

int ept_lookup(struct ept *ept, gpa_t gpa, hpa_t *hpa, uint64_t *left, uint64_t *attr)
{
	const struct page *p = page_of(ept, gpa.v);

	if (!p->used || p->gpa != ALIGN_DOWN(gpa.v, PAGE_SIZE))
		return -ENOENT;
	*hpa = HPA(p->hpa + gpa.v % PAGE_SIZE);
	if (left)
		*left = PAGE_SIZE - gpa.v % PAGE_SIZE;
	if (attr)
		*attr = p->attr;
	return 0;
}

void ept_flush(struct ept *ept)
{
	(void)ept;
	test_flushes++;
}

bool mapped(struct vm *vm, uint64_t gpa, uint64_t *hpa, uint64_t *attr)
{
	hpa_t h;
	uint64_t a;

	if (ept_lookup(&vm->ept, GPA(gpa), &h, NULL, &a) != 0)
		return false;
	if (hpa)
		*hpa = h.v;
	if (attr)
		*attr = a;
	return true;
}

bool gmem_is_device(struct vm *vm, gpa_t gpa, uint64_t size)
{
	for (uint64_t at = 0; at < size; at += PAGE_SIZE) {
		uint64_t attr;
		hpa_t hpa;

		if (ept_lookup(&vm->ept, GPA(gpa.v + at), &hpa, NULL, &attr) != 0 ||
		    hpa.v != gpa.v + at || (attr & (7UL << EPT_MT_SHIFT)) != EPT_MT_UC)
			return false;
	}
	return true;
}

static int copy(struct vm *vm, uint64_t gpa, uint8_t *buf, size_t len, bool write)
{
	for (size_t i = 0; i < len; i++) {
		hpa_t hpa;
		uint64_t attr;

		if (ept_lookup(&vm->ept, GPA(gpa + i), &hpa, NULL, &attr) != 0 ||
		    (attr & (7UL << EPT_MT_SHIFT)) != EPT_MT_WB)
			return -EFAULT;
		if (write)
			*(uint8_t *)hpa.v = buf[i];
		else
			buf[i] = *(uint8_t *)hpa.v;
	}
	return 0;
}

int gmem_read(struct vm *vm, gpa_t gpa, void *buf, size_t len)
{
	int ret = copy(vm, gpa.v, buf, len, false);

	if (ret == 0 && test_spoil != NULL)
		memset((void *)(page_of(&vm->ept, gpa.v)->hpa + gpa.v % PAGE_SIZE), *test_spoil, len);
	return ret;
}

int gmem_write(struct vm *vm, gpa_t gpa, const void *buf, size_t len)
{
	return copy(vm, gpa.v, (void *)(uintptr_t)buf, len, true);
}

/* VMs */

struct vm *vm_by_id(uint16_t id)
{
	return id < CONFIG_MAX_VM_NUM ? &slots[id] : NULL;
}

static void deliver(struct vm *vm, const struct vintr_msg *msg)
{
	test_msg = *msg;
	test_msg_vm = vm;
	test_msgs++;
}

static void post(struct vcpu *vcpu, uint8_t vector)
{
	test_posted_to = vcpu;
	test_posted = vector;
	test_msgs++;
}

static const struct vintr_ops ops = {.deliver = deliver, .post = post};

int vm_create(uint16_t id, const struct vm_create_args *args)
{
	struct vm *vm = &slots[id];

	assert_int_equal(vm->state, VM_POWERED_OFF);
	memset(vm, 0, sizeof(*vm));
	vm->id = id;
	strncpy(vm->name, args->name, sizeof(vm->name) - 1);
	vm->load_order = args->load_order;
	vm->severity = args->severity;
	vm->flags = args->flags;
	vm->config = args->config;
	vm->owner = args->owner;
	vm->vintr = &ops;
	/* hc_create_vm() holds the slot's lock; the memset opened it. */
	vm->lock.next = vm->owner ? 1U : 0U;
	for (uint16_t cpu = 0; cpu < pcpu_count; cpu++) {
		struct vcpu *v = &vcpus[id][vm->vcpu_count];

		if ((args->cpu_affinity & BIT(cpu)) == 0U)
			continue;
		memset(v, 0, sizeof(*v));
		v->vm = vm;
		v->id = vm->vcpu_count;
		v->pcpu = &pcpus[cpu];
		v->state = VCPU_RUNNING;
		v->apic_id = vm->owner ? v->id : pcpus[cpu].apic_id;
		v->thread.pcpu = v->pcpu;
		vm->ept.cpus |= BIT(cpu);
		vm->vcpus[vm->vcpu_count++] = v;
	}
	assert_true(vm->vcpu_count != 0U);
	if (unit_vm_init(vm) != 0)
		return -ENOMEM;
	vm->state = VM_CREATED;
	return 0;
}

int vm_start(struct vm *vm)
{
	if (vm->state != VM_CREATED && vm->state != VM_PAUSED)
		return -EINVAL;
	vm->state = VM_RUNNING;
	return 0;
}

int vm_pause(struct vm *vm)
{
	vm->state = VM_PAUSED;
	return 0;
}

int vm_reset(struct vm *vm)
{
	if (vm->state != VM_PAUSED)
		return -EINVAL;
	unit_vm_reset(vm);
	vm->state = VM_CREATED;
	return 0;
}

void vm_destroy(struct vm *vm)
{
	unit_vm_deinit(vm);
	memset(pages[vm->id], 0, sizeof(pages[0]));
	vm->state = VM_POWERED_OFF;
	vm->ept.cpus = 0;
	vm->vcpu_count = 0;
}

int vio_add_pio(struct vm *vm, uint16_t base, uint16_t count, io_handler_t fn, void *arg)
{
	(void)vm;
	(void)count;
	(void)arg;
	*(base == 0x404 ? &test_pm1a : &test_reset_port) = fn;
	return 0;
}

void vm_ended(void)
{
	test_ends++;
}

struct vcpu *vcpu_by_apic_id(struct vm *vm, uint32_t apic_id)
{
	for (uint16_t i = 0; i < vm->vcpu_count; i++) {
		if (vm->vcpus[i]->apic_id == apic_id)
			return vm->vcpus[i];
	}
	return NULL;
}

void vcpu_skip(struct vcpu *vcpu)
{
	(void)vcpu;
	test_skips++;
}

void vcpu_inject_ud(struct vcpu *vcpu)
{
	(void)vcpu;
	test_uds++;
}

void vcpu_inject_gp(struct vcpu *vcpu)
{
	(void)vcpu;
	test_gps++;
}

int vintr_set_gsi(struct vm *vm, uint32_t gsi, uint32_t op)
{
	test_msg_vm = vm;
	test_gsi = gsi;
	test_gsi_op = op;
	return gsi < 48U && op <= GSI_FALLING_PULSE ? 0 : -EINVAL;
}

int vintr_msi(struct vm *vm, uint64_t addr, uint32_t data)
{
	test_msg_vm = vm;
	test_msi_addr = addr;
	test_msi_data = data;
	return (addr >> 20) == 0xFEEU ? 0 : -EINVAL;
}

/* The scheduler */

void sched_block(void)
{
	assert_non_null(test_on_block);
	test_on_block();
}

void sched_poll(void)
{
	test_yields++;
	sched_block();
}

bool boot_option(const char *name, char *buf, size_t size)
{
	assert_string_equal(name, "inherit");
	if (test_inherit == NULL)
		return false;
	assert_true(strlen(test_inherit) < size);
	memcpy(buf, test_inherit, strlen(test_inherit) + 1U);
	return true;
}

void sched_set_rank(struct thread *t, uint32_t rank)
{
	t->rank = rank;
	test_ranks++;
}

void sched_wake(struct thread *t)
{
	test_woken = t;
}

void sched_stop(struct thread *t)
{
	t->frozen = true;
	test_frozen++;
}

void sched_retire(struct thread *t)
{
	sched_stop(t);
}

struct log_sink *test_log_sink;

void log_sink_add(struct log_sink *s)
{
	test_log_sink = s;
}

void smp_call_serve(void)
{
}

void smp_call(struct pcpu *p, void (*fn)(void *arg), void *arg)
{
	uint16_t cpu = fake_cpu;

	fake_cpu = p->id;
	fn(arg);
	fake_cpu = cpu;
}

/* The test's side */

bool hv_owns(hpa_t base, uint64_t size)
{
	uint64_t page = (uintptr_t)ram + test_hv_page;

	return test_hv_page != 0U && base.v < page + PAGE_SIZE && base.v + size > page;
}

static const struct vfunc_type vfunc_type = {.vendor = 0x1AF4, .device = 0x1110};

const struct vfunc_type *vfunc_type_find(uint16_t vendor, uint16_t device)
{
	return vendor == vfunc_type.vendor && device == vfunc_type.device ? &vfunc_type : NULL;
}

int vfunc_create(struct vm *vm, const struct vfunc_type *type, bdf_t bdf,
		 const struct vfunc_args *args)
{
	assert_ptr_equal(type, &vfunc_type);
	assert_int_equal(vm->state, VM_CREATED);
	test_vfuncs[vm->id]++;
	test_vfunc_args = *args;
	test_vfunc_bdf = bdf;
	return 0;
}

int vfunc_destroy(struct vm *vm, const struct vfunc_type *type, bdf_t bdf)
{
	(void)bdf;
	assert_ptr_equal(type, &vfunc_type);
	assert_true(vm->state == VM_CREATED || vm->state == VM_PAUSED);
	if (test_vfuncs[vm->id] == 0U)
		return -ENODEV;
	test_vfuncs[vm->id]--;
	return 0;
}

struct service_state {
	uint32_t vfuncs[CONFIG_MAX_VM_NUM];
	struct vm slots[CONFIG_MAX_VM_NUM];
	struct vcpu vcpus[CONFIG_MAX_VM_NUM][VM_MAX_VCPUS];
	struct page pages[CONFIG_MAX_VM_NUM][STATE_PAGES];
	uint32_t events[6];
	uint8_t ram[TEST_RAM];
};

struct service_state *service_state(void)
{
	struct service_state *s = calloc(1, sizeof(*s));
	const uint32_t events[] = {test_frozen, test_msgs, test_yields, test_uds, test_gps,
				   page_pool.used};

	memcpy(s->slots, slots, sizeof(slots));
	memcpy(s->vcpus, vcpus, sizeof(vcpus));
	memset(s->vcpus[TEST_SERVICE_ID][0].gpr, 0, sizeof(s->vcpus[0][0].gpr));
	for (uint32_t i = 0; i < CONFIG_MAX_VM_NUM; i++) {
		/* how often a lock was taken is no state */
		s->slots[i].lock = (spinlock_t){0};
		for (uint32_t n = 0; n < STATE_PAGES; n++) {
			if (pages[i][n].used)
				s->pages[i][n] = pages[i][n];
		}
	}
	memcpy(s->vfuncs, test_vfuncs, sizeof(test_vfuncs));
	memcpy(s->events, events, sizeof(events));
	memcpy(s->ram, ram, TEST_RAM);
	return s;
}

bool service_state_same(struct service_state *before)
{
	struct service_state *now = service_state();
	bool same = memcmp(before, now, sizeof(*now)) == 0;

	free(now);
	free(before);
	return same;
}

struct vm *service(void)
{
	return &slots[TEST_SERVICE_ID];
}

void *service_ram(uint64_t gpa)
{
	assert_true(gpa < TEST_RAM);
	return ram + gpa;
}

int64_t hypercall(struct vm *vm, uint32_t nr, uint64_t arg1, uint64_t arg2)
{
	struct vcpu *v = vm->vcpus[0];

	v->gpr[GPR_R8] = 0x80000000UL + nr;
	v->gpr[GPR_RDI] = arg1;
	v->gpr[GPR_RSI] = arg2;
	v->gpr[GPR_RAX] = 0xDEADUL;
	for (const struct vmexit_entry *e = __start_hv_vmexits; e < __stop_hv_vmexits; e++) {
		if (e->reason == EXIT_VMCALL)
			e->fn(v);
	}
	/* whatever happened, no lock stays taken */
	for (uint16_t i = 0; i < CONFIG_MAX_VM_NUM; i++)
		assert_int_equal(slots[i].lock.next, slots[i].lock.owner);
	return (int64_t)v->gpr[GPR_RAX];
}

int64_t create_vm(const char *name)
{
	struct acrn_vm_creation *c = service_ram(0x1000);
	int64_t ret;

	memset(c, 0, sizeof(*c));
	strncpy((char *)c->name, name, ACRN_NAME_LEN);
	ret = hypercall(service(), HC_CREATE_VM, 0x1000, 0);
	return ret == 0 ? c->vmid : ret;
}

struct vm *user_vm(int64_t vmid)
{
	assert_in_range(vmid, 1, CONFIG_MAX_VM_NUM - 1);
	return &slots[TEST_SERVICE_ID + (uint64_t)vmid];
}

struct vm *start_vm(const char *name, uint64_t ioreq_gpa)
{
	int64_t id = create_vm(name);

	assert_true(id > 0);
	memcpy(service_ram(0x1000), &ioreq_gpa, sizeof(ioreq_gpa));
	assert_int_equal(hypercall(service(), HC_SET_IOREQ_BUFFER, (uint64_t)id, 0x1000), 0);
	assert_int_equal(hypercall(service(), HC_START_VM, (uint64_t)id, 0), 0);
	return user_vm(id);
}

int service_setup(void **state)
{
	test_hv_page = 0;
	memset(test_vfuncs, 0, sizeof(test_vfuncs));
	struct vm_create_args args = {.name = "Service",
				      .load_order = SERVICE_VM,
				      .severity = SEVERITY_SERVICE_VM,
				      .cpu_affinity = 3,
				      .config = &vm_configs[0]};

	(void)state;
	fake_machine_reset();
	pages = calloc(CONFIG_MAX_VM_NUM, sizeof(pages[0]));
	ram = aligned_alloc(PAGE_SIZE_2M, TEST_RAM);
	memset(ram, 0xA5, TEST_RAM);
	memset(slots, 0, sizeof(slots));
	for (uint16_t i = 0; i < CONFIG_MAX_VM_NUM; i++)
		slots[i].id = i;
	assert_int_equal(unit_boot(), 0);
	test_maps_left = UINT32_MAX;
	assert_int_equal(vm_create(TEST_SERVICE_ID, &args), 0);
	service()->hypercalls = true;
	service()->state = VM_RUNNING;
	ept_map(&service()->ept, GPA(0), ptr_hpa(ram), TEST_RAM, EPT_RWX | EPT_MT_WB);
	ept_map(&service()->ept, GPA(TEST_DEVICE), HPA(TEST_DEVICE), 4 * PAGE_SIZE,
		EPT_RWX | EPT_MT_UC);
	test_uds = test_gps = test_skips = test_flushes = test_maps = 0;
	test_yields = test_frozen = test_msgs = 0;
	test_woken = NULL;
	test_ranks = 0;
	test_msg_vm = NULL;
	test_posted_to = NULL;
	test_posted = 0;
	test_on_block = NULL;
	test_spoil = NULL;
	fake_vmcs[VMCS_GUEST_SS_AR] = 0xC093;
	return 0;
}

int service_teardown(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < CONFIG_MAX_VM_NUM; i++) {
		if (vm_is_live(&slots[i]))
			vm_destroy(&slots[i]);
	}
	free(ram);
	free(pages);
	return 0;
}
