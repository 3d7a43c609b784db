// SPDX-License-Identifier: BSD-3-Clause
/*
 * Emulates the instruction whose access to device memory exited: fetch its bytes once, decode
 * (inst_decode.c), do the access through vio_dispatch(), finish registers, flags and memory as the
 * processor would.  A device model may take its time over the access: the vCPU's thread waits in
 * the middle of this, and nothing here is held meanwhile.  Own CPU, VMCS loaded, no lock.
 */
#include "lib/errno.h"
#include "lib/string.h"
#include "asm/cpuregs.h"
#include "hv/gmem.h"
#include "hv/inst.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/vcpu.h"
#include "hv/vcr.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "hv/vmcs.h"

#define AR_DEFAULT_BIG BIT32(14)

/* One emulation: the instruction and the exit it comes from. */
struct emul {
	struct vcpu *vcpu;
	const struct inst *inst; /* decoded, or remembered */
	struct inst decoded;
	enum inst_mode mode;
	gpa_t gpa;
	bool write;
	struct inst_place place; /* of the operand whose access exited */
	struct gmem_fault fault;
};

static uint64_t width_mask(uint32_t width)
{
	return width == 8U ? UINT64_MAX : BIT(width * 8U) - 1U;
}

static uint64_t sign_extend(uint64_t val, uint32_t width)
{
	uint32_t shift = 64U - width * 8U;

	return (uint64_t)((int64_t)(val << shift) >> shift);
}

void inst_advance(struct vcpu *vcpu, uint32_t reg, uint64_t delta, uint64_t mask)
{
	uint64_t old = vcpu->gpr[reg], next = (old + delta) & mask;

	/* 16-bit addresses keep the register's upper bits, 32-bit ones clear them. */
	vcpu->gpr[reg] = mask == UINT16_MAX ? (old & ~mask) | next : next;
}

static uint64_t reg_get(const struct emul *e, uint32_t reg, uint32_t width, bool high_byte)
{
	uint64_t v = vcpu_get_gpr(e->vcpu, reg);

	return (high_byte ? v >> 8 : v) & width_mask(width);
}

/* Writing 4 bytes clears the upper half, writing fewer keeps the rest. */
static void reg_set(const struct emul *e, uint32_t reg, uint32_t width, bool high_byte, uint64_t val)
{
	uint64_t mask = width_mask(width), old = vcpu_get_gpr(e->vcpu, reg);

	if (high_byte) {
		val = (old & ~0xFF00UL) | (val & 0xFFU) << 8;
	} else if (width >= 4U) {
		val &= mask;
	} else {
		val = (old & ~mask) | (val & mask);
	}
	vcpu_set_gpr(e->vcpu, reg, val);
}

static uint64_t operand_get(const struct emul *e, enum inst_where where)
{
	const struct inst *i = e->inst;

	switch (where) {
	case INST_MEM:
		return inst_mem_read(e->vcpu, &e->place);
	case INST_REG:
		return reg_get(e, i->reg, i->reg_width, i->high_byte);
	case INST_IMM:
		return i->imm;
	default:
		return 0;
	}
}

static void operand_set(const struct emul *e, enum inst_where where, uint64_t val)
{
	const struct inst *i = e->inst;

	if (where == INST_MEM) {
		inst_mem_write(e->vcpu, &e->place, val);
	} else {
		reg_set(e, i->reg, i->reg_width, i->high_byte, val);
	}
}

static int do_mov(struct emul *e)
{
	uint64_t v = operand_get(e, e->inst->src);

	if (e->inst->op == INST_MOVSX) {
		v = sign_extend(v, e->inst->width);
	}
	operand_set(e, e->inst->dst, v);
	return 0;
}

/* Everything that computes: read the destination, operate, write back unless it is a comparison. */
static int do_alu(struct emul *e)
{
	const struct inst *i = e->inst;
	uint64_t rflags = vmcs_read(VMCS_GUEST_RFLAGS), old = rflags;
	uint64_t a = operand_get(e, i->dst), b = operand_get(e, i->src);
	uint64_t r = inst_alu(i->op, i->width, a, b, &rflags);

	if (i->op != INST_CMP && i->op != INST_TEST && i->op != INST_BT) {
		operand_set(e, i->dst, r);
	}
	if (i->op == INST_XADD) {
		operand_set(e, i->src, a);
	}
	if (rflags != old) {
		vmcs_write(VMCS_GUEST_RFLAGS, rflags);
	}
	return 0;
}

