// SPDX-License-Identifier: BSD-3-Clause
/*
 * The machine under the tests of guest/ and vpci/: see guest_machine.h.  Stands in for what is
 * below those files (EPT, scheduler, host memory map) with the least that lets them show what they
 * do; called by the tests only.
 */
#include <stdlib.h>
#include <string.h>

#include "guest_machine.h"
#include "hv/acpi.h"
#include "hv/cpu.h"
#include "hv/ept.h"
#include "hv/mm.h"
#include "hv/vmcs.h"
#include "hv/vmexit.h"

bool (*vm_shows)(const struct vm *vm, gpa_t gpa, hpa_t hpa, uint64_t size);

extern const struct vmexit_entry __start_hv_vmexits[], __stop_hv_vmexits[];

#define RAM_PAGES (TEST_RAM / PAGE_SIZE)

const struct board_config board_config = {.version = "0123456789abcdef-dirty"};

static struct vm machine_vms[TEST_VMS];
static struct vcpu vcpus[TEST_VMS][TEST_VCPUS];
static uint8_t *ram[TEST_VMS];
static uint64_t ram_attr[TEST_VMS][RAM_PAGES];
static bool caps[CAP_COUNT];
static uint64_t rip_seen;

uint32_t test_elements;
uint32_t test_ept_flushes, test_ept_unmaps, test_ept_maps;
uint64_t test_ept_last;
uint64_t test_device;
static bool device_page[TEST_DEVICE_PAGES];
uint32_t test_fallbacks, test_triple_faults;
uint64_t test_fallback_value;
struct test_io test_io[TEST_IO_LOG];
struct e820 host_e820;
struct acpi_facts acpi_facts;

static uint64_t test_cr8;

static uint64_t cr8_get(struct vcpu *vcpu)
{
	(void)vcpu;
	return test_cr8;
}

static void cr8_set(struct vcpu *vcpu, uint64_t val)
{
	(void)vcpu;
	test_cr8 = val;
}

static struct vintr_ops vintr = {.cr8 = cr8_get, .set_cr8 = cr8_set};

static void fallback(struct vcpu *vcpu, struct io_access *io)
{
	struct test_io *t = &test_io[test_fallbacks++ % TEST_IO_LOG];

	(void)vcpu;
	t->kind = (int)io->kind;
	t->write = io->write;
	t->width = io->width;
	t->addr = io->addr;
	t->value = io->value;
	if (!io->write)
		io->value = test_fallback_value;
}

static void triple_fault(struct vcpu *vcpu)
{
	(void)vcpu;
	test_triple_faults++;
}

static void processor(void)
{
	fake_cpuid_set(0, 0, 0x16, 0x756E6547, 0x6C65746E, 0x49656E69);
	fake_cpuid_set(1, 0, 0x50654, 0x00100800, 0x7FFEFBFF, 0xBFEBFBFF);
	fake_cpuid_set(2, 0, 0x76036301, 0x00F0B5FF, 0, 0x00C30000);
	fake_cpuid_set(4, 0, 0x1C004121, 0x01C0003F, 0x3F, 0);
	fake_cpuid_set(4, 1, 0x1C004122, 0x01C0003F, 0x3F, 0);
	fake_cpuid_set(4, 2, 0x1C03C163, 0x0280003F, 0x3FFF, 4);
	fake_cpuid_set(5, 0, 0x40, 0x40, 3, 0x2020);
	fake_cpuid_set(6, 0, 0x77, 2, 9, 0);
	fake_cpuid_set(7, 0, 1, 0xD39FFFFF, 0xFFFFFFFF, 0xFFFFFFFF);
	fake_cpuid_set(7, 1, 0xFFFFFFFF, 0xFFFFFFFF, 0, 0);
	fake_cpuid_set(0xA, 0, 0x07300404, 0, 0, 0x603);
	fake_cpuid_set(0xB, 0, 1, 2, 0x100, 6);
	fake_cpuid_set(0xD, 0, 0x2FF, 0xA88, 0xA88, 0);
	fake_cpuid_set(0xD, 1, 0xF, 0xA08, 0x100, 0);
	fake_cpuid_set(0xD, 2, 0x100, 0x240, 0, 0);
	fake_cpuid_set(0xD, 5, 0x40, 0x440, 0, 0);
	fake_cpuid_set(0xD, 6, 0x200, 0x480, 0, 0);
	fake_cpuid_set(0xD, 7, 0x400, 0x680, 0, 0);
	fake_cpuid_set(0xD, 9, 8, 0xA80, 0, 0);
	fake_cpuid_set(0x14, 0, 1, 0xF, 7, 0);
	fake_cpuid_set(0x80000000, 0, 0x80000008, 0, 0, 0);
	fake_cpuid_set(0x80000001, 0, 0, 0, 0xFFFFFFFF, 0xFFFFFFFF);
	fake_cpuid_set(0x80000007, 0, 0, 0, 0, 0xFFFFFFFF);
	fake_cpuid_set(0x80000008, 0, 0x3027, 0xFFFFFFFF, 0, 0); /* 39 and 48 bits */
	for (uint32_t msr = MSR_STAR; msr <= MSR_FMASK; msr++)
		fake_msr_set(msr, 0);
	fake_msr_set(MSR_KERNEL_GS_BASE, 0);
	fake_msr_set(MSR_TSC_AUX, 0);
	fake_msr_set(MSR_SPEC_CTRL, 0);
	fake_msr_set(MSR_XSS, 0);
	fake_msr_set(MSR_ARCH_CAPABILITIES, UINT64_MAX);
	fake_cr[4] = CR4_MCE | CR4_VMXE;
	fake_xcr0 = 0x2FF;
}

