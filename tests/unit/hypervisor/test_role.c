// SPDX-License-Identifier: BSD-3-Clause
// links: hypervisor/service_vm/role.c hypervisor/guest/unit.c hypervisor/pre_launched/pre_launched.c
// links: @machine tests/fake/fake_report.c
/*
 * The Service VM's view of the machine: what of physical memory it maps, and as what, and which
 * processors its MADT shows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "asm/vmx.h"
#include "fake_machine.h"
#include "hv/acpi.h"
#include "hv/caps.h"
#include "hv/irq.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/boot.h"
#include "hv/load.h"
#include "hv/unit.h"
#include "hv/vio.h"
#include "hv/vm.h"
#include "lib/errno.h"

struct e820 host_e820;
struct acpi_facts acpi_facts;
struct ioapic_info ioapics[2];
uint16_t ioapic_count = 1;

static struct mem_range hv[HV_RANGES];
static bool large;
static struct {
	uint64_t base, end, attr;
} maps[64];
static uint32_t map_count, ports_opened, map_fail_at;
static struct mem_range unmapped[8];
static uint32_t unmap_count;

static const struct vm_config config = {.cpu_affinity = 1};
static struct vm vm;

bool cap_has(enum cpu_cap cap)
{
	return cap == CAP_EPT_1G && large;
}

uint64_t e820_top(const struct e820 *map)
{
	return map->r[map->count - 1].base + map->r[map->count - 1].size;
}

hpa_t hv_range(uint32_t i, uint64_t *size)
{
	*size = hv[i].size;
	return HPA(hv[i].base);
}

/* For pre_launched.c, whose only range is what the test lets it take. */
const struct vm_config vm_configs[1];
const uint16_t vm_config_count;
int (*load_keep)(hpa_t base, uint64_t size);

int e820_reserve(uint64_t base, uint64_t size)
{
	(void)base;
	(void)size;
	return 0;
}

bool e820_is_free(uint64_t base, uint64_t size)
{
	return base + size == 0U;
}

uint64_t e820_find_top(uint64_t size, uint64_t align, uint64_t limit)
{
	return size + align + limit;
}

int ept_map(struct ept *ept, gpa_t gpa, hpa_t hpa, uint64_t size, uint64_t attr)
{
	assert_ptr_equal(ept, &vm.ept);
	assert_int_equal(gpa.v, hpa.v);
	assert_int_equal((gpa.v | size) % PAGE_SIZE, 0);
	assert_true(map_count < 64);
	/* in order, without overlap, and before anything is taken away */
	assert_int_equal(unmap_count, 0);
	assert_true(map_count == 0 || maps[map_count - 1].end <= gpa.v);
	maps[map_count].base = gpa.v;
	maps[map_count].end = gpa.v + size;
	maps[map_count].attr = attr;
	return ++map_count == map_fail_at ? -ENOMEM : 0;
}

int ept_unmap(struct ept *ept, gpa_t gpa, uint64_t size)
{
	(void)ept;
	assert_int_equal((gpa.v | size) % PAGE_SIZE, 0);
	assert_true(unmap_count < 8);
	unmapped[unmap_count++] = (struct mem_range){.base = gpa.v, .size = size};
	return 0;
}

void vio_service_defaults(struct vm *v)
{
	assert_ptr_equal(v, &vm);
	ports_opened++;
}

struct pcpu *pcpu_by_apic_id(uint32_t apic_id)
{
	for (uint16_t i = 0; i < pcpu_count; i++) {
		if (pcpus[i].apic_id == apic_id)
			return &pcpus[i];
	}
	return NULL;
}

static int setup(void **state)
{
	(void)state;
	fake_machine_reset();
	memset(&vm, 0, sizeof(vm));
	memset(&acpi_facts, 0, sizeof(acpi_facts));
	vm.load_order = SERVICE_VM;
	vm.config = &config;
	map_count = unmap_count = ports_opened = map_fail_at = 0;
	large = false;
	ioapics[0].base = HPA(0xFEC00000);
	host_e820 = (struct e820){
		.count = 5,
		.r = {{.base = 0, .size = 0x9FC00, .type = MEM_RAM},
		      {.base = 0xE8000, .size = 0x18000, .type = MEM_RESERVED},
		      {.base = 0x100000, .size = 0x1FEF0000, .type = MEM_RAM},
		      {.base = 0x1FFF0000, .size = 0x10000, .type = MEM_ACPI},
		      {.base = GB(4), .size = GB(2), .type = MEM_RAM}}};
	hv[0] = (struct mem_range){.base = 0x9E000, .size = 0x1000};
	hv[1] = (struct mem_range){.base = 0x400000, .size = 0x122001}; /* up to a part of a page */
	hv[2] = (struct mem_range){.base = 0x1E000000, .size = 0x1FF0000};
	return 0;
}

/* EPT attributes of an address; 0: not mapped. */
static uint64_t attr_of(uint64_t gpa)
{
	for (uint32_t i = 0; i < unmap_count; i++) {
		if (gpa - unmapped[i].base < unmapped[i].size)
			return 0;
	}
	for (uint32_t i = 0; i < map_count; i++) {
		if (gpa >= maps[i].base && gpa < maps[i].end)
			return maps[i].attr;
	}
	return 0;
}

#define RAM    (EPT_RWX | EPT_MT_WB)
#define DEVICE (EPT_RWX | EPT_MT_UC)

