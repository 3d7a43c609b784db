// SPDX-License-Identifier: BSD-3-Clause
/*
 * Power-off and reset by the VM that owns the machine: ACPI PM1 control, the reset register of the
 * FADT, port 0xCF9, the keyboard controller's reset pulse, a triple fault. If no VM of a higher
 * severity runs they reach the machine, a reset as a full one; else they end the one VM, and reach
 * the machine when the others have ended. Sleep states that would come back to firmware instead of
 * the hypervisor are refused. Port handlers run on the vCPU's CPU; no lock: the machine stops.
 */
#include "hv/acpi.h"
#include "hv/boot.h"
#include "hv/log.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "hv/vpower.h"
#include "config.h"

#define PM1_SLP_TYP(v) (((v) >> 10) & 7U)

/* What the VM that has ended wanted of the machine: a write to PM1, or if it is none a reset. */
static struct io_access wanted;
static struct vcpu *wanted_by;

static bool owns_machine(const struct vm *vm)
{
	for (uint16_t i = 0U; i < CONFIG_MAX_VM_NUM; i++) {
		const struct vm *other = vm_by_id(i);

		if (other != vm && vpower_runs(other) && other->severity > vm->severity) {
			return false;
		}
	}
	return true;
}

static void power_off_machine(const struct vcpu *vcpu, struct io_access *how)
{
	if (vm_check != NULL) {
		vm_check(NULL);
	}
	report("%s powers the machine off", vcpu->vm->name);
	vpower_pass(how);
}

/* vm_ended() asks: does a VM that has ended want something of the machine? Now may be the time. */
static bool is_wanted(void)
{
	struct vcpu *vcpu = __atomic_load_n(&wanted_by, __ATOMIC_SEQ_CST);

	if (vcpu == NULL) {
		return false;
	}
	if (!owns_machine(vcpu->vm)) {
		return true;
	}
	if (wanted.write) {
		power_off_machine(vcpu, &wanted);
	} else {
		vpower_reset_machine(vcpu->vm->name, NULL);
	}
	return true;
}

/* The VM is over, the machine goes on for the others; the last of them may end meanwhile. */
static __noreturn void end_vm(struct vcpu *vcpu, const char *how, const struct io_access *io)
{
	pr_acrn("%s: %s; a VM of higher severity runs, so only this one stops", vcpu->vm->name,
		how);
	wanted = (io != NULL) ? *io : (struct io_access){0};
	__atomic_store_n(&wanted_by, vcpu, __ATOMIC_SEQ_CST);
	vm_ended();
	vm_stop(vcpu);
}

static void request_reset(struct vcpu *vcpu, struct io_access *io)
{
	if (!owns_machine(vcpu->vm)) {
		end_vm(vcpu, "reset", NULL);
	}
	vpower_reset_machine(vcpu->vm->name, io);
}

static void reset_port_io(struct vcpu *vcpu, void *arg, struct io_access *io)
{
	(void)arg;
	if (io->write && (uint8_t)io->value == acpi_facts.reset_value) {
		request_reset(vcpu, io);
	} else {
		vpower_pass(io);
	}
}

/* The pulse may be no more than an INIT, which leaves devices and the local APIC as they are. */
static void kbd_io(struct vcpu *vcpu, void *arg, struct io_access *io)
{
	(void)arg;
	if (io->write && (uint8_t)io->value == KBD_RESET) {
		request_reset(vcpu, NULL);
	} else {
		vpower_pass(io);
	}
}

static void reset_control_io(struct vcpu *vcpu, void *arg, struct io_access *io)
{
	(void)arg;
	if (io->write && (io->value & RESET_CPU) != 0U) {
		request_reset(vcpu, io);
	} else {
		vpower_pass(io);
	}
}

/* arg is the register's port: a byte access may begin at its second half. */
static void pm1_io(struct vcpu *vcpu, void *arg, struct io_access *io)
{
	uint32_t shift = (uint32_t)(io->addr - (uintptr_t)arg) * 8U;
	uint32_t v = (uint32_t)(io->value << shift) & 0xFFFFU;

	if (!io->write || (v & PM1_SLP_EN) == 0U) {
		vpower_pass(io);
		return;
	}
	if (acpi_facts.s5_typ != S5_UNKNOWN && PM1_SLP_TYP(v) != acpi_facts.s5_typ) {
		pr_warn("%s: sleep type %u is not power-off, refused", vcpu->vm->name,
			PM1_SLP_TYP(v));
		return;
	}
	if (!owns_machine(vcpu->vm)) {
		end_vm(vcpu, "power-off", io);
	}
	power_off_machine(vcpu, io);
}

static void on_triple_fault(struct vcpu *vcpu)
{
	pr_err("%s: vCPU %u triple-faulted", vcpu->vm->name, vcpu->id);
	if (!owns_machine(vcpu->vm)) {
		end_vm(vcpu, "triple fault", NULL);
	}
	vpower_reset_machine(vcpu->vm->name, NULL);
}

static int claim(struct vm *vm, uint16_t port, uint16_t count, io_handler_t fn)
{
	return vio_add_pio(vm, port, count, fn, (void *)(uintptr_t)port);
}

/* A port that the FADT names, 0: none. It may name one that is somebody else's already. */
static void claim_named(struct vm *vm, uint16_t port, uint16_t count, io_handler_t fn)
{
	if (port != 0U && claim(vm, port, count, fn) != 0) {
		report("%s: port 0x%x of the FADT is in use, not watched", vm->name, port);
	}
}

static int power_vm_init(struct vm *vm)
{
	int err;

	if (vm->load_order != SERVICE_VM) {
		return 0;
	}
	err = claim(vm, PORT_RESET, 1U, reset_control_io);
	if (err == 0) {
		err = claim(vm, PORT_KBD_CMD, 1U, kbd_io);
	}
	claim_named(vm, acpi_facts.pm1a_cnt, 2U, pm1_io);
	claim_named(vm, acpi_facts.pm1b_cnt, 2U, pm1_io);
	if (acpi_facts.reset_port != PORT_RESET && acpi_facts.reset_port != PORT_KBD_CMD) {
		claim_named(vm, acpi_facts.reset_port, 1U, reset_port_io);
	}
	vm->on_triple_fault = on_triple_fault;
	vpower_wanted = is_wanted;
	return err;
}

UNIT(power) = {
	.name = "power",
	.level = UNIT_DEV + 1U, /* last: what the firmware says is claimed behind all others */
	.vm_init = power_vm_init,
};
