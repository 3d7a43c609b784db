// SPDX-License-Identifier: BSD-3-Clause
/*
 * The ACPI tables, as packed structs of the specification (ACPI 6.4, chapter 5),
 * and the DSDT that the devices write themselves. Called by vm_boot() before
 * each start of the guest, on the main thread; keeps no state.
 */
#include "acpi.h"
#include "acpi_loader.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "aml.h"
#include "gmem.h"
#include "log.h"
#include "pci.h"
#include "platform.h"
#include "vm.h"

#define PACKED __attribute__((packed))

struct PACKED rsdp {
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
};

struct PACKED header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
};

/* Generic address; space 1 is I/O ports. */
struct PACKED gas {
	uint8_t space;
	uint8_t bit_width;
	uint8_t bit_offset;
	uint8_t access_size;
	uint64_t address;
};

struct PACKED fadt {
	struct header header;
	uint32_t firmware_ctrl, dsdt;
	uint8_t reserved0, profile;
	uint16_t sci_int;
	uint32_t smi_cmd;
	uint8_t acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
	uint32_t pm1a_evt_blk, pm1b_evt_blk, pm1a_cnt_blk, pm1b_cnt_blk;
	uint32_t pm2_cnt_blk, pm_tmr_blk, gpe0_blk, gpe1_blk;
	uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len;
	uint8_t gpe0_blk_len, gpe1_blk_len, gpe1_base, cst_cnt;
	uint16_t p_lvl2_lat, p_lvl3_lat, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alrm, mon_alrm, century;
	uint16_t boot_arch;
	uint8_t reserved1;
	uint32_t flags;
	struct gas reset_reg;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor;
	uint64_t x_firmware_ctrl, x_dsdt;
	struct gas x_pm1a_evt_blk, x_pm1b_evt_blk, x_pm1a_cnt_blk, x_pm1b_cnt_blk;
	struct gas x_pm2_cnt_blk, x_pm_tmr_blk, x_gpe0_blk, x_gpe1_blk;
	struct gas sleep_control, sleep_status;
	uint64_t hypervisor_id;
};

#define BOOT_ARCH_LEGACY_DEVICES (1U << 0) /* ISA bus: the serial ports */
#define BOOT_ARCH_NO_VGA	 (1U << 2)
#define BOOT_ARCH_NO_ASPM	 (1U << 4)
#define FLAG_WBINVD		 (1U << 0)
#define FLAG_C1			 (1U << 2)
#define FLAG_NO_SLEEP_BUTTON	 (1U << 5)
#define FLAG_NO_RTC_WAKE	 (1U << 6)
#define FLAG_RESET_REG		 (1U << 10)

struct PACKED facs {
	char signature[4];
	uint32_t length, hardware_signature, waking_vector, global_lock, flags;
	uint64_t x_waking_vector;
	uint8_t version, reserved[31];
};

struct PACKED madt {
	struct header header;
	uint32_t lapic_base, flags;
};

struct PACKED madt_lapic {
	uint8_t type, length, acpi_id, apic_id;
	uint32_t flags;
};

struct PACKED madt_ioapic {
	uint8_t type, length, id, reserved;
	uint32_t base, gsi_base;
};

struct PACKED madt_override {
	uint8_t type, length, bus, irq;
	uint32_t gsi;
	uint16_t flags;
};

struct PACKED madt_lapic_nmi {
	uint8_t type, length, acpi_id;
	uint16_t flags;
	uint8_t lint;
};

#define MADT_PCAT_COMPAT    1U
#define MADT_LEVEL_HIGH	    0x0dU
#define MADT_ALL_PROCESSORS 0xffU

struct PACKED mcfg {
	struct header header;
	uint64_t reserved;
	uint64_t base;
	uint16_t segment;
	uint8_t first_bus, last_bus;
	uint32_t reserved1;
};

/* Where the next table goes: bytes in guest memory and their guest address. */
struct area {
	uint8_t *bytes;
	uint64_t gpa;
	size_t used;
	size_t room;
};

#define TABLE_ALIGN 64U /* the FACS needs it */
#define TABLES	    3U	/* that the root table names */

