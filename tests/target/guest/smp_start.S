/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the processors of the SMP guest start: a page in real mode, which smp_cpu.c copies below
 * 1 MB and fills in at its end, then 64-bit mode with the tables of the first processor. The
 * stack is the processor's own, by its APIC id; smp_cpu_main() is told at which page it started.
 */
	.section .rodata
	.code16
	.globl	smp_page
smp_page:
	cli
	movw	%cs, %ax
	movw	%ax, %ds
	movw	%ax, %si
	movl	%cr4, %eax
	orl	$0x20, %eax		/* PAE */
	movl	%eax, %cr4
	movl	smp_page_cr3 - smp_page, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx	/* EFER.LME */
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	%cr0, %eax
	andl	$0x9fffffff, %eax	/* not CD, NW */
	orl	$0x80000001, %eax	/* PG, PE */
	movl	%eax, %cr0
	lgdtl	smp_page_gdt - smp_page
	.byte	0x66, 0xea		/* far jump, 32-bit offset */
	.long	start64
	.word	8
	.globl	smp_page_cr3, smp_page_gdt, smp_page_end
smp_page_cr3:
	.long	0
smp_page_gdt:
	.word	0
	.long	0
smp_page_end:

	.text
	.code64
start64:
	movl	$16, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	$1, %eax
	cpuid
	shrl	$24, %ebx		/* the APIC id it began with */
	movl	%ebx, %edi
	andl	$15, %ebx
	incl	%ebx
	shll	$12, %ebx
	leal	smp_stacks(%rbx), %esp
	movzwl	%si, %esi
	lidt	smp_idt
	call	smp_cpu_main
1:	hlt
	jmp	1b

	.section .note.GNU-stack, "", @progbits
