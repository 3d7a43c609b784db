// SPDX-License-Identifier: BSD-3-Clause
/*
 * The AML writer. An object's length stands before its body and takes one to
 * three bytes depending on it, so begin leaves one byte, and end inserts more
 * there if it must. Objects nest at most DEPTH deep. One thread.
 */
#include "aml.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH	   16U
#define FIRST_ROOM 4096U

#define OP_NAME	      0x08
#define OP_BYTE	      0x0a
#define OP_WORD	      0x0b
#define OP_DWORD      0x0c
#define OP_STRING     0x0d
#define OP_QWORD      0x0e
#define OP_SCOPE      0x10
#define OP_BUFFER     0x11
#define OP_PACKAGE    0x12
#define OP_EXT	      0x5b
#define OP_EXT_DEVICE 0x82

/* Address space descriptors: types, and flags that fix both ends of the range. */
#define SPACE_MEMORY 0
#define SPACE_IO     1
#define SPACE_BUS    2
#define SPACE_FIXED  0x0c
#define IO_ENTIRE    0x03
#define MEM_WRITABLE 0x01

struct aml {
	uint8_t *buf;
	size_t len;
	size_t room;
	size_t open[DEPTH];
	unsigned int depth;
	bool failed;
};

struct aml *aml_create(void)
{
	return calloc(1, sizeof(struct aml));
}

void aml_free(struct aml *aml)
{
	if (!aml)
		return;
	free(aml->buf);
	free(aml);
}

const uint8_t *aml_finish(const struct aml *aml, size_t *len)
{
	if (aml->failed || aml->depth != 0 || !aml->buf)
		return NULL;
	*len = aml->len;
	return aml->buf;
}

/* Rare, so its callers shall not save registers for it. */
static __attribute__((noinline)) bool grow(struct aml *aml, size_t len)
{
	size_t room = 2 * aml->room + len + FIRST_ROOM;
	uint8_t *bigger = aml->failed ? NULL : realloc(aml->buf, room);

	if (!bigger) {
		aml->failed = true;
		aml->room = aml->len; /* nothing has room from here on */
		return false;
	}
	aml->buf = bigger;
	aml->room = room;
	return true;
}

static void insert(struct aml *aml, size_t at, const void *data, size_t len)
{
	if (len > aml->room - aml->len && !grow(aml, len))
		return;
	memmove(aml->buf + at + len, aml->buf + at, aml->len - at);
	memcpy(aml->buf + at, data, len);
	aml->len += len;
}

static void put(struct aml *aml, const void *data, size_t len)
{
	insert(aml, aml->len, data, len);
}

/* Most of a table is written byte by byte. */
static void put8(struct aml *aml, unsigned int value)
{
	if (aml->len < aml->room || grow(aml, 1))
		aml->buf[aml->len++] = (uint8_t)value;
}

static void put_le(struct aml *aml, uint64_t value, size_t len)
{
	for (; len > 0; len--, value >>= 8)
		put8(aml, (unsigned int)value);
}

/* One byte is there for the length: most objects are short. */
static void begin(struct aml *aml)
{
	if (aml->depth == DEPTH) {
		aml->failed = true;
		return;
	}
	aml->open[aml->depth++] = aml->len;
	put8(aml, 0);
}

/* PkgLength counts itself: 6 bits in one byte, else 4 bits and a byte each more. */
void aml_end(struct aml *aml)
{
	size_t start, len, extra;
	uint8_t more[2];

	if (aml->depth == 0 || aml->failed) {
		aml->failed = true;
		return;
	}
	start = aml->open[--aml->depth];
	len = aml->len - start;
	if (len < 1U << 6) {
		aml->buf[start] = (uint8_t)len;
		return;
	}
	extra = len + 1 < 1U << 12 ? 1 : 2;
	len += extra;
	if (len >= 1U << 20) {
		aml->failed = true;
		return;
	}
	aml->buf[start] = (uint8_t)(extra << 6 | (len & 0xf));
	more[0] = (uint8_t)(len >> 4);
	more[1] = (uint8_t)(len >> 12);
	insert(aml, start + 1, more, extra);
}

static void name_string(struct aml *aml, const char *name)
{
	size_t segment = name[0] == '\\' ? 1 : 0;

	if (strlen(name) != segment + 4)
		aml->failed = true;
	else
		put(aml, name, segment + 4);
}

void aml_scope_begin(struct aml *aml, const char *name)
{
	put8(aml, OP_SCOPE);
	begin(aml);
	name_string(aml, name);
}

void aml_device_begin(struct aml *aml, const char *name)
{
	put8(aml, OP_EXT);
	put8(aml, OP_EXT_DEVICE);
	begin(aml);
	name_string(aml, name);
}

