// SPDX-License-Identifier: BSD-3-Clause
/*
 * Are the few facts the hypervisor takes from the firmware's tables right, and does a broken table
 * cost no more than what it held?
 */
// links: hypervisor/boot/acpi.c tests/fake/fake_report.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hv/acpi.h"
#include "hv/boot.h"
#include "hv/irq.h"
#include "lib/kconfig.h"
#include "fake_report.h"

struct boot_info boot_info;
struct ioapic_info ioapics[CONFIG_MAX_IOAPIC_NUM];
uint16_t ioapic_count;

/*
 * Physical memory: the first megabyte, and 64 KB that end at 4 GB, so that a table can run over
 * that edge. Whoever reads elsewhere fails.
 */
static uint8_t low[0x100000];
#define HIGH_SIZE 0x10000UL
#define HIGH	  (0x100000000UL - HIGH_SIZE)
static uint8_t *high;

static uint64_t reserved;

int e820_reserve(uint64_t base, uint64_t size)
{
	assert_int_equal(size, PAGE_SIZE);
	reserved = base;
	return 0;
}

void *hpa_ptr(hpa_t hpa)
{
	if (hpa.v < sizeof(low))
		return &low[hpa.v];
	assert_in_range(hpa.v, HIGH, HIGH + HIGH_SIZE - 1);
	return high + (hpa.v - HIGH);
}

hpa_t ptr_hpa(const volatile void *p)
{
	uintptr_t a = (uintptr_t)p;

	if (a >= (uintptr_t)low && a < (uintptr_t)low + sizeof(low))
		return HPA(a - (uintptr_t)low);
	return HPA(HIGH + (a - (uintptr_t)high));
}

static uint64_t next;

static int setup(void **state)
{
	(void)state;
	memset(low, 0, sizeof(low));
	free(high);
	high = calloc(1, HIGH_SIZE); /* on the heap: an access beyond 4 GB is seen */
	memset(&acpi_facts, 0, sizeof(acpi_facts));
	memset(&boot_info, 0, sizeof(boot_info));
	memset(ioapics, 0, sizeof(ioapics));
	ioapic_count = 0;
	next = HIGH;
	reserved = 0;
	fake_report_reset();
	return 0;
}

static void put(uint64_t hpa, uint64_t v, size_t len)
{
	memcpy(hpa_ptr(HPA(hpa)), &v, len);
}

static void checksum(uint64_t hpa, size_t len, size_t at)
{
	uint8_t *p = hpa_ptr(HPA(hpa)), sum = 0;

	p[at] = 0;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	p[at] = (uint8_t)(0 - sum);
}

/* A table with this body behind its 36-byte head; its address. */
static uint64_t table(const char *signature, const void *body, uint32_t len)
{
	uint64_t at = next;

	memcpy(hpa_ptr(HPA(at)), signature, 4);
	put(at + 4, 36 + len, 4);
	if (len)
		memcpy(hpa_ptr(HPA(at + 36)), body, len);
	checksum(at, 36 + len, 9);
	next += (36 + len + 15) & ~15U;
	return at;
}

static void rsdp_at(uint64_t at, uint8_t revision, uint64_t rsdt, uint64_t xsdt)
{
	memcpy(hpa_ptr(HPA(at)), "RSD PTR ", 8);
	put(at + 15, revision, 1);
	put(at + 16, rsdt, 4);
	put(at + 20, 36, 4);
	put(at + 24, xsdt, 8);
	checksum(at, 20, 8);
	checksum(at, 36, 32);
}

static uint64_t rsdt_of(uint64_t a, uint64_t b, uint64_t c)
{
	uint32_t list[] = {(uint32_t)a, (uint32_t)b, (uint32_t)c};

	return table("RSDT", list, sizeof(list));
}

static uint64_t xsdt_of(uint64_t a, uint64_t b)
{
	uint64_t list[] = {a, b};

	return table("XSDT", list, sizeof(list));
}

#define RSDP 0xF0000UL

