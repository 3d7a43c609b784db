// SPDX-License-Identifier: BSD-3-Clause
/*
 * Instructions that exited before, per vCPU: drivers reach their device from few places, and
 * walking the guest's tables and decoding is most of what such an exit costs.  A remembered
 * decoding is used only if the same way through the tables leads to the same bytes, which is
 * looked at every time; so nothing ever needs to be thrown away.  Used by inst.c alone, on the
 * vCPU's own CPU; no lock.
 */
#include "lib/errno.h"
#include "lib/kconfig.h"
#include "lib/string.h"
#include "hv/gmem.h"
#include "hv/inst.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vm.h"

#define SITES 8U
#define WORDS 2U /* of 8 bytes: more than an instruction has */

struct inst_site {
	uint64_t rip; /* linear */
	enum inst_mode mode;
	struct gmem_trail trail;
	uint64_t bytes[WORDS]; /* zero behind the instruction */
	struct inst inst;
};

struct inst_cache {
	struct inst_site site[SITES];
};

static struct inst_site *site_of(const struct vcpu *vcpu, gva_t rip)
{
	return &vcpu->insts->site[(rip.v ^ (rip.v >> 4)) % SITES];
}

/* The bytes of an instruction of `len`, zero behind it. */
static void load_bytes(hpa_t hpa, uint32_t len, uint64_t bytes[WORDS])
{
	const struct {
		uint64_t word[WORDS];
	} __packed *p = hpa_ptr(hpa);
	uint32_t bits = len * 8U;

	bytes[0] = p->word[0];
	bytes[1] = 0;
	if (bits < 64U) {
		bytes[0] &= BIT(bits) - 1U;
	} else if (bits > 64U) {
		bytes[1] = p->word[1] & (BIT(bits - 64U) - 1U);
	}
}

const struct inst *inst_cache_find(const struct vcpu *vcpu, gva_t rip, enum inst_mode mode)
{
	const struct inst_site *s = site_of(vcpu, rip);
	uint64_t bytes[WORDS];

	if (s->rip != rip.v || s->mode != mode || !gmem_trail_same(vcpu, &s->trail)) {
		return NULL;
	}
	load_bytes(s->trail.hpa, s->inst.len, bytes);
	return bytes[0] == s->bytes[0] && bytes[1] == s->bytes[1] ? &s->inst : NULL;
}

void inst_cache_put(const struct vcpu *vcpu, gva_t rip, enum inst_mode mode,
		    const struct gmem_trail *trail, const uint8_t bytes[INST_MAX_LEN],
		    const struct inst *inst)
{
	struct inst_site *s = site_of(vcpu, rip);

	/* Both words must lie in the page that was translated. */
	if (trail->used == 0U || (rip.v & ~PAGE_MASK) > PAGE_SIZE - WORDS * 8U) {
		return;
	}
	s->rip = rip.v;
	s->mode = mode;
	s->trail = *trail;
	s->inst = *inst;
	(void)memset(s->bytes, 0, sizeof(s->bytes));
	(void)memcpy(s->bytes, bytes, inst->len);
}

UNIT(inst_cache) = {
	.name = "inst_cache",
	.level = UNIT_CPU,
	.vcpu_state = VCPU_STATE("decoded instructions", struct inst_cache, insts),
};
