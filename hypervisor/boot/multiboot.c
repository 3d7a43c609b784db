// SPDX-License-Identifier: BSD-3-Clause
/*
 * Multiboot 1 and 2 information -> struct boot_info and the raw memory map. Nothing else in the
 * hypervisor knows multiboot. Everything is copied out, since the loader's structure lies in
 * memory that a guest will own. Runs once at boot on the boot CPU; takes no lock. The structure is
 * not trusted: lengths and counts are checked, what does not fit is named and left out.
 */
#include "hv/boot.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "lib/errno.h"
#include "lib/string.h"

#define MB1_MAGIC 0x2BADB002U
#define MB2_MAGIC 0x36D76289U

#define MB1_FLAG_CMDLINE BIT32(2)
#define MB1_FLAG_MODS	 BIT32(3)
#define MB1_FLAG_MMAP	 BIT32(6)
#define MB1_FLAG_LOADER	 BIT32(9)
#define MB1_FLAG_SCREEN	 BIT32(12)
#define MB1_MAX_MMAP	 KB(64)

struct mb1_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline;
	uint32_t mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
	uint32_t drives_length, drives_addr, config_table, loader_name;
	uint32_t apm, vbe[4];
	struct boot_screen screen;
};

struct mb1_module {
	uint32_t start, end, string, reserved;
};

struct mb1_mmap {
	uint32_t size; /* of what follows */
	uint64_t base, length;
	uint32_t type;
} __packed;

#define MB2_TAG_END	  0U
#define MB2_TAG_CMDLINE	  1U
#define MB2_TAG_LOADER	  2U
#define MB2_TAG_MODULE	  3U
#define MB2_TAG_MMAP	  6U
#define MB2_TAG_SCREEN	  8U
#define MB2_TAG_EFI64	  12U
#define MB2_TAG_ACPI_OLD  14U
#define MB2_TAG_ACPI_NEW  15U
#define MB2_TAG_EFI_MMAP  17U
#define MB2_MAX_INFO_SIZE MB(1)

#define RSDP_V1_SIZE 20U
#define RSDP_V2_SIZE 36U

struct mb2_tag {
	uint32_t type, size;
};

struct mb2_module {
	struct mb2_tag tag;
	uint32_t start, end;
	char string[];
};

struct mb2_mmap {
	struct mb2_tag tag;
	uint32_t entry_size, entry_version;
};

struct mb2_mmap_entry {
	uint64_t base, length;
	uint32_t type, reserved;
};

struct boot_info boot_info;
static char module_args[BOOT_MAX_MODULES][BOOT_CMDLINE_MAX / 8U];
static char long_args[BOOT_CMDLINE_MAX]; /* one module may use the whole length: a kernel's */
static bool long_args_used;
static bool modules_left_out;

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* What does not fit is cut behind a whole word: half of one may mean something else. */
static void copy_string(char *dst, size_t size, const char *src, size_t max, const char *what)
{
	size_t len = strnlen(src, max), whole = len;

	if (whole >= size) {
		for (len = size - 1U; len != 0U && !is_blank(src[len]); len--) {
		}
		len = (len != 0U) ? len : size - 1U;
		report("boot: the %s is %lu characters long, cut to %lu", what, whole, len);
	}
	(void)memcpy(dst, src, len);
	dst[len] = '\0';
}