static int do_xchg(struct emul *e)
{
	uint64_t mem = operand_get(e, INST_MEM);

	operand_set(e, INST_MEM, operand_get(e, INST_REG));
	operand_set(e, INST_REG, mem);
	return 0;
}

/* The processor writes the destination in either case, so that a device sees it too. */
static int do_cmpxchg(struct emul *e)
{
	const struct inst *i = e->inst;
	uint64_t rflags = vmcs_read(VMCS_GUEST_RFLAGS);
	uint64_t mem = operand_get(e, INST_MEM);
	uint64_t acc = reg_get(e, GPR_RAX, i->width, false);

	(void)inst_alu(INST_CMPXCHG, i->width, acc, mem, &rflags);
	if (mem == acc) {
		operand_set(e, INST_MEM, operand_get(e, INST_REG));
	} else {
		operand_set(e, INST_MEM, mem);
		reg_set(e, GPR_RAX, i->width, false, mem);
	}
	vmcs_write(VMCS_GUEST_RFLAGS, rflags);
	return 0;
}

/* The other end of a string instruction: where it is, and whether that is memory or a device. */
static int string_end(struct emul *e, uint32_t seg, uint32_t reg, uint32_t access, gva_t *gva,
		      struct inst_place *p)
{
	uint64_t offset = e->vcpu->gpr[reg] & width_mask(e->inst->addr_size);

	if (gmem_seg_linear(seg, offset, e->inst->width, access, gva, &e->fault) != 0) {
		return -EFAULT;
	}
	return inst_place_gva(e->vcpu, *gva, e->inst->width, access, p, &e->fault);
}

/* A page fault is the guest's; where the tables lead to no memory, a device may be. */
static int source_read(struct emul *e, gva_t gva, const struct inst_place *p, uint64_t *val)
{
	*val = 0;
	if (gmem_read_gva(e->vcpu, gva, val, e->inst->width, 0, &e->fault) == 0) {
		return 0;
	}
	if (e->fault.vector == EXC_PF) {
		return -EFAULT;
	}
	*val = inst_mem_read(e->vcpu, p);
	return 0;
}

static int dest_write(struct emul *e, gva_t gva, const struct inst_place *p, uint64_t val)
{
	if (gmem_write_gva(e->vcpu, gva, &val, e->inst->width, &e->fault) == 0) {
		return 0;
	}
	if (e->fault.vector == EXC_PF) {
		return -EFAULT;
	}
	inst_mem_write(e->vcpu, p, val);
	return 0;
}

/* One element; the end that did not exit is looked up before the device is touched. */
static int move_element(struct emul *e)
{
	uint64_t val;
	struct inst_place other;
	gva_t gva;

	if (e->inst->op == INST_STOS) {
		inst_mem_write(e->vcpu, &e->place, reg_get(e, GPR_RAX, e->inst->width, false));
		return 0;
	}
	if (e->write) {
		if (string_end(e, e->inst->seg, GPR_RSI, 0, &gva, &other) != 0 ||
		    source_read(e, gva, &other, &val) != 0) {
			return -EFAULT;
		}
		inst_mem_write(e->vcpu, &e->place, val);
		return 0;
	}
	if (string_end(e, GMEM_SEG_ES, GPR_RDI, GMEM_WRITE, &gva, &other) != 0) {
		return -EFAULT;
	}
	return dest_write(e, gva, &other, inst_mem_read(e->vcpu, &e->place));
}

