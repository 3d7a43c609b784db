// SPDX-License-Identifier: BSD-3-Clause
/*
 * The flash with the firmware, of VMs that have one: the variables first, then the code, up to 4
 * GB. It is memory that the guest reads and runs from at full speed and cannot write: a write comes
 * here, to the variables as a command of Intel's command set, to the code for nothing. A command
 * changes the memory, and with "w" the file at once, so that nothing is lost however this program
 * ends. I/O request thread; no lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "firmware.h"
#include "hsm.h"
#include "load.h"
#include "log.h"
#include "mmio.h"
#include "platform.h"
#include "vm.h"

#define PAGE  4096U
#define BLOCK 4096U /* what is erased at once */

#define CMD_PROGRAM	  0x10U
#define CMD_PROGRAM_ALSO  0x40U
#define CMD_ERASE	  0x20U
#define CMD_ERASE_CONFIRM 0xd0U
#define CMD_CLEAR_STATUS  0x50U
#define CMD_READ_STATUS	  0x70U
#define STATUS_READY	  0x80U

struct flash {
	uint8_t *mem;
	uint64_t size; /* of both */
	uint64_t vars; /* the first so many bytes can be written */
	uint64_t gpa;
	const char *path;
	int fd;		 /* of the variables' file, or -1: it is not written */
	uint8_t command; /* which waits for its second write, or 0 */
	uint8_t status;
	bool shown; /* memory has the status at shown_at, in place of shown_over */
	uint64_t shown_at;
	uint8_t shown_over;
};

static void hide_status(struct flash *flash)
{
	if (flash->shown)
		flash->mem[flash->shown_at] = flash->shown_over;
	flash->shown = false;
}

/* Where the command was written, and nowhere else: that is where firmware looks. */
static void show_status(struct flash *flash, uint64_t at)
{
	flash->shown = true;
	flash->shown_at = at;
	flash->shown_over = flash->mem[at];
	flash->mem[at] = flash->status;
}

static void changed(struct flash *flash, uint64_t at, uint64_t len)
{
	flash->status = STATUS_READY;
	if (flash->fd >= 0 && pwrite(flash->fd, flash->mem + at, len, (off_t)at) != (ssize_t)len)
		log_guest("cannot write %s: the guest's variables will be lost", flash->path);
}

static void flash_write(void *arg, uint64_t offset, unsigned int size, uint64_t value)
{
	struct flash *flash = arg;
	uint8_t command = flash->command;

	hide_status(flash);
	flash->command = 0;
	if (command == CMD_PROGRAM) {
		memcpy(flash->mem + offset, &value, size);
		changed(flash, offset, size);
	} else if (command == CMD_ERASE) {
		offset &= ~(uint64_t)(BLOCK - 1);
		if ((value & 0xff) != CMD_ERASE_CONFIRM)
			return;
		memset(flash->mem + offset, 0xff, BLOCK);
		changed(flash, offset, BLOCK);
	} else {
		switch (value & 0xff) {
		case CMD_PROGRAM:
		case CMD_PROGRAM_ALSO:
			flash->command = CMD_PROGRAM;
			break;
		case CMD_ERASE:
			flash->command = CMD_ERASE;
			break;
		case CMD_CLEAR_STATUS:
			flash->status = 0;
			break;
		case CMD_READ_STATUS:
			show_status(flash, offset);
			break;
		default: /* the array is what is read */
			break;
		}
	}
}

/* The guest reads without us; only its write of part of an operand reads as well. */
static uint64_t flash_read(void *arg, uint64_t offset, unsigned int size)
{
	const struct flash *flash = arg;
	uint64_t value = 0;

	memcpy(&value, flash->mem + offset, size);
	return value;
}

static const struct io_ops flash_ops = {.read = flash_read, .write = flash_write};

/* Read a file of the firmware into the flash, or its size. Returns bytes or a negative errno. */
static int64_t take_file(const char *path, uint8_t *to, int64_t room)
{
	uint64_t size;
	int fd = load_open("firmware", path, &size);
	int64_t result;

	if (fd < 0)
		return fd;
	if (size == 0 || size % PAGE != 0 || size > (uint64_t)room) {
		log_err("%s is no firmware: its size is not a multiple of %u up to %llu KB", path,
			PAGE, FIRMWARE_MAX >> 10);
		result = -EINVAL;
	} else if (to && pread(fd, to, size, 0) != (ssize_t)size) {
		log_err("cannot read %s", path);
		result = -EIO;
	} else {
		result = (int64_t)size;
	}
	close(fd);
	return result;
}

static int open_to_write(struct flash *flash)
{
	flash->fd = open(flash->path, O_RDWR | O_CLOEXEC);
	if (flash->fd < 0 || flock(flash->fd, LOCK_EX | LOCK_NB) < 0) {
		log_err("cannot write %s: %s", flash->path,
			errno == EWOULDBLOCK ? "another VM does" : strerror(errno));
		return -EACCES;
	}
	return 0;
}

static int load(struct flash *flash, const struct vm_ovmf *ovmf)
{
	const int64_t max = FIRMWARE_MAX;
	int64_t vars = take_file(ovmf->vars, NULL, max);
	int64_t code = ovmf->code && vars > 0 ? take_file(ovmf->code, NULL, max - vars) : 0;
	void *mem;

	if (vars < 0 || code < 0)
		return -EINVAL;
	if (!ovmf->code && vars <= FIRMWARE_VARS_SIZE) {
		log_err("%s is too short to be variables and code", ovmf->vars);
		return -EINVAL;
	}
	flash->size = (uint64_t)(vars + code);
	flash->vars = ovmf->code ? (uint64_t)vars : FIRMWARE_VARS_SIZE;
	flash->gpa = FIRMWARE_END - flash->size;
	mem = mmap(NULL, flash->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return -ENOMEM;
	flash->mem = mem;
	if (take_file(ovmf->vars, flash->mem, vars) != vars ||
	    (ovmf->code && take_file(ovmf->code, flash->mem + vars, code) != code))
		return -EIO;
	return ovmf->write ? open_to_write(flash) : 0;
}

static void flash_deinit(struct vm *vm, void *priv)
{
	struct flash *flash = priv;

	if (!flash)
		return;
	mmio_unregister(vm, flash->gpa);
	if (flash->fd >= 0)
		close(flash->fd);
	if (flash->mem)
		munmap(flash->mem, flash->size);
	free(flash);
}

static int flash_init(struct vm *vm, void **priv)
{
	struct flash *flash;
	int err;

	if (!firmware_given(vm))
		return 0;
	flash = calloc(1, sizeof(*flash));
	if (!flash)
		return -ENOMEM;
	flash->fd = -1;
	flash->path = vm->cfg.ovmf.vars;
	err = load(flash, &vm->cfg.ovmf);
	if (!err)
		err = hsm_map_rom(vm->hsm, flash->gpa, flash->mem, flash->size);
	if (!err)
		err = mmio_register(vm, "flash", flash->gpa, flash->vars, &flash_ops, flash);
	if (err)
		flash_deinit(vm, flash);
	else
		*priv = flash;
	return err;
}

static void flash_reset(struct vm *vm, void *priv)
{
	struct flash *flash = priv;

	(void)vm;
	if (!flash)
		return;
	hide_status(flash);
	flash->command = 0;
	flash->status = 0;
}

static const struct platform_ops flash_platform = {
	.name = "flash",
	.level = 60,
	.init = flash_init,
	.deinit = flash_deinit,
	.reset = flash_reset,
};
PLATFORM_DEVICE(flash_platform);
