// SPDX-License-Identifier: BSD-3-Clause
// links: @service
/*
 * Who may make hypercalls, which exist, and which VM they aim at.
 */
#include <string.h>

#include "service_machine.h"

static const uint32_t with_target[] = {
	HC_DESTROY_VM,	     HC_START_VM,	  HC_PAUSE_VM,	       HC_RESET_VM,
	HC_SET_VCPU_REGS,    HC_INJECT_MSI,	  HC_VM_INTR_MONITOR,  HC_SET_IRQLINE,
	HC_SET_IOREQ_BUFFER, HC_NOTIFY_REQUEST_FINISH, HC_SET_PTDEV_INTR, HC_RESET_PTDEV_INTR,
	HC_ASSIGN_PCIDEV,    HC_DEASSIGN_PCIDEV,  HC_ASSIGN_MMIODEV,   HC_DEASSIGN_MMIODEV,
	HC_CREATE_VDEV,	     HC_DESTROY_VDEV,	  HC_ASYNCIO_ASSIGN,   HC_ASYNCIO_DEASSIGN,
};

/* What if a User VM makes one, or user space of the Service VM? */
static void test_permission(void **state)
{
	struct vm *user;

	(void)state;
	user = start_vm("a", 0x2000);
	test_skips = 0;
	(void)hypercall(user, HC_CREATE_VM, 0, 0);
	assert_int_equal(test_uds, 1);
	assert_int_equal(test_skips, 0);
	assert_int_equal(user->vcpus[0]->gpr[GPR_RAX], 0xDEAD);

	fake_vmcs[VMCS_GUEST_SS_AR] = 0xC0F3;
	(void)hypercall(service(), HC_GET_API_VERSION, 0, 0);
	assert_int_equal(test_gps, 1);
	assert_int_equal(test_skips, 0);
}

/* What if the number is unknown, next to a known one, or has stray high bits? */
static void test_unknown(void **state)
{
	(void)state;
	assert_int_equal(hypercall(service(), 0x14, 0, 0), -ENOTTY);
	assert_int_equal(hypercall(service(), 0x81, 0, 0), -ENOTTY);
	assert_int_equal(hypercall(service(), 0xFFFFFF, 0, 0), -ENOTTY);
	assert_int_equal(hypercall(service(), 0x80000000U, 0, 0), -ENOTTY);
	assert_int_equal(hypercall(service(), 0U - 0x80000000U, 0, 0), -ENOTTY);
	assert_int_equal(test_skips, 5);
}

/* Each of the 22 of Linux's HSM must be there: a bad target is -EINVAL, not -ENOTTY. */
static void test_all_there(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(with_target); i++) {
		/* nobody, itself, out of range, and an id that wraps around to the caller */
		assert_int_equal(hypercall(service(), with_target[i], 3, 0), -EINVAL);
		assert_int_equal(hypercall(service(), with_target[i], 0, 0), -EINVAL);
		assert_int_equal(hypercall(service(), with_target[i], 0xFFFF, 0), -EINVAL);
		assert_int_equal(hypercall(service(), with_target[i], 0x10003, 0), -EINVAL);
	}
	assert_int_equal(hypercall(service(), HC_REMOVE_CPU, 99, 0), -EINVAL);
	assert_int_equal(hypercall(service(), HC_CREATE_VM, TEST_RAM, 0), -EFAULT);
	assert_int_equal(hypercall(service(), HC_SET_MEMORY_REGIONS, TEST_RAM, 0), -EFAULT);
	assert_int_equal(hypercall(service(), HC_PM_GET_CPU_STATE, 3UL << 24, 0), -EINVAL);
}

/* What if the target lives, but another VM created it, or the hypervisor itself? */
static void test_foreign_target(void **state)
{
	struct vm *user;

	(void)state;
	user = start_vm("a", 0x2000);
	user->owner = NULL;
	for (uint32_t i = 0; i < ARRAY_SIZE(with_target); i++)
		assert_int_equal(hypercall(service(), with_target[i], user->id, 0), -EINVAL);
	user->owner = service();
}

/* Are ids counted from the Service VM's own? */
static void test_relative_ids(void **state)
{
	int64_t id;

	(void)state;
	id = create_vm("x");
	assert_int_equal(id, user_vm(id)->id - service()->id);
	assert_int_equal(hypercall(service(), HC_PAUSE_VM, (uint64_t)id, 0), 0);
	assert_int_equal(user_vm(id)->state, VM_PAUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_permission, service_setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_unknown, service_setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_all_there, service_setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_foreign_target, service_setup,
						service_teardown),
		cmocka_unit_test_setup_teardown(test_relative_ids, service_setup,
						service_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
