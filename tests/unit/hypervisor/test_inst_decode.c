// SPDX-License-Identifier: BSD-3-Clause
/*
 * The decoder and the arithmetic of emulated instructions: pure functions, so a table of bytes and
 * what they mean, and the build machine's own processor as the judge of results and flags.
 */
/* links: hypervisor/guest/inst_decode.c hypervisor/guest/inst_alu.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "asm/cpuregs.h"
#include "hv/gmem.h"
#include "hv/inst.h"
#include "hv/vcpu.h"
#include "lib/errno.h"

#define M16 INST_MODE_16
#define M32 INST_MODE_32
#define M64 INST_MODE_64
#define DS  GMEM_SEG_DS
#define SS  GMEM_SEG_SS
#define MEM INST_MEM
#define REG INST_REG
#define IMM INST_IMM

static const struct {
	const char *bytes;
	uint8_t len;
	enum inst_mode mode;
	enum inst_op op;
	enum inst_where dst, src;
	uint8_t width, reg_width, reg;
	uint8_t seg;
	uint64_t imm;
	bool high, rep;
} encodings[] = {
	/* mov eax, [rbx] */
	{"\x8b\x03", 2, M64, INST_MOV, REG, MEM, 4, 4, GPR_RAX, DS, 0, 0, 0},
	/* mov [rbx+8], eax */
	{"\x89\x43\x08", 3, M64, INST_MOV, MEM, REG, 4, 4, GPR_RAX, DS, 0, 0, 0},
	/* mov rax, [rip+0x1234] */
	{"\x48\x8b\x05\x34\x12\x00\x00", 7, M64, INST_MOV, REG, MEM, 8, 8, GPR_RAX, DS, 0, 0, 0},
	/* mov r9, [r12]: SIB without index */
	{"\x4d\x8b\x0c\x24", 4, M64, INST_MOV, REG, MEM, 8, 8, GPR_R9, DS, 0, 0, 0},
	/* mov [r13+0], r10 */
	{"\x4d\x89\x55\x00", 4, M64, INST_MOV, MEM, REG, 8, 8, GPR_R10, DS, 0, 0, 0},
	/* mov byte ptr [rbx+rcx*8+0x12345678], ah */
	{"\x88\xa4\xcb\x78\x56\x34\x12", 7, M64, INST_MOV, MEM, REG, 1, 1, GPR_RAX, DS, 0, 1, 0},
	/* mov sil, [rbx]: a REX prefix makes it SIL, not DH */
	{"\x40\x8a\x33", 3, M64, INST_MOV, REG, MEM, 1, 1, GPR_RSI, DS, 0, 0, 0},
	/* mov ax, [rbp] */
	{"\x66\x8b\x45\x00", 4, M64, INST_MOV, REG, MEM, 2, 2, GPR_RAX, SS, 0, 0, 0},
	/* mov dword ptr [rsp+16], 0x80000001 */
	{"\xc7\x44\x24\x10\x01\x00\x00\x80", 8, M64, INST_MOV, MEM, IMM, 4, 4, 0, SS,
	 0xFFFFFFFF80000001, 0, 0},
	/* mov qword ptr [rbx], -2 */
	{"\x48\xc7\x03\xfe\xff\xff\xff", 7, M64, INST_MOV, MEM, IMM, 8, 8, 0, DS, -2UL, 0, 0},
	/* mov word ptr [rbx], 0x1234 */
	{"\x66\xc7\x03\x34\x12", 5, M64, INST_MOV, MEM, IMM, 2, 2, 0, DS, 0x1234, 0, 0},
	/* mov byte ptr [rbx], 0xff */
	{"\xc6\x03\xff", 3, M64, INST_MOV, MEM, IMM, 1, 1, 0, DS, -1UL, 0, 0},
	/* movabs eax, [..]; movabs [..], al; the same with a 4-byte address */
	{"\xa1\x88\x77\x66\x55\x44\x33\x22\x11", 9, M64, INST_MOV, REG, MEM, 4, 4, 0, DS, 0, 0, 0},
	{"\xa2\x88\x77\x66\x55\x44\x33\x22\x11", 9, M64, INST_MOV, MEM, REG, 1, 1, 0, DS, 0, 0, 0},
	{"\x67\xa2\x88\x77\x66\x55", 6, M64, INST_MOV, MEM, REG, 1, 1, 0, DS, 0, 0, 0},
	/* movzx eax, byte; movzx r8, word; movsx eax, byte; movsx rax, word; movsxd rax */
	{"\x0f\xb6\x03", 3, M64, INST_MOVZX, REG, MEM, 1, 4, 0, DS, 0, 0, 0},
	{"\x4c\x0f\xb7\x03", 4, M64, INST_MOVZX, REG, MEM, 2, 8, GPR_R8, DS, 0, 0, 0},
	{"\x0f\xbe\x03", 3, M64, INST_MOVSX, REG, MEM, 1, 4, 0, DS, 0, 0, 0},
	{"\x48\x0f\xbf\x03", 4, M64, INST_MOVSX, REG, MEM, 2, 8, 0, DS, 0, 0, 0},
	{"\x48\x63\x03", 3, M64, INST_MOVSX, REG, MEM, 4, 8, 0, DS, 0, 0, 0},
	/* movsxd eax; movsxd ax, which reads 16 bits */
	{"\x63\x03", 2, M64, INST_MOVSX, REG, MEM, 4, 4, 0, DS, 0, 0, 0},
	{"\x66\x63\x03", 3, M64, INST_MOVSX, REG, MEM, 2, 2, 0, DS, 0, 0, 0},
	/* arithmetic in all its forms */
	{"\x01\x03", 2, M64, INST_ADD, MEM, REG, 4, 4, 0, DS, 0, 0, 0},
	{"\x0a\x03", 2, M64, INST_OR, REG, MEM, 1, 1, 0, DS, 0, 0, 0},
	{"\x48\x11\x0b", 3, M64, INST_ADC, MEM, REG, 8, 8, GPR_RCX, DS, 0, 0, 0},
	{"\x1a\x13", 2, M64, INST_SBB, REG, MEM, 1, 1, GPR_RDX, DS, 0, 0, 0},
	{"\xf0\x83\x23\x7f", 4, M64, INST_AND, MEM, IMM, 4, 4, 4, DS, 0x7F, 0, 0},
	{"\x81\x2b\x78\x56\x34\x12", 6, M64, INST_SUB, MEM, IMM, 4, 4, 5, DS, 0x12345678, 0, 0},
	{"\x80\x33\x01", 3, M64, INST_XOR, MEM, IMM, 1, 1, 2, DS, 1, 1, 0},
	{"\x83\x3b\xff", 3, M64, INST_CMP, MEM, IMM, 4, 4, 7, DS, -1UL, 0, 0},
	{"\xf7\x03\x00\x01\x00\x00", 6, M64, INST_TEST, MEM, IMM, 4, 4, 0, DS, 0x100, 0, 0},
	{"\xf6\x03\x80", 3, M64, INST_TEST, MEM, IMM, 1, 1, 0, DS, -0x80UL, 0, 0},
	{"\x85\x0b", 2, M64, INST_TEST, MEM, REG, 4, 4, GPR_RCX, DS, 0, 0, 0},
	{"\xf7\x13", 2, M64, INST_NOT, MEM, INST_NONE, 4, 4, 2, DS, 0, 0, 0},
	{"\xf6\x1b", 2, M64, INST_NEG, MEM, INST_NONE, 1, 1, 3, DS, 0, 0, 0},
	{"\xff\x03", 2, M64, INST_INC, MEM, INST_NONE, 4, 4, 0, DS, 0, 0, 0},
	{"\x48\xff\x0b", 3, M64, INST_DEC, MEM, INST_NONE, 8, 8, 1, DS, 0, 0, 0},
	{"\x87\x13", 2, M64, INST_XCHG, MEM, REG, 4, 4, GPR_RDX, DS, 0, 0, 0},
	{"\xf0\x0f\xb1\x0b", 4, M64, INST_CMPXCHG, MEM, REG, 4, 4, GPR_RCX, DS, 0, 0, 0},
	{"\xf0\x0f\xc1\x0b", 4, M64, INST_XADD, MEM, REG, 4, 4, GPR_RCX, DS, 0, 0, 0},
	{"\x0f\xba\x23\x05", 4, M64, INST_BT, MEM, IMM, 4, 4, 4, DS, 5, 0, 0},
	{"\xf0\x0f\xba\x2b\x1f", 5, M64, INST_BTS, MEM, IMM, 4, 4, 5, DS, 31, 0, 0},
	{"\x66\x0f\xba\x33\x11", 5, M64, INST_BTR, MEM, IMM, 2, 2, 6, DS, 17, 0, 0},
	{"\x48\x0f\xba\x3b\x3f", 5, M64, INST_BTC, MEM, IMM, 8, 8, 7, DS, 63, 0, 0},
	/* strings */
	{"\xf3\xa4", 2, M64, INST_MOVS, MEM, REG, 1, 1, 0, DS, 0, 0, 1},
	{"\x48\xa5", 2, M64, INST_MOVS, MEM, REG, 8, 8, 0, DS, 0, 0, 0},
	{"\xf3\xab", 2, M64, INST_STOS, MEM, REG, 4, 4, 0, DS, 0, 0, 1},
	{"\xf2\xab", 2, M64, INST_STOS, MEM, REG, 4, 4, 0, DS, 0, 0, 1},
	{"\x64\x67\xf3\xa5", 4, M64, INST_MOVS, MEM, REG, 4, 4, 0, GMEM_SEG_FS, 0, 0, 1},
	/* push and pop take 8 bytes without REX.W */
	{"\xff\x33", 2, M64, INST_PUSH, MEM, INST_NONE, 8, 8, 6, DS, 0, 0, 0},
	{"\x66\xff\x33", 3, M64, INST_PUSH, MEM, INST_NONE, 2, 2, 6, DS, 0, 0, 0},
	{"\x8f\x03", 2, M64, INST_POP, MEM, INST_NONE, 8, 8, 0, DS, 0, 0, 0},
	/* movnti; segment overrides, of which 64-bit mode knows two; a REX that comes too early */
	{"\x48\x0f\xc3\x03", 4, M64, INST_MOV, MEM, REG, 8, 8, 0, DS, 0, 0, 0},
	{"\x65\x89\x03", 3, M64, INST_MOV, MEM, REG, 4, 4, 0, GMEM_SEG_GS, 0, 0, 0},
	{"\x2e\x89\x03", 3, M64, INST_MOV, MEM, REG, 4, 4, 0, DS, 0, 0, 0},
	{"\x48\x66\x89\x03", 4, M64, INST_MOV, MEM, REG, 2, 2, 0, DS, 0, 0, 0},
	{"\x41\x48\x89\x03", 4, M64, INST_MOV, MEM, REG, 8, 8, 0, DS, 0, 0, 0},
	{"\x67\x8b\x03", 3, M64, INST_MOV, REG, MEM, 4, 4, 0, DS, 0, 0, 0},
	/* 32-bit mode: 0x40-0x4F are no prefixes; 16-bit addressing by 67 */
	{"\x8b\x03", 2, M32, INST_MOV, REG, MEM, 4, 4, 0, DS, 0, 0, 0},
	{"\x67\x66\x8b\x42\x10", 5, M32, INST_MOV, REG, MEM, 2, 2, 0, SS, 0, 0, 0},
	{"\x8b\x0d\x78\x56\x34\x12", 6, M32, INST_MOV, REG, MEM, 4, 4, GPR_RCX, DS, 0, 0, 0},
	{"\x26\x89\x0c\x85\x00\x00\xe0\xfe", 8, M32, INST_MOV, MEM, REG, 4, 4, GPR_RCX,
	 GMEM_SEG_ES, 0, 0, 0},
	{"\xa0\x20\x00\xe0\xfe", 5, M32, INST_MOV, REG, MEM, 1, 1, 0, DS, 0, 0, 0},
	{"\xff\x33", 2, M32, INST_PUSH, MEM, INST_NONE, 4, 4, 6, DS, 0, 0, 0},
	{"\x67\x88\x15", 3, M32, INST_MOV, MEM, REG, 1, 1, GPR_RDX, DS, 0, 0, 0},
	{"\x67\xfe\x00", 3, M32, INST_INC, MEM, INST_NONE, 1, 1, 0, DS, 0, 0, 0},
	/* 16-bit mode */
	{"\x8b\x07", 2, M16, INST_MOV, REG, MEM, 2, 2, 0, DS, 0, 0, 0},
	{"\x66\x8b\x47\x02", 4, M16, INST_MOV, REG, MEM, 4, 4, 0, DS, 0, 0, 0},
	{"\x67\x89\x03", 3, M16, INST_MOV, MEM, REG, 2, 2, 0, DS, 0, 0, 0},
	{"\xa0\x34\x12", 3, M16, INST_MOV, REG, MEM, 1, 1, 0, DS, 0, 0, 0},
	{"\xc7\x46\x02\xaa\x55", 5, M16, INST_MOV, MEM, IMM, 2, 2, 0, SS, 0x55AA, 0, 0},
	{"\xf3\xab", 2, M16, INST_STOS, MEM, REG, 2, 2, 0, DS, 0, 0, 1},
	{"\x66\x81\x06\x10\x00\x78\x56\x34\x12", 9, M16, INST_ADD, MEM, IMM, 4, 4, 0, DS,
	 0x12345678, 0, 0},
};

