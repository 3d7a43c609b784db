// SPDX-License-Identifier: BSD-3-Clause
/*
 * Shared memory: who gets a function and who is refused, what the registers say, and where the
 * doorbell rings: a peer, an absent one, one that left, one that is not named. The PCI side is
 * written down only; tests/unit/hypervisor/test_vfunc.c has it.
 */
// links: hypervisor/vpci/func/ivshmem.c hypervisor/guest/unit.c tests/fake/fake_string.c @machine
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "fake_machine.h"
#include "hv/boot.h"
#include "hv/mm.h"
#include "hv/unit.h"
#include "hv/vfunc.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "lib/errno.h"
#include "config.h"

#define BASE 0x100000000UL

const struct ivshmem_config ivshmem_configs[] = {
	{.name = "users", .size = MB(4), .vms = 0x6},
	{.name = "all", .size = MB(2), .vms = 0x7, .bdf = (const uint16_t[]){0x48, 0, 0}},
};
const uint16_t ivshmem_config_count = 2;
static const struct vm_config configs[3];

struct vfunc {
	struct vm *vm;
	void *priv;
	bdf_t bdf;
	uint64_t size;
	hpa_t memory;
	uint32_t vectors, raised, last;
};

static struct vm machine[4];
static struct vfunc made[8];
static uint32_t count;
static uint64_t shared_size;
static bool no_memory;
static const struct vfunc_type *type;

extern const struct vfunc_type __start_hv_vfuncs[], __stop_hv_vfuncs[];

const struct vfunc_type *vfunc_type_find(uint16_t vendor, uint16_t device)
{
	assert_int_equal(__stop_hv_vfuncs - __start_hv_vfuncs, 1);
	type = __start_hv_vfuncs;
	assert_int_equal(type->vendor, vendor);
	assert_int_equal(type->device, device);
	return type;
}

int vfunc_create(struct vm *vm, const struct vfunc_type *t, bdf_t bdf, const struct vfunc_args *args)
{
	int ret;

	memset(&made[count], 0, sizeof(made[0]));
	made[count].vm = vm;
	made[count].bdf = bdf;
	ret = t->init(&made[count], args);
	count += ret == 0 ? 1U : 0U;
	return ret;
}

void vfunc_bar_trap(struct vfunc *f, uint32_t bar, uint64_t size)
{
	(void)f;
	assert_int_equal(bar, 0);
	assert_int_equal(size, PAGE_SIZE);
}

void vfunc_bar_memory(struct vfunc *f, uint32_t bar, uint64_t size, hpa_t hpa)
{
	assert_int_equal(bar, 2);
	f->size = size;
	f->memory = hpa;
}

void vfunc_msix(struct vfunc *f, uint32_t bar, uint32_t vectors)
{
	assert_int_equal(bar, 1);
	f->vectors = vectors;
}

void vfunc_raise(struct vfunc *f, uint32_t vector)
{
	f->raised++;
	f->last = vector;
}

struct vm *vfunc_vm(const struct vfunc *f)
{
	return f->vm;
}

void *vfunc_priv(const struct vfunc *f)
{
	return f->priv;
}

void vfunc_set_priv(struct vfunc *f, void *priv)
{
	f->priv = priv;
}

void vfunc_create_at(struct vm *vm, const struct vfunc_type *t, bdf_t bdf,
		     const struct vfunc_args *args)
{
	(void)vfunc_create(vm, t, bdf, args);
}

int boot_alloc_shared(uint64_t size, hpa_t *base)
{
	shared_size = size;
	*base = HPA(BASE);
	return no_memory ? -ENOMEM : 0;
}

void report(const char *fmt, ...)
{
	(void)fmt;
}

static int setup(void **state)
{
	(void)state;
	fake_machine_reset();
	count = 0;
	no_memory = false;
	memset(machine, 0, sizeof(machine));
	for (uint16_t i = 0; i < 4; i++) {
		machine[i].id = i;
		machine[i].load_order = i == 0 ? SERVICE_VM : POST_LAUNCHED_VM;
		machine[i].config = i < 3 ? &configs[i] : NULL;
	}
	assert_int_equal(unit_boot(), 0);
	(void)vfunc_type_find(0x1AF4, 0x1110);
	return 0;
}

static int join(uint32_t vm, const char *name, uint32_t size)
{
	struct vfunc_args args = {.size = {0, 0, size}};

	strcpy(args.text, name);
	return vfunc_create(&machine[vm], type, 0x28, &args);
}

static uint64_t reg(struct vfunc *f, uint64_t offset, uint8_t width)
{
	struct io_access io = {.width = width, .value = UINT64_MAX};

	type->access(f, 0, offset, &io);
	return io.value;
}

static void put(struct vfunc *f, uint64_t offset, uint8_t width, uint64_t value)
{
	struct io_access io = {.write = true, .width = width, .value = value};

	type->access(f, 0, offset, &io);
}

