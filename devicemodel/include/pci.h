// SPDX-License-Identifier: BSD-3-Clause
/*
 * Emulated PCI devices: configuration space, BARs, capabilities, MSI, MSI-X and
 * INTx. A device is one file that ends in PCI_DEVICE(ops); "-s" makes instances
 * of it. Configuration and BAR accesses come from the I/O request thread, one
 * at a time; the interrupt functions may be called from any thread.
 */
#ifndef DM_PCI_H
#define DM_PCI_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <linux/pci_regs.h>
#include "section.h"

struct aml;
struct io_ops;
struct msix;
struct pci_device;
struct vm;
struct vm_config;

#define PCI_BARS	   6U
#define PCI_SLOTS	   32U
#define PCI_FUNCS	   8U
#define PCI_CFG_SIZE	   4096U
#define PCI_CFG_CONVENTION 256U

enum pci_bar_type { PCI_BAR_NONE, PCI_BAR_IO, PCI_BAR_MEM32, PCI_BAR_MEM64, PCI_BAR_MEM64_HIGH };

struct pci_ops {
	const char *name; /* as in "-s slot,name,config" */
	/*
	 * config is what follows the name, or NULL; it must not be changed. On
	 * error say why in one line, free what was made, return a negative
	 * errno; deinit is not called then.
	 */
	int (*init)(struct pci_device *dev, const char *config);
	void (*deinit)(struct pci_device *dev); /* flush and free; may be NULL */
	void (*reset)(struct pci_device *dev);	/* as after power-on; may be NULL */

	/* Accesses inside a BAR that pci_msix_add() did not take. May be NULL without BARs. */
	uint64_t (*bar_read)(struct pci_device *dev, unsigned int bar, uint64_t offset,
			     unsigned int size);
	void (*bar_write)(struct pci_device *dev, unsigned int bar, uint64_t offset,
			  unsigned int size, uint64_t value);

	/*
	 * Optional: see a configuration access first. True when handled (of a
	 * read: *value set), false to let the generic code do it.
	 */
	bool (*cfg_read)(struct pci_device *dev, unsigned int reg, unsigned int size,
			 uint32_t *value);
	bool (*cfg_write)(struct pci_device *dev, unsigned int reg, unsigned int size,
			  uint32_t value);

	/* Optional: the storage behind the device is now @file, or has changed. Negative errno. */
	int (*rescan)(struct pci_device *dev, const char *file);

	/* Optional: bar[bar].mapped or .mapped_at is another now. */
	void (*bar_moved)(struct pci_device *dev, unsigned int bar);

	/* Optional: what pci_msix_message() says of a vector may be another now. */
	void (*msix_changed)(struct pci_device *dev);

	/* Optional: objects for the DSDT, inside the Device of the PCI root. */
	void (*dsdt)(struct pci_device *dev, struct aml *aml);
};

#define PCI_DEVICE(object) SECTION_ADD(dm_pci_devices, struct pci_ops, object)

struct pci_bar {
	enum pci_bar_type type;
	bool mapped;   /* its range is registered, at mapped_at */
	uint64_t size; /* power of two */
	uint64_t mapped_at;
	struct pci_device *dev;
};

struct pci_device {
	struct vm *vm;
	const struct pci_ops *ops;
	void *priv; /* the device's own */
	unsigned int bus, slot, func;
	char name[40]; /* "virtio-blk@0:3.0", for logs */
	struct pci_bar bar[PCI_BARS];
	uint8_t cfg[PCI_CFG_SIZE];		  /* what the guest reads */
	uint8_t wmask[PCI_CFG_SIZE];		  /* bits the guest may write */
	unsigned int cap_end;			  /* next free byte for a capability */
	unsigned int cap_last;			  /* offset of the last one, 0 none */
	unsigned int msi_cap, msix_cap, pcie_cap; /* offsets, 0 none */
	pthread_mutex_t irq_lock;		  /* message registers, MSI-X table, INTx state */
	struct msix *msix;
	bool intx_level;		 /* what the device drives */
	bool intx_line;			 /* what reached the line: not with INTX_DISABLE */
	uint8_t reset_cfg[PCI_CFG_SIZE]; /* cfg as init left it */
};

/* --- for init: identity, BARs, capabilities --- */

/* class_code is class << 16 | subclass << 8 | programming interface. */
void pci_cfg_set_ids(struct pci_device *dev, uint16_t vendor, uint16_t device, uint32_t class_code,
		     uint8_t revision);
void pci_cfg_set_subsystem(struct pci_device *dev, uint16_t vendor, uint16_t device);

