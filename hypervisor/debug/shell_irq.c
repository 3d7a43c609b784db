// SPDX-License-Identifier: BSD-3-Clause
/*
 * Shell commands about interrupts: what came on each CPU, the physical IOAPICs, a VM's virtual one,
 * and the lines passed on to the VM that owns the machine. They read; nothing changes. Each row
 * looks anew, and holds the lock of the VM it shows. Called by shell.c.
 */
#include "asm/apic.h"
#include "hv/irq.h"
#include "hv/pcpu.h"
#include "hv/shell.h"
#include "hv/vioapic.h"
#include "hv/vm.h"
#include "lib/errno.h"
#include "lib/printf.h"
#include "lib/string.h"

#define TEXT_MAX   190U
#define COLUMN_MAX 12U

/* The line that is routed to this vector, or the vector's own purpose. */
static void vector_name(char *text, size_t size, uint32_t vector)
{
	static const struct {
		uint32_t vector;
		const char *name;
	} own[] = {
		{VECTOR_TIMER, "timer"},
		{VECTOR_KICK, "kick"},
		{VECTOR_POSTED, "posted"},
		{VECTOR_SPURIOUS, "spurious"},
	};

	for (uint32_t i = 0U; i < ARRAY_SIZE(own); i++) {
		if (own[i].vector == vector) {
			(void)string_copy(text, own[i].name, size);
			return;
		}
	}
	(void)string_copy(text, "device", size);
	for (uint32_t gsi = 0U; gsi < ioapic_gsi_count(); gsi++) {
		uint64_t rte = ioapic_read_rte(gsi);

		if (IOAPIC_RTE_VECTOR(rte) == vector) {
			(void)snprintf(text, size, "line %u", gsi);
		}
	}
}

static bool int_row(uint32_t vector)
{
	char text[TEXT_MAX], name[16];
	bool any = vector == 0U;
	size_t at;

	if (vector > UINT8_MAX) {
		return false;
	}
	vector_name(name, sizeof(name), vector);
	at = (size_t)((vector == 0U) ? snprintf(text, sizeof(text), "VECTOR FOR      ")
				     : snprintf(text, sizeof(text), "0x%02x   %-9s", vector, name));
	for (uint16_t cpu = 0U; cpu < pcpu_count && at < TEXT_MAX - COLUMN_MAX; cpu++) {
		uint32_t count = irq_count(cpu, (uint8_t)vector);

		any = any || count != 0U;
		at += (size_t)((vector == 0U) ? snprintf(&text[at], TEXT_MAX - at, "     CPU%-3u", cpu)
					      : snprintf(&text[at], TEXT_MAX - at, " %10u", count));
	}
	if (any) {
		shell_print("%s", text);
	}
	return true;
}

static int int_(uint32_t argc, char **argv)
{
	(void)argv;
	shell_rows(int_row);
	return (argc == 1U) ? 0 : -EINVAL;
}
SHELL_CMD("int", "", "interrupts that came, by vector and CPU", int_);

#define RTE_HEAD "LINE VECTOR MODE    DEST        TRIGGER POLARITY MASKED IRR ENTRY"

static void print_rte(uint32_t gsi, uint64_t rte)
{
	static const char *const modes[8] = {"fixed", "lowest", "SMI",  "?3",
					     "NMI",   "INIT",	"?6", "ExtINT"};

	shell_print("%4u 0x%02x   %-7s %s%-3u %s %s %-6s %-3s 0x%016lx", gsi, IOAPIC_RTE_VECTOR(rte),
		    modes[(rte >> IOAPIC_RTE_DM_SHIFT) & 7U],
		    ((rte & IOAPIC_RTE_LOGICAL) != 0U) ? "logical " : "APIC id ",
		    (uint32_t)(rte >> IOAPIC_RTE_DEST_SHIFT),
		    ((rte & IOAPIC_RTE_LEVEL) != 0U) ? "level  " : "edge   ",
		    ((rte & IOAPIC_RTE_LOW_ACTIVE) != 0U) ? "low     " : "high    ",
		    ((rte & IOAPIC_RTE_MASKED) != 0U) ? "yes" : "no",
		    ((rte & IOAPIC_RTE_REMOTE_IRR) != 0U) ? "1" : "0", rte);
}

static bool ioapic_row(uint32_t gsi)
{
	if (gsi == 0U) {
		shell_print(RTE_HEAD);
	}
	if (gsi < ioapic_gsi_count()) {
		print_rte(gsi, ioapic_read_rte(gsi));
	}
	return gsi < ioapic_gsi_count();
}

static int dump_ioapic(uint32_t argc, char **argv)
{
	(void)argv;
	shell_rows(ioapic_row);
	return (argc == 1U) ? 0 : -EINVAL;
}
SHELL_CMD("dump_ioapic", "", "the physical IOAPICs' entries", dump_ioapic);

static char vioapic_vm[8];

static bool vioapic_row(uint32_t gsi)
{
	struct vm *vm = shell_vm_lock(vioapic_vm);
	bool there;

	if (vm == NULL) {
		return false;
	}
	there = vm->vioapic != NULL && gsi < vioapic_gsi_count(vm);
	if (gsi == 0U) {
		shell_print("%s", there ? RTE_HEAD : "this VM has no virtual IOAPIC");
	}
	if (there) {
		print_rte(gsi, vioapic_rte(vm, gsi));
	}
	spin_unlock(&vm->lock);
	return there;
}

static int vioapic(uint32_t argc, char **argv)
{
	if (argc != 2U || string_copy(vioapic_vm, argv[1], sizeof(vioapic_vm)) < 0) {
		return -EINVAL;
	}
	shell_rows(vioapic_row);
	return 0;
}
SHELL_CMD("vioapic", "<vm id>", "the entries of a VM's virtual IOAPIC", vioapic);
