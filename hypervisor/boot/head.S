/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Entry from a multiboot 1 or 2 loader: 32-bit protected mode, paging off, EAX the magic, EBX the
 * information. Finds out where the image lies, builds a 1:1 map of the first 4 GB, goes to 64-bit
 * mode and calls boot_entry(magic, info, load_delta). The image is position-independent: only this
 * file runs before its relocations are applied.
 */
#include "config.h"

#define MB1_MAGIC    0x1BADB002
#define MB1_FLAGS    0x00000007 /* modules page aligned, memory map, video */
#define MB2_MAGIC    0xE85250D6

	.section .head, "ax"
	.code32

	/* The image's first byte, so that differences to it are within this section */
hv_head:
	.align 4
mb1_header:
	.long MB1_MAGIC
	.long MB1_FLAGS
	.long -(MB1_MAGIC + MB1_FLAGS)
	.skip 5 * 4			/* the addresses are the ELF headers' */
	.long 1, 0, 0, 0		/* text, unless the loader was told of a graphics mode */

	.align 8
mb2_header:
	.long MB2_MAGIC
	.long 0
	.long mb2_end - mb2_header
	.long 0x100000000 - (MB2_MAGIC + (mb2_end - mb2_header))
	/* information request: memory map, modules, EFI system table, EFI memory map, new ACPI */
	.align 8
	.short 1, 1
	.long 8 + 6 * 4
	.long 6, 3, 12, 17, 14, 15
	/* where the raw image goes when it is not relocated */
	.align 8
	.short 2, 0
	.long 24
	.long (mb2_header - hv_head) + CONFIG_HV_RAM_START
	.long CONFIG_HV_RAM_START
	.long (hv_data_end - hv_head) + CONFIG_HV_RAM_START
	.long (hv_end - hv_head) + CONFIG_HV_RAM_START
	.align 8
	.short 3, 0
	.long 12
	.long (entry32 - hv_head) + CONFIG_HV_RAM_START
	/* a framebuffer of any size: GRUB on UEFI gives one to those only who ask */
	.align 8
	.short 5, 1
	.long 20, 0, 0, 0
	/* modules page aligned */
	.align 8
	.short 6, 0
	.long 8
	/* relocatable: 16 MB to 4 GB, 2 MB aligned, the loader's choice nearest to the top */
	.align 8
	.short 10, 1
	.long 24
	.long 0x01000000, 0xFFFFFFFF, 0x200000, 2
	.align 8
	.short 0, 0
	.long 8
mb2_end:

	.global entry32
entry32:
	cli
	cld
	movl	%eax, %esi
	/* Borrow the second word of the loader's structure (mb1 mem_lower, mb2 reserved) as a stack */
	movl	4(%ebx), %edi
	leal	8(%ebx), %esp
	call	1f
1:	popl	%ebp
	movl	%edi, 4(%ebx)
	subl	$(1b - hv_head), %ebp		/* EBP: where the image lies */

	/* refuse a CPU without long mode before using it */
	movl	$0x80000000, %eax
	movl	%ebx, %edi
	cpuid
	cmpl	$0x80000001, %eax
	jb	no_long_mode
	movl	$0x80000001, %eax
	cpuid
	btl	$29, %edx
	jnc	no_long_mode
	movl	%edi, %ebx

	/* 1:1 map of 4 GB in 2 MB pages: one PML4, one PDPT, four PDs */
	leal	(early_pd - hv_head)(%ebp), %edi
	movl	$0x83, %eax
	movl	$2048, %ecx
2:	movl	%eax, (%edi)
	movl	$0, 4(%edi)
	addl	$0x200000, %eax
	addl	$8, %edi
	decl	%ecx
	jnz	2b
	leal	(early_pdpt - hv_head)(%ebp), %edi
	leal	(early_pd - hv_head + 3)(%ebp), %eax
	movl	$4, %ecx
3:	movl	%eax, (%edi)
	movl	$0, 4(%edi)
	addl	$0x1000, %eax
	addl	$8, %edi
	decl	%ecx
	jnz	3b
	leal	(early_pml4 - hv_head)(%ebp), %edi
	leal	(early_pdpt - hv_head + 3)(%ebp), %eax
	movl	%eax, (%edi)
	movl	$0, 4(%edi)

	movl	%edi, %cr3
	movl	$0x20, %eax			/* PAE */
	movl	%eax, %cr4
	movl	$0xC0000080, %ecx
	rdmsr
	orl	$0x100, %eax			/* EFER.LME */
	wrmsr
	movl	%cr0, %eax
	orl	$0x80010001, %eax		/* PG, WP, PE */
	andl	$0x9FFFFFFF, %eax		/* caches on */
	movl	%eax, %cr0

	/* the GDT needs its own address in its pointer */
	leal	(early_gdt - hv_head)(%ebp), %eax
	leal	(early_gdtr - hv_head)(%ebp), %edi
	movl	%eax, 2(%edi)
	lgdt	(%edi)
	leal	(boot_stack_top - hv_head)(%ebp), %esp
	leal	(entry64 - hv_head)(%ebp), %eax
	pushl	$8
	pushl	%eax
	lretl

/* Nothing can be printed properly yet: text screen and port are those PCs have. */
no_long_mode:
	movl	$0xB8000, %edi
	movl	$0x0720, %eax			/* blank, grey on black */
	movl	$(80 * 25), %ecx
	rep stosw
	movl	$0xB8000, %edi
	leal	(no_long_mode_text - hv_head)(%ebp), %esi
	movl	$(no_long_mode_end - no_long_mode_text), %ecx
4:	lodsb
	stosw
	loop	4b
	leal	(no_long_mode_text - hv_head)(%ebp), %esi
5:	movw	$0x3FD, %dx
	inb	%dx, %al
	testb	$0x20, %al
	jz	5b
	lodsb
	testb	%al, %al
	jz	6f
	movw	$0x3F8, %dx
	outb	%al, %dx
	jmp	5b
6:	hlt
	jmp	6b

	.code64
entry64:
	movl	$0x10, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	xorl	%eax, %eax
	movl	%eax, %fs
	movl	%eax, %gs
	movl	%esi, %edi			/* magic */
	movl	%ebx, %esi			/* information */
	movl	%ebp, %edx			/* load address */
	xorl	%ebp, %ebp
	call	boot_entry
7:	hlt
	jmp	7b

	.section .data
	.align 8
early_gdt:
	.quad 0
	.quad 0x00AF9B000000FFFF		/* 0x08: 64-bit code */
	.quad 0x00CF93000000FFFF		/* 0x10: data */
early_gdtr:
	.word . - early_gdt - 1
	.long 0
	.long 0
no_long_mode_text:
	.ascii "ACRN: this CPU has no 64-bit mode; halted"
no_long_mode_end:
	.asciz "\r\n"

	.section .bss
	.align 4096
early_pml4:
	.skip 4096
early_pdpt:
	.skip 4096
early_pd:
	.skip 4 * 4096
	.align 16
	.skip 8192
	.global boot_stack_top
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
