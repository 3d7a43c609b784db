// SPDX-License-Identifier: BSD-3-Clause
// links: @service
/*
 * Interrupts into User VMs, CPUs given up, power management, devices.
 */
#include <string.h>

#include "service_machine.h"

static uint64_t vmid;

static int setup(void **state)
{
	(void)service_setup(state);
	vmid = start_vm("a", 0x3000)->id;
	return 0;
}

static void test_msi(void **state)
{
	struct acrn_msi_entry msi = {.msi_addr = 0xFEE01000, .msi_data = 0x4041};

	(void)state;
	memcpy(service_ram(0x1FF8), &msi, sizeof(msi));
	assert_int_equal(hypercall(service(), HC_INJECT_MSI, vmid, 0x1FF8), 0);
	assert_ptr_equal(test_msg_vm, user_vm((int64_t)vmid));
	assert_int_equal(test_msi_addr, 0xFEE01000);
	assert_int_equal(test_msi_data, 0x4041);
	assert_int_equal(hypercall(service(), HC_INJECT_MSI, vmid, 0x2000), -EINVAL);
	assert_int_equal(hypercall(service(), HC_INJECT_MSI, vmid, TEST_RAM - 8), -EFAULT);
}

static void test_irqline(void **state)
{
	(void)state;
	assert_int_equal(hypercall(service(), HC_SET_IRQLINE, vmid, (2UL << 32) | 17), 0);
	assert_int_equal(test_gsi, 17);
	assert_int_equal(test_gsi_op, GSI_RISING_PULSE);
	assert_int_equal(hypercall(service(), HC_SET_IRQLINE, vmid, (4UL << 32) | 17), -EINVAL);
	assert_int_equal(hypercall(service(), HC_SET_IRQLINE, vmid, 999), -EINVAL);
}

/* Which CPUs may the Service VM give up? Not its boot CPU, nor one it does not have, nor this one. */
static void test_remove_cpu(void **state)
{
	const struct vcpu *second;

	(void)state;
	second = service()->vcpus[1];
	assert_int_equal(hypercall(service(), HC_REMOVE_CPU, pcpus[0].apic_id, 0), -EINVAL);
	assert_int_equal(hypercall(service(), HC_REMOVE_CPU, 77, 0), -EINVAL);
	assert_int_equal(hypercall(service(), HC_REMOVE_CPU, BIT(32) | second->apic_id, 0),
			 -EINVAL);
	fake_cpu = 1;
	assert_int_equal(hypercall(service(), HC_REMOVE_CPU, second->apic_id, 0), -EINVAL);
	fake_cpu = 0;
	assert_int_equal(test_frozen, 0);
	assert_int_equal(hypercall(service(), HC_REMOVE_CPU, second->apic_id, 0), 0);
	assert_int_equal(second->state, VCPU_OFFLINE);
	assert_true(second->thread.frozen);
	assert_int_equal(hypercall(service(), HC_REMOVE_CPU, second->apic_id, 0), -EINVAL);
}

static void test_api_version(void **state)
{
	const struct acrn_api_version *v;

	(void)state;
	v = service_ram(0x1000);
	assert_int_equal(hypercall(service(), HC_GET_API_VERSION, 0x1000, 0), 0);
	assert_int_equal(v->major, 1);
	assert_int_equal(v->minor, 0);
	assert_int_equal(hypercall(service(), HC_GET_API_VERSION, TEST_DEVICE, 0), -EFAULT);
}

static void test_callback_vector(void **state)
{
	(void)state;
	assert_int_equal(hypercall(service(), HC_SET_CALLBACK_VECTOR, 0x1F, 0), -EINVAL);
	assert_int_equal(hypercall(service(), HC_SET_CALLBACK_VECTOR, 0x100, 0), -EINVAL);
	assert_int_equal(hypercall(service(), HC_SET_CALLBACK_VECTOR, ACRN_UPCALL_VECTOR, 0), 0);
}

