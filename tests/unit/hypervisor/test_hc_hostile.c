// SPDX-License-Identifier: BSD-3-Clause
// links: @service
/*
 * A Service VM that means harm: every hypercall with every wrong address, id, state and order. A
 * call that fails must leave everything as it was.
 */
#include <stdlib.h>
#include <string.h>

#include "service_machine.h"
#include "acrn/sbuf.h"

#define STRUCT 0x1000U /* where the caller's structures are */
#define OTHER  0x3000U /* where they lead to */

/* What stands in a call's structure when it is right; the call's id comes first. */
static void nothing(uint64_t id)
{
	(void)id;
}

static void creation(uint64_t id)
{
	struct acrn_vm_creation c = {.name = "another"};

	(void)id;
	memcpy(service_ram(STRUCT), &c, sizeof(c));
}

static void regs(uint64_t id)
{
	struct acrn_vcpu_regs r = {.vcpu_regs = {.cr0 = 0x30, .cs_ar = 0x9F, .cs_limit = 0xFFFF}};

	(void)id;
	memcpy(service_ram(STRUCT), &r, sizeof(r));
}

static void msi(uint64_t id)
{
	struct acrn_msi_entry m = {.msi_addr = 0xFEE00000, .msi_data = 0x40};

	(void)id;
	memcpy(service_ram(STRUCT), &m, sizeof(m));
}

static void page_address(uint64_t id)
{
	uint64_t gpa = 0x4000;

	(void)id;
	memcpy(service_ram(STRUCT), &gpa, sizeof(gpa));
}

static void regions(uint64_t id)
{
	struct acrn_memory_region r = {.attr = ACRN_MEM_ACCESS_RIGHT_MASK | ACRN_MEM_TYPE_WB,
				       .user_vm_pa = 0x10000,
				       .service_vm_pa = 0x20000,
				       .size = 0x2000};
	struct acrn_memory_regions rs = {.vmid = (uint16_t)id,
					 .regions_num = 1,
					 .regions_gpa = OTHER};

	memcpy(service_ram(STRUCT), &rs, sizeof(rs));
	memcpy(service_ram(OTHER), &r, sizeof(r));
}

static void device(uint64_t id)
{
	struct acrn_mmiodev d = {.name = "dev", .res = {{.user_vm_pa = 0x100000,
							 .service_vm_pa = TEST_DEVICE,
							 .size = 0x1000}}};

	(void)id;
	memcpy(service_ram(STRUCT), &d, sizeof(d));
}

static void doorbell(uint64_t id)
{
	struct acrn_asyncio_info info = {.type = ACRN_ASYNCIO_PIO, .addr = 0x2000, .fd = 7};

	(void)id;
	memcpy(service_ram(STRUCT), &info, sizeof(info));
}

static void ring(uint64_t id)
{
	struct sbuf_header h = {.magic = SBUF_MAGIC, .ele_num = 100, .ele_size = 32};
	struct acrn_sbuf_param p = {.sbuf_id = ACRN_SBUF_VM_EVENT, .gpa = 0x5000};

	(void)id;
	memcpy(service_ram(STRUCT), &p, sizeof(p));
	memcpy(service_ram(0x5000), &h, sizeof(h));
}

static void zeros(uint64_t id)
{
	(void)id;
	memset(service_ram(STRUCT), 0, 256);
}

static void vdev(uint64_t id)
{
	struct acrn_vdev d = {.id = 0x11101AF4, .slot = 0x28};

	(void)id;
	memset(d.args, 'a', sizeof(d.args));
	memcpy(service_ram(STRUCT), &d, sizeof(d));
}

enum { NO_ID, ID, ID_INSIDE, ID_IN_COMMAND };

