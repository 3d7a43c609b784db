/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_VTD_H
#define HV_VTD_H

#include "hv/mm.h"

#define VTD_UNITS 8U

/*
 * The remapping units that the DMAR table at acpi_facts.dmar_hpa names, at most VTD_UNITS: pages of
 * registers, each once, none in memory. Broken entries cost themselves or what follows, a line
 * each.
 */
uint16_t vtd_find(hpa_t found[VTD_UNITS]);

#endif