/* Does every encoding of the table mean what the assembler wrote it for? */
static void test_encodings(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(encodings); i++) {
		uint8_t bytes[INST_MAX_LEN];
		struct inst in;

		memset(bytes, 0x90, sizeof(bytes));
		memcpy(bytes, encodings[i].bytes, encodings[i].len);
		if (inst_decode(bytes, sizeof(bytes), encodings[i].mode, &in) != 0 ||
		    in.len != encodings[i].len || in.op != encodings[i].op)
			fail_msg("encoding %zu: length %u, operation %d", i, in.len, (int)in.op);
		assert_int_equal(in.dst, encodings[i].dst);
		assert_int_equal(in.src, encodings[i].src);
		assert_int_equal(in.width, encodings[i].width);
		assert_int_equal(in.reg_width, encodings[i].reg_width);
		if (in.dst == REG || in.src == REG)
			assert_int_equal(in.reg, encodings[i].reg);
		if (in.src == REG || in.dst == REG)
			assert_int_equal(in.high_byte, encodings[i].high);
		assert_int_equal(in.seg, encodings[i].seg);
		assert_int_equal(in.imm, encodings[i].imm);
		assert_int_equal(in.rep, encodings[i].rep);
	}
}

/* Is an instruction whose end is missing told from one that is wrong, at every length? */
static void test_truncated(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(encodings); i++) {
		for (size_t len = 0; len < encodings[i].len; len++) {
			uint8_t *exact = malloc(len + 1U); /* the sanitizer sees a byte too many */
			struct inst in;

			memcpy(exact + 1, encodings[i].bytes, len);
			assert_int_equal(inst_decode(exact + 1, len, encodings[i].mode, &in),
					 -ENODATA);
			free(exact);
		}
	}
}

