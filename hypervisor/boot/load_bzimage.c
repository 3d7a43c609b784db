// SPDX-License-Identifier: BSD-3-Clause
/*
 * Loads a Linux bzImage into a VM's memory and prepares the registers of its boot vCPU (x86 boot
 * protocol, 32-bit entry). Called by load.c at boot, before the VM runs. The image comes from a
 * boot module and may be damaged: its header is copied, then checked, then used, and nothing is
 * written to the VM until everything has found its place. Takes no lock.
 */
#include "hv/boot.h"
#include "hv/gmem.h"
#include "hv/load.h"
#include "hv/ve820.h"
#include "hv/vm.h"
#include "hv/vm_config.h"
#include "hv/zero_page.h"
#include "lib/errno.h"
#include "lib/string.h"

#define SECTOR	       512U
#define LOW_LIMIT      0x90000U /* the boot data stays below what a BIOS keeps for itself */
#define GDT_OFFSET     PAGE_SIZE
#define CMDLINE_OFFSET (PAGE_SIZE + 0x100U)
#define BOOT_DATA_SIZE (3U * PAGE_SIZE) /* zero page, GDT, command line */

/* Where things go, found before anything is written. */
struct placement {
	struct zp_header hdr;
	uint64_t setup_size;
	uint64_t boot_data; /* GPAs */
	uint64_t kernel;
	uint64_t ramdisk;
};

/* The zero page is built here: a page is too much for the stack, and boot is one CPU. */
static struct zero_page zp;

static int check_header(const struct vm *vm, const struct load_args *a, struct placement *p)
{
	struct zp_header *h = &p->hdr;
	uint64_t whole;

	if (a->kernel_size < ZP_HDR_MAX) {
		report("%s: the kernel module has %lu bytes, too short for a bzImage", vm->name,
		       a->kernel_size);
		return -EINVAL;
	}
	(void)memcpy(h, (const uint8_t *)hpa_ptr(a->kernel) + ZP_HDR_OFFSET, sizeof(*h));
	if (h->boot_flag != ZP_BOOT_FLAG || h->magic != ZP_MAGIC) {
		report("%s: the kernel module is not a Linux bzImage", vm->name);
		return -EINVAL;
	}
	if (h->version < ZP_VERSION_MIN || (h->loadflags & ZP_LOADED_HIGH) == 0U) {
		report("%s: the kernel speaks boot protocol %u.%02u, at least 2.10 (a bzImage of "
		       "Linux 2.6.31 or later) is needed",
		       vm->name, h->version >> 8, h->version & 0xFFU);
		return -EINVAL;
	}
	p->setup_size = ((h->setup_sects == 0U ? 4U : h->setup_sects) + 1UL) * SECTOR;
	whole = p->setup_size + h->syssize * 16UL;
	if (a->kernel_size < whole || a->kernel_size == p->setup_size) {
		report("%s: the kernel module is cut short: %lu bytes, its header says %lu",
		       vm->name, a->kernel_size, whole);
		return -EINVAL;
	}
	if (h->kernel_alignment < PAGE_SIZE ||
	    (h->kernel_alignment & (h->kernel_alignment - 1U)) != 0U) {
		report("%s: the kernel's header asks for an alignment of 0x%x", vm->name,
		       h->kernel_alignment);
		return -EINVAL;
	}
	return 0;
}

static int check_cmdline(const struct vm *vm, const struct load_args *a, const struct placement *p)
{
	size_t max = MIN(p->hdr.cmdline_size, VM_BOOTARGS_LEN - 1U);

	if (strnlen(a->cmdline, max + 1U) <= max) {
		return 0;
	}
	report("%s: the kernel's command line is longer than %lu characters", vm->name, max);
	return -E2BIG;
}

/* The module is where the loader put it: if that is RAM which the VM sees, it can stay. */
static bool in_place_ok(const struct load_args *a, uint64_t limit)
{
	return a->in_place && a->ramdisk.v < limit && a->ramdisk_size <= limit - a->ramdisk.v &&
	       e820_is_ram(a->map, a->ramdisk.v, a->ramdisk_size);
}

