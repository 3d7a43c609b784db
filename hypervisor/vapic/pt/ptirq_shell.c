// SPDX-License-Identifier: BSD-3-Clause
/*
 * The shell's command about physical interrupts that are passed on to a VM: lines and messages,
 * with the host's vector and what the guest has programmed. In debug builds only. It reads; each
 * row looks anew, so that a VM may go away meanwhile.
 */
#include "asm/apic.h"
#include "hv/boot.h"
#include "hv/irq.h"
#include "hv/shell.h"
#include "hv/vioapic.h"
#include "hv/vm.h"
#include "lib/errno.h"
#include "../vapic.h"
#include "config.h"

/* A pin that was ever opened has a vector; the console's is the hypervisor's own. */
static void print_line(uint32_t gsi)
{
	struct vm *vm = vm_service();
	uint64_t rte = ioapic_read_rte(gsi);

	if (vm == NULL || IOAPIC_RTE_VECTOR(rte) < VECTOR_DYN_FIRST ||
	    (report_before != NULL && report_serial()->irq == gsi)) {
		return;
	}
	shell_print("%5u line %-12u 0x%02x   %7u %-7s %-6s guest: 0x%016lx", vm->id, gsi,
		    IOAPIC_RTE_VECTOR(rte), (uint32_t)(rte >> IOAPIC_RTE_DEST_SHIFT),
		    ((rte & IOAPIC_RTE_LEVEL) != 0U) ? "level" : "edge",
		    ((rte & IOAPIC_RTE_MASKED) != 0U) ? "yes" : "no", vioapic_rte(vm, gsi));
}

static void print_message(uint32_t i)
{
	struct pt_msi m;

	if (ptirq_message(i, &m)) {
		shell_print("%5u MSI  %02x:%02x.%u-%-4u 0x%02x guest: 0x%lx 0x%x", m.vm->id,
			    m.bdf >> 8, (m.bdf >> 3) & 0x1FU, m.bdf & 7U, m.index, m.vector, m.addr,
			    m.data);
	}
}

/* Lines first, then messages; what is not in use prints nothing. */
static bool pt_row(uint32_t i)
{
	uint32_t lines = ioapic_gsi_count();

	if (i == 0U) {
		shell_print("VM_ID KIND SOURCE       VECTOR APIC_ID TRIGGER MASKED");
	}
	if (i < lines) {
		print_line(i);
		return true;
	}
	if (i - lines < CONFIG_MAX_PT_IRQ_ENTRIES) {
		print_message(i - lines);
	}
	return i - lines < CONFIG_MAX_PT_IRQ_ENTRIES;
}

static int pt(uint32_t argc, char **argv)
{
	(void)argv;
	shell_rows(pt_row);
	return (argc == 1U) ? 0 : -EINVAL;
}
SHELL_CMD("pt", "", "interrupts passed on to VMs", pt);
