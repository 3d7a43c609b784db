// SPDX-License-Identifier: BSD-3-Clause
/*
 * A virtio device apart from its transport (virtio 1.2, chapter 2): features, status, queues,
 * configuration space. A device is one file that fills in a struct virtio_ops and ends in
 * VIRTIO_DEVICE(); it sees checked buffers only.
 *
 * Threads: registers, doorbells, reset and destruction all come from the I/O request thread,
 * one at a time, so what they touch needs no lock. Doorbells of devices that allow it may be
 * another thread's (doorbell.h). What other threads may call says so.
 */
#ifndef DM_VIRTIO_H
#define DM_VIRTIO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/virtio_config.h>

#include "iothread.h"
#include "queue.h"

struct virtio_dev;
struct vm;

#define VIRTIO_MAX_QUEUES 34U

/* Feature words are 64 bits wide: bits 0..23 and 50..63 belong to the device type (2.2). */
#define VIRTIO_FEATURE(bit) (1ULL << (bit))

/* Bits of the ISR register (4.1.4.5). */
#define VIRTIO_ISR_QUEUE  1U
#define VIRTIO_ISR_CONFIG 2U

struct virtio_ops {
	uint16_t id;	     /* device type, VIRTIO_ID_* */
	uint32_t class_code; /* for PCI: class << 16 | subclass << 8 | interface */
	uint16_t queues;     /* 1..VIRTIO_MAX_QUEUES, at most */
	uint16_t queue_max;  /* entries, a power of two */

	/*
	 * Set dev->priv, ->offered, ->config and ->config_len, ->queues if they are fewer
	 * than above, and ->threads if the user asks for any. @config is the text after the
	 * device's name in -s, or NULL. On error say why in one line and free what was made.
	 */
	int (*create)(struct virtio_dev *dev, const char *config);
	void (*destroy)(struct virtio_dev *dev);

	/*
	 * kick() may run on threads of its own: at most one at a time for each queue, and, if
	 * create() asked for no more than one thread, for the device; none during config_write(),
	 * rescan() and stop().
	 */
	bool any_thread;

	/* The driver made buffers available in a live queue. */
	void (*kick)(struct virtio_dev *dev, struct queue *q);

	/*
	 * The device is being reset and its queues drop what is pushed. On return no buffer of
	 * the guest is in use any more, and no thread takes from a queue.
	 */
	void (*stop)(struct virtio_dev *dev);

	/* Optional: the driver wrote @size bytes (1, 2, 4) inside the configuration space. */
	void (*config_write)(struct virtio_dev *dev, uint64_t offset, unsigned int size,
			     uint64_t value);

	/* Optional: the storage behind the device is now @file, or has changed. Negative errno. */
	int (*rescan)(struct virtio_dev *dev, const char *file);
};

struct virtio_dev {
	struct vm *vm;
	const struct virtio_ops *ops;
	const char *name; /* for logs */
	void *priv;	  /* the device's own */

	uint16_t queues;		    /* of this device */
	const struct iothread_set *threads; /* that serve doorbells; NULL: as the HSM allows */
	uint64_t offered;		    /* features of the device */
	uint64_t accepted;		    /* what the driver wrote; frozen by FEATURES_OK */
	atomic_bool polled;		    /* kick() comes by itself: the driver need not notify */
	bool legacy; /* the driver is older than virtio 1.0; until the reset */
	_Atomic uint8_t status;
	const void *config; /* little endian, config_len bytes */
	size_t config_len;
	uint8_t generation; /* of config: changes that the device made by itself */
	_Atomic uint16_t config_vector;
	struct queue queue[VIRTIO_MAX_QUEUES];

	/*
	 * create()'s, of a device whose queues others serve, else NULL: the eventfd that is to be
	 * @queue's doorbell from DRIVER_OK on, or -1: kick(); and the message of a queue may be
	 * another now, in the I/O request thread.
	 */
	int (*doorbell)(struct virtio_dev *dev, unsigned int queue);
	void (*messages_changed)(struct virtio_dev *dev);

	/* The transport's, optional: on return no kick() runs any more, none comes before
	 * DRIVER_OK. */
	void (*stop_kicks)(struct virtio_dev *dev);
	/* The transport's: raise the interrupt of @vector, or set @isr without MSI-X. Any thread.
	 */
	void (*interrupt)(struct virtio_dev *dev, uint16_t vector, uint8_t isr);
	/* The transport's: the message that @vector is. False: none, interrupt() has to be called.
	 */
	bool (*message)(struct virtio_dev *dev, uint16_t vector, uint64_t *addr, uint32_t *data);
};

/* vm, ops, name and interrupt are set; makes the rest. */
int virtio_create(struct virtio_dev *dev, const char *config);
void virtio_destroy(struct virtio_dev *dev);

/* To the state after power-on; waits until the device has let go of every buffer. */
void virtio_reset(struct virtio_dev *dev);

/*
 * A legacy driver has written all the features it wants (2.2.3): virtio_set_status() does not ask
 * it for VERSION_1. False: they do not fit.
 */
bool virtio_legacy_features(struct virtio_dev *dev);

/* A write to the status register but for 0. Bits that may not be set yet stay clear (3.1.1). */
void virtio_set_status(struct virtio_dev *dev, uint8_t value);

/* Feature words: @sel 0 is bits 0..31, 1 is 32..63, others read 0. */
uint32_t virtio_offered(const struct virtio_dev *dev, uint32_t sel);
uint32_t virtio_accepted(const struct virtio_dev *dev, uint32_t sel);
void virtio_accept(struct virtio_dev *dev, uint32_t sel, uint32_t value);

/* Was this feature agreed on? */
bool virtio_has(const struct virtio_dev *dev, unsigned int bit);

/* Queue @index, or NULL if there is none. */
struct queue *virtio_queue(struct virtio_dev *dev, unsigned int index);
void virtio_queue_enable(struct virtio_dev *dev, struct queue *q);

/* The driver rang for queue @index. */
void virtio_kick(struct virtio_dev *dev, unsigned int index);

/* Configuration space; bytes beyond its end read 0, writes that leave it are dropped. */
uint64_t virtio_config_read(const struct virtio_dev *dev, uint64_t offset, unsigned int size);
void virtio_config_write(struct virtio_dev *dev, uint64_t offset, unsigned int size,
			 uint64_t value);

/* The device has changed its configuration space: the driver shall look at it anew. */
void virtio_config_changed(struct virtio_dev *dev);

/* Any thread: used buffers to tell of. */
void virtio_queue_interrupt(struct virtio_dev *dev, struct queue *q);

/* Any thread: the driver broke the rules on queue @index; stop until it resets the device. */
void virtio_needs_reset(struct virtio_dev *dev, unsigned int index, const char *why);

static inline bool virtio_broken(const struct virtio_dev *dev)
{
	return (atomic_load_explicit(&dev->status, memory_order_relaxed) &
		VIRTIO_CONFIG_S_NEEDS_RESET) != 0;
}

#endif
