// SPDX-License-Identifier: BSD-3-Clause
/*
 * How firmware hears of the machine (QEMU's "fw_cfg", docs/specs/fw_cfg of QEMU): items that the
 * guest selects by a number and reads byte by byte (ports 0x510, 0x511) or has copied to its memory
 * (0x514), some of them files with names. All are made by fw_cfg_fill() on the main thread while
 * the VM stands still, and only read afterwards, by the I/O request thread; no lock.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "acpi.h"
#include "acpi_loader.h"
#include "firmware.h"
#include "gmem.h"
#include "log.h"
#include "pio.h"
#include "platform.h"
#include "vm.h"

#define PORT	 0x510U
#define DMA_PORT 0x514U

#define KEY_SIGNATURE 0x00U
#define KEY_ID	      0x01U
#define KEY_CPUS      0x05U
#define KEY_MAX_CPUS  0x0fU
#define KEY_DIR	      0x19U
#define KEY_FILES     0x20U
#define FILES	      3U
#define ID_HAS_DMA    3U /* and the ports */

#define DMA_ERROR  0x01U
#define DMA_READ   0x02U
#define DMA_SKIP   0x04U
#define DMA_SELECT 0x08U
#define DMA_WRITE  0x10U

#define E820_RAM 1U

struct __attribute__((packed)) e820 {
	uint64_t base, size;
	uint32_t type;
};

struct __attribute__((packed)) dir {
	uint32_t count; /* big-endian, as all here */
	struct __attribute__((packed)) {
		uint32_t size;
		uint16_t key, reserved;
		char name[ACPI_LOADER_NAME];
	} file[FILES];
};

struct __attribute__((packed)) dma {
	uint32_t control, length; /* big-endian */
	uint64_t address;
};

struct item {
	uint16_t key;
	uint32_t size;
	const void *data;
};

struct fw_cfg {
	struct vm *vm;
	const struct item *selected; /* or NULL: zeros */
	uint32_t at;
	uint32_t dma_high;
	uint32_t id;
	uint16_t cpus;
	struct dir dir;
	struct e820 e820[2];
	struct acpi_loader loader;
	uint8_t tables[VM_ACPI_LIMIT - VM_ACPI_BASE];
	struct item items[5 + FILES];
};

static void select_item(struct fw_cfg *cfg, uint16_t key)
{
	cfg->selected = NULL;
	cfg->at = 0;
	for (size_t i = 0; i < sizeof(cfg->items) / sizeof(cfg->items[0]); i++) {
		if (cfg->items[i].data && cfg->items[i].key == key)
			cfg->selected = &cfg->items[i];
	}
}

/* Bytes that can still be read. */
static uint32_t left(const struct fw_cfg *cfg)
{
	return cfg->selected ? cfg->selected->size - cfg->at : 0;
}

/* Read or skip: what is behind the end of an item is zero. */
static void take(struct fw_cfg *cfg, uint8_t *to, uint32_t len)
{
	uint32_t n = left(cfg) < len ? left(cfg) : len;

	if (to) {
		if (n != 0)
			memcpy(to, (const uint8_t *)cfg->selected->data + cfg->at, n);
		memset(to + n, 0, len - n);
	}
	cfg->at += n;
}

static uint64_t port_read(void *arg, uint64_t offset, unsigned int size)
{
	uint8_t byte = 0;

	(void)size;
	if (offset == 1)
		take(arg, &byte, 1);
	return byte;
}

static void port_write(void *arg, uint64_t offset, unsigned int size, uint64_t value)
{
	if (offset == 0 && size == 2)
		select_item(arg, (uint16_t)value);
}

static const struct io_ops port_ops = {.read = port_read, .write = port_write};

/* What the guest wants copied is told by its own memory, read once. */
static void transfer(struct fw_cfg *cfg, uint64_t gpa)
{
	void *told = gmem_ptr(cfg->vm, gpa, sizeof(struct dma));
	uint32_t control, length, answer = 0;
	uint8_t *to = NULL;
	struct dma dma;

	if (!told)
		return;
	memcpy(&dma, told, sizeof(dma));
	control = be32toh(dma.control);
	length = be32toh(dma.length);
	if (control & DMA_SELECT)
		select_item(cfg, (uint16_t)(control >> 16));
	if (control & DMA_READ)
		to = gmem_ptr(cfg->vm, be64toh(dma.address), length);
	if ((control & DMA_READ) ? !to : (control & DMA_WRITE) != 0)
		answer = htobe32(DMA_ERROR);
	else if (control & (DMA_READ | DMA_SKIP))
		take(cfg, to, length);
	memcpy(told, &answer, sizeof(answer)); /* where control is */
}