/* `states`: what the call returns for a VM that is not there, created, running, paused, gone. */
static const struct call {
	uint32_t nr;
	uint8_t id;
	uint8_t bytes; /* read or written first at the structure's address; 0: it has none */
	void (*prepare)(uint64_t id);
	int states[5];
	uint64_t arg2; /* of a call without a structure */
} calls[] = {
#define E (-EINVAL)
	{HC_GET_API_VERSION, NO_ID, 8, nothing, {0, 0, 0, 0, 0}, 0},
	{HC_CREATE_VM, NO_ID, 48, creation, {0, 0, 0, 0, 0}, 0},
	{HC_START_VM, ID, 0, nothing, {E, 0, E, 0, E}, 0},
	{HC_PAUSE_VM, ID, 0, nothing, {E, 0, 0, 0, E}, 0},
	{HC_RESET_VM, ID, 0, nothing, {E, E, E, 0, E}, 0},
	{HC_SET_VCPU_REGS, ID, 255, regs, {E, 0, E, 0, E}, 0},
	{HC_INJECT_MSI, ID, 16, msi, {E, 0, 0, 0, E}, 0},
	{HC_VM_INTR_MONITOR, ID, 8, zeros, {E, 0, 0, 0, E}, 0},
	{HC_SET_IRQLINE, ID, 0, nothing, {E, 0, 0, 0, E}, 2UL << 32 | 4},
	{HC_SET_IOREQ_BUFFER, ID, 8, page_address, {E, 0, E, E, E}, 0},
	{HC_NOTIFY_REQUEST_FINISH, ID, 0, nothing, {E, 0, 0, 0, E}, 1},
	{HC_ASYNCIO_ASSIGN, ID, 32, doorbell, {E, 0, 0, 0, E}, 0},
	{HC_ASYNCIO_DEASSIGN, ID, 32, doorbell, {E, -ENOENT, -ENOENT, -ENOENT, E}, 0},
	{HC_SETUP_SBUF, ID, 16, ring, {E, 0, 0, 0, E}, 0},
	{HC_SET_MEMORY_REGIONS, ID_INSIDE, 24, regions, {E, 0, 0, 0, E}, 0},
	{HC_SET_PTDEV_INTR, ID, 20, zeros, {E, -ENODEV, -ENODEV, -ENODEV, E}, 0},
	{HC_RESET_PTDEV_INTR, ID, 20, zeros, {E, -ENODEV, -ENODEV, -ENODEV, E}, 0},
	{HC_ASSIGN_PCIDEV, ID, 36, zeros, {E, -ENODEV, -ENODEV, -ENODEV, E}, 0},
	{HC_DEASSIGN_PCIDEV, ID, 36, zeros, {E, -ENODEV, -ENODEV, -ENODEV, E}, 0},
	{HC_ASSIGN_MMIODEV, ID, 104, device, {E, 0, E, E, E}, 0},
	{HC_DEASSIGN_MMIODEV, ID, 104, device, {E, -ENODEV, E, -ENODEV, E}, 0},
	{HC_CREATE_VDEV, ID, 192, vdev, {E, 0, E, E, E}, 0},
	{HC_DESTROY_VDEV, ID, 192, vdev, {E, -ENODEV, E, -ENODEV, E}, 0},
	{HC_DESTROY_VDEV, ID, 192, zeros, {E, -ENODEV, -ENODEV, -ENODEV, E}, 0},
	{HC_PM_GET_CPU_STATE, ID_IN_COMMAND, 1, nothing, {E, 0, E, 0, E}, 0},
	{HC_DESTROY_VM, ID, 0, nothing, {E, 0, 0, 0, E}, 0},
#undef E
};

/* The call with its structure, if it has one, at this address. */
static int64_t call(const struct call *c, uint64_t id, uint64_t gpa)
{
	uint64_t arg2 = c->bytes != 0 ? gpa : c->arg2;

	switch (c->id) {
	case ID:
		return hypercall(service(), c->nr, id, arg2);
	case ID_IN_COMMAND:
		return hypercall(service(), c->nr, id << 24, arg2);
	default:
		return hypercall(service(), c->nr, gpa, 0);
	}
}

static uint64_t vm_in_state(uint32_t n)
{
	uint64_t id;

	if (n == 0)
		return vm_config_count;
	if (n == 1) {
		id = (uint64_t)create_vm("victim");
		page_address(id);
		assert_int_equal(hypercall(service(), HC_SET_IOREQ_BUFFER, id, STRUCT), 0);
		return id;
	}
	id = start_vm("victim", 0x4000)->id;
	if (n == 3)
		assert_int_equal(hypercall(service(), HC_PAUSE_VM, id, 0), 0);
	if (n == 4)
		assert_int_equal(hypercall(service(), HC_DESTROY_VM, id, 0), 0);
	return id;
}