/* Host byte order, aligned; writes set the value the guest reads, not the mask. */
uint8_t pci_cfg_get8(const struct pci_device *dev, unsigned int reg);
uint16_t pci_cfg_get16(const struct pci_device *dev, unsigned int reg);
uint32_t pci_cfg_get32(const struct pci_device *dev, unsigned int reg);
void pci_cfg_set8(struct pci_device *dev, unsigned int reg, uint8_t value);
void pci_cfg_set16(struct pci_device *dev, unsigned int reg, uint16_t value);
void pci_cfg_set32(struct pci_device *dev, unsigned int reg, uint32_t value);

/*
 * Give the device a BAR and an address for it. size is rounded up to a power of
 * two (memory: at least 4 KB so that devices share no page; I/O: at least 4).
 * MEM64 takes two registers. -EBUSY: registers in use; -ENOSPC: window full.
 */
int pci_bar_add(struct pci_device *dev, unsigned int bar, enum pci_bar_type type, uint64_t size,
		bool prefetchable);

/*
 * Append a capability of len bytes in all; the body after the two header bytes
 * is zero and read-only until the caller sets cfg and wmask. Returns its offset,
 * or -ENOSPC.
 */
int pci_cap_add(struct pci_device *dev, uint8_t id, unsigned int len);
int pci_msi_add(struct pci_device *dev, unsigned int vectors);
/*
 * MSI-X with its table at table_offset of bar and the pending bits right behind
 * it (8-byte aligned); both are served by the core. Size the BAR with
 * pci_msix_bytes().
 */
int pci_msix_add(struct pci_device *dev, unsigned int bar, uint32_t table_offset,
		 unsigned int vectors);
uint32_t pci_msix_bytes(unsigned int vectors);
/* PCI Express endpoint capability; makes registers 0x100-0xFFF reachable. */
int pci_cap_add_pcie(struct pci_device *dev);
/* Interrupt pin A on the slot's GSI; the interrupt line register follows. */
void pci_intx_add(struct pci_device *dev);

/*
 * The rest of init of a function that the hypervisor emulates: ids and BARs are set, args name it.
 * An error has been logged.
 */
int pci_hv_create(struct pci_device *dev, const char *args);

/* For devices that take no configuration: 0, or -EINVAL with a line in the log. */
int pci_no_config(const struct pci_device *dev, const char *config);

/* --- interrupts, any thread --- */

bool pci_msi_enabled(const struct pci_device *dev);
bool pci_msix_enabled(const struct pci_device *dev);
/*
 * Raise a vector. MSI-X: masked ones stay pending; both: dropped while the
 * capability is disabled, or beyond the vectors the device has.
 */
void pci_msi_notify(struct pci_device *dev, unsigned int vector);
void pci_msix_notify(struct pci_device *dev, unsigned int vector);
/*
 * The vector's message for an irqfd; false when it is disabled, masked, no
 * interrupt, or does not exist.
 */
bool pci_msix_message(struct pci_device *dev, unsigned int vector, uint64_t *addr, uint32_t *data);
/* Level of the INTx pin; the line of several functions is their OR. */
void pci_intx_set(struct pci_device *dev, bool level);

/* --- the bus --- */

int pci_bus_create(struct vm *vm); /* make and init the devices -s asked for */
void pci_bus_destroy(struct vm *vm);
void pci_bus_reset(struct vm *vm);
void pci_bus_dsdt(struct vm *vm, struct aml *aml);
/* The function in that place, or NULL. */
const struct pci_device *pci_bus_device(const struct vm *vm, unsigned int slot, unsigned int func);
int pci_slot_parse(struct vm_config *cfg, const char *arg); /* what is behind "-s" */
void pci_bus_list_kinds(void); /* the names that -s knows, on standard output */

/* One configuration access; nobody there reads all ones. reg < 4096. */
uint32_t pci_bus_read(struct vm *vm, unsigned int bus, unsigned int slot, unsigned int func,
		      unsigned int reg, unsigned int size);
void pci_bus_write(struct vm *vm, unsigned int bus, unsigned int slot, unsigned int func,
		   unsigned int reg, unsigned int size, uint32_t value);

/*
 * "[bus:]slot[:func],file": tell that device. -EINVAL: not of this form, -ENODEV: nobody there,
 * -ENOTTY: it has no storage, or those of block_rescan(). I/O request thread.
 */
int pci_bus_rescan(struct vm *vm, const char *text);

/* GSI of a slot's pin (1..4): fixed, 16..23, what the _PRT says. */
unsigned int pci_intx_gsi(unsigned int slot, unsigned int pin);

#endif
