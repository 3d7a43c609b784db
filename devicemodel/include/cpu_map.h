// SPDX-License-Identifier: BSD-3-Clause
/* From the CPUs as the user names them to the CPUs as the hypervisor does. */
#ifndef DM_CPU_MAP_H
#define DM_CPU_MAP_H

#include <stddef.h>
#include <stdint.h>

/*
 * The hypervisor numbers CPUs in the order of the firmware's MADT. Returns the
 * number of the CPU with that local APIC id, or -ENOENT.
 */
int cpu_map_from_apic_id(unsigned long apic_id);

/* The same, from the bytes of a MADT. */
int cpu_map_search_madt(const uint8_t *madt, size_t len, unsigned long apic_id);

#endif
