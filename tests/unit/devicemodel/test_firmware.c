// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does a VM with firmware have what OVMF looks for: code that cannot be written and variables that
 * can, a description of the machine, ACPI tables that its script puts anywhere, a timer, and the
 * state of a processor after reset? And is a file refused that cannot be firmware?
 */
// links: @machine
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include <cmocka.h>

#include "acpi_loader.h"
#include "dm_machine.h"
#include "fake_hsm.h"
#include "firmware.h"
#include "gmem.h"
#include "io_space.h"
#include "load.h"
#include "log.h"
#include "pci.h"
#include "platform.h"
#include "power.h"

#define VARS (64U << 10)
#define CODE (128U << 10)

static char vars[] = "/tmp/vars-XXXXXX", code[] = "/tmp/code-XXXXXX";
static char options[256];

static void make_file(const char *path, uint8_t byte, size_t len)
{
	FILE *file = fopen(path, "w");

	for (size_t i = 0; i < len; i++)
		fputc(byte, file);
	fclose(file);
}

static uint8_t file_byte(const char *path, off_t at)
{
	int fd = open(path, O_RDONLY);
	uint8_t byte = 0;

	assert_int_equal(pread(fd, &byte, 1, at), 1);
	close(fd);
	return byte;
}

static void start(const char *form)
{
	snprintf(options, sizeof(options), form, code, vars);
	machine_create(options);
}

static int setup(void **state)
{
	(void)state;
	fake_hsm_reset();
	fake_hsm.vcpu_num = 2;
	make_file(vars, 0xaa, VARS);
	make_file(code, 0xcc, CODE);
	return 0;
}

static int group_setup(void **state)
{
	(void)state;
	close(mkstemp(vars));
	close(mkstemp(code));
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	unlink(vars);
	unlink(code);
	return 0;
}

static uint8_t *rom(void)
{
	return fake_hsm.rom.hva;
}

static void flash(uint64_t at, unsigned int size, uint64_t value)
{
	io_space_write(machine.mmio, fake_hsm.rom.gpa + at, size, value);
}

/* Is the flash where it must be, and can a driver tell it from RAM and ROM as OVMF does? */
static void test_flash_found(void **state)
{
	(void)state;
	start("-s 0,hostbridge --ovmf code=%s,vars=%s");
	assert_int_equal(fake_hsm.rom.gpa, FIRMWARE_END - CODE - VARS);
	assert_int_equal(fake_hsm.rom.len, CODE + VARS);
	assert_int_equal(rom()[0], 0xaa);
	assert_int_equal(rom()[VARS], 0xcc);
	flash(5, 1, 0x50);
	assert_int_equal(rom()[5], 0xaa);
	flash(5, 1, 0x70);
	assert_int_equal(rom()[5], 0); /* cleared status */
	assert_int_equal(rom()[6], 0xaa);
	flash(5, 1, 0xff);
	assert_int_equal(rom()[5], 0xaa);
	/* the code is for nobody to write */
	flash(VARS, 1, 0x10);
	flash(VARS, 1, 0x11);
	assert_int_equal(rom()[VARS], 0xcc);
	machine_destroy();
	assert_int_equal(file_byte(vars, 5), 0xaa);
}

/* Are variables written and erased, in the file too if that is asked for, and kept over a reset? */
static void test_flash_written(void **state)
{
	(void)state;
	start("--ovmf w,code=%s,vars=%s");
	flash(0x1fff, 1, 0x40);
	flash(0x1fff, 1, 0x12);
	flash(0x1ffe, 1, 0x70); /* the status is not to be found in the file */
	assert_int_equal(rom()[0x1ffe], 0x80);
	flash(0x2000, 1, 0x10);
	flash(0x2000, 4, 0x78563412);
	assert_int_equal(rom()[0x1ffe], 0xaa);
	flash(0x2fff, 1, 0x20);
	flash(0x2fff, 1, 0xff); /* thought better of it */
	assert_memory_equal(rom() + 0x2000, "\x12\x34\x56\x78\xaa", 5);
	flash(0x3008, 1, 0x20);
	flash(0x3008, 1, 0xd0);
	assert_int_equal(rom()[0x2fff], 0xaa);
	assert_int_equal(rom()[0x3000], 0xff);
	assert_int_equal(rom()[0x3fff], 0xff);
	assert_int_equal(rom()[0x4000], 0xaa);
	flash(0, 1, 0x10);
	platform_reset(&machine);
	flash(0, 1, 0x99); /* no second write of what was before */
	assert_int_equal(rom()[0], 0xaa);
	assert_int_equal(rom()[0x1fff], 0x12);
	assert_int_equal(file_byte(vars, 0x1fff), 0x12);
	assert_int_equal(file_byte(vars, 0x1ffe), 0xaa);
	assert_int_equal(file_byte(vars, 0x2003), 0x78);
	assert_int_equal(file_byte(vars, 0x3fff), 0xff);
	machine_destroy();
	/* without "w" the next start does not know */
	start("--ovmf code=%s,vars=%s");
	assert_int_equal(rom()[0x1fff], 0x12);
	flash(0, 1, 0x10);
	flash(0, 1, 0);
	assert_int_equal(rom()[0], 0);
	assert_int_equal(file_byte(vars, 0), 0xaa);
	machine_destroy();
}

