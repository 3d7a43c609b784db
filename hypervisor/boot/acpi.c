// SPDX-License-Identifier: BSD-3-Clause
/*
 * The few fields the hypervisor uses of the firmware's ACPI tables, read once at boot on the boot
 * CPU into acpi_facts. No lock. The tables are input like any other: a wrong checksum, length or
 * address costs what that table held and one line in the boot report. Guests get the tables
 * themselves (the Service VM) or others; nothing here is passed on.
 */
#include "hv/acpi.h"
#include "asm/apic.h"
#include "hv/boot.h"
#include "hv/caps.h"
#include "hv/irq.h"
#include "hv/mm.h"
#include "lib/kconfig.h"
#include "lib/string.h"

#define TABLE_MAX MB(1)
#define RSDP_MAX  256U
#define TABLES_MAX 256U /* that a root table may list: some dozens are usual */

#define XAPIC_IDS 255U

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t ext_checksum;
	uint8_t reserved[3];
} __packed;

struct sdt {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[6], oem_table[8];
	uint32_t oem_revision, creator, creator_revision;
} __packed;

struct fadt {
	struct sdt h;
	uint32_t facs, dsdt;
	uint8_t model, profile;
	uint16_t sci;
	uint32_t smi_cmd;
	uint8_t enable, disable, s4bios, pstate;
	uint32_t pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_timer, gpe0, gpe1;
	uint8_t lens[8];
	uint16_t c2_lat, c3_lat, flush_size, flush_stride;
	uint8_t duty_off, duty_width, day_alarm, month_alarm, century;
	uint16_t boot_arch;
	uint8_t pad;
	uint32_t flags;
	uint8_t reset_space, reset_width, reset_offset, reset_access;
	uint64_t reset_addr;
	uint8_t reset_value;
} __packed;

#define FADT_FLAG_RESET BIT32(10)

struct acpi_facts acpi_facts;
static uint32_t cpus_left_out, ioapics_left_out;
static bool madt_read, mcfg_read, fadt_read, dmar_read;

static bool sum_is_zero(const void *p, size_t len)
{
	const uint8_t *b = p;
	uint8_t sum = 0U;

	while (len-- != 0U) {
		sum = (uint8_t)(sum + *b++);
	}
	return sum == 0U;
}

static bool rsdp_valid(const struct rsdp *r)
{
	return memcmp(r->signature, "RSD PTR ", 8U) == 0 && sum_is_zero(r, 20U);
}

/* The part that revision 2 added has its own checksum, over all. */
static bool rsdp_has_xsdt(const struct rsdp *r)
{
	return r->revision >= 2U && r->xsdt != 0U && r->length >= sizeof(*r) &&
	       r->length <= RSDP_MAX && sum_is_zero(r, r->length);
}

static const struct rsdp *rsdp_scan(uint64_t base, uint64_t size)
{
	for (uint64_t a = base; a < base + size; a += 16U) {
		const struct rsdp *r = hpa_ptr(HPA(a));

		if (rsdp_valid(r)) {
			return r;
		}
	}
	return NULL;
}

/* Where a BIOS puts it (ACPI 5.2.5.1). */
static const struct rsdp *rsdp_search(void)
{
	uint64_t ebda;
	uint16_t ebda_segment;

	(void)memcpy(&ebda_segment, hpa_ptr(HPA(0x40EU)), sizeof(ebda_segment));
	ebda = (uint64_t)ebda_segment << 4;
	if (ebda >= 0x80000UL && ebda < 0xA0000UL) {
		const struct rsdp *r = rsdp_scan(ebda, 1024U);

		if (r != NULL) {
			return r;
		}
	}
	return rsdp_scan(0xE0000UL, 0x20000UL);
}

/*
 * The firmware's own before the loader's copy, which may lie in memory that is free for the guest
 * that looks for it later: then that page is taken from all guests.
 */
static const struct rsdp *rsdp_find(uint64_t hint)
{
	const struct rsdp *r = NULL;
	uint64_t first, end;

	if (boot_info.efi_systab == 0U) { /* EFI machines have nothing in the BIOS area to search */
		r = rsdp_search();
	}
	if (r != NULL || hint == 0U || !rsdp_valid(hpa_ptr(HPA(hint)))) {
		return r;
	}
	first = ALIGN_DOWN(hint, PAGE_SIZE);
	end = ALIGN_UP(hint + sizeof(*r), PAGE_SIZE);
	if (hint - boot_info.info_base.v < boot_info.info_size &&
	    e820_reserve(first, end - first) != 0) {
		report("acpi: the RSDP at 0x%lx lies in memory of the Service VM", hint);
	}
	return hpa_ptr(HPA(hint));
}

/* Where a table can be read: only the first 4 GB are mapped this early. */
static bool table_address(uint64_t addr)
{
	return addr != 0U && addr <= GB(4) - sizeof(struct sdt);
}

