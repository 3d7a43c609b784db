/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the probe share: each prints its part of the platform, in lines
 * "key: value". Only guest_main() calls them, once each.
 */
#ifndef PROBE_H
#define PROBE_H

#include <stdint.h>

/* Prints every ACPI table as hex. Returns the FADT; NULL if there is none. */
const uint8_t *probe_acpi(const uint8_t *boot_params);
/*
 * Prints how redirection entries can be written, and which IOAPIC pin and which 8259 line each
 * interrupt source drives. Leaves the interrupt controllers and the sources in disorder.
 */
void probe_interrupts(const uint8_t *fadt);

#endif