#define LOADER_ALLOCATE	    1U
#define LOADER_ADD_POINTER  2U
#define LOADER_ADD_CHECKSUM 3U
#define LOADER_ZONE_HIGH    1U

/* Room for a table, cleared; NULL when the area is full. */
static void *take(struct area *area, size_t len, uint32_t *gpa)
{
	size_t at = (area->used + TABLE_ALIGN - 1) & ~(size_t)(TABLE_ALIGN - 1);

	if (at > area->room || len > area->room - at)
		return NULL;
	area->used = at + len;
	*gpa = (uint32_t)(area->gpa + at);
	return memset(area->bytes + at, 0, len);
}

static uint8_t checksum(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	unsigned int sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += bytes[i];
	return (uint8_t)-sum;
}

/* Fill the header of a table whose body is complete. */
static void seal(void *table, const char *signature, uint8_t revision, size_t len)
{
	struct header *header = table;

	memcpy(header->signature, signature, sizeof(header->signature));
	header->length = (uint32_t)len;
	header->revision = revision;
	memcpy(header->oem_id, "ACRN  ", sizeof(header->oem_id));
	memcpy(header->oem_table_id, "ACRNDM  ", sizeof(header->oem_table_id));
	header->oem_revision = 1;
	memcpy(header->creator_id, "ACRN", sizeof(header->creator_id));
	header->creator_revision = 1;
	header->checksum = 0;
	header->checksum = checksum(table, len);
}

static struct gas io_port(uint16_t port, uint8_t bits)
{
	/* access size: 1 byte, 2 word, 3 dword */
	return (struct gas) {
		.space = 1, .bit_width = bits, .access_size = bits == 8 ? 1 : 2, .address = port};
}

static uint32_t write_dsdt(struct vm *vm, struct area *area)
{
	struct aml *aml = aml_create();
	const uint8_t *code;
	uint32_t gpa = 0;
	uint8_t *table;
	size_t len;

	if (!aml)
		return 0;
	aml_name(aml, "\\_S5_");
	aml_package_begin(aml, 4);
	aml_integer(aml, ACPI_S5_TYPE);
	aml_integer(aml, ACPI_S5_TYPE);
	aml_integer(aml, 0);
	aml_integer(aml, 0);
	aml_end(aml);

	aml_scope_begin(aml, "\\_SB_");
	pci_bus_dsdt(vm, aml);
	platform_dsdt(vm, aml);
	aml_end(aml);

	code = aml_finish(aml, &len);
	table = code ? take(area, sizeof(struct header) + len, &gpa) : NULL;
	if (table) {
		memcpy(table + sizeof(struct header), code, len);
		seal(table, "DSDT", 2, sizeof(struct header) + len);
	}
	aml_free(aml);
	return table ? gpa : 0;
}

static uint32_t write_facs(struct area *area)
{
	uint32_t gpa;
	struct facs *facs = take(area, sizeof(*facs), &gpa);

	if (!facs)
		return 0;
	memcpy(facs->signature, "FACS", sizeof(facs->signature));
	facs->length = sizeof(*facs);
	facs->version = 2;
	return gpa;
}

static uint32_t write_fadt(struct area *area, uint32_t facs, uint32_t dsdt)
{
	uint32_t gpa;
	struct fadt *fadt = take(area, sizeof(*fadt), &gpa);

	if (!fadt)
		return 0;
	fadt->firmware_ctrl = facs;
	fadt->dsdt = dsdt;
	fadt->x_dsdt = dsdt;
	fadt->sci_int = ACPI_SCI_IRQ;
	fadt->smi_cmd = ACPI_SMI_PORT;
	fadt->acpi_enable = ACPI_SMI_ENABLE;
	fadt->acpi_disable = ACPI_SMI_DISABLE;
	fadt->pm1a_evt_blk = ACPI_PM1_EVENT_PORT;
	fadt->pm1_evt_len = 4;
	fadt->x_pm1a_evt_blk = io_port(ACPI_PM1_EVENT_PORT, 32);
	fadt->pm1a_cnt_blk = ACPI_PM1_CONTROL_PORT;
	fadt->pm1_cnt_len = 2;
	fadt->x_pm1a_cnt_blk = io_port(ACPI_PM1_CONTROL_PORT, 16);
	/* Latencies that say there is neither C2 nor C3; no PM timer, no GPEs. */
	fadt->p_lvl2_lat = 101;
	fadt->p_lvl3_lat = 1001;
	fadt->century = ACPI_CMOS_CENTURY;
	fadt->boot_arch = BOOT_ARCH_LEGACY_DEVICES | BOOT_ARCH_NO_VGA | BOOT_ARCH_NO_ASPM;
	fadt->flags =
		FLAG_WBINVD | FLAG_C1 | FLAG_NO_SLEEP_BUTTON | FLAG_NO_RTC_WAKE | FLAG_RESET_REG;
	fadt->reset_reg = io_port(ACPI_RESET_PORT, 8);
	fadt->reset_value = ACPI_RESET_VALUE;
	seal(fadt, "FACP", 6, sizeof(*fadt));
	return gpa;
}