static const struct sdt *table_check(uint64_t addr)
{
	const struct sdt *t;

	if (!table_address(addr)) {
		return NULL;
	}
	t = hpa_ptr(HPA(addr));
	if (t->length < sizeof(*t) || t->length > MIN(TABLE_MAX, GB(4) - addr) ||
	    !sum_is_zero(t, t->length)) {
		report("acpi: table %.4s at 0x%lx has a wrong length or checksum, not used",
		       t->signature, addr);
		return NULL;
	}
	return t;
}

/* `all` is the id that addresses every processor, and so is none's. */
static void add_cpu(uint32_t apic_id, uint32_t all, uint32_t flags)
{
	if ((flags & 1U) == 0U || apic_id == all) {
		return;
	}
	for (uint16_t i = 0U; i < acpi_facts.cpu_count; i++) {
		if (acpi_facts.cpu_apic_ids[i] == apic_id) {
			return; /* listed as xAPIC and as x2APIC entry */
		}
	}
	if (acpi_facts.cpu_count == ACPI_MAX_CPUS ||
	    (apic_id >= XAPIC_IDS && !cap_has(CAP_X2APIC))) {
		cpus_left_out++;
	} else {
		acpi_facts.cpu_apic_ids[acpi_facts.cpu_count++] = apic_id;
	}
}

static uint32_t read32(const uint8_t *p)
{
	uint32_t v;

	(void)memcpy(&v, p, sizeof(v));
	return v;
}

/* Its registers will be written: not into memory, and every unit has a page of its own. */
static bool ioapic_address(uint64_t base)
{
	for (uint16_t i = 0U; i < ioapic_count; i++) {
		if (ioapics[i].base.v == base) {
			return false;
		}
	}
	return base != 0U && base != APIC_DEFAULT_BASE && (base & (PAGE_SIZE - 1U)) == 0U &&
	       !e820_is_ram(&host_e820, base, PAGE_SIZE);
}

static void add_ioapic(const uint8_t *e)
{
	uint64_t base = read32(&e[4]);

	if (ioapic_count == CONFIG_MAX_IOAPIC_NUM || !ioapic_address(base)) {
		ioapics_left_out++;
		return;
	}
	ioapics[ioapic_count++] = (struct ioapic_info){
		.id = e[2], .base = HPA(base), .gsi_base = read32(&e[8])};
}

/* The least length of each entry type that is read. */
static void read_madt(const struct sdt *madt)
{
	static const uint8_t min_len[] = {[0] = 8U, [1] = 12U, [9] = 16U};
	const uint8_t *p = (const uint8_t *)madt;
	uint32_t pos = sizeof(*madt) + 8U;

	while (pos + 2U <= madt->length) {
		const uint8_t *e = &p[pos];

		if (e[1] < 2U || e[1] > madt->length - pos) {
			report("acpi: MADT entry at %u has length %u, the rest is not read", pos,
			       e[1]);
			return;
		}
		if (e[0] < ARRAY_SIZE(min_len) && e[1] >= min_len[e[0]]) {
			if (e[0] == 0U) {
				add_cpu(e[3], 0xFFU, read32(&e[4]));
			} else if (e[0] == 1U) {
				add_ioapic(e);
			} else if (e[0] == 9U) {
				add_cpu(read32(&e[4]), UINT32_MAX, read32(&e[8]));
			}
		}
		pos += e[1];
	}
}

static void parse_madt(const struct sdt *madt)
{
	acpi_facts.madt_hpa = ptr_hpa(madt).v;
	cpus_left_out = 0U;
	ioapics_left_out = 0U;
	read_madt(madt);
	if (cpus_left_out != 0U) {
		report("acpi: %u processors are not used: %u are the most, and without x2APIC ids "
		       "below %u",
		       cpus_left_out, ACPI_MAX_CPUS, XAPIC_IDS);
	}
	if (ioapics_left_out != 0U) {
		report("acpi: %u IOAPICs are not used: %u are the most (MAX_IOAPIC_NUM), each in a "
		       "page of its own",
		       ioapics_left_out, CONFIG_MAX_IOAPIC_NUM);
	}
}

static void parse_mcfg(const struct sdt *mcfg)
{
	const uint8_t *e = (const uint8_t *)mcfg + sizeof(*mcfg) + 8U;
	uint64_t base;

	if (mcfg->length < sizeof(*mcfg) + 8U + 16U || e[8] != 0U || e[9] != 0U || e[10] > e[11]) {
		return;
	}
	(void)memcpy(&base, e, sizeof(base));
	if (base % MB(1) != 0U || base > hostmm_limit() - (e[11] + 1UL) * MB(1) ||
	    e820_is_ram(&host_e820, base + e[10] * MB(1), PAGE_SIZE)) {
		report("acpi: PCI's configuration space cannot be at 0x%lx, not used", base);
		return;
	}
	acpi_facts.mcfg_base = base;
	acpi_facts.mcfg_start_bus = e[10];
	acpi_facts.mcfg_end_bus = e[11];
}