static void run_with(uint64_t a, uint64_t b, uint64_t c)
{
	rsdp_at(RSDP, 0, rsdt_of(a, b, c), 0);
	acpi_init(0);
}

static const uint8_t madt_body[] = {
	0, 0, 0xE0, 0xFE, 1, 0, 0, 0, /* LAPIC address, flags */
	0, 8, 0, 4, 1, 0, 0, 0,	      /* xAPIC id 4, enabled */
	0, 8, 1, 6, 0, 0, 0, 0,	      /* disabled */
	0, 8, 1, 2, 1, 0, 0, 0,
	1, 12, 9, 0, 0, 0, 0xC0, 0xFE, 0, 0, 0, 0,
	2, 10, 0, 0, 2, 0, 0, 0, 0, 0,
	2, 10, 0, 9, 9, 0, 0, 0, 0x0D, 0,
	9, 16, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, /* the same as xAPIC 4 */
	9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, /* id 256 */
	4, 6, 0xFF, 5, 0, 1,				 /* LAPIC NMI: not used */
};

static void expect_madt(void)
{
	assert_int_equal(acpi_facts.cpu_count, 3);
	assert_int_equal(acpi_facts.cpu_apic_ids[0], 4);
	assert_int_equal(acpi_facts.cpu_apic_ids[1], 2);
	assert_int_equal(acpi_facts.cpu_apic_ids[2], 256);
	assert_int_equal(ioapic_count, 1);
	assert_int_equal(ioapics[0].id, 9);
	assert_int_equal(ioapics[0].base.v, 0xFEC00000);
	assert_int_equal(acpi_isa_gsi(0), 2);
	assert_int_equal(acpi_isa_gsi(9), 9);
	assert_int_equal(acpi_isa_gsi(4), 4);
	assert_int_equal(acpi_facts.override[1].flags, 0x0D);
}

/* What does a MADT with all entry types say? */
static void test_madt(void **state)
{
	uint64_t madt = table("APIC", madt_body, sizeof(madt_body));

	(void)state;
	run_with(madt, 0, 0);
	expect_madt();
	assert_int_equal(acpi_facts.madt_hpa, madt);
	assert_int_equal(acpi_facts.rsdp_hpa, RSDP);
	assert_int_equal(fake_report_lines, 0);
}

/* Where is the RSDP found: the loader's word, the EBDA, the BIOS area; and where not? */
static void test_rsdp_search(void **state)
{
	static const struct {
		uint64_t at, hint;
		bool ebda, efi, found;
	} cases[] = {
		{HIGH + 0x8000, HIGH + 0x8000, false, false, true},
		{HIGH + 0x8004, HIGH + 0x8004, false, true, true},
		{0xE0000, 0, false, false, true},
		{0xFFFD0, 0, false, false, true},
		{0xF0008, 0, false, false, false}, /* not at 16 bytes */
		{0xDFFF0, 0, false, false, false},
		{0x9FC10, 0, true, false, true},
		{0x9FC10, 0, false, false, false}, /* the BIOS names no EBDA */
		{0xF0000, HIGH + 0x8000, false, false, true}, /* a wrong hint */
		{0xF0000, 0, false, true, false}, /* nothing to search on EFI */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t madt;

		(void)setup(state);
		madt = table("APIC", madt_body, sizeof(madt_body));
		rsdp_at(cases[i].at, 0, rsdt_of(madt, 0, 0), 0);
		put(0x40E, cases[i].ebda ? 0x9FC0 : 0, 2);
		boot_info.efi_systab = cases[i].efi;
		acpi_init(cases[i].hint);
		assert_int_equal(acpi_facts.cpu_count, cases[i].found ? 3 : 0);
		assert_int_equal(fake_report_lines, cases[i].found ? 0 : 1);
		assert_int_equal(acpi_facts.s5_typ, 0xFF);
	}
}

/*
 * What if the loader gives a copy inside its own information, which is a guest's memory later? The
 * firmware's is taken; where there is none, the copy's page is nobody's.
 */
