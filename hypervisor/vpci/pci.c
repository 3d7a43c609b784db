// SPDX-License-Identifier: BSD-3-Clause
/*
 * The machine's PCI configuration space.  Called by the virtual one, on any CPU; the address port
 * and the data port are a pair, so one lock holds them together.  Knows no devices.
 */
#include "asm/io.h"
#include "lib/spinlock.h"
#include "hv/acpi.h"
#include "hv/mm.h"
#include "hv/unit.h"
#include "hv/vpci.h"

#define CFG_ADDR      0xCF8U
#define CFG_DATA      0xCFCU
#define CFG_ENABLE    BIT32(31)
#define CFG_PORT_SIZE 256U
#define ECAM_BUS_SIZE 0x100000UL

static spinlock_t lock;
static bool ecam_mapped;

bool (*pci_given)(bdf_t bdf);
bool (*pci_given_page)(hpa_t page);

bool pci_ecam(hpa_t *base, uint64_t *size)
{
	const struct acpi_facts *a = &acpi_facts;

	if (!ecam_mapped) {
		return false;
	}
	*base = HPA(a->mcfg_base + a->mcfg_start_bus * ECAM_BUS_SIZE);
	*size = ((uint64_t)a->mcfg_end_bus - a->mcfg_start_bus + 1U) * ECAM_BUS_SIZE;
	return true;
}

/* Address of a register in the window, or NULL. */
static void *ecam_reg(bdf_t bdf, uint32_t reg)
{
	uint32_t bus = bdf >> 8;

	if (!ecam_mapped || bus < acpi_facts.mcfg_start_bus || bus > acpi_facts.mcfg_end_bus ||
	    reg >= PAGE_SIZE) {
		return NULL;
	}
	return hpa_ptr(HPA(acpi_facts.mcfg_base + ((uint64_t)bdf << 12) + reg));
}

static uint16_t select_reg(bdf_t bdf, uint32_t reg)
{
	pio_write32(CFG_ADDR, CFG_ENABLE | ((uint32_t)bdf << 8) | (reg & 0xFCU));
	return (uint16_t)(CFG_DATA + (reg & 3U));
}

uint32_t pci_cfg_read(bdf_t bdf, uint32_t reg, uint8_t width)
{
	uint32_t val;

	if (reg >= CFG_PORT_SIZE) {
		const void *p = ecam_reg(bdf, reg);

		return p ? mmio_read(p, width) : UINT32_MAX;
	}
	spin_lock(&lock);
	val = pio_read(select_reg(bdf, reg), width);
	spin_unlock(&lock);
	return val;
}

void pci_cfg_write(bdf_t bdf, uint32_t reg, uint8_t width, uint32_t val)
{
	if (reg >= CFG_PORT_SIZE) {
		void *p = ecam_reg(bdf, reg);

		if (p) {
			mmio_write(p, width, val);
		}
		return;
	}
	spin_lock(&lock);
	pio_write(select_reg(bdf, reg), width, val);
	spin_unlock(&lock);
}

static int pci_boot(void)
{
	hpa_t base;
	uint64_t size;

	ecam_mapped = acpi_facts.mcfg_base != 0U &&
		      acpi_facts.mcfg_end_bus >= acpi_facts.mcfg_start_bus;
	if (pci_ecam(&base, &size)) {
		hostmm_map_uc(base, size);
	}
	return 0;
}

UNIT(pci) = {.name = "pci", .level = UNIT_CORE, .boot = pci_boot};
