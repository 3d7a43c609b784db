// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does text reach VGA memory and framebuffers of every format so that it can be read there, and is
 * a framebuffer that makes no sense left alone?
 */
// links: hypervisor/boot/multiboot.c tests/fake/fake_string.c tests/fake/fake_report.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Included, not linked: the font, and where the cursor stands, are known to the file itself only. */
#include "../../../hypervisor/boot/screen.c"

#define FB 0xE0000000UL

#define INFO	  0x1000U /* where the loader's structure lies */
#define INFO_SIZE 128U
#define MB1_MAGIC 0x2BADB002U
#define MB2_MAGIC 0x36D76289U

struct e820 host_e820;
static uint8_t info[INFO_SIZE];

static uint16_t text[CELLS];
static uint8_t crtc[256], crtc_index;
static uint8_t *picture; /* exactly as large as the framebuffer */
static uint64_t mapped_base, mapped_size;

uint8_t pio_read8(uint16_t port)
{
	assert_int_equal(port, CRTC_INDEX);
	return crtc_index;
}

void pio_write8(uint16_t port, uint8_t v)
{
	if (port == CRTC_INDEX)
		crtc_index = v;
	else
		crtc[crtc_index] = v;
}

void *hpa_ptr(hpa_t hpa)
{
	if (hpa.v < INFO + INFO_SIZE)
		return info + (hpa.v - INFO);
	if (hpa.v < VGA_TEXT + sizeof(text))
		return (uint8_t *)text + (hpa.v - VGA_TEXT);
	assert_true(hpa.v >= FB);
	return picture + (hpa.v - FB);
}

hpa_t ptr_hpa(const volatile void *p)
{
	return HPA(INFO + (uint64_t)((const volatile uint8_t *)p - info));
}

void e820_add_raw(uint64_t base, uint64_t size, uint32_t type)
{
	(void)base;
	(void)size;
	(void)type;
}

void hostmm_map_uc(hpa_t base, size_t size)
{
	mapped_base = base.v;
	mapped_size = size;
}

static int setup(void **state)
{
	(void)state;
	memset(&boot_info, 0, sizeof(boot_info));
	memset(text, 0, sizeof(text));
	host_e820 = (struct e820){
		.count = 3,
		.r = {{.size = 0x9F000, .type = MEM_RAM},
		      {.base = 0x100000, .size = 0x1FF00000, .type = MEM_RAM},
		      {.base = 0x20000000, .size = 0x100000, .type = MEM_RESERVED}}};
	mapped_base = mapped_size = 0;
	foreign = true;
	kind = SCREEN_TEXT;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(picture);
	picture = NULL;
	return 0;
}

static void loader_gives(uint32_t width, uint32_t height, uint32_t pitch, uint8_t bpp)
{
	boot_info.has_screen = true;
	boot_info.screen = (struct boot_screen){.base = FB,
						.pitch = pitch,
						.width = width,
						.height = height,
						.bpp = bpp,
						.type = BOOT_SCREEN_RGB};
	free(picture);
	picture = malloc((size_t)pitch * height);
	assert_non_null(picture);
	memset(picture, 0x5A, (size_t)pitch * height);
}

static void print(const char *s)
{
	while (*s != '\0')
		screen_putc(*s++);
}

/* The pixel is wholly black or wholly white. */
static bool pixel(uint32_t x, uint32_t y)
{
	uint32_t bytes = (boot_info.screen.bpp + 7U) / 8U;
	const uint8_t *p = picture + (size_t)y * boot_info.screen.pitch + x * bytes;

	assert_true(p[0] == 0 || p[0] == 0xFF);
	for (uint32_t i = 1; i < bytes; i++)
		assert_int_equal(p[i], p[0]);
	return p[0] != 0;
}

