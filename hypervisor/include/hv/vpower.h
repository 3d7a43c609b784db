/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_VPOWER_H
#define HV_VPOWER_H

struct io_access;

/*
 * Reset the whole machine from this CPU, in root mode, and never return; `who` is told. `how`: a
 * guest's write of a port that shall do it, tried first, or NULL.
 */
void vpower_reset_machine(const char *who, struct io_access *how);


#endif
