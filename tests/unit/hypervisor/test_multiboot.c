// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does every hand-over of a multiboot loader, 1 or 2, become the same boot_info; and what is left
 * of one whose lengths, counts and addresses are wrong?
 */
// links: hypervisor/boot/multiboot.c @machine tests/fake/fake_report.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "hv/boot.h"
#include "lib/errno.h"
#include "fake_machine.h"
#include "fake_report.h"

#define MB1 0x2BADB002U
#define MB2 0x36D76289U

/* What the memory map parser was given. */
static struct {
	uint64_t base, size;
	uint32_t type;
} raw[256];
static uint32_t raw_count;

void e820_add_raw(uint64_t base, uint64_t size, uint32_t type)
{
	assert_true(raw_count < 256);
	raw[raw_count].base = base;
	raw[raw_count].size = size;
	raw[raw_count++].type = type;
}

/* Memory that 32-bit pointers of multiboot 1 reach, with an unmapped page behind it. */
#define ARENA 0x10000U
static uint8_t *arena;
static uint32_t used;

static int setup(void **state)
{
	(void)state;
	if (!arena) {
		arena = mmap(NULL, ARENA + 4096, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
		assert_true(arena != MAP_FAILED);
		assert_int_equal(mprotect(arena + ARENA, 4096, PROT_NONE), 0);
	}
	memset(arena, 0, ARENA);
	used = raw_count = 0;
	memset(&boot_info, 0, sizeof(boot_info));
	fake_machine_reset();
	fake_report_reset();
	return 0;
}

static uint32_t addr32(const void *p)
{
	return (uint32_t)(uintptr_t)p;
}

static void *place(const void *data, uint32_t len)
{
	uint8_t *p = arena + used;

	assert_true(used + len <= ARENA);
	if (data)
		memcpy(p, data, len);
	used += (len + 7U) & ~7U;
	return p;
}

static uint32_t place_string(const char *s)
{
	return addr32(place(s, (uint32_t)strlen(s) + 1));
}

/* Multiboot 1 information: indices are those of the specification's fields. */
enum { FLAGS, CMDLINE = 4, MODS_COUNT, MODS_ADDR, MMAP_LENGTH = 11, MMAP_ADDR, LOADER = 16, WORDS = 22 };

static uint32_t *mb1_new(void)
{
	return place(NULL, WORDS * 4);
}

static void mb1_mmap_entry(uint32_t size, uint64_t base, uint64_t length, uint32_t type)
{
	uint8_t *e = arena + used;

	memcpy(e, &size, 4);
	memcpy(e + 4, &base, 8);
	memcpy(e + 12, &length, 8);
	memcpy(e + 20, &type, 4);
	used += size + 4;
}

static void mb1_mmap(uint32_t *info)
{
	uint32_t start = used;

	mb1_mmap_entry(20, 0, 0x9FC00, 1);
	mb1_mmap_entry(24, 0x100000, 0x3F00000, 1);
	mb1_mmap_entry(36, 0xFEC00000, 0x1000, 2);
	info[FLAGS] |= 1U << 6;
	info[MMAP_ADDR] = addr32(arena + start);
	info[MMAP_LENGTH] = used - start;
}

static void mb1_module(uint32_t *m, uint32_t start, uint32_t end, const char *string)
{
	m[0] = start;
	m[1] = end;
	m[2] = string ? place_string(string) : 0;
}

/* What if the first module string is as long as a kernel's command line may be? One has room. */
static void test_long_module_strings(void **state)
{
	uint32_t *info = mb1_new(), *mods = place(NULL, 3 * 16);
	char text[2600];

	(void)state;
	mb1_mmap(info);
	info[FLAGS] |= 1U << 3;
	info[MODS_COUNT] = 3;
	info[MODS_ADDR] = addr32(mods);
	memset(text, 'x', sizeof(text));
	memcpy(text, "KERNEL ", 7);
	text[7 + 2047] = '\0';
	mb1_module(&mods[0], 0x1000000, 0x1001000, text);
	mb1_module(&mods[4], 0x2000000, 0x2001000, text);
	text[7 + 255] = '\0';
	mb1_module(&mods[8], 0x3000000, 0x3001000, text);
	assert_int_equal(multiboot_parse(MB1, HPA(info)), 0);
	assert_int_equal(boot_info.module_count, 3);
	assert_int_equal(strlen(boot_info.modules[0].args), 2047);
	assert_int_equal(strlen(boot_info.modules[1].args), 255);
	assert_int_equal(strlen(boot_info.modules[2].args), 255);
	assert_int_equal(fake_report_lines, 1);
	assert_true(fake_reported("2047 characters long, cut to 255"));
}

/* What does a complete multiboot 1 hand-over become? */
static void test_mb1(void **state)
{
	uint32_t *info = mb1_new(), *mods = place(NULL, 2 * 16);

	(void)state;
	mb1_mmap(info);
	info[FLAGS] |= (1U << 2) | (1U << 3) | (1U << 9);
	info[CMDLINE] = place_string("acrn.32.out uart=port@0x3F8 hide=vid,posted");
	info[LOADER] = place_string("GRUB 2.06");
	info[MODS_COUNT] = 2;
	info[MODS_ADDR] = addr32(mods);
	mb1_module(&mods[0], 0x1000000, 0x1800000, "  Linux_bzImage \t root=/dev/sda  quiet");
	mb1_module(&mods[4], 0x2000000, 0x2000001, "RAMDISK");
	assert_int_equal(multiboot_parse(MB1, HPA(info)), 0);
	assert_string_equal(boot_info.cmdline, "acrn.32.out uart=port@0x3F8 hide=vid,posted");
	assert_string_equal(boot_info.loader, "GRUB 2.06");
	assert_int_equal(boot_info.module_count, 2);
	assert_string_equal(boot_info.modules[0].tag, "Linux_bzImage");
	assert_string_equal(boot_info.modules[0].args, "root=/dev/sda  quiet");
	assert_int_equal(boot_info.modules[0].base.v, 0x1000000);
	assert_int_equal(boot_info.modules[0].size, 0x800000);
	assert_string_equal(boot_info.modules[1].tag, "RAMDISK");
	assert_string_equal(boot_info.modules[1].args, "");
	assert_int_equal(boot_info.modules[1].size, 1);
	assert_int_equal(raw_count, 3);
	assert_int_equal(raw[1].base, 0x100000);
	assert_int_equal(raw[2].size, 0x1000);
	assert_int_equal(raw[2].type, 2);
	assert_int_equal(fake_report_lines, 0);
}

/* What if flags are clear while the fields hold garbage? The fields are not looked at. */
static void test_mb1_flags(void **state)
{
	uint32_t *info = mb1_new();

	(void)state;
	mb1_mmap(info);
	info[CMDLINE] = info[LOADER] = info[MODS_ADDR] = 0xDEAD0000;
	info[MODS_COUNT] = 5;
	assert_int_equal(multiboot_parse(MB1, HPA(info)), 0);
	assert_string_equal(boot_info.cmdline, "");
	assert_string_equal(boot_info.loader, "");
	assert_int_equal(boot_info.module_count, 0);
}

/* What if the flags are set and the pointers are 0? */
static void test_mb1_null_pointers(void **state)
{
	uint32_t *info = mb1_new(), *mods = place(NULL, 16);

	(void)state;
	mb1_mmap(info);
	info[FLAGS] |= (1U << 2) | (1U << 3) | (1U << 9);
	info[MODS_COUNT] = 1;
	info[MODS_ADDR] = addr32(mods);
	mb1_module(mods, 0x1000000, 0x1001000, NULL);
	assert_int_equal(multiboot_parse(MB1, HPA(info)), 0);
	assert_int_equal(boot_info.module_count, 1);
	assert_string_equal(boot_info.modules[0].tag, "");
	assert_string_equal(boot_info.modules[0].args, "");
	mb1_module(mods, 0x1000000, 0x1001000, NULL);
	info[MODS_ADDR] = 0;
	memset(&boot_info, 0, sizeof(boot_info));
	assert_int_equal(multiboot_parse(MB1, HPA(info)), 0);
	assert_int_equal(boot_info.module_count, 0);
}

/* What if there is no memory map? Nothing can be done without one. */
static void test_mb1_no_map(void **state)
{
	(void)state;
	assert_int_equal(multiboot_parse(MB1, HPA(mb1_new())), -EINVAL);
	assert_true(fake_reported("no memory map"));
}

/* What if a map entry is too small to be one, or the map ends in the middle of one? */
static void test_mb1_map_entries(void **state)
{
	uint32_t *info = mb1_new();

	(void)state;
	mb1_mmap(info);
	info[MMAP_LENGTH] -= 17;
	assert_int_equal(multiboot_parse(MB1, HPA(info)), 0);
	assert_int_equal(raw_count, 2);
	raw_count = 0;
	info[MMAP_LENGTH] += 17;
	memset(arena + (info[MMAP_ADDR] - addr32(arena)) + 24, 0, 4);
	assert_int_equal(multiboot_parse(MB1, HPA(info)), 0);
	assert_int_equal(raw_count, 1);
	raw_count = 0;
	memset(arena + (info[MMAP_ADDR] - addr32(arena)) + 24, 0xFF, 4);
	assert_int_equal(multiboot_parse(MB1, HPA(info)), 0);
	assert_int_equal(raw_count, 1);
}

/* What if the map claims to be 4 GB long? It is read as far as a map can reach. */
static void test_mb1_absurd_map(void **state)
{
	uint32_t *info = mb1_new();

	(void)state;
	mb1_mmap(info);
	info[MMAP_LENGTH] = UINT32_MAX;
	for (uint32_t i = 0; i < 200; i++)
		mb1_mmap_entry(20, 0x100000000 + i * 0x1000, 0x1000, 1);
	assert_int_equal(multiboot_parse(MB1, HPA(info)), 0);
	assert_in_range(raw_count, 100, 256);
}

/* What if there are more modules than slots, or a count that no machine holds? */
static void test_mb1_many_modules(void **state)
{
	uint32_t *info = mb1_new(), *mods = place(NULL, 200 * 16);

	(void)state;
	mb1_mmap(info);
	info[FLAGS] |= 1U << 3;
	info[MODS_ADDR] = addr32(mods);
	for (uint32_t i = 0; i < 200; i++)
		mb1_module(&mods[4 * i], 0x1000000 + i * 0x1000, 0x1001000 + i * 0x1000, "tag x");
	info[MODS_COUNT] = 200;
	assert_int_equal(multiboot_parse(MB1, HPA(info)), 0);
	assert_int_equal(boot_info.module_count, BOOT_MAX_MODULES);
	assert_true(fake_reported("more than 48 modules"));
	assert_int_equal(fake_report_lines, 1);
	memset(&boot_info, 0, sizeof(boot_info));
	info[MODS_COUNT] = UINT32_MAX;
	assert_int_equal(multiboot_parse(MB1, HPA(info)), 0);
	assert_int_equal(boot_info.module_count, BOOT_MAX_MODULES);
}

/* What if a module is empty, ends before it begins, or lies at 0? It costs itself alone. */
static void test_bad_modules(void **state)
{
	uint32_t *info = mb1_new(), *mods = place(NULL, 4 * 16);

	(void)state;
	mb1_mmap(info);
	info[FLAGS] |= 1U << 3;
	info[MODS_ADDR] = addr32(mods);
	info[MODS_COUNT] = 4;
	mb1_module(&mods[0], 0, 0x1000, "a");
	mb1_module(&mods[4], 0x1000000, 0x1000000, "b");
	mb1_module(&mods[8], 0x1000000, 0xFFF000, "c");
	mb1_module(&mods[12], 0x1000000, 0x1001000, "d");
	assert_int_equal(multiboot_parse(MB1, HPA(info)), 0);
	assert_int_equal(boot_info.module_count, 1);
	assert_string_equal(boot_info.modules[0].tag, "d");
	assert_int_equal(fake_report_lines, 3);
}

/* What if a tag is longer than a tag may be, or the string has no end? */
static void test_strings_without_end(void **state)
{
	uint32_t *info = mb1_new(), *mods = place(NULL, 16);
	uint8_t *text = arena + ARENA - 5000;

	(void)state;
	mb1_mmap(info);
	info[FLAGS] |= (1U << 2) | (1U << 3);
	info[MODS_ADDR] = addr32(mods);
	info[MODS_COUNT] = 1;
	mb1_module(mods, 0x1000000, 0x1001000, NULL);
	memset(text, 'y', 5000);
	mods[2] = addr32(text + 900); /* 4100 characters, then unmapped memory */
	assert_int_equal(multiboot_parse(MB1, HPA(info)), 0);
	assert_int_equal(boot_info.module_count, 1);
	assert_int_equal(strlen(boot_info.modules[0].tag), sizeof(boot_info.modules[0].tag) - 1);
}

/* What if the command line is 4 KB long? What fits is kept, and the user is told. */
static void test_long_command_line(void **state)
{
	uint32_t *info = mb1_new();
	char *text = place(NULL, 4097);

	(void)state;
	memset(text, 'z', 4096);
	mb1_mmap(info);
	info[FLAGS] |= 1U << 2;
	info[CMDLINE] = addr32(text);
	assert_int_equal(multiboot_parse(MB1, HPA(info)), 0);
	assert_int_equal(strlen(boot_info.cmdline), BOOT_CMDLINE_MAX - 1);
	assert_true(fake_reported("command line is 4096 characters long, cut to 2047"));
	text[9] = ' '; /* no half word of what was cut */
	assert_int_equal(multiboot_parse(MB1, HPA(info)), 0);
	assert_string_equal(boot_info.cmdline, "zzzzzzzzz");
	text[9] = 'z';
	text[BOOT_CMDLINE_MAX] = '\0'; /* longer by its NUL alone */
	memset(&boot_info, 0, sizeof(boot_info));
	boot_info.loader[0] = 'L';
	assert_int_equal(multiboot_parse(MB1, HPA(info)), 0);
	assert_int_equal(strlen(boot_info.cmdline), BOOT_CMDLINE_MAX - 1);
	assert_string_equal(boot_info.loader, "L");
	text[BOOT_CMDLINE_MAX - 1] = '\0';
	fake_report_reset();
	assert_int_equal(multiboot_parse(MB1, HPA(info)), 0);
	assert_int_equal(strlen(boot_info.cmdline), BOOT_CMDLINE_MAX - 1);
	assert_int_equal(fake_report_lines, 0);
}

static uint32_t *mb2_begin(void)
{
	return place(NULL, 8);
}

static void *mb2_tag(uint32_t type, const void *body, uint32_t len)
{
	uint32_t *tag = place(NULL, 8 + len);

	tag[0] = type;
	tag[1] = 8 + len;
	if (len)
		memcpy(&tag[2], body, len);
	return tag;
}

static void mb2_module(uint32_t start, uint32_t end, const char *string, uint32_t len)
{
	uint32_t *tag = place(NULL, 16 + len);

	tag[0] = 3;
	tag[1] = 16 + len;
	tag[2] = start;
	tag[3] = end;
	if (len)
		memcpy(&tag[4], string, len);
}

static uint32_t *mb2_map(uint32_t entry_size, uint32_t count)
{
	uint32_t *tag = place(NULL, 16 + entry_size * count);

	tag[0] = 6;
	tag[1] = 16 + entry_size * count;
	tag[2] = entry_size;
	for (uint32_t i = 0; i < count; i++) {
		uint8_t *e = (uint8_t *)&tag[4] + i * entry_size;
		uint64_t base = i * 0x100000UL, len = 0x1000;
		uint32_t type = 1;

		memcpy(e, &base, 8);
		memcpy(e + 8, &len, 8);
		memcpy(e + 16, &type, 4);
	}
	return tag;
}

static int mb2_parse(uint32_t *info)
{
	mb2_tag(0, NULL, 0);
	info[0] = used - (uint32_t)((uint8_t *)info - arena);
	return multiboot_parse(MB2, HPA(info));
}

/* What does a complete multiboot 2 hand-over become? */
static void test_mb2(void **state)
{
	uint32_t *info = mb2_begin();
	uint64_t systab = 0x7E000018;
	uint8_t rsdp[36] = "RSD PTR ";
	uint8_t *new_tag;

	(void)state;
	mb2_tag(1, "uart=disabled", 14);
	mb2_tag(2, "GRUB", 5);
	mb2_map(24, 2);
	mb2_module(0x1000000, 0x1234567, "Linux_bzImage console=ttyS0", 28);
	mb2_tag(12, &systab, 8);
	new_tag = mb2_tag(15, rsdp, 36);
	mb2_tag(14, rsdp, 20);
	mb2_tag(99, "what?", 5);
	assert_int_equal(mb2_parse(info), 0);
	assert_string_equal(boot_info.cmdline, "uart=disabled");
	assert_string_equal(boot_info.loader, "GRUB");
	assert_int_equal(raw_count, 2);
	assert_int_equal(raw[1].base, 0x100000);
	assert_int_equal(boot_info.module_count, 1);
	assert_string_equal(boot_info.modules[0].tag, "Linux_bzImage");
	assert_string_equal(boot_info.modules[0].args, "console=ttyS0");
	assert_int_equal(boot_info.modules[0].size, 0x234567);
	assert_int_equal(boot_info.efi_systab, systab);
	assert_int_equal(boot_info.rsdp_hpa, (uintptr_t)new_tag + 8);
	assert_int_equal(boot_info.info_base.v, (uintptr_t)info);
	assert_int_equal(boot_info.info_size, info[0]);
	assert_int_equal(fake_report_lines, 0);
}

/* What if the ACPI tag is too short to hold an RSDP? Then there is none in it. */
static void test_mb2_short_rsdp(void **state)
{
	uint32_t *info = mb2_begin();
	uint8_t *old;

	(void)state;
	old = mb2_tag(14, "RSD PTR 012345678901", 20);
	mb2_tag(15, "RSD PTR 012345678901", 20);
	mb2_tag(14, "RSD", 3);
	assert_int_equal(mb2_parse(info), 0);
	assert_int_equal(boot_info.rsdp_hpa, (uintptr_t)old + 8);
}

/* What if the total is absurd? */
static void test_mb2_total(void **state)
{
	uint32_t *info = mb2_begin();

	(void)state;
	info[0] = 15;
	assert_int_equal(multiboot_parse(MB2, HPA(info)), -EINVAL);
	info[0] = 0x100001;
	assert_int_equal(multiboot_parse(MB2, HPA(info)), -EINVAL);
	info[0] = UINT32_MAX;
	assert_int_equal(multiboot_parse(MB2, HPA(info)), -EINVAL);
	assert_int_equal(fake_report_lines, 3);
}

/* What if a tag claims less than its own head, or more than is left? What came before counts. */
static void test_mb2_tag_sizes(void **state)
{
	static const uint32_t wrong[] = {0, 7, 0x7FFFFFFF, 0x80000000, UINT32_MAX};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		uint32_t *info, *tag;

		(void)setup(state);
		info = mb2_begin();
		mb2_tag(2, "GRUB", 5);
		tag = mb2_tag(1, "lost", 5);
		tag[1] = wrong[i];
		mb2_module(0x1000000, 0x1001000, "also lost", 10);
		assert_int_equal(mb2_parse(info), 0);
		assert_string_equal(boot_info.loader, "GRUB");
		assert_string_equal(boot_info.cmdline, "");
		assert_int_equal(boot_info.module_count, 0);
		assert_int_equal(fake_report_lines, 1);
	}
}

