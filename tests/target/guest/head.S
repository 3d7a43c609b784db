/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The start of a test guest: a file that looks like a Linux bzImage to GRUB and
 * to the hypervisor's loader, so that one guest runs on the bare machine and in
 * a VM. From the 32-bit entry of the Linux boot protocol to guest_main() in
 * 64-bit mode, with the first 4 GB mapped 1:1, an IDT, and interrupts off.
 */
#define BASE		0x1000000	/* 16 MB, where Linux prefers to be as well */

	.section .setup, "a"
	.org	0x1f1
	.byte	1			/* setup_sects: this part is 1024 bytes */
	.word	0
	.long	image_paragraphs	/* syssize, in 16 bytes */
	.word	0, 0, 0
	.word	0xaa55			/* boot_flag */
	.byte	0xeb, header_end - .Ljump
.Ljump:	.ascii	"HdrS"
	.word	0x020f			/* protocol version */
	.long	0
	.word	0, 0
	.byte	0, 1			/* type_of_loader; loadflags: LOADED_HIGH */
	.word	0
	.long	0x100000		/* code32_start: loaders take it for the entry at BASE */
	.long	0, 0, 0			/* ramdisk and size, bootsect_kludge */
	.word	0, 0
	.long	0			/* cmd_line_ptr */
	.long	0x7fffffff		/* initrd_addr_max */
	.long	0x200000		/* kernel_alignment */
	.byte	1, 21			/* relocatable_kernel, min_alignment */
	.word	0			/* xloadflags */
	.long	255			/* cmdline_size */
	.long	0
	.quad	0
	.long	0, 0			/* payload */
	.quad	0			/* setup_data */
	.quad	BASE			/* pref_address */
	.long	image_memory		/* init_size */
	.long	0
header_end:
	.org	1024

	.section .start, "ax"
	.code32
	.globl	start32
start32:
	cld
	movl	%esi, %ebx		/* boot_params */
	/* Loaded elsewhere, by a loader that found 16 MB taken: move there. */
	leal	0x1e8(%esi), %esp	/* four bytes the protocol leaves to us */
	call	1f
1:	popl	%esi
	subl	$(1b - start32), %esi
	movl	$BASE, %edi
	cmpl	%edi, %esi
	je	1f
	movl	$image_size, %ecx
	rep movsb
	movl	$1f, %eax
	jmp	*%eax
1:	movl	$stack_top, %esp
	movl	$bss_start, %edi
	movl	$bss_end, %ecx
	subl	%edi, %ecx
	xorl	%eax, %eax
	rep stosb

	/* Four page directories of 2 MB pages. */
	movl	$page_tables + 0x2000, %edi
	movl	$0x83, %eax		/* present, writable, large */
	movl	$2048, %ecx
1:	movl	%eax, (%edi)
	addl	$0x200000, %eax
	addl	$8, %edi
	loop	1b
	movl	$page_tables + 0x1003, page_tables
	movl	$page_tables + 0x2003, page_tables + 0x1000
	movl	$page_tables + 0x3003, page_tables + 0x1008
	movl	$page_tables + 0x4003, page_tables + 0x1010
	movl	$page_tables + 0x5003, page_tables + 0x1018

	movl	%cr4, %eax
	orl	$0x20, %eax		/* PAE */
	movl	%eax, %cr4
	movl	$page_tables, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx	/* EFER.LME */
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	%cr0, %eax
	orl	$0x80000001, %eax	/* PG, PE */
	movl	%eax, %cr0
	lgdt	gdt_pointer
	ljmp	$8, $start64

	.code64
start64:
	movl	$16, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	$stack_top, %esp
	movl	%ebx, %edi
	call	guest_main
	call	power_off

	/*
	 * Exceptions and interrupts: an entry each, 16 bytes apart, which pushes a zero
	 * where the CPU pushes no error code. exception() returns the RIP to go on at.
	 */
	.balign	16
	.globl	vector_entries
vector_entries:
	.set	vector, 0
	.rept	256
	.balign	16
	.if	(vector > 31) || !((0x60227d00 >> (vector & 31)) & 1)
	pushq	$0
	.endif
	pushq	$vector
	jmp	exception_common
	.set	vector, vector + 1
	.endr

exception_common:
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	movq	72(%rsp), %rdi		/* vector, error code, RIP */
	movq	80(%rsp), %rsi
	movq	88(%rsp), %rdx
	cld
	call	exception
	movq	%rax, 88(%rsp)
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rax
	addq	$16, %rsp
	iretq

	/* Unless a guest wants to know its vector, an interrupt is counted and ended by the x2APIC's EOI register. */
	.balign	16
	.globl	interrupt_entry
interrupt_entry:
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	incl	interrupts
	movl	$0x80b, %ecx
	xorl	%eax, %eax
	xorl	%edx, %edx
	wrmsr
	popq	%rdx
	popq	%rcx
	popq	%rax
	iretq

	/*
	 * Instructions that may fault, with what an exception returns to behind
	 * them: exception() finds the pair in .fixups.
	 */
	.macro	may_fault insn:vararg
8:	\insn
9:
	.pushsection .fixups, "a"
	.quad	8b, 9b
	.popsection
	.endm

	/* uint64_t rdmsr_raw(uint32_t msr) */
	.globl	rdmsr_raw
rdmsr_raw:
	movl	%edi, %ecx
	xorl	%eax, %eax
	xorl	%edx, %edx
	may_fault rdmsr
	shlq	$32, %rdx
	orq	%rdx, %rax
	ret

	/* void wrmsr_raw(uint32_t msr, uint64_t value) */
	.globl	wrmsr_raw
wrmsr_raw:
	movl	%edi, %ecx
	movl	%esi, %eax
	movq	%rsi, %rdx
	shrq	$32, %rdx
	may_fault wrmsr
	ret

	.section .rodata
	.balign	8
gdt:	.quad	0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
	.word	. - gdt - 1
	.long	gdt

	.bss
	.balign	4096
page_tables:
	.skip	6 * 4096
	.skip	16384
stack_top:

	.section .note.GNU-stack, "", @progbits