static const struct {
	const char *bytes;
	uint8_t len;
	enum inst_mode mode;
} refused[] = {
	{"\x8b\xc3", 2, M64},		  /* register operand */
	{"\x0f\x0b", 2, M64},		  /* UD2 */
	{"\x0f\x10\x03", 3, M64},	  /* MOVUPS */
	{"\xc5\xf8\x10\x03", 4, M64},	  /* VMOVUPS */
	{"\xff\x13", 2, M64},		  /* CALL [rbx] */
	{"\xff\x23", 2, M64},		  /* JMP [rbx] */
	{"\xf7\x23", 2, M64},		  /* MUL */
	{"\xf7\x3b", 2, M64},		  /* IDIV */
	{"\x8f\x0b", 2, M64},		  /* group 8F /1 */
	{"\xc7\x4b\x00\x00\x00\x00\x00", 7, M64}, /* group C7 /1 */
	{"\x0f\xba\x03\x01", 4, M64},	  /* group 0FBA /0 */
	{"\x0f\xa3\x03", 3, M64},	  /* BT with a register: the operand may be elsewhere */
	{"\x0f\xc7\x0b", 3, M64},	  /* CMPXCHG8B */
	{"\xd1\x23", 2, M64},		  /* SHL */
	{"\xa6", 1, M64},		  /* CMPSB */
	{"\x6c", 1, M64},		  /* INSB */
	{"\xd9\x03", 2, M64},		  /* FLD */
	{"\x63\x03", 2, M32},		  /* ARPL, which is MOVSXD in 64-bit mode only */
	{"\x40\x8b\x03", 3, M32},	  /* INC EAX */
	{"\xf0\x8b\x03", 3, M64},	  /* LOCK MOV */
	{"\xf0\x3b\x03", 3, M64},	  /* LOCK CMP */
	{"\xf0\x03\x03", 3, M64},	  /* LOCK ADD with a register destination */
	{"\xf0\x0f\xba\x23\x01", 5, M64}, /* LOCK BT */
	{"\xf0\xf3\xab", 3, M64},	  /* LOCK STOS */
};

