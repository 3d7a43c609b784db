// SPDX-License-Identifier: BSD-3-Clause
/*
 * Other programs manage this VM through sockets; doc/abi/monitor.md says what they may ask for and
 * what they are told.
 */
#ifndef DM_MONITOR_H
#define DM_MONITOR_H

#include <stdint.h>

struct vm;

/* Where the sockets of all running VMs are, as NAME.PID.socket. */
#define MONITOR_FOLDER	 "/run/acrn/mngr"
#define MONITOR_PATH_MAX 107U /* what the address of a socket holds */

/*
 * Make the socket of --cmd_monitor, root's alone, if it is asked for; an error is logged. Its
 * clients wait until monitor_start().
 */
int monitor_create(struct vm *vm);
/*
 * Make the socket in @folder, and answer clients, on a thread of its own. The VM has been started;
 * without that socket it runs all the same, with a warning.
 */
int monitor_start(struct vm *vm, const char *folder);
/* After ioreq_close_calls(). Removes the sockets. */
void monitor_destroy(struct vm *vm);

/* For the client that asked for events. Any thread, up to monitor_destroy(). */
/* The guest set its clock: by @delta seconds, when it had shown @last (seconds since 1970). */
void monitor_event_rtc(struct vm *vm, int64_t delta, int64_t last);
/* The guest switched itself off. */
void monitor_event_poweroff(struct vm *vm);
/* A vCPU triple-faulted; the power-off follows. */
void monitor_event_triple_fault(struct vm *vm);

#endif
