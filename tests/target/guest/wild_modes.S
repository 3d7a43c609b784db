/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a few bytes of code in any mode of the processor and says how they ended. mode_run() goes
 * there by IRET with the registers in `mode_in`; whatever exception or interrupt comes first,
 * of the UD2 behind the code at the latest, brings it back with what is in `mode_out`. One CPU.
 */
#define LOW	0x60000		/* below 1 MB: what 16-bit code needs */
#define SNIPPET	(LOW + 0x1000)
#define STACK	0x2ff0		/* from LOW */

#define CODE64	0x08
#define DATA	0x10
#define CODE32	0x18
#define CODE16	0x20		/* base LOW */
#define DATA16	0x28
#define SNIP16	0x30		/* base SNIPPET */
#define USER32	0x3b
#define UDATA	0x43
#define USER64	0x4b
#define TSS64	0x50
#define TSS32	0x60

	.macro	out32 reg, at
	movl	%\reg, mode_out + \at
	.endm

	.text
	.code64
	/* void mode_init(void): our GDT, IDT and TSS; the 16-bit code to its place */
	.globl	mode_init
mode_init:
	movq	$low_start, %rsi
	movl	$LOW, %edi
	movl	$(low_end - low_start), %ecx
	cld
	rep movsb
	movl	$LOW, %edi		/* the vectors of real mode */
	movl	$(LOW >> 4 << 16) + (real_entries - low_start), %eax
	movl	$32, %ecx
1:	movl	%eax, (%rdi)
	addl	$8, %eax
	addl	$4, %edi
	decl	%ecx
	jnz	1b
	movq	$exception_stack_top, %rax
	movq	%rax, tss64 + 4		/* RSP0 */
	movq	%rax, tss64 + 36	/* IST1 */
	movl	%eax, tss32 + 4
	movl	$DATA, tss32 + 8
	movl	$0x680000, tss64 + 100	/* no I/O bitmap */
	movl	$0x680000, tss32 + 100
	movl	$tss64, %eax
	movl	$(mode_gdt + TSS64), %edi
	call	set_base
	movl	$tss32, %eax
	movl	$(mode_gdt + TSS32), %edi
	call	set_base
	lgdt	mode_gdtr
	call	load_tss64
	ret

set_base:
	movw	%ax, 2(%rdi)
	shrl	$16, %eax
	movb	%al, 4(%rdi)
	movb	%ah, 7(%rdi)
	ret

	/* A busy TSS cannot be loaded: make it available first. */
load_tss64:
	andb	$0xfd, mode_gdt + TSS64 + 5
	movl	$TSS64, %eax
	ltr	%ax
	ret

	.globl	nmi_entry
nmi_entry:
	iretq

	/* void mode_run(void) */
	.globl	mode_run
mode_run:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, saved_rsp
	sidt	saved_idtr
	movl	mode_kind, %eax
	cmpl	$5, %eax
	jae	legacy
	lidt	idtr64
	movq	mode_frames(,%rax,8), %rax
	pushq	(%rax)			/* SS */
	pushq	8(%rax)			/* RSP */
	pushq	mode_flags
	pushq	16(%rax)		/* CS */
	pushq	24(%rax)		/* RIP */
	movl	(%rax), %ecx
	movl	%ecx, %ds
	movl	%ecx, %es
	movq	mode_in, %rax
	movq	mode_in + 8, %rcx
	movq	mode_in + 16, %rdx
	movq	mode_in + 24, %rbx
	movq	mode_in + 40, %rbp
	movq	mode_in + 48, %rsi
	movq	mode_in + 56, %rdi
	iretq

	.balign	16
	.set	vector, 0
	.globl	entries64
entries64:
	.rept	256
	.balign	16
	.if	(vector > 31) || !((0x60227d00 >> (vector & 31)) & 1)
	pushq	$0
	.endif
	pushq	$vector
	jmp	common64
	.set	vector, vector + 1
	.endr

common64:
	movq	%rax, mode_out
	movq	%rcx, mode_out + 8
	movq	%rdx, mode_out + 16
	movq	%rbx, mode_out + 24
	movq	%rbp, mode_out + 40
	movq	%rsi, mode_out + 48
	movq	%rdi, mode_out + 56
	popq	mode_vector
	popq	mode_error
	popq	mode_rip
	popq	%rax
	popq	mode_rflags
	popq	mode_out + 32
	movq	%cr2, %rax
	movq	%rax, mode_cr2
	movl	$DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
back64:
	cld
	movq	saved_rsp, %rsp
	lidt	saved_idtr
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret

legacy:
	pushq	$CODE32
	movq	$legacy32, %rax
	pushq	%rax
	lretq

	.code32
