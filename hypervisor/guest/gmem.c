// SPDX-License-Identifier: BSD-3-Clause
/*
 * Copies to and from guest memory, by guest-physical address through the VM's EPT and by linear
 * address through the guest's own tables (gmem_walk.c).  Only memory is touched, never a device
 * that happens to be mapped.  Takes the EPT's lock inside ept_lookup() alone: memory that another
 * CPU takes away meanwhile is not reused before this CPU has passed a flush.
 */
#include "lib/errno.h"
#include "lib/string.h"
#include "asm/cpuregs.h"
#include "asm/vmx.h"
#include "hv/ept.h"
#include "hv/gmem.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/vcpu.h"
#include "hv/vm.h"


/*
 * Memory is mapped write-back and devices are not, which spares the search of the memory map; a
 * guest may still have RAM mapped otherwise.
 */
static bool is_memory(hpa_t hpa, uint64_t size, uint64_t attr)
{
	return (attr & EPT_MT_MASK) == EPT_MT_WB || e820_is_ram(&host_e820, hpa.v, size);
}

int gmem_hpa(struct vm *vm, gpa_t gpa, uint64_t *len, uint64_t right, hpa_t *hpa)
{
	uint64_t left, attr;

	if (ept_lookup(&vm->ept, gpa, hpa, &left, &attr) != 0 || (attr & right) == 0U) {
		return -EFAULT;
	}
	*len = MIN(*len, left);
	return is_memory(*hpa, *len, attr) ? 0 : -EFAULT;
}

bool gmem_is_device(struct vm *vm, gpa_t gpa, uint64_t size)
{
	uint64_t attr, left;
	hpa_t hpa;

	for (uint64_t done = 0U; done < size; done += left) {
		if (ept_lookup(&vm->ept, GPA(gpa.v + done), &hpa, &left, &attr) != 0 ||
		    hpa.v != gpa.v + done || (attr & EPT_MT_MASK) != EPT_MT_UC) {
			return false;
		}
	}
	return true;
}

int gmem_read(struct vm *vm, gpa_t gpa, void *buf, size_t len)
{
	uint8_t *out = buf;

	while (len != 0U) {
		uint64_t n = len;
		hpa_t hpa;

		if (gmem_hpa(vm, gpa, &n, EPT_READ, &hpa) != 0) {
			return -EFAULT;
		}
		(void)memcpy(out, hpa_ptr(hpa), n);
		out += n;
		gpa.v += n;
		len -= n;
	}
	return 0;
}

int gmem_write(struct vm *vm, gpa_t gpa, const void *buf, size_t len)
{
	const uint8_t *in = buf;

	while (len != 0U) {
		uint64_t n = len;
		hpa_t hpa;

		if (gmem_hpa(vm, gpa, &n, EPT_WRITE, &hpa) != 0) {
			return -EFAULT;
		}
		(void)memcpy(hpa_ptr(hpa), in, n);
		in += n;
		gpa.v += n;
		len -= n;
	}
	return 0;
}

/* Up to two pieces of guest-physical memory behind [gva, gva+len), both checked. */
struct span {
	gpa_t gpa[2];
	size_t len[2];
};

static int span_translate(struct vcpu *vcpu, gva_t gva, size_t len, uint32_t access,
			  struct span *s, struct gmem_fault *fault)
{
	size_t first = PAGE_SIZE - (gva.v & ~PAGE_MASK);

	ASSERT(len <= PAGE_SIZE);
	s->len[0] = MIN(len, first);
	s->len[1] = len - s->len[0];
	if (gmem_translate(vcpu, gva, access, &s->gpa[0], fault) != 0) {
		return -EFAULT;
	}
	if (s->len[1] != 0U) {
		return gmem_translate(vcpu, GVA(gva.v + s->len[0]), access, &s->gpa[1], fault);
	}
	return 0;
}

static int not_memory(struct gmem_fault *fault, gva_t gva)
{
	fault->vector = EXC_GP;
	fault->error = 0;
	fault->addr = gva;
	return -EFAULT;
}

int gmem_read_gva(struct vcpu *vcpu, gva_t gva, void *buf, size_t len, uint32_t access,
		  struct gmem_fault *fault)
{
	struct span s;

	if (span_translate(vcpu, gva, len, access, &s, fault) != 0) {
		return -EFAULT;
	}
	if (gmem_read(vcpu->vm, s.gpa[0], buf, s.len[0]) != 0) {
		return not_memory(fault, gva);
	}
	if (s.len[1] != 0U &&
	    gmem_read(vcpu->vm, s.gpa[1], (uint8_t *)buf + s.len[0], s.len[1]) != 0) {
		return not_memory(fault, GVA(gva.v + s.len[0]));
	}
	return 0;
}

int gmem_write_gva(struct vcpu *vcpu, gva_t gva, const void *buf, size_t len,
		   struct gmem_fault *fault)
{
	struct span s;

	if (span_translate(vcpu, gva, len, GMEM_WRITE, &s, fault) != 0) {
		return -EFAULT;
	}
	if (gmem_write(vcpu->vm, s.gpa[0], buf, s.len[0]) != 0) {
		return not_memory(fault, gva);
	}
	if (s.len[1] != 0U &&
	    gmem_write(vcpu->vm, s.gpa[1], (const uint8_t *)buf + s.len[0], s.len[1]) != 0) {
		return not_memory(fault, GVA(gva.v + s.len[0]));
	}
	return 0;
}

void gmem_inject(struct vcpu *vcpu, const struct gmem_fault *fault)
{
	if (fault->vector == EXC_PF) {
		vcpu_inject_pf(vcpu, fault->addr, fault->error);
	} else {
		vcpu_inject(vcpu, fault->vector, fault->error);
	}
}