static void test_rsdp_copy(void **state)
{
	for (int efi = 0; efi < 2; efi++) {
		uint64_t rsdt;

		(void)setup(state);
		rsdt = rsdt_of(table("APIC", madt_body, sizeof(madt_body)), 0, 0);
		rsdp_at(0xF0000, 0, rsdt, 0);
		rsdp_at(HIGH + 0x8124, 0, rsdt, 0);
		boot_info.efi_systab = (uint64_t)efi;
		boot_info.info_base = HPA(HIGH + 0x8000);
		boot_info.info_size = 0x400;
		acpi_init(HIGH + 0x8124);
		expect_madt();
		assert_int_equal(acpi_facts.rsdp_hpa, efi ? HIGH + 0x8124 : 0xF0000);
		assert_int_equal(reserved, efi ? HIGH + 0x8000 : 0);
	}
	(void)setup(state);
	rsdp_at(HIGH + 0x8124, 0, rsdt_of(table("APIC", madt_body, sizeof(madt_body)), 0, 0), 0);
	acpi_init(HIGH + 0x8124); /* the firmware's own, as the loader tells it */
	expect_madt();
	assert_int_equal(reserved, 0);
}

/* What if the first thing that looks like an RSDP has a wrong checksum? The search goes on. */
static void test_rsdp_checksum(void **state)
{
	uint64_t madt = table("APIC", madt_body, sizeof(madt_body));

	(void)state;
	rsdp_at(0xE0000, 0, 0x1234, 0);
	low[0xE0009]++;
	run_with(madt, 0, 0);
	expect_madt();
	assert_int_equal(acpi_facts.rsdp_hpa, RSDP);
}

/* What if there are both: which of RSDT and XSDT is read, and when the XSDT is broken? */
static void test_rsdt_or_xsdt(void **state)
{
	static const uint8_t other[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 77, 1, 0, 0, 0};
	enum { GOOD, NO_XSDT, BAD_SUM, OLD_REVISION, BAD_EXT_SUM, ABOVE_4G, KINDS };

	for (int kind = GOOD; kind < KINDS; kind++) {
		uint64_t old_madt, new_madt, rsdt, xsdt;

		(void)setup(state);
		old_madt = table("APIC", other, sizeof(other));
		new_madt = table("APIC", madt_body, sizeof(madt_body));
		rsdt = rsdt_of(old_madt, 0, 0);
		xsdt = xsdt_of(0, new_madt);
		if (kind == BAD_SUM)
			put(xsdt + 36, 1, 1);
		rsdp_at(RSDP, kind == OLD_REVISION ? 0 : 2, rsdt,
			kind == NO_XSDT ? 0 : (kind == ABOVE_4G ? 0x100000000 : xsdt));
		if (kind == BAD_EXT_SUM)
			low[RSDP + 33]++;
		acpi_init(0);
		assert_int_equal(acpi_facts.cpu_count, kind == GOOD ? 3 : 1);
		assert_int_equal(acpi_facts.cpu_apic_ids[0], kind == GOOD ? 4 : 77);
	}
}

/* What if a table's length or checksum is wrong, or its address is no place for a table? */
static void test_bad_tables(void **state)
{
	static const uint32_t lengths[] = {0, 35, 0x100001, 0xFFFFFFFF, 0x80000};
	uint64_t madt;

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		(void)setup(state);
		madt = table("APIC", madt_body, sizeof(madt_body));
		put(madt + 4, lengths[i], 4);
		run_with(madt, 0, 0);
		assert_int_equal(acpi_facts.cpu_count, 0);
		assert_true(fake_reported("APIC"));
		assert_int_equal(fake_report_lines, 1);
	}
	(void)setup(state);
	madt = table("APIC", madt_body, sizeof(madt_body));
	put(madt + 50, 0x55, 1);
	run_with(madt, 0, 0);
	assert_int_equal(acpi_facts.cpu_count, 0);
	assert_int_equal(fake_report_lines, 1);

	(void)setup(state);
	run_with(0xFFFFFFF0, 0xFFFFFFFF, 0); /* heads that cross 4 GB */
	assert_int_equal(acpi_facts.cpu_count, 0);

	(void)setup(state);
	next = HIGH + HIGH_SIZE - 36 - sizeof(madt_body); /* ends with the 4 GB: all right */
	madt = table("APIC", madt_body, sizeof(madt_body));
	next = HIGH;
	run_with(madt, 0, 0);
	expect_madt();
}