/* As with string I/O an exit moves one element: -EAGAIN leaves RIP for the next. */
static int do_string(struct emul *e)
{
	struct vcpu *vcpu = e->vcpu;
	uint64_t mask = width_mask(e->inst->addr_size);
	bool down = (vmcs_read(VMCS_GUEST_RFLAGS) & RFLAGS_DF) != 0U;
	uint64_t delta = down ? -(uint64_t)e->inst->width : e->inst->width;

	if (e->inst->rep && (vcpu->gpr[GPR_RCX] & mask) == 0U) {
		return 0;
	}
	if (move_element(e) != 0) {
		return -EFAULT;
	}
	inst_advance(vcpu, GPR_RDI, delta, mask);
	if (e->inst->op == INST_MOVS) {
		inst_advance(vcpu, GPR_RSI, delta, mask);
	}
	if (!e->inst->rep) {
		return 0;
	}
	inst_advance(vcpu, GPR_RCX, UINT64_MAX, mask);
	return (vcpu->gpr[GPR_RCX] & mask) != 0U ? -EAGAIN : 0;
}

static uint64_t stack_mask(const struct emul *e)
{
	if (e->mode == INST_MODE_64) {
		return UINT64_MAX;
	}
	return (vmcs_read32(VMCS_GUEST_SS_AR) & AR_DEFAULT_BIG) != 0U ? UINT32_MAX : UINT16_MAX;
}

/* Only the operand is a device's: PUSH reads it, POP writes it. A stack there is refused. */
static int do_stack(struct emul *e)
{
	struct vcpu *vcpu = e->vcpu;
	bool push = e->inst->op == INST_PUSH;
	uint64_t mask = stack_mask(e), rsp = vmcs_read(VMCS_GUEST_RSP), val = 0;
	uint64_t top = (push ? rsp - e->inst->width : rsp) & mask;
	gpa_t gpa;
	gva_t gva;

	if (push == e->write) {
		return -EINVAL;
	}
	if (gmem_seg_linear(GMEM_SEG_SS, top, e->inst->width, push ? GMEM_WRITE : 0U, &gva,
			    &e->fault) != 0) {
		return -EFAULT;
	}
	if (push) {
		if (gmem_translate(vcpu, gva, GMEM_WRITE, &gpa, &e->fault) != 0) {
			return -EFAULT;
		}
		val = inst_mem_read(e->vcpu, &e->place);
		if (gmem_write_gva(vcpu, gva, &val, e->inst->width, &e->fault) != 0) {
			return -EFAULT;
		}
	} else {
		if (gmem_read_gva(vcpu, gva, &val, e->inst->width, 0, &e->fault) != 0) {
			return -EFAULT;
		}
		inst_mem_write(e->vcpu, &e->place, val);
		top = (top + e->inst->width) & mask;
	}
	vmcs_write(VMCS_GUEST_RSP, (rsp & ~mask) | top);
	return 0;
}

static int (*const executors[INST_OPS])(struct emul *e) = {
	[INST_MOV] = do_mov,	 [INST_MOVZX] = do_mov,	  [INST_MOVSX] = do_mov,
	[INST_ADD] = do_alu,	 [INST_OR] = do_alu,	  [INST_ADC] = do_alu,
	[INST_SBB] = do_alu,	 [INST_AND] = do_alu,	  [INST_SUB] = do_alu,
	[INST_XOR] = do_alu,	 [INST_CMP] = do_alu,	  [INST_TEST] = do_alu,
	[INST_INC] = do_alu,	 [INST_DEC] = do_alu,	  [INST_NOT] = do_alu,
	[INST_NEG] = do_alu,	 [INST_BT] = do_alu,	  [INST_BTS] = do_alu,
	[INST_BTR] = do_alu,	 [INST_BTC] = do_alu,	  [INST_XADD] = do_alu,
	[INST_XCHG] = do_xchg,	 [INST_CMPXCHG] = do_cmpxchg, [INST_MOVS] = do_string,
	[INST_STOS] = do_string, [INST_PUSH] = do_stack,  [INST_POP] = do_stack,
};

static enum inst_mode current_mode(void)
{
	if (vcr_is_64bit()) {
		return INST_MODE_64;
	}
	return (vmcs_read32(VMCS_GUEST_CS_AR) & AR_DEFAULT_BIG) != 0U ? INST_MODE_32 : INST_MODE_16;
}

/*
 * The bytes at RIP: up to the end of the page at first, and more only if the instruction goes on
 * there, so that an absent next page faults only when the processor would have read it.
 */
