/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A multiboot 1 kernel of 32 bits (Multiboot Specification 0.6.96): its header, its entry, and what
 * of a kernel C cannot do. Nothing is assumed of the loader but what the specification promises.
 */
	.section .multiboot, "a"
	.balign	4
	.long	0x1BADB002, 3, -(0x1BADB002 + 3)	/* modules on pages; memory wanted */

	.text
	.globl	start
start:
	movl	$stack_top, %esp
	/* The descriptor table may be gone: only what the segment registers hold is sure. */
	lgdt	gdt_pointer
	ljmp	$8, $1f
1:	movl	$16, %ecx
	movl	%ecx, %ds
	movl	%ecx, %es
	movl	%ecx, %fs
	movl	%ecx, %gs
	movl	%ecx, %ss
	pushfl
	popl	%edx
	movl	%edx, first_flags
	pushl	$0
	popfl
	pushl	%ebx
	pushl	%eax
	call	kernel_main
1:	cli
	hlt
	jmp	1b

	/* An entry for each vector, 16 bytes apart, with a zero where the CPU pushes no error code. */
	.balign	16
	.globl	vector_entries
vector_entries:
	.set	vector, 0
	.rept	64
	.balign	16
	.if	(vector > 31) || !((0x60227d00 >> (vector & 31)) & 1)
	pushl	$0
	.endif
	pushl	$vector
	jmp	common
	.set	vector, vector + 1
	.endr

	/* struct frame *interrupt(struct frame *): the frame to go on with is the one it returns. */
common:
	pusha
	pushl	%esp
	cld
	call	interrupt
	movl	%eax, %esp
	popa
	addl	$8, %esp
	iretl

	/* void jump_to_task(void): to a task state segment, which only hardware could switch to */
	.globl	jump_to_task
jump_to_task:
	movl	$first_task, %eax
	movl	$(gdt + 0x18), %edi
	call	set_base
	movl	$second_task, %eax
	movl	$(gdt + 0x20), %edi
	call	set_base
	movl	$0x18, %eax
	ltr	%ax
	ljmp	$0x20, $0
	ret

set_base:
	movw	%ax, 2(%edi)
	shrl	$16, %eax
	movb	%al, 4(%edi)
	movb	%ah, 7(%edi)
	ret

	.data
	.balign	8
gdt:	.quad	0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF
	.quad	0x0000890000000067, 0x0000890000000067
gdt_pointer:
	.word	. - gdt - 1
	.long	gdt

	.bss
	.globl	first_flags
first_flags:
	.skip	4
	.balign	4096
first_task:
	.skip	104
second_task:
	.skip	104
	.balign	4096
	.skip	16384
stack_top:

	.section .note.GNU-stack, "", @progbits
