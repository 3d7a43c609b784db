// SPDX-License-Identifier: BSD-3-Clause
/*
 * Stops Bochs's debugger, then runs the program it is given. Without one, as a guest's init, it
 * powers off: the stop says when the kernel had come to init.
 */
#include <sys/reboot.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	__asm__ volatile("xchg %bx, %bx");
	if (argc > 1)
		return execvp(argv[1], argv + 1);
	return reboot(RB_POWER_OFF);
}
