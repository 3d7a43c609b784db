// SPDX-License-Identifier: BSD-3-Clause
/*
 * Shell commands that show memory, the machine's and a guest's. Only memory is read, never a
 * device's registers, whose reading may change something: an address outside the memory map, or in
 * a hole of a guest's, is refused. Guest memory goes through gmem.c with the VM's lock held; each
 * row is looked at anew, since a VM may go away while a long dump goes out. Called by shell.c.
 */
#include "hv/gmem.h"
#include "hv/mm.h"
#include "hv/shell.h"
#include "hv/vm.h"
#include "lib/errno.h"
#include "lib/printf.h"
#include "lib/string.h"

#define ROW_BYTES 16U

static struct {
	const char *vm; /* NULL: host memory */
	char vm_text[8];
	uint64_t addr, len;
} dump;

/* One piece of the memory map, or the hypervisor's own, holds all of it. */
static bool host_memory(uint64_t addr, uint64_t len)
{
	const struct e820 *map = &host_e820;

	if (hv_owns(HPA(addr), 1U) && hv_owns(HPA(addr + len - 1U), 1U)) {
		return true;
	}
	for (uint32_t i = 0U; i < map->count; i++) {
		const struct mem_range *r = &map->r[i];

		if (r->type != MEM_RESERVED && r->type != MEM_BAD && addr >= r->base &&
		    addr + len <= r->base + r->size) {
			return true;
		}
	}
	return false;
}

static void print_row(uint64_t addr, const uint8_t *bytes, uint32_t len)
{
	char hex[3U * ROW_BYTES + 1U], text[ROW_BYTES + 1U];

	for (uint32_t i = 0U; i < ROW_BYTES; i++) {
		uint8_t c = (i < len) ? bytes[i] : (uint8_t)' ';

		if (i < len) {
			(void)snprintf(&hex[3U * i], 4U, "%02x ", c);
		} else {
			(void)memcpy(&hex[3U * i], "   ", 4U);
		}
		text[i] = (c >= ' ' && c < 0x7FU) ? (char)c : '.';
	}
	text[ROW_BYTES] = '\0';
	shell_print("0x%016lx: %s %s", addr, hex, text);
}

static bool copy_host(uint64_t addr, uint8_t *bytes, uint32_t len)
{
	if (!host_memory(addr, len)) {
		shell_print("0x%lx is no memory of this machine, or a pre-launched VM's", addr);
		return false;
	}
	(void)memcpy(bytes, hpa_ptr(HPA(addr)), len);
	return true;
}

static bool copy_guest(uint64_t addr, uint8_t *bytes, uint32_t len)
{
	struct vm *vm = shell_vm_lock(dump.vm);
	int err;

	if (vm == NULL) {
		return false;
	}
	err = gmem_read(vm, GPA(addr), bytes, len);
	spin_unlock(&vm->lock);
	if (err != 0) {
		shell_print("0x%lx is no memory of VM %s", addr, dump.vm);
	}
	return err == 0;
}

static bool dump_row(uint32_t i)
{
	uint64_t done = (uint64_t)i * ROW_BYTES;
	uint32_t len = (uint32_t)MIN(dump.len - MIN(done, dump.len), ROW_BYTES);
	uint8_t bytes[ROW_BYTES];

	if (len == 0U ||
	    !((dump.vm == NULL) ? copy_host(dump.addr + done, bytes, len)
				: copy_guest(dump.addr + done, bytes, len))) {
		return false;
	}
	print_row(dump.addr + done, bytes, len);
	return true;
}

static int start(const char *addr, const char *len)
{
	if (!shell_hex(addr, UINT64_MAX, &dump.addr) || !shell_number(len, UINT32_MAX, &dump.len) ||
	    dump.addr + dump.len < dump.addr) {
		return -EINVAL;
	}
	shell_rows(dump_row);
	return 0;
}

static int dump_host_mem(uint32_t argc, char **argv)
{
	dump.vm = NULL;
	return (argc == 3U) ? start(argv[1], argv[2]) : -EINVAL;
}
SHELL_CMD("dump_host_mem", "<addr, length>", "memory of the machine", dump_host_mem);

static int dump_guest_mem(uint32_t argc, char **argv)
{
	if (argc != 4U || string_copy(dump.vm_text, argv[1], sizeof(dump.vm_text)) < 0) {
		return -EINVAL;
	}
	dump.vm = dump.vm_text;
	return start(argv[2], argv[3]);
}
SHELL_CMD("dump_guest_mem", "<vm id, addr, length>", "memory of a VM", dump_guest_mem);