/* The string's first word is the tag; what follows is the VM's command line or arguments. */
static void add_module(uint64_t start, uint64_t end, const char *string, size_t max)
{
	size_t len = strnlen(string, max), i = 0U, n = 0U;
	size_t room = sizeof(module_args[0]);
	struct boot_module *m;
	char *args;

	if (boot_info.module_count == BOOT_MAX_MODULES) {
		if (!modules_left_out) {
			report("boot: more than %u modules, the rest is left out", BOOT_MAX_MODULES);
		}
		modules_left_out = true;
		return;
	}
	if (start == 0U || end <= start) {
		report("boot: module %u is empty or lies at address 0, left out",
		       boot_info.module_count);
		return;
	}
	m = &boot_info.modules[boot_info.module_count];
	args = module_args[boot_info.module_count];
	while (i < len && is_blank(string[i])) {
		i++;
	}
	while (i < len && !is_blank(string[i])) {
		if (n < sizeof(m->tag) - 1U) {
			m->tag[n++] = string[i];
		}
		i++;
	}
	m->tag[n] = '\0';
	while (i < len && is_blank(string[i])) {
		i++;
	}
	if (len - i >= room && !long_args_used) {
		args = long_args;
		room = sizeof(long_args);
		long_args_used = true;
	}
	copy_string(args, room, &string[i], len - i, "module string");
	m->args = args;
	m->base = HPA(start);
	m->size = end - start;
	m->used = false;
	boot_info.module_count++;
}

static int parse_mb1(const struct mb1_info *info)
{
	uint32_t pos = 0U;

	boot_info.info_base = ptr_hpa(info);
	boot_info.info_size = sizeof(*info);
	if ((info->flags & MB1_FLAG_CMDLINE) != 0U && info->cmdline != 0U) {
		copy_string(boot_info.cmdline, sizeof(boot_info.cmdline),
			    hpa_ptr(HPA(info->cmdline)), BOOT_CMDLINE_MAX * 4U, "command line");
	}
	if ((info->flags & MB1_FLAG_LOADER) != 0U && info->loader_name != 0U) {
		copy_string(boot_info.loader, sizeof(boot_info.loader),
			    hpa_ptr(HPA(info->loader_name)), 256U, "loader's name");
	}
	if ((info->flags & MB1_FLAG_SCREEN) != 0U) {
		boot_info.screen = info->screen;
		boot_info.has_screen = true;
	}
	if ((info->flags & MB1_FLAG_MMAP) == 0U) {
		report("boot: the loader gave no memory map");
		return -EINVAL;
	}
	while (pos + sizeof(struct mb1_mmap) <= MIN(info->mmap_length, MB1_MAX_MMAP)) {
		struct mb1_mmap e;

		(void)memcpy(&e, hpa_ptr(HPA((uint64_t)info->mmap_addr + pos)), sizeof(e));
		if (e.size < sizeof(e) - sizeof(e.size) || e.size > 4096U) {
			break;
		}
		e820_add_raw(e.base, e.length, e.type);
		pos += e.size + (uint32_t)sizeof(e.size);
	}
	if ((info->flags & MB1_FLAG_MODS) == 0U || info->mods_addr == 0U) {
		return 0;
	}
	for (uint32_t i = 0U; i < info->mods_count && i < 2U * BOOT_MAX_MODULES; i++) {
		struct mb1_module mod;
		const char *s;

		(void)memcpy(&mod, hpa_ptr(HPA(info->mods_addr + (uint64_t)i * sizeof(mod))),
			     sizeof(mod));
		s = (mod.string != 0U) ? hpa_ptr(HPA(mod.string)) : "";
		add_module(mod.start, mod.end, s, BOOT_CMDLINE_MAX * 2U);
	}
	return 0;
}

static void parse_mb2_mmap(const struct mb2_mmap *m)
{
	uint32_t pos = sizeof(*m);

	if (m->entry_size < sizeof(struct mb2_mmap_entry) || m->entry_size > 4096U) {
		report("boot: memory map entries of %u bytes cannot be read", m->entry_size);
		return;
	}
	for (; pos + m->entry_size <= m->tag.size; pos += m->entry_size) {
		struct mb2_mmap_entry e;

		(void)memcpy(&e, (const uint8_t *)m + pos, sizeof(e));
		e820_add_raw(e.base, e.length, e.type);
	}
}