static uint32_t write_madt(const struct vm *vm, struct area *area)
{
	static const struct madt_override overrides[] = {
		{2, sizeof(struct madt_override), 0, 0, 2, 0}, /* PIT: edge, high */
		{2, sizeof(struct madt_override), 0, ACPI_SCI_IRQ, ACPI_SCI_IRQ, MADT_LEVEL_HIGH},
	};
	const struct madt_ioapic ioapic = {1, sizeof(ioapic), 0, 0, VM_IOAPIC_BASE, 0};
	const struct madt_lapic_nmi nmi = {4, sizeof(nmi), MADT_ALL_PROCESSORS, 0, 1};
	size_t len = sizeof(struct madt) + vm->vcpu_num * sizeof(struct madt_lapic) +
		     sizeof(ioapic) + sizeof(overrides) + sizeof(nmi);
	uint32_t gpa;
	struct madt *madt = take(area, len, &gpa);
	uint8_t *at;

	if (!madt)
		return 0;
	at = (uint8_t *)(madt + 1);
	madt->lapic_base = VM_LAPIC_BASE;
	madt->flags = MADT_PCAT_COMPAT;
	for (unsigned int i = 0; i < vm->vcpu_num; i++) {
		const struct madt_lapic lapic = {0, sizeof(lapic), (uint8_t)i, (uint8_t)i, 1};

		memcpy(at, &lapic, sizeof(lapic));
		at += sizeof(lapic);
	}
	memcpy(at, &ioapic, sizeof(ioapic));
	at += sizeof(ioapic);
	memcpy(at, overrides, sizeof(overrides));
	at += sizeof(overrides);
	memcpy(at, &nmi, sizeof(nmi));
	seal(madt, "APIC", 5, len);
	return gpa;
}

static uint32_t write_mcfg(struct area *area)
{
	uint32_t gpa;
	struct mcfg *mcfg = take(area, sizeof(*mcfg), &gpa);

	if (!mcfg)
		return 0;
	mcfg->base = VM_ECAM_BASE;
	/* Only bus 0 exists. Linux looks for bridges on every bus named here: 32 requests for each.
	 */
	mcfg->last_bus = 0;
	seal(mcfg, "MCFG", 1, sizeof(*mcfg));
	return gpa;
}

/* RSDT (4-byte entries) or XSDT (8-byte entries). */
static uint32_t write_root(struct area *area, const char *signature, size_t entry,
			   const uint32_t *tables, size_t count)
{
	size_t len = sizeof(struct header) + count * entry;
	uint32_t gpa;
	uint8_t *table = take(area, len, &gpa);

	if (!table)
		return 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t address = tables[i];

		memcpy(table + sizeof(struct header) + i * entry, &address, entry);
	}
	seal(table, signature, 1, len);
	return gpa;
}

