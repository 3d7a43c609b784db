// SPDX-License-Identifier: BSD-3-Clause
/*
 * "-s N,ivshmem" and "-s N,uart": is a hv: region asked of the hypervisor with the addresses that
 * the guest will find, is a dm: region the same memory for two VMs, also where the guest moves the
 * BAR, and what is said of a command line that makes no sense?
 */
// links: @machine
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "dm_machine.h"
#include "fake_hsm.h"
#include "io_space.h"
#include "log.h"
#include "pci.h"

#define MB2 (2U << 20)

static char shm[32];

static int set_up(void **state)
{
	(void)state;
	log_set_level(0);
	fake_hsm_reset();
	snprintf(shm, sizeof(shm), "dm:/ivshmem-%d", getpid());
	shm_unlink(shm + 3);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	shm_unlink(shm + 3);
	return 0;
}

static int try(const char *config)
{
	char options[128];
	int err;

	snprintf(options, sizeof(options), "-s 0,hostbridge -s 5,ivshmem,%s", config);
	err = machine_try(options);
	if (!err)
		machine_destroy();
	return err;
}

static uint32_t cfg(unsigned int reg)
{
	return pci_bus_read(&machine, 0, 5, 0, reg, 4);
}

/* Does the hypervisor get the name, and BARs that are this slot's alone? */
static void test_hypervisor(void **state)
{
	(void)state;
	machine_create("-s 0,hostbridge -s 5,ivshmem,hv:/region-1,2,7");
	assert_int_equal(fake_hsm.calls[0x59], 1);
	assert_int_equal(fake_hsm.vdev.id.value, 0x11101af4);
	assert_int_equal(fake_hsm.vdev.slot, 5 << 3);
	assert_string_equal((const char *)fake_hsm.vdev.args, "hv:/region-1");
	assert_int_equal(fake_hsm.vdev.io_size[2], MB2);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(fake_hsm.vdev.io_addr[i], cfg(0x10 + 4 * i));
	assert_int_equal(fake_hsm.vdev.io_addr[2] & 0x1fffff, 0xc); /* 64 bits, prefetchable */
	assert_int_equal(fake_hsm.vdev.io_addr[3], 0x40);
	assert_int_equal(fake_hsm.vdev.io_addr[0] & 0xfff, 0);
	assert_int_not_equal(fake_hsm.vdev.io_addr[0], fake_hsm.vdev.io_addr[1]);
	machine_destroy();
}

static void test_refused(void **state)
{
	(void)state;
	fake_hsm.fail[0x59] = EPERM;
	assert_int_equal(try("hv:/region,2"), -EPERM);
	fake_hsm.fail[0x59] = 0;
	assert_int_equal(try("hv:/region,2"), 0);
}

/* A PCI UART: the same way, by its number. */
static void test_uart(void **state)
{
	static const char *const bad[] = {"", ",", ",vuart_idx", ",vuart_idx:", ",vuart_idx:0",
					  ",vuart_idx:10", ",vuart_idx:1,", ",stdio"};
	char options[64];

	(void)state;
	machine_create("-s 0,hostbridge -s 6,uart,vuart_idx:1");
	assert_int_equal(fake_hsm.vdev.id.value, 0x99009710);
	assert_int_equal(fake_hsm.vdev.slot, 6 << 3);
	assert_string_equal((const char *)fake_hsm.vdev.args, "vuart_idx:1");
	assert_int_not_equal(fake_hsm.vdev.io_addr[0], fake_hsm.vdev.io_addr[1]);
	pci_bus_reset(&machine);
	machine_destroy();
	assert_int_equal(fake_hsm.calls[0x59], 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(options, sizeof(options), "-s 0,hostbridge -s 6,uart%s", bad[i]);
		assert_int_equal(machine_try(options), -EINVAL);
	}
	assert_int_equal(fake_hsm.calls[0x59], 1);
}

/* Every mistake is an error, and shared memory is made by none of them. */
static void test_mistakes(void **state)
{
	static const char *const bad[] = {
		"hv:/region", "hv:region,2", "xx:/region,2", "hv:/,2", "hv:/a/b,2", "hv:/region,",
		"hv:/region,1", "hv:/region,3", "hv:/region,1024", "hv:/region,-2", "hv:/region,2MB",
		"hv:/region,18446744073709551618", "hv:/region,0x2",
		"hv:/a-name-of-twenty-eight-chars,2", "dm:/../x,2",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (try(bad[i]) != -EINVAL)
			fail_msg("%s", bad[i]);
	}
	assert_int_equal(machine_try("-s 0,hostbridge -s 5,ivshmem"), -EINVAL);
	assert_int_equal(machine_try("-s 0,hostbridge -s 5:1,ivshmem,hv:/a,2"), -EINVAL);
	assert_int_equal(fake_hsm.calls[0x59], 0);
}

static uint64_t bar2(void)
{
	return (cfg(0x18) & ~0xfU) | (uint64_t)cfg(0x1c) << 32;
}

/* The HSM maps the memory where the BAR is; another VM, and a later one, finds what was written. */
static void test_device_model(void **state)
{
	char options[128];
	uint8_t *seen;
	uint64_t gpa;
	int fd;

	(void)state;
	snprintf(options, sizeof(options), "-s 0,hostbridge -s 5,ivshmem,%s,2", shm);
	machine_create(options);
	gpa = bar2();
	assert_int_equal(fake_hsm.map[fake_hsm.maps - 1].gpa, gpa);
	assert_int_equal(fake_hsm.map[fake_hsm.maps - 1].len, MB2);
	seen = fake_hsm.map[fake_hsm.maps - 1].hva;
	strcpy((char *)seen + 100, "from the guest");
	fd = shm_open(shm + 3, O_RDWR, 0);
	assert_true(fd >= 0);
	seen = mmap(NULL, MB2, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	assert_string_equal((const char *)seen + 100, "from the guest");
	/* registers, and none but those */
	pci_bus_write(&machine, 0, 5, 0, 4, 2, 2);
	assert_int_equal(io_space_read(machine.mmio, cfg(0x10) + 8, 4), machine.vmid);
	io_space_write(machine.mmio, cfg(0x10), 4, 0x55);
	io_space_write(machine.mmio, cfg(0x10) + 12, 4, 0x10000);
	assert_int_equal(io_space_read(machine.mmio, cfg(0x10), 4), 0x55);
	assert_int_equal(io_space_read(machine.mmio, cfg(0x10) + 12, 4), 0);
	assert_int_equal(io_space_read(machine.mmio, cfg(0x10) + 8, 1), 0);
	/* moved: the same memory, by emulated accesses */
	pci_bus_write(&machine, 0, 5, 0, 0x1c, 4, 0x41);
	gpa = bar2();
	io_space_write(machine.mmio, gpa + MB2 - 8, 8, 0x1122334455667788);
	assert_int_equal(seen[MB2 - 8], 0x88);
	assert_int_equal(io_space_read(machine.mmio, gpa + 100, 1), 'f');
	pci_bus_reset(&machine);
	machine_destroy();
	assert_int_equal(try("hv:/x,2"), 0);
	snprintf(options, sizeof(options), "%s,4", shm);
	assert_int_equal(try(options), -EEXIST); /* it is there, with 2 MB */
	snprintf(options, sizeof(options), "-s 0,hostbridge -s 5,ivshmem,%s,2", shm);
	machine_create(options);
	assert_string_equal((const char *)fake_hsm.map[fake_hsm.maps - 1].hva + 100, "from the guest");
	machine_destroy();
	munmap(seen, MB2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_hypervisor, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_uart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_mistakes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_device_model, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