static void vm_make(uint32_t n)
{
	struct vm *vm = &machine_vms[n];

	memset(vm, 0, sizeof(*vm));
	vm->id = (uint16_t)n;
	vm->load_order = n == 0U ? SERVICE_VM : POST_LAUNCHED_VM;
	vm->hypercalls = n == 0U;
	vm->vintr = &vintr;
	vm->io_fallback = fallback;
	vm->on_triple_fault = triple_fault;
	ram[n] = aligned_alloc(PAGE_SIZE, TEST_RAM);
	memset(ram[n], 0, TEST_RAM);
	for (uint32_t i = 0; i < RAM_PAGES; i++)
		ram_attr[n][i] = EPT_RWX | EPT_MT_WB;
	assert_int_equal(unit_vm_init(vm), 0);
	for (uint16_t i = 0; i < TEST_VCPUS; i++) {
		struct vcpu *vcpu = &vcpus[n][i];

		memset(vcpu, 0, sizeof(*vcpu));
		vcpu->vm = vm;
		vcpu->id = i;
		vcpu->apic_id = n == 0U ? 2U * i : i;
		vcpu->pcpu = &pcpus[i];
		vcpu->state = VCPU_RUNNING;
		vm->vcpus[i] = vcpu;
		vm->vcpu_count = (uint16_t)(i + 1U);
		assert_int_equal(unit_vcpu_init(vcpu), 0);
	}
	vm->state = VM_RUNNING;
}

void guest_start(const enum cpu_cap *without)
{
	fake_machine_reset();
	processor();
	for (uint32_t i = 0; i < CAP_COUNT; i++)
		caps[i] = true;
	for (; without && *without != CAP_COUNT; without++)
		caps[*without] = false;
	test_elements = 0;
	test_ept_flushes = test_ept_unmaps = test_ept_maps = 0;
	test_fallbacks = test_triple_faults = 0;
	test_fallback_value = UINT64_MAX;
	memset(test_io, 0, sizeof(test_io));
	test_cr8 = 0;
	test_device = 0;
	memset(device_page, 1, sizeof(device_page));
	assert_int_equal(unit_boot(), 0);
	for (uint32_t n = 0; n < TEST_VMS; n++)
		vm_make(n);
	for (uint32_t n = TEST_VMS; n-- > 0U;) {
		for (uint32_t i = TEST_VCPUS; i-- > 0U;) {
			vmcs_write(VMCS_GUEST_CR0, CR0_ET);
			unit_vcpu_reset(&vcpus[n][i]);
			vcpus[n][i].requests = 0;
		}
	}
	mode_long64();
	fake_log_lines = 0;
}

void guest_stop(void)
{
	for (uint32_t n = 0; n < TEST_VMS; n++) {
		for (uint32_t i = 0; i < TEST_VCPUS; i++)
			unit_vcpu_deinit(&vcpus[n][i]);
		unit_vm_deinit(&machine_vms[n]);
		free(ram[n]);
	}
	assert_int_equal(page_pool.used, 0);
	assert_int_equal(fake_msr_gp, 0); /* no MSR was touched that the processor lacks */
}

int guest_setup(void **state)
{
	(void)state;
	guest_start(NULL);
	return 0;
}

int guest_teardown(void **state)
{
	(void)state;
	guest_stop();
	return 0;
}

struct vm *test_vm(uint32_t n)
{
	return &machine_vms[n];
}

struct vcpu *test_vcpu(uint32_t vm, uint32_t id)
{
	return &vcpus[vm][id];
}

uint8_t *test_ram(struct vm *vm, uint64_t gpa)
{
	assert_true(gpa < TEST_RAM);
	return ram[vm->id] + gpa;
}

