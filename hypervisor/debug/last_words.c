// SPDX-License-Identifier: BSD-3-Clause
/*
 * What a debug build says after a panic's line: which guest this CPU had loaded and where that was,
 * and the end of the log, which may be nowhere else on a machine without a serial port. Called once,
 * by panic(), on the CPU that panics; takes no lock, for its holder may have been stopped.
 */
#include "hv/boot.h"
#include "hv/log.h"
#include "hv/mem_log.h"
#include "hv/pcpu.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "hv/vmcs.h"

static void last_words(void)
{
	const struct vcpu *vcpu = this_pcpu()->loaded;

	if (vcpu == NULL) {
		report(" no VM was loaded on this CPU");
	} else {
		report(" VM %u (%s) vCPU %u was: rip 0x%lx rsp 0x%lx cr3 0x%lx, last exit 0x%x",
		       vcpu->vm->id, vcpu->vm->name, vcpu->id, vmcs_read(VMCS_GUEST_RIP),
		       vmcs_read(VMCS_GUEST_RSP), vmcs_read(VMCS_GUEST_CR3),
		       vmcs_read32(VMCS_EXIT_REASON));
	}
	mem_log_report_end();
}

static int last_words_boot(void)
{
	panic_details = last_words;
	return 0;
}

UNIT(last_words) = {
	.name = "last words",
	.level = UNIT_CORE,
	.boot = last_words_boot,
};