/* The character in a cell of the framebuffer, by its dots. */
static char read_cell(uint32_t r, uint32_t c)
{
	uint32_t sx = boot_info.screen.width / 480, sy = boot_info.screen.height / 225;
	uint64_t glyph = 0;

	for (uint32_t y = 0; y < 9 * sy; y++) {
		for (uint32_t x = 0; x < 6 * sx; x++) {
			bool first = x % sx == 0 && y % sy == 0;
			bool on = pixel(c * 6 * sx + x, r * 9 * sy + y);

			if (!first)
				assert_int_equal(on, pixel(c * 6 * sx + x - x % sx,
							   r * 9 * sy + y - y % sy));
			else if (x / sx < 5 && y / sy < 8)
				glyph |= (uint64_t)on << (y / sy * 5 + 4 - x / sx);
			else
				assert_false(on);
		}
	}
	for (uint32_t i = 0; i < ARRAY_SIZE(font); i++) {
		if (font[i] == glyph)
			return (char)(' ' + i);
	}
	fail_msg("no character at %u,%u", r, c);
	return 0;
}

/* A row holds the text and blanks. */
static void expect_row(uint32_t r, const char *expected)
{
	for (uint32_t c = 0; c < COLS; c++) {
		char want = c < strlen(expected) ? expected[c] : ' ';

		if (picture != NULL)
			assert_int_equal(read_cell(r, c), want);
		else
			assert_int_equal(text[r * COLS + c], 0x0700 | (uint8_t)want);
	}
}

/* Are the glyphs the letters they shall be, upright and not mirrored, and no two alike? */
static void test_font(void **state)
{
	static const struct {
		char c;
		const char *dots;
	} known[] = {
		{'F', "##### #.... #.... ####. #.... #.... #.... ....."},
		{'g', "..... ..... .#### #...# #...# .#### ....# .###."},
		{'2', ".###. #...# ....# ..##. .#... #.... ##### ....."},
		{'~', "..... ..... .#... #.#.# ...#. ..... ..... ....."},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		for (uint32_t dot = 0; dot < 40; dot++)
			assert_int_equal((font[known[i].c - ' '] >> (dot / 5 * 5 + 4 - dot % 5)) & 1,
					 known[i].dots[dot / 5 * 6 + dot % 5] == '#');
	}
	assert_int_equal(font[0], 0);
	for (uint32_t i = 0; i < ARRAY_SIZE(font); i++) {
		assert_int_equal(font[i] >> 40, 0);
		for (uint32_t j = 0; j < i; j++)
			assert_int_not_equal(font[i], font[j]);
	}
}

static const struct {
	uint32_t width, height, pitch;
	uint8_t bpp;
} formats[] = {
	{480, 225, 480 * 4, 32},       {640, 480, 640 * 2, 16},	  {800, 600, 800 * 2 + 13, 15},
	{800, 600, 800 * 3 + 1, 24},   {1024, 768, 1024 * 4 + 3, 32}, {1280, 800, 1280 * 4, 32},
	{1920, 1080, 2048 * 4, 32},    {1439, 449, 1439 * 3, 24},
};

/* What if the loader gives pixels of 2, 3 or 4 bytes, in any size, with any distance of lines? */
static void test_formats(void **state)
{
	char all[96];

	for (uint32_t i = 0; i < 95; i++)
		all[i] = (char)(' ' + i);
	all[95] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		size_t size = (size_t)formats[i].pitch * formats[i].height;
		uint32_t sx = formats[i].width / 480, sy = formats[i].height / 225;

		(void)setup(state);
		loader_gives(formats[i].width, formats[i].height, formats[i].pitch, formats[i].bpp);
		assert_null(screen_init());
		screen_map();
		assert_int_equal(mapped_base, FB);
		assert_int_equal(mapped_size, size);
		assert_int_equal(picture[size / 2], 0x5A); /* nothing to say, nothing changed */
		print(all);
		print("\nACRN: panic on CPU 1: why\n\nend");
		expect_row(0, all); /* its first 80 */
		expect_row(1, &all[80]);
		expect_row(2, "ACRN: panic on CPU 1: why");
		expect_row(3, "");
		expect_row(4, "end");
		for (uint32_t y = 0; y < formats[i].height; y++) {
			for (uint32_t x = 0; x < formats[i].width; x++) {
				if (x >= 480 * sx || y >= 5 * 9 * sy)
					assert_false(pixel(x, y));
			}
		}
	}
}

