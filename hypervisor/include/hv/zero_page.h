/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_ZERO_PAGE_H
#define HV_ZERO_PAGE_H

#include "lib/types.h"

/*
 * The "zero page" of the x86 Linux boot protocol (the kernel's Documentation/x86/boot.rst and
 * zero-page.rst), the fields a loader uses. The header part is the kernel's own, copied from its
 * image at the same offset.
 */

#define ZP_E820_MAX 128U
#define ZP_HDR_OFFSET 0x1F1U /* of the header, in the image and in the zero page */
#define ZP_HDR_MAX    0x290U /* the header never reaches this offset */

#define ZP_BOOT_FLAG   0xAA55U
#define ZP_MAGIC       0x53726448U /* "HdrS" */
#define ZP_VERSION_MIN 0x020AU	   /* the first with pref_address and init_size */
#define ZP_LOADED_HIGH 0x01U	   /* loadflags */
#define ZP_LOADER_UNDEFINED 0xFFU  /* type_of_loader */

struct zp_header {
	uint8_t setup_sects;
	uint8_t pad0[2];
	uint32_t syssize;
	uint8_t pad1[6];
	uint16_t boot_flag;
	uint8_t jump_opcode;
	uint8_t jump_length; /* the header ends this far behind 0x202 */
	uint32_t magic;
	uint16_t version;
	uint8_t pad2[8];
	uint8_t type_of_loader;
	uint8_t loadflags;
	uint16_t setup_move_size;
	uint32_t code32_start;
	uint32_t ramdisk_image;
	uint32_t ramdisk_size;
	uint8_t pad3[8];
	uint32_t cmd_line_ptr;
	uint32_t initrd_addr_max; /* highest address a ramdisk's last byte may have */
	uint32_t kernel_alignment;
	uint8_t relocatable_kernel;
	uint8_t min_alignment;
	uint16_t xloadflags;
	uint32_t cmdline_size; /* longest command line, without the NUL */
	uint32_t hardware_subarch;
	uint64_t hardware_subarch_data;
	uint8_t pad4[16];
	uint64_t pref_address;
	uint32_t init_size; /* bytes the kernel needs from its load address on, until it runs */
} __packed;

struct zp_e820 {
	uint64_t base;
	uint64_t size;
	uint32_t type;
} __packed;

struct zp_efi {
	uint32_t signature; /* "EL64" */
	uint32_t systab;
	uint32_t desc_size;
	uint32_t desc_version;
	uint32_t mmap;
	uint32_t mmap_size;
	uint32_t systab_hi;
	uint32_t mmap_hi;
} __packed;

#define ZP_EFI_SIGNATURE 0x34364C45U

struct zero_page {
	uint8_t pad0[0x70];
	uint64_t rsdp;
	uint8_t pad1[0x1C0 - 0x78];
	struct zp_efi efi;
	uint8_t pad2[8];
	uint8_t e820_count;
	uint8_t pad3[ZP_HDR_OFFSET - 0x1E9];
	struct zp_header hdr;
	uint8_t pad4[0x2D0 - ZP_HDR_OFFSET - sizeof(struct zp_header)];
	struct zp_e820 e820[ZP_E820_MAX];
	uint8_t pad5[0x1000 - 0x2D0 - ZP_E820_MAX * sizeof(struct zp_e820)];
} __packed;

_Static_assert(offsetof(struct zero_page, rsdp) == 0x70, "zero page");
_Static_assert(offsetof(struct zero_page, efi) == 0x1C0, "zero page");
_Static_assert(offsetof(struct zero_page, e820_count) == 0x1E8, "zero page");
_Static_assert(offsetof(struct zero_page, hdr.magic) == 0x202, "zero page");
_Static_assert(offsetof(struct zero_page, hdr.init_size) == 0x260, "zero page");
_Static_assert(offsetof(struct zero_page, e820) == 0x2D0, "zero page");
_Static_assert(sizeof(struct zero_page) == 0x1000, "zero page");

#endif