/* What if it is one file: is its beginning what can be written? */
static void test_one_file(void **state)
{
	(void)state;
	make_file(vars, 0x55, 2 << 20);
	snprintf(options, sizeof(options), "--ovmf w,%s", vars);
	machine_create(options);
	assert_int_equal(fake_hsm.rom.gpa, 0xffe00000);
	flash(FIRMWARE_VARS_SIZE - 1, 1, 0x10);
	flash(FIRMWARE_VARS_SIZE - 1, 1, 1);
	flash(FIRMWARE_VARS_SIZE, 1, 0x10);
	flash(FIRMWARE_VARS_SIZE, 1, 1);
	assert_int_equal(file_byte(vars, FIRMWARE_VARS_SIZE - 1), 1);
	assert_int_equal(file_byte(vars, FIRMWARE_VARS_SIZE), 0x55);
	machine_destroy();
}

/* What if the files are missing, of a wrong size, or written by another VM? */
static void test_bad_files(void **state)
{
	int fd;

	(void)state;
	log_set_level(0);
	assert_int_equal(machine_try("--ovmf /nonexistent"), -EINVAL);
	assert_int_equal(machine_try("--ovmf code=/dev/null,vars=/dev/null"), -EINVAL);
	snprintf(options, sizeof(options), "--ovmf %s", vars);
	assert_int_equal(machine_try(options), -EINVAL); /* nothing but variables */
	snprintf(options, sizeof(options), "--ovmf code=%s,vars=%s", code, vars);
	make_file(code, 0xcc, CODE + 1);
	assert_int_equal(machine_try(options), -EINVAL);
	make_file(code, 0xcc, 0);
	assert_int_equal(machine_try(options), -EINVAL);
	make_file(code, 0xcc, FIRMWARE_MAX - VARS + 4096);
	assert_int_equal(machine_try(options), -EINVAL);
	make_file(code, 0xcc, FIRMWARE_MAX - VARS);
	assert_int_equal(machine_try(options), 0);
	assert_int_equal(fake_hsm.rom.gpa, 0xffc00000);
	machine_destroy();
	fd = open(vars, O_RDWR);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	snprintf(options, sizeof(options), "--ovmf w,code=%s,vars=%s", code, vars);
	assert_int_equal(machine_try(options), -EACCES);
	close(fd);
	fake_hsm.fail[0x41] = EFAULT;
	assert_int_not_equal(machine_try(options), 0);
	log_set_level(LOG_LEVEL_NOTICE);
}

static void select_key(uint16_t key)
{
	machine_out(0x510, 2, key);
}

static void read_bytes(void *to, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)to)[i] = (uint8_t)machine_in(0x511, 1);
}

/* The key of a file and its size, from the directory as firmware reads it. */
static uint16_t find_file(const char *name, uint32_t *size)
{
	uint32_t count;

	select_key(0x19);
	read_bytes(&count, sizeof(count));
	assert_in_range(be32toh(count), 1, 16);
	for (uint32_t i = 0; i < be32toh(count); i++) {
		struct {
			uint32_t size;
			uint16_t key, reserved;
			char name[56];
		} file;

		read_bytes(&file, sizeof(file));
		*size = be32toh(file.size);
		if (strcmp(file.name, name) == 0)
			return be16toh(file.key);
	}
	fail_msg("no file %s", name);
	return 0;
}

