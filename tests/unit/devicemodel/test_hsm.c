// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does the device model speak to any HSM and any ACRN hypervisor as they demand, not only to ours?
 * The requests of whole lives of a VM, by the numbers the driver sees, through the real hsm.c: each
 * is judged by the rules that ACRN's documents give (a VM starts only when created, is reset and
 * destroyed only when paused, gets registers only when it does not run, ...), and their order is
 * compared with the record of what ACRN's own device model sends.
 */
// links: @driver tests/unit/devicemodel/bzimage.c
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>
#include <linux/acrn.h>

#include "acpi.h"
#include "bzimage.h"
#include "dm_machine.h"
#include "power.h"

#define MB (1ULL << 20)

enum state { NONE, CREATED, RUNNING, PAUSED };

/* The driver and the hypervisor; written by one process at a time. */
static struct {
	int fd;
	bool old_name; /* of the device */
	enum state state;
	bool client, buffer;
	unsigned int busy; /* so often is the name in use */
	uint64_t mapped;
	struct acrn_io_request_buffer *page;
	int wrong; /* the line in which a rule was broken first */
	char record[2048];
	struct {
		uint16_t port;
		uint32_t value;
	} next[4]; /* what the guest writes: one, whenever it is waited for */
	unsigned int nexts, given;
} driver;

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition) && driver.wrong == 0)                                             \
			driver.wrong = __LINE__;                                                   \
	} while (0)

static int fails(int error)
{
	errno = error;
	return -1;
}