static void parse_mb2_tag(const struct mb2_tag *tag)
{
	const uint8_t *body = (const uint8_t *)(tag + 1);
	size_t len = tag->size - sizeof(*tag);
	const struct mb2_module *mod = (const struct mb2_module *)(const void *)tag;

	switch (tag->type) {
	case MB2_TAG_CMDLINE:
		copy_string(boot_info.cmdline, sizeof(boot_info.cmdline), (const char *)body, len,
			    "command line");
		break;
	case MB2_TAG_LOADER:
		copy_string(boot_info.loader, sizeof(boot_info.loader), (const char *)body, len,
			    "loader's name");
		break;
	case MB2_TAG_MODULE:
		if (tag->size >= sizeof(*mod)) {
			add_module(mod->start, mod->end, mod->string, tag->size - sizeof(*mod));
		}
		break;
	case MB2_TAG_MMAP:
		if (tag->size >= sizeof(struct mb2_mmap)) {
			parse_mb2_mmap((const struct mb2_mmap *)(const void *)tag);
		}
		break;
	case MB2_TAG_SCREEN:
		if (len >= sizeof(boot_info.screen)) {
			(void)memcpy(&boot_info.screen, body, sizeof(boot_info.screen));
			boot_info.has_screen = true;
		}
		break;
	case MB2_TAG_EFI64:
		if (len >= sizeof(uint64_t)) {
			(void)memcpy(&boot_info.efi_systab, body, sizeof(uint64_t));
		}
		break;
	case MB2_TAG_ACPI_OLD:
		if (len >= RSDP_V1_SIZE && boot_info.rsdp_hpa == 0U) {
			boot_info.rsdp_hpa = ptr_hpa(body).v;
		}
		break;
	case MB2_TAG_ACPI_NEW:
		if (len >= RSDP_V2_SIZE) {
			boot_info.rsdp_hpa = ptr_hpa(body).v;
		}
		break;
	default: /* the loader may tell more than was asked for */
		break;
	}
}

static int parse_mb2(hpa_t info)
{
	const uint32_t *head = hpa_ptr(info);
	uint32_t total = head[0], pos = 8U;

	if (total < 16U || total > MB2_MAX_INFO_SIZE) {
		report("boot: multiboot 2 information of %u bytes", total);
		return -EINVAL;
	}
	boot_info.info_base = info;
	boot_info.info_size = total;
	while (pos + sizeof(struct mb2_tag) <= total) {
		const struct mb2_tag *tag = hpa_ptr(HPA(info.v + pos));

		if (tag->type == MB2_TAG_END) {
			return 0;
		}
		if (tag->size < sizeof(*tag) || tag->size > total - pos) {
			report("boot: multiboot 2 tag %u of %u bytes at %u, the rest is not read",
			       tag->type, tag->size, pos);
			return 0;
		}
		parse_mb2_tag(tag);
		pos += (uint32_t)ALIGN_UP(tag->size, 8U);
	}
	return 0;
}

int multiboot_parse(uint32_t magic, hpa_t info)
{
	if (magic == MB1_MAGIC) {
		return parse_mb1(hpa_ptr(info));
	}
	if (magic == MB2_MAGIC) {
		return parse_mb2(info);
	}
	report("boot: EAX is 0x%x at entry: not a multiboot loader", magic);
	return -EINVAL;
}

struct boot_module *boot_module_find(const char *tag)
{
	for (uint32_t i = 0U; tag[0] != '\0' && i < boot_info.module_count; i++) {
		struct boot_module *m = &boot_info.modules[i];

		if (!m->used && strcmp(m->tag, tag) == 0) {
			return m;
		}
	}
	return NULL;
}

bool boot_option(const char *name, char *buf, size_t size)
{
	size_t n = strlen(name);
	const char *p = boot_info.cmdline;

	while (*p != '\0') {
		while (is_blank(*p)) {
			p++;
		}
		if (strncmp(p, name, n) == 0 && p[n] == '=') {
			size_t len = 0U;

			for (p += n + 1U; p[len] != '\0' && !is_blank(p[len]); len++) {
				;
			}
			copy_string(buf, size, p, len, name);
			return true;
		}
		while (*p != '\0' && !is_blank(*p)) {
			p++;
		}
	}
	return false;
}