void test_ept_attr(struct vm *vm, uint64_t gpa, uint64_t attr)
{
	assert_true(gpa < TEST_RAM);
	ram_attr[vm->id][gpa / PAGE_SIZE] = attr;
	vm->ept.changes++;
}

void test_exit(struct vcpu *vcpu, uint32_t reason)
{
	rip_seen = vmcs_read(VMCS_GUEST_RIP);
	for (const struct vmexit_entry *e = __start_hv_vmexits; e < __stop_hv_vmexits; e++) {
		if (e->reason == reason) {
			e->fn(vcpu);
			return;
		}
	}
	fail_msg("no handler for exit %u", reason);
}

void expect_exception(struct vcpu *vcpu, uint8_t vector, uint32_t error)
{
	assert_true((vcpu->requests & REQ_EXCEPTION) != 0U);
	assert_int_equal(vcpu->event.exception, vector);
	assert_int_equal(vcpu->event.error, error);
	assert_int_equal(vmcs_read(VMCS_GUEST_RIP), rip_seen);
	vcpu->requests &= ~REQ_EXCEPTION;
}

void expect_skip(uint64_t len)
{
	assert_int_equal(vmcs_read(VMCS_GUEST_RIP), rip_seen + len);
}

void expect_stay(struct vcpu *vcpu)
{
	assert_int_equal(vcpu->requests & REQ_EXCEPTION, 0);
	assert_int_equal(vmcs_read(VMCS_GUEST_RIP), rip_seen);
}

void mode_real(void)
{
	fake_vmcs[VMCS_GUEST_CR0] = CR0_ET | CR0_NE;
	fake_vmcs[VMCS_CR0_SHADOW] = CR0_ET;
	fake_vmcs[VMCS_GUEST_CR4] = CR4_VMXE;
	fake_vmcs[VMCS_CR4_SHADOW] = 0;
	fake_vmcs[VMCS_GUEST_EFER] = 0;
	fake_vmcs[VMCS_GUEST_RFLAGS] = RFLAGS_FIXED;
	for (uint32_t i = 0; i < 6U; i++) {
		fake_vmcs[VMCS_GUEST_ES_BASE + 2U * i] = 0;
		fake_vmcs[VMCS_GUEST_ES_LIMIT + 2U * i] = 0xFFFF;
		fake_vmcs[VMCS_GUEST_ES_AR + 2U * i] = 0x93;
	}
	fake_vmcs[VMCS_GUEST_CS_AR] = 0x9B;
	fake_vmcs[VMCS_GUEST_TR_AR] = 0x8B;
	fake_vmcs[VMCS_GUEST_RIP] = 0x7C00;
}

void mode_protected32(void)
{
	mode_real();
	fake_vmcs[VMCS_GUEST_CR0] |= CR0_PE;
	fake_vmcs[VMCS_CR0_SHADOW] |= CR0_PE;
	for (uint32_t i = 0; i < 6U; i++) {
		fake_vmcs[VMCS_GUEST_ES_LIMIT + 2U * i] = UINT32_MAX;
		fake_vmcs[VMCS_GUEST_ES_AR + 2U * i] = 0xC093;
	}
	fake_vmcs[VMCS_GUEST_CS_AR] = 0xC09B;
}

/* Identity-mapped by 2 MB pages: PML4 at 0x1000, PDPT at 0x2000, PD at 0x3000, all rights. */
void mode_long64(void)
{
	mode_protected32();
	for (uint32_t n = 0; n < TEST_VMS; n++) {
		const uint64_t pml4e = 0x2000 | 0x27, pdpte = 0x3000 | 0x27, pde = 0xE7;

		memcpy(ram[n] + 0x1000, &pml4e, 8);
		memcpy(ram[n] + 0x2000, &pdpte, 8);
		memcpy(ram[n] + 0x3000, &pde, 8);
	}
	fake_vmcs[VMCS_GUEST_CR0] |= CR0_PG | CR0_WP;
	fake_vmcs[VMCS_CR0_SHADOW] |= CR0_PG;
	fake_vmcs[VMCS_GUEST_CR3] = 0x1000;
	fake_vmcs[VMCS_GUEST_CR4] |= CR4_PAE;
	fake_vmcs[VMCS_CR4_SHADOW] |= CR4_PAE;
	fake_vmcs[VMCS_GUEST_EFER] = EFER_LME | EFER_LMA | EFER_NXE;
	fake_vmcs[VMCS_ENTRY_CTRL] |= VMENTRY_IA32E;
	fake_vmcs[VMCS_GUEST_CS_AR] = 0xA09B;
}