/* Is what is not emulated refused, and not taken for something else? */
static void test_refused(void **state)
{
	struct inst in;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		uint8_t bytes[INST_MAX_LEN] = {0};

		memcpy(bytes, refused[i].bytes, refused[i].len);
		if (inst_decode(bytes, sizeof(bytes), refused[i].mode, &in) != -EINVAL)
			fail_msg("bytes %zu were taken", i);
	}
}

/* What if prefixes fill the 15 bytes? A processor faults; the decoder must not ask for more. */
static void test_too_long(void **state)
{
	uint8_t bytes[INST_MAX_LEN + 2U];
	struct inst in;

	(void)state;
	memset(bytes, 0x66, sizeof(bytes));
	assert_int_equal(inst_decode(bytes, INST_MAX_LEN, M64, &in), -EINVAL);
	bytes[INST_MAX_LEN - 1U] = 0x8B; /* the ModRM byte would be the sixteenth */
	bytes[INST_MAX_LEN] = 0x03;
	assert_int_equal(inst_decode(bytes, sizeof(bytes), M64, &in), -EINVAL);
	bytes[INST_MAX_LEN - 2U] = 0x8B;
	bytes[INST_MAX_LEN - 1U] = 0x03;
	assert_int_equal(inst_decode(bytes, sizeof(bytes), M64, &in), 0);
	assert_int_equal(in.len, INST_MAX_LEN);
}