/* What if the information ends without an end tag, or in the middle of one's head? */
static void test_mb2_no_end(void **state)
{
	uint8_t *at = arena + ARENA - 28;
	uint32_t *info = (uint32_t *)(void *)at;

	(void)state;
	info[0] = 28;
	info[2] = 2;
	info[3] = 13;
	memcpy(&info[4], "GRUB", 5);
	assert_int_equal(multiboot_parse(MB2, HPA(info)), 0);
	assert_string_equal(boot_info.loader, "GRUB");
	info[0] = 21; /* the tag fills it */
	boot_info.loader[0] = '\0';
	assert_int_equal(multiboot_parse(MB2, HPA(info)), 0);
	assert_string_equal(boot_info.loader, "GRUB");
	assert_int_equal(fake_report_lines, 0);
}

/* What if strings fill their tags to the last byte, without a NUL? */
static void test_mb2_unterminated(void **state)
{
	uint32_t *info = mb2_begin();

	(void)state;
	mb2_tag(1, "abcdefgh", 8);
	mb2_module(0x1000000, 0x1001000, "TAG rest", 8);
	mb2_module(0x2000000, 0x2001000, "", 0);
	assert_int_equal(mb2_parse(info), 0);
	assert_string_equal(boot_info.cmdline, "abcdefgh");
	assert_string_equal(boot_info.modules[0].tag, "TAG");
	assert_string_equal(boot_info.modules[0].args, "rest");
	assert_string_equal(boot_info.modules[1].tag, "");
}