/* A transfer to GPA 0x2000, asked for at 0x1000; returns what the guest then reads there. */
static uint32_t dma(uint32_t control, uint32_t len, uint64_t gpa)
{
	uint8_t *request = gmem_ptr(&machine, 0x1000, 16);
	uint32_t words[2] = {htobe32(control), htobe32(len)}, answer;

	gpa = htobe64(gpa);
	memcpy(request, words, 8);
	memcpy(request + 8, &gpa, 8);
	machine_out(0x514, 4, 0);
	machine_out(0x518, 4, htobe32(0x1000));
	memcpy(&answer, request, 4);
	return be32toh(answer);
}

/* Does the firmware hear of itself, the processors and the memory, byte by byte? */
static void test_fw_cfg(void **state)
{
	struct acrn_vcpu_regs regs;
	uint8_t bytes[8];
	uint64_t range[2];
	uint32_t size;

	(void)state;
	start("--ovmf code=%s,vars=%s");
	assert_int_equal(load_ovmf(&machine, &regs), 0);
	assert_int_equal(machine_in(0x511, 1), 0);
	select_key(0);
	read_bytes(bytes, 5);
	assert_memory_equal(bytes, "QEMU", 5); /* and zeros behind the end */
	select_key(1);
	read_bytes(bytes, 4);
	assert_memory_equal(bytes, "\3\0\0", 4);
	select_key(5);
	assert_int_equal(machine_in(0x511, 1), 2);
	select_key(0x777);
	assert_int_equal(machine_in(0x511, 1), 0);
	select_key(find_file("etc/e820", &size));
	assert_int_equal(size, 20);
	read_bytes(range, sizeof(range));
	assert_int_equal(range[0], 0);
	assert_int_equal(range[1], 16 << 20);
	assert_int_equal(machine_in(0x511, 1), 1);
	machine_out(0x70, 1, 0x34);
	assert_int_equal(machine_in(0x71, 1), 0); /* of 64 KB above 16 MB */
	machine_destroy();
}

/* What of copies, and of requests for impossible ones? */
static void test_dma(void **state)
{
	struct acrn_vcpu_regs regs;
	uint8_t *to;

	(void)state;
	start("--ovmf code=%s,vars=%s");
	assert_int_equal(load_ovmf(&machine, &regs), 0);
	to = gmem_ptr(&machine, 0x2000, 16);
	memset(to, 0x5a, 16);
	assert_int_equal(machine_in(0x514, 4), htole32(0x554d4551)); /* "QEMU" */
	assert_int_equal(dma(0x0000000a, 6, 0x2000), 0);
	assert_memory_equal(to, "QEMU\0\0\x5a", 7);
	assert_int_equal(dma(0x0000000c, 2, 0), 0);
	assert_int_equal(dma(2, 1, 0x2000), 0);
	assert_int_equal(to[0], 'M');
	assert_int_equal(dma(4, UINT32_MAX, 0), 0);
	assert_int_equal(dma(2, 1, 0x2000), 0);
	assert_int_equal(to[0], 0);
	assert_int_equal(dma(0x0000000a, 6, (16 << 20) - 5), 1);
	assert_int_equal(dma(0x0000000a, UINT32_MAX, 0x2000), 1);
	assert_int_equal(dma(0x0000000a, 6, UINT64_MAX), 1);
	assert_int_equal(dma(0x00000018, 4, 0x2000), 1);
	machine_out(0x514, 4, UINT32_MAX); /* a request that is nowhere */
	machine_out(0x518, 4, UINT32_MAX);
	machine_out(0x518, 2, 0);
	machine_destroy();
}

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t total = 0;

	while (len--)
		total += *p++;
	return total;
}