legacy32:
	movl	$DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	$exception_stack_top, %esp
	movl	%cr0, %eax
	andl	$0x7fffffff, %eax
	movl	%eax, %cr0
	movl	$0xc0000080, %ecx
	rdmsr
	andl	$~0x100, %eax
	wrmsr
	movl	%cr4, %eax
	movl	%eax, saved_cr4
	movl	%cr3, %eax
	movl	%eax, saved_cr3
	movl	mode_cr4, %eax
	movl	%eax, %cr4
	movl	mode_cr3, %eax
	testl	%eax, %eax
	jz	1f
	movl	%eax, %cr3
	movl	%cr0, %eax
	orl	$0x80000000, %eax
	movl	%eax, %cr0
1:	lidt	idtr32
	andb	$0xfd, mode_gdt + TSS32 + 5
	movl	$TSS32, %eax
	ltr	%ax
	movl	mode_kind, %eax
	cmpl	$10, %eax
	je	enter_v86
	cmpl	$11, %eax
	je	enter_real
	movl	mode_frames(,%eax,8), %eax
	movl	16(%eax), %ecx
	testl	$3, %ecx
	jz	1f
	pushl	(%eax)
	pushl	8(%eax)
1:	movl	(%eax), %edx
	movl	%edx, %ds
	movl	%edx, %es
	jnz	2f
	movl	%edx, %ss
	movl	%cs:8(%eax), %esp
2:	movl	%cs:mode_flags, %edx
	pushl	%edx
	pushl	%ecx
	movl	%cs:24(%eax), %ecx
	pushl	%ecx
	movl	%cs:mode_in, %eax
	movl	%cs:mode_in + 8, %ecx
	movl	%cs:mode_in + 16, %edx
	movl	%cs:mode_in + 24, %ebx
	movl	%cs:mode_in + 40, %ebp
	movl	%cs:mode_in + 48, %esi
	movl	%cs:mode_in + 56, %edi
	iret

enter_v86:
	movl	$(LOW >> 4), %eax
	pushl	%eax			/* GS FS DS ES SS */
	pushl	%eax
	pushl	%eax
	pushl	%eax
	pushl	%eax
	pushl	$STACK
	movl	mode_flags, %eax
	orl	$0x20000, %eax
	pushl	%eax
	pushl	$(SNIPPET >> 4)
	pushl	$0
	movl	mode_in, %eax
	movl	mode_in + 8, %ecx
	movl	mode_in + 16, %edx
	movl	mode_in + 24, %ebx
	movl	mode_in + 40, %ebp
	movl	mode_in + 48, %esi
	movl	mode_in + 56, %edi
	iret

enter_real:
	movl	mode_flags, %edx	/* in DX to the other side */
	movl	mode_in, %eax
	movl	%eax, LOW + real_eax - low_start
	movl	mode_in + 8, %ecx
	movl	mode_in + 16, %eax
	movl	%eax, LOW + real_edx - low_start
	movl	mode_in + 24, %ebx
	movl	mode_in + 40, %ebp
	movl	mode_in + 48, %esi
	movl	mode_in + 56, %edi
	ljmp	$CODE16, $(enter16 - low_start)

	.balign	16
	.set	vector, 0
	.globl	entries32
entries32:
	.rept	32
	.balign	16
	.if	!((0x60227d00 >> vector) & 1)
	pushl	$0
	.endif
	pushl	$vector
	jmp	common32
	.set	vector, vector + 1
	.endr

common32:
	pushl	%eax
	movl	$DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	popl	%eax
	out32	eax, 0
	out32	ecx, 8
	out32	edx, 16
	out32	ebx, 24
	out32	ebp, 40
	out32	esi, 48
	out32	edi, 56
	popl	%eax
	movl	%eax, mode_vector
	popl	%eax
	movl	%eax, mode_error
	popl	%eax
	movl	%eax, mode_rip
	popl	%eax
	popl	%eax
	movl	%eax, mode_rflags
	jmp	back32

from_real:
	movl	$DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	LOW + real_eax - low_start, %eax
	out32	eax, 0
	out32	ecx, 8
	movl	LOW + real_edx - low_start, %eax
	out32	eax, 16
	out32	ebx, 24
	out32	ebp, 40
	out32	esi, 48
	out32	edi, 56
	movzwl	LOW + real_vector - low_start, %eax
	movl	%eax, mode_vector
	movl	$0, mode_error
	movzwl	LOW + real_ip - low_start, %eax
	movl	%eax, mode_rip
	movzwl	LOW + real_flags - low_start, %eax
	movl	%eax, mode_rflags

