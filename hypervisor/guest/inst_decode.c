// SPDX-License-Identifier: BSD-3-Clause
/*
 * Decodes the instructions guests use on device memory (SDM 2, chapters 2 and appendix A): bytes
 * in, struct inst out, nothing else is read or written.  A table says what each opcode is; what it
 * does not list is refused.  The address of the operand is only taken apart: it is computed where
 * the one that the exit gave does not do (inst_mem.c).
 */
#include "lib/errno.h"
#include "lib/string.h"
#include "hv/gmem.h"
#include "hv/inst.h"
#include "hv/vcpu.h"

/* How the operands are encoded. */
enum form {
	FORM_NONE, /* not emulated */
	FORM_MR,   /* ModRM: memory, register */
	FORM_RM,   /* ModRM: register, memory */
	FORM_MI,   /* ModRM: memory, immediate of the operand's size (at most 4) */
	FORM_MI8,  /* ModRM: memory, immediate byte */
	FORM_M,	   /* ModRM: memory alone */
	FORM_AO,   /* accumulator, memory at an absolute offset */
	FORM_OA,
	FORM_STR, /* implicit */
};

#define F_BYTE	  BIT32(0) /* operands are bytes, whatever the prefixes say */
#define F_GROUP	  BIT32(1) /* `op` is the number of a group: ModRM.reg picks the entry */
#define F_MEM8	  BIT32(2) /* the memory operand is a byte, the register is not */
#define F_MEM16	  BIT32(3)
#define F_MEM32	  BIT32(4)
#define F_ONLY64  BIT32(5)
#define F_STACK	  BIT32(6) /* 64 bits in 64-bit mode unless 16 */

struct opcode {
	uint8_t op, form, flags;
};

#define ALU(base, op_)                                                                             \
	[(base)] = {op_, FORM_MR, F_BYTE}, [(base) + 1] = {op_, FORM_MR, 0},                       \
	[(base) + 2] = {op_, FORM_RM, F_BYTE}, [(base) + 3] = {op_, FORM_RM, 0}

enum group { GROUP_80, GROUP_81, GROUP_83, GROUP_8F, GROUP_C6, GROUP_C7, GROUP_F6, GROUP_F7,
	     GROUP_FE, GROUP_FF, GROUP_0FBA, GROUPS };

static const struct opcode one_byte[256] = {
	ALU(0x00, INST_ADD),
	ALU(0x08, INST_OR),
	ALU(0x10, INST_ADC),
	ALU(0x18, INST_SBB),
	ALU(0x20, INST_AND),
	ALU(0x28, INST_SUB),
	ALU(0x30, INST_XOR),
	ALU(0x38, INST_CMP),
	[0x63] = {INST_MOVSX, FORM_RM, F_MEM32 | F_ONLY64},
	[0x80] = {GROUP_80, FORM_M, F_GROUP},
	[0x81] = {GROUP_81, FORM_M, F_GROUP},
	[0x83] = {GROUP_83, FORM_M, F_GROUP},
	[0x84] = {INST_TEST, FORM_MR, F_BYTE},
	[0x85] = {INST_TEST, FORM_MR, 0},
	[0x86] = {INST_XCHG, FORM_MR, F_BYTE},
	[0x87] = {INST_XCHG, FORM_MR, 0},
	[0x88] = {INST_MOV, FORM_MR, F_BYTE},
	[0x89] = {INST_MOV, FORM_MR, 0},
	[0x8A] = {INST_MOV, FORM_RM, F_BYTE},
	[0x8B] = {INST_MOV, FORM_RM, 0},
	[0x8F] = {GROUP_8F, FORM_M, F_GROUP},
	[0xA0] = {INST_MOV, FORM_AO, F_BYTE},
	[0xA1] = {INST_MOV, FORM_AO, 0},
	[0xA2] = {INST_MOV, FORM_OA, F_BYTE},
	[0xA3] = {INST_MOV, FORM_OA, 0},
	[0xA4] = {INST_MOVS, FORM_STR, F_BYTE},
	[0xA5] = {INST_MOVS, FORM_STR, 0},
	[0xAA] = {INST_STOS, FORM_STR, F_BYTE},
	[0xAB] = {INST_STOS, FORM_STR, 0},
	[0xC6] = {GROUP_C6, FORM_M, F_GROUP},
	[0xC7] = {GROUP_C7, FORM_M, F_GROUP},
	[0xF6] = {GROUP_F6, FORM_M, F_GROUP},
	[0xF7] = {GROUP_F7, FORM_M, F_GROUP},
	[0xFE] = {GROUP_FE, FORM_M, F_GROUP},
	[0xFF] = {GROUP_FF, FORM_M, F_GROUP},
};