/* Do the tables hold together where the script puts them, as firmware does? */
static void test_tables(void **state)
{
	static struct acpi_loader_command script[16];
	static uint8_t tables[65536];
	const uint64_t base = 0x7654000;
	struct acrn_vcpu_regs regs;
	uint32_t size, script_size, pointers = 0;

	(void)state;
	start("-s 0,hostbridge -s 1,lpc -l com1,pty --ovmf code=%s,vars=%s");
	assert_int_equal(load_ovmf(&machine, &regs), 0);
	select_key(find_file("etc/table-loader", &script_size));
	assert_true(script_size <= sizeof(script) && script_size % 128 == 0);
	read_bytes(script, script_size);
	select_key(find_file("etc/acpi/tables", &size));
	assert_true(size < sizeof(tables));
	read_bytes(tables, size);
	for (uint32_t i = 0; i < script_size / 128; i++) {
		const struct acpi_loader_command *c = &script[i];
		uint64_t value = 0;

		assert_string_equal(c->file, "etc/acpi/tables");
		switch (c->command) {
		case 1:
			assert_int_equal(i, 0);
			break;
		case 2: {
			uint32_t length;

			memcpy(&value, tables + c->pointer.offset, c->pointer.size);
			assert_in_range(value, 1, size - 36);
			memcpy(&length, tables + value + 4, 4);
			assert_true(length >= 36 && value + length <= size);
			if (memcmp(tables + value, "FACS", 4) != 0 &&
			    memcmp(tables + value, "FACP", 4) != 0)
				assert_int_equal(sum(tables + value, length), 0);
			value += base;
			memcpy(tables + c->pointer.offset, &value, c->pointer.size);
			pointers++;
			break;
		}
		case 3: {
			uint8_t *table = tables + c->checksum.start;

			tables[c->checksum.offset] = (uint8_t)-sum(table, c->checksum.length);
			assert_int_equal(sum(table, c->checksum.length), 0);
			assert_int_equal(c->checksum.offset, c->checksum.start + 9);
			assert_true(memcmp(table, "XSDT", 4) == 0 || memcmp(table, "FACP", 4) == 0);
			break;
		}
		default:
			fail_msg("command %u", c->command);
		}
	}
	assert_int_equal(pointers, 6);
	machine_destroy();
}

/* Is it the chip set that OVMF knows, with its timer, and does the processor start at its vector?
 */
static void test_machine(void **state)
{
	struct acrn_vcpu_regs regs;
	const struct acrn_regs *r = &regs.vcpu_regs;
	uint32_t first, second;

	(void)state;
	start("-s 0,hostbridge -s 1,lpc --ovmf code=%s,vars=%s");
	assert_int_equal(pci_bus_read(&machine, 0, 0, 0, 0, 4), 0x12378086);
	assert_int_equal(pci_bus_read(&machine, 0, 1, 3, 0x40, 4), 0xb001);
	assert_int_equal(pci_bus_read(&machine, 0, 1, 3, 0x80, 1), 1);
	pci_bus_write(&machine, 0, 1, 3, 0x40, 4, 0);
	assert_int_equal(pci_bus_read(&machine, 0, 1, 3, 0x40, 4), 0xb001);
	machine_out(0xb008, 4, 0);
	first = machine_in(0xb008, 4);
	usleep(2000);
	second = machine_in(0xb008, 4);
	assert_in_range((second - first) & 0xffffff, 7159, 3579545); /* 2 ms to 1 s */
	/* its way of power-off, and what is none */
	machine_out(0xb004, 2, 0x3c00);
	machine_out(0xb004, 2, 0x0001);
	machine_out(0xb004, 1, 0x20);
	assert_int_equal(power_pending(&machine), POWER_NONE);
	machine_out(0xb004, 2, machine_in(0xb004, 2) | 0x2000);
	assert_int_equal(power_pending(&machine), POWER_OFF);
	assert_int_equal(load_ovmf(&machine, &regs), 0);
	assert_int_equal(r->cs_base + r->rip, 0xfffffff0);
	assert_int_equal(r->cr0 & 1, 0);
	assert_int_equal(r->cs_limit, 0xffff);
	machine_destroy();
	/* and no other VM has any of it */
	machine_create("-s 0,hostbridge -s 1,lpc");
	assert_int_equal(pci_bus_read(&machine, 0, 0, 0, 0, 4), 0x12751275);
	assert_int_equal(pci_bus_read(&machine, 0, 1, 3, 0, 4), UINT32_MAX);
	assert_int_equal(machine_in(0x514, 4), UINT32_MAX);
	assert_int_equal(machine_in(0xb008, 4), UINT32_MAX);
	machine_destroy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_flash_found, setup),
		cmocka_unit_test_setup(test_flash_written, setup),
		cmocka_unit_test_setup(test_one_file, setup),
		cmocka_unit_test_setup(test_bad_files, setup),
		cmocka_unit_test_setup(test_fw_cfg, setup),
		cmocka_unit_test_setup(test_dma, setup),
		cmocka_unit_test_setup(test_tables, setup),
		cmocka_unit_test_setup(test_machine, setup),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
