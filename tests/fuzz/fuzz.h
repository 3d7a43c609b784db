// SPDX-License-Identifier: BSD-3-Clause
/* A fuzzer's input as a stream of numbers; zeros once it is used up. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct fuzz {
	const uint8_t *data;
	size_t left;
};

static inline uint64_t fuzz_take(struct fuzz *f, unsigned int bytes)
{
	uint64_t value = 0;
	size_t n = bytes < f->left ? bytes : f->left;

	memcpy(&value, f->data, n);
	f->data += n;
	f->left -= n;
	return value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
