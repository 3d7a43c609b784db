// SPDX-License-Identifier: BSD-3-Clause
/*
 * Are the ACPI tables ones a guest's interpreter finds and accepts? Checksums and links are
 * followed as a guest would; iasl and acpiexec then judge what was written.
 */
// links: @machine
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "acpi.h"
#include "aml.h"
#include "dm_machine.h"
#include "fake_hsm.h"
#include "gmem.h"

static int setup(void **state)
{
	(void)state;
	fake_hsm_reset();
	fake_hsm.vcpu_num = 3;
	machine_create("-s 0:0,hostbridge -s 31:0,lpc -l com1,pty -l com2,pty -l com4,pty");
	assert_int_equal(acpi_load(&machine), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	machine_destroy();
	return 0;
}

static const uint8_t *at(uint64_t gpa, size_t len)
{
	const uint8_t *p = gmem_ptr(&machine, gpa, len);

	assert_non_null(p);
	assert_in_range(gpa, VM_ACPI_BASE, VM_ACPI_LIMIT - len);
	return p;
}

static uint32_t read32(const uint8_t *p)
{
	uint32_t value;

	memcpy(&value, p, sizeof(value));
	return value;
}

static uint64_t read64(const uint8_t *p)
{
	uint64_t value;

	memcpy(&value, p, sizeof(value));
	return value;
}

static void check_sum(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	assert_int_equal(sum, 0);
}

/* A table with a right checksum, or the test ends. */
static const uint8_t *table(uint64_t gpa, const char *signature)
{
	const uint8_t *p = at(gpa, 36);

	assert_memory_equal(p, signature, 4);
	p = at(gpa, read32(p + 4));
	if (strcmp(signature, "FACS") != 0)
		check_sum(p, read32(p + 4));
	return p;
}

/* Entry i of the XSDT, which must be entry i of the RSDT. */
static uint64_t entry(unsigned int i)
{
	const uint8_t *rsdp = at(VM_ACPI_BASE, 36);
	const uint8_t *rsdt = table(read32(rsdp + 16), "RSDT");
	const uint8_t *xsdt = table(read64(rsdp + 24), "XSDT");

	assert_int_equal(read32(rsdt + 36 + 4 * i), read64(xsdt + 36 + 8 * i));
	return read64(xsdt + 36 + 8 * i);
}

/* Can a guest go from the RSDP to every table, and do both roads lead to the same ones? */
static void test_links(void **state)
{
	const uint8_t *rsdp = at(VM_ACPI_BASE, 36);
	const uint8_t *fadt;

	(void)state;
	assert_memory_equal(rsdp, "RSD PTR ", 8);
	assert_int_equal(VM_ACPI_BASE % 16, 0);
	check_sum(rsdp, 20);
	check_sum(rsdp, 36);
	fadt = table(entry(0), "FACP");
	table(entry(1), "APIC");
	table(entry(2), "MCFG");
	table(read32(fadt + 36), "FACS");
	assert_int_equal(read32(fadt + 36) % 64, 0);
	table(read32(fadt + 40), "DSDT");
	assert_int_equal(read64(fadt + 140), read32(fadt + 40));
}

/* Does the MADT list each vCPU once, the IOAPIC at pin 0, IRQ 0 at pin 2 and the SCI as level? */
static void test_madt(void **state)
{
	static const uint8_t pit[] = {2, 10, 0, 0, 2, 0, 0, 0, 0, 0};
	static const uint8_t sci[] = {2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0};
	const uint8_t *madt = table(entry(1), "APIC");
	unsigned int cpus = 0, seen = 0;

	(void)state;
	for (size_t i = 44; i < read32(madt + 4); i += madt[i + 1]) {
		if (madt[i] == 0) {
			assert_int_equal(madt[i + 3], cpus++);
			assert_int_equal(read32(madt + i + 4), 1);
		} else if (madt[i] == 1) {
			assert_int_equal(read32(madt + i + 4), VM_IOAPIC_BASE);
			assert_int_equal(read32(madt + i + 8), 0);
			seen |= 1;
		} else if (madt[i] == 2 && madt[i + 3] == 0) {
			assert_memory_equal(madt + i, pit, sizeof(pit));
			seen |= 2;
		} else if (madt[i] == 2) {
			assert_memory_equal(madt + i, sci, sizeof(sci));
			seen |= 4;
		}
	}
	assert_int_equal(cpus, 3);
	assert_int_equal(seen, 7);
}

/* Does the FADT tell the truth: no 8042, no VGA, reset through 0xCF9, SCI 9, no PM timer? */
static void test_fadt(void **state)
{
	const uint8_t *fadt = table(entry(0), "FACP");

	(void)state;
	assert_int_equal(read32(fadt + 4), 276);
	assert_int_equal(fadt[46], 9);
	assert_int_equal(read32(fadt + 48), ACPI_SMI_PORT);
	assert_int_equal(read32(fadt + 56), ACPI_PM1_EVENT_PORT);
	assert_int_equal(read32(fadt + 64), ACPI_PM1_CONTROL_PORT);
	assert_int_equal(read32(fadt + 76), 0);
	assert_int_equal(fadt[109] & 0x7, 0x5);
	assert_true(read32(fadt + 112) & 1U << 10);
	assert_int_equal(read64(fadt + 120), ACPI_RESET_PORT);
	assert_int_equal(fadt[128], ACPI_RESET_VALUE);
	assert_int_equal(fadt[108], ACPI_CMOS_CENTURY);
}

static void write_table(const char *folder, const char *name, const uint8_t *p)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(p, 1, read32(p + 4), file), read32(p + 4));
	fclose(file);
}

