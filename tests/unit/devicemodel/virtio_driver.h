// SPDX-License-Identifier: BSD-3-Clause
/*
 * A driver that knows of PCI configuration space only and finds all else from there, on the
 * device model of dm_machine.h. A test that fails inside stops.
 */
#ifndef VIRTIO_DRIVER_H
#define VIRTIO_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "driver_ring.h"

#define DRIVER_MSI 0xFEE01000U /* address of every message; its data: see driver_msi() */

/* What the driver learned from configuration space. */
struct driver {
	unsigned int slot;
	uint64_t common, isr, config; /* GPA */
	uint16_t bell;		      /* port of queue 0, the others 4 apart */
	uint64_t msix_table;	      /* GPA */
	unsigned int msix_cap, window;
	unsigned int notify_bar;
	struct ring ring[7];
	uint64_t memory; /* 64 KB of its own, or 12 a ring, GPA */
};

uint32_t driver_cfg_read(const struct driver *d, unsigned int reg, unsigned int size);
void driver_cfg_write(const struct driver *d, unsigned int reg, unsigned int size, uint32_t value);
uint64_t driver_bar(const struct driver *d, unsigned int i);
uint64_t driver_get(uint64_t gpa, unsigned int size);
void driver_put(uint64_t gpa, unsigned int size, uint64_t value);

/* Fill in *d from the device in @slot; @memory is 64 KB of guest memory for the test. */
void driver_find(struct driver *d, unsigned int slot, uint64_t memory);
void driver_set_msix(const struct driver *d, bool on);
/* Data of the message of @vector: 0 configuration, 1 and up the queues. */
uint32_t driver_msi(const struct driver *d, unsigned int vector);
/*
 * From reset to DRIVER_OK with VERSION_1 and @features, rings of 16 entries at d->memory. The
 * status that was written last; driver_start() expects to read it.
 */
uint8_t driver_program(struct driver *d, uint32_t features, unsigned int queues);
void driver_start(struct driver *d, uint32_t features, unsigned int queues);
void driver_ring_bell(const struct driver *d, unsigned int queue);
/* Wait for the next used entry of @queue and return its length. */
uint32_t driver_wait(struct driver *d, unsigned int queue);

#endif
