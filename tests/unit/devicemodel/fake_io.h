// SPDX-License-Identifier: BSD-3-Clause
/*
 * preadv2(), pwritev2() and fdatasync() of a disk that can be slow, short of space or in bad
 * health. Without a fault set they are the system's. Counters count calls that reached it.
 */
#ifndef FAKE_IO_H
#define FAKE_IO_H

#include <stdatomic.h>
#include <stdbool.h>

struct fake_io {
	atomic_int read_errno, write_errno, sync_errno; /* fail with this, 0: do not */
	atomic_int nowait_errno;			/* fail RWF_NOWAIT calls with this */
	atomic_uint chunk;				/* at most this many bytes a call, 0: all */
	atomic_uint interrupts;				/* fail that many calls with EINTR first */
	atomic_uint reads, writes, syncs, nowaits;
	atomic_int last_flags;
};

extern struct fake_io fake_io;

void fake_io_reset(void);

/* While the gate is shut, calls without RWF_NOWAIT wait at it. */
void fake_io_gate(bool shut);
/* How many wait there now. */
unsigned int fake_io_waiting(void);

#endif
