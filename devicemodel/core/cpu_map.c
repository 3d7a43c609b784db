// SPDX-License-Identifier: BSD-3-Clause
/*
 * The Service VM's MADT, which lists the CPUs in the order the hypervisor
 * numbers them. Read once per CPU named on the command line, by the main
 * thread. Firmware is not trusted to be right: lengths are checked.
 */
#include "cpu_map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define MADT_PATH    "/sys/firmware/acpi/tables/APIC"
#define MADT_MAX     16384U
#define MADT_ENTRIES 44U
#define TYPE_LAPIC   0
#define TYPE_X2APIC  9
#define FLAG_ENABLED 1U

struct entry {
	bool is_cpu;
	uint32_t apic_id;
	uint32_t flags;
};

static uint32_t read32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static struct entry decode(const uint8_t *at, size_t len)
{
	struct entry entry = {0};

	if (at[0] == TYPE_LAPIC && len >= 8)
		entry = (struct entry) {true, at[3], read32(at + 4)};
	else if (at[0] == TYPE_X2APIC && len >= 16)
		entry = (struct entry) {true, read32(at + 4), read32(at + 8)};
	return entry;
}

int cpu_map_search_madt(const uint8_t *madt, size_t len, unsigned long apic_id)
{
	int cpu = 0;

	for (size_t at = MADT_ENTRIES; at + 2 <= len && madt[at + 1] >= 2; at += madt[at + 1]) {
		struct entry entry;

		if (madt[at + 1] > len - at)
			break;
		entry = decode(madt + at, madt[at + 1]);
		if (!entry.is_cpu || !(entry.flags & FLAG_ENABLED))
			continue;
		if (entry.apic_id == apic_id)
			return cpu;
		cpu++;
	}
	return -ENOENT;
}

int cpu_map_from_apic_id(unsigned long apic_id)
{
	uint8_t madt[MADT_MAX];
	size_t len = 0;
	ssize_t n;
	int fd = open(MADT_PATH, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -ENOENT;
	while (len < sizeof(madt) && (n = read(fd, madt + len, sizeof(madt) - len)) > 0)
		len += (size_t)n;
	close(fd);
	return cpu_map_search_madt(madt, len, apic_id);
}