/* What if the table of tables is broken too? One line, and a machine without ACPI. */
static void test_bad_root(void **state)
{
	uint64_t rsdt = rsdt_of(table("APIC", madt_body, sizeof(madt_body)), 0, 0);

	(void)state;
	put(rsdt + 40, 1, 1);
	rsdp_at(RSDP, 0, rsdt, 0);
	acpi_init(0);
	assert_int_equal(acpi_facts.cpu_count, 0);
	assert_true(fake_reported("RSDT"));

	(void)setup(state);
	rsdp_at(RSDP, 0, 0, 0);
	acpi_init(0);
	assert_int_equal(fake_report_lines, 1);

	(void)setup(state);
	rsdp_at(RSDP, 0, table("RSDT", "abc", 3), 0); /* ends inside its first entry */
	acpi_init(0);
	assert_int_equal(acpi_facts.cpu_count, 0);
}

/* What if a MADT entry is shorter than its type, than two bytes, or longer than the table? */
static void test_madt_truncated(void **state)
{
	uint8_t body[sizeof(madt_body)];
	uint32_t at = 8;

	while (at < sizeof(body)) {
		for (uint32_t len = 0; len < madt_body[at + 1]; len++) {
			(void)setup(state);
			memcpy(body, madt_body, sizeof(body));
			body[at + 1] = (uint8_t)len;
			run_with(table("APIC", body, at + len), 0, 0);
			assert_true(acpi_facts.cpu_count <= 3);
			memcpy(body, madt_body, sizeof(body));
			(void)setup(state);
			run_with(table("APIC", body, at + len), 0, 0); /* says more than there is */
			assert_int_equal(fake_report_lines, len >= 2 ? 1 : 0);
		}
		at += madt_body[at + 1];
	}
	(void)setup(state);
	memcpy(body, madt_body, sizeof(body));
	body[9] = 0;
	run_with(table("APIC", body, sizeof(body)), 0, 0);
	assert_int_equal(acpi_facts.cpu_count, 0);
	assert_true(fake_reported("length 0"));
	(void)setup(state);
	run_with(table("APIC", NULL, 0), 0, 0); /* nothing but a head */
	assert_int_equal(acpi_facts.cpu_count, 0);
}

/* What if there are more processors, IOAPICs and overrides than there is room for? */
static void test_madt_too_many(void **state)
{
	static uint8_t body[8 + 300 * 16 + 20 * 12 + 20 * 10];
	uint8_t *p = body + 8;

	(void)state;
	for (uint32_t i = 0; i < 300; i++, p += 16) {
		p[0] = 9;
		p[1] = 16;
		memcpy(p + 4, &i, 4);
		p[8] = 1;
	}
	for (uint32_t i = 0; i < 20; i++, p += 12) {
		p[0] = 1;
		p[1] = 12;
		p[7] = (uint8_t)(i + 1);
	}
	for (uint32_t i = 0; i < 20; i++, p += 10) {
		p[0] = 2;
		p[1] = 10;
		p[3] = (uint8_t)i;
		p[4] = (uint8_t)(i + 100);
	}
	run_with(table("APIC", body, sizeof(body)), 0, 0);
	assert_int_equal(acpi_facts.cpu_count, ACPI_MAX_CPUS);
	assert_int_equal(ioapic_count, CONFIG_MAX_IOAPIC_NUM);
	assert_int_equal(acpi_facts.override_count, 16);
	assert_int_equal(acpi_isa_gsi(15), 115);
	assert_int_equal(acpi_isa_gsi(17), 17);
	assert_int_equal(fake_report_lines, 2);
}

