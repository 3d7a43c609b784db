// SPDX-License-Identifier: BSD-3-Clause
/*
 * Which versions of everything are these? acrn-dm tells its own; the hypervisor's is in CPUID
 * leaves that only the Service VM sees (doc/abi/platform.md).
 */
#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acrnctl.h"
#include "tool_version.h"

#define LEAF_SIGNATURE 0x40000000U
#define LEAF_API       0x40000002U /* EAX: major, minor; EBX: bit 0 a debug build */
#define LEAF_VERSION   0x40000003U /* this and the next: 32 characters */

static void print_hypervisor(void)
{
	unsigned int r[4], max, api, debug;
	char text[33] = "";

	__cpuid(1, r[0], r[1], r[2], r[3]);
	if (!(r[2] & 1U << 31)) {
		printf("hypervisor none\n");
		return;
	}
	__cpuid(LEAF_SIGNATURE, max, r[1], r[2], r[3]);
	if (memcmp(&r[1], "ACRNACRNACRN", 12) != 0) {
		printf("hypervisor another\n");
		return;
	}
	__cpuid(LEAF_API, api, debug, r[2], r[3]);
	if (max <= LEAF_VERSION || api == 0) {
		printf("hypervisor unknown\n");
		return;
	}
	for (unsigned int i = 0; i < 2; i++) {
		__cpuid(LEAF_VERSION + i, r[0], r[1], r[2], r[3]);
		memcpy(text + sizeof(r) * i, r, sizeof(r));
	}
	printf("hypervisor %s (%s, API %u.%u)\n", text, debug & 1 ? "debug" : "release", api >> 16,
	       api & 0xffffU);
}

enum status do_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("acrnctl %s\n", TOOL_VERSION);
	print_hypervisor();
	fflush(stdout);
	if (system("acrn-dm -v") != 0)
		return fail(STATUS_FAILED, "acrn-dm cannot be run");
	return STATUS_OK;
}
