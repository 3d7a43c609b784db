/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ACRN_SBUF_H
#define ACRN_SBUF_H

#include "lib/types.h"

/*
 * Rings that the hypervisor fills and the Service VM reads: 64 bytes of header, then the entries.
 * head and tail are byte offsets from the first entry; the ring is empty when they are equal, so it
 * holds one entry less than ele_num. ACRN's layout, but for `written`, which is padding there.
 */
#define SBUF_MAGIC    0x5AA57AA71AA13AA3UL
#define SBUF_MAX_SIZE MB(4) /* of the entries */

#define SBUF_COUNT_OVERRUNS BIT(0) /* count in overrun_cnt what found the ring full */
#define SBUF_OVERWRITE	    BIT(1) /* a full ring loses its oldest entry, not the new one */

struct sbuf_header {
	uint64_t magic;
	uint32_t ele_num;
	uint32_t ele_size;
	uint32_t head; /* next to be read; the reader's, except in rings that overwrite */
	uint32_t tail; /* next to be written */
	uint64_t flags;
	uint32_t overrun_cnt;
	uint32_t size;	  /* ele_num * ele_size */
	uint64_t written; /* entries ever put in: entry n is at (n % ele_num) * ele_size */
	uint32_t padding[4];
};

/* What HC_SETUP_SBUF's second argument points to. */
#define ACRN_SBUF_TRACE	   0U  /* of a CPU, in debug builds: struct trace_entry (acrn/trace.h) */
#define ACRN_SBUF_HVLOG	   1U  /* of a CPU, in debug builds: text, see HVLOG_ENTRY */
#define ACRN_SBUF_ASYNCIO  64U /* of a VM: acrn_asyncio_info.fd of each write, 8 bytes */
#define ACRN_SBUF_VM_EVENT 65U /* of a VM: struct acrn_vm_event */

struct acrn_sbuf_param {
	uint16_t cpu_id; /* of a CPU's ring: which physical CPU */
	uint16_t reserved;
	uint32_t sbuf_id; /* ACRN_SBUF_x */
	uint64_t gpa;	  /* of the header; 0: not shared any more */
};

/* A line of the log takes as many entries as it needs; it ends with a newline, then NULs. */
#define HVLOG_ENTRY 80U

_Static_assert(sizeof(struct sbuf_header) == 64, "ABI");
_Static_assert(offsetof(struct sbuf_header, overrun_cnt) == 32, "ABI");
_Static_assert(sizeof(struct acrn_sbuf_param) == 16, "ABI");

#endif