static const struct opcode two_byte[256] = {
	[0xB0] = {INST_CMPXCHG, FORM_MR, F_BYTE},
	[0xB1] = {INST_CMPXCHG, FORM_MR, 0},
	[0xB6] = {INST_MOVZX, FORM_RM, F_MEM8},
	[0xB7] = {INST_MOVZX, FORM_RM, F_MEM16},
	[0xBA] = {GROUP_0FBA, FORM_M, F_GROUP},
	[0xBE] = {INST_MOVSX, FORM_RM, F_MEM8},
	[0xBF] = {INST_MOVSX, FORM_RM, F_MEM16},
	[0xC0] = {INST_XADD, FORM_MR, F_BYTE},
	[0xC1] = {INST_XADD, FORM_MR, 0},
	[0xC3] = {INST_MOV, FORM_MR, 0}, /* MOVNTI */
};

/* clang-format off */
#define ARITH(form, flags)                                                                         \
	{                                                                                          \
		{INST_ADD, (form), (flags)}, {INST_OR, (form), (flags)},                           \
		{INST_ADC, (form), (flags)}, {INST_SBB, (form), (flags)},                          \
		{INST_AND, (form), (flags)}, {INST_SUB, (form), (flags)},                          \
		{INST_XOR, (form), (flags)}, {INST_CMP, (form), (flags)}                           \
	}
/* clang-format on */

static const struct opcode groups[GROUPS][8] = {
	[GROUP_80] = ARITH(FORM_MI8, F_BYTE),
	[GROUP_81] = ARITH(FORM_MI, 0),
	[GROUP_83] = ARITH(FORM_MI8, 0),
	[GROUP_8F] = {[0] = {INST_POP, FORM_M, F_STACK}},
	[GROUP_C6] = {[0] = {INST_MOV, FORM_MI8, F_BYTE}},
	[GROUP_C7] = {[0] = {INST_MOV, FORM_MI, 0}},
	[GROUP_F6] = {[0] = {INST_TEST, FORM_MI8, F_BYTE}, [1] = {INST_TEST, FORM_MI8, F_BYTE},
		      [2] = {INST_NOT, FORM_M, F_BYTE}, [3] = {INST_NEG, FORM_M, F_BYTE}},
	[GROUP_F7] = {[0] = {INST_TEST, FORM_MI, 0}, [1] = {INST_TEST, FORM_MI, 0},
		      [2] = {INST_NOT, FORM_M, 0}, [3] = {INST_NEG, FORM_M, 0}},
	[GROUP_FE] = {[0] = {INST_INC, FORM_M, F_BYTE}, [1] = {INST_DEC, FORM_M, F_BYTE}},
	[GROUP_FF] = {[0] = {INST_INC, FORM_M, 0}, [1] = {INST_DEC, FORM_M, 0},
		      [6] = {INST_PUSH, FORM_M, F_STACK}},
	[GROUP_0FBA] = {[4] = {INST_BT, FORM_MI8, 0}, [5] = {INST_BTS, FORM_MI8, 0},
			[6] = {INST_BTR, FORM_MI8, 0}, [7] = {INST_BTC, FORM_MI8, 0}},
};

/* Position in the bytes; `short_of` is set once one was wanted that is not there. */
struct cursor {
	const uint8_t *bytes;
	size_t len, pos;
	bool short_of;
};

static uint8_t next(struct cursor *c)
{
	if (c->pos >= c->len) {
		c->short_of = true;
		return 0;
	}
	return c->bytes[c->pos++];
}

/* Little-endian, sign-extended from its last byte. */
static uint64_t next_signed(struct cursor *c, uint32_t count)
{
	uint64_t v = 0;

	for (uint32_t i = 0; i < count; i++) {
		v |= (uint64_t)next(c) << (8U * i);
	}
	if (count < 8U && count > 0U && (v >> (8U * count - 1U)) != 0U) {
		v |= UINT64_MAX << (8U * count);
	}
	return v;
}

#define REX_W 8U
#define REX_R 4U
#define REX_X 2U
#define REX_B 1U

struct prefixes {
	uint8_t rex;
	bool opsize, addrsize, rep, repne, lock;
	int seg; /* GMEM_SEG_x, or -1 */
};