#define FLAGS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

/* The build machine runs the same operation: `flags` goes in and out through the stack. */
#define NATIVE2(insn, type)                                                                        \
	static uint64_t native_##insn##_##type(uint64_t a, uint64_t b, uint64_t *flags)            \
	{                                                                                          \
		type r = (type)a;                                                                  \
		uint64_t f = *flags;                                                               \
		__asm__ volatile("push %[f]; popfq; " #insn " %[b], %[r]; pushfq; pop %[f]"        \
				 : [r] "+r"(r), [f] "+r"(f)                                        \
				 : [b] "r"((type)b)                                                \
				 : "cc", "memory");                                                \
		*flags = f;                                                                        \
		return r;                                                                          \
	}
#define NATIVE1(insn, type)                                                                        \
	static uint64_t native_##insn##_##type(uint64_t a, uint64_t b, uint64_t *flags)            \
	{                                                                                          \
		type r = (type)a;                                                                  \
		uint64_t f = *flags;                                                               \
		(void)b;                                                                           \
		__asm__ volatile("push %[f]; popfq; " #insn " %[r]; pushfq; pop %[f]"              \
				 : [r] "+r"(r), [f] "+r"(f)                                        \
				 :                                                                 \
				 : "cc", "memory");                                                \
		*flags = f;                                                                        \
		return r;                                                                          \
	}
#define NATIVES(kind, insn)                                                                        \
	kind(insn, uint8_t) kind(insn, uint16_t) kind(insn, uint32_t) kind(insn, uint64_t)
NATIVES(NATIVE2, add)
NATIVES(NATIVE2, or)
NATIVES(NATIVE2, adc)
NATIVES(NATIVE2, sbb)
NATIVES(NATIVE2, and)
NATIVES(NATIVE2, sub)
NATIVES(NATIVE2, xor)
NATIVES(NATIVE2, cmp)
NATIVES(NATIVE2, test)
NATIVES(NATIVE1, inc)
NATIVES(NATIVE1, dec)
NATIVES(NATIVE1, not)
NATIVES(NATIVE1, neg)

