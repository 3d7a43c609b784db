/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_MEM_LOG_H
#define HV_MEM_LOG_H

/* debug/mem_log.c: the last lines of the log through report(), for a panic. Takes no lock. */
void mem_log_report_end(void);

#endif
