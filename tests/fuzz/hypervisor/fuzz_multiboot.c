// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: hypervisor/boot/multiboot.c hypervisor/boot/screen.c
// links: tests/fake/fake_string.c
/*
 * Any bytes as a boot loader's information: is nothing beyond it read, and is what comes out of it
 * whole strings and modules with a size? Input: 1 or 2 for the protocol, then the information from
 * its first byte on. Multiboot 1's pointers lead into the same bytes, zeros behind them.
 */
#include <assert.h>
#include <stdlib.h>

#include "asm/insn.h"
#include "fuzz.h"
#include "hv/boot.h"
#include "hv/mm.h"
#include "hv/screen.h"

#define MB1_MAGIC  0x2BADB002U
#define MB2_MAGIC  0x36D76289U
#define MB1_INFO   88U
#define MB1_MEMORY 0x10000U
#define MB1_BEHIND 0x20000U /* what a string or a map may run into */

static uint8_t *memory;
static size_t memory_size; /* multiboot 2: exactly the information */
static int protocol;

#define DRAWN_SIZE 0x800000U
#define VGA_TEXT   0xB8000U

struct e820 host_e820 = {.count = 2,
			 .r = {{.size = 0x9F000, .type = MEM_RAM},
			       {.base = 0x100000, .size = 0x1FF00000, .type = MEM_RAM}}};
static uint8_t *picture, text[4000]; /* a framebuffer that is drawn on */

uint8_t pio_read8(uint16_t port)
{
	return (uint8_t)port;
}

void pio_write8(uint16_t port, uint8_t v)
{
	(void)port;
	(void)v;
}

void hostmm_map_uc(hpa_t base, size_t size)
{
	const struct boot_screen *s = &boot_info.screen;
	uint64_t last = base.v + size - 1U;

	assert(boot_info.has_screen && base.v == s->base);
	assert(size == (size_t)s->pitch * s->height && last < 0x100000000U);
	assert(last < 0x100000U || base.v >= 0x20000000U);
	assert(picture != NULL || size > DRAWN_SIZE);
}

/*
 * It is drawn on before it is mapped, through the loader's map. One too large to draw on is not
 * ours.
 */
static void provide_picture(void)
{
	const struct boot_screen *s = &boot_info.screen;
	uint64_t size = (uint64_t)s->pitch * s->height;

	if (boot_info.has_screen && s->type == BOOT_SCREEN_RGB && size <= DRAWN_SIZE)
		picture = malloc(size);
	else if (boot_info.has_screen)
		screen_lost();
}

/* 25 lines and one letter more, so that the last cell is used and all are moved. */
static void draw(void)
{
	screen_lost();
	for (uint32_t i = 0; i <= 2000; i++)
		screen_putc((char)(' ' + i % 95));
	screen_putc('\n');
	free(picture);
	picture = NULL;
}

void *hpa_ptr(hpa_t hpa)
{
	if (picture != NULL)
		return picture + (hpa.v - boot_info.screen.base);
	if (hpa.v >= VGA_TEXT && hpa.v < VGA_TEXT + sizeof(text) && memory == NULL)
		return text + (hpa.v - VGA_TEXT);
	if (protocol == 1)
		return memory + hpa.v % MB1_MEMORY;
	assert(hpa.v < memory_size);
	return memory + hpa.v;
}

hpa_t ptr_hpa(const volatile void *p)
{
	return HPA((const volatile uint8_t *)p - memory);
}

void report(const char *fmt, ...)
{
	assert(fmt != NULL);
}

void e820_add_raw(uint64_t base, uint64_t size, uint32_t type)
{
	(void)base;
	(void)size;
	(void)type;
}

static void check(void)
{
	char value[16];

	assert(memchr(boot_info.cmdline, '\0', sizeof(boot_info.cmdline)) != NULL);
	assert(memchr(boot_info.loader, '\0', sizeof(boot_info.loader)) != NULL);
	assert(boot_info.module_count <= BOOT_MAX_MODULES);
	for (uint32_t i = 0; i < boot_info.module_count; i++) {
		const struct boot_module *m = &boot_info.modules[i];

		assert(memchr(m->tag, '\0', sizeof(m->tag)) != NULL);
		assert(strlen(m->args) < BOOT_CMDLINE_MAX);
		assert(m->base.v != 0U && m->size != 0U);
		assert(boot_module_find(m->tag) != NULL || m->tag[0] == '\0');
	}
	if (boot_info.rsdp_hpa != 0U)
		assert(boot_info.rsdp_hpa <= memory_size - 20U);
	if (boot_option("uart", value, sizeof(value)))
		assert(memchr(value, '\0', sizeof(value)) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t total;

	if (size < 16)
		return 0;
	protocol = data[0] == 1 ? 1 : 2;
	data++;
	size--;
	memset(&boot_info, 0, sizeof(boot_info));
	if (protocol == 1) {
		memory_size = MB1_MEMORY + MB1_BEHIND;
		memory = calloc(1, memory_size);
		assert(memory != NULL);
		memcpy(memory, data, size < MB1_MEMORY ? size : MB1_MEMORY);
	} else {
		memory_size = size;
		memory = malloc(size);
		assert(memory != NULL);
		memcpy(memory, data, size);
		memcpy(&total, memory, sizeof(total));
		total = total < size ? total : (uint32_t)size;
		memcpy(memory, &total, sizeof(total));
	}
	if (multiboot_parse(protocol == 1 ? MB1_MAGIC : MB2_MAGIC, HPA(0)) == 0)
		check();
	free(memory);
	memory = NULL;
	provide_picture();
	if (screen_init() == NULL) {
		screen_map();
		if (picture != NULL || !boot_info.has_screen ||
		    boot_info.screen.type == BOOT_SCREEN_TEXT)
			draw();
	}
	free(picture);
	picture = NULL;
	return 0;
}
