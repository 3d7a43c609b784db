/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ACRN_HYPERCALL_H
#define ACRN_HYPERCALL_H

#include "lib/types.h"

/*
 * Hypercalls of the Service VM: numbers and what their arguments point to. A contract with the
 * Linux HSM driver (drivers/virt/acrn/hypercall.h, <linux/acrn.h> of Linux 6.1); the unit test
 * holds the layouts against that header. doc/abi/hypercalls.md says what each does.
 *
 * VMCALL from ring 0: number in R8, arguments in RDI and RSI, result in RAX.
 */

#define HC_CLASS 0x80000000UL

#define HC_GET_API_VERSION	 0x00U
#define HC_REMOVE_CPU		 0x01U
#define HC_SET_CALLBACK_VECTOR	 0x02U
#define HC_CREATE_VM		 0x10U
#define HC_DESTROY_VM		 0x11U
#define HC_START_VM		 0x12U
#define HC_PAUSE_VM		 0x13U
#define HC_RESET_VM		 0x15U
#define HC_SET_VCPU_REGS	 0x16U
#define HC_INJECT_MSI		 0x23U
#define HC_VM_INTR_MONITOR	 0x24U
#define HC_SET_IRQLINE		 0x25U
#define HC_SET_IOREQ_BUFFER	 0x30U
#define HC_NOTIFY_REQUEST_FINISH 0x31U
#define HC_ASYNCIO_ASSIGN	 0x32U
#define HC_ASYNCIO_DEASSIGN	 0x33U
#define HC_SET_MEMORY_REGIONS	 0x42U
#define HC_SETUP_SBUF		 0x44U
#define HC_SET_PTDEV_INTR	 0x53U
#define HC_RESET_PTDEV_INTR	 0x54U
#define HC_ASSIGN_PCIDEV	 0x55U
#define HC_DEASSIGN_PCIDEV	 0x56U
#define HC_ASSIGN_MMIODEV	 0x57U
#define HC_DEASSIGN_MMIODEV	 0x58U
#define HC_CREATE_VDEV		 0x59U
#define HC_DESTROY_VDEV		 0x5AU
#define HC_PM_GET_CPU_STATE	 0x80U

#define ACRN_NAME_LEN	  16U

/* The vector on the Service VM's boot CPU that says an I/O request waits. */
#define ACRN_UPCALL_VECTOR 0xF3U

struct acrn_api_version {
	uint32_t major;
	uint32_t minor;
};

struct acrn_vm_creation {
	uint16_t vmid;	   /* written back */
	uint16_t reserved0;
	uint16_t vcpu_num; /* written back */
	uint16_t reserved1;
	uint8_t name[ACRN_NAME_LEN]; /* any bytes; <linux/acrn.h> calls it uuid */
	uint64_t vm_flag;	     /* GUEST_FLAG_x */
	uint64_t ioreq_buf;	     /* between the HSM and its user only */
	uint64_t cpu_affinity;	     /* pCPU ids, 0: as configured */
};

struct acrn_descriptor_ptr {
	uint16_t limit;
	uint64_t base;
	uint16_t reserved[3];
} __packed;

struct acrn_regs {
	uint64_t gprs[16]; /* RAX RCX RDX RBX RSP RBP RSI RDI R8-R15 */
	struct acrn_descriptor_ptr gdt;
	struct acrn_descriptor_ptr idt;
	uint64_t rip;
	uint64_t cs_base;
	uint64_t cr0;
	uint64_t cr4;
	uint64_t cr3;
	uint64_t ia32_efer;
	uint64_t rflags;
	uint64_t reserved_64[4];
	uint32_t cs_ar;
	uint32_t cs_limit;
	uint32_t reserved_32[3];
	uint16_t cs_sel, ss_sel, ds_sel, es_sel, fs_sel, gs_sel, ldt_sel, tr_sel;
};

struct acrn_vcpu_regs {
	uint16_t vcpu_id;
	uint16_t reserved[3];
	struct acrn_regs vcpu_regs;
};

struct acrn_msi_entry {
	uint64_t msi_addr;
	uint64_t msi_data;
};

#define ACRN_INTR_CMD_GET_DATA	0U
#define ACRN_INTR_CMD_DELAY_INT 1U
#define ACRN_INTR_DATA_MAX	48U

struct acrn_intr_monitor {
	uint32_t cmd;
	uint32_t buf_cnt;
	uint64_t buf[ACRN_INTR_DATA_MAX]; /* pairs: interrupt, count */
};

#define ACRN_MEM_REGION_ADD 0U
#define ACRN_MEM_REGION_DEL 2U

