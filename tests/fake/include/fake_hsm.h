// SPDX-License-Identifier: BSD-3-Clause
/*
 * A HSM driver inside the test, in place of devicemodel/core/hsm.c: it records what the device
 * model asks for, and plays guest accesses to it through the real request page.
 */
#ifndef FAKE_HSM_H
#define FAKE_HSM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <linux/acrn.h>

#define FAKE_HSM_GSIS 32U
#define FAKE_HSM_MSIS 64U
#define FAKE_HSM_MAPS 300U
#define FAKE_HSM_DOORBELLS 32U
#define FAKE_HSM_IRQFDS 8U

struct fake_hsm_map {
	uint64_t gpa, len;
	void *hva;
};

/* Public: a test looks, and sets what shall fail. Requests by ioctl number (low byte). */
struct fake_hsm {
	unsigned int vcpu_num; /* CREATE_VM gives that many, default 1 */
	uint16_t vmid;
	bool newer;	       /* than Linux 6.1's: it has rings, and asynchronous I/O */
	int fail[256]; /* the request fails with this errno, if not 0 */
	atomic_uint calls[256];
	int descriptor; /* the driver's, if not 0: what goes to the log is written there too */
	char log[4096]; /* the life cycle's requests in order, "create start pause ..." */
	char vm_name[17];
	uint64_t cpu_affinity;
	struct acrn_io_request_buffer *page;
	struct acrn_vcpu_regs regs;
	struct fake_hsm_map map[FAKE_HSM_MAPS];
	unsigned int maps;
	struct fake_hsm_map rom; /* the last that the guest cannot write */
	atomic_bool line[FAKE_HSM_GSIS]; /* level of each interrupt line */
	atomic_uint rises[FAKE_HSM_GSIS], pulses[FAKE_HSM_GSIS];
	struct acrn_vdev vdev; /* the last CREATE_VDEV */
	struct acrn_ioeventfd doorbell[FAKE_HSM_DOORBELLS]; /* assigned, len 0: not in use */
	struct acrn_irqfd irqfd[FAKE_HSM_IRQFDS]; /* assigned, fd 0: not in use */
	void *asyncio_page, *event_page;
	int event_fd;
	struct acrn_msi_entry msi[FAKE_HSM_MSIS];
	atomic_uint msis;
};

extern struct fake_hsm fake_hsm;

void fake_hsm_reset(void);

/* The guest writes to a port: true if that signalled an eventfd, in which case it is no request. */
bool fake_hsm_ring(uint16_t port);
/* Somebody outside signals an eventfd, which the driver makes a message of if it has it. */
void fake_hsm_signal(int fd);
/* An event appears in the ring, and who waits for it is told. */
void fake_hsm_event(uint32_t type, int64_t a, int64_t b);

/*
 * One guest access by vCPU 0 to vcpu_num - 1, as the driver presents it: queue it, and
 * hsm_wait_ioreq() will deliver all queued ones at once. After the last one has been completed
 * the loop is sent home with a power request by then(), if set.
 */
struct fake_access {
	uint32_t type, direction;
	uint64_t address; /* PCICFG: bus << 20 | dev << 15 | func << 12 | reg */
	uint64_t size, value;
	uint32_t vcpu;
	bool kernel_handled;
	bool done;
};

void fake_hsm_queue(struct fake_access *access);
extern void (*fake_hsm_idle)(void); /* called when a wait finds nothing queued */

#endif
