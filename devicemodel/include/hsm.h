// SPDX-License-Identifier: BSD-3-Clause
/*
 * Every request to the Linux HSM driver (/dev/acrn_hsm). The payloads are those
 * of <linux/acrn.h>. All functions return 0 or a negative errno and may be
 * called from any thread.
 */
#ifndef DM_HSM_H
#define DM_HSM_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/acrn.h>

struct hsm;

/* Operations of SET_IRQLINE (upper half of its argument). */
enum hsm_irq_op {
	HSM_IRQ_HIGH = 0,
	HSM_IRQ_LOW = 1,
	HSM_IRQ_PULSE_HIGH = 2, /* low, high, low: an edge-triggered pin */
	HSM_IRQ_PULSE_LOW = 3,
};

/*
 * Opens /dev/acrn_vhm, else /dev/acrn_hsm. One open file is one VM. pretend: opens nothing, and all
 * requests of Linux 6.1's driver succeed without being made.
 */
int hsm_open(struct hsm **out, bool pretend);

/* Closing destroys the VM if it still exists, and the last process that has it open closes it. */
void hsm_close(struct hsm *hsm);
int hsm_descriptor(const struct hsm *hsm);

/* Retries for five seconds while the hypervisor is still freeing a VM of that name. */
int hsm_create_vm(struct hsm *hsm, struct acrn_vm_creation *req);
int hsm_destroy_vm(struct hsm *hsm);
int hsm_start_vm(struct hsm *hsm);
int hsm_pause_vm(struct hsm *hsm);
int hsm_reset_vm(struct hsm *hsm);
int hsm_set_vcpu_regs(struct hsm *hsm, const struct acrn_vcpu_regs *regs);

/* Map len bytes (4 KB multiple, < 4 GB) of our memory at hva as the guest's RAM at gpa. */
int hsm_map_ram(struct hsm *hsm, uint64_t gpa, void *hva, uint64_t len);
/* The same, only that the guest's writes are I/O requests. */
int hsm_map_rom(struct hsm *hsm, uint64_t gpa, void *hva, uint64_t len);

/* A PCI function that the hypervisor emulates, from the creation of the VM until its end. */
int hsm_create_vdev(struct hsm *hsm, const struct acrn_vdev *vdev);

int hsm_inject_msi(struct hsm *hsm, uint64_t addr, uint64_t data);
int hsm_set_irqline(struct hsm *hsm, uint32_t gsi, enum hsm_irq_op op);

int hsm_create_ioreq_client(struct hsm *hsm);
int hsm_destroy_ioreq_client(struct hsm *hsm);
/* Blocks until a request is pending (0), or the client is destroyed (-ENODEV). */
int hsm_wait_ioreq(struct hsm *hsm);
/* The driver sets the slot's state to COMPLETE and wakes the vCPU. */
int hsm_notify_ioreq(struct hsm *hsm, uint16_t vmid, uint32_t vcpu);
/* Completes every outstanding request of a paused VM. */
int hsm_clear_ioreq(struct hsm *hsm);

/*
 * Doorbells and interrupts without this process: a guest write of len bytes at
 * addr signals the eventfd; signalling the irqfd's eventfd injects the MSI.
 */
int hsm_ioeventfd(struct hsm *hsm, const struct acrn_ioeventfd *req);
/*
 * A flag of hsm_ioeventfd(), of drivers that have hsm_set_asyncio(): the vCPU that writes is not
 * stopped. Linux's header does not have these; a driver without them says -ENOTTY.
 */
#define HSM_IOEVENTFD_ASYNCIO 0x08U
int hsm_irqfd(struct hsm *hsm, const struct acrn_irqfd *req);

/* Rings of this VM, a page each with a header (doc/abi/hypercalls.md), and who is told of events.
 */
int hsm_set_asyncio(struct hsm *hsm, void *page);
int hsm_set_event_ring(struct hsm *hsm, void *page);
int hsm_set_event_fd(struct hsm *hsm, int fd);

#endif
