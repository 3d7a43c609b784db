/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_BOOT_H
#define HV_BOOT_H

#include "lib/types.h"
#include "hv/mm.h"

/* What the boot loader handed over; nothing after multiboot.c knows which protocol it was. */

#define BOOT_MAX_MODULES 48U
#define BOOT_CMDLINE_MAX 2048U

struct boot_module {
	hpa_t base;
	uint64_t size;
	char tag[32];	     /* first word of the module's string */
	const char *args;    /* the rest, in hypervisor memory; never NULL */
	bool used;	     /* a VM has claimed it */
};

/* Multiboot's framebuffer fields, as both versions lay them out; boot/screen.c checks them. */
struct boot_screen {
	uint64_t base;
	uint32_t pitch;	       /* bytes from line to line */
	uint32_t width, height; /* pixels, or characters of text */
	uint8_t bpp;
	uint8_t type;
} __packed;
#define BOOT_SCREEN_RGB	 1U
#define BOOT_SCREEN_TEXT 2U

struct boot_info {
	char cmdline[BOOT_CMDLINE_MAX];
	char loader[64];
	uint32_t module_count;
	struct boot_module modules[BOOT_MAX_MODULES];
	uint64_t rsdp_hpa;   /* copy given by the loader, or 0: search */
	uint64_t efi_systab; /* 0 on a BIOS machine */
	uint64_t efi_mmap;
	uint32_t efi_mmap_size;
	uint32_t efi_desc_size;
	bool has_screen; /* the loader says which one */
	struct boot_screen screen;
	hpa_t info_base; /* the loader's own structure, not to be overwritten while parsing */
	uint64_t info_size;
};

extern struct boot_info boot_info;

/*
 * Parse multiboot 1 (magic 0x2BADB002) or 2 (0x36D76289) information at `info`; fills boot_info and
 * the raw memory map. -EINVAL with the reason on the console.
 */
int multiboot_parse(uint32_t magic, hpa_t info);

/* Sort and clean the raw map into host_e820 and take the hypervisor's own RAM out of it. */
int e820_init(void);
void e820_add_raw(uint64_t base, uint64_t size, uint32_t type);
/* Take a range from the guests for good. -ENOSPC. */
int e820_reserve(uint64_t base, uint64_t size);
/* Highest free RAM below limit, clear of image, modules and loader data; UINT64_MAX: none. */
uint64_t e820_find_top(uint64_t size, uint64_t align, uint64_t limit);

/* Is all of it RAM of the map, clear of image, modules and loader data? */
bool e820_is_free(uint64_t base, uint64_t size);

/* First unclaimed module with this tag, or NULL. */
struct boot_module *boot_module_find(const char *tag);

/* Value of `name=` on the hypervisor's command line (up to the next blank) into buf, or false. */
bool boot_option(const char *name, char *buf, size_t size);

/* boot/report.c: lines that come out in release builds too, on serial and screen. */
void report_init(void);
void report(const char *fmt, ...) __printf_fmt(1, 2);
void report_puts(const char *s);
/* Called before such a line: the console lets out what it has queued. NULL: there is no console. */
extern void (*report_before)(void);
/* Who else gets that text: `REPORT_SINK(fn);` in a file of debug/. Any context, no lock. */
typedef void (*report_sink_fn)(const char *s);
#define REPORT_SINK(fn_)                                                                           \
	static const report_sink_fn report_sink_##fn_ __used __section("hv_report_sinks") = (fn_)
struct serial_config;
const struct serial_config *report_serial(void); /* the port in use after uart= */

/* load.c: create and load the VMs of the scenario that start at boot; -ENOENT: none could be. */
int load_vms(void);
void load_start_vms(void); /* other CPUs enter guests from here on */

#endif
