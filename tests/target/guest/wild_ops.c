// SPDX-License-Identifier: BSD-3-Clause
/*
 * The wild guest's table of instructions: those that exit and those that stand where an exit
 * makes a difference (single steps, shadows of STI and MOV SS, ends of pages and segments, device
 * memory). Run by wild.c in each mode; bare processor and VM must agree.
 */
#include "wild.h"

#define OP(n, c, ...) {.name = n, .code = c, .len = sizeof(c) - 1U, ##__VA_ARGS__}

/* Modes not to be tried, a bit each. */
#define RING0	 0xaf5U
#define BITS16	 0xe10U
#define BITS64	 0x003U
#define NOT_LONG 0xffcU
#define NOT_16	 0x1efU
#define REAL	 0x800U

#define TF	  BIT(8)
#define PIC_MASK  .rdx = 0x21U
#define MOV_SS	  "\x8e\xd2" /* mov ss, edx */
#define SET	  "\xc7\x03\x78\x56\x34\x12" /* mov dword [rbx], 0x12345678 */
#define GET	  "\x8b\x03"			 /* mov eax, [rbx] */
#define FLAGS	  "\x9c\x58"			 /* pushf; pop rax */
#define MEM(n, c) OP("mmio " n, SET c GET, .modes = BITS16, .value = true, .rcx = 0x87654321U), \
	OP("flags " n, SET c FLAGS, .modes = BITS16, .value = true, .rcx = 0x87654321U)

