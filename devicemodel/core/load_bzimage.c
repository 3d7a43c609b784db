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

#define HIGH_KERNEL 0x100000ULL

#define SECTOR		    512U
#define MAGIC_HDRS	    0x53726448U
#define BOOT_FLAG	    0xaa55U
#define MIN_PROTOCOL	    0x0206U /* cmdline_size; what follows is checked by version */
#define PROTOCOL_INIT_SIZE  0x020aU
#define LOADER_UNDEFINED    0xffU
#define DEFAULT_SETUP_SECTS 4U

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

static int write_zeropage(struct vm *vm, const struct kernel *kernel, uint64_t ramdisk,
			  uint64_t ramdisk_size)
{
	struct boot_params *zp = gmem_ptr(vm, LOAD_LOW_BASE, sizeof(*zp));
	struct load_range ranges[LOAD_MAX_RANGES];

	if (!zp)
		return -ENOSPC;
	memset(zp, 0, sizeof(*zp));
	zp->hdr = kernel->hdr;
	zp->hdr.type_of_loader = LOADER_UNDEFINED;
	zp->hdr.code32_start = (uint32_t)kernel->gpa;
	zp->hdr.cmd_line_ptr = LOAD_CMDLINE_GPA;
	zp->hdr.ramdisk_image = (uint32_t)ramdisk;
	zp->hdr.ramdisk_size = (uint32_t)ramdisk_size;
	zp->acpi_rsdp_addr = VM_ACPI_BASE;
	zp->e820_entries = (uint8_t)load_memory_map(vm, ranges);
	for (unsigned int i = 0; i < zp->e820_entries; i++) {
		zp->e820_table[i].addr = ranges[i].base;
		zp->e820_table[i].size = ranges[i].size;
		zp->e820_table[i].type = ranges[i].type;
	}
	return 0;
}

/* Where a ramdisk must end. */
static uint64_t ramdisk_top(const struct vm *vm, const struct kernel *kernel)
{
	uint64_t top = gmem_low_size(vm);

	return kernel->hdr.initrd_addr_max < top ? (uint64_t)kernel->hdr.initrd_addr_max + 1 : top;
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
		err = load_ramdisk(vm, kernel.gpa + kernel.init_size, ramdisk_top(vm, &kernel),
				   &ramdisk, &ramdisk_size);
	if (!err)
		err = load_cmdline(vm, kernel.path, kernel.hdr.cmdline_size);
	if (!err)
		err = write_zeropage(vm, &kernel, ramdisk, ramdisk_size);
	if (!err)
		err = load_entry(vm, kernel.gpa, regs);
	if (!err)
		regs->vcpu_regs.gprs.rsi = LOAD_LOW_BASE;
	close(kernel.fd);
	return err;
}
