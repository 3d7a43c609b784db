// SPDX-License-Identifier: BSD-3-Clause
/*
 * The interrupt of a virtqueue that somebody outside of this process serves: an eventfd that the
 * HSM makes a message of by itself while the queue's vector has one (MSI-X, not masked); else
 * acrn-dm reads it and raises the interrupt, as for a queue of its own.
 */
#ifndef DM_IRQFD_H
#define DM_IRQFD_H

struct irqfd;
struct queue;

/* Dead until irqfd_start(). NULL: no memory or descriptors. */
struct irqfd *irqfd_create(struct queue *q);
void irqfd_destroy(struct irqfd *irqfd);

/* To be signalled; it stays irqfd's. */
int irqfd_descriptor(const struct irqfd *irqfd);

/* From here on signals are interrupts; and no more, nor is one under way on return. */
void irqfd_start(struct irqfd *irqfd);
void irqfd_stop(struct irqfd *irqfd);

/* The queue's vector or its message may be another now. */
void irqfd_update(struct irqfd *irqfd);

#endif
