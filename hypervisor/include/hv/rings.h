/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_RINGS_H
#define HV_RINGS_H

#include "lib/sbuf.h"
#include "lib/types.h"

/*
 * Per CPU one ring of each kind. They are in one piece of memory that holds nothing else,
 * `rings_stride` bytes for each CPU: log, then trace.
 */
#define RING_KINDS 2U /* ACRN_SBUF_TRACE, ACRN_SBUF_HVLOG */
hpa_t rings_memory(uint64_t *size); /* size: a power of two; 0: there are none */
uint32_t rings_stride(void);
uint32_t rings_offset(uint32_t kind); /* of that ring in a CPU's part */

/* Own CPU, root mode. Nothing happens before the rings are there. */
void rings_put(uint32_t kind, const void *entry);

/*
 * CPU `cpu` writes its ring of that kind to `b` from now on; NULL: to its own again. *b is copied.
 * The caller holds no lock. -EINVAL: no such CPU or kind.
 */
int rings_redirect(uint32_t kind, uint32_t cpu, const struct sbuf *b);
/* All CPUs write to their own rings. The caller holds no lock. */
void rings_redirect_none(void);

/*
 * The ring of the console where there is no serial port, in memory of its own, a power of two; size
 * 0: there is one. A key for it, from any CPU, no lock held; one that finds its queue full is lost.
 */
hpa_t console_ring_memory(uint64_t *size);
bool console_ring_full(void);
void console_ring_key(uint8_t c);

/* Trace because somebody asked by the control register; redirected trace rings count besides. */
void trace_switch_on(bool on);
bool trace_is_on(void);

#endif
