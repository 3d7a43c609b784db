/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A raw image for one address below 64 KB, entered in 32-bit protected mode there: it goes to real
 * mode at once, stays there for all that it looks at, and comes back for a task switch at its end.
 */
	.section .start, "ax"
	.code32
	.globl	start
start:
	movl	%cr0, %eax
	movl	%eax, first_cr0
	lgdt	gdt_pointer
	ljmp	$0x08, $1f
	.code16
1:	movw	$0x10, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	%cr0, %eax
	andl	$0xFFFFFFFE, %eax
	movl	%eax, %cr0
	ljmpw	$0, $1f
1:	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %fs
	movw	%ax, %gs
	movw	%ax, %ss
	movl	$0x7FF0, %esp
	lidt	ivt_pointer
	calll	raw_main
2:	hlt
	jmp	2b

	.text
	/* The vectors of real mode; each notes that it came. Faults go on at fault_to. */
	.globl	uart_entry, fault_entry, call_entry
uart_entry:
	pushal
	pushw	%ds
	xorw	%ax, %ax
	movw	%ax, %ds
	incl	uart_count
	movw	$0x3FA, %dx
	inb	%dx, %al
	movw	$0x3F8, %dx
	inb	%dx, %al
	movb	%al, uart_byte
	movb	$0x20, %al
	outb	%al, $0x20
	popw	%ds
	popal
	iretw

fault_entry:
	pushw	%bp
	movw	%sp, %bp
	pushw	%ax
	movw	%cs:fault_to, %ax
	movw	%ax, 2(%bp)
	incl	%cs:fault_count
	popw	%ax
	popw	%bp
	iretw

call_entry:
	addw	$0x1111, %ax
	iretw

	/* uint32_t divide_by_zero(void), beyond_segment(void): 1 if the fault came */
	.globl	divide_by_zero, beyond_segment
divide_by_zero:
	movl	$0, fault_count
	movw	$1f, fault_to
	movl	%esp, fault_stack	/* see TRY() in kernel32.h */
	xorw	%cx, %cx
	movw	$1, %ax
	xorw	%dx, %dx
	divw	%cx
1:	movl	fault_stack, %esp
	movl	fault_count, %eax
	retl

beyond_segment:
	movl	$0, fault_count
	movw	$1f, fault_to
	movl	%esp, fault_stack
	movw	0xFFFF, %ax
1:	movl	fault_stack, %esp
	movl	fault_count, %eax
	retl

	/* uint32_t software_interrupt(uint32_t): INT 0x42 adds to AX */
	.globl	software_interrupt
software_interrupt:
	movl	4(%esp), %eax
	int	$0x42
	movzwl	%ax, %eax
	retl

	/* void copy(segment to, segment from, words): with 16-bit strings, whole segments */
	.globl	copy_words
copy_words:
	pushl	%esi
	pushl	%edi
	movw	12(%esp), %ax
	movw	16(%esp), %dx
	movl	20(%esp), %ecx
	pushw	%ds
	pushw	%es
	movw	%ax, %es
	movw	%dx, %ds
	xorl	%esi, %esi
	xorl	%edi, %edi
	cld
	rep movsw
	popw	%es
	popw	%ds
	popl	%edi
	popl	%esi
	retl

	/* uint32_t peek(segment, offset); void poke(segment, offset, value) */
	.globl	peek, poke
peek:
	pushw	%ds
	movw	6(%esp), %ax
	movl	10(%esp), %ecx
	movw	%ax, %ds
	movl	(%ecx), %eax
	popw	%ds
	retl

poke:
	pushw	%ds
	movw	6(%esp), %ax
	movl	10(%esp), %ecx
	movl	14(%esp), %edx
	movw	%ax, %ds
	movl	%edx, (%ecx)
	popw	%ds
	retl

	/* void print_string_io(text, bytes): a string instruction to the port of the UART */
	.globl	string_out
string_out:
	pushl	%esi
	movl	8(%esp), %esi
	movl	12(%esp), %ecx
	movw	$0x3F8, %dx
	cld
	rep outsb
	popl	%esi
	retl

	/* uint32_t big_peek(address): 4 GB segments from protected mode, kept in real mode */
	.globl	big_peek
big_peek:
	movl	4(%esp), %ecx
	pushw	%fs
	movl	%cr0, %eax
	orl	$1, %eax
	movl	%eax, %cr0
	jmp	1f
1:	movw	$0x18, %dx
	movw	%dx, %fs
	andl	$0xFFFFFFFE, %eax
	movl	%eax, %cr0
	jmp	1f
1:	movl	%fs:(%ecx), %eax
	popw	%fs
	retl

	/* void task_switch(void): to protected mode, and by JMP to a task state segment */
	.globl	task_switch
task_switch:
	cli
	movl	$first_task, %eax
	movl	%eax, %edx
	movw	%ax, gdt + 0x28 + 2
	movl	$second_task, %eax
	movw	%ax, gdt + 0x30 + 2
	movl	%cr0, %eax
	orl	$1, %eax
	movl	%eax, %cr0
	ljmpl	$0x20, $1f
	.code32
1:	movl	$0x18, %eax
	movl	%eax, %ds
	movl	%eax, %ss
	movl	$0x28, %eax
	ltr	%ax
	ljmp	$0x30, $0
2:	hlt
	jmp	2b
	.code16

	.data
	.balign	8
gdt:	.quad	0
	.quad	0x00009B000000FFFF	/* 08: 16-bit code */
	.quad	0x000093000000FFFF	/* 10: 64 KB of data */
	.quad	0x00CF93000000FFFF	/* 18: 4 GB of data */
	.quad	0x00CF9B000000FFFF	/* 20: 32-bit code */
	.quad	0x0000890000000067	/* 28, 30: task state segments */
	.quad	0x0000890000000067
gdt_pointer:
	.word	. - gdt - 1
	.long	gdt
ivt_pointer:
	.word	0x3FF
	.long	0

	.globl	uart_count, uart_byte, first_cr0
first_cr0:	.long	0
uart_count:	.long	0
fault_count:	.long	0
fault_stack:	.long	0
fault_to:	.word	0
uart_byte:	.byte	0

	.bss
first_task:
	.skip	104
second_task:
	.skip	104

	.section .note.GNU-stack, "", @progbits
