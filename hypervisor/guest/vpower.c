// SPDX-License-Identifier: BSD-3-Clause
/*
 * The end of the machine: it is powered off when the last VM has ended, and reset when somebody who
 * may asks for it. What the Service VM wants of it is service_vm/power.c's, which is asked first. On
 * any CPU; no lock: the machine stops.
 */
#include "asm/io.h"
#include "hv/acpi.h"
#include "hv/boot.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "hv/vmcs.h"
#include "hv/vpower.h"
#include "config.h"

#define RESET_FULL	 0x06U
#define RESET_WAIT_SPINS 1000000U

bool (*vpower_wanted)(void);

void vpower_pass(struct io_access *io)
{
	if (io->write) {
		pio_write((uint16_t)io->addr, io->width, (uint32_t)io->value);
	} else {
		io->value = pio_read((uint16_t)io->addr, io->width);
	}
}

/* A register that has no bit to keep: what the firmware set there is lost with the power. */
static void write_sleep(uint16_t port)
{
	if (port != 0U) {
		pio_write16(port, (uint16_t)(((uint32_t)acpi_facts.s5_typ << 10) | PM1_SLP_EN));
	}
}

static void power_off(void)
{
	if (acpi_facts.s5_typ == S5_UNKNOWN || acpi_facts.pm1a_cnt == 0U) {
		report("all VMs have ended; the firmware does not say how to power off");
	} else {
		report("all VMs have ended; the machine is powered off");
		write_sleep(acpi_facts.pm1a_cnt);
		write_sleep(acpi_facts.pm1b_cnt);
	}
	for (;;) {
		cpu_halt();
	}
}

/* A pre-launched VM that is between two lives runs as well: it is gone when it has ended. */
bool vpower_runs(const struct vm *vm)
{
	return vm->state == VM_RUNNING || (vm->load_order == PRE_LAUNCHED_VM && vm_is_live(vm));
}

static bool any_runs(void)
{
	for (uint16_t i = 0U; i < CONFIG_MAX_VM_NUM; i++) {
		if (vpower_runs(vm_by_id(i))) {
			return true;
		}
	}
	return false;
}

/*
 * The last thing this CPU does. An INIT, which a keyboard controller causes, is held back in VMX. So
 * is the kick of a CPU whose guest owned its APIC, which would stop this one: leave VMX last.
 */
void vpower_reset_machine(const char *who, struct io_access *how)
{
	if (vm_check != NULL) {
		vm_check(NULL);
	}
	report("%s resets the machine", who);
	if (how != NULL) {
		vpower_pass(how);
		for (uint32_t i = 0U; i < RESET_WAIT_SPINS; i++) {
			cpu_relax();
		}
	}
	if (acpi_facts.reset_port != 0U) {
		pio_write8(acpi_facts.reset_port, acpi_facts.reset_value);
	}
	pio_write8(PORT_RESET, RESET_FULL & ~RESET_CPU);
	pio_write8(PORT_RESET, RESET_FULL);
	vmx_disable_pcpu();
	pio_write8(PORT_KBD_CMD, KBD_RESET);
	for (;;) {
		cpu_halt();
	}
}

void vm_ended(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* its state, before we look who waits for it */
	if (vpower_wanted != NULL && vpower_wanted()) {
		return;
	}
	if (!any_runs()) {
		power_off();
	}
}
