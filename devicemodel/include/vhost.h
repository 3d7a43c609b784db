// SPDX-License-Identifier: BSD-3-Clause
/*
 * Queues of a virtio device that the Service VM's kernel serves: doorbells and interrupts pass
 * between it and the guest by eventfds that the HSM knows, and acrn-dm has no part in it. What
 * the driver has set up is checked before the kernel hears of it. Functions that change one
 * struct vhost exclude one another, the device sees to that.
 */
#ifndef DM_VHOST_H
#define DM_VHOST_H

#include <stdbool.h>
#include <stdint.h>

struct queue;
struct vhost;
struct virtio_dev;

#define VHOST_RINGS 2U /* of every kind of device that there is */

/*
 * Open @path, /dev/vhost-*, for queue @first and the next of @dev, and give it the guest's memory.
 * @features: what it does of the ring's and its device's. A negative errno, with nothing logged.
 */
int vhost_open(struct vhost **out, struct virtio_dev *dev, unsigned int first, const char *path,
	       uint64_t *features);
void vhost_close(struct vhost *v);

/* A request of the device's own kind, of linux/vhost.h. A negative errno. */
int vhost_request(const struct vhost *v, unsigned long code, const void *payload);

/*
 * Let the kernel have ring @index (0 or 1), whose queue is live; what serves it is started by
 * vhost_request() afterwards. Nothing if it has it already. A negative errno.
 */
int vhost_start_ring(struct vhost *v, unsigned int index);
bool vhost_has_ring(const struct vhost *v, unsigned int index);
/* Behind the request that ends the service. */
void vhost_stop_ring(struct vhost *v, unsigned int index);

/* The eventfd that is the ring's doorbell; and ring it. */
int vhost_doorbell(const struct vhost *v, unsigned int index);
void vhost_ring(const struct vhost *v, unsigned int index);

/* The messages of the queues may be others now. */
void vhost_messages_changed(struct vhost *v);

#endif