back32:
	movl	%cr2, %eax
	movl	%eax, mode_cr2
	movl	$DATA, %eax
	movl	%eax, %ss
	movl	$exception_stack_top, %esp
	andb	$0xfd, mode_gdt + TSS32 + 5
	movl	$TSS32, %eax
	ltr	%ax
	movl	%cr0, %eax
	andl	$0x7fffffff, %eax
	movl	%eax, %cr0
	movl	saved_cr4, %eax
	movl	%eax, %cr4
	movl	saved_cr3, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	%cr0, %eax
	orl	$0x80000001, %eax
	movl	%eax, %cr0
	ljmp	$CODE64, $long_again
	.code64
long_again:
	call	load_tss64
	jmp	back64

	/* Copied to LOW: what runs in real mode. The first 128 bytes are its vectors. */
	.code16
	.balign	16
low_start:
	.skip	128
enter16:
	movw	$DATA16, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	%ax, %fs
	movw	%ax, %gs
	movl	%cr0, %eax
	andb	$0xfe, %al
	movl	%eax, %cr0
	ljmp	$(LOW >> 4), $(1f - low_start)
1:	movw	$(LOW >> 4), %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$STACK, %esp
	lidtl	%cs:(real_idtr - low_start)
	pushw	%dx
	pushw	$(SNIPPET >> 4)
	pushw	$0
	movl	%cs:(real_eax - low_start), %eax
	movl	%cs:(real_edx - low_start), %edx
	iretw

	.balign	8
	.set	vector, 0
real_entries:
	.rept	32
	.balign	8
	pushw	$vector
	jmp	common16
	.set	vector, vector + 1
	.endr

common16:
	movl	%eax, %cs:(real_eax - low_start)
	movl	%edx, %cs:(real_edx - low_start)
	popw	%cs:(real_vector - low_start)
	popw	%cs:(real_ip - low_start)
	popw	%ax
	popw	%cs:(real_flags - low_start)
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	ljmpl	$CODE32, $from_real

	.balign	8
real_idtr:
	.word	127
	.long	LOW
	.balign	4
real_eax:	.long	0
real_edx:	.long	0
real_vector:	.word	0
real_ip:	.word	0
real_flags:	.word	0
low_end:
	.code64

	.data
	.balign	8
	/* SS, ESP, CS, EIP of each mode */
frame_long0:	.quad	DATA, LOW + STACK, CODE64, SNIPPET
frame_long3:	.quad	UDATA, LOW + STACK, USER64, SNIPPET
frame_32_0:	.quad	DATA, LOW + STACK, CODE32, SNIPPET
frame_32_3:	.quad	UDATA, LOW + STACK, USER32, SNIPPET
frame_16_0:	.quad	DATA16, STACK, SNIP16, 0
mode_frames:
	.quad	frame_long0, frame_long3, frame_32_0, frame_32_3, frame_16_0
	.quad	frame_32_0, frame_32_0, frame_32_0, frame_32_3, frame_16_0

	.globl	mode_gdt
mode_gdt:
	.quad	0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
	.quad	0x00009b000000ffff | (LOW << 16), 0x000093000000ffff | (LOW << 16)
	.quad	0x00009b000000ffff | (SNIPPET << 16)
	.quad	0x00cffb000000ffff, 0x00cff3000000ffff, 0x00affb000000ffff
	.quad	0x0000890000000067, 0	/* TSS64 */
	.quad	0x0000890000000067	/* TSS32 */
	.quad	0x000081000000002b	/* 0x68: a 16-bit TSS */
	.quad	0x0000890000000067	/* 0x70: a 32-bit TSS that is not busy */
mode_gdt_end:
mode_gdtr:
	.word	mode_gdt_end - mode_gdt - 1
	.quad	mode_gdt
idtr64:	.word	4095
	.quad	mode_idt64
idtr32:	.word	255
	.long	mode_idt32

	.bss
	.balign	4096
	.globl	mode_idt64, mode_idt32, mode_in, mode_out, mode_vector, mode_error, mode_rip
	.globl	mode_rflags, mode_cr2, mode_kind, mode_flags, mode_cr3, mode_cr4
mode_idt64:	.skip	4096
mode_idt32:	.skip	256
tss64:		.skip	0x68
tss32:		.skip	0x68
		.balign	8
mode_in:	.skip	64
mode_out:	.skip	64
mode_vector:	.skip	8
mode_error:	.skip	8
mode_rip:	.skip	8
mode_rflags:	.skip	8
mode_cr2:	.skip	8
mode_kind:	.skip	8
mode_flags:	.skip	8
mode_cr3:	.skip	8
mode_cr4:	.skip	8
saved_rsp:	.skip	8
saved_cr3:	.skip	8
saved_cr4:	.skip	8
saved_idtr:	.skip	16
		.balign	4096
		.skip	8192
exception_stack_top:

	.section .note.GNU-stack, "", @progbits
