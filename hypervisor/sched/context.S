/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The switch between two threads of one CPU. Root mode uses no FPU and interrupts stay off, so the
 * registers a C function must preserve and the stack pointer are the whole of it. struct thread
 * has `sp` at offset 0.
 */
	.text

/* void sched_switch_stack(struct thread *from, struct thread *to) */
	.globl sched_switch_stack
	.type sched_switch_stack, @function
sched_switch_stack:
	push %rbp
	push %rbx
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, (%rdi)
	mov (%rsi), %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbx
	pop %rbp
	ret
	.size sched_switch_stack, . - sched_switch_stack

/* Where thread_init() makes a new thread return to: %r12 is its entry, %r13 the argument. */
	.globl sched_thread_start
	.type sched_thread_start, @function
sched_thread_start:
	call sched_switched
	mov %r13, %rdi
	call *%r12
	ud2
	.size sched_thread_start, . - sched_thread_start

	.section .note.GNU-stack, "", @progbits
