// SPDX-License-Identifier: BSD-3-Clause
/* Small kernels, right and damaged, as files for the loader. */
#ifndef BZIMAGE_H
#define BZIMAGE_H

#include <asm/bootparam.h>
#include <stddef.h>
#include <stdint.h>

#define BZ_SETUP_SECTS 4U
#define BZ_PAYLOAD     4096U

/* The image as bytes: (1 + BZ_SETUP_SECTS) sectors and the payload 0x5a. */
struct bzimage {
	uint8_t bytes[(1 + BZ_SETUP_SECTS) * 512 + BZ_PAYLOAD];
};

/* A right one: relocatable, prefers 2 MB, needs 64 KB there. */
void bzimage_make(struct bzimage *image);
struct setup_header *bzimage_header(struct bzimage *image);
/* Writes the first len bytes to a new file; returns its name. */
const char *bzimage_write(const void *bytes, size_t len);

#endif