static void test_intr_monitor(void **state)
{
	struct acrn_intr_monitor *m;

	(void)state;
	m = service_ram(0x1000);
	m->cmd = ACRN_INTR_CMD_GET_DATA;
	m->buf_cnt = 48;
	assert_int_equal(hypercall(service(), HC_VM_INTR_MONITOR, vmid, 0x1000), 0);
	assert_int_equal(m->buf_cnt, 0);
	m->cmd = ACRN_INTR_CMD_DELAY_INT;
	assert_int_equal(hypercall(service(), HC_VM_INTR_MONITOR, vmid, 0x1000), 0);
	m->cmd = 2;
	assert_int_equal(hypercall(service(), HC_VM_INTR_MONITOR, vmid, 0x1000), -EINVAL);
}

/* Lists of states: empty, one byte, and only while the VM does not run. */
static void test_pm(void **state)
{
	uint64_t cmd;

	(void)state;
	cmd = vmid << 24;
	assert_int_equal(hypercall(service(), HC_PM_GET_CPU_STATE, cmd, 0x1000), -EINVAL);
	(void)hypercall(service(), HC_PAUSE_VM, vmid, 0);
	memset(service_ram(0x1000), 0xEE, 8);
	assert_int_equal(hypercall(service(), HC_PM_GET_CPU_STATE, cmd, 0x1000), 0);
	assert_int_equal(*(uint64_t *)service_ram(0x1000), 0xEEEEEEEEEEEEEE00UL);
	assert_int_equal(hypercall(service(), HC_PM_GET_CPU_STATE, cmd | 2, 0x1000), 0);
	assert_int_equal(hypercall(service(), HC_PM_GET_CPU_STATE, cmd | 1, 0x1000), -EINVAL);
	assert_int_equal(hypercall(service(), HC_PM_GET_CPU_STATE, cmd | 3, 0x1000), -EINVAL);
	assert_int_equal(hypercall(service(), HC_PM_GET_CPU_STATE, cmd | 4, 0x1000), -EINVAL);
}

/* Without an IOMMU no PCI device changes hands; the log says so. */
static void test_pci_devices(void **state)
{
	struct acrn_pcidev dev = {.phys_bdf = 0x18};
	struct acrn_ptdev_irq irq = {.type = ACRN_PTDEV_IRQ_INTX};

	(void)state;
	memcpy(service_ram(0x1000), &dev, sizeof(dev));
	fake_log_lines = 0;
	assert_int_equal(hypercall(service(), HC_ASSIGN_PCIDEV, vmid, 0x1000), -ENODEV);
	assert_int_equal(fake_log_lines, 1);
	assert_non_null(strstr(fake_log_last, "00:03.0"));
	assert_int_equal(hypercall(service(), HC_DEASSIGN_PCIDEV, vmid, 0x1000), -ENODEV);
	assert_int_equal(hypercall(service(), HC_ASSIGN_PCIDEV, vmid, TEST_RAM), -EFAULT);
	memcpy(service_ram(0x1000), &irq, sizeof(irq));
	assert_int_equal(hypercall(service(), HC_SET_PTDEV_INTR, vmid, 0x1000), -ENODEV);
	assert_int_equal(hypercall(service(), HC_RESET_PTDEV_INTR, vmid, 0x1000), -ENODEV);
	irq.type = 1;
	memcpy(service_ram(0x1000), &irq, sizeof(irq));
	assert_int_equal(hypercall(service(), HC_SET_PTDEV_INTR, vmid, 0x1000), -EINVAL);
	assert_int_equal(hypercall(service(), HC_CREATE_VDEV, vmid, 0x1000), -ENODEV);
	assert_int_equal(hypercall(service(), HC_DESTROY_VDEV, vmid, 0x1000), -ENODEV);
}

static struct acrn_mmiodev *tpm(uint64_t pa, uint64_t size)
{
	struct acrn_mmiodev *d = service_ram(0x1000);

	memset(d, 0, sizeof(*d));
	memcpy(d->name, "MSFT0101", 8);
	d->res[0].user_vm_pa = 0xFED00000;
	d->res[0].service_vm_pa = pa;
	d->res[0].size = size;
	return d;
}