const struct op ops[] = {
	OP("nop", "\x90"),
	OP("cpuid", "\x0f\xa2"),
	OP("cpuid tf", "\x0f\xa2", .flags = TF),
	OP("cpuid lock", "\xf0\x0f\xa2"),
	OP("cpuid movss", MOV_SS "\x0f\xa2", .rdx = SS_HERE),
	OP("cpuid movss tf", MOV_SS "\x0f\xa2", .flags = TF, .rdx = SS_HERE),
	OP("nop movss tf", MOV_SS "\x90", .flags = TF, .rdx = SS_HERE),
	OP("cpuid sti", "\xfb\x0f\xa2"),
	OP("sti tf", "\xfb\x90", .flags = TF),
	OP("int1", "\xf1"),
	OP("int1 movss", MOV_SS "\xf1", .rdx = SS_HERE),
	OP("int1 sti", "\xfb\xf1"),
	OP("int3", "\xcc"),
	OP("int 80", "\xcd\x80"),
	OP("icebp tf", "\xf1", .flags = TF),
	OP("ud2 tf", "\x0f\x0b", .flags = TF),
	OP("ud2 movss tf", MOV_SS "\x0f\x0b", .flags = TF, .rdx = SS_HERE),
	OP("rdmsr", "\x0f\x32", .rcx = 0x1bU),
	OP("rdmsr tf", "\x0f\x32", .rcx = 0x1bU, .flags = TF),
	OP("rdmsr none", "\x0f\x32", .rcx = 0x12345678U),
	OP("wrmsr none", "\x0f\x30", .rcx = 0x12345678U),
	OP("wrmsr base", "\x0f\x30", .rcx = 0x1bU, .rdx = 0xffffffffU),
	OP("wrmsr x2apic", "\x0f\x30", .rcx = 0x80bU),
	OP("wrmsr efer", "\x0f\x30", .rcx = 0xc0000080U, .rax = 0x80000000U),
	OP("wrmsr pat", "\x0f\x30", .rcx = 0x277U, .rax = 0x02030203U),
	OP("wrmsr lstar", "\x0f\x30", .rcx = 0xc0000082U, .rdx = 0x80000000U),
	OP("wrmsr sysenter", "\x0f\x30", .rcx = 0x176U, .rdx = 0x80000000U),
	OP("wrmsr mtrr", "\x0f\x30", .rcx = 0x2ffU, .rax = 0x2U),
	OP("rdtsc", "\x0f\x31"),
	OP("rdtscp", "\x0f\x01\xf9"),
	OP("rdpmc none", "\x0f\x33", .rcx = 0xffffU),
	OP("hlt", "\xf4", .modes = RING0),
	OP("invd", "\x0f\x08"),
	OP("wbinvd", "\x0f\x09"),
	OP("wbinvd tf", "\x0f\x09", .flags = TF),
	OP("invlpg", "\x0f\x01\x3f"),
	OP("invpcid bad", "\x66\x0f\x38\x82\x07", .rax = 5U, .modes = BITS16),
	OP("mov cr0 nw", "\x0f\x22\xc0", .rax = 0x20000011U),
	OP("mov cr0 pg", "\x0f\x22\xc0", .rax = 0x80000000U),
	OP("mov cr1", "\x0f\x22\xc8"),
	OP("mov cr4", "\x0f\x22\xe0", .rax = 0x80000000U),
	OP("mov cr4 la57", "\x0f\x22\xe0", .rax = 0x1020U),
	OP("mov cr5", "\x0f\x22\xe8"),
	OP("mov cr8 16", "\x44\x0f\x22\xc0", .rax = 16U, .modes = NOT_LONG),
	OP("mov cr8", "\x44\x0f\x22\xc0\x44\x0f\x20\xc0", .rax = 15U, .modes = NOT_LONG, .value = true),
	OP("mov cr8 0", "\x44\x0f\x22\xc0", .modes = NOT_LONG),
	OP("clts", "\x0f\x06"),
	OP("lmsw", "\x0f\x01\xf0", .rax = 1U, .modes = REAL),
	OP("smsw", "\x0f\x01\xe0"),
	OP("mov dr7", "\x0f\x23\xf8", .rax = 0x400U),
	OP("mov dr6", "\x0f\x21\xf0"),
	OP("xsetbv 0", "\x0f\x01\xd1"),
	OP("xsetbv 5", "\x0f\x01\xd1", .rax = 5U),
	OP("xsetbv bad", "\x0f\x01\xd1", .rax = 0x80000001U),
	OP("xsetbv 1", "\x0f\x01\xd1", .rax = 1U),
	OP("xsetbv xcr1", "\x0f\x01\xd1", .rax = 1U, .rcx = 1U),
	OP("vmcall", "\x0f\x01\xc1"),
	OP("vmlaunch", "\x0f\x01\xc2"),
	OP("vmresume", "\x0f\x01\xc3"),
	OP("vmxoff", "\x0f\x01\xc4"),
	OP("vmfunc", "\x0f\x01\xd4"),
	OP("vmread", "\x0f\x78\xc0"),
	OP("vmwrite", "\x0f\x79\xc0"),
	OP("vmptrld", "\x0f\xc7\x33"),
	OP("vmclear", "\x66\x0f\xc7\x33"),
	OP("vmxon", "\xf3\x0f\xc7\x33"),
	OP("invept", "\x66\x0f\x38\x80\x07", .modes = BITS16),
	OP("invvpid", "\x66\x0f\x38\x81\x07", .modes = BITS16),
	OP("monitor", "\x0f\x01\xc8"),
	OP("mwait", "\x0f\x01\xc9", .modes = RING0),
	OP("getsec", "\x0f\x37"),
	OP("rsm", "\x0f\xaa"),
	OP("pause", "\xf3\x90"),
	/* ltr 16-bit; PAE; LME; PG */
	OP("long by 16-bit tr",
	   "\xb8\x68\x00\x00\x00\x0f\x00\xd8\xb8\x20\x00\x00\x00\x0f\x22\xe0\xb9\x80\x00\x00\xc0"
	   "\x0f\x32\x0d\x00\x01\x00\x00\x0f\x30\x0f\x20\xc0\x0d\x00\x00\x00\x80\x0f\x22\xc0",
	   .modes = 0xfdfU),
	OP("in imm", "\xe4\x21"),
	OP("in tf", "\xe4\x21", .flags = TF),
	OP("in movss tf", MOV_SS "\xe4\x21", .flags = TF, .rdx = SS_HERE),
	OP("in dx", "\xed", PIC_MASK),
	OP("in lock", "\xf0\xec", PIC_MASK),
	OP("out", "\xe6\x80"),
	OP("insb", "\x6c", PIC_MASK),
	OP("insd", "\x6d", PIC_MASK),
	OP("outsb", "\x6e", .rdx = 0x80U),
	OP("rep insb", "\xf3\x6c", PIC_MASK, .rcx = 3U),
	OP("rep insb 0", "\xf3\x6c", PIC_MASK),
	OP("rep insb tf", "\xf3\x6c", PIC_MASK, .rcx = 3U, .flags = TF),
	OP("rep outsb", "\xf3\x6e", .rdx = 0x80U, .rcx = 3U),
	OP("ins limit", "\xbf\xff\xff\x6d", PIC_MASK, .modes = NOT_16),
	OP("outs limit", "\xbe\xff\xff\x36\x6f", .rdx = 0x80U, .modes = NOT_16),
	OP("ins absent", "\xbf\x00\x50\x06\x00\x6c", PIC_MASK, .modes = BITS16),
	OP("ins edge", "\xbf\xfe\x4f\x06\x00\x6d", PIC_MASK, .modes = BITS16),
	OP("rep ins edge", "\xbf\xfe\x4f\x06\x00\xf3\x6c\x90", PIC_MASK, .rcx = 4U, .modes = BITS16),
	OP("outs edge", "\xbe\xfe\x4f\x06\x00\x6f", .rdx = 0x80U, .modes = BITS16),
	OP("rep ins null", "\x31\xc0\x8e\xc0\x6c", PIC_MASK, .modes = BITS16 | BITS64),
	MEM("mov", ""),
	MEM("add", "\x01\x0b"),
	MEM("or", "\x09\x0b"),
	MEM("adc", "\xf9\x11\x0b"),
	MEM("sbb", "\xf9\x19\x0b"),
	MEM("and", "\x21\x0b"),
	MEM("sub", "\x29\x0b"),
	MEM("xor", "\x31\x0b"),
	MEM("cmp", "\x39\x0b"),
	MEM("cmp imm", "\x83\x3b\x10"),
	MEM("test", "\x85\x0b"),
	MEM("xchg", "\x87\x0b"),
	MEM("cmpxchg", "\x0f\xb1\x0b"),
	MEM("cmpxchg same", "\x8b\x03\xf0\x0f\xb1\x0b"),
	MEM("xadd", "\xf0\x0f\xc1\x0b"),
	MEM("inc", "\xff\x03"),
	MEM("dec", "\xff\x0b"),
	MEM("not", "\xf7\x13"),
	MEM("neg", "\xf7\x1b"),
	MEM("bt", "\x0f\xba\x23\x05"),
	MEM("bts", "\xf0\x0f\xba\x2b\x07"),
	MEM("btr", "\x0f\xba\x33\x05"),
	MEM("btc", "\x0f\xba\x3b\x25"),
	MEM("stos", "\x89\xdf\x89\xc8\xab"),
	MEM("rep stos", "\x89\xdf\xb9\x01\x00\x00\x00\xf3\xab"),
	MEM("movs in", "\x89\xde\xa5\x8b\x45\x00"),
	OP("mmio push", SET "\xff\x33\x58", .modes = BITS16 | BITS64, .value = true),
	OP("mmio moffs", SET "\xa1\x80\x03\xe0\xfe", .modes = BITS16 | BITS64, .value = true),
	OP("mmio pop", SET "\x51\x8f\x03" GET, .modes = BITS16 | BITS64, .value = true,
	   .rcx = 0x55aa55aaU),
	OP("mmio lock", "\xf0\x8b\x03", .modes = BITS16),
	OP("mmio tf", SET, .modes = BITS16, .flags = TF),
	OP("mmio movss tf", MOV_SS SET, .modes = BITS16, .flags = TF, .rdx = SS_HERE),
	OP("mmio fs", "\x64\x8b\x03", .modes = BITS16 | BITS64),
	OP("mmio movs null", "\x31\xc0\x8e\xc0\x89\xde\xa5", .modes = BITS16 | BITS64),
	OP("mmio movs absent", "\x89\xde\xbf\x00\x50\x06\x00\xa5", .modes = BITS16),
	OP("mmio movs edge", "\x89\xde\xbf\xfe\x4f\x06\x00\xa5", .modes = BITS16),
};

const size_t op_count = sizeof(ops) / sizeof(ops[0]);
