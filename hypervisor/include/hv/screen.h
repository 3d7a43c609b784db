/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_SCREEN_H
#define HV_SCREEN_H

#include "lib/types.h"

/* boot/screen.c: 80 x 25 characters on VGA text or the loader's framebuffer, for boot/report.c. */

/*
 * Take what boot_info says; text written before is shown there too. The reason if the loader's
 * framebuffer cannot be used, else NULL. host_e820 must be there before boot_info names one.
 */
const char *screen_init(void);
void screen_putc(char c); /* \n, or ASCII; others are left out */
void screen_lost(void);	  /* to a guest: the next character begins on a cleared screen */
void screen_map(void);	  /* once the host's page tables are built: a framebuffer is uncached */

#endif
