// SPDX-License-Identifier: BSD-3-Clause
// fuzzes: hypervisor/debug/shell.c hypervisor/debug/shell_line.c hypervisor/debug/shell_cpu.c
// fuzzes: hypervisor/debug/shell_mem.c hypervisor/debug/shell_irq.c hypervisor/debug/shell_vm.c
// links: hypervisor/debug/mem_log.c hypervisor/guest/unit.c hypervisor/lib/printf.c
// links: tests/fake/fake_machine.c tests/fake/fake_pool.c tests/fake/fake_string.c
// links: tests/unit/hypervisor/shell_machine.c
// options: -max_len=256
/*
 * Any keys in the debug shell: does the line stay within its buffer, does every command refuse what
 * it does not understand, reach no memory that is not RAM, write no MSR that the hypervisor needs,
 * and does the prompt always come back? Input: the keys.
 */
#include <assert.h>
#include <string.h>

#include "asm/msr.h"
#include "fake_machine.h"
#include "fuzz.h"
#include "hv/shell.h"
#include "shell_machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool booted;
	const char *text, *prompt;

	if (!booted)
		shell_machine_boot();
	booted = true;
	shell_machine_reset();
	fake_msr_set(0x10, 0);
	fake_msr_set(MSR_EFER, 0x500);
	for (size_t i = 0; i < size; i++) {
		while (!shell_give(data[i]))
			shell_run();
		if (data[i] == '\r' || data[i] == '\n') {
			/* a long dump is not waited for */
			for (uint32_t round = 0; round < 20; round++) {
				shell_run();
				while (shell_take() >= 0)
					;
			}
		}
	}
	(void)shell_give(0x03);
	shell_enter(); /* it may have gone to a VM's console */
	text = shell_machine_type("");
	prompt = strstr(text, "ACRN:\\>");
	assert(prompt != NULL);
	assert(fake_msr_gp == 0 && fake_msr_get(MSR_EFER) == 0x500);
	return 0;
}