/* Legacy prefixes in any order, then REX where it is one; returns the opcode's first byte. */
static uint8_t read_prefixes(struct cursor *c, enum inst_mode mode, struct prefixes *p)
{
	static const struct {
		uint8_t byte, seg;
	} overrides[] = {{0x26, GMEM_SEG_ES}, {0x2E, GMEM_SEG_CS}, {0x36, GMEM_SEG_SS},
			 {0x3E, GMEM_SEG_DS}, {0x64, GMEM_SEG_FS}, {0x65, GMEM_SEG_GS}};

	p->seg = -1;
	for (;;) {
		uint8_t b = next(c);
		bool legacy = b == 0x66U || b == 0x67U || b == 0xF0U || b == 0xF2U || b == 0xF3U;

		p->opsize |= b == 0x66U;
		p->addrsize |= b == 0x67U;
		p->lock |= b == 0xF0U;
		p->repne |= b == 0xF2U;
		p->rep |= b == 0xF3U;
		for (size_t i = 0; i < ARRAY_SIZE(overrides); i++) {
			if (overrides[i].byte != b) {
				continue;
			}
			legacy = true;
			/* 64-bit mode ignores all but FS and GS, also where one came before. */
			if (mode != INST_MODE_64 || overrides[i].seg >= GMEM_SEG_FS) {
				p->seg = overrides[i].seg;
			}
		}
		if (mode == INST_MODE_64 && (b & 0xF0U) == 0x40U) {
			p->rex = b;
			b = next(c);
			/* A prefix after REX takes its effect away. */
			if (b == 0x66U || b == 0x67U || b == 0xF0U || b == 0xF2U || b == 0xF3U ||
			    (b & 0xF0U) == 0x40U || b == 0x64U || b == 0x65U || (b & 0xE7U) == 0x26U) {
				p->rex = 0;
				c->pos--;
				continue;
			}
			return b;
		}
		if (!legacy || c->short_of) {
			return b;
		}
	}
}

/* Base and index of 16-bit addresses. */
static void read_address16(struct cursor *c, uint8_t mod, uint8_t rm, struct inst *inst)
{
	static const uint8_t base[] = {GPR_RBX, GPR_RBX, GPR_RBP, GPR_RBP,
				       GPR_RSI, GPR_RDI, GPR_RBP, GPR_RBX};
	static const uint8_t index[] = {GPR_RSI, GPR_RDI, GPR_RSI, GPR_RDI};
	static const uint8_t disp[] = {0, 1, 2};
	bool absolute = mod == 0U && rm == 6U;

	inst->base = absolute ? INST_NO_REG : base[rm];
	inst->index = rm < ARRAY_SIZE(index) ? index[rm] : INST_NO_REG;
	inst->disp = next_signed(c, absolute ? 2U : disp[mod]);
}

/* SIB and displacement of a memory operand. In 32-bit modes `rex` is 0. */
static void read_address(struct cursor *c, uint8_t modrm, uint8_t rex, enum inst_mode mode,
			 struct inst *inst)
{
	static const uint8_t disp[] = {0, 1, 4};
	uint8_t mod = modrm >> 6, rm = modrm & 7U, sib;

	if (inst->addr_size == 2U) {
		read_address16(c, mod, rm, inst);
		return;
	}
	if (rm == 4U) {
		sib = next(c);
		rm = sib & 7U;
		inst->index = (uint8_t)(((sib >> 3) & 7U) | ((rex & REX_X) != 0U ? 8U : 0U));
		inst->index = inst->index == GPR_RSP ? INST_NO_REG : inst->index;
		inst->scale = sib >> 6;
		inst->base = mod == 0U && rm == 5U ? INST_NO_REG : rm;
	} else {
		inst->base = rm;
		if (mod == 0U && rm == 5U) {
			inst->base = mode == INST_MODE_64 ? INST_RIP : INST_NO_REG;
		}
	}
	if (inst->base < 8U && (rex & REX_B) != 0U) {
		inst->base += 8U;
	}
	inst->disp = next_signed(c, mod == 0U && rm == 5U ? 4U : disp[mod]);
}

static uint8_t operand_size(const struct prefixes *p, enum inst_mode mode, uint8_t flags)
{
	if ((flags & F_BYTE) != 0U) {
		return 1;
	}
	if ((p->rex & REX_W) != 0U) {
		return 8;
	}
	if ((flags & F_STACK) != 0U && mode == INST_MODE_64) {
		return p->opsize ? 2U : 8U;
	}
	if (mode == INST_MODE_16) {
		return p->opsize ? 4U : 2U;
	}
	return p->opsize ? 2U : 4U;
}

static uint8_t address_size(const struct prefixes *p, enum inst_mode mode)
{
	if (mode == INST_MODE_64) {
		return p->addrsize ? 4U : 8U;
	}
	return p->addrsize == (mode == INST_MODE_16) ? 4U : 2U;
}

/* A register operand of ModRM; without REX, byte registers 4-7 are AH, CH, DH, BH. */
static void set_reg(struct inst *inst, const struct prefixes *p, uint8_t modrm)
{
	inst->reg = (uint8_t)(((modrm >> 3) & 7U) | ((p->rex & REX_R) != 0U ? 8U : 0U));
	if (inst->reg_width == 1U && p->rex == 0U && inst->reg >= 4U) {
		inst->reg = (uint8_t)(inst->reg - 4U);
		inst->high_byte = true;
	}
}

