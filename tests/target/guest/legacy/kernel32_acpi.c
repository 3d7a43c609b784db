// SPDX-License-Identifier: BSD-3-Clause
/*
 * Power-off and reset of the 32-bit kernel as the machine's ACPI tables say: PM1 control and the
 * sleep type in \_S5_, or the sleep control register of hardware-reduced ACPI. One CPU.
 */
#include "kernel32.h"

#define BIOS_START    0xE0000U
#define BIOS_END      0x100000U
#define HW_REDUCED    (1U << 20)
#define FADT_PM1A     64U
#define FADT_FLAGS    112U
#define FADT_RESET    116U
#define FADT_RESET_VALUE 128U
#define FADT_SLEEP    244U
#define SLEEP_ENABLE  0x20U
#define PM1_ENABLE    0x2000U
#define KBD_COMMAND   0x64U
#define KBD_RESET     0xFEU

struct table {
	char signature[4];
	uint32_t length;
	uint8_t rest[28];
	uint8_t body[];
};

static bool same(const void *at, const char *text)
{
	const char *c = at;

	while (*text != '\0' && *c == *text) {
		c++;
		text++;
	}
	return *text == '\0';
}

static const struct table *find(const char *signature)
{
	const uint8_t *rsdp = (const uint8_t *)BIOS_START;
	uint32_t width = 4U;
	const struct table *root;

	while (rsdp < (const uint8_t *)BIOS_END && !same(rsdp, "RSD PTR "))
		rsdp += 16;
	if (rsdp >= (const uint8_t *)BIOS_END)
		return NULL;
	root = *(const struct table *const *)(rsdp + 16);
	if (rsdp[15] >= 2U && root == NULL) {
		root = *(const struct table *const *)(rsdp + 24);
		width = 8U;
	}
	for (uint32_t at = 0U; at + 36U < root->length; at += width) {
		const struct table *t = *(const struct table *const *)(root->body + at);

		if (same(t, signature))
			return t;
	}
	return NULL;
}

static uint32_t field(const struct table *t, uint32_t offset)
{
	return *(const uint32_t *)((const uint8_t *)t + offset);
}

/* \_S5_ is a package whose first number is the type: a byte, or one of the small ones. */
static uint32_t sleep_type(const struct table *dsdt)
{
	const uint8_t *at = dsdt->body, *end = (const uint8_t *)dsdt + dsdt->length - 8U;

	for (; at < end; at++) {
		if (same(at, "_S5_") && at[4] == 0x12U)
			return at[7] == 0x0AU ? at[8] : at[7];
	}
	return 0U;
}

_Noreturn void acpi_power_off(void)
{
	const struct table *fadt = find("FACP");

	if (fadt != NULL) {
		uint32_t type = sleep_type((const struct table *)field(fadt, 40U));

		print("power off, sleep type %u\n", type);
		print_flush();
		if (fadt->length > FADT_SLEEP && (field(fadt, FADT_FLAGS) & HW_REDUCED) != 0U)
			out8((uint16_t)field(fadt, FADT_SLEEP + 4U),
			     (uint8_t)(SLEEP_ENABLE | type << 2));
		else
			out16((uint16_t)field(fadt, FADT_PM1A),
			      (uint16_t)(PM1_ENABLE | type << 10));
	}
	for (;;)
		__asm__ volatile("cli; hlt");
}

void acpi_reset(void)
{
	const struct table *fadt = find("FACP");

	if (fadt != NULL && fadt->length > FADT_RESET_VALUE && field(fadt, FADT_RESET + 4U) != 0U)
		out8((uint16_t)field(fadt, FADT_RESET + 4U),
		     (uint8_t)field(fadt, FADT_RESET_VALUE));
	out8(KBD_COMMAND, KBD_RESET);
}
