// SPDX-License-Identifier: BSD-3-Clause
/*
 * Shares of the last cache and of memory bandwidth (CAT, CDP, MBA; SDM 3B 17.19): classes of service
 * have the masks and delays of the scenario, and a processor works in the class of its vCPU. The
 * hypervisor's work for a guest is in the guest's class. Guests see nothing of it: no CPUID leaf, no
 * MSR. A processor without it, or with less of it, costs a line in the boot report. The class is set
 * where a vCPU is switched in; on its own CPU, no lock, and an exit costs nothing.
 */
#include "asm/insn.h"
#include "hv/boot.h"
#include "hv/log.h"
#include "hv/pcpu.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "config.h"

#define MSR_L3_QOS_CFG 0xC81U /* bit 0: CDP on */
#define MSR_L2_QOS_CFG 0xC82U
#define MSR_PQR_ASSOC  0xC8FU /* class in the high half, a monitoring id in the low one */
#define MSR_L3_MASK    0xC90U
#define MSR_L2_MASK    0xD10U
#define MSR_MBA_DELAY  0xD50U

#define LEAF_RDT	0x10U
#define CPUID_7_EBX_RDT BIT32(15)
#define RES_L3		1U /* sub-leaves, and bits of EBX of the first one */
#define RES_L2		2U
#define RES_MBA		3U
#define ECX_CDP		BIT32(2)
#define NOBODYS		UINT32_MAX

/* What the processors offer of what is wanted; a count of 0: nothing. */
static struct rdt {
	uint32_t mask_msr, cfg_msr, mask_count; /* CDP: two masks a class, data and code */
	uint32_t mask_bits;
	uint32_t delay_count, delay_max;
	uint32_t classes;
	bool cdp;
} rdt;
static uint32_t held[CONFIG_MAX_PCPU_NUM]; /* the class a CPU works in, or NOBODYS */
static void (*next_switch_in)(struct thread *t);

static bool find_masks(uint32_t resources)
{
	uint32_t r[4], wanted = rdt_config.mask_count, classes;
	bool l3 = (resources & BIT32(RES_L3)) != 0U;

	if (wanted == 0U || (resources & (BIT32(RES_L3) | BIT32(RES_L2))) == 0U) {
		return wanted == 0U;
	}
	cpuid_count(LEAF_RDT, l3 ? RES_L3 : RES_L2, r);
	rdt.mask_msr = l3 ? MSR_L3_MASK : MSR_L2_MASK;
	rdt.cfg_msr = l3 ? MSR_L3_QOS_CFG : MSR_L2_QOS_CFG;
	rdt.mask_bits = UINT32_MAX >> (31U - (r[0] & 0x1FU));
	if (rdt_config.cdp && (r[2] & ECX_CDP) == 0U) {
		return false; /* masks for data alone would be another partition than was asked for */
	}
	rdt.cdp = rdt_config.cdp;
	classes = (r[3] & 0xFFFFU) + 1U;
	rdt.mask_count = MIN(wanted, classes);
	rdt.classes = rdt.cdp ? rdt.mask_count / 2U : rdt.mask_count;
	return rdt.mask_count == wanted;
}

static bool find_delays(uint32_t resources)
{
	uint32_t r[4], wanted = rdt_config.delay_count;

	if (wanted == 0U || (resources & BIT32(RES_MBA)) == 0U) {
		return wanted == 0U;
	}
	cpuid_count(LEAF_RDT, RES_MBA, r);
	rdt.delay_count = MIN(wanted, (r[3] & 0xFFFFU) + 1U);
	rdt.delay_max = (r[0] & 0xFFFU) + 1U;
	rdt.classes = (rdt.classes == 0U) ? rdt.delay_count : MIN(rdt.classes, rdt.delay_count);
	return rdt.delay_count == wanted;
}

/* A mask must be contiguous and not 0: what is left of one by a smaller cache is, or is all of it. */
static uint64_t fit(uint32_t mask)
{
	return ((mask & rdt.mask_bits) != 0U) ? (mask & rdt.mask_bits) : rdt.mask_bits;
}

/* They are those of a cache that several CPUs share: each writes the same. */
static void program(void)
{
	if (rdt.cdp) {
		msr_write(rdt.cfg_msr, 1U);
	}
	for (uint32_t i = 0U; i < rdt.mask_count; i++) {
		msr_write(rdt.mask_msr + i, fit(rdt_config.masks[i]));
	}
	for (uint32_t i = 0U; i < rdt.delay_count; i++) {
		msr_write(MSR_MBA_DELAY + i, MIN(rdt_config.delays[i], rdt.delay_max));
	}
}

static uint32_t class_of(const struct vcpu *vcpu)
{
	const struct vm_config *c = vcpu->vm->config;
	uint32_t class = (c != NULL && vcpu->id < c->clos_count) ? c->clos[vcpu->id] : 0U;

	return (class < rdt.classes) ? class : 0U;
}

static void rdt_switch_in(struct thread *t)
{
	const struct vcpu *vcpu = container_of(t, struct vcpu, thread);
	uint32_t *now = &held[vcpu->pcpu->id], class = class_of(vcpu);

	next_switch_in(t);
	if (*now == class) {
		return;
	}
	if (*now == NOBODYS) {
		program();
	}
	*now = class;
	msr_write(MSR_PQR_ASSOC, (uint64_t)class << 32);
}

static uint32_t resources_found(void)
{
	uint32_t r[4];

	cpuid_count(0U, 0U, r);
	if (r[0] < LEAF_RDT) {
		return 0U;
	}
	cpuid_count(7U, 0U, r);
	if ((r[1] & CPUID_7_EBX_RDT) == 0U) {
		return 0U;
	}
	cpuid_count(LEAF_RDT, 0U, r);
	return r[1];
}

static int rdt_boot(void)
{
	uint32_t resources = resources_found();
	bool masks, delays;

	rdt = (struct rdt){0};
	masks = find_masks(resources);
	delays = find_delays(resources);
	if (!masks || !delays) {
		report("boot: RDT: of %u cache masks and %u bandwidth delays this CPU takes %u and %u%s",
		       rdt_config.mask_count, rdt_config.delay_count, rdt.mask_count,
		       rdt.delay_count, (rdt.classes != 0U) ? "; what is beyond is in class 0" : "");
	}
	if (rdt.classes != 0U) {
		for (uint32_t i = 0U; i < CONFIG_MAX_PCPU_NUM; i++) {
			held[i] = NOBODYS;
		}
		next_switch_in = vcpu_switch_replace(rdt_switch_in);
	}
	return 0;
}

UNIT(rdt) = {.name = "rdt", .level = UNIT_CORE, .boot = rdt_boot};
