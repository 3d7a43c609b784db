/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The payload of the kernel's own HSM sample, samples/acrn/vm-sample.c, which
 * copies it to guest physical address 0 and starts it there in real mode. One
 * access of each size and direction goes to ports that nobody but the sample
 * answers; then the VM halts for good, until the sample destroys it.
 */
	.section .rodata
	.globl	guest16, guest16_end
	.code16
guest16:
	movw	$0x1100, %dx
	movb	$0x5a, %al
	outb	%al, %dx
	outw	%ax, %dx
	outl	%eax, %dx
	movw	$0x1200, %dx
	inb	%dx, %al
	inw	%dx, %ax
	inl	%dx, %eax
1:	hlt
	jmp	1b
guest16_end:

	.section .note.GNU-stack, "", @progbits