/* Do a device's registers leave the Service VM, and come back, even if the VM is just destroyed? */
static void test_mmio_device(void **state)
{
	uint64_t id, attr, hpa;

	(void)state;
	id = (uint64_t)create_vm("b");
	(void)tpm(TEST_DEVICE, 0x2000);
	assert_int_equal(hypercall(service(), HC_ASSIGN_MMIODEV, id, 0x1000), 0);
	assert_false(mapped(service(), TEST_DEVICE, NULL, NULL));
	assert_true(mapped(service(), TEST_DEVICE + 0x2000, NULL, NULL));
	assert_true(mapped(user_vm((int64_t)id), 0xFED01000, &hpa, &attr));
	assert_int_equal(hpa, TEST_DEVICE + 0x1000);
	assert_int_equal(attr, EPT_READ | EPT_WRITE | EPT_MT_UC);
	/* it is not there to be given a second time */
	assert_int_equal(hypercall(service(), HC_ASSIGN_MMIODEV, id, 0x1000), -EINVAL);

	assert_int_equal(hypercall(service(), HC_DEASSIGN_MMIODEV, id, 0x1000), 0);
	assert_true(mapped(service(), TEST_DEVICE, &hpa, NULL));
	assert_int_equal(hpa, TEST_DEVICE);
	assert_false(mapped(user_vm((int64_t)id), 0xFED00000, NULL, NULL));
	assert_int_equal(hypercall(service(), HC_DEASSIGN_MMIODEV, id, 0x1000), -ENODEV);

	(void)tpm(TEST_DEVICE, 0x1000);
	assert_int_equal(hypercall(service(), HC_ASSIGN_MMIODEV, id, 0x1000), 0);
	assert_int_equal(hypercall(service(), HC_DESTROY_VM, id, 0), 0);
	assert_true(mapped(service(), TEST_DEVICE, NULL, NULL));
}

/* RAM is no device, nor is what is not there; numbers out of line; too many; a running VM. */
static void test_bad_mmio_device(void **state)
{
	uint64_t id;

	(void)state;
	id = (uint64_t)create_vm("b");
	(void)tpm(0x200000, 0x1000);
	assert_int_equal(hypercall(service(), HC_ASSIGN_MMIODEV, id, 0x1000), -EINVAL);
	(void)tpm(TEST_DEVICE, 0x8000);
	assert_int_equal(hypercall(service(), HC_ASSIGN_MMIODEV, id, 0x1000), -EINVAL);
	(void)tpm(TEST_DEVICE, 0x800);
	assert_int_equal(hypercall(service(), HC_ASSIGN_MMIODEV, id, 0x1000), -EINVAL);
	(void)tpm(TEST_DEVICE, 0);
	assert_int_equal(hypercall(service(), HC_ASSIGN_MMIODEV, id, 0x1000), -EINVAL);
	(void)tpm(~0xFFFUL, 0x1000);
	assert_int_equal(hypercall(service(), HC_ASSIGN_MMIODEV, id, 0x1000), -EINVAL);
	(void)tpm(TEST_DEVICE, 0x1000);
	assert_int_equal(hypercall(service(), HC_ASSIGN_MMIODEV, vmid, 0x1000), -EINVAL);
	assert_int_equal(hypercall(service(), HC_DEASSIGN_MMIODEV, vmid, 0x1000), -EINVAL);

	test_maps_left = 1; /* the way back needs it */
	(void)tpm(TEST_DEVICE, 0x1000);
	((struct acrn_mmiodev *)service_ram(0x1000))->res[1].size = 0x1000;
	((struct acrn_mmiodev *)service_ram(0x1000))->res[1].service_vm_pa = TEST_DEVICE + 0x1000;
	((struct acrn_mmiodev *)service_ram(0x1000))->res[1].user_vm_pa = 0xFED10000;
	assert_int_equal(hypercall(service(), HC_ASSIGN_MMIODEV, id, 0x1000), -ENOMEM);
	assert_false(mapped(user_vm((int64_t)id), 0xFED00000, NULL, NULL));
	test_maps_left = UINT32_MAX;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_msi, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_irqline, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_remove_cpu, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_api_version, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_callback_vector, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_intr_monitor, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_pm, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_pci_devices, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_mmio_device, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_bad_mmio_device, setup, service_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
