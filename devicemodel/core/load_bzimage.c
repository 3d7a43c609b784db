// SPDX-License-Identifier: BSD-3-Clause
/*
 * Linux's boot protocol (Documentation/x86/boot.rst of the kernel): a bzImage
 * entered in 32-bit protected mode with a zero page in ESI. The file is not
 * trusted: its header is copied once and every field checked against the file's
 * size and the VM's memory. Main thread, no state.
 *
 * Guest memory:
 *   0x10000  zero page       0x11000  GDT       0x20000  command line
 *   kernel at the address it prefers, or where it fits if it can be moved
 *   ramdisk at the top of low memory
 */
#include <asm/bootparam.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "acpi.h"
#include "gmem.h"
#include "load.h"
#include "log.h"
#include "vm.h"

#define ZEROPAGE_GPA  0x10000ULL
#define GDT_GPA	      0x11000ULL
#define CMDLINE_GPA   0x20000ULL
#define CMDLINE_LIMIT 0x10000ULL
#define HIGH_KERNEL   0x100000ULL

#define SECTOR		    512U
#define MAGIC_HDRS	    0x53726448U
#define BOOT_FLAG	    0xaa55U
#define MIN_PROTOCOL	    0x0206U /* cmdline_size; what follows is checked by version */
#define PROTOCOL_INIT_SIZE  0x020aU
#define LOADER_UNDEFINED    0xffU
#define DEFAULT_SETUP_SECTS 4U

#define CS_SELECTOR 0x10U
#define DS_SELECTOR 0x18U
#define GDT_ENTRIES 4U
#define GDT_CODE32  0x00cf9b000000ffffULL
#define GDT_DATA32  0x00cf93000000ffffULL
#define CS_ACCESS   0xc09bU
#define CR0_PE	    0x1U
#define CR0_ET	    0x10U
#define CR0_NE	    0x20U
#define RFLAGS_ONE  0x2U

struct kernel {
	const char *path;
	int fd;
	uint64_t file_size;
	uint64_t payload_offset;
	uint64_t payload_size;
	uint64_t gpa;	    /* where the payload goes */
	uint64_t init_size; /* what it needs there, to unpack itself */
	struct setup_header hdr;
};

static int bad_kernel(const struct kernel *kernel, const char *why)
{
	log_err("%s is no kernel this can boot: %s", kernel->path, why);
	return -ENOEXEC;
}

/* Older kernels have a shorter header: its end is where the jump over it goes to. */
static void forget_tail(struct setup_header *hdr)
{
	size_t end = offsetof(struct setup_header, header) + (hdr->jump >> 8);

	if (end < sizeof(*hdr))
		memset((uint8_t *)hdr + end, 0, sizeof(*hdr) - end);
}

static int read_header(struct kernel *kernel)
{
	const uint64_t at = offsetof(struct boot_params, hdr);
	struct setup_header *hdr = &kernel->hdr;
	uint64_t setup;

	if (kernel->file_size < at + sizeof(*hdr) ||
	    pread(kernel->fd, hdr, sizeof(*hdr), (off_t)at) != sizeof(*hdr))
		return bad_kernel(kernel, "the file is too short for a bzImage header");
	if (hdr->boot_flag != BOOT_FLAG || hdr->header != MAGIC_HDRS)
		return bad_kernel(kernel, "it is not a bzImage (no HdrS signature)");
	if (hdr->version < MIN_PROTOCOL)
		return bad_kernel(kernel, "its boot protocol is older than 2.06");
	if (!(hdr->loadflags & LOADED_HIGH))
		return bad_kernel(kernel, "it is a zImage, to be loaded low");
	forget_tail(hdr);
	setup = hdr->setup_sects ? hdr->setup_sects : DEFAULT_SETUP_SECTS;
	kernel->payload_offset = (setup + 1) * SECTOR;
	if (kernel->payload_offset >= kernel->file_size)
		return bad_kernel(kernel, "setup_sects points behind the end of the file");
	kernel->payload_size = kernel->file_size - kernel->payload_offset;
	if (kernel->payload_size < hdr->syssize * 16ULL)
		return bad_kernel(kernel, "the file is truncated");
	kernel->init_size = kernel->payload_size;
	if (hdr->version >= PROTOCOL_INIT_SIZE && hdr->init_size > kernel->init_size)
		kernel->init_size = hdr->init_size;
	return 0;
}

