// SPDX-License-Identifier: BSD-3-Clause
/* Has the Service VM the memory that a VM asks for? */
#ifndef DM_MEMINFO_H
#define DM_MEMINFO_H

#include <stdint.h>

#define MEMINFO "/proc/meminfo"

/*
 * 0 if a VM of size bytes leaves the Service VM enough to live on, or if the file does not say;
 * else -ENOMEM after two seconds, and a line says how
 * much there is. The file is in the form of /proc/meminfo.
 */
int meminfo_check(const char *file, uint64_t size);

#endif