static void set_widths(struct inst *inst, uint8_t size, uint8_t flags)
{
	inst->reg_width = size;
	inst->width = size;
	if ((flags & F_MEM8) != 0U) {
		inst->width = 1;
	}
	if ((flags & F_MEM16) != 0U) {
		inst->width = 2;
	}
	if ((flags & F_MEM32) != 0U) { /* MOVSXD; of 16 bits it is a plain load */
		inst->width = MIN(size, 4U);
	}
}

static void set_operands(struct inst *inst, uint8_t form)
{
	static const struct {
		uint8_t dst, src;
	} where[] = {
		[FORM_MR] = {INST_MEM, INST_REG}, [FORM_RM] = {INST_REG, INST_MEM},
		[FORM_MI] = {INST_MEM, INST_IMM}, [FORM_MI8] = {INST_MEM, INST_IMM},
		[FORM_M] = {INST_MEM, INST_NONE}, [FORM_AO] = {INST_REG, INST_MEM},
		[FORM_OA] = {INST_MEM, INST_REG}, [FORM_STR] = {INST_MEM, INST_REG},
	};

	inst->dst = (enum inst_where)where[form].dst;
	inst->src = (enum inst_where)where[form].src;
}

/* LOCK faults on a processor unless the instruction reads, changes and writes its memory operand. */
static bool lock_allowed(const struct inst *inst)
{
	static const uint32_t lockable =
		BIT32(INST_ADD) | BIT32(INST_OR) | BIT32(INST_ADC) | BIT32(INST_SBB) |
		BIT32(INST_AND) | BIT32(INST_SUB) | BIT32(INST_XOR) | BIT32(INST_INC) |
		BIT32(INST_DEC) | BIT32(INST_NOT) | BIT32(INST_NEG) | BIT32(INST_BTS) |
		BIT32(INST_BTR) | BIT32(INST_BTC) | BIT32(INST_XCHG) | BIT32(INST_CMPXCHG) |
		BIT32(INST_XADD);

	return inst->dst == INST_MEM && (BIT32(inst->op) & lockable) != 0U;
}

int inst_decode(const uint8_t *bytes, size_t len, enum inst_mode mode, struct inst *inst)
{
	struct cursor c = {.bytes = bytes, .len = MIN(len, INST_MAX_LEN)};
	struct prefixes p = {0};
	uint8_t b = read_prefixes(&c, mode, &p);
	const struct opcode *o = &one_byte[b];
	bool modrm_form, stack;
	uint8_t modrm = 0;

	(void)memset(inst, 0, sizeof(*inst));
	inst->base = INST_NO_REG;
	inst->index = INST_NO_REG;
	if (b == 0x0FU) {
		o = &two_byte[next(&c)];
	}
	if (c.short_of) {
		goto out;
	}
	if (o->form == FORM_NONE || ((o->flags & F_ONLY64) != 0U && mode != INST_MODE_64)) {
		return -EINVAL;
	}
	modrm_form = o->form < FORM_AO;
	inst->addr_size = address_size(&p, mode);
	if (modrm_form) {
		modrm = next(&c);
		if (c.short_of) {
			goto out;
		}
		if (modrm >> 6 == 3U) {
			return -EINVAL; /* a register: nothing that could have exited */
		}
		if ((o->flags & F_GROUP) != 0U) {
			o = &groups[o->op][(modrm >> 3) & 7U];
		}
		if (o->form == FORM_NONE) {
			return -EINVAL;
		}
		read_address(&c, modrm, p.rex, mode, inst);
	}
	inst->op = (enum inst_op)o->op;
	set_widths(inst, operand_size(&p, mode, o->flags), o->flags);
	set_operands(inst, o->form);
	if (modrm_form) {
		set_reg(inst, &p, modrm);
	} else if (o->form != FORM_STR) {
		inst->disp = next_signed(&c, inst->addr_size);
	}
	if (o->form == FORM_MI) {
		inst->imm = next_signed(&c, MIN(inst->width, 4U));
	} else if (o->form == FORM_MI8) {
		inst->imm = next_signed(&c, 1);
	}
	stack = inst->base == GPR_RSP || inst->base == GPR_RBP;
	inst->rep = o->form == FORM_STR && (p.rep || p.repne);
	inst->seg = p.seg >= 0 ? (uint8_t)p.seg : (stack ? GMEM_SEG_SS : GMEM_SEG_DS);
	inst->len = (uint8_t)c.pos;
	if (p.lock && !lock_allowed(inst)) {
		return -EINVAL;
	}
out:
	if (c.short_of) {
		return c.len == INST_MAX_LEN ? -EINVAL : -ENODATA;
	}
	return 0;
}