/* A processor that is usable has an id: 0xFF in an xAPIC entry means all of them. */
static void test_madt_broadcast_id(void **state)
{
	static const uint8_t body[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0xFF, 1, 0, 0, 0,
				       9, 16, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0, 0, 0, 0, 0};

	(void)state;
	run_with(table("APIC", body, sizeof(body)), 0, 0);
	assert_int_equal(acpi_facts.cpu_count, 0);
}

/* Where is PCI's memory configuration space; and what if the table holds none, or another segment? */
static void test_mcfg(void **state)
{
	uint8_t body[24] = {0};
	uint64_t base = 0xE0000000;

	(void)state;
	memcpy(body + 8, &base, 8);
	body[18] = 1;
	body[19] = 0xFF;
	run_with(table("MCFG", body, sizeof(body)), 0, 0);
	assert_int_equal(acpi_facts.mcfg_base, base);
	assert_int_equal(acpi_facts.mcfg_start_bus, 1);
	assert_int_equal(acpi_facts.mcfg_end_bus, 0xFF);
	(void)setup(state);
	run_with(table("MCFG", body, 23), 0, 0);
	assert_int_equal(acpi_facts.mcfg_base, 0);
	(void)setup(state);
	body[17] = 1;
	run_with(table("MCFG", body, sizeof(body)), 0, 0);
	assert_int_equal(acpi_facts.mcfg_base, 0);
	(void)setup(state);
	body[17] = 0;
	body[18] = body[19] = 3; /* one bus */
	run_with(table("MCFG", body, sizeof(body)), 0, 0);
	assert_int_equal(acpi_facts.mcfg_base, base);
	(void)setup(state);
	body[18] = 2;
	body[19] = 1; /* ends before it begins */
	run_with(table("MCFG", body, sizeof(body)), 0, 0);
	assert_int_equal(acpi_facts.mcfg_base, 0);
}

/* A FADT of revision 2 or later, offsets without the head. */
static uint64_t fadt(uint64_t dsdt, uint32_t len)
{
	uint8_t body[129 - 36] = {0};

	memcpy(body + 4, &dsdt, 4);
	body[46 - 36] = 9;
	body[56 - 36] = 0x00;
	body[57 - 36] = 0x06;
	body[64 - 36] = 0x04;
	body[65 - 36] = 0x06;
	body[76 - 36] = 0x08;
	body[77 - 36] = 0x06;
	body[113 - 36] = 0x04; /* RESET_REG_SUP */
	body[116 - 36] = 1;
	body[120 - 36] = 0xF9;
	body[121 - 36] = 0x0C;
	body[128 - 36] = 0x06;
	return table("FACP", body, len - 36);
}

/* What does a FADT say, whole and cut at every length? */
static void test_fadt(void **state)
{
	(void)state;
	for (uint32_t len = 36; len <= 129; len++) {
		(void)setup(state);
		run_with(fadt(0, len), 0, 0);
		assert_int_equal(acpi_facts.sci, len >= 72 ? 9 : 0);
		assert_int_equal(acpi_facts.pm1a_evt, len >= 72 ? 0x600 : 0);
		assert_int_equal(acpi_facts.pm1a_cnt, len >= 72 ? 0x604 : 0);
		assert_int_equal(acpi_facts.pm1b_cnt, 0);
		assert_int_equal(acpi_facts.pm_timer, len >= 80 ? 0x608 : 0);
		assert_int_equal(acpi_facts.reset_port, len >= 129 ? 0xCF9 : 0);
		assert_int_equal(acpi_facts.reset_value, len >= 129 ? 6 : 0);
	}
	assert_int_equal(fake_report_lines, 0);
}

/* What if the reset register is in memory space, is not supported, or no port has its number? */
static void test_fadt_reset(void **state)
{
	static const struct {
		uint32_t offset;
		uint8_t value;
	} cases[] = {{116, 0}, {113, 0}, {122, 1}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t t;

		(void)setup(state);
		t = fadt(0, 129);
		put(t + cases[i].offset, cases[i].value, 1);
		checksum(t, 129, 9);
		run_with(t, 0, 0);
		assert_int_equal(acpi_facts.pm_timer, 0x608);
		assert_int_equal(acpi_facts.reset_port, 0);
	}
}