#define ALL_WIDTHS(insn)                                                                           \
	{native_##insn##_uint8_t, native_##insn##_uint16_t, native_##insn##_uint32_t,              \
	 native_##insn##_uint64_t}

static const struct {
	enum inst_op op;
	uint64_t (*native[4])(uint64_t a, uint64_t b, uint64_t *flags);
	uint64_t undefined; /* flags the manual leaves open */
} operations[] = {
	{INST_ADD, ALL_WIDTHS(add), 0},		{INST_OR, ALL_WIDTHS(or), RFLAGS_AF},
	{INST_ADC, ALL_WIDTHS(adc), 0},		{INST_SBB, ALL_WIDTHS(sbb), 0},
	{INST_AND, ALL_WIDTHS(and), RFLAGS_AF}, {INST_SUB, ALL_WIDTHS(sub), 0},
	{INST_XOR, ALL_WIDTHS(xor), RFLAGS_AF}, {INST_CMP, ALL_WIDTHS(cmp), 0},
	{INST_TEST, ALL_WIDTHS(test), RFLAGS_AF}, {INST_INC, ALL_WIDTHS(inc), 0},
	{INST_DEC, ALL_WIDTHS(dec), 0},		{INST_NOT, ALL_WIDTHS(not), 0},
	{INST_NEG, ALL_WIDTHS(neg), 0},
};

static void compare(size_t n, uint32_t size, uint64_t a, uint64_t b, uint64_t flags)
{
	uint64_t mask = ~operations[n].undefined & FLAGS;
	uint64_t native_flags = flags, our_flags = flags, native, ours;

	native = operations[n].native[size](a, b, &native_flags);
	ours = inst_alu(operations[n].op, 1U << size, a, b, &our_flags);
	if (operations[n].op != INST_CMP && operations[n].op != INST_TEST && native != ours)
		fail_msg("operation %zu, %u bytes, %lx %lx: %lx, not %lx", n, 1U << size, a, b,
			 ours, native);
	if (((native_flags ^ our_flags) & mask) != 0U)
		fail_msg("operation %zu, %u bytes, %lx %lx: flags %lx, not %lx", n, 1U << size, a,
			 b, our_flags & mask, native_flags & mask);
	assert_int_equal((our_flags ^ flags) & ~FLAGS, 0);
}

/* Are results and flags those of a processor, at the edges and in between, carry set and clear? */
static void test_alu_like_processor(void **state)
{
	static const uint64_t edges[] = {0, 1, 2, 0xF, 0x10, 0x7F, 0x80, 0x81, 0xFF, 0x7FFF, 0x8000,
		0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF,
		0x8000000000000000, UINT64_MAX};

	(void)state;
	srand(1);
	for (size_t n = 0; n < ARRAY_SIZE(operations); n++) {
		for (uint32_t size = 0; size < 4U; size++) {
			for (size_t i = 0; i < ARRAY_SIZE(edges) * ARRAY_SIZE(edges); i++) {
				uint64_t a = edges[i / ARRAY_SIZE(edges)];
				uint64_t b = edges[i % ARRAY_SIZE(edges)];

				compare(n, size, a, b, RFLAGS_FIXED);
				compare(n, size, a, b, RFLAGS_FIXED | FLAGS);
			}
			for (int i = 0; i < 500; i++) {
				uint64_t a = (uint64_t)random() << 33 ^ (uint64_t)random();
				uint64_t b = (uint64_t)random() << 33 ^ (uint64_t)random();

				compare(n, size, a, b, RFLAGS_FIXED | (a & FLAGS));
			}
		}
	}
}

/* Do the bit operations take the bit modulo the width, and touch CF alone? */
static void test_bit_operations(void **state)
{
	uint64_t f = RFLAGS_FIXED | RFLAGS_ZF | RFLAGS_OF;

	(void)state;
	assert_int_equal(inst_alu(INST_BTS, 4, 0, 33, &f), 2);
	assert_int_equal(f, RFLAGS_FIXED | RFLAGS_ZF | RFLAGS_OF);
	assert_int_equal(inst_alu(INST_BTR, 2, 0xFFFF, 16 + 15, &f), 0x7FFF);
	assert_int_equal(f, RFLAGS_FIXED | RFLAGS_ZF | RFLAGS_OF | RFLAGS_CF);
	assert_int_equal(inst_alu(INST_BTC, 8, 0, 63, &f), 1UL << 63);
	assert_int_equal(f & RFLAGS_CF, 0);
	assert_int_equal(inst_alu(INST_BT, 4, 8, 3, &f), 8);
	assert_int_equal(f & RFLAGS_CF, RFLAGS_CF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encodings),	   cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_refused),		   cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_alu_like_processor), cmocka_unit_test(test_bit_operations),
	};

	return cmocka_run_group_tests_name("inst_decode", tests, NULL, NULL);
}
