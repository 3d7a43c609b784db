/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ACRNTRACE_H
#define ACRNTRACE_H

#include <stdint.h>

/*
 * A file of acrntrace: this header, the entries (acrn/trace.h) in the order in which the CPU wrote
 * them, TRACE_LOST where some are missing, TRACE_END at the end. Little-endian.
 */
struct trace_file {
	char magic[8]; /* TRACE_FILE_MAGIC, without its NUL */
	uint32_t entry_size;
	uint32_t cpu;
	uint64_t tsc_khz;
	uint64_t reserved;
};

#define TRACE_FILE_MAGIC "ACRNTRC1"

#define TRACE_LOST 0x7E0000U /* so many entries */
#define TRACE_END  0x7F0000U /* so many entries are in the file, and so many were lost */

_Static_assert(sizeof(struct trace_file) == 32, "file format");

#endif