/* Which sleep type does \_S5 give, in every encoding of its package, and in none? */
static void test_s5(void **state)
{
	static const struct {
		uint8_t aml[16];
		uint32_t len;
		uint8_t typ;
	} cases[] = {
		{"\x08_S5_\x12\x06\x04\x00\x00\x00\x00", 12, 0},	/* ZeroOp */
		{"\x08_S5_\x12\x06\x04\x01\x00\x00\x00", 12, 1},	/* OneOp */
		{"\x08_S5_\x12\x08\x04\x0A\x05\x0A\x05\x00\x00", 14, 5},	/* BytePrefix */
		{"\x08_S5_\x12\x40\x09\x04\x0A\x07\x00\x00\x00", 13, 7},	/* two-byte length */
		{"\x08_S5_\x12\x09\x04\x0B\x06\x00\x00\x00\x00", 13, 6},	/* WordPrefix */
		{"\x08_S5_\x12\x0B\x04\x0C\x03\x00\x00\x00\x00\x00", 14, 3},	/* DWordPrefix */
		{"\x08_S5_\x12\x06\x04\xFF\x00\x00\x00\x00", 12, 0xFF},	/* OnesOp: no type */
		{"\x08_S5_\x12\x08\x04\x0A\x08\x0A\x05\x00\x00", 14, 0xFF},	/* not in 3 bits */
		{"\x08_S5_\x12\x06\x04\x5CZZZ", 12, 0xFF},		/* a name */
		{"\x08_S4_\x12\x06\x04\x05\x00\x00\x00\x00", 12, 0xFF},
		{"\x08_S5_\x14\x06\x04\x05\x00\x00\x00\x00", 12, 0xFF},	/* a method */
		{"zzzzzzz\x08_S5_\x12\xC6\x04", 15, 0xFF},		/* cut */
		{"zzzzzzzzz\x08_S5_\x12", 15, 0xFF},
		{"\x08_S5_\x12\xC6\x00\x00\x00\x04", 11, 0xFF}, /* ends where the type would be */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		(void)setup(state);
		run_with(fadt(table("DSDT", cases[i].aml, cases[i].len), 129), 0, 0);
		assert_int_equal(acpi_facts.s5_typ, cases[i].typ);
		assert_int_equal(acpi_facts.pm1a_cnt, 0x604);
	}
}

/* What if the DSDT is broken? The FADT still says what it says. */
static void test_bad_dsdt(void **state)
{
	uint64_t dsdt = table("DSDT", "\x08_S5_\x12\x06\x04\x05\x00\x00\x00\x00", 12);

	(void)state;
	put(dsdt + 36, 0x77, 1);
	run_with(fadt(dsdt, 129), 0, 0);
	assert_int_equal(acpi_facts.pm1a_cnt, 0x604);
	assert_int_equal(acpi_facts.s5_typ, 0xFF);
	assert_true(fake_reported("DSDT"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_madt, setup),
		cmocka_unit_test_setup(test_rsdp_search, setup),
		cmocka_unit_test_setup(test_rsdp_copy, setup),
		cmocka_unit_test_setup(test_rsdp_checksum, setup),
		cmocka_unit_test_setup(test_rsdt_or_xsdt, setup),
		cmocka_unit_test_setup(test_bad_tables, setup),
		cmocka_unit_test_setup(test_bad_root, setup),
		cmocka_unit_test_setup(test_madt_truncated, setup),
		cmocka_unit_test_setup(test_madt_too_many, setup),
		cmocka_unit_test_setup(test_madt_broadcast_id, setup),
		cmocka_unit_test_setup(test_mcfg, setup),
		cmocka_unit_test_setup(test_fadt, setup),
		cmocka_unit_test_setup(test_fadt_reset, setup),
		cmocka_unit_test_setup(test_s5, setup),
		cmocka_unit_test_setup(test_bad_dsdt, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
