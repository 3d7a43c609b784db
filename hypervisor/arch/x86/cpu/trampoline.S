/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where an application processor starts: real mode, at the page the start-up IPI names. pcpu.c
 * copies this code to a page below 1 MB and fills in the three words at its end; it goes straight
 * to 64-bit mode on the host's own page table and jumps to trampoline_entry's address.
 */
	.section .rodata
	.global trampoline_start, trampoline_end
	.global trampoline_cr3, trampoline_target, trampoline_stack
	.hidden trampoline_start, trampoline_end
	.hidden trampoline_cr3, trampoline_target, trampoline_stack
	.align 16
	.code16
trampoline_start:
	cli
	cld
	movw	%cs, %ax
	movw	%ax, %ds
	xorl	%ebx, %ebx
	movw	%ax, %bx
	shll	$4, %ebx			/* EBX: linear address of this page */
	/* relocate the two pointers that need a linear address */
	leal	(gdt - trampoline_start)(%ebx), %eax
	movl	%eax, (gdtr + 2 - trampoline_start)
	leal	(long_mode - trampoline_start)(%ebx), %eax
	movl	%eax, (far_ptr - trampoline_start)
	lgdtl	(gdtr - trampoline_start)
	movl	$0x20, %eax			/* PAE */
	movl	%eax, %cr4
	movl	(trampoline_cr3 - trampoline_start), %eax
	movl	%eax, %cr3
	movl	$0xC0000080, %ecx
	rdmsr
	orl	$0x900, %eax			/* LME, NXE (its bits are in use in the tables) */
	wrmsr
	movl	$0x80010001, %eax		/* PG, WP, PE: long mode at once */
	movl	%eax, %cr0
	ljmpl	*(far_ptr - trampoline_start)

	.code64
long_mode:
	movl	$0x10, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movq	(trampoline_stack - trampoline_start)(%rbx), %rsp
	movq	(trampoline_target - trampoline_start)(%rbx), %rax
	xorl	%ebp, %ebp
	call	*%rax
1:	hlt
	jmp	1b

	.align 8
gdt:
	.quad 0
	.quad 0x00AF9B000000FFFF
	.quad 0x00CF93000000FFFF
gdtr:
	.word . - gdt - 1
	.long 0
	.align 4
far_ptr:
	.long 0
	.word 8
	.align 8
trampoline_cr3:
	.long 0, 0
trampoline_target:
	.quad 0
trampoline_stack:
	.quad 0
trampoline_end:

	.section .note.GNU-stack, "", @progbits
