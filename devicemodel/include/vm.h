// SPDX-License-Identifier: BSD-3-Clause
/*
 * The User VM as the device model sees it: what was asked for on the command
 * line, and one pointer per unit of the program. Each unit's state is private
 * to the file that made it.
 */
#ifndef DM_VM_H
#define DM_VM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* One request slot per vCPU in a 4 KB page (struct acrn_io_request_buffer). */
#define VM_MAX_VCPUS 16

/*
 * The memory map of a User VM, GPA:
 *
 *  0x0000000000  low RAM, at most 2 GB (0xA0000-0xFFFFF is RAM that e820 keeps
 *                from the guest's allocator: ACPI tables from 0xF2400)
 *  0x0080000000  PCI MMIO, 32-bit BARs
 *  0x00E0000000  ECAM, 256 buses of 1 MB
 *  0x00F0000000  reserved: IOAPIC 0xFEC00000, LAPIC 0xFEE00000, firmware up to 4 GB
 *  0x0100000000  high RAM: what -m asks for beyond 2 GB
 *  0x4000000000  PCI MMIO, 64-bit BARs, up to 0x8000000000
 */
#define VM_LOWMEM_LIMIT 0x80000000ULL
#define VM_MMIO32_BASE	0x80000000ULL
#define VM_MMIO32_LIMIT 0xE0000000ULL
#define VM_ECAM_BASE	0xE0000000ULL
#define VM_ECAM_SIZE	0x10000000ULL
#define VM_IOAPIC_BASE	0xFEC00000ULL
#define VM_LAPIC_BASE	0xFEE00000ULL
#define VM_HIGHMEM_BASE 0x100000000ULL
#define VM_MMIO64_BASE	0x4000000000ULL
#define VM_MMIO64_LIMIT 0x8000000000ULL
#define VM_IO_BASE	0x2000U
#define VM_IO_LIMIT	0x10000U
#define VM_ACPI_BASE	0xF2400ULL
#define VM_ACPI_LIMIT	0x100000ULL

#define VM_MAX_SLOTS 64
#define VM_COM_PORTS 4

/* One "-s". */
struct pci_slot {
	unsigned int bus, slot, func;
	char name[24];
	const char *config; /* what follows the name, or NULL */
};

/* "--ovmf": files of the firmware. */
struct vm_ovmf {
	bool write;	  /* vars is written */
	const char *vars; /* path, or NULL: there is no firmware */
	const char *code; /* path, or NULL: the code is in the same file */
	char text[1024];
};

/* What the command line asked for; filled by OPTION() parsers. */
struct vm_config {
	const char *name;      /* 1..15 characters */
	uint64_t mem_size;     /* bytes */
	const char *kernel;    /* path of a bzImage, or NULL */
	bool is_elf;	       /* it is an ELF executable */
	const char *ramdisk;   /* path, or NULL */
	const char *bootargs;  /* or NULL */
	uint64_t cpu_affinity; /* bitmap of pCPU ids, 0: as the hypervisor is configured */
	struct vm_ovmf ovmf;   /* in place of a kernel */
	bool rtvm;
	bool lapic_pt;	  /* no more than what rtvm does */
	uint64_t poll_ns; /* so often are virtio's queues looked at; 0: when the doorbell rings */
	bool virtio_msi;  /* one message a virtio device, in place of one a queue */
	bool debugexit;
	bool dry_run;
	const char *cmd_monitor; /* path of a socket for commands, or NULL */
	struct pci_slot slots[VM_MAX_SLOTS];
	unsigned int slot_count;
	const char *com[VM_COM_PORTS]; /* chardev.h specs of com1..com4, or NULL */
};

struct fw_cfg;
struct gmem;
struct hsm;
struct io_space;
struct ioreq;
struct keeper;
struct mevent_loop;
struct monitor;
struct pci_bus;
struct platform;
struct pm;
struct power;
struct rings;

struct vm {
	struct vm_config cfg;
	unsigned int vcpu_num;	   /* set by vm_create(), 1..VM_MAX_VCPUS */
	uint16_t vmid;		   /* relative to the Service VM */
	atomic_bool started;	   /* loaded: its vCPUs run unless paused */
	atomic_bool paused;	   /* by vm_pause() */
	bool misused;		   /* vm_create() failed for a device's configuration text */
	struct hsm *hsm;	   /* hsm.h */
	struct gmem *gmem;	   /* gmem.h */
	struct io_space *pio;	   /* pio.h */
	struct io_space *mmio;	   /* mmio.h */
	struct mevent_loop *loop;  /* mevent.h: the main event loop, its own thread */
	struct pci_bus *pci;	   /* pci.h */
	struct platform *platform; /* platform.h */
	struct pm *pm;		   /* pm.h */
	struct fw_cfg *fw_cfg;	   /* firmware.h, or NULL */
	struct power *power;	   /* power.h */
	struct ioreq *ioreq;	   /* ioreq.h */
	struct rings *rings;	   /* rings.h */
	struct keeper *keeper;	   /* keeper.h: an RTVM's, or NULL */
	struct monitor *monitor;   /* monitor.h; NULL before it is made */
};

/*
 * Create the VM in the hypervisor, its memory and its devices. On error all
 * that was made is undone, one line says why, and a negative errno returns.
 */
int vm_create(struct vm *vm);

/* Load kernel, ramdisk and tables, set the first vCPU's registers, start. */
int vm_boot(struct vm *vm);

/*
 * Serve I/O requests until the guest or the user powers the VM off; a system
 * reset is done in here. Returns the exit status of the program.
 */
int vm_run(struct vm *vm);

/* It runs, and whoever else wants it stopped is refused: an RTVM. */
#define VM_ENDS_ITSELF_TEXT "an RTVM runs until it powers itself off"
bool vm_ends_itself(const struct vm *vm);

/*
 * Stop all vCPUs where they are, and let them go on. Any thread, between
 * vm_create() and vm_destroy(); each may be repeated. A VM that is paused before
 * it starts, or over a reset, waits for vm_resume() before its first instruction. -EPERM if it ends
 * itself.
 * Timers and devices go on: what they raise meanwhile is seen after the resume.
 */
int vm_pause(struct vm *vm);
int vm_resume(struct vm *vm);

/* Undo vm_create(): devices flushed and closed, VM destroyed, memory freed. */
void vm_destroy(struct vm *vm);

#endif
