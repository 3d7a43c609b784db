// SPDX-License-Identifier: BSD-3-Clause
/*
 * Interrupts for a VM, whoever raises them: a message-signalled one by address and data, or a line
 * by its global number (GSI).  Called by the hypercalls, device emulation and pass-through code, on
 * any CPU.  Only translates: the VM's role (vm->vintr) and its vIOAPIC deliver.  Also the MSRs of a
 * local APIC, whosever that is.  Takes no lock.
 */
#include "lib/errno.h"
#include "asm/apic.h"
#include "asm/msr.h"
#include "hv/vcpu.h"
#include "hv/vintr.h"
#include "hv/vioapic.h"
#include "hv/vm.h"
#include "hv/vmsr.h"

#define MSI_ADDR_BASE	 0xFEE00000UL
#define MSI_ADDR_MASK	 0xFFFFFFFFFFF00000UL
#define MSI_ADDR_LOGICAL BIT(2)
#define MSI_ADDR_HINT	 BIT(3)
#define MSI_DATA_LEVEL	 BIT32(15)
#define MSI_DATA_ASSERT	 BIT32(14)

int vintr_msi(struct vm *vm, uint64_t addr, uint32_t data)
{
	struct vintr_msg msg = {
		.dest = (uint32_t)(addr >> 12) & 0xFFU,
		.logical = (addr & MSI_ADDR_LOGICAL) != 0U,
		.level = (data & MSI_DATA_LEVEL) != 0U,
		.redirect = (addr & MSI_ADDR_HINT) != 0U,
		.mode = (uint8_t)((data >> 8) & 7U),
		.vector = (uint8_t)data,
	};

	if ((addr & MSI_ADDR_MASK) != MSI_ADDR_BASE) {
		return -EINVAL;
	}
	if (msg.mode == APIC_DM_SIPI) {
		return 0; /* reserved in a message (SDM 3A 11.11.2): only a processor starts another */
	}
	if (msg.level && (data & MSI_DATA_ASSERT) == 0U) {
		return 0; /* a level that goes away is no message */
	}
	if (msg.dest == 0xFFU && !msg.logical) {
		msg.dest = VINTR_DEST_ALL;
	}
	vm->vintr->deliver(vm, &msg);
	return 0;
}

/* A PC's timer is IRQ 0 of the 8259 and pin 2 of the IOAPIC; pin 0 is where the 8259 may end. */
static void drive_pic(struct vm *vm, uint32_t gsi, bool high)
{
	if (gsi < 16U && gsi != 0U && vm->vintr->pic_line) {
		vm->vintr->pic_line(vm, gsi == 2U ? 0U : gsi, high);
	}
}

int vintr_set_gsi(struct vm *vm, uint32_t gsi, uint32_t op)
{
	int ret;

	if (op > GSI_FALLING_PULSE) {
		return -EINVAL;
	}
	ret = vioapic_set_gsi(vm, gsi, op);
	if (ret != 0) {
		return ret;
	}
	switch (op) {
	case GSI_SET_HIGH:
	case GSI_SET_LOW:
		drive_pic(vm, gsi, op == GSI_SET_HIGH);
		break;
	case GSI_RISING_PULSE:
		drive_pic(vm, gsi, true);
		drive_pic(vm, gsi, false);
		break;
	default:
		drive_pic(vm, gsi, false);
		drive_pic(vm, gsi, true);
		break;
	}
	return 0;
}

static int apic_read(struct vcpu *vcpu, uint32_t msr, uint64_t *val)
{
	return vcpu->vm->vintr->read_msr(vcpu, msr, val);
}

static int apic_write(struct vcpu *vcpu, uint32_t msr, uint64_t val)
{
	return vcpu->vm->vintr->write_msr(vcpu, msr, val);
}

VMSR(apic_base) = {
	.first = MSR_APIC_BASE, .last = MSR_APIC_BASE, .read = apic_read, .write = apic_write};
VMSR(x2apic) = {
	.first = MSR_X2APIC_FIRST, .last = MSR_X2APIC_LAST, .read = apic_read, .write = apic_write};
VMSR(tsc_deadline) = {
	.first = MSR_TSC_DEADLINE, .last = MSR_TSC_DEADLINE, .read = apic_read, .write = apic_write};
