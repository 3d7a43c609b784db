/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What was configured at build time: the VMs of the scenario and the facts of
 * the board.  misc/config/generate.py writes the tables (gen/vm_config.c) from
 * the scenario and board files; nothing changes them at run time.
 */
#ifndef HV_VM_CONFIG_H
#define HV_VM_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

/* Sizes include the terminating NUL. */
#define VM_NAME_LEN	16U
#define MOD_TAG_LEN	32U
#define VM_BOOTARGS_LEN 2048U
#define VM_VUART_NUM	8U
#define VM_MEMORY_NUM	8U

/* The values are ABI: they are ACRN's, and tools print them. */
enum vm_load_order {
	PRE_LAUNCHED_VM = 0,
	SERVICE_VM = 1,
	POST_LAUNCHED_VM = 2,
};

enum vm_kernel_type {
	KERNEL_BZIMAGE = 0,
	KERNEL_RAWIMAGE = 1,
	KERNEL_ELF = 2,
};

/* The highest that wants a CPU has it. */
enum vm_priority {
	PRIO_IDLE = 0, /* no VM's */
	PRIO_LOW = 1,
	PRIO_HIGH = 2,
};

/* A VM may not stop or reset one of a higher severity. */
enum vm_severity {
	SEVERITY_STANDARD_VM = 0x10,
	SEVERITY_SERVICE_VM = 0x20,
	SEVERITY_RTVM = 0x30,
	SEVERITY_SAFETY_VM = 0x40,
};

/* Guest flags: bit numbers are ABI (acrn-dm passes them in ACRN_IOCTL_CREATE_VM). */
#define GUEST_FLAG_SECURE_WORLD_ENABLED	 (UINT64_C(1) << 0)
#define GUEST_FLAG_LAPIC_PASSTHROUGH	 (UINT64_C(1) << 1)
#define GUEST_FLAG_IO_COMPLETION_POLLING (UINT64_C(1) << 2)
#define GUEST_FLAG_HIDE_MTRR		 (UINT64_C(1) << 3)
#define GUEST_FLAG_RT			 (UINT64_C(1) << 4)
#define GUEST_FLAG_NVMX_ENABLED		 (UINT64_C(1) << 5)
/* Configured in the scenario file, as opposed to created with an unknown name. */
#define GUEST_FLAG_STATIC_VM	   (UINT64_C(1) << 8)
#define GUEST_FLAG_STATELESS	   (UINT64_C(1) << 14)

/* What a device model may ask for when it creates a VM; other bits are cleared. */
#define GUEST_FLAGS_DM_MAY_SET                                                                     \
	(GUEST_FLAG_SECURE_WORLD_ENABLED | GUEST_FLAG_LAPIC_PASSTHROUGH |                          \
	 GUEST_FLAG_IO_COMPLETION_POLLING | GUEST_FLAG_RT)

/*
 * How the kernel of a pre-launched VM or of the Service VM is found and
 * started.  A multiboot module belongs to the VM if the first word of its
 * string equals the tag; an empty tag matches nothing.
 */
struct vm_os_config {
	enum vm_kernel_type type;
	char kernel_tag[MOD_TAG_LEN];
	char ramdisk_tag[MOD_TAG_LEN];
	char acpi_tag[MOD_TAG_LEN];
	const char *bootargs; /* never NULL; shorter than VM_BOOTARGS_LEN */
	uint64_t load_addr;   /* GPA, KERNEL_RAWIMAGE only */
	uint64_t entry_addr;  /* GPA, KERNEL_RAWIMAGE only */
};

enum vm_vuart_type {
	VUART_NONE = 0,	  /* the ports read all-ones */
	VUART_LEGACY = 1, /* 16550 at I/O ports port..port+7 */
	VUART_PCI = 2,	  /* 16550 in BAR 0 of a PCI function */
};

enum vm_vuart_peer {
	VUART_PEER_CONSOLE = 0, /* the hypervisor's console, when it is switched to this VM */
	VUART_PEER_VM = 1,	/* vUART peer_index of VM peer_vm */
};

struct vm_vuart_config {
	enum vm_vuart_type type;
	enum vm_vuart_peer peer;
	uint16_t port;
	uint8_t irq;	    /* pin of the VM's IOAPIC, and IRQ of its PIC if below 16 */
	uint16_t peer_vm;   /* index into vm_configs[] */
	uint8_t peer_index; /* index into the peer's vuart[] */
	uint8_t pci_index;  /* VUART_PCI: 1 for the VM's first, and so on */
	uint16_t pci_bdf;   /* VUART_PCI of the Service VM: where; 0: anywhere on bus 0 */
};

