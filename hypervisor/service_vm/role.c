// SPDX-License-Identifier: BSD-3-Clause
/*
 * What makes a VM the Service VM: it sees the machine 1:1 (memory less the hypervisor's, every
 * port, the firmware's ACPI tables) and may make hypercalls. Runs once, while the VM is created;
 * afterwards the role is in its EPT, its bitmaps and struct vm, and nobody asks for it. Takes no
 * lock: the machine runs no guest yet.
 */
#include "asm/apic.h"
#include "asm/vmx.h"
#include "hv/acpi.h"
#include "hv/caps.h"
#include "hv/irq.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/unit.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "lib/errno.h"
#include "lib/string.h"

/* With 1 GB pages mapping this much costs one table; 64-bit PCI BARs lie somewhere in it. */
#define LARGE_TOP GB(512)

#define MADT_ENTRIES 44U /* offset of the first one */
#define MADT_LAPIC   0U
#define MADT_X2APIC  9U
#define MADT_ENABLED 3U /* flags: enabled, online capable */

static int map_range(struct vm *vm, uint64_t base, uint64_t size, uint64_t attr)
{
	return (size == 0U) ? 0 : ept_map(&vm->ept, GPA(base), HPA(base), size, attr);
}

/* RAM is write-back, all between is uncached and the guest's PAT and MTRRs refine it. */
static int map_memory(struct vm *vm)
{
	uint64_t top = ALIGN_UP(MAX(e820_top(&host_e820), GB(4)), PAGE_SIZE_1G), at = 0U;
	int err = 0;

	if (cap_has(CAP_EPT_1G)) {
		top = MAX(top, LARGE_TOP);
	}
	for (uint32_t i = 0U; i < host_e820.count && err == 0; i++) {
		const struct mem_range *r = &host_e820.r[i];
		bool ram = r->type == MEM_RAM || r->type == MEM_ACPI || r->type == MEM_NVS;
		uint64_t start = MAX(ALIGN_DOWN(r->base, PAGE_SIZE), at);
		uint64_t end = ALIGN_DOWN(r->base + r->size, PAGE_SIZE);

		if (!ram || end <= start) {
			continue;
		}
		err = map_range(vm, at, start - at, EPT_RWX | EPT_MT_UC);
		if (err == 0) {
			err = map_range(vm, start, end - start, EPT_RWX | EPT_MT_WB);
		}
		at = end;
	}
	return (err == 0) ? map_range(vm, at, top - at, EPT_RWX | EPT_MT_UC) : err;
}

/* Memory of the hypervisor, and the registers that it drives itself and emulates for every VM. */
static int unmap_own(struct vm *vm)
{
	int err = ept_unmap(&vm->ept, GPA(APIC_DEFAULT_BASE), PAGE_SIZE);

	for (uint32_t i = 0U; i < HV_RANGES && err == 0; i++) {
		uint64_t size, base = hv_range(i, &size).v;

		if (size != 0U) {
			err = ept_unmap(&vm->ept, GPA(base), ALIGN_UP(size, PAGE_SIZE));
		}
	}
	for (uint16_t i = 0U; i < ioapic_count && err == 0; i++) {
		err = ept_unmap(&vm->ept, GPA(ALIGN_DOWN(ioapics[i].base.v, PAGE_SIZE)), PAGE_SIZE);
	}
	return err;
}

static bool owns_cpu(uint64_t cpus, uint32_t apic_id)
{
	const struct pcpu *p = pcpu_by_apic_id(apic_id);

	return p != NULL && (cpus & BIT(p->id)) != 0U;
}

/* One entry of the MADT: a processor the VM does not own is not there. */
static void hide_processor(uint8_t *entry, uint64_t cpus)
{
	uint32_t id = entry[3], flags_at = 4U, flags;

	if (entry[0] == MADT_X2APIC) {
		(void)memcpy(&id, &entry[4], sizeof(id));
		flags_at = 8U;
	}
	if (owns_cpu(cpus, id)) {
		return;
	}
	(void)memcpy(&flags, &entry[flags_at], sizeof(flags));
	flags &= ~MADT_ENABLED;
	(void)memcpy(&entry[flags_at], &flags, sizeof(flags));
}

/*
 * The Service VM reads the firmware's own MADT. If it owns fewer processors than there are, the
 * table in memory is changed; firmware writes it anew at the next boot.
 */
static void patch_madt(uint64_t cpus)
{
	uint8_t *madt = hpa_ptr(HPA(acpi_facts.madt_hpa));
	uint32_t length, pos = MADT_ENTRIES;
	uint8_t sum = 0U;

	if (acpi_facts.madt_hpa == 0U) {
		return;
	}
	(void)memcpy(&length, &madt[4], sizeof(length));
	while (pos + 2U <= length && madt[pos + 1U] >= 2U && madt[pos + 1U] <= length - pos) {
		if ((madt[pos] == MADT_LAPIC && madt[pos + 1U] >= 8U) ||
		    (madt[pos] == MADT_X2APIC && madt[pos + 1U] >= 16U)) {
			hide_processor(&madt[pos], cpus);
		}
		pos += madt[pos + 1U];
	}
	madt[9] = 0U; /* checksum */
	for (uint32_t i = 0U; i < length; i++) {
		sum = (uint8_t)(sum + madt[i]);
	}
	madt[9] = (uint8_t)(0U - sum);
}

static int role_vm_init(struct vm *vm)
{
	int err;

	if (vm->load_order != SERVICE_VM) {
		return 0;
	}
	err = map_memory(vm);
	if (err == 0) {
		err = unmap_own(vm);
	}
	if (err != 0) {
		pr_err("%s: its memory cannot be mapped, error %d", vm->name, err);
		return err;
	}
	vio_service_defaults(vm);
	patch_madt(vm->config->cpu_affinity);
	vm->hypercalls = true;
	return 0;
}

UNIT(service_role) = {
	.name = "service_role",
	.level = UNIT_CORE + 1U,
	.vm_init = role_vm_init,
};