static int fetch_decode(struct emul *e, gva_t rip)
{
	size_t len = MIN(PAGE_SIZE - (rip.v & ~PAGE_MASK), (uint64_t)INST_MAX_LEN);
	uint8_t bytes[INST_MAX_LEN];
	struct gmem_trail trail;
	int ret;

	if (gmem_fetch_trail(e->vcpu, rip, &trail, &e->fault) != 0) {
		return -EFAULT;
	}
	if (trail.used != 0U) {
		(void)memcpy(bytes, hpa_ptr(trail.hpa), len);
	} else if (gmem_read_gva(e->vcpu, rip, bytes, len, GMEM_FETCH, &e->fault) != 0) {
		return -EFAULT;
	}
	ret = inst_decode(bytes, len, e->mode, &e->decoded);
	if (ret == -ENODATA) {
		if (gmem_read_gva(e->vcpu, GVA(rip.v + len), bytes + len, INST_MAX_LEN - len,
				  GMEM_FETCH, &e->fault) != 0) {
			return -EFAULT;
		}
		ret = inst_decode(bytes, INST_MAX_LEN, e->mode, &e->decoded);
	}
	e->inst = &e->decoded;
	if (ret == 0) {
		inst_cache_put(e->vcpu, rip, e->mode, &trail, bytes, e->inst);
	}
	return ret;
}

static void refuse(const struct emul *e, gva_t rip)
{
	struct gmem_fault fault;
	uint8_t b[6] = {0};

	(void)gmem_read_gva(e->vcpu, rip, b, sizeof(b), GMEM_FETCH, &fault);
	pr_warn("VM%u vCPU%u: instruction at %lx (%02x %02x %02x %02x %02x %02x) on %lx is not emulated",
		e->vcpu->vm->id, e->vcpu->id, rip.v, b[0], b[1], b[2], b[3], b[4], b[5], e->gpa.v);
	vcpu_inject_ud(e->vcpu);
}

/* The usual way to a register at a page's beginning, which is where the operand begins. */
static inline bool is_plain(const struct emul *e)
{
	const struct inst *i = e->inst;

	return e->mode == INST_MODE_64 && i->base < GPR_COUNT && i->base != GPR_RSP &&
	       i->index == INST_NO_REG && i->seg < GMEM_SEG_FS &&
	       ((e->vcpu->gpr[i->base] + i->disp) & ~PAGE_MASK) == 0U;
}

/* The exit says where the operand is, unless it lies across the end of a page. */
static int locate(struct emul *e)
{
	uint8_t width = e->inst->width;
	uint32_t offset = (uint32_t)(e->gpa.v & ~PAGE_MASK);

	e->place.gpa[0] = e->gpa;
	e->place.width = width;
	e->place.first = width;
	if (likely(offset + width <= PAGE_SIZE &&
		   (offset != 0U || is_plain(e) ||
		    !inst_begins_before(e->vcpu, e->inst, e->write)))) {
		return 0;
	}
	return inst_place_split(e->vcpu, e->inst, e->write, &e->place, &e->fault);
}

void inst_emulate(struct vcpu *vcpu, gpa_t gpa, bool write)
{
	gva_t rip = GVA(vmcs_read(VMCS_GUEST_RIP));
	struct emul e;
	int ret = 0;

	e.vcpu = vcpu;
	e.mode = current_mode();
	e.gpa = gpa;
	e.write = write;
	if (e.mode != INST_MODE_64) {
		rip.v = (vmcs_read(VMCS_GUEST_CS_BASE) + rip.v) & UINT32_MAX;
	}
	e.inst = inst_cache_find(vcpu, rip, e.mode);
	if (!e.inst) {
		ret = fetch_decode(&e, rip);
	}
	if (ret == 0) {
		ret = locate(&e);
	}
	if (ret == 0) {
		ret = executors[e.inst->op](&e);
	}
	if (ret == 0) {
		vcpu_skip_by(vcpu, e.inst->len);
	} else if (ret == -EFAULT) {
		gmem_inject(vcpu, &e.fault);
	} else if (ret == -EAGAIN) {
		vcpu_skip_by(vcpu, 0U);
	} else {
		refuse(&e, rip);
	}
}
