// SPDX-License-Identifier: BSD-3-Clause
/* See bzimage.h. The file goes away with the next one, and the last with the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "bzimage.h"

static char name[64];

struct setup_header *bzimage_header(struct bzimage *image)
{
	return (struct setup_header *)(image->bytes + offsetof(struct boot_params, hdr));
}

void bzimage_make(struct bzimage *image)
{
	struct setup_header hdr = {
		.setup_sects = BZ_SETUP_SECTS,
		.syssize = BZ_PAYLOAD / 16,
		.boot_flag = 0xaa55,
		.jump = 0xeb | (sizeof(hdr) - offsetof(struct setup_header, header)) << 8,
		.header = 0x53726448,
		.version = 0x20f,
		.loadflags = LOADED_HIGH,
		.code32_start = 0x100000,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = 0x200000,
		.relocatable_kernel = 1,
		.cmdline_size = 2047,
		.pref_address = 0x200000,
		.init_size = 0x10000,
	};

	memset(image->bytes, 0x5a, sizeof(image->bytes));
	memcpy(bzimage_header(image), &hdr, sizeof(hdr));
}

static void forget(void)
{
	unlink(name);
}

const char *bzimage_write(const void *bytes, size_t len)
{
	int fd;

	if (name[0] == '\0')
		atexit(forget);
	else
		forget();
	strcpy(name, "/tmp/bzimage-XXXXXX");
	fd = mkstemp(name);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
	return name;
}