/* top: end of the memory the kernel may use. */
static int place_kernel(struct kernel *kernel, uint64_t top)
{
	const struct setup_header *hdr = &kernel->hdr;
	bool prefers = hdr->version >= PROTOCOL_INIT_SIZE;
	uint64_t align = hdr->relocatable_kernel ? hdr->kernel_alignment : 1;
	uint64_t gpa = prefers ? hdr->pref_address : HIGH_KERNEL;

	if (align == 0 || (align & (align - 1)) != 0 || align > VM_LOWMEM_LIMIT)
		return bad_kernel(kernel, "kernel_alignment is not a power of two");
	if (hdr->relocatable_kernel &&
	    (gpa < HIGH_KERNEL || gpa > top || top - gpa < kernel->init_size))
		gpa = HIGH_KERNEL;
	gpa = (gpa + align - 1) & ~(align - 1);
	if (gpa < HIGH_KERNEL)
		return bad_kernel(kernel, "it wants to be loaded below 1 MB");
	if (gpa > top || kernel->init_size > top - gpa) {
		log_err("%s needs %llu MB of memory at %llu MB to unpack itself; the VM has %llu "
			"MB",
			kernel->path, (unsigned long long)(kernel->init_size >> 20),
			(unsigned long long)(gpa >> 20), (unsigned long long)(top >> 20));
		return -ENOSPC;
	}
	kernel->gpa = gpa;
	return 0;
}

static int load_ramdisk(struct vm *vm, struct kernel *kernel, uint64_t *gpa, uint64_t *size)
{
	uint64_t top = gmem_low_size(vm);
	uint64_t floor = kernel->gpa + kernel->init_size;
	int fd, err;

	fd = load_open("ramdisk", vm->cfg.ramdisk, size);
	if (fd < 0)
		return fd;
	if (kernel->hdr.initrd_addr_max < top)
		top = (uint64_t)kernel->hdr.initrd_addr_max + 1;
	if (*size > top || ((top - *size) & ~0xfffULL) < floor) {
		log_err("ramdisk %s (%llu KB) does not fit between the kernel's end at %llu KB and "
			"%llu KB",
			vm->cfg.ramdisk, (unsigned long long)(*size >> 10),
			(unsigned long long)(floor >> 10), (unsigned long long)(top >> 10));
		err = -ENOSPC;
	} else {
		*gpa = (top - *size) & ~0xfffULL;
		err = load_file(vm, vm->cfg.ramdisk, fd, 0, *gpa, *size);
	}
	close(fd);
	return err;
}

static int load_cmdline(struct vm *vm, const struct kernel *kernel)
{
	const char *args = vm->cfg.bootargs ? vm->cfg.bootargs : "";
	size_t len = strlen(args);
	uint64_t max = kernel->hdr.cmdline_size;
	char *to;

	if (max == 0 || max > CMDLINE_LIMIT - 1)
		max = CMDLINE_LIMIT - 1;
	if (len > max) {
		log_err("the kernel's command line has %zu characters, %s takes %llu", len,
			kernel->path, (unsigned long long)max);
		return -E2BIG;
	}
	to = gmem_ptr(vm, CMDLINE_GPA, len + 1);
	if (!to)
		return -ENOSPC;
	memcpy(to, args, len + 1);
	return 0;
}

static void add_e820(struct boot_params *zp, uint64_t base, uint64_t size, uint32_t type)
{
	if (size == 0)
		return;
	zp->e820_table[zp->e820_entries].addr = base;
	zp->e820_table[zp->e820_entries].size = size;
	zp->e820_table[zp->e820_entries].type = type;
	zp->e820_entries++;
}

