// SPDX-License-Identifier: BSD-3-Clause
/* See vfunc_machine.h. */
#include "hv/acpi.h"
#include "hv/caps.h"
#include "hv/pcpu.h"
#include "hv/vintr.h"
#include "hv/vmcs.h"
#include "vfunc_machine.h"

bool (*vm_shows)(const struct vm *vm, gpa_t gpa, hpa_t hpa, uint64_t size);

struct vm service, user;
struct vcpu service_cpu, user_cpu;
uint8_t *share;
bool only_shown;
struct acpi_facts acpi_facts;
struct e820 host_e820;

struct vfunc_seen seen;
struct vfunc_msi msi;
static struct vintr_ops ops;

static int fn_init(struct vfunc *f, const struct vfunc_args *args)
{
	(void)args;
	seen.inits++;
	seen.f = f;
	vfunc_bar_trap(f, 0, PAGE_SIZE);
	vfunc_msix(f, 1, 4);
	if (only_shown)
		vfunc_bar_show(f, 2, SHARE, ptr_hpa(share));
	else
		vfunc_bar_memory(f, 2, SHARE, ptr_hpa(share));
	vfunc_set_priv(f, &seen);
	return seen.result;
}

static void fn_reset(struct vfunc *f)
{
	assert_ptr_equal(vfunc_priv(f), &seen);
	seen.resets++;
}

static void fn_deinit(struct vfunc *f)
{
	assert_ptr_equal(vfunc_priv(f), &seen);
	seen.deinits++;
}

static void fn_access(struct vfunc *f, uint32_t bar, uint64_t offset, struct io_access *io)
{
	(void)f;
	seen.accesses++;
	seen.bar = bar;
	seen.offset = offset;
	seen.io = *io;
	if (!io->write)
		io->value = 0x1234;
}

VFUNC(test, .name = "test", .vendor = 0x1AF4, .device = 0x10F0, .sub_vendor = 1, .sub_device = 2,
      .class_rev = 0x05000001, .init = fn_init, .reset = fn_reset, .deinit = fn_deinit,
      .access = fn_access);

/* --- what lies below --- */

bool cap_has(enum cpu_cap cap)
{
	(void)cap;
	return true;
}

void vmx_invept(uint64_t eptp)
{
	(void)eptp;
}

void smp_call(struct pcpu *p, void (*fn)(void *arg), void *arg)
{
	(void)p;
	fn(arg);
}

bool e820_is_ram(const struct e820 *map, uint64_t base, uint64_t size)
{
	(void)map;
	(void)base;
	(void)size;
	return false;
}

uint64_t e820_top(const struct e820 *map)
{
	(void)map;
	return GB(4);
}

void hostmm_map_uc(hpa_t base, size_t size)
{
	(void)base;
	(void)size;
}

int vintr_msi(struct vm *vm, uint64_t addr, uint32_t data)
{
	msi.count++;
	msi.vm = vm;
	msi.addr = addr;
	msi.data = data;
	return 0;
}

/* The machine has functions at 00:00.0, 00:1f.3 and 00:1e.7. */
static uint32_t phys_latch;

static uint32_t bus_io(uint16_t port, uint32_t width, bool write, uint32_t val)
{
	uint32_t bdf = (phys_latch >> 8) & 0xFFFFU;

	(void)width;
	if (port == 0xCF8U) {
		phys_latch = val;
		return 0;
	}
	assert_false(write);
	return (bdf == 0 || bdf == 0xFB || bdf == 0xF7) ? 0x12378086U : UINT32_MAX;
}

static void fallback(struct vcpu *vcpu, struct io_access *io)
{
	(void)vcpu;
	io->value = 0xDEADBEEF;
}

static void vm_make(struct vm *vm, struct vcpu *cpu, enum vm_load_order order)
{
	memset(vm, 0, sizeof(*vm));
	memset(cpu, 0, sizeof(*cpu));
	strcpy(vm->name, order == SERVICE_VM ? "service" : "user");
	vm->load_order = order;
	vm->vintr = &ops;
	vm->io_fallback = fallback;
	cpu->vm = vm;
	assert_int_equal(ept_init(&vm->ept), 0);
	assert_int_equal(unit_vm_init(vm), 0);
	vm->ept.cpus = 1;
}

int vfunc_setup(void **state)
{
	(void)state;
	fake_machine_reset();
	fake_pio_hook(0xCF8, 8, bus_io);
	memset(&seen, 0, sizeof(seen));
	memset(&msi, 0, sizeof(msi));
	share = aligned_alloc(PAGE_SIZE_2M, SHARE);
	memset(share, 0, SHARE);
	assert_int_equal(unit_boot(), 0);
	vm_make(&service, &service_cpu, SERVICE_VM);
	assert_int_equal(ept_map(&service.ept, GPA(0), HPA(0), GB(512), EPT_RWX | EPT_MT_UC), 0);
	assert_int_equal(ept_map(&service.ept, GPA(0), HPA(0), RAM, EPT_RWX | EPT_MT_WB), 0);
	assert_int_equal(ept_unmap(&service.ept, GPA(RAM), MB(16)), 0);
	vm_make(&user, &user_cpu, POST_LAUNCHED_VM);
	assert_int_equal(ept_map(&user.ept, GPA(0), HPA(MB(64)), USER_RAM, EPT_RWX | EPT_MT_WB), 0);
	return 0;
}

int vfunc_teardown(void **state)
{
	(void)state;
	unit_vm_deinit(&user);
	ept_destroy(&user.ept);
	unit_vm_deinit(&service);
	ept_destroy(&service.ept);
	assert_int_equal(page_pool.used, 0);
	assert_int_equal(seen.inits - seen.deinits, seen.result != 0 ? seen.inits : 0);
	free(share);
	return 0;
}

struct io_access go(struct vm *vm, struct io_access io)
{
	vio_dispatch(vm == &service ? &service_cpu : &user_cpu, &io);
	return io;
}

static uint64_t cfg_port(struct vm *vm, uint32_t bdf, uint32_t reg)
{
	(void)go(vm, (struct io_access){IO_PIO, true, 4, 0xCF8, BIT32(31) | bdf << 8 | (reg & 0xFCU)});
	return 0xCFCU + (reg & 3U);
}

void cfg_write(struct vm *vm, uint32_t bdf, uint32_t reg, uint8_t width, uint32_t val)
{
	(void)go(vm, (struct io_access){IO_PIO, true, width, cfg_port(vm, bdf, reg), val});
}

uint32_t cfg_read(struct vm *vm, uint32_t bdf, uint32_t reg, uint8_t width)
{
	struct io_access io = go(vm, (struct io_access){IO_PIO, false, width, cfg_port(vm, bdf, reg), 0});

	return (uint32_t)(width == 4U ? io.value : io.value & (BIT(width * 8U) - 1U));
}

uint64_t mem_read(struct vm *vm, uint64_t at, uint8_t width)
{
	return go(vm, (struct io_access){IO_MMIO, false, width, at, 0}).value;
}

void mem_write(struct vm *vm, uint64_t at, uint8_t width, uint64_t val)
{
	(void)go(vm, (struct io_access){IO_MMIO, true, width, at, val});
}

uint64_t mapped(struct vm *vm, uint64_t gpa, uint64_t *hpa)
{
	uint64_t attr;
	hpa_t at;

	if (ept_lookup(&vm->ept, GPA(gpa), &at, NULL, &attr) != 0)
		return 0;
	if (hpa)
		*hpa = at.v;
	return attr;
}
