// SPDX-License-Identifier: BSD-3-Clause
/* A TCP port of the loopback interface that nobody uses now. */
#ifndef FREE_PORT_H
#define FREE_PORT_H

#include <stdint.h>

uint16_t free_port(void);

#endif
