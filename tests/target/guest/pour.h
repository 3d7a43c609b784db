/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest that means harm, without a machine below: what it does to the devices of acrn-dm, how it
 * puts them back, and how it finds out whether they still work. The VM has a hostbridge in slot 0,
 * lpc with com2 in slot 1, virtio-blk, -net, -rnd and -console in slots 3 to 6, memory of acrn-dm
 * in slot 7, and 64 MB of memory.
 * Linked by hostile.c, which is a guest, and by tests of acrn-dm, which play one.
 */
#ifndef POUR_H
#define POUR_H

#include <stdbool.h>
#include <stdint.h>

/* Guest memory that the devices are given, GPA; 1 MB with nothing of the guest above. */
#define POUR_ARENA	0x2100000UL
#define POUR_ARENA_SIZE 0x100000UL
#define POUR_RAM_END	0x4000000UL

/* --- from who links it; @size is 1, 2, 4 or, of memory, 8 --- */

uint32_t pour_in(uint16_t port, uint32_t size);
void pour_out(uint16_t port, uint32_t size, uint32_t value);
uint64_t pour_load(uint64_t gpa, uint32_t size); /* device memory below 4 GB */
void pour_store(uint64_t gpa, uint32_t size, uint64_t value);
uint32_t pour_cfg_read(uint32_t slot, uint32_t reg, uint32_t size);
void pour_cfg_write(uint32_t slot, uint32_t reg, uint32_t size, uint32_t value);
volatile void *pour_ram(uint64_t gpa); /* the arena */
uint64_t pour_random(void);
void pour_pause(void); /* let the devices work */

/* --- what it does --- */

/* One hostile act, chosen by pour_random(). */
void pour_act(void);

/* Base addresses, command registers and fixed devices to what pour_broken() expects. */
void pour_restore(void);

/*
 * Reset and use each device as a driver does. The name of the first that does not work,
 * or NULL.
 */
const char *pour_broken(void);

#endif
