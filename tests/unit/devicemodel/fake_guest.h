// SPDX-License-Identifier: BSD-3-Clause
/*
 * A guest of 1 MB at 0 and 64 KB at 4 GB. gmem_ptr() is the fake's; memory ends in a red zone,
 * so that one byte too far stops the test.
 */
#ifndef FAKE_GUEST_H
#define FAKE_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "driver_ring.h"

#define GUEST_LOW	0x100000ULL
#define GUEST_HIGH_BASE 0x100000000ULL
#define GUEST_HIGH	0x10000ULL

void guest_create(void);
void guest_destroy(void);

#endif