void aml_package_begin(struct aml *aml, uint8_t elements)
{
	put8(aml, OP_PACKAGE);
	begin(aml);
	put8(aml, elements);
}

void aml_name(struct aml *aml, const char *name)
{
	put8(aml, OP_NAME);
	name_string(aml, name);
}

void aml_integer(struct aml *aml, uint64_t value)
{
	if (value <= 1) {
		put8(aml, (unsigned int)value);
	} else if (value <= UINT8_MAX) {
		put8(aml, OP_BYTE);
		put_le(aml, value, 1);
	} else if (value <= UINT16_MAX) {
		put8(aml, OP_WORD);
		put_le(aml, value, 2);
	} else if (value <= UINT32_MAX) {
		put8(aml, OP_DWORD);
		put_le(aml, value, 4);
	} else {
		put8(aml, OP_QWORD);
		put_le(aml, value, 8);
	}
}

void aml_name_integer(struct aml *aml, const char *name, uint64_t value)
{
	aml_name(aml, name);
	aml_integer(aml, value);
}

void aml_name_string(struct aml *aml, const char *name, const char *value)
{
	aml_name(aml, name);
	put8(aml, OP_STRING);
	put(aml, value, strlen(value) + 1);
}

/* Three letters of five bits and four hex digits, most significant first. */
void aml_name_eisaid(struct aml *aml, const char *name, const char *id)
{
	unsigned int letters = 0;
	unsigned long digits;

	if (strlen(id) != 7) {
		aml->failed = true;
		return;
	}
	for (int i = 0; i < 3; i++)
		letters = letters << 5 | ((unsigned int)(id[i] - 'A') + 1U);
	digits = strtoul(id + 3, NULL, 16);
	aml_name(aml, name);
	put8(aml, OP_DWORD);
	put8(aml, letters >> 8);
	put8(aml, letters);
	put8(aml, (unsigned int)(digits >> 8));
	put8(aml, (unsigned int)digits);
}

void aml_resources_begin(struct aml *aml, const char *name)
{
	aml_name(aml, name);
	put8(aml, OP_BUFFER);
	begin(aml);
}

/* End tag (its checksum 0 means: not checked), then the buffer's size before the bytes. */
void aml_resources_end(struct aml *aml)
{
	static const uint8_t end_tag[] = {0x79, 0};
	uint8_t size[3] = {OP_WORD};
	size_t start, len;

	if (aml->depth == 0) {
		aml->failed = true;
		return;
	}
	put(aml, end_tag, sizeof(end_tag));
	start = aml->open[aml->depth - 1] + 1;
	len = aml->len - start;
	size[1] = (uint8_t)len;
	size[2] = (uint8_t)(len >> 8);
	insert(aml, start, size, sizeof(size));
	aml_end(aml);
}

void aml_res_io(struct aml *aml, uint16_t port, uint8_t len)
{
	put8(aml, 0x47);
	put8(aml, 1); /* decodes 16 address bits */
	put_le(aml, port, 2);
	put_le(aml, port, 2);
	put8(aml, 1);
	put8(aml, len);
}

void aml_res_irq(struct aml *aml, unsigned int irq)
{
	put8(aml, 0x22);
	put_le(aml, 1U << irq, 2);
}

void aml_res_mem32_fixed(struct aml *aml, uint32_t base, uint32_t len)
{
	put8(aml, 0x86);
	put_le(aml, 9, 2);
	put8(aml, MEM_WRITABLE);
	put_le(aml, base, 4);
	put_le(aml, len, 4);
}

/* An address space descriptor with fields of width bytes. */
static void window(struct aml *aml, unsigned int tag, unsigned int type, unsigned int type_flags,
		   size_t width, uint64_t first, uint64_t last)
{
	put8(aml, tag);
	put_le(aml, 3 + 5 * width, 2);
	put8(aml, type);
	put8(aml, SPACE_FIXED);
	put8(aml, type_flags);
	put_le(aml, 0, width); /* granularity */
	put_le(aml, first, width);
	put_le(aml, last, width);
	put_le(aml, 0, width); /* translation */
	put_le(aml, last - first + 1, width);
}

void aml_res_bus(struct aml *aml, uint16_t first, uint16_t last)
{
	window(aml, 0x88, SPACE_BUS, 0, 2, first, last);
}

void aml_res_io_window(struct aml *aml, uint16_t first, uint16_t last)
{
	window(aml, 0x88, SPACE_IO, IO_ENTIRE, 2, first, last);
}

void aml_res_mem32_window(struct aml *aml, uint64_t first, uint64_t last)
{
	window(aml, 0x87, SPACE_MEMORY, MEM_WRITABLE, 4, first, last);
}

void aml_res_mem64_window(struct aml *aml, uint64_t first, uint64_t last)
{
	window(aml, 0x8a, SPACE_MEMORY, MEM_WRITABLE, 8, first, last);
}
