// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: devicemodel/core/load.c devicemodel/core/load_bzimage.c devicemodel/core/load_elf.c
// links: devicemodel/core/gmem.c devicemodel/core/hugepage.c devicemodel/core/helper.c
// links: devicemodel/core/log.c tests/fake/fake_hsm.c
/*
 * Can a kernel file, bzImage or ELF, make acrn-dm write outside the VM's memory, or run for ever? An
 * input is the file; its first byte says how much memory the VM has, and which of the two it is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_hsm.h"
#include "fuzz.h"
#include "gmem.h"
#include "load.h"
#include "log.h"
#include "vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char path[32];
	static int fd = -1;
	struct acrn_vcpu_regs regs;
	struct vm vm = {.cfg.kernel = path};

	if (size < 1)
		return 0;
	if (fd < 0) {
		fd = memfd_create("kernel", 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		log_set_level((enum log_level)0);
	}
	fake_hsm_reset();
	vm.cfg.bootargs = "quiet";
	vm.cfg.ramdisk = data[0] & 0x80 ? path : NULL;
	if (ftruncate(fd, 0) || pwrite(fd, data + 1, size - 1, 0) != (ssize_t)(size - 1))
		abort();
	if (gmem_create(&vm, (data[0] & 0x3fULL) << 20 | 1))
		abort();
	if (data[0] & 0x40)
		(void)load_elf(&vm, &regs);
	else if (load_bzimage(&vm, &regs) == 0 && !gmem_ptr(&vm, regs.vcpu_regs.rip, size - 1))
		abort();
	gmem_destroy(&vm);
	return 0;
}
