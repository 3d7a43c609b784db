/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_IMAGE_H
#define HV_IMAGE_H

#include "lib/types.h"

/* Linker-script symbols: the parts of the image, page aligned, and the C entry points. */
extern uint8_t hv_start[] __attribute__((visibility("hidden")));
extern uint8_t hv_text_end[] __attribute__((visibility("hidden")));
extern uint8_t hv_rodata_end[] __attribute__((visibility("hidden")));
extern uint8_t hv_end[] __attribute__((visibility("hidden")));
extern const uint8_t rela_start[] __attribute__((visibility("hidden")));
extern const uint8_t rela_end[] __attribute__((visibility("hidden")));

/* reloc.c, from head.S: magic in EAX and information address of the loader. */
void boot_entry(uint32_t magic, uint32_t info, uint64_t load_addr);

/* main.c: everything else; does not return. */
void boot_main(uint32_t magic, hpa_t info) __noreturn;

#endif