/* What if tags are just too short for their type? Each costs itself alone. */
static void test_mb2_truncated_tags(void **state)
{
	uint32_t *info = mb2_begin();

	(void)state;
	mb2_tag(3, "abcdefg", 7);
	mb2_tag(6, "abcdefg", 7);
	mb2_tag(12, "abcdefg", 7);
	mb2_tag(1, NULL, 0);
	mb2_tag(2, "last", 5);
	assert_int_equal(mb2_parse(info), 0);
	assert_int_equal(boot_info.module_count, 0);
	assert_int_equal(raw_count, 0);
	assert_int_equal(boot_info.efi_systab, 0);
	assert_string_equal(boot_info.cmdline, "");
	assert_string_equal(boot_info.loader, "last");
}

/* What if map entries are larger than those we know, or too small, or cut? */
static void test_mb2_map_entries(void **state)
{
	static const struct {
		uint32_t entry, cut, found;
	} cases[] = {{24, 0, 3}, {25, 0, 3}, {40, 0, 3}, {40, 1, 2}, {23, 0, 0}, {0, 0, 0}, {8192, 0, 0}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t *info, *tag;

		(void)setup(state);
		info = mb2_begin();
		tag = mb2_map(cases[i].entry ? cases[i].entry : 24, 3);
		tag[2] = cases[i].entry;
		tag[1] -= cases[i].cut;
		assert_int_equal(mb2_parse(info), 0);
		assert_int_equal(raw_count, cases[i].found);
		for (uint32_t e = 0; e < raw_count; e++)
			assert_int_equal(raw[e].base, e * 0x100000UL);
	}
}

