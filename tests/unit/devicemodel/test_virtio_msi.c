// SPDX-License-Identifier: BSD-3-Clause
/*
 * What if a guest's drivers know MSI, and not MSI-X (--virtio_msi)? The whole device model over a
 * fake HSM.
 */
// links: devicemodel/virtio/doorbell.c devicemodel/virtio/rnd.c
// links: @machine devicemodel/virtio/queue.c devicemodel/virtio/chain.c
// links: devicemodel/virtio/pci_legacy.c devicemodel/virtio/pci_window.c
// links: devicemodel/virtio/virtio.c devicemodel/virtio/pci_modern.c
// links: tests/unit/devicemodel/driver_ring.c tests/unit/devicemodel/virtio_driver.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>
#include <cmocka.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "dm_machine.h"
#include "fake_hsm.h"
#include "log.h"
#include "pci.h"
#include "virtio.h"
#include "virtio_driver.h"

#define SLOT	6U
#define MEMORY	0x200000ULL
#define BUFFER	(MEMORY + 0x8000)
#define MESSAGE 0x4123U

static struct driver rng;

static int set_up(void **state)
{
	(void)state;
	log_set_level(0);
	fake_hsm_reset();
	machine_create("--virtio_msi -s 0,hostbridge -s 6,virtio-rnd");
	driver_find(&rng, SLOT, MEMORY);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	machine_destroy();
	return 0;
}

static unsigned int find(uint8_t id)
{
	unsigned int at = driver_cfg_read(&rng, PCI_CAPABILITY_LIST, 1);

	while (at != 0 && driver_cfg_read(&rng, at, 1) != id)
		at = driver_cfg_read(&rng, at + 1, 1);
	return at;
}

static void enable(bool on)
{
	unsigned int at = find(PCI_CAP_ID_MSI);

	driver_cfg_write(&rng, at + PCI_MSI_ADDRESS_LO, 4, DRIVER_MSI);
	driver_cfg_write(&rng, at + PCI_MSI_ADDRESS_HI, 4, 0);
	driver_cfg_write(&rng, at + PCI_MSI_DATA_64, 2, MESSAGE);
	driver_cfg_write(&rng, at + PCI_MSI_FLAGS, 2, on ? PCI_MSI_FLAGS_ENABLE : 0);
}

static void request(void)
{
	driver_start(&rng, 0, 1);
	ring_desc(&rng.ring[0], 0, BUFFER, 64, VRING_DESC_F_WRITE, 0);
	ring_offer(&rng.ring[0], 0);
	driver_ring_bell(&rng, 0);
	assert_int_equal(driver_wait(&rng, 0), 64);
}

/* Is there one message, which tells of a queue, and of the configuration? */
static void test_message(void **state)
{
	unsigned int gsi = pci_intx_gsi(SLOT, 1);

	(void)state;
	assert_int_equal(find(PCI_CAP_ID_MSIX), 0);
	assert_int_not_equal(find(PCI_CAP_ID_MSI), 0);
	enable(true);
	request();
	assert_int_equal(atomic_load(&fake_hsm.msis), 1);
	assert_int_equal(fake_hsm.msi[0].msi_addr, DRIVER_MSI);
	assert_int_equal(fake_hsm.msi[0].msi_data, MESSAGE);
	assert_false(atomic_load(&fake_hsm.line[gsi]));
	assert_int_equal(driver_get(rng.isr, 1), VIRTIO_ISR_QUEUE);

	/* A ring that is broken: the configuration's word. */
	ring_desc(&rng.ring[0], 0, BUFFER, 64, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 0);
	ring_offer(&rng.ring[0], 0);
	driver_ring_bell(&rng, 0);
	machine_wait(atomic_load(&fake_hsm.msis) == 2);
	assert_int_equal(driver_get(rng.isr, 1), VIRTIO_ISR_CONFIG);
}

/* What if the driver leaves it off, as Linux does? There is the pin. */
static void test_pin(void **state)
{
	unsigned int gsi = pci_intx_gsi(SLOT, 1);

	(void)state;
	enable(false);
	request();
	machine_wait(atomic_load(&fake_hsm.line[gsi]));
	assert_int_equal(atomic_load(&fake_hsm.msis), 0);
	assert_int_equal(driver_get(rng.isr, 1), VIRTIO_ISR_QUEUE);
	assert_false(atomic_load(&fake_hsm.line[gsi]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_message, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pin, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
