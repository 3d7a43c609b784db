// SPDX-License-Identifier: BSD-3-Clause
/*
 * A virtio device with nothing behind it, on the fake PCI core: registers are reached through
 * the real transport, and what the transport asks of the device is counted.
 */
#ifndef FAKE_VIRTIO_H
#define FAKE_VIRTIO_H

#include <stdint.h>
#include <linux/virtio_pci.h>

#include "fake_guest.h"
#include "fake_pci.h"
#include "pci_modern.h"

#define QUEUES	  3U
#define QUEUE_MAX 64U
#define FEATURE	  5U /* the one of its own that the device offers */

#define BAR_NOTIFY 2U
#define BAR	   4U
#define ISR	   0x1000U
#define CONFIG	   0x2000U
#define NOTIFY	   0x3000U

#define ACK	 VIRTIO_CONFIG_S_ACKNOWLEDGE
#define DRIVER	 VIRTIO_CONFIG_S_DRIVER
#define FEAT_OK	 VIRTIO_CONFIG_S_FEATURES_OK
#define DRV_OK	 VIRTIO_CONFIG_S_DRIVER_OK
#define RESET_ME VIRTIO_CONFIG_S_NEEDS_RESET

/* The one device, and what happened to it. */
extern struct fake_pci fake;
extern struct virtio_dev *dev;
extern const uint8_t config_bytes[5];
extern unsigned int kicks[QUEUES], stops, destroys;
extern uint64_t config_written; /* offset << 48 | size << 32 | value */

/* For cmocka: guest memory and the device. A second one gets the configuration "bad" refused. */
int fake_virtio_set_up(void **state);
int fake_virtio_tear_down(void **state);

/* Registers of the memory BAR. */
uint64_t get(uint64_t offset, unsigned int size);
void put(uint64_t offset, unsigned int size, uint64_t value);
uint8_t status(void);
void set_status(uint8_t value);
void accept_features(uint64_t features);
/* From reset to FEATURES_OK with VERSION_1 alone. */
void negotiate(void);
/* Program queue @i, without enabling it. */
void aim_queue(unsigned int i, const struct ring *r);

#endif