/* What if there is more text than lines, or a line is longer than the screen? */
static void scrolls(void)
{
	char number[24];

	for (int i = 0; i < 60; i++) {
		(void)snprintf(number, sizeof(number), "line %d\n", i);
		print(number);
	}
	expect_row(0, "line 36");
	expect_row(ROWS - 2, "line 59");
	expect_row(ROWS - 1, "");
	for (int i = 0; i < 81; i++)
		print("w");
	expect_row(0, "line 37");
	expect_row(ROWS - 2,
		   "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww");
	expect_row(ROWS - 1, "w");
}

static void test_scroll(void **state)
{
	(void)state;
	assert_null(screen_init());
	scrolls();
	(void)setup(state);
	loader_gives(640, 480, 640 * 4, 32);
	assert_null(screen_init());
	scrolls();
}

/* What if a byte is no printable character? It takes no place. */
static void test_other_characters(void **state)
{
	(void)state;
	print("a\r\tb\x7F\x80\xFF\x01\x1B"
	      "c~");
	expect_row(0, "abc~");
}

/* What if somebody else wrote on the screen, at the start or later? A line stands there alone. */
static void test_others_text(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < CELLS; i++)
			text[i] = 0x1F00 | 'x';
		crtc[0xC] = crtc[0xD] = 0x12; /* what is shown begins elsewhere */
		crtc_index = 0xF;
		assert_null(screen_init());
		print("ACRN: panic\nmore");
		expect_row(0, "ACRN: panic");
		expect_row(1, "more");
		for (uint32_t i = 2; i < ROWS; i++)
			expect_row(i, "");
		assert_int_equal(crtc[0xC] + crtc[0xD], 0);
		assert_int_equal(crtc_index, 0xF);
		screen_lost();
	}
	loader_gives(640, 480, 640 * 4, 32);
	assert_null(screen_init());
	for (uint32_t round = 0; round < 2; round++) {
		memset(picture, 0xFF, 640 * 480 * 4);
		print("ACRN: panic\nmore");
		expect_row(0, "ACRN: panic");
		expect_row(1, "more");
		for (uint32_t i = 2; i < ROWS; i++)
			expect_row(i, "");
		screen_lost();
	}
}

/* What if something was said before the loader's screen was known? It stands there too. */
static void test_early_lines(void **state)
{
	(void)state;
	assert_null(screen_init());
	print("boot: early\n");
	loader_gives(1024, 768, 1024 * 4, 32);
	assert_null(screen_init());
	print("later");
	expect_row(0, "boot: early");
	expect_row(1, "later");
	expect_row(2, "");
}

/* What if the machine has EFI firmware? There is text memory only if the loader says so. */
static void test_efi(void **state)
{
	static const uint16_t zeros[CELLS];

	(void)state;
	boot_info.efi_systab = 0x1000;
	assert_null(screen_init());
	print("nowhere");
	assert_memory_equal(text, zeros, sizeof(text));
	boot_info.has_screen = true;
	boot_info.screen = (struct boot_screen){.base = VGA_TEXT, .pitch = 160, .width = 80,
						.height = 25, .bpp = 16, .type = BOOT_SCREEN_TEXT};
	assert_null(screen_init());
	screen_map();
	assert_int_equal(mapped_size, 0);
	print("here");
	expect_row(0, "here");
}