/* A device of the machine that is a pre-launched VM's: its first one is 00:01.0 there, and so on. */
struct vm_pci_dev {
	uint16_t bdf; /* on the machine: bus << 8 | device << 3 | function */
	uint8_t irq;  /* pin of the VM's IOAPIC; 0xFF: none */
};

/* An interrupt line of the machine that is a pre-launched VM's; pins of the IOAPICs. */
struct vm_intx {
	uint8_t gsi, vm_gsi;
};

/* A part of a pre-launched VM's memory. */
struct vm_memory {
	uint64_t start; /* HPA, a multiple of 2 MB; 0: anywhere */
	uint64_t size;	/* bytes, a multiple of 2 MB */
};

/* One VM of the scenario; its index in vm_configs[] is its VM id. */
struct vm_config {
	enum vm_load_order load_order;
	char name[VM_NAME_LEN]; /* unique, never empty */
	uint8_t severity;	/* enum vm_severity */
	/*
	 * Bitmap of the pCPU ids the VM may use, never 0.  A VM that names none
	 * gets every id below CONFIG_MAX_PCPU_NUM that no other VM owns alone, so
	 * ids the machine does not have must be masked off before use.
	 */
	uint64_t cpu_affinity;
	uint64_t guest_flags;  /* GUEST_FLAG_* */
	uint64_t memory_size;  /* bytes, pre-launched VMs only; else 0 */
	struct vm_memory memory[VM_MEMORY_NUM]; /* its parts, by rising GPA; of size 0: no more */
	struct vm_os_config os;
	const uint8_t *acpi;   /* ACPI tables for GPA VE820_ACPI; pre-launched VMs only, else NULL */
	uint32_t acpi_size;    /* bytes */
	struct vm_vuart_config vuart[VM_VUART_NUM];
	const struct vm_pci_dev *pci; /* pre-launched VMs only, as the next */
	const struct vm_intx *intx;
	uint8_t pci_count, intx_count;
	bool has_pci; /* a pre-launched VM with functions of the machine, or emulated ones */
	uint8_t bvt_weight;			    /* 1..128: share of a CPU under SCHED_BVT */
	uint8_t priority;			    /* enum vm_priority: goes first under SCHED_PRIO */
	const uint8_t *clos; /* class of service of each vCPU; those beyond the count have class 0 */
	uint8_t clos_count;
};

/* The scenario's VMs; slots from vm_config_count to CONFIG_MAX_VM_NUM are free for dynamic ones. */
extern const struct vm_config vm_configs[];
extern const uint16_t vm_config_count;

/* Classes of service (ext/rdt): class i has mask i of the cache and delay i of the memory. */
struct rdt_config {
	bool cdp; /* two masks a class, one for data, then one for code */
	uint8_t mask_count, delay_count;
	const uint32_t *masks;
	const uint16_t *delays; /* MBA's throttling values */
};

extern const struct rdt_config rdt_config;

/* Locks of guests that stop all processors and are to be contained (ext/locks). */
struct locks_config {
	bool split;    /* across two cache lines */
	bool uncached; /* on uncached memory */
};

extern const struct locks_config locks_config;

/*
 * Memory that VMs share, shown to each by a PCI function. Sizes are powers of two from 2 MB; those of
 * a larger size come first, so that each region can start at a multiple of its size.
 */
struct ivshmem_config {
	char name[32];	      /* without hv:/ */
	uint64_t size;	      /* bytes */
	uint64_t vms;	      /* bitmap of the VM ids that may see it */
	/* By VM id: where a VM that does not launch it itself shall find it; 0: anywhere on bus 0. */
	const uint16_t *bdf;
};

extern const struct ivshmem_config ivshmem_configs[];
extern const uint16_t ivshmem_config_count;

enum serial_type {
	SERIAL_NONE = 0,
	SERIAL_PIO = 1,
	SERIAL_MMIO = 2,
};

/* The hypervisor's own console, unless its command line says otherwise (uart=). */
struct serial_config {
	enum serial_type type;
	uint64_t base;	  /* port number, or HPA */
	uint8_t irq;	  /* the hypervisor polls; kept from passing through to a VM */
	uint8_t reg_size; /* bytes between registers: 1, or 4 for most MMIO ones */
};

struct board_config {
	const char *name;
	const char *scenario;
	char version[32]; /* of the source it was built from */
	uint64_t hv_ram_start; /* HPA the image is linked for; a loader may place it elsewhere */
	uint16_t pcpu_num;     /* as the board file has it; the machine's MADT decides */
	struct serial_config console;
};

extern const struct board_config board_config;

#endif
