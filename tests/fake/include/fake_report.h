/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FAKE_REPORT_H
#define FAKE_REPORT_H

#include "lib/types.h"

/* What report() of boot/report.c was given since the last fake_report_reset(), a '\n' a line. */
extern char fake_report_text[16384];
extern uint32_t fake_report_lines;

void fake_report_reset(void);
bool fake_reported(const char *part); /* some line has this in it */

#endif