static int write_all(struct vm *vm, struct area *area)
{
	uint32_t tables[TABLES];
	uint32_t rsdp_gpa, dsdt, facs, rsdt, xsdt;
	struct rsdp *rsdp = take(area, sizeof(*rsdp), &rsdp_gpa);

	if (!rsdp)
		return -ENOSPC;
	dsdt = write_dsdt(vm, area);
	facs = write_facs(area);
	tables[0] = write_fadt(area, facs, dsdt);
	tables[1] = write_madt(vm, area);
	tables[2] = write_mcfg(area);
	rsdt = write_root(area, "RSDT", 4, tables, TABLES);
	xsdt = write_root(area, "XSDT", 8, tables, TABLES);
	if (!dsdt || !facs || !tables[0] || !tables[1] || !tables[2] || !rsdt || !xsdt)
		return -ENOSPC;

	memcpy(rsdp->signature, "RSD PTR ", sizeof(rsdp->signature));
	memcpy(rsdp->oem_id, "ACRN  ", sizeof(rsdp->oem_id));
	rsdp->revision = 2;
	rsdp->rsdt = rsdt;
	rsdp->length = sizeof(*rsdp);
	rsdp->xsdt = xsdt;
	rsdp->checksum = checksum(rsdp, 20);
	rsdp->extended_checksum = checksum(rsdp, sizeof(*rsdp));
	return 0;
}

int acpi_write(struct vm *vm, uint8_t *bytes, size_t *size)
{
	struct area area = {.bytes = bytes, .room = *size};
	int err = write_all(vm, &area);

	if (err)
		log_err("the ACPI tables do not fit in %zu bytes", area.room);
	*size = area.used;
	return err;
}

/* A number that OVMF turns from an offset in the tables into their address. */
static void add_pointer(struct acpi_loader *loader, uint32_t at, uint8_t size)
{
	struct acpi_loader_command *command = &loader->command[loader->count++];

	command->command = LOADER_ADD_POINTER;
	strcpy(command->file, ACPI_LOADER_FILE);
	strcpy(command->pointer.to, ACPI_LOADER_FILE);
	command->pointer.offset = at;
	command->pointer.size = size;
}

/* The byte is part of what is summed up: it has to be zero before. */
static void add_checksum(struct acpi_loader *loader, uint8_t *tables, uint32_t at)
{
	struct acpi_loader_command *command = &loader->command[loader->count++];
	struct header header;

	memcpy(&header, tables + at, sizeof(header));
	tables[at + offsetof(struct header, checksum)] = 0;
	command->command = LOADER_ADD_CHECKSUM;
	strcpy(command->file, ACPI_LOADER_FILE);
	command->checksum.offset = at + offsetof(struct header, checksum);
	command->checksum.start = at;
	command->checksum.length = header.length;
}

/* The firmware makes RSDP and RSDT of its own: what the XSDT and the FADT name are all tables. */
void acpi_loader_make(struct acpi_loader *loader, uint8_t *tables)
{
	struct rsdp rsdp;
	uint32_t at, fadt;

	memset(loader, 0, sizeof(*loader));
	loader->count = 1;
	loader->command[0].command = LOADER_ALLOCATE;
	strcpy(loader->command[0].file, ACPI_LOADER_FILE);
	loader->command[0].allocate.align = TABLE_ALIGN;
	loader->command[0].allocate.zone = LOADER_ZONE_HIGH;
	memcpy(&rsdp, tables, sizeof(rsdp));
	at = (uint32_t)rsdp.xsdt + (uint32_t)sizeof(struct header);
	memcpy(&fadt, tables + at, sizeof(fadt)); /* it is the first */
	for (uint32_t i = 0; i < TABLES; i++)
		add_pointer(loader, at + 8 * i, 8);
	add_pointer(loader, fadt + offsetof(struct fadt, firmware_ctrl), 4);
	add_pointer(loader, fadt + offsetof(struct fadt, dsdt), 4);
	add_pointer(loader, fadt + offsetof(struct fadt, x_dsdt), 8);
	add_checksum(loader, tables, (uint32_t)rsdp.xsdt);
	add_checksum(loader, tables, fadt);
}

int acpi_load(struct vm *vm)
{
	struct area area = {
		.gpa = VM_ACPI_BASE,
		.room = VM_ACPI_LIMIT - VM_ACPI_BASE,
	};
	int err;

	area.bytes = gmem_ptr(vm, area.gpa, area.room);
	if (!area.bytes) {
		log_err("the VM needs at least %llu KB of memory for its ACPI tables",
			(unsigned long long)(VM_ACPI_LIMIT >> 10));
		return -EINVAL;
	}
	err = write_all(vm, &area);
	if (err)
		log_err("the ACPI tables do not fit in %zu bytes", area.room);
	return err;
}
