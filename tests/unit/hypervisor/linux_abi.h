/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LINUX_ABI_H
#define LINUX_ABI_H

/* Sizes, offsets and numbers as the installed <linux/acrn.h> has them, by name. */
struct abi_fact {
	const char *name;
	unsigned long value;
};

extern const struct abi_fact linux_abi[]; /* ends with a NULL name */

#endif