/* RAM cached, the rest not, the hypervisor's pages not at all, up to the last byte. */
static void test_memory(void **state)
{
	(void)state;
	assert_int_equal(unit_vm_init(&vm), 0);
	assert_true(vm.hypercalls);
	assert_int_equal(ports_opened, 1);
	assert_int_equal(attr_of(0), RAM);
	assert_int_equal(attr_of(0x9DFFF), RAM);
	assert_int_equal(attr_of(0x9E000), 0);
	assert_int_equal(attr_of(0x9EFFF), 0);
	assert_int_equal(attr_of(0x9F000), DEVICE); /* not a whole page of RAM */
	assert_int_equal(attr_of(0xA0000), DEVICE);
	assert_int_equal(attr_of(0xFFFFF), DEVICE);
	assert_int_equal(attr_of(0x100000), RAM);
	assert_int_equal(attr_of(0x3FFFFF), RAM);
	assert_int_equal(attr_of(0x400000), 0);
	assert_int_equal(attr_of(0x522FFF), 0);
	assert_int_equal(attr_of(0x523000), RAM);
	assert_int_equal(attr_of(0x1DFFFFFF), RAM);
	assert_int_equal(attr_of(0x1E000000), 0);
	assert_int_equal(attr_of(0x1FFEFFFF), 0);
	assert_int_equal(attr_of(0x1FFF0000), RAM);
	assert_int_equal(attr_of(0x20000000), DEVICE);
	assert_int_equal(attr_of(GB(4) - 1), DEVICE);
	assert_int_equal(attr_of(GB(6) - 1), RAM);
	assert_int_equal(attr_of(GB(6)), 0);
	/* what the hypervisor emulates */
	assert_int_equal(unmap_count, 5);
	assert_int_equal(attr_of(0xFEDFFFFF), DEVICE);
	assert_int_equal(attr_of(0xFEE00000), 0);
	assert_int_equal(attr_of(0xFEE00FFF), 0);
	assert_int_equal(attr_of(0xFEE01000), DEVICE);
	assert_int_equal(attr_of(0xFEC00000), 0);
	assert_int_equal(attr_of(0xFEC01000), DEVICE);
}

/* What a pre-launched VM owns, is it out of the Service VM's reach? */
static void test_theirs(void **state)
{
	(void)state;
	assert_int_equal(load_keep(HPA(0x8000000), MB(64)), 0);
	assert_int_equal(unit_vm_init(&vm), 0);
	assert_int_equal(attr_of(0x7FFFFFF), RAM);
	assert_int_equal(attr_of(0x8000000), 0);
	assert_int_equal(attr_of(0xBFFFFFF), 0);
	assert_int_equal(attr_of(0xC000000), RAM);
}

/* With 1 GB pages room for 64-bit BARs is mapped too. */
static void test_large(void **state)
{
	(void)state;
	large = true;
	assert_int_equal(unit_vm_init(&vm), 0);
	assert_int_equal(attr_of(GB(6)), DEVICE);
	assert_int_equal(attr_of(GB(512) - 1), DEVICE);
	assert_int_equal(attr_of(GB(512)), 0);
}

/* Another VM gets nothing of it; no memory for tables is an error. */
static void test_others(void **state)
{
	(void)state;
	vm.load_order = POST_LAUNCHED_VM;
	assert_int_equal(unit_vm_init(&vm), 0);
	assert_int_equal(map_count + ports_opened, 0);
	assert_false(vm.hypercalls);
	vm.load_order = SERVICE_VM;
	map_fail_at = 3;
	assert_int_equal(unit_vm_init(&vm), -ENOMEM);
	assert_false(vm.hypercalls);
}

static uint8_t madt[44 + 8 + 8 + 12 + 16 + 6] = {
	'A', 'P', 'I', 'C', sizeof(madt), 0, 0, 0, 1, 0x55,
	[44] = 0, 8, 0, 0, 1, 0, 0, 0, /* APIC id 0, enabled */
	[52] = 0, 8, 1, 1, 1, 0, 0, 0, /* 1, enabled */
	[60] = 1, 12, 0, 0, 0, 0, 0xC0, 0xFE, 0, 0, 0, 0, /* an IOAPIC */
	[72] = 9, 16, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 9, 0, 0, 0, /* x2APIC id 3 */
	[88] = 0, 8, 2, 2, 1, 0, /* cut off */
};

/* Are only the processors it owns still there, and the checksum right? */
static void test_madt(void **state)
{
	uint8_t sum = 0;

	(void)state;
	acpi_facts.madt_hpa = ptr_hpa(madt).v;
	assert_int_equal(unit_vm_init(&vm), 0);
	assert_int_equal(madt[44 + 4], 1);
	assert_int_equal(madt[52 + 4], 0);
	assert_int_equal(madt[60 + 7], 0xFE);
	assert_int_equal(madt[72 + 8], 0);
	assert_int_equal(madt[88 + 4], 1);
	for (uint32_t i = 0; i < sizeof(madt); i++)
		sum = (uint8_t)(sum + madt[i]);
	assert_int_equal(sum, 0);
}

static int group_setup(void **state)
{
	(void)state;
	fake_machine_reset();
	return unit_boot();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_memory, setup),
		cmocka_unit_test_setup(test_large, setup),
		cmocka_unit_test_setup(test_others, setup),
		cmocka_unit_test_setup(test_madt, setup),
		cmocka_unit_test_setup(test_theirs, setup), /* for good */
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
