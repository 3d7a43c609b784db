// SPDX-License-Identifier: BSD-3-Clause
/* A back end of vhost-user in a thread, which keeps what it is told and errs as it is asked to. */
#ifndef FAKE_BACK_END_H
#define FAKE_BACK_END_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define BACK_END_SECTORS 4711U

enum back_end_fault {
	FAULT_NONE,
	FAULT_HANG_UP,	     /* at the first question */
	FAULT_NONSENSE,	     /* bytes of all kinds */
	FAULT_LONG,	     /* answers that are longer than asked for */
	FAULT_WRONG_REQUEST, /* answers to something else */
	FAULT_FEATURES,	     /* no virtio 1.x */
	FAULT_SILENT,
	FAULT_OTHER_DISK, /* of another size */
};

struct back_end {
	char path[64];
	_Atomic enum back_end_fault fault;
	int listener;
	_Atomic int connection;
	pthread_t thread;
	_Atomic int kick, call;
	atomic_uint stops;
	unsigned int ring_size, regions;
	bool fds_usable;
	const void *desc, *avail, *used;
};

extern struct back_end back_end;

void back_end_create(void);
void back_end_destroy(void);
/* Has the doorbell been rung, or is it within seconds? */
bool back_end_wait_kick(void);
void back_end_call(void);
void back_end_hang_up(void);

#endif