#define E820_RAM      1U
#define E820_RESERVED 2U
#define LOW_RAM_END   0xa0000ULL

static int write_zeropage(struct vm *vm, const struct kernel *kernel, uint64_t ramdisk,
			  uint64_t ramdisk_size)
{
	struct boot_params *zp = gmem_ptr(vm, ZEROPAGE_GPA, sizeof(*zp));

	if (!zp)
		return -ENOSPC;
	memset(zp, 0, sizeof(*zp));
	zp->hdr = kernel->hdr;
	zp->hdr.type_of_loader = LOADER_UNDEFINED;
	zp->hdr.code32_start = (uint32_t)kernel->gpa;
	zp->hdr.cmd_line_ptr = CMDLINE_GPA;
	zp->hdr.ramdisk_image = (uint32_t)ramdisk;
	zp->hdr.ramdisk_size = (uint32_t)ramdisk_size;
	zp->acpi_rsdp_addr = VM_ACPI_BASE;
	add_e820(zp, 0, LOW_RAM_END, E820_RAM);
	add_e820(zp, LOW_RAM_END, HIGH_KERNEL - LOW_RAM_END, E820_RESERVED);
	add_e820(zp, HIGH_KERNEL, gmem_low_size(vm) - HIGH_KERNEL, E820_RAM);
	add_e820(zp, VM_ECAM_BASE, VM_HIGHMEM_BASE - VM_ECAM_BASE, E820_RESERVED);
	add_e820(zp, VM_HIGHMEM_BASE, gmem_high_size(vm), E820_RAM);
	return 0;
}

static int set_regs(struct vm *vm, const struct kernel *kernel, struct acrn_vcpu_regs *regs)
{
	struct acrn_regs *r = &regs->vcpu_regs;
	uint64_t *gdt = gmem_ptr(vm, GDT_GPA, GDT_ENTRIES * sizeof(*gdt));

	if (!gdt)
		return -ENOSPC;
	gdt[0] = 0;
	gdt[1] = 0;
	gdt[CS_SELECTOR / 8] = GDT_CODE32;
	gdt[DS_SELECTOR / 8] = GDT_DATA32;

	memset(regs, 0, sizeof(*regs));
	r->gdt.base = GDT_GPA;
	r->gdt.limit = GDT_ENTRIES * sizeof(*gdt) - 1;
	r->cr0 = CR0_PE | CR0_ET | CR0_NE;
	r->rflags = RFLAGS_ONE;
	r->rip = kernel->gpa;
	r->gprs.rsi = ZEROPAGE_GPA;
	r->cs_sel = CS_SELECTOR;
	r->cs_ar = CS_ACCESS;
	r->cs_limit = UINT32_MAX;
	r->ss_sel = DS_SELECTOR;
	r->ds_sel = DS_SELECTOR;
	r->es_sel = DS_SELECTOR;
	return 0;
}

int load_bzimage(struct vm *vm, struct acrn_vcpu_regs *regs)
{
	struct kernel kernel = {.path = vm->cfg.kernel};
	uint64_t ramdisk = 0;
	uint64_t ramdisk_size = 0;
	int err;

	kernel.fd = load_open("kernel", kernel.path, &kernel.file_size);
	if (kernel.fd < 0)
		return kernel.fd;
	err = read_header(&kernel);
	if (!err)
		err = place_kernel(&kernel, gmem_low_size(vm));
	if (!err)
		err = load_file(vm, kernel.path, kernel.fd, kernel.payload_offset, kernel.gpa,
				kernel.payload_size);
	if (!err && vm->cfg.ramdisk)
		err = load_ramdisk(vm, &kernel, &ramdisk, &ramdisk_size);
	if (!err)
		err = load_cmdline(vm, &kernel);
	if (!err)
		err = write_zeropage(vm, &kernel, ramdisk, ramdisk_size);
	if (!err)
		err = set_regs(vm, &kernel, regs);
	close(kernel.fd);
	return err;
}