#define ACRN_MEM_ACCESS_RIGHT_MASK 0x007U /* R W X, as in EPT entries */
#define ACRN_MEM_TYPE_MASK	   0x7C0U
#define ACRN_MEM_TYPE_WB	   0x040U
#define ACRN_MEM_TYPE_WT	   0x080U
#define ACRN_MEM_TYPE_UC	   0x100U
#define ACRN_MEM_TYPE_WC	   0x200U
#define ACRN_MEM_TYPE_WP	   0x400U

struct acrn_memory_region {
	uint32_t type;
	uint32_t attr;
	uint64_t user_vm_pa;
	uint64_t service_vm_pa;
	uint64_t size;
};

struct acrn_memory_regions {
	uint16_t vmid;
	uint16_t reserved[3];
	uint32_t regions_num;
	uint64_t regions_gpa; /* of an array of struct acrn_memory_region */
};

/* HC_ASYNCIO_ASSIGN and _DEASSIGN: writes that go into the ring instead of a request. */
#define ACRN_ASYNCIO_PIO  1U
#define ACRN_ASYNCIO_MMIO 2U
#define ACRN_ASYNCIO_MAX  64U

struct acrn_asyncio_info {
	uint32_t type; /* ACRN_ASYNCIO_x */
	uint32_t match_data; /* not 0: only writes of `data` */
	uint64_t addr;
	uint64_t fd; /* the caller's own name for it */
	uint64_t data;
};

/* Entries of the ring ACRN_SBUF_VM_EVENT (acrn/sbuf.h). */
#define ACRN_VM_EVENT_TRIPLE_FAULT 2U

struct acrn_vm_event {
	uint32_t type; /* ACRN_VM_EVENT_x */
	uint8_t data[28];
};

#define ACRN_PTDEV_IRQ_INTX 0U

struct acrn_ptdev_irq {
	uint32_t type;
	uint16_t virt_bdf;
	uint16_t phys_bdf;
	uint32_t virt_pin;
	uint32_t phys_pin;
	uint32_t is_pic_pin;
};

#define ACRN_PCI_NUM_BARS 6U

struct acrn_pcidev {
	uint32_t type;
	uint16_t virt_bdf;
	uint16_t phys_bdf;
	uint8_t intr_line;
	uint8_t intr_pin;
	uint32_t bar[ACRN_PCI_NUM_BARS];
};

#define ACRN_MMIODEV_RES_NUM 3U

struct acrn_mmiodev {
	uint8_t name[8];
	struct {
		uint64_t user_vm_pa;
		uint64_t service_vm_pa;
		uint64_t size;
		uint64_t mem_type;
	} res[ACRN_MMIODEV_RES_NUM];
};

struct acrn_vdev {
	uint64_t id; /* PCI vendor in the lowest 16 bits, device above */
	uint64_t slot;
	uint32_t io_addr[ACRN_PCI_NUM_BARS];
	uint32_t io_size[ACRN_PCI_NUM_BARS];
	uint8_t args[128];
};

/* The command of HC_PM_GET_CPU_STATE */
#define ACRN_PMCMD_TYPE(cmd) ((uint32_t)(cmd) & 0xFFU)
#define ACRN_PMCMD_VMID(cmd) ((uint16_t)(((cmd) >> 24) & 0xFFU))
#define ACRN_PMCMD_GET_PX_CNT  0U
#define ACRN_PMCMD_GET_PX_DATA 1U
#define ACRN_PMCMD_GET_CX_CNT  2U
#define ACRN_PMCMD_GET_CX_DATA 3U

_Static_assert(sizeof(struct acrn_vm_creation) == 48, "ABI");
_Static_assert(sizeof(struct acrn_vcpu_regs) == 296, "ABI");
_Static_assert(offsetof(struct acrn_vcpu_regs, vcpu_regs.cs_ar) == 256, "ABI");
_Static_assert(sizeof(struct acrn_msi_entry) == 16, "ABI");
_Static_assert(sizeof(struct acrn_memory_region) == 32, "ABI");
_Static_assert(sizeof(struct acrn_memory_regions) == 24, "ABI");
_Static_assert(offsetof(struct acrn_memory_regions, regions_gpa) == 16, "ABI");
_Static_assert(sizeof(struct acrn_asyncio_info) == 32, "ABI");
_Static_assert(offsetof(struct acrn_asyncio_info, fd) == 16, "ABI");
_Static_assert(sizeof(struct acrn_vm_event) == 32, "ABI");
_Static_assert(sizeof(struct acrn_ptdev_irq) == 20, "ABI");
_Static_assert(sizeof(struct acrn_pcidev) == 36, "ABI");
_Static_assert(sizeof(struct acrn_mmiodev) == 104, "ABI");
_Static_assert(sizeof(struct acrn_vdev) == 192, "ABI");

#endif
