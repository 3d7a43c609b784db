// SPDX-License-Identifier: BSD-3-Clause
/* A script by which firmware puts the ACPI tables anywhere: QEMU's "etc/table-loader". */
#ifndef DM_ACPI_LOADER_H
#define DM_ACPI_LOADER_H

#include <stdint.h>

#define ACPI_LOADER_NAME 56U
#define ACPI_LOADER_FILE "etc/acpi/tables"
#define ACPI_LOADER_MAX	 16U

/* All numbers are little-endian. */
struct __attribute__((packed)) acpi_loader_command {
	uint32_t command;
	char file[ACPI_LOADER_NAME];
	union {
		struct __attribute__((packed)) {
			uint32_t align;
			uint8_t zone;
		} allocate;
		struct __attribute__((packed)) {
			char to[ACPI_LOADER_NAME];
			uint32_t offset;
			uint8_t size;
		} pointer;
		struct __attribute__((packed)) {
			uint32_t offset, start, length;
		} checksum;
		uint8_t all[124 - ACPI_LOADER_NAME];
	};
};

struct acpi_loader {
	uint32_t count;
	struct acpi_loader_command command[ACPI_LOADER_MAX];
};

/*
 * For the tables of acpi_write(), whose addresses are offsets in them; checksums that the script makes
 * anew become zero.
 */
void acpi_loader_make(struct acpi_loader *loader, uint8_t *tables);

#endif
