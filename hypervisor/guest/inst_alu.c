// SPDX-License-Identifier: BSD-3-Clause
/*
 * Results and flags of the emulated arithmetic (SDM 1 appendix A, 2 under each instruction).  Pure
 * functions: nothing but the arguments is read or written.
 */
#include "asm/cpuregs.h"
#include "hv/inst.h"

#define FLAGS_ALL (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

static uint64_t value_mask(uint32_t width)
{
	return width == 8U ? UINT64_MAX : BIT(width * 8U) - 1U;
}

static uint64_t sign_bit(uint32_t width)
{
	return BIT(width * 8U - 1U);
}

/* Sign, zero and parity of the low byte. */
static uint64_t flags_szp(uint32_t width, uint64_t r)
{
	uint64_t f = (__builtin_popcount((uint32_t)r & 0xFFU) & 1) == 0 ? RFLAGS_PF : 0U;

	if (r == 0U) {
		f |= RFLAGS_ZF;
	}
	if ((r & sign_bit(width)) != 0U) {
		f |= RFLAGS_SF;
	}
	return f;
}

/* a + b + carry. The carry out of each bit is where the sum differs from the bits' exclusive or. */
static uint64_t add(uint32_t width, uint64_t a, uint64_t b, uint64_t carry, uint64_t *f)
{
	uint64_t r = (a + b + carry) & value_mask(width);
	uint64_t carries = (a & b) | ((a | b) & ~r);

	*f = flags_szp(width, r);
	if ((carries & sign_bit(width)) != 0U) {
		*f |= RFLAGS_CF;
	}
	if ((carries & 8U) != 0U) {
		*f |= RFLAGS_AF;
	}
	if (((a ^ r) & (b ^ r) & sign_bit(width)) != 0U) {
		*f |= RFLAGS_OF;
	}
	return r;
}

static uint64_t subtract(uint32_t width, uint64_t a, uint64_t b, uint64_t borrow, uint64_t *f)
{
	uint64_t r = (a - b - borrow) & value_mask(width);
	uint64_t borrows = (~a & b) | ((~a | b) & r);

	*f = flags_szp(width, r);
	if ((borrows & sign_bit(width)) != 0U) {
		*f |= RFLAGS_CF;
	}
	if ((borrows & 8U) != 0U) {
		*f |= RFLAGS_AF;
	}
	if (((a ^ b) & (a ^ r) & sign_bit(width)) != 0U) {
		*f |= RFLAGS_OF;
	}
	return r;
}

/* CF is the bit tested; the others are undefined and stay as they are. */
static uint64_t bit_test(enum inst_op op, uint32_t width, uint64_t a, uint64_t b, uint64_t *rflags)
{
	uint64_t bit = BIT(b & (width * 8U - 1U));

	*rflags = (*rflags & ~RFLAGS_CF) | ((a & bit) != 0U ? RFLAGS_CF : 0U);
	if (op == INST_BTS) {
		return a | bit;
	}
	if (op == INST_BTR) {
		return a & ~bit;
	}
	return op == INST_BTC ? a ^ bit : a;
}

uint64_t inst_alu(enum inst_op op, uint32_t width, uint64_t a, uint64_t b, uint64_t *rflags)
{
	uint64_t carry = (*rflags & RFLAGS_CF) != 0U ? 1U : 0U;
	uint64_t changed = FLAGS_ALL, f, r;

	a &= value_mask(width);
	if (op >= INST_BT && op <= INST_BTC) {
		return bit_test(op, width, a, b, rflags);
	}
	b &= value_mask(width);
	switch (op) {
	case INST_ADD:
	case INST_XADD:
		r = add(width, a, b, 0, &f);
		break;
	case INST_ADC:
		r = add(width, a, b, carry, &f);
		break;
	case INST_SUB:
	case INST_CMP:
	case INST_CMPXCHG:
		r = subtract(width, a, b, 0, &f);
		break;
	case INST_SBB:
		r = subtract(width, a, b, carry, &f);
		break;
	case INST_NEG:
		r = subtract(width, 0, a, 0, &f);
		break;
	case INST_INC:
		r = add(width, a, 1, 0, &f);
		changed &= ~RFLAGS_CF;
		break;
	case INST_DEC:
		r = subtract(width, a, 1, 0, &f);
		changed &= ~RFLAGS_CF;
		break;
	case INST_NOT:
		return ~a & value_mask(width);
	case INST_OR:
		r = a | b;
		f = flags_szp(width, r);
		break;
	case INST_XOR:
		r = a ^ b;
		f = flags_szp(width, r);
		break;
	default: /* AND, TEST */
		r = a & b;
		f = flags_szp(width, r);
		break;
	}
	*rflags = (*rflags & ~changed) | (f & changed);
	return r;
}
