// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: devicemodel/platform/fw_cfg.c devicemodel/platform/flash.c devicemodel/pci/piix4pm.c
// fuzzes: devicemodel/core/load_ovmf.c
// links: @machine
/*
 * Whatever a guest writes to the flash, to the ports of fw_cfg and to the requests for copies that
 * these name: does it reach nothing but its memory and the file of the variables, which is what the
 * flash shows, and does the firmware still hear of the machine at the next start? Input: accesses.
 */
#include <assert.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dm_machine.h"
#include "fake_hsm.h"
#include "firmware.h"
#include "fuzz.h"
#include "gmem.h"
#include "io_space.h"
#include "log.h"
#include "platform.h"

#define VARS 0x4000U
#define CODE 0x1000U

static int vars = -1;

static void set_up(void)
{
	static char options[128];
	int code = memfd_create("code", MFD_CLOEXEC);

	vars = memfd_create("vars", MFD_CLOEXEC);
	assert(ftruncate(code, CODE) == 0 && ftruncate(vars, VARS) == 0);
	log_set_level(0);
	fake_hsm_reset();
	snprintf(options, sizeof(options),
		 "-s 0,hostbridge --ovmf w,code=/proc/self/fd/%d,vars=/proc/self/fd/%d", code,
		 vars);
	machine_create(options);
}

/* A request for a copy, somewhere in the first 64 KB or anywhere. */
static void request(struct fuzz *in)
{
	uint32_t words[2] = {(uint32_t)fuzz_take(in, 4), (uint32_t)fuzz_take(in, 4)};
	uint64_t address = fuzz_take(in, 8);
	uint32_t at = (uint32_t)fuzz_take(in, 2);
	uint8_t *there = gmem_ptr(&machine, at, 16);

	memcpy(there, words, 8);
	memcpy(there + 8, &address, 8);
	machine_out(0x514, 4, 0);
	machine_out(0x518, 4, htobe32(at));
}

static void play(struct fuzz *in)
{
	uint8_t what = (uint8_t)fuzz_take(in, 1);
	unsigned int size = 1U << (what >> 3 & 3);
	uint16_t at = (uint16_t)fuzz_take(in, 2);
	uint64_t gpa = fake_hsm.rom.gpa + at % (VARS + CODE + 0x100);

	switch (what & 7) {
	case 0:
	case 1:
		io_space_write(machine.mmio, gpa, size, fuzz_take(in, size));
		break;
	case 2:
		(void)io_space_read(machine.mmio, gpa, size);
		break;
	case 3:
		machine_out((uint16_t)(0x510 + at % 16), size > 4 ? 4 : size,
			    (uint32_t)fuzz_take(in, 4));
		break;
	case 4:
		(void)machine_in((uint16_t)(0x510 + at % 16), size > 4 ? 4 : size);
		break;
	case 5:
		(void)machine_in((uint16_t)(FIRMWARE_PM_PORT + at % 16), size > 4 ? 4 : size);
		break;
	default:
		request(in);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t file[VARS];
	struct acrn_vcpu_regs regs;
	struct fuzz in = {data, size};
	const uint8_t *rom;

	if (vars < 0)
		set_up();
	rom = fake_hsm.rom.hva;
	assert(load_ovmf(&machine, &regs) == 0);
	while (in.left != 0)
		play(&in);

	platform_reset(&machine);
	assert(pread(vars, file, VARS, 0) == VARS && memcmp(rom, file, VARS) == 0);
	for (unsigned int i = 0; i < CODE; i++)
		assert(rom[VARS + i] == 0);
	assert(load_ovmf(&machine, &regs) == 0);
	machine_out(0x510, 2, 0);
	for (unsigned int i = 0; i < 4; i++)
		assert(machine_in(0x511, 1) == (uint32_t) "QEMU"[i]);
	return 0;
}