bool msr_exits(const struct vm *vm, uint32_t msr, bool write)
{
	uint32_t at = (write ? 2048U : 0U) + (msr >= 0xC0000000U ? 1024U : 0U);

	if (msr >= 0x2000U && (msr < 0xC0000000U || msr >= 0xC0002000U))
		return true;
	msr &= 0x1FFFU;
	return (vm->msr_bitmap[at + msr / 8U] & (1U << (msr % 8U))) != 0U;
}

bool port_exits(const struct vm *vm, uint16_t port)
{
	return (vm->io_bitmap[port / 8U] & (1U << (port % 8U))) != 0U;
}

/* --- what the files under test call --- */

int vintr_msi(struct vm *vm, uint64_t addr, uint32_t data)
{
	(void)vm;
	(void)data;
	return (addr >> 20) == 0xFEEU ? 0 : -EINVAL;
}

bool cap_has(enum cpu_cap cap)
{
	return caps[cap];
}

int ept_lookup(struct ept *ept, gpa_t gpa, hpa_t *hpa, uint64_t *left, uint64_t *attr)
{
	const struct vm *vm = container_of(ept, struct vm, ept);
	uint64_t a, page = (gpa.v - test_device) / PAGE_SIZE;

	if (test_device != 0U && vm->id == 0U && page < TEST_DEVICE_PAGES && device_page[page]) {
		*hpa = HPA(gpa.v);
		*left = PAGE_SIZE - (gpa.v & ~PAGE_MASK);
		*attr = EPT_RWX | EPT_MT_UC;
		return 0;
	}
	if (left)
		*left = PAGE_SIZE - (gpa.v & ~PAGE_MASK);
	if (gpa.v >= TEST_RAM) {
		if (left && test_device == 0U)
			*left = BIT(48) - gpa.v;
		return -ENOENT;
	}
	a = ram_attr[vm->id][gpa.v / PAGE_SIZE];
	if ((a & EPT_RWX) == 0U)
		return -ENOENT;
	*hpa = HPA((uintptr_t)ram[vm->id] + gpa.v);
	if (attr)
		*attr = a;
	return 0;
}

static void map_device(uint64_t gpa, uint64_t size, bool map)
{
	for (uint64_t i = 0; i < TEST_DEVICE_PAGES; i++) {
		if (test_device != 0U && test_device + i * PAGE_SIZE - gpa < size)
			device_page[i] = map;
	}
}

int ept_map(struct ept *ept, gpa_t gpa, hpa_t hpa, uint64_t size, uint64_t attr)
{
	(void)ept;
	(void)hpa;
	(void)attr;
	map_device(gpa.v, size, true);
	test_ept_maps++;
	test_ept_last = gpa.v;
	return 0;
}

int ept_unmap(struct ept *ept, gpa_t gpa, uint64_t size)
{
	(void)ept;
	map_device(gpa.v, size, false);
	test_ept_unmaps++;
	test_ept_last = gpa.v;
	return 0;
}

void ept_flush(struct ept *ept)
{
	(void)ept;
	test_ept_flushes++;
}

/* Memory of the test that is not mapped write-back is a device. */
bool e820_is_ram(const struct e820 *map, uint64_t base, uint64_t size)
{
	(void)map;
	(void)base;
	(void)size;
	return false;
}

/* An HPA is a pointer of the test program, so the machine's memory reaches that far. */
uint64_t e820_top(const struct e820 *map)
{
	(void)map;
	return 1UL << 47;
}

void hostmm_map_uc(hpa_t base, size_t size)
{
	(void)base;
	(void)size;
}

void nmi_exit(void)
{
	fake_log_lines += 100U;
}

void vcpu_request(struct vcpu *vcpu, uint64_t reqs)
{
	(void)atomic_or64(&vcpu->requests, reqs);
}

void vcpu_skip_by(struct vcpu *vcpu, uint32_t len)
{
	(void)vcpu;
	test_elements += len == 0U;
	vmcs_write(VMCS_GUEST_RIP, vmcs_read(VMCS_GUEST_RIP) + len);
}

void vcpu_skip(struct vcpu *vcpu)
{
	vcpu_skip_by(vcpu, vmcs_read32(VMCS_EXIT_INSN_LEN));
}

uint64_t vcpu_get_gpr(const struct vcpu *vcpu, uint32_t reg)
{
	return reg == GPR_RSP ? vmcs_read(VMCS_GUEST_RSP) : vcpu->gpr[reg];
}

void vcpu_set_gpr(struct vcpu *vcpu, uint32_t reg, uint64_t val)
{
	if (reg == GPR_RSP)
		vmcs_write(VMCS_GUEST_RSP, val);
	else
		vcpu->gpr[reg] = val;
}