static int place(const struct vm *vm, const struct load_args *a, struct placement *p)
{
	struct mem_range busy[BOOT_MAX_MODULES + 2U];
	const struct zp_header *h = &p->hdr;
	struct ve820_search s = {.map = a->map, .busy = busy};
	uint64_t kernel_size = a->kernel_size - p->setup_size;
	uint64_t limit = MIN((uint64_t)h->initrd_addr_max + 1U, GB(4));

	s.busy_count = MIN(a->busy_count, BOOT_MAX_MODULES);
	(void)memcpy(busy, a->busy, s.busy_count * sizeof(busy[0]));

	s.size = BOOT_DATA_SIZE;
	s.align = PAGE_SIZE;
	s.from = PAGE_SIZE;
	s.limit = LOW_LIMIT;
	p->boot_data = ve820_find_high(&s);
	if (p->boot_data == UINT64_MAX) {
		report("%s: no %u KB of free memory below 0x%x for the boot data", vm->name,
		       (uint32_t)(BOOT_DATA_SIZE / 1024U), LOW_LIMIT);
		return -ENOSPC;
	}

	/* A kernel below its preferred address would move itself up there, over whatever it finds. */
	s.size = MAX(kernel_size, h->init_size);
	s.align = h->kernel_alignment;
	s.from = h->pref_address;
	s.limit = (h->relocatable_kernel != 0U) ? GB(4) : h->pref_address + s.size;
	p->kernel = (s.limit > s.from) ? ve820_find_low(&s) : UINT64_MAX;
	if (p->kernel == UINT64_MAX) {
		report("%s: no room for the kernel: it needs %lu KB of RAM %s 0x%lx", vm->name,
		       s.size >> 10, (h->relocatable_kernel != 0U) ? "above" : "at",
		       h->pref_address);
		return -ENOSPC;
	}

	p->ramdisk = 0U;
	if (a->ramdisk_size == 0U) {
		return 0;
	}
	if (in_place_ok(a, limit)) {
		p->ramdisk = a->ramdisk.v;
		return 0;
	}
	busy[s.busy_count++] = (struct mem_range){.base = p->kernel, .size = s.size};
	busy[s.busy_count++] = (struct mem_range){.base = p->boot_data, .size = BOOT_DATA_SIZE};
	s.size = a->ramdisk_size;
	s.align = PAGE_SIZE;
	s.from = MB(1);
	s.limit = limit;
	p->ramdisk = ve820_find_high(&s);
	if (p->ramdisk == UINT64_MAX) {
		report("%s: no room for the ramdisk of %lu KB below 0x%lx", vm->name,
		       a->ramdisk_size >> 10, limit);
		return -ENOSPC;
	}
	return 0;
}

static void fill_zero_page(const struct load_args *a, const struct placement *p)
{
	struct zp_header *h = &zp.hdr;
	size_t hdr_end = MIN(0x202U + (size_t)p->hdr.jump_length, ZP_HDR_MAX);

	(void)memset(&zp, 0, sizeof(zp));
	(void)memcpy((uint8_t *)&zp + ZP_HDR_OFFSET,
		     (const uint8_t *)hpa_ptr(a->kernel) + ZP_HDR_OFFSET, hdr_end - ZP_HDR_OFFSET);
	zp.rsdp = a->rsdp;
	h->type_of_loader = ZP_LOADER_UNDEFINED;
	h->code32_start = (uint32_t)p->kernel;
	h->ramdisk_image = (uint32_t)p->ramdisk;
	h->ramdisk_size = (uint32_t)a->ramdisk_size;
	h->cmd_line_ptr = (uint32_t)(p->boot_data + CMDLINE_OFFSET);
	for (uint32_t i = 0U; i < a->map->count && i < ZP_E820_MAX; i++) {
		const struct mem_range *r = &a->map->r[i];

		zp.e820[i] = (struct zp_e820){.base = r->base, .size = r->size, .type = r->type};
		zp.e820_count++;
	}
	if (a->in_place && boot_info.efi_systab != 0U && boot_info.efi_mmap != 0U) {
		zp.efi.signature = ZP_EFI_SIGNATURE;
		zp.efi.systab = (uint32_t)boot_info.efi_systab;
		zp.efi.systab_hi = (uint32_t)(boot_info.efi_systab >> 32);
		zp.efi.desc_size = boot_info.efi_desc_size;
		zp.efi.desc_version = 1U;
		zp.efi.mmap = (uint32_t)boot_info.efi_mmap;
		zp.efi.mmap_hi = (uint32_t)(boot_info.efi_mmap >> 32);
		zp.efi.mmap_size = boot_info.efi_mmap_size;
	}
}

static int copy_all(struct vm *vm, const struct load_args *a, const struct placement *p,
		    struct vcpu_start *start)
{
	const uint8_t *image = hpa_ptr(a->kernel);
	int err;

	fill_zero_page(a, p);
	err = gmem_write(vm, GPA(p->kernel), image + p->setup_size, a->kernel_size - p->setup_size);
	if (err == 0 && a->ramdisk_size != 0U && (!a->in_place || p->ramdisk != a->ramdisk.v)) {
		err = gmem_write(vm, GPA(p->ramdisk), hpa_ptr(a->ramdisk), a->ramdisk_size);
	}
	if (err == 0) {
		err = gmem_write(vm, GPA(p->boot_data), &zp, sizeof(zp));
	}
	if (err == 0) {
		err = gmem_write(vm, GPA(p->boot_data + CMDLINE_OFFSET), a->cmdline,
				 strlen(a->cmdline) + 1U);
	}
	if (err == 0) {
		err = load_entry(vm, p->kernel, p->boot_data + GDT_OFFSET, start);
		start->gpr[GPR_RSI] = p->boot_data;
	}
	if (err != 0) {
		report("%s: memory its map calls RAM cannot be written", vm->name);
	}
	return err;
}

int load_bzimage(struct vm *vm, const struct load_args *a, struct vcpu_start *start)
{
	struct placement p;
	int err = check_header(vm, a, &p);

	if (err == 0) {
		err = check_cmdline(vm, a, &p);
	}
	if (err == 0) {
		err = place(vm, a, &p);
	}
	if (err == 0) {
		err = copy_all(vm, a, &p, start);
	}
	return err;
}
LOADER(KERNEL_BZIMAGE, load_bzimage);
