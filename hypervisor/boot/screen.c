// SPDX-License-Identifier: BSD-3-Clause
/*
 * The screen as 80 x 25 characters: VGA text memory, or a framebuffer of the boot loader's, white
 * on black with a font of our own. boot/report.c alone writes here. What was written is remembered,
 * so that nothing is ever read back from a slow framebuffer. Knows no mode: the loader set it.
 * Takes no lock, for the same reason as report.c.
 */
#include "asm/insn.h"
#include "hv/boot.h"
#include "hv/mm.h"
#include "hv/screen.h"
#include "lib/string.h"

#define COLS	  80U
#define ROWS	  25U
#define CELLS	  (COLS * ROWS)
#define DOTS_X	  5U /* of a glyph */
#define CELL_X	  6U /* dots with the space around it */
#define CELL_Y	  9U
#define LAST_CHAR '~'

#define VGA_TEXT   0xB8000UL
#define VGA_ATTR   0x0700U
#define CRTC_INDEX 0x3D4U
#define CRTC_DATA  0x3D5U

/* Of ' ' to '~': 8 rows of 5 dots, the top row lowest, in a row the left dot highest. */
static const uint64_t font[LAST_CHAR - ' ' + 1] = {
	0x0000000000UL, 0x0100421084UL, 0x000000294AUL, 0x0295F57D4AUL, 0x013C5751E4UL,
	0x00E6820B38UL, 0x036554524CUL, 0x0000002084UL, 0x0088842082UL, 0x0208210888UL,
	0x0009575480UL, 0x00084F9080UL, 0x4118000000UL, 0x00000F8000UL, 0x0318000000UL,
	0x0420820821UL, 0x03A39ACE2EUL, 0x0388421184UL, 0x07E083062EUL, 0x03A211105FUL,
	0x0085F928C2UL, 0x03A210FA1FUL, 0x03A31F4106UL, 0x021042083FUL, 0x03A317462EUL,
	0x030417C62EUL, 0x0018C03180UL, 0x4118003180UL, 0x0088882082UL, 0x0001F07C00UL,
	0x0208208888UL, 0x010041062EUL, 0x03A17ADE2EUL, 0x0463F8C544UL, 0x07A31F463EUL,
	0x03A308422EUL, 0x072518C65CUL, 0x07E10F421FUL, 0x04210F421FUL, 0x03E31BC22EUL,
	0x04631FC631UL, 0x038842108EUL, 0x0324210847UL, 0x04654C5251UL, 0x07E1084210UL,
	0x04631AD771UL, 0x04673AE731UL, 0x03A318C62EUL, 0x04210F463EUL, 0x036558C62EUL,
	0x04654F463EUL, 0x078217420FUL, 0x010842109FUL, 0x03A318C631UL, 0x0114A8C631UL,
	0x04775AC631UL, 0x0462A22A31UL, 0x0108422A31UL, 0x07E082083FUL, 0x039084210EUL,
	0x0042222210UL, 0x038421084EUL, 0x0000004544UL, 0xF800000000UL, 0x0000000888UL,
	0x03E2F0B800UL, 0x07A31CDA10UL, 0x03E1083C00UL, 0x03E319B421UL, 0x03A1F8B800UL,
	0x02108E2126UL, 0x705F18BC00UL, 0x04631CDA10UL, 0x0388423004UL, 0x6484211802UL,
	0x04A98A4A10UL, 0x038842108CUL, 0x056B5AE800UL, 0x04631CD800UL, 0x03A318B800UL,
	0x843D18F800UL, 0x085F18BC00UL, 0x04210CD800UL, 0x0782E83C00UL, 0x0192847108UL,
	0x036718C400UL, 0x011518C400UL, 0x02AB58C400UL, 0x0454454400UL, 0x705F18C400UL,
	0x07D0417C00UL, 0x0088441082UL, 0x0108421084UL, 0x0208411088UL, 0x00002AA000UL,
};

static enum { SCREEN_NONE, SCREEN_TEXT, SCREEN_DOTS } kind = SCREEN_TEXT;
static bool foreign = true; /* somebody else wrote on it */
static char cells[CELLS];
static uint32_t row, col;

/* The framebuffer: a dot of a glyph is scale_x * scale_y of its pixels. */
static struct boot_screen fb;
static uint32_t pixel_bytes, scale_x, scale_y;

/* Lines may begin anywhere. */
struct bits32 {
	uint32_t v;
} __packed;
struct bits64 {
	uint64_t v;
} __packed;

/* All ones is white in every format, so that where red, green and blue are need not be known. */
static volatile uint8_t *put_pixel(volatile uint8_t *at, bool on)
{
	if (pixel_bytes == 4U) {
		((volatile struct bits32 *)at)->v = on ? UINT32_MAX : 0U;
	} else {
		for (uint32_t i = 0U; i < pixel_bytes; i++) {
			at[i] = on ? UINT8_MAX : 0U;
		}
	}
	return at + pixel_bytes;
}

