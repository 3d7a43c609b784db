// SPDX-License-Identifier: BSD-3-Clause
/*
 * See virtio_driver.h. Every access takes the way a guest's takes: configuration space through
 * the bus, registers through the memory and port ranges that the BARs registered.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#include <cmocka.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#include "dm_machine.h"
#include "gmem.h"
#include "io_space.h"
#include "pci.h"
#include "virtio_driver.h"

void *guest_at(uint64_t gpa, uint64_t len)
{
	void *p = gmem_ptr(&machine, gpa, len);

	assert_non_null(p);
	return p;
}

uint32_t driver_cfg_read(const struct driver *d, unsigned int reg, unsigned int size)
{
	return pci_bus_read(&machine, 0, d->slot, 0, reg, size);
}

void driver_cfg_write(const struct driver *d, unsigned int reg, unsigned int size, uint32_t value)
{
	pci_bus_write(&machine, 0, d->slot, 0, reg, size, value);
}

uint64_t driver_bar(const struct driver *d, unsigned int i)
{
	uint32_t value = driver_cfg_read(d, PCI_BASE_ADDRESS_0 + 4 * i, 4);

	return value & ~(value & PCI_BASE_ADDRESS_SPACE_IO ? 3U : 15U);
}

static void find_structures(struct driver *d)
{
	unsigned int at = driver_cfg_read(d, PCI_CAPABILITY_LIST, 1);

	for (; at != 0; at = driver_cfg_read(d, at + 1, 1)) {
		unsigned int b = driver_cfg_read(d, at + 4, 1);
		uint64_t place = b < 6 ? driver_bar(d, b) + driver_cfg_read(d, at + 8, 4) : 0;

		if (driver_cfg_read(d, at, 1) == PCI_CAP_ID_MSIX) {
			uint32_t table = driver_cfg_read(d, at + PCI_MSIX_TABLE, 4);

			d->msix_cap = at;
			d->msix_table = driver_bar(d, table & 7) + (table & ~7U);
			continue;
		}
		if (driver_cfg_read(d, at, 1) != PCI_CAP_ID_VNDR)
			continue;
		switch (driver_cfg_read(d, at + 3, 1)) {
		case VIRTIO_PCI_CAP_COMMON_CFG:
			d->common = place;
			break;
		case VIRTIO_PCI_CAP_ISR_CFG:
			d->isr = place;
			break;
		case VIRTIO_PCI_CAP_DEVICE_CFG:
			d->config = place;
			break;
		case VIRTIO_PCI_CAP_NOTIFY_CFG:
			if (d->bell == 0) { /* a driver takes the first */
				d->bell = (uint16_t)place;
				d->notify_bar = b;
			}
			break;
		case VIRTIO_PCI_CAP_PCI_CFG:
			d->window = at;
			break;
		default:
			fail();
		}
	}
}

uint64_t driver_get(uint64_t gpa, unsigned int size)
{
	return io_space_read(machine.mmio, gpa, size);
}

void driver_put(uint64_t gpa, unsigned int size, uint64_t value)
{
	io_space_write(machine.mmio, gpa, size, value);
}

uint32_t driver_msi(const struct driver *d, unsigned int vector)
{
	return 0x40 + d->slot * 8 + vector;
}

void driver_set_msix(const struct driver *d, bool on)
{
	if (d->msix_cap == 0)
		return;
	for (unsigned int v = 0; v < 3; v++) {
		driver_put(d->msix_table + 16 * v, 4, DRIVER_MSI);
		driver_put(d->msix_table + 16 * v + 4, 4, 0);
		driver_put(d->msix_table + 16 * v + 8, 4, driver_msi(d, v));
		driver_put(d->msix_table + 16 * v + 12, 4, 0);
	}
	driver_cfg_write(d, d->msix_cap + PCI_MSIX_FLAGS, 2, on ? PCI_MSIX_FLAGS_ENABLE : 0);
}

void driver_find(struct driver *d, unsigned int slot, uint64_t memory)
{
	*d = (struct driver) {.slot = slot, .memory = memory};
	driver_cfg_write(d, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	find_structures(d);
	driver_set_msix(d, true);
}

uint8_t driver_program(struct driver *d, uint32_t features, unsigned int queues)
{
	uint8_t run = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

	driver_put(d->common + VIRTIO_PCI_COMMON_STATUS, 1, 0);
	driver_put(d->common + VIRTIO_PCI_COMMON_STATUS, 1, run);
	driver_put(d->common + VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	driver_put(d->common + VIRTIO_PCI_COMMON_GF, 4, features);
	driver_put(d->common + VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	driver_put(d->common + VIRTIO_PCI_COMMON_GF, 4, 1);
	driver_put(d->common + VIRTIO_PCI_COMMON_STATUS, 1, run |= VIRTIO_CONFIG_S_FEATURES_OK);
	driver_put(d->common + VIRTIO_PCI_COMMON_MSIX, 2, 0);
	for (unsigned int i = 0; i < queues; i++) {
		struct ring *r = &d->ring[i];

		ring_init(r, d->memory + i * 0x3000, 16);
		driver_put(d->common + VIRTIO_PCI_COMMON_Q_SELECT, 2, i);
		driver_put(d->common + VIRTIO_PCI_COMMON_Q_SIZE, 2, r->size);
		driver_put(d->common + VIRTIO_PCI_COMMON_Q_DESCLO, 8, r->desc);
		driver_put(d->common + VIRTIO_PCI_COMMON_Q_AVAILLO, 8, r->avail);
		driver_put(d->common + VIRTIO_PCI_COMMON_Q_USEDLO, 8, r->used);
		driver_put(d->common + VIRTIO_PCI_COMMON_Q_MSIX, 2, i + 1);
		driver_put(d->common + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	}
	driver_put(d->common + VIRTIO_PCI_COMMON_STATUS, 1, run |= VIRTIO_CONFIG_S_DRIVER_OK);
	return run;
}

void driver_start(struct driver *d, uint32_t features, unsigned int queues)
{
	const uint8_t run = driver_program(d, features, queues);

	assert_int_equal(driver_get(d->common + VIRTIO_PCI_COMMON_STATUS, 1), run);
}

void driver_ring_bell(const struct driver *d, unsigned int queue)
{
	machine_out((uint16_t)(d->bell + 4 * queue), 2, queue);
}

uint32_t driver_wait(struct driver *d, unsigned int queue)
{
	uint32_t id, len = 0;
	bool taken = false;

	machine_wait(taken || (taken = ring_take(&d->ring[queue], &id, &len)));
	return len;
}