/* \_S5's package begins with SLP_TYPa; it is a constant in every firmware seen. */
static void find_s5(const struct sdt *dsdt)
{
	const uint8_t *p = (const uint8_t *)dsdt;

	for (uint32_t i = sizeof(*dsdt); i + 9U < dsdt->length; i++) {
		uint32_t q;
		uint8_t typ;

		if (memcmp(&p[i], "_S5_\x12", 5U) != 0) {
			continue;
		}
		/* package length (its top bits count more bytes), element count, first element */
		q = i + 7U + (p[i + 5U] >> 6);
		if (q + 1U < dsdt->length && p[q] >= 0x0AU && p[q] <= 0x0CU) {
			q++; /* Byte-, Word-, DWordPrefix: the low byte comes first */
		}
		typ = (q < dsdt->length) ? p[q] : 0xFFU;
		/* ZeroOp and OneOp are 0 and 1 themselves; the register has three bits. */
		if (typ <= 7U) {
			acpi_facts.s5_typ = typ;
		}
		return;
	}
}

static void parse_fadt(const struct sdt *t)
{
	const struct fadt *f = (const struct fadt *)(const void *)t;
	const struct sdt *dsdt;

	if (t->length < offsetof(struct fadt, pm2_cnt)) {
		return;
	}
	acpi_facts.pm1a_cnt = (uint16_t)f->pm1a_cnt;
	acpi_facts.pm1b_cnt = (uint16_t)f->pm1b_cnt;
	if (t->length >= sizeof(*f) && (f->flags & FADT_FLAG_RESET) != 0U && f->reset_space == 1U &&
	    f->reset_addr <= UINT16_MAX) {
		acpi_facts.reset_port = (uint16_t)f->reset_addr;
		acpi_facts.reset_value = f->reset_value;
	}
	dsdt = table_check(f->dsdt);
	if (dsdt != NULL) {
		find_s5(dsdt);
	}
}

/* service_vm/vtd.c reads on. */
static void parse_dmar(const struct sdt *t)
{
	acpi_facts.dmar_hpa = ptr_hpa(t).v;
}

/*
 * The Service VM, which reads the tables itself, shall find none of remapping units, good or broken:
 * the name goes, and the checksum stays what it was. Firmware writes it anew at each boot.
 */
static void hide(uint64_t addr)
{
	uint8_t *t = hpa_ptr(HPA(addr));

	if (memcmp(t, "DMAR", 4U) == 0 && !hv_owns(HPA(addr), sizeof(struct sdt))) {
		t[0] = (uint8_t)'X';
		t[9] = (uint8_t)(t[9] - (uint8_t)('X' - 'D'));
	}
}

/* The first good one of each counts: there is none twice. */
static void parse_table(uint64_t addr)
{
	static const struct {
		char signature[5];
		bool *done;
		void (*parse)(const struct sdt *t);
	} known[] = {{"APIC", &madt_read, parse_madt},
		     {"MCFG", &mcfg_read, parse_mcfg},
		     {"FACP", &fadt_read, parse_fadt},
		     {"DMAR", &dmar_read, parse_dmar}};
	const struct sdt *head;

	if (!table_address(addr)) {
		if (addr != 0U) {
			report("acpi: a table at 0x%lx cannot be reached, not used", addr);
		}
		return;
	}
	head = hpa_ptr(HPA(addr));
	for (size_t i = 0U; i < ARRAY_SIZE(known); i++) {
		if (!*known[i].done && memcmp(head->signature, known[i].signature, 4U) == 0 &&
		    table_check(addr) != NULL) {
			known[i].parse(head);
			*known[i].done = true;
		}
	}
	hide(addr);
}

/* Addresses of tables, four or eight bytes each. */
static void parse_root(const struct sdt *root, uint32_t width)
{
	uint32_t count = (root->length - (uint32_t)sizeof(*root)) / width;

	if (count > TABLES_MAX) {
		report("acpi: %u tables are listed, only the first %u are read", count, TABLES_MAX);
		count = TABLES_MAX;
	}
	for (uint32_t i = 0U; i < count; i++) {
		uint64_t addr = 0U;

		(void)memcpy(&addr, (const uint8_t *)(root + 1) + i * width, width);
		parse_table(addr);
	}
	if (!madt_read) {
		report("acpi: no MADT: this processor alone, and the IOAPIC of a PC");
	}
	if (!fadt_read) {
		report("acpi: no FADT: the hypervisor does not see the machine's power-off");
	}
}

void acpi_init(uint64_t rsdp_hint)
{
	const struct rsdp *r = rsdp_find(rsdp_hint);
	const struct sdt *root = NULL;
	uint32_t width = 8U;

	acpi_facts.s5_typ = 0xFFU;
	madt_read = false;
	mcfg_read = false;
	fadt_read = false;
	dmar_read = false;
	if (r == NULL) {
		report("acpi: no RSDP: one processor, no power-off, no PCI memory configuration");
		return;
	}
	acpi_facts.rsdp_hpa = ptr_hpa(r).v;
	if (rsdp_has_xsdt(r)) {
		root = table_check(r->xsdt);
	}
	if (root == NULL) {
		root = table_check(r->rsdt);
		width = 4U;
	}
	if (root == NULL) {
		report("acpi: no RSDT or XSDT that can be read: no table is used");
		return;
	}
	parse_root(root, width);
}