/* What if nobody we know loaded us? */
static void test_wrong_magic(void **state)
{
	(void)state;
	assert_int_equal(multiboot_parse(0, HPA(arena)), -EINVAL);
	assert_true(fake_reported("not a multiboot loader"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_long_module_strings, setup), /* first: the room is one */
		cmocka_unit_test_setup(test_mb1, setup),
		cmocka_unit_test_setup(test_mb1_flags, setup),
		cmocka_unit_test_setup(test_mb1_null_pointers, setup),
		cmocka_unit_test_setup(test_mb1_no_map, setup),
		cmocka_unit_test_setup(test_mb1_map_entries, setup),
		cmocka_unit_test_setup(test_mb1_absurd_map, setup),
		cmocka_unit_test_setup(test_mb1_many_modules, setup),
		cmocka_unit_test_setup(test_bad_modules, setup),
		cmocka_unit_test_setup(test_strings_without_end, setup),
		cmocka_unit_test_setup(test_long_command_line, setup),
		cmocka_unit_test_setup(test_mb2, setup),
		cmocka_unit_test_setup(test_mb2_short_rsdp, setup),
		cmocka_unit_test_setup(test_mb2_total, setup),
		cmocka_unit_test_setup(test_mb2_tag_sizes, setup),
		cmocka_unit_test_setup(test_mb2_no_end, setup),
		cmocka_unit_test_setup(test_mb2_unterminated, setup),
		cmocka_unit_test_setup(test_mb2_truncated_tags, setup),
		cmocka_unit_test_setup(test_mb2_map_entries, setup),
		cmocka_unit_test_setup(test_wrong_magic, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