static int run(const char *folder, const char *command)
{
	char line[512];

	snprintf(line, sizeof(line), "cd %s && { %s; }", folder, command);
	return system(line);
}

/* Do Intel's disassembler, compiler and interpreter accept the tables without one complaint? */
static void test_iasl(void **state)
{
	char folder[] = "/tmp/acpi-XXXXXX";
	const uint8_t *fadt = table(entry(0), "FACP");

	(void)state;
	assert_non_null(mkdtemp(folder));
	write_table(folder, "facp.dat", fadt);
	write_table(folder, "apic.dat", table(entry(1), "APIC"));
	write_table(folder, "mcfg.dat", table(entry(2), "MCFG"));
	write_table(folder, "facs.dat", table(read32(fadt + 36), "FACS"));
	write_table(folder, "dsdt.dat", table(read32(fadt + 40), "DSDT"));
	assert_int_equal(run(folder, "iasl -d *.dat >log 2>&1 || { cat log; false; }"), 0);
	assert_int_equal(run(folder, "! grep -iE 'error|warning|invalid|unknown' log || "
				     "{ cat log; false; }"),
			 0);
	assert_int_equal(run(folder, "iasl -ve dsdt.dsl >log 2>&1 && grep -q ' 0 Errors' log || "
				     "{ cat log; false; }"),
			 0);
	assert_int_equal(run(folder, "acpiexec -b 'namespace; quit' dsdt.dat >log 2>&1 && "
				     "grep -q 'COM4' log && grep -q '_PRT' log && "
				     "! grep -iE 'error|warning|exception' log || "
				     "{ cat log; false; }"),
			 0);
	run(folder, "rm -f *");
	rmdir(folder);
}

/* What if objects get one, two and three bytes of length: are the lengths right at the seams? */
static void test_pkg_length(void **state)
{
	static char text[5000];

	(void)state;
	for (size_t len = 1; len < sizeof(text) - 1; len++) {
		struct aml *aml = aml_create();
		const uint8_t *code;
		size_t total, encoded, bytes;

		memset(text, 'x', len);
		text[len] = '\0';
		aml_scope_begin(aml, "\\_SB_");
		aml_name_string(aml, "NAME", text);
		aml_end(aml);
		code = aml_finish(aml, &total);
		assert_non_null(code);
		bytes = 1U + (code[1] >> 6);
		encoded = bytes == 1 ? code[1] & 0x3fU : code[1] & 0xfU;
		for (size_t i = 1; i < bytes; i++)
			encoded |= (size_t)code[1 + i] << (8 * i - 4);
		assert_int_equal(encoded, total - 1);
		aml_free(aml);
	}
}

/* What if a device ends what it has not begun, leaves something open, or misnames it? */
static void test_aml_misuse(void **state)
{
	static void (*const wrong[])(struct aml *) = {aml_end, aml_resources_end};
	struct aml *aml;
	size_t len;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		aml = aml_create();
		aml_name_integer(aml, "GOOD", 1);
		wrong[i](aml);
		assert_null(aml_finish(aml, &len));
		aml_free(aml);
	}
	aml = aml_create();
	aml_device_begin(aml, "OPEN");
	assert_null(aml_finish(aml, &len));
	aml_free(aml);
	aml = aml_create();
	aml_name_integer(aml, "TOOLONG", 1);
	assert_null(aml_finish(aml, &len));
	aml_free(aml);
	aml = aml_create();
	for (int i = 0; i < 17; i++)
		aml_package_begin(aml, 1);
	for (int i = 0; i < 17; i++)
		aml_end(aml);
	assert_null(aml_finish(aml, &len));
	aml_free(aml);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_links, setup, teardown),
		cmocka_unit_test_setup_teardown(test_madt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fadt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_iasl, setup, teardown),
		cmocka_unit_test(test_pkg_length),
		cmocka_unit_test(test_aml_misuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
