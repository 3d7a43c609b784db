// SPDX-License-Identifier: BSD-3-Clause
/*
 * The Service VM's free memory. Guest memory is pinned piece by piece while the VM is made; when
 * there is too little, Linux does not refuse but kills some process. So vm.c asks before. Main
 * thread, no state; what other programs take in the meantime it cannot know.
 */
#include "meminfo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gmem.h"
#include "log.h"

/* For the Service VM itself, this program, and the driver's lists of pages. */
#define RESERVE (16ULL << 20)

#define GIANT_PAGES "/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages"

/* A VM whose device model was killed gives its memory back a moment later. */
#define RETRIES	    20
#define INTERVAL_NS 100000000

/* The number behind the name, a whole line's beginning with its colon; 0 if it is not there. */
static uint64_t value(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static bool read_text(const char *file, char *text, size_t size)
{
	ssize_t n = -1;
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		n = read(fd, text, size - 1);
		close(fd);
	}
	if (n <= 0)
		return false;
	text[n] = '\0';
	return true;
}

/* Of so many bytes, those in pages of 1 GB that the administrator set aside. */
static uint64_t in_giant_pages(uint64_t size)
{
	char text[32];
	uint64_t pages = read_text(GIANT_PAGES, text, sizeof(text)) ? strtoull(text, NULL, 10) : 0;

	return pages < size >> 30 ? pages << 30 : size >> 30 << 30;
}

/* What a VM may take; UINT64_MAX if the file does not say. */
static uint64_t free_for_vm(const char *file)
{
	char text[4096];
	uint64_t available, huge;

	if (!read_text(file, text, sizeof(text)))
		return UINT64_MAX;
	available = value(text, "MemAvailable:") << 10;
	/* Huge pages that the administrator set aside are not counted there. */
	huge = value(text, "Hugepagesize:") << 10;
	if (huge == GMEM_ALIGN)
		available +=
			(value(text, "HugePages_Free:") - value(text, "HugePages_Rsvd:")) * huge;
	return available == 0 ? UINT64_MAX : available;
}

int meminfo_check(const char *file, uint64_t size)
{
	const struct timespec interval = {.tv_nsec = INTERVAL_NS};
	uint64_t available;

	for (int i = 0;; i++) {
		available = free_for_vm(file);
		available += available == UINT64_MAX ? 0 : in_giant_pages(size);
		if (available > RESERVE && size <= available - RESERVE)
			return 0;
		if (i == RETRIES)
			break;
		nanosleep(&interval, NULL);
	}
	log_err("-m: the VM wants %llu MB, the Service VM has %llu MB free, of which it keeps %llu",
		(unsigned long long)(size >> 20), (unsigned long long)(available >> 20),
		(unsigned long long)(RESERVE >> 20));
	return -ENOMEM;
}
