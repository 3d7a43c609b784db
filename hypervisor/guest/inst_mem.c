// SPDX-License-Identifier: BSD-3-Clause
/*
 * The memory operand of an emulated instruction: where it lies, and access to it. One within a page
 * is a single access to a device. One across the end of a page is two, as on a processor, each to
 * whatever is there: a device or memory. Only for that the operand's linear address is computed;
 * else the exit's guest-physical one is all there is to know. Used by inst.c; own CPU, no lock.
 */
#include "lib/errno.h"
#include "hv/gmem.h"
#include "hv/inst.h"
#include "hv/vcpu.h"
#include "hv/vcr.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "hv/vmcs.h"

static uint64_t low_bytes(uint64_t val, uint32_t count)
{
	return count == 8U ? val : val & (BIT(count * 8U) - 1U);
}

static bool is_destination(const struct inst *inst, bool write)
{
	return inst->op == INST_STOS || (inst->op == INST_MOVS && write);
}

/* Offset in its segment. The registers are as before the instruction. */
static uint64_t offset_of(const struct vcpu *vcpu, const struct inst *inst, bool write)
{
	uint64_t offset = inst->disp;

	if (is_destination(inst, write)) {
		offset = vcpu->gpr[GPR_RDI];
	} else if (inst->op == INST_MOVS) {
		offset = vcpu->gpr[GPR_RSI];
	} else {
		if (inst->base == INST_RIP) {
			offset += vmcs_read(VMCS_GUEST_RIP) + inst->len;
		} else if (inst->base != INST_NO_REG) {
			offset += vcpu_get_gpr(vcpu, inst->base);
		}
		if (inst->index != INST_NO_REG) {
			offset += vcpu_get_gpr(vcpu, inst->index) << inst->scale;
		}
		/* POP computes it after RSP has moved. */
		if (inst->op == INST_POP && inst->base == GPR_RSP) {
			offset += inst->width;
		}
	}
	return low_bytes(offset, inst->addr_size);
}

static uint32_t segment_of(const struct inst *inst, bool write)
{
	return is_destination(inst, write) ? GMEM_SEG_ES : inst->seg;
}

bool inst_begins_before(const struct vcpu *vcpu, const struct inst *inst, bool write)
{
	uint64_t at = offset_of(vcpu, inst, write);
	uint32_t seg = segment_of(inst, write);

	if (seg >= GMEM_SEG_FS || !vcr_is_64bit()) {
		at += vmcs_read(VMCS_GUEST_ES_BASE + 2U * seg);
	}
	return (at & ~PAGE_MASK) + inst->width > PAGE_SIZE;
}

int inst_place_gva(struct vcpu *vcpu, gva_t gva, uint8_t width, uint32_t access,
		   struct inst_place *p, struct gmem_fault *fault)
{
	p->width = width;
	p->first = (uint8_t)MIN(PAGE_SIZE - (gva.v & ~PAGE_MASK), (uint64_t)width);
	if (gmem_translate(vcpu, gva, access, &p->gpa[0], fault) != 0) {
		return -EFAULT;
	}
	if (p->first == width) {
		return 0;
	}
	return gmem_translate(vcpu, GVA(gva.v + p->first), access, &p->gpa[1], fault);
}

int inst_place_split(struct vcpu *vcpu, const struct inst *inst, bool write, struct inst_place *p,
		     struct gmem_fault *fault)
{
	uint32_t access = write ? GMEM_WRITE : 0U;
	gva_t gva;

	if (gmem_seg_linear(segment_of(inst, write), offset_of(vcpu, inst, write), inst->width,
			    access, &gva, fault) != 0) {
		return -EFAULT;
	}
	return inst_place_gva(vcpu, gva, inst->width, access, p, fault);
}

/* Within one page, `len` bytes of any number below 8: a device sees aligned accesses. */
static uint64_t part(struct vcpu *vcpu, gpa_t gpa, uint32_t len, bool write, uint64_t val)
{
	uint64_t got = 0;

	if (!vio_is_mmio(vcpu->vm, gpa)) {
		int err = write ? gmem_write(vcpu->vm, gpa, &val, len) :
				  gmem_read(vcpu->vm, gpa, &got, len);

		if (err == 0) {
			return got;
		}
	}
	for (uint32_t done = 0, width; done < len; done += width) {
		struct io_access io = {.kind = IO_MMIO, .write = write, .addr = gpa.v + done};

		width = 1U;
		while (width * 2U <= len - done && (io.addr & width) == 0U) {
			width *= 2U;
		}
		io.width = (uint8_t)width;
		io.value = low_bytes(val >> (8U * done), width);
		vio_dispatch(vcpu, &io);
		got |= low_bytes(io.value, width) << (8U * done);
	}
	return got;
}

uint64_t inst_mem_read(struct vcpu *vcpu, const struct inst_place *p)
{
	struct io_access io = {.kind = IO_MMIO, .width = p->width, .addr = p->gpa[0].v};

	if (unlikely(p->first != p->width)) {
		uint64_t low = part(vcpu, p->gpa[0], p->first, false, 0);

		return low | part(vcpu, p->gpa[1], (uint32_t)p->width - p->first, false, 0)
				     << (8U * p->first);
	}
	vio_dispatch(vcpu, &io);
	return low_bytes(io.value, io.width);
}

void inst_mem_write(struct vcpu *vcpu, const struct inst_place *p, uint64_t val)
{
	struct io_access io = {.kind = IO_MMIO,
			       .write = true,
			       .width = p->width,
			       .addr = p->gpa[0].v,
			       .value = low_bytes(val, p->width)};

	if (unlikely(p->first != p->width)) {
		(void)part(vcpu, p->gpa[0], p->first, true, val);
		(void)part(vcpu, p->gpa[1], (uint32_t)p->width - p->first, true,
			   val >> (8U * p->first));
		return;
	}
	vio_dispatch(vcpu, &io);
}