int open(const char *path, int flags, ...)
{
	va_list args;
	int mode;

	va_start(args, flags);
	mode = (flags & O_CREAT) != 0 ? va_arg(args, int) : 0;
	va_end(args);
	if (strcmp(path, driver.old_name ? "/dev/acrn_vhm" : "/dev/acrn_hsm") == 0) {
		driver.fd = eventfd(0, EFD_CLOEXEC);
		return driver.fd;
	}
	if (strncmp(path, "/dev/acrn", 9) == 0)
		return fails(ENOENT);
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static int create_vm(struct acrn_vm_creation *c)
{
	MUST(driver.state == NONE && c->reserved0 == 0);
	MUST(strcmp((const char *)&c->uuid, "vm1") == 0 && c->vm_flag == 0);
	if (driver.busy > 0) {
		driver.busy--;
		return fails(EINVAL);
	}
	driver.page = (void *)(uintptr_t)c->ioreq_buf;
	for (unsigned int i = 0; i < ACRN_IO_REQUEST_MAX; i++)
		driver.page->req_slot[i].processed = ACRN_IOREQ_STATE_FREE;
	c->vmid = 1;
	c->vcpu_num = 1;
	driver.state = CREATED;
	return 0;
}

static int set_memseg(const struct acrn_vm_memmap *map)
{
	MUST(driver.state == CREATED && map->type == ACRN_MEMMAP_RAM);
	MUST(map->attr == (ACRN_MEM_ACCESS_RWX | ACRN_MEM_TYPE_WB));
	MUST(map->vma_base % 4096 == 0 && map->len % 4096 == 0 && map->len < 1ULL << 32);
	MUST(map->user_vm_pa == driver.mapped);
	driver.mapped += map->len;
	return 0;
}

static int set_regs(const struct acrn_vcpu_regs *regs)
{
	MUST(driver.state == CREATED || driver.state == PAUSED);
	for (size_t i = 0; i < sizeof(regs->reserved) / sizeof(regs->reserved[0]); i++)
		MUST(regs->reserved[i] == 0);
	MUST(regs->vcpu_id == 0 && (regs->vcpu_regs.cr0 & ~0xe005003fULL) == 0);
	return 0;
}

/* The guest writes to a port, or there is nobody to answer to any more. */
static int attach(void)
{
	struct acrn_io_request *req = &driver.page->req_slot[0];

	MUST(driver.client && driver.state == RUNNING);
	MUST(req->processed == ACRN_IOREQ_STATE_FREE ||
	     req->processed == ACRN_IOREQ_STATE_COMPLETE);
	if (driver.given == driver.nexts)
		return fails(ENODEV);
	req->type = ACRN_IOREQ_TYPE_PORTIO;
	req->kernel_handled = 0;
	req->reqs.pio_request.direction = ACRN_IOREQ_DIR_WRITE;
	req->reqs.pio_request.address = driver.next[driver.given].port;
	req->reqs.pio_request.size = driver.next[driver.given].value > 0xff ? 2 : 1;
	req->reqs.pio_request.value = driver.next[driver.given++].value;
	req->processed = ACRN_IOREQ_STATE_PROCESSING;
	return 0;
}

static int notify(const struct acrn_ioreq_notify *n)
{
	MUST(n->vmid == 1 && n->reserved == 0 && n->vcpu == 0);
	MUST(driver.page->req_slot[0].processed == ACRN_IOREQ_STATE_PROCESSING);
	driver.page->req_slot[0].processed = ACRN_IOREQ_STATE_COMPLETE;
	return 0;
}

static int change(enum state from, enum state also, enum state to)
{
	MUST(driver.state == from || driver.state == also);
	driver.state = to;
	return 0;
}

static int handle(unsigned long code, void *payload)
{
	switch (code) {
	case 0xc030a210UL:
		return create_vm(payload);
	case 0xa211UL:
		driver.client = false;
		return change(PAUSED, PAUSED, NONE);
	case 0xa212UL:
		if (driver.state == PAUSED)
			return fails(EINVAL);
		return change(CREATED, CREATED, RUNNING);
	case 0xa213UL:
		MUST(driver.state != NONE);
		return change(driver.state, driver.state, PAUSED);
	case 0xa215UL:
		return change(PAUSED, PAUSED, CREATED);
	case 0x4128a216UL:
		return set_regs(payload);
	case 0x4010a223UL:
	case 0x4008a225UL:
		MUST(driver.state != NONE);
		return 0;
	case 0x4008a231UL:
		return notify(payload);
	case 0xa232UL:
		MUST(!driver.client && driver.state == CREATED);
		driver.client = true;
		return 0;
	case 0xa233UL:
		return attach();
	case 0xa234UL:
		driver.client = false;
		return 0;
	case 0xa235UL:
		MUST(driver.state == PAUSED);
		driver.page->req_slot[0].processed = ACRN_IOREQ_STATE_COMPLETE;
		return 0;
	case 0x4020a241UL:
		return set_memseg(payload);
	default: /* of newer drivers, or unknown to all */
		MUST((code >> 8 & 0xffUL) == ACRN_IOCTL_TYPE && (code & 0xffUL) >= 0x90UL);
		return fails(ENOTTY);
	}
}

int ioctl(int fd, unsigned long code, ...)
{
	size_t len = strlen(driver.record);
	va_list args;
	void *payload;

	va_start(args, code);
	payload = va_arg(args, void *);
	va_end(args);
	if (fd != driver.fd)
		return (int)syscall(SYS_ioctl, fd, code, payload);
	/* What it does with interrupt lines is its own affair. */
	if (code != 0x4008a225UL)
		snprintf(driver.record + len, sizeof(driver.record) - len, "%lx ", code);
	return handle(code, payload);
}

static void begin(unsigned int busy, bool old_name)
{
	memset(&driver, 0, sizeof(driver));
	driver.fd = -1;
	driver.busy = busy;
	driver.old_name = old_name;
}

static void guest_writes(uint16_t port, uint32_t value)
{
	driver.next[driver.nexts].port = port;
	driver.next[driver.nexts++].value = value;
}

static void run(void)
{
	struct bzimage image;

	bzimage_make(&image);
	machine.cfg.kernel = bzimage_write(image.bytes, sizeof(image.bytes));
	assert_int_equal(vm_boot(&machine), 0);
	guest_writes(ACPI_PM1_CONTROL_PORT, 1 << 13 | ACPI_S5_TYPE << 10);
	assert_int_equal(vm_run(&machine), 0);
	machine_destroy();
	if (driver.wrong != 0)
		fail_msg("a rule is broken: line %d, after %s", driver.wrong, driver.record);
	assert_int_equal(driver.state, NONE);
	assert_int_equal(driver.mapped, 16 * MB);
}

/* A VM that writes to a port, resets itself, and powers off. */
static void test_life(void **state)
{
	(void)state;
	begin(0, false);
	machine_create("-s 0,hostbridge -s 1,lpc");
	guest_writes(0x80, 1);
	guest_writes(ACPI_RESET_PORT, 0x0e);
	run();
	assert_string_equal(driver.record, "c030a210 4008a290 4008a2a0 4020a241 a232 " /* make it */
					   "4128a216 a212 "			       /* boot */
					   "a233 4008a231 a233 4008a231 "	       /* serve */
					   "a213 a235 a215 4128a216 a212 "	       /* reset */
					   "a233 4008a231 "			       /* serve */
					   "a213 a234 a211 ");			       /* end */
}

/* What if an earlier VM of that name still ends, and if the device has its older name? */
static void test_again(void **state)
{
	(void)state;
	begin(3, true);
	machine_create("-s 0,hostbridge -s 1,lpc");
	run();
	assert_ptr_equal(strstr(driver.record, "c030a210 c030a210 c030a210 c030a210 4"),
			 driver.record);
}

/*
 * What if it is paused before it is started, and while it runs? ACRN's hypervisor starts only what
 * is created: there it stays paused, and can be ended.
 */
static void test_pause(void **state)
{
	struct bzimage image;

	(void)state;
	begin(0, false);
	machine_create("-s 0,hostbridge -s 1,lpc");
	assert_int_equal(vm_pause(&machine), 0);
	assert_int_equal(vm_resume(&machine), 0);
	bzimage_make(&image);
	machine.cfg.kernel = bzimage_write(image.bytes, sizeof(image.bytes));
	assert_int_equal(vm_boot(&machine), 0);
	assert_int_equal(vm_pause(&machine), 0);
	assert_int_equal(vm_resume(&machine), -EINVAL);
	assert_true(machine.paused);
	machine_destroy();
	assert_int_equal(driver.wrong, 0);
	assert_int_equal(driver.state, NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
