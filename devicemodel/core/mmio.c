// SPDX-License-Identifier: BSD-3-Clause
/*
 * The User VM's memory-mapped I/O: an io_space under the guest-physical
 * address. Refuses ranges that meet RAM: EPT maps RAM, so such a range would
 * never see an access.
 */
#include "mmio.h"

#include <errno.h>

#include "gmem.h"
#include "vm.h"

static bool meets(uint64_t base, uint64_t len, uint64_t other, uint64_t other_len)
{
	return other_len != 0 && base < other + other_len && other < base + len;
}

int mmio_register(struct vm *vm, const char *name, uint64_t gpa, uint64_t len,
		  const struct io_ops *ops, void *arg)
{
	if (gpa + len < gpa)
		return -EINVAL;
	if (meets(gpa, len, 0, gmem_low_size(vm)) ||
	    meets(gpa, len, VM_HIGHMEM_BASE, gmem_high_size(vm)))
		return -EEXIST;
	return io_space_add(vm->mmio, name, gpa, len, ops, arg);
}

void mmio_unregister(struct vm *vm, uint64_t gpa)
{
	io_space_remove(vm->mmio, gpa);
}
