// SPDX-License-Identifier: BSD-3-Clause
/*
 * WBINVD and INVD of a guest, without the other guests' feeling it. A VM that reaches no device needs
 * neither: caches are coherent, also where its PAT says otherwise if the CPU snoops itself. Else, in
 * place of the whole cache, the lines of the VM's own memory are written back, all that its EPT maps
 * as cached. That takes long, so that whoever waits for the CPU gets it between the pieces: it is the
 * VM's own time that is used up. INVD writes back as well, as a cache may at any moment. On the
 * vCPU's own CPU, no lock; maps may change meanwhile.
 */
#include "asm/insn.h"
#include "asm/vmx.h"
#include "hv/boot.h"
#include "hv/caps.h"
#include "hv/ept.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "hv/vmexit.h"

#define PIECE		  (4U * PAGE_SIZE) /* flushed at a time: some tens of microseconds */
#define GPA_END		  BIT(48)
#define CPUID_1_EDX_FLUSH BIT32(19)

static uint64_t line_size;

static void flush(hpa_t hpa, uint64_t size)
{
	for (uint64_t at = 0U; at < size; at += line_size) {
		cpu_clflush(hpa_ptr(HPA(hpa.v + at)));
	}
}

/* Whoever waits for this CPU gets it. */
static void let_others(struct vcpu *vcpu)
{
	pcpu_poll();
	if ((atomic_and64(&vcpu->requests, ~REQ_RESCHED) & REQ_RESCHED) != 0U) {
		schedule();
	}
}

static void write_back(struct vcpu *vcpu)
{
	uint64_t gpa = 0U, left, attr;
	hpa_t hpa;

	while (gpa < GPA_END) {
		int err = ept_lookup(&vcpu->vm->ept, GPA(gpa), &hpa, &left, &attr);

		if (err == 0 && (attr & EPT_MT_WB) == EPT_MT_WB) {
			left = MIN(left, PIECE);
			flush(hpa, left);
			let_others(vcpu);
		}
		gpa += left;
	}
}

static void cache_exit(struct vcpu *vcpu)
{
	if (vcpu->vm->ept.uncached || !cap_has(CAP_SELF_SNOOP)) {
		write_back(vcpu);
	}
	vcpu_skip(vcpu);
}

static int cache_boot(void)
{
	uint32_t r[4];

	cpuid_count(1U, 0U, r);
	line_size = ((r[1] >> 8) & 0xFFU) * 8UL;
	if ((r[3] & CPUID_1_EDX_FLUSH) == 0U || line_size == 0U) {
		report("boot: this CPU has no CLFLUSH: a VM's WBINVD empties the whole cache");
		return 0;
	}
	(void)vmexit_replace(EXIT_WBINVD, cache_exit);
	(void)vmexit_replace(EXIT_INVD, cache_exit);
	return 0;
}

UNIT(cache) = {.name = "cache", .level = UNIT_CPU, .boot = cache_boot};
