// SPDX-License-Identifier: BSD-3-Clause
/*
 * DMA remapping units (VT-d) of the machine. Nothing is remapped yet; but the units are the
 * hypervisor's: the Service VM, which could redirect interrupts and every device's DMA by them, does
 * not reach their registers (boot/acpi.c hides the table that names them), and what the firmware
 * left switched on is switched off, since the Service VM could not. Reads the DMAR table (VT-d 8.1),
 * which is input like any other. At boot and while the Service VM is created, on the boot CPU; takes
 * no lock.
 */
#include "hv/vtd.h"
#include "asm/apic.h"
#include "asm/io.h"
#include "asm/vmx.h"
#include "hv/acpi.h"
#include "hv/boot.h"
#include "hv/ept.h"
#include "hv/irq.h"
#include "hv/mm.h"
#include "hv/timer.h"
#include "hv/unit.h"
#include "hv/vm.h"
#include "lib/string.h"

#define DMAR_STRUCTURES 48U
#define TYPE_DRHD	0U
#define DRHD_SIZE	16U
#define DRHD_BASE	8U

/* VT-d 11.4.4 */
#define REG_GCMD    0x18U
#define REG_GSTS    0x1CU
#define TRANSLATION BIT32(31)
#define INTERRUPTS  BIT32(25)
#define LASTING	    0x96FFFFFFU /* of the status: commands that stay, to be repeated */
#define PATIENCE    1000U	/* times 10 us */

static hpa_t units[VTD_UNITS];
static uint16_t unit_count;

static bool is_known(const hpa_t *found, uint16_t count, uint64_t base)
{
	for (uint16_t i = 0U; i < count; i++) {
		if (found[i].v == base) {
			return true;
		}
	}
	return false;
}

static bool is_apic(uint64_t base)
{
	for (uint16_t i = 0U; i < ioapic_count; i++) {
		if (ALIGN_DOWN(ioapics[i].base.v, PAGE_SIZE) == base) {
			return true;
		}
	}
	return base == APIC_DEFAULT_BASE;
}

/* Its registers will be written: they are no memory, of the screen neither, and no APIC's. */
static bool can_be_unit(uint64_t base)
{
	return base >= MB(1) && !is_apic(base) && (base & (PAGE_SIZE - 1U)) == 0U &&
	       base < hostmm_limit() && !e820_is_ram(&host_e820, base, PAGE_SIZE) && !hv_owns(HPA(base), PAGE_SIZE);
}

uint16_t vtd_find(hpa_t found[VTD_UNITS])
{
	const uint8_t *dmar = hpa_ptr(HPA(acpi_facts.dmar_hpa));
	uint16_t count = 0U, type, size;
	uint64_t base;
	uint32_t length;

	(void)memcpy(&length, &dmar[4], sizeof(length));
	for (uint32_t at = DMAR_STRUCTURES; at + 4U <= length; at += size) {
		(void)memcpy(&type, &dmar[at], sizeof(type));
		(void)memcpy(&size, &dmar[at + 2U], sizeof(size));
		if (size < 4U || size > length - at) {
			report("vtd: DMAR entry at %u has length %u, the rest is not read", at,
			       size);
			break;
		}
		if (type != TYPE_DRHD) {
			continue;
		}
		base = 0U;
		if (size >= DRHD_SIZE) {
			(void)memcpy(&base, &dmar[at + DRHD_BASE], sizeof(base));
		}
		if (!can_be_unit(base) || is_known(found, count, base) || count == VTD_UNITS) {
			report("vtd: the unit at 0x%lx is left alone", base);
		} else {
			found[count++] = HPA(base);
		}
	}
	return count;
}

/* One command at a time, and the next when the status says so (11.4.4). */
static bool switch_off(uint8_t *regs, uint32_t command)
{
	uint32_t status = mmio_read32(&regs[REG_GSTS]);

	if ((status & command) != 0U) {
		mmio_write32(&regs[REG_GCMD], status & LASTING & ~command);
	}
	for (uint32_t i = 0U; i < PATIENCE && (status & command) != 0U; i++) {
		udelay(10U);
		status = mmio_read32(&regs[REG_GSTS]);
	}
	return (status & command) == 0U;
}

static int vtd_boot(void)
{
	unit_count = (acpi_facts.dmar_hpa != 0U) ? vtd_find(units) : 0U;
	for (uint16_t i = 0U; i < unit_count; i++) {
		uint8_t *regs = hpa_ptr(units[i]);
		uint32_t status;

		hostmm_map_uc(units[i], PAGE_SIZE);
		status = mmio_read32(&regs[REG_GSTS]);
		if (status == UINT32_MAX) {
			report("vtd: nobody answers at 0x%lx", units[i].v);
		} else if (!switch_off(regs, TRANSLATION) || !switch_off(regs, INTERRUPTS)) {
			report("vtd: the unit at 0x%lx does not switch off what the firmware "
			       "switched on",
			       units[i].v);
		} else if ((status & (TRANSLATION | INTERRUPTS)) != 0U) {
			report("vtd: the unit at 0x%lx was on, it is off now", units[i].v);
		} else {
			/* as it should be */
		}
	}
	return 0;
}

static int vtd_vm_init(struct vm *vm)
{
	int err = 0;

	if (vm->load_order != SERVICE_VM) {
		return 0;
	}
	for (uint16_t i = 0U; i < unit_count && err == 0; i++) {
		err = ept_unmap(&vm->ept, GPA(units[i].v), PAGE_SIZE);
	}
	return err;
}

UNIT(vtd) = {
	.name = "vtd",
	.level = UNIT_CORE + 3U, /* the Service VM has been given all there is */
	.boot = vtd_boot,
	.vm_init = vtd_vm_init,
};