/* What if the loader's screen cannot be one? It is refused with the reason, and left alone. */
static void test_refused(void **state)
{
	static const struct {
		struct boot_screen screen;
		const char *why;
	} cases[] = {
		{{FB, 1024 * 4, 1024, 768, 8, 0}, "unknown kind"},
		{{FB, 1024 * 4, 1024, 768, 32, 0}, "unknown kind"},
		{{FB, 1024 * 4, 1024, 768, 32, 3}, "unknown kind"},
		{{FB, 1024, 1024, 768, 8, 1}, "unknown kind"},
		{{FB, 1024 * 4, 1024, 768, 0, 1}, "unknown kind"},
		{{FB, 1024 * 32, 1024, 768, 255, 1}, "unknown kind"},
		{{FB, 0, 0, 0, 32, 1}, "too small"},
		{{FB, 479 * 4, 479, 768, 32, 1}, "too small"},
		{{FB, 1024 * 4, 1024, 224, 32, 1}, "too small"},
		{{FB, 1024 * 4 - 1, 1024, 768, 32, 1}, "overlap"},
		{{FB, 0, 1024, 768, 32, 1}, "overlap"},
		{{FB, 1024 * 3 - 1, 1024, 768, 24, 1}, "overlap"},
		{{FB, 1024 * 2 - 1, 1024, 768, 15, 1}, "overlap"},
		{{FB, 4, 0x40000001, 768, 32, 1}, "overlap"},
		{{0x100000000, 1024 * 4, 1024, 768, 32, 1}, "below 4 GB"},
		{{UINT64_MAX - 7, 1024 * 4, 1024, 768, 32, 1}, "below 4 GB"},
		{{0xFFD00008, 1024 * 4, 1024, 768, 32, 1}, "below 4 GB"},
		{{FB, UINT32_MAX, 1024, UINT32_MAX, 32, 1}, "below 4 GB"},
		{{0, 1024 * 4, 1024, 768, 32, 1}, "RAM"},
		{{0x100000, 1024 * 4, 1024, 768, 32, 1}, "RAM"},
		{{0x1FFFFFF8, 1024 * 4, 1024, 768, 32, 1}, "RAM"},
		{{0xA0000, 1024 * 4, 1024, 768, 32, 1}, "RAM"},
		{{0xB8000, 160, 80, 24, 16, 2}, "80 columns"},
		{{0xB8000, 264, 132, 25, 16, 2}, "80 columns"},
		{{FB, 160, 80, 25, 16, 2}, "80 columns"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *why;

		boot_info.has_screen = true;
		boot_info.screen = cases[i].screen;
		why = screen_init();
		assert_non_null(why);
		assert_non_null(strstr(why, cases[i].why));
		print("this writes nowhere");
		screen_map();
		assert_int_equal(mapped_size, 0);
	}
	/* the last place there is, and reserved memory, will do */
	boot_info.screen = (struct boot_screen){0xFFD00000, 1024 * 4, 1024, 768, 32, 1};
	assert_null(screen_init());
	boot_info.screen.base = 0x20000000;
	assert_null(screen_init());
}

/* Is it taken from the loader, in both versions; and if its flag is clear, or its tag cut? */
static void test_multiboot(void **state)
{
	static const struct boot_screen given = {.base = FB, .pitch = 4096, .width = 1024,
						 .height = 768, .bpp = 32, .type = 1};
	uint32_t mb2[] = {48, 0, 8, 8 + 22, 0, 0, 0, 0, 0, 0, 0, 8};

	for (uint32_t flag = 0; flag <= 1; flag++) {
		(void)setup(state);
		memset(info, 0, sizeof(info));
		info[1] = (uint8_t)(flag << 4); /* bit 12 */
		memcpy(&info[88], &given, sizeof(given));
		assert_int_not_equal(multiboot_parse(MB1_MAGIC, HPA(INFO)), 0); /* no map */
		assert_int_equal(boot_info.has_screen, flag);
		if (flag != 0)
			assert_memory_equal(&boot_info.screen, &given, sizeof(given));
	}
	for (uint32_t cut = 0; cut <= 1; cut++) {
		(void)setup(state);
		mb2[3] -= cut;
		memcpy(info, mb2, sizeof(mb2));
		memcpy(&info[16], &given, sizeof(given));
		assert_int_equal(multiboot_parse(MB2_MAGIC, HPA(INFO)), 0);
		assert_int_equal(boot_info.has_screen, 1 - cut);
		if (cut == 0)
			assert_memory_equal(&boot_info.screen, &given, sizeof(given));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_font, setup, teardown),
		cmocka_unit_test_setup_teardown(test_formats, setup, teardown),
		cmocka_unit_test_setup_teardown(test_scroll, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_characters, setup, teardown),
		cmocka_unit_test_setup_teardown(test_others_text, setup, teardown),
		cmocka_unit_test_setup_teardown(test_early_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_efi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_multiboot, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