static uint64_t dma_read(void *arg, uint64_t offset, unsigned int size)
{
	uint64_t value = 0;

	(void)arg;
	memcpy(&value, &"QEMU CFG"[offset], size);
	return value;
}

static void dma_write(void *arg, uint64_t offset, unsigned int size, uint64_t value)
{
	struct fw_cfg *cfg = arg;

	if (size != 4)
		return;
	if (offset == 0)
		cfg->dma_high = be32toh((uint32_t)value);
	else if (offset == 4)
		transfer(cfg, (uint64_t)cfg->dma_high << 32 | be32toh((uint32_t)value));
}

static const struct io_ops dma_ops = {.read = dma_read, .write = dma_write};

static void add_file(struct fw_cfg *cfg, const char *name, const void *data, size_t size)
{
	uint32_t count = be32toh(cfg->dir.count);

	cfg->items[5 + count] = (struct item) {(uint16_t)(KEY_FILES + count), (uint32_t)size, data};
	cfg->dir.file[count].size = htobe32((uint32_t)size);
	cfg->dir.file[count].key = htobe16((uint16_t)(KEY_FILES + count));
	strncpy(cfg->dir.file[count].name, name, sizeof(cfg->dir.file[count].name) - 1);
	cfg->dir.count = htobe32(count + 1);
}

int fw_cfg_fill(struct vm *vm)
{
	struct fw_cfg *cfg = vm->fw_cfg;
	uint64_t high = gmem_high_size(vm);
	size_t tables = sizeof(cfg->tables);
	int err = acpi_write(vm, cfg->tables, &tables);

	if (err)
		return err;
	acpi_loader_make(&cfg->loader, cfg->tables);
	cfg->id = htole32(ID_HAS_DMA);
	cfg->cpus = htole16((uint16_t)vm->vcpu_num);
	cfg->e820[0] = (struct e820) {0, gmem_low_size(vm), E820_RAM};
	cfg->e820[1] = (struct e820) {VM_HIGHMEM_BASE, high, E820_RAM};
	memset(&cfg->dir, 0, sizeof(cfg->dir));
	cfg->items[0] = (struct item) {KEY_SIGNATURE, 4, "QEMU"};
	cfg->items[1] = (struct item) {KEY_ID, sizeof(cfg->id), &cfg->id};
	cfg->items[2] = (struct item) {KEY_CPUS, sizeof(cfg->cpus), &cfg->cpus};
	cfg->items[3] = (struct item) {KEY_MAX_CPUS, sizeof(cfg->cpus), &cfg->cpus};
	cfg->items[4] = (struct item) {KEY_DIR, sizeof(cfg->dir), &cfg->dir};
	add_file(cfg, "etc/e820", cfg->e820, high ? sizeof(cfg->e820) : sizeof(cfg->e820[0]));
	add_file(cfg, ACPI_LOADER_FILE, cfg->tables, tables);
	add_file(cfg, "etc/table-loader", &cfg->loader.command,
		 cfg->loader.count * sizeof(cfg->loader.command[0]));
	cfg->selected = NULL;
	return 0;
}

static void fw_cfg_deinit(struct vm *vm, void *priv)
{
	if (!priv)
		return;
	pio_unregister(vm, PORT);
	pio_unregister(vm, DMA_PORT);
	free(priv);
	vm->fw_cfg = NULL;
}

static int fw_cfg_init(struct vm *vm, void **priv)
{
	struct fw_cfg *cfg;
	int err;

	if (!firmware_given(vm))
		return 0;
	cfg = calloc(1, sizeof(*cfg));
	if (!cfg)
		return -ENOMEM;
	cfg->vm = vm;
	err = pio_register(vm, "fw_cfg", PORT, 2, &port_ops, cfg);
	if (!err)
		err = pio_register(vm, "fw_cfg dma", DMA_PORT, 8, &dma_ops, cfg);
	vm->fw_cfg = cfg;
	if (err)
		fw_cfg_deinit(vm, cfg);
	else
		*priv = cfg;
	return err;
}

static const struct platform_ops fw_cfg_platform = {
	.name = "fw_cfg",
	.level = 70,
	.init = fw_cfg_init,
	.deinit = fw_cfg_deinit,
};
PLATFORM_DEVICE(fw_cfg_platform);