/* Each call for a VM in each state: the result of the table, and a failure changes nothing. */
static void test_states(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(calls); i++) {
		for (uint32_t n = 0; n < 5; n++) {
			struct service_state *before;
			uint64_t id;

			(void)service_setup(state);
			id = vm_in_state(n);
			calls[i].prepare(id);
			before = service_state();
			if (call(&calls[i], id, STRUCT) != calls[i].states[n])
				fail_msg("call 0x%x, state %u", calls[i].nr, n);
			if (calls[i].states[n] == 0)
				free(before);
			else if (!service_state_same(before))
				fail_msg("call 0x%x, state %u: something changed", calls[i].nr, n);
			(void)service_teardown(state);
		}
	}
}

/* Addresses that are not the caller's RAM, wholly or in part, wrap around or cannot be. */
static void test_addresses(void **state)
{
	static const uint64_t addresses[] = {
		TEST_RAM, TEST_RAM - 1U, 0x10000000, TEST_DEVICE, TEST_DEVICE - 1U,
		BIT(39) - 1U, BIT(47), BIT(48), BIT(52) - PAGE_SIZE, BIT(63), ~0xFFFUL,
		UINT64_MAX - 7U, UINT64_MAX,
	};

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(calls); i++) {
		uint64_t id = vm_in_state(1);

		for (uint32_t n = 0; n < ARRAY_SIZE(addresses) && calls[i].bytes != 0; n++) {
			struct service_state *before = service_state();

			/* what is only written, or has one byte, fits before the end */
			if (addresses[n] == TEST_RAM - 1U &&
			    (calls[i].bytes == 1 || calls[i].nr == HC_GET_API_VERSION)) {
				free(before);
				continue;
			}
			if (call(&calls[i], id, addresses[n]) != -EFAULT ||
			    !service_state_same(before))
				fail_msg("call 0x%x at 0x%lx", calls[i].nr, addresses[n]);
		}
		assert_int_equal(hypercall(service(), HC_DESTROY_VM, id, 0), 0);
	}
}

/* The same structure misaligned and across the end of a page is as good as another. */
static void test_misaligned(void **state)
{
	static uint8_t bytes[512];

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(calls); i++) {
		uint64_t id;

		(void)service_setup(state);
		id = vm_in_state(1);
		calls[i].prepare(id);
		memcpy(bytes, service_ram(STRUCT), sizeof(bytes));
		memcpy(service_ram(0x5FFD), bytes, sizeof(bytes));
		assert_int_equal(call(&calls[i], id, 0x5FFD), calls[i].states[1]);
		(void)service_teardown(state);
	}
}

/* Ids of no VM of the caller's: its own, out of range, wrapping around to a VM of its own. */
static void test_ids(void **state)
{
	static const uint64_t ids[] = {0,	 3,	    63,		0xFF,	      0xFFFF,
				       0x10001, BIT(32) | 1, BIT(63) | 1, UINT64_MAX};

	(void)state;
	assert_int_equal(vm_in_state(1), vm_config_count);
	for (uint32_t i = 0; i < ARRAY_SIZE(calls); i++) {
		for (uint32_t n = 0; n < ARRAY_SIZE(ids); n++) {
			struct service_state *before;
			uint64_t id = ids[n];

			/* where it has 8 or 16 bits there are no others */
			if (calls[i].id == NO_ID || (calls[i].id == ID_INSIDE && id > 0xFFFF) ||
			    (calls[i].id == ID_IN_COMMAND && id > 0xFF))
				continue;
			calls[i].prepare(id);
			before = service_state();
			if (call(&calls[i], id, STRUCT) != -EINVAL || !service_state_same(before))
				fail_msg("call 0x%x, id 0x%lx", calls[i].nr, id);
		}
	}
}

/* A VM that the hypervisor started, running and paused, is not the Service VM's to touch. */
static void test_pre_launched(void **state)
{
	(void)state;
	for (uint32_t n = 1; n <= 3; n++) {
		uint64_t id = vm_in_state(n);
		struct vm *vm = user_vm((int64_t)id);

		vm->owner = NULL;
		for (uint32_t i = 0; i < ARRAY_SIZE(calls); i++) {
			struct service_state *before;

			if (calls[i].id == NO_ID)
				continue;
			calls[i].prepare(id);
			before = service_state();
			if (call(&calls[i], id, STRUCT) != -EINVAL || !service_state_same(before))
				fail_msg("call 0x%x, state %u", calls[i].nr, n);
		}
		vm->owner = service();
		assert_int_equal(hypercall(service(), HC_DESTROY_VM, id, 0), 0);
	}
}

