// SPDX-License-Identifier: BSD-3-Clause
/*
 * Stops Bochs's debugger, then runs the program it is given, by its whole path. Without one, as a
 * guest's init, it powers off: the stop says when the kernel had come to init. It uses no C
 * library: as the whole of an initrd it is so small that copying it does not count.
 */
#include <asm/unistd.h>
#include <linux/reboot.h>

static long syscall3(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}

/* What the kernel leaves on the stack: argc, argv, NULL, the environment, NULL. */
__attribute__((noreturn, used)) static void start(long *stack)
{
	long argc = stack[0];
	long *argv = stack + 1;

	if (argc > 1)
		syscall3(__NR_execve, argv[1], (long)(argv + 1), (long)(argv + argc + 1));
	else
		syscall3(__NR_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
			 LINUX_REBOOT_CMD_POWER_OFF);
	for (;;)
		syscall3(__NR_exit, 1, 0, 0);
}

__asm__(".globl _start\n"
	"_start:\n"
	"	xchg %bx, %bx\n"
	"	mov %rsp, %rdi\n"
	"	call start\n");
