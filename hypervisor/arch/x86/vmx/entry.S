/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way into and out of a guest. At an exit the CPU has loaded RSP with the end of the vCPU's
 * register area: sixteen pushes fill it and leave RSP at the vCPU itself, below which its stack
 * lies. The register order is that of enum guest_gpr; the RSP slot stays unused.
 */
	.macro SAVE_GPRS
	pushq	%r15
	pushq	%r14
	pushq	%r13
	pushq	%r12
	pushq	%r11
	pushq	%r10
	pushq	%r9
	pushq	%r8
	pushq	%rdi
	pushq	%rsi
	pushq	%rbp
	leaq	-8(%rsp), %rsp
	pushq	%rbx
	pushq	%rdx
	pushq	%rcx
	pushq	%rax
	.endm

	/* leaves the flags alone */
	.macro RESTORE_GPRS
	popq	%rax
	popq	%rcx
	popq	%rdx
	popq	%rbx
	leaq	8(%rsp), %rsp
	popq	%rbp
	popq	%rsi
	popq	%rdi
	popq	%r8
	popq	%r9
	popq	%r10
	popq	%r11
	popq	%r12
	popq	%r13
	popq	%r14
	popq	%r15
	.endm

	.text
	.align 64
	.global vmx_exit_entry
	.hidden vmx_exit_entry
vmx_exit_entry:
	SAVE_GPRS
	movq	%rsp, %rdi
	call	vmexit_handle
	RESTORE_GPRS
	vmresume
entry_failed:
	/* RSP is the end of the register area again */
	leaq	-128(%rsp), %rsp
	movq	%rsp, %rdi
	call	vmx_entry_failed
	ud2

	/* void vmx_enter(struct vcpu *vcpu, bool started): the first entry; does not return */
	.global vmx_enter
	.hidden vmx_enter
vmx_enter:
	movq	%rdi, %rsp
	testl	%esi, %esi
	RESTORE_GPRS
	jnz	1f
	vmlaunch
	jmp	entry_failed
1:	vmresume
	jmp	entry_failed

	.section .note.GNU-stack, "", @progbits