/* Does each region have memory of its own, and the Service VM a function where it was asked for? */
static void test_regions(void **state)
{
	(void)state;
	assert_int_equal(shared_size, MB(6));
	assert_int_equal(unit_vm_init(&machine[0]), 0);
	assert_int_equal(count, 1); /* "users" is not its business */
	assert_int_equal(made[0].bdf, 0x48);
	assert_int_equal(made[0].size, MB(2));
	assert_int_equal(made[0].memory.v, BASE + MB(4));
	assert_int_equal(made[0].vectors, 8);
	assert_int_equal(unit_vm_init(&machine[1]), 0); /* User VMs get theirs by hypercall */
	assert_int_equal(count, 1);
	assert_int_equal(join(1, "hv:/users", MB(4)), 0);
	assert_int_equal(made[1].memory.v, BASE);
}

/* A wrong name, size or VM, and a second time: refused with a line that says why. */
static void test_refused(void **state)
{
	(void)state;
	assert_int_equal(join(1, "hv:/nobody", 0), -ENOENT);
	assert_int_equal(join(1, "hv:/al", 0), -ENOENT);
	assert_int_equal(join(1, "dm:/all", 0), -ENOENT);
	assert_int_equal(join(1, "", 0), -ENOENT);
	assert_int_equal(join(1, "hv:/all", MB(4)), -EINVAL);
	assert_int_equal(join(3, "hv:/all", MB(2)), -EPERM);	/* no VM of the scenario */
	assert_int_equal(join(0, "hv:/users", MB(4)), -EPERM); /* not named */
	assert_int_equal(vfunc_create(&machine[1], type, 0x28, NULL), -EINVAL);
	assert_int_equal(fake_log_lines, 7);
	assert_int_equal(join(1, "hv:/all", 0), 0);
	assert_int_equal(join(1, "hv:/all", 0), -EEXIST);
	type->deinit(&made[0]);
	assert_int_equal(join(1, "hv:/all", 0), 0);
}

/* The registers, 32 bits wide and nothing else. */
static void test_registers(void **state)
{
	struct vfunc *f = &made[0];

	(void)state;
	assert_int_equal(join(2, "hv:/all", 0), 0);
	assert_int_equal(reg(f, 8, 4), 2);
	put(f, 8, 4, 7);
	assert_int_equal(reg(f, 8, 4), 2);
	put(f, 0, 4, 0x55);
	assert_int_equal(reg(f, 0, 4), 0x55);
	type->reset(f);
	assert_int_equal(reg(f, 0, 4), 0);
	assert_int_equal(reg(f, 4, 4), 0);
	assert_int_equal(reg(f, 0xC, 4), 0);
	assert_int_equal(reg(f, 0x10, 4), UINT64_MAX);
	assert_int_equal(reg(f, 8, 8), UINT64_MAX);
	assert_int_equal(reg(f, 9, 1), UINT64_MAX);
	put(f, 0xC, 8, 2U << 16);
	put(f, 0xE, 2, 2);
	assert_int_equal(f->raised, 0);
}

/* Where does the doorbell ring? */
static void test_doorbell(void **state)
{
	struct vfunc *one = &made[0], *two = &made[1], *other = &made[2];

	(void)state;
	assert_int_equal(join(1, "hv:/all", 0), 0);
	assert_int_equal(join(2, "hv:/all", 0), 0);
	assert_int_equal(join(2, "hv:/users", 0), 0);
	put(one, 0xC, 4, 2U << 16 | 5);
	assert_int_equal(two->raised, 1);
	assert_int_equal(two->last, 5);
	assert_int_equal(other->raised, 0); /* another region of the same VM */
	put(two, 0xC, 4, 1U << 16 | 7);
	assert_int_equal(one->raised, 1);
	put(one, 0xC, 4, 1U << 16); /* itself */
	assert_int_equal(one->raised, 2);
	put(one, 0xC, 4, 0);		  /* the Service VM is not there */
	put(one, 0xC, 4, 3U << 16);	  /* not named */
	put(one, 0xC, 4, 0xFFFFU << 16);  /* no such VM */
	put(one, 0xC, 4, (uint64_t)CONFIG_MAX_VM_NUM << 16);
	put(other, 0xC, 4, 1U << 16); /* VM 1 has not joined this region */
	assert_int_equal(one->raised + two->raised + other->raised, 3);
	type->deinit(two);
	put(one, 0xC, 4, 2U << 16);
	assert_int_equal(two->raised, 1);
}

/* No memory for the regions: the hypervisor says so and does not start. */
static void test_no_memory(void **state)
{
	(void)state;
	no_memory = true;
	assert_int_equal(unit_boot(), -ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_regions, setup),
		cmocka_unit_test_setup(test_refused, setup),
		cmocka_unit_test_setup(test_registers, setup),
		cmocka_unit_test_setup(test_doorbell, setup),
		cmocka_unit_test_setup(test_no_memory, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