/* vCPU ids out of range, of the VM with two. */
static void test_vcpu_ids(void **state)
{
	static const uint64_t ids[] = {2, 16, 0xFFFF, 0x10000, BIT(32), UINT64_MAX};
	uint64_t id;

	(void)state;
	id = vm_in_state(1);
	for (uint32_t n = 0; n < ARRAY_SIZE(ids); n++) {
		struct service_state *before;
		struct acrn_vcpu_regs *r = service_ram(STRUCT);

		regs(id);
		r->vcpu_id = ids[n] < 0x10000 ? (uint16_t)ids[n] : 0xFFFF;
		before = service_state();
		assert_int_equal(hypercall(service(), HC_SET_VCPU_REGS, id, STRUCT), -EINVAL);
		assert_int_equal(hypercall(service(), HC_NOTIFY_REQUEST_FINISH, id, ids[n]), -EINVAL);
		assert_true(service_state_same(before));
	}
	assert_null(test_woken);
}

/* Another CPU of the caller writes over a structure as soon as it was read: read again, it shows. */
static void test_double_fetch(void **state)
{
	static const uint8_t bytes[] = {0, 0xFF};

	(void)state;
	for (uint32_t n = 0; n < ARRAY_SIZE(bytes); n++) {
		for (uint32_t i = 0; i < ARRAY_SIZE(calls); i++) {
			uint64_t id;

			(void)service_setup(state);
			id = vm_in_state(1);
			calls[i].prepare(id);
			test_spoil = &bytes[n];
			assert_int_equal(call(&calls[i], id, STRUCT), calls[i].states[1]);
			test_spoil = NULL;
			if (calls[i].nr == HC_SET_MEMORY_REGIONS)
				assert_true(mapped(user_vm((int64_t)id), 0x11000, NULL, NULL));
			if (calls[i].nr == HC_INJECT_MSI)
				assert_int_equal(test_msi_data, 0x40);
			if (calls[i].nr == HC_SET_VCPU_REGS)
				assert_int_equal(user_vm((int64_t)id)->vcpus[0]->start.seg[1].ar, 0x9F);
			if (calls[i].nr == HC_CREATE_VDEV) {
				assert_int_equal(test_vfunc_bdf, 0x28);
				assert_int_equal(strlen(test_vfunc_args.text), 127);
			}
			if (calls[i].nr == HC_CREATE_VM)
				assert_string_equal(user_vm((int64_t)id + 1)->name, "another");
			(void)service_teardown(state);
		}
	}
}

/* Memory the caller does not have: a hole where the hypervisor is, at each place of a region. */
static void test_regions_over_holes(void **state)
{
	static const uint64_t holes[] = {0x20000, 0x21000, 0x23000};
	struct acrn_memory_region *r = service_ram(OTHER);
	uint64_t id;

	(void)state;
	id = vm_in_state(1);
	for (uint32_t n = 0; n < ARRAY_SIZE(holes); n++) {
		struct service_state *before;

		assert_int_equal(ept_unmap(&service()->ept, GPA(holes[n]), PAGE_SIZE), 0);
		regions(id);
		r[0].service_vm_pa = 0x30000;
		r[1] = r[0];
		r[1].user_vm_pa = 0x40000;
		r[1].service_vm_pa = 0x20000;
		r[1].size = 0x4000;
		((struct acrn_memory_regions *)service_ram(STRUCT))->regions_num = 2;
		before = service_state();
		assert_int_equal(hypercall(service(), HC_SET_MEMORY_REGIONS, STRUCT, 0), -EFAULT);
		assert_true(service_state_same(before));
		assert_int_equal(ept_map(&service()->ept, GPA(holes[n]),
					 ptr_hpa(service_ram(holes[n])), PAGE_SIZE,
					 EPT_RWX | EPT_MT_WB), 0);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, service_setup, service_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states),
		T(test_addresses),
		cmocka_unit_test(test_misaligned),
		T(test_ids),
		T(test_pre_launched),
		T(test_vcpu_ids),
		cmocka_unit_test(test_double_fetch),
		T(test_regions_over_holes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
