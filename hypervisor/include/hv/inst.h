/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_INST_H
#define HV_INST_H

#include "lib/types.h"

struct vcpu;
struct gmem_trail;
struct gmem_fault;

#define INST_MAX_LEN 15U
#define INST_NO_REG  0xFFU
#define INST_RIP     0xFEU

enum inst_op {
	INST_MOV,
	INST_MOVZX,
	INST_MOVSX,
	INST_ADD,
	INST_OR,
	INST_ADC,
	INST_SBB,
	INST_AND,
	INST_SUB,
	INST_XOR,
	INST_CMP,
	INST_TEST,
	INST_INC,
	INST_DEC,
	INST_NOT,
	INST_NEG,
	INST_BT,
	INST_BTS,
	INST_BTR,
	INST_BTC,
	INST_XCHG,
	INST_CMPXCHG,
	INST_XADD,
	INST_MOVS,
	INST_STOS,
	INST_PUSH,
	INST_POP,
	INST_OPS,
};

/* Where an operand is. INST_MEM is the one in memory, of which an instruction has one or two. */
enum inst_where { INST_NONE, INST_MEM, INST_REG, INST_IMM };

enum inst_mode { INST_MODE_16 = 2, INST_MODE_32 = 4, INST_MODE_64 = 8 };

/* A decoded instruction with a memory operand. */
struct inst {
	enum inst_op op;
	enum inst_where dst, src;
	uint8_t len;
	uint8_t width;	   /* bytes of the memory operand */
	uint8_t reg_width; /* bytes of the register operand */
	uint8_t addr_size; /* 2, 4, 8 */
	uint8_t reg;	   /* GPR_x */
	bool high_byte;	   /* AH, CH, DH, BH: bits 15:8 of `reg` 0-3 */
	bool rep;
	uint8_t seg;  /* GMEM_SEG_x of the memory operand (of the source, for MOVS) */
	uint8_t base, index; /* GPR_x, INST_NO_REG or, for the base, INST_RIP: of ModRM's address */
	uint8_t scale;	     /* the index is shifted by it */
	uint64_t disp;	     /* sign-extended, or the absolute offset */
	uint64_t imm; /* sign-extended */
};

/*
 * Decode the instruction that begins at bytes[0]; a pure function of its arguments. 0; -ENODATA:
 * it is longer than `len`; -EINVAL: not one that is emulated.
 */
int inst_decode(const uint8_t *bytes, size_t len, enum inst_mode mode, struct inst *inst);

/*
 * The arithmetic of a two-operand (b ignored by INC, DEC, NOT, NEG) operation on `width` bytes:
 * the result, and CF, PF, AF, ZF, SF, OF in *rflags as the processor leaves them.
 */
uint64_t inst_alu(enum inst_op op, uint32_t width, uint64_t a, uint64_t b, uint64_t *rflags);

/*
 * Emulate the instruction at the guest's RIP, whose access to `gpa` (a write if `write`) exited:
 * its bytes are read once, the access goes through vio_dispatch(), the result into registers,
 * flags or memory. Ends with the instruction skipped, or a fault injected (#UD for one it does not
 * know, with one log line).
 */
void inst_emulate(struct vcpu *vcpu, gpa_t gpa, bool write);

/*
 * inst_mem.c: where an operand lies; `first` bytes of it at gpa[0], the rest, if any, at gpa[1],
 * the beginning of another page.
 */
struct inst_place {
	gpa_t gpa[2];
	uint8_t width, first;
};

/*
 * The operand whose access exited, at a page's beginning: does it begin in the page before? And
 * where it lies if it lies in two pages, or -EFAULT and *fault. Own CPU.
 */
bool inst_begins_before(const struct vcpu *vcpu, const struct inst *inst, bool write);
int inst_place_split(struct vcpu *vcpu, const struct inst *inst, bool write, struct inst_place *p,
		     struct gmem_fault *fault);
/* The same for `width` bytes at a linear address; `access` is GMEM_WRITE or 0. */
int inst_place_gva(struct vcpu *vcpu, gva_t gva, uint8_t width, uint32_t access,
		   struct inst_place *p, struct gmem_fault *fault);
/* Each part goes to whoever serves its page, in two pages memory too. */
uint64_t inst_mem_read(struct vcpu *vcpu, const struct inst_place *p);
void inst_mem_write(struct vcpu *vcpu, const struct inst_place *p, uint64_t val);

/*
 * inst_cache.c: what was decoded at this linear address before, if the same way leads to the same
 * bytes, or NULL; and remember it. Own CPU.
 */
const struct inst *inst_cache_find(const struct vcpu *vcpu, gva_t rip, enum inst_mode mode);
void inst_cache_put(const struct vcpu *vcpu, gva_t rip, enum inst_mode mode,
		    const struct gmem_trail *trail, const uint8_t bytes[INST_MAX_LEN],
		    const struct inst *inst);

/* Add to a register as string instructions do: `mask` is their address size. */
void inst_advance(struct vcpu *vcpu, uint32_t reg, uint64_t delta, uint64_t mask);

#endif
