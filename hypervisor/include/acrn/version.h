/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ACRN_VERSION_H
#define ACRN_VERSION_H

/* Of the hypercalls, as GET_API_VERSION and CPUID tell it to the Service VM. */
#define ACRN_API_MAJOR 1U
#define ACRN_API_MINOR 0U

#endif
