/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupt and exception entries of root mode. Root mode runs with interrupts off, so that only
 * exceptions, NMIs, and interrupts in the idle loop's hlt come here; interrupts that arrive while
 * a guest runs are VM exits. 256 entries of 16 bytes push the vector (and a 0 where the CPU pushes
 * no error code) and share the rest.
 */
	.text
	.align 16
	.global idt_entries
	.hidden idt_entries
idt_entries:
	.set vector, 0
	.rept 256
	.align 16
	.if (vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17) || (vector == 21)
	.else
	pushq	$0
	.endif
	pushq	$vector
	jmp	idt_common
	.set vector, vector + 1
	.endr

	.align 16
idt_common:
	cld
	pushq	%rax
	pushq	%rbx
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%rbp
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, %rdi
	movq	%rsp, %rbp
	andq	$-16, %rsp
	call	exception_entry
	movq	%rbp, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rbp
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rbx
	popq	%rax
	addq	$16, %rsp
	iretq

	.section .note.GNU-stack, "", @progbits
