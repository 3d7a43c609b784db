// SPDX-License-Identifier: BSD-3-Clause
/* A network without set-up: a process that ends the guest's connections and makes them anew. */
#ifndef DM_USERNET_H
#define DM_USERNET_H

#include <stddef.h>
#include <sys/types.h>

#define USERNET_FORWARDS 16U

/*
 * Start acrn-usernet with these hostfwd= words. Returns a descriptor as tap_open() does, packets
 * with the same header before them; it hangs up if the process ends. Waits until the network is
 * there. Negative errno, logged under @device's name.
 */
int usernet_open(char *const forwards[], size_t count, const char *device, pid_t *process);

/* The descriptor is closed: end the process, and wait for that. */
void usernet_close(pid_t process);

#endif