static void draw(uint32_t cell)
{
	uint64_t glyph = font[cells[cell] - ' '];
	uint64_t y = (uint64_t)(cell / COLS) * CELL_Y * scale_y;
	uint64_t x = (uint64_t)(cell % COLS) * CELL_X * scale_x;
	volatile uint8_t *line = hpa_ptr(HPA(fb.base + y * fb.pitch + x * pixel_bytes));

	for (uint32_t i = 0U; i < CELL_Y * scale_y; i++) {
		uint64_t dots = glyph >> (i / scale_y * DOTS_X);
		volatile uint8_t *at = line;

		for (uint32_t j = 0U; j < CELL_X * scale_x; j++) {
			uint32_t dot = j / scale_x;

			at = put_pixel(at,
				       dot < DOTS_X && ((dots >> (DOTS_X - 1U - dot)) & 1U) != 0U);
		}
		line += fb.pitch;
	}
}

static void show(uint32_t cell)
{
	if (kind == SCREEN_TEXT) {
		volatile uint16_t *text = hpa_ptr(HPA(VGA_TEXT));

		text[cell] = (uint16_t)(VGA_ATTR | (uint8_t)cells[cell]);
	} else {
		draw(cell);
	}
}

/* What is shown begins at the first cell: Linux scrolls by moving that. */
static void vga_rewind(void)
{
	uint8_t index = pio_read8(CRTC_INDEX);

	for (uint8_t reg = 0x0CU; reg <= 0x0DU; reg++) {
		pio_write8(CRTC_INDEX, reg);
		pio_write8(CRTC_DATA, 0U);
	}
	pio_write8(CRTC_INDEX, index); /* the Service VM finds the adapter as firmware left it */
}

/* Others' text or picture goes. */
static void clear(void)
{
	uint64_t size = (uint64_t)fb.pitch * fb.height;

	if (kind == SCREEN_TEXT) {
		vga_rewind();
		for (uint32_t i = 0U; i < CELLS; i++) {
			show(i);
		}
		return;
	}
	for (uint64_t i = 0U; i < size; i += sizeof(struct bits64)) {
		volatile struct bits64 *at =
			hpa_ptr(HPA(fb.base + MIN(i, size - sizeof(struct bits64))));

		at->v = 0U;
	}
}

static void scroll(void)
{
	for (uint32_t i = 0U; i < CELLS; i++) {
		char c = (i < CELLS - COLS) ? cells[i + COLS] : ' ';

		if (cells[i] != c) {
			cells[i] = c;
			show(i);
		}
	}
}

void screen_putc(char c)
{
	if (kind == SCREEN_NONE) {
		return;
	}
	if (foreign) {
		foreign = false;
		(void)memset(cells, ' ', sizeof(cells));
		row = 0U;
		col = 0U;
		clear();
	}
	if (c == '\n' || col == COLS) {
		col = 0U;
		row++;
	}
	if (row == ROWS) {
		scroll();
		row--;
	}
	if (c >= ' ' && c <= LAST_CHAR) {
		cells[row * COLS + col] = c;
		show(row * COLS + col);
		col++;
	}
}

void screen_lost(void)
{
	foreign = true;
}

static bool in_ram(uint64_t base, uint64_t size)
{
	for (uint32_t i = 0U; i < host_e820.count; i++) {
		const struct mem_range *r = &host_e820.r[i];

		if (r->type == MEM_RAM && base < r->base + r->size && r->base < base + size) {
			return true;
		}
	}
	return false;
}

static const char *check(const struct boot_screen *s)
{
	uint64_t size = (uint64_t)s->pitch * s->height;

	if (s->type == BOOT_SCREEN_TEXT) {
		return (s->base == VGA_TEXT && s->pitch == 2U * COLS && s->height >= ROWS)
			       ? NULL
			       : "it is not text of 80 columns";
	}
	if (s->type != BOOT_SCREEN_RGB ||
	    (s->bpp != 15U && s->bpp != 16U && s->bpp != 24U && s->bpp != 32U)) {
		return "its pixels are of an unknown kind";
	}
	if (s->width < COLS * CELL_X || s->height < ROWS * CELL_Y) {
		return "it is too small";
	}
	if (s->pitch < (uint64_t)s->width * ((s->bpp + 7U) / 8U)) {
		return "its lines overlap";
	}
	if (s->base >= GB(4) || size > GB(4) - s->base) {
		return "it does not lie below 4 GB";
	}
	return in_ram(s->base, size) ? "it lies in RAM" : NULL;
}

const char *screen_init(void)
{
	const struct boot_screen *s = &boot_info.screen;
	const char *why = boot_info.has_screen ? check(s) : NULL;

	kind = SCREEN_NONE;
	if (why != NULL) {
		return why;
	}
	if (!boot_info.has_screen || s->type == BOOT_SCREEN_TEXT) {
		/* Text mode 3 as the BIOS leaves it; EFI has none unless the loader says so. */
		kind = (boot_info.has_screen || boot_info.efi_systab == 0U) ? SCREEN_TEXT
									    : SCREEN_NONE;
		return NULL;
	}
	kind = SCREEN_DOTS;
	fb = *s;
	pixel_bytes = (fb.bpp + 7U) / 8U;
	scale_x = fb.width / (COLS * CELL_X);
	scale_y = fb.height / (ROWS * CELL_Y);
	if (!foreign) { /* lines from before it was known */
		clear();
		for (uint32_t i = 0U; i < CELLS; i++) {
			show(i);
		}
	}
	return NULL;
}

void screen_map(void)
{
	if (kind == SCREEN_DOTS) {
		hostmm_map_uc(HPA(fb.base), (size_t)fb.pitch * fb.height);
	}
}
