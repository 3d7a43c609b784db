// SPDX-License-Identifier: BSD-3-Clause
/*
 * INS and OUTS, with and without REP.  Each exit moves one element and, while RCX says there are
 * more, leaves RIP where it is: so a fault on the way keeps the progress made, and interrupts come
 * in between, as on a processor.  Own CPU, no lock.
 */
#include "lib/errno.h"
#include "asm/cpuregs.h"
#include "asm/vmx_insn.h"
#include "hv/gmem.h"
#include "hv/inst.h"
#include "hv/vcpu.h"
#include "hv/vcr.h"
#include "hv/vio.h"
#include "hv/vm.h"

/* Exit qualification (SDM 3C table 28-5) and VM-exit instruction information (table 28-9). */
#define QUAL_REP	    BIT(5)
#define INFO_ADDR_SIZE(i)   (((i) >> 7) & 7U) /* 0: 16 bit, 1: 32, 2: 64 */
#define INFO_SEGMENT(i)	    (((i) >> 15) & 7U)

static uint64_t address_mask(uint32_t info)
{
	static const uint64_t masks[] = {UINT16_MAX, UINT32_MAX, UINT64_MAX};

	return masks[MIN(INFO_ADDR_SIZE(info), 2U)];
}

/* INS: check that the element can be stored before the device is read, which may not be undone. */
static int string_in(struct vcpu *vcpu, struct io_access *io, gva_t gva, struct gmem_fault *fault)
{
	gva_t next = GVA((gva.v | ~PAGE_MASK) + 1U); /* page */
	gpa_t gpa;

	if (gmem_translate(vcpu, gva, GMEM_WRITE, &gpa, fault) != 0 ||
	    (next.v - gva.v < io->width &&
	     gmem_translate(vcpu, next, GMEM_WRITE, &gpa, fault) != 0)) {
		return -EFAULT;
	}
	vio_dispatch(vcpu, io);
	return gmem_write_gva(vcpu, gva, &io->value, io->width, fault);
}

static int string_out(struct vcpu *vcpu, struct io_access *io, gva_t gva, struct gmem_fault *fault)
{
	int ret = gmem_read_gva(vcpu, gva, &io->value, io->width, 0, fault);

	if (ret == 0) {
		vio_dispatch(vcpu, io);
	}
	return ret;
}

void vio_string(struct vcpu *vcpu, struct io_access *io, uint64_t qual)
{
	uint32_t info = vmcs_read32(VMCS_EXIT_INSN_INFO);
	uint32_t seg = io->write ? INFO_SEGMENT(info) : GMEM_SEG_ES;
	uint32_t index = io->write ? GPR_RSI : GPR_RDI;
	uint64_t mask = address_mask(info);
	bool rep = (qual & QUAL_REP) != 0U;
	bool down = (vmcs_read(VMCS_GUEST_RFLAGS) & RFLAGS_DF) != 0U;
	struct gmem_fault fault;
	gva_t gva;
	int ret;

	if (rep && (vcpu->gpr[GPR_RCX] & mask) == 0U) {
		vcpu_skip(vcpu);
		return;
	}
	io->value = 0;
	ret = gmem_seg_linear(seg, vcpu->gpr[index] & mask, io->width,
			      io->write ? 0U : GMEM_WRITE, &gva, &fault);
	if (ret == 0) {
		ret = io->write ? string_out(vcpu, io, gva, &fault)
				: string_in(vcpu, io, gva, &fault);
	}
	if (ret != 0) {
		gmem_inject(vcpu, &fault);
		return;
	}
	inst_advance(vcpu, index, down ? -(uint64_t)io->width : io->width, mask);
	if (rep) {
		inst_advance(vcpu, GPR_RCX, UINT64_MAX, mask);
		if ((vcpu->gpr[GPR_RCX] & mask) != 0U) {
			vcpu_skip_by(vcpu, 0U);
			return;
		}
	}
	vcpu_skip(vcpu);
}
